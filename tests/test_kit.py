import pytest

from drumvae.errors import BundleError
from drumvae.kit import DEFAULT_KIT, VOICES, Kit


def test_every_voice_hears_the_note_that_it_plays() -> None:
    assert [DEFAULT_KIT.voice_of(pitch) for pitch in DEFAULT_KIT.played] == list(range(9))


def test_the_default_notes_choke_no_cymbal_on_any_sampler() -> None:
    assert DEFAULT_KIT.played == (36, 38, 42, 46, 43, 47, 48, 49, 51)


@pytest.mark.parametrize(
    ("pitch", "voice"),
    [
        *[(35, "kick"), (37, "snare"), (40, "snare"), (22, "closed hat"), (44, "closed hat"), (26, "open hat"), (41, "low tom")],
        *[(58, "low tom"), (45, "mid tom"), (50, "high tom"), (52, "crash"), (55, "crash"), (57, "crash"), (53, "ride"), (59, "ride")],
    ],
)
def test_roland_and_general_midi_pitches_are_heard(pitch: int, voice: str) -> None:
    assert DEFAULT_KIT.voice_of(pitch) == VOICES.index(voice)


def test_a_pitch_of_no_voice_is_no_voice() -> None:
    assert DEFAULT_KIT.voice_of(60) is None


def test_a_kit_comes_back_from_its_dict() -> None:
    assert Kit.from_dict(DEFAULT_KIT.to_dict()) == DEFAULT_KIT


def test_a_pitch_cannot_belong_to_two_voices() -> None:
    with pytest.raises(ValueError, match="two voices"):
        Kit("twice", ((36,),) * 9, DEFAULT_KIT.played)


@pytest.mark.parametrize("broken", [{}, {"name": "x", "heard": [[36]], "played": [36]}, {"name": "x", "heard": 3, "played": []}])
def test_a_broken_kit_is_refused_with_a_sentence(broken: dict[str, object]) -> None:
    with pytest.raises(BundleError, match="nine voices"):
        Kit.from_dict(broken)
