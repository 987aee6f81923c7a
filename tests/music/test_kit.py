"""Laws of kits: each pitch belongs to at most one voice, and kits survive JSON."""

import json
from pathlib import Path

import pytest

from drumvae.bundle.format import default_bundle, read_bundle
from drumvae.music.kit import DEFAULT_KIT, PERCUSSION, VOICES, Kit
from drumvae.util.errors import BundleError


def test_every_output_note_is_an_input_note_of_its_voice() -> None:
    assert [DEFAULT_KIT.voice_of(pitch) for pitch in DEFAULT_KIT.output_notes] == list(range(9))


def test_the_default_output_notes_choke_no_cymbal_on_any_sampler() -> None:
    assert DEFAULT_KIT.output_notes == (36, 38, 42, 46, 43, 47, 48, 49, 51)


@pytest.mark.parametrize(
    ("pitch", "voice"),
    [
        *[(35, "kick"), (37, "snare"), (40, "snare"), (22, "closed hat"), (44, "closed hat"), (26, "open hat"), (41, "low tom")],
        *[(58, "low tom"), (45, "mid tom"), (50, "high tom"), (52, "crash"), (55, "crash"), (57, "crash"), (53, "ride"), (59, "ride")],
    ],
)
def test_roland_and_general_midi_pitches_are_mapped(pitch: int, voice: str) -> None:
    assert DEFAULT_KIT.voice_of(pitch) == VOICES.index(voice)


def test_an_unmapped_pitch_has_no_voice() -> None:
    assert DEFAULT_KIT.voice_of(60) is None


def test_percussion_is_unmapped() -> None:
    assert all(DEFAULT_KIT.voice_of(pitch) is None for pitch in PERCUSSION)


def kit(
    output_notes: tuple[int, ...] = DEFAULT_KIT.output_notes,
    input_notes: tuple[tuple[int, ...], ...] = DEFAULT_KIT.input_notes,
    *chokes: int,
) -> Kit:
    return Kit("mine", input_notes, output_notes, chokes)


@pytest.mark.parametrize("chokes", [(), (50, 58)])
def test_a_kit_comes_back_from_its_dict_through_json(chokes: tuple[int, ...]) -> None:
    mine = kit(DEFAULT_KIT.output_notes, DEFAULT_KIT.input_notes, *chokes)
    assert Kit.from_dict(json.loads(json.dumps(mine.to_dict()))) == mine


def test_a_kit_without_chokes_has_the_keys_of_earlier_versions() -> None:
    assert set(DEFAULT_KIT.to_dict()) == {"name", "input_notes", "output_notes"}  # corpora are cached under a name made of it
    notes = {"input_notes": DEFAULT_KIT.input_notes, "output_notes": DEFAULT_KIT.output_notes}
    assert Kit.from_dict({"name": "default", **notes}) == DEFAULT_KIT


def test_the_bundle_that_ships_has_the_default_kit() -> None:
    written = json.loads((Path(default_bundle()) / "bundle.json").read_text("utf-8"))["kit"]
    assert read_bundle(default_bundle()).kit == DEFAULT_KIT == Kit.from_dict(written)


def test_a_pitch_cannot_belong_to_two_voices() -> None:
    with pytest.raises(ValueError, match="kick and snare both hear 36, and a note belongs to no two voices"):
        kit(input_notes=((36,), (38, 36), *DEFAULT_KIT.input_notes[2:]))
    with pytest.raises(ValueError, match="kick and snare both hear 36"):
        kit(input_notes=((36,),) * 9)


def test_two_voices_cannot_play_one_note() -> None:
    with pytest.raises(ValueError, match="kick and ride both play 36, and a note belongs to no two voices"):
        kit((*DEFAULT_KIT.output_notes[:8], 36))


def test_a_voice_cannot_play_a_choke_of_its_kit() -> None:
    with pytest.raises(ValueError, match="crash plays 49, which only chokes a cymbal"):
        kit(DEFAULT_KIT.output_notes, DEFAULT_KIT.input_notes, 54, 49)


@pytest.mark.parametrize("note", [-1, 128])
def test_a_note_is_between_0_and_127(note: int) -> None:
    with pytest.raises(ValueError, match=f"{note} is no note; type one of 0 to 127"):
        kit((note, *DEFAULT_KIT.output_notes[1:]))
    with pytest.raises(ValueError, match=f"{note} is no note"):
        kit(input_notes=((36, note), *DEFAULT_KIT.input_notes[1:]))
    with pytest.raises(ValueError, match=f"{note} is no note"):
        kit(DEFAULT_KIT.output_notes, DEFAULT_KIT.input_notes, note)


def test_a_kit_has_nine_voices() -> None:
    with pytest.raises(ValueError, match="needs 9 voices"):
        kit(DEFAULT_KIT.output_notes[:8])


CHOKED = DEFAULT_KIT.to_dict() | {"chokes": [49]}


SHORT, TYPELESS = ({"name": "x", "input_notes": notes, "output_notes": out} for notes, out in (([[36]], [36]), (3, [])))


@pytest.mark.parametrize("broken", [{}, SHORT, TYPELESS, CHOKED])
def test_a_broken_kit_is_refused_with_a_sentence(broken: dict[str, object]) -> None:
    with pytest.raises(BundleError, match="nine voices"):
        Kit.from_dict(broken)
