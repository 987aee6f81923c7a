"""Laws of the known kits, of kits in files, and of detecting a kit from its notes."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from drumvae.live.controls.mapping_file import read_map
from drumvae.live.midi_io.input_kit import MEMORY_NOTES, InputKit
from drumvae.midi.reader import open_midi
from drumvae.midi.tracks import ParsedMidi
from drumvae.music.kit import DEFAULT_KIT, PERCUSSION, VOICES, Kit
from drumvae.music.kit_detection import EVIDENCE_NOTES, detect_kit
from drumvae.music.kits import KitError, kit_named, kit_rows, known_kits
from drumvae.util.errors import DrumVAEError

KICK, SNARE, CLOSED_HAT, OPEN_HAT, LOW_TOM, MID_TOM, HIGH_TOM, CRASH, RIDE = range(9)

# The notes of the published key maps, typed a second time to find a slip in kits.toml.
OUTPUT_NOTES = {
    "default": (36, 38, 42, 46, 43, 47, 48, 49, 51),
    "gm": (36, 38, 42, 46, 43, 47, 50, 49, 51),
    "ableton": (36, 38, 42, 46, 43, 47, 50, 49, 51),
    "logic": (36, 38, 42, 46, 43, 47, 50, 49, 51),
    "sd3": (36, 38, 42, 46, 43, 47, 48, 49, 51),
    "ezdrummer": (36, 38, 42, 46, 43, 47, 48, 55, 51),
    "ad2": (36, 38, 49, 56, 67, 69, 71, 77, 60),
    "ssd5": (36, 38, 42, 46, 43, 47, 48, 57, 51),
    "roland-td": (36, 38, 42, 46, 43, 45, 48, 49, 51),
    "mpc": (36, 38, 42, 46, 43, 47, 48, 49, 51),
    "tr-8s": (36, 38, 42, 46, 43, 47, 50, 49, 51),
}


def known(name: str) -> Kit:
    return known_kits()[name].kit


# the known kits


@pytest.mark.parametrize("name", OUTPUT_NOTES)
def test_a_known_kit_plays_the_notes_of_its_key_map(name: str) -> None:
    assert kit_named(name).name == name
    assert kit_named(name).output_notes == OUTPUT_NOTES[name]


def test_every_known_kit_has_a_title_and_a_warning() -> None:
    rows = kit_rows()
    assert [row.kit.name for row in rows] == list(OUTPUT_NOTES)
    assert len({row.title for row in rows}) == len(rows)
    assert all(row.title and row.trap for row in rows)


def test_the_default_of_the_table_is_the_default_kit() -> None:
    assert kit_named("default") == DEFAULT_KIT


@pytest.mark.parametrize("name", OUTPUT_NOTES)
def test_a_known_kit_maps_its_output_notes_to_their_voices(name: str) -> None:
    assert [known(name).voice_of(pitch) for pitch in known(name).output_notes] == list(range(9))


@pytest.mark.parametrize(
    ("name", "chokes"), [("sd3", {50, 54, 56, 58}), ("ezdrummer", {50, 54, 56, 58}), ("ssd5", {49}), ("ad2", {63, 78})]
)
def test_a_known_kit_maps_no_choke(name: str, chokes: set[int]) -> None:
    kit = known(name)
    assert chokes <= set(kit.chokes)
    assert not set(kit.chokes) & set(kit.output_notes)
    assert all(kit.voice_of(pitch) is None for pitch in kit.chokes)


@pytest.mark.parametrize("name", OUTPUT_NOTES)
def test_a_known_kit_comes_back_from_its_dict(name: str) -> None:
    assert Kit.from_dict(known(name).to_dict()) == known(name)


@pytest.mark.parametrize(
    ("name", "pitch", "voice"),
    [
        *[("ad2", 42, SNARE), ("ad2", 46, CRASH), ("ad2", 50, CLOSED_HAT), ("ad2", 51, CLOSED_HAT), ("ad2", 43, SNARE), ("ad2", 61, RIDE)],
        *[("ssd5", 50, CRASH), ("ssd5", 52, RIDE), ("ezdrummer", 24, OPEN_HAT), ("sd3", 22, CLOSED_HAT), ("sd3", 60, OPEN_HAT)],
        *[("roland-td", 50, HIGH_TOM), ("roland-td", 47, MID_TOM), ("roland-td", 58, LOW_TOM), ("roland-td", 22, CLOSED_HAT)],
    ],
)
def test_notes_are_mapped_as_on_their_instrument(name: str, pitch: int, voice: int) -> None:
    assert known(name).voice_of(pitch) == voice


@pytest.mark.parametrize(
    ("text", "name"), [("Superior Drummer 3", "sd3"), ("TR8S", "tr-8s"), ("roland td", "roland-td"), ("GM", "gm"), ("General MIDI", "gm")]
)
def test_a_kit_may_be_named_in_any_spelling_or_by_its_instrument(text: str, name: str) -> None:
    assert kit_named(text).name == name


def test_the_error_for_an_unknown_name_has_the_nearest() -> None:
    with pytest.raises(KitError, match=r"no kit 'ezdrumer', nor a file of that name; did you mean ezdrummer\?$"):
        kit_named("ezdrumer")
    with pytest.raises(KitError, match=r"there is default, gm, .*, tr-8s\.$"):
        kit_named("zzzz")


# kits in files


def write(folder: Path, text: str, name: str = "mine.toml") -> str:
    path = folder / name
    path.write_text(text, "utf-8")
    return str(path)


def test_a_file_keeps_the_default_for_voices_that_it_leaves_out(tmp_path: Path) -> None:
    kit = kit_named(write(tmp_path, 'kick = 35\n"closed hat" = 44\nopen-hat = 26\nlow_tom = 41'))
    assert kit.name == "mine"
    assert kit.output_notes == (35, 38, 44, 26, 41, *DEFAULT_KIT.output_notes[5:])
    assert [set(pitches) for pitches in kit.input_notes] == [set(pitches) for pitches in DEFAULT_KIT.input_notes]


def test_a_file_extends_its_base(tmp_path: Path) -> None:
    kit = kit_named(write(tmp_path, 'base = "ad2"\ncrash = 79\ntitle = "Mine"\ntrap = "none"'))
    assert kit.output_notes == (*known("ad2").output_notes[:7], 79, 60)
    assert kit.chokes == known("ad2").chokes
    assert kit.voice_of(42) == SNARE


def test_a_new_output_note_is_an_input_note_of_that_voice_only(tmp_path: Path) -> None:
    kit = kit_named(write(tmp_path, "closed-hat = 55\nsnare = 99"))
    assert (kit.voice_of(55), kit.voice_of(42), kit.voice_of(99), kit.voice_of(38)) == (CLOSED_HAT, CLOSED_HAT, SNARE, SNARE)


def test_input_notes_may_differ_from_the_output_note(tmp_path: Path) -> None:
    roland_into_ad2 = 'base = "ad2"\nclosed-hat = { plays = 49, hears = [42, 22, 44] }\n[crash]\nhears = [49, 55]\n[snare]\nhears = [38]'
    kit = kit_named(write(tmp_path, roland_into_ad2))
    assert kit.output_notes == known("ad2").output_notes
    assert [kit.voice_of(pitch) for pitch in (42, 49, 38, 77, 50, 37)] == [CLOSED_HAT, CRASH, SNARE, None, None, None]


def test_duplicate_input_notes_are_removed(tmp_path: Path) -> None:
    assert kit_named(write(tmp_path, "kick = { hears = [36, 35, 36] }")).input_notes[KICK] == (36, 35)


def test_a_file_may_name_its_own_chokes(tmp_path: Path) -> None:
    kit = kit_named(write(tmp_path, "chokes = [50]"))
    assert kit.chokes == (50,)
    assert kit.voice_of(50) is None


def test_an_existing_file_needs_no_suffix(tmp_path: Path) -> None:
    assert kit_named(write(tmp_path, "kick = 35", "plain")).output_notes[KICK] == 35


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("kik = 36", "'kik' is no voice; did you mean kick?"),
        ("[kick]\nplay = 36", "'play' is nothing that kick does; did you mean plays?"),
        ("kick = 38", "kick and snare both play 38, and a note belongs to no two voices; change one of them."),
        ("kick = 128", "what kick plays is 128; a note is a whole number of 0 to 127."),
        ("kick = -1", "what kick plays is -1; a note is a whole number of 0 to 127."),
        ('kick = "C1"', "what kick plays is 'C1'; a note is a whole number of 0 to 127."),
        ("kick = true", "what kick plays is True; a note is a whole number of 0 to 127."),
        ("kick = { hears = [36, 128] }", "what kick hears is 128; a note is a whole number of 0 to 127."),
        ("kick = { hears = 36 }", "what kick hears is 36; type a list of notes, such as [42, 44]."),
        ("kick = { hears = [36] }\nsnare = { hears = [38, 36] }", "kick and snare both hear 36, and a note belongs to no two voices"),
        ("chokes = 50", "chokes is 50; type a list of notes, such as [42, 44]."),
        ('base = "ezdrumer"', "its base 'ezdrumer' is no known kit; did you mean ezdrummer?"),
        ("base = 3", "its base 3 is no known kit; did you mean sd3?"),
        ("base = [[]]", "its base [[]] is no known kit; there is default, "),
        ('base = "ezdrummer"\nhigh-tom = 50', "high tom plays 50, which only chokes a cymbal there; type another note."),
        ("closed-hat = 42\nclosed_hat = 44", "it names closed hat twice; leave one out."),
    ],
)
def test_the_error_for_a_broken_kit_says_what_is_wrong(tmp_path: Path, text: str, clause: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(KitError) as refused:
        kit_named(path)
    assert str(refused.value).startswith(f"The kit {path} cannot be played: {clause}")


def test_a_file_that_is_missing_or_not_text_or_not_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KitError, match=r"none\.toml cannot be read \(No such file"):
        kit_named(str(tmp_path / "none.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KitError, match=r"bytes\.toml cannot be read"):
        kit_named(str(tmp_path / "bytes.toml"))
    with pytest.raises(KitError, match=r"is no TOML .*a line looks like kick = 36"):
        kit_named(write(tmp_path, "kick 36"))


# detection


def counted(kit: Kit, **hits: int) -> Counter[int]:
    """Returns counts by pitch: so many hits of each voice on the output notes of a kit."""
    return Counter({kit.output_notes[VOICES.index(voice.replace("_", " "))]: count for voice, count in hits.items()})


GROOVE = {"kick": 12, "snare": 10, "closed_hat": 40, "open_hat": 3, "low_tom": 2, "mid_tom": 2, "high_tom": 3, "crash": 2, "ride": 8}


@pytest.mark.parametrize("name", OUTPUT_NOTES)
def test_a_groove_on_a_known_kit_is_mapped_to_its_own_voices(name: str) -> None:
    kit = detect_kit(counted(known(name), **GROOVE))
    assert kit is not None
    assert [kit.voice_of(pitch) for pitch in known(name).output_notes] == list(range(9))


def test_addictive_drums_is_detected() -> None:
    assert detect_kit(counted(known("ad2"), **GROOVE)) == known("ad2")
    assert detect_kit(counted(known("ad2"), kick=12, snare=10, closed_hat=40, crash=2, low_tom=3)) == known("ad2")


def test_a_toontrack_clip_is_detected_by_its_own_hats() -> None:
    played = counted(known("sd3"), kick=12, snare=10, crash=2) + Counter({22: 20, 62: 10, 24: 5, 25: 4, 17: 3})
    assert detect_kit(played) == known("sd3")


def test_too_few_notes_detect_no_kit() -> None:
    groove = counted(known("ad2"), **GROOVE)
    few = Counter(dict(list(groove.items())[:3]))
    few[few.most_common(1)[0][0]] -= few.total() - (EVIDENCE_NOTES - 1)
    assert few.total() == EVIDENCE_NOTES - 1
    assert detect_kit(few) is None
    assert detect_kit({}) is None
    few[36] += 1
    assert detect_kit(few) is not None


def test_notes_of_many_kits_detect_the_default() -> None:
    assert detect_kit(counted(DEFAULT_KIT, kick=16, snare=16, closed_hat=32)) == DEFAULT_KIT


def percussion(seed: int) -> Iterable[int]:
    rng = np.random.default_rng(seed)
    return [int(pitch) for pitch in rng.choice(sorted(PERCUSSION), size=rng.integers(1, 12), replace=False)]


@pytest.mark.parametrize("seed", range(40))
def test_a_general_midi_groove_with_any_percussion_is_never_another_kit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    usual = np.array([0.2, 0.3, 0.26, 0.03, 0.03, 0.02, 0.03, 0.02, 0.11])
    voices = rng.multinomial(200, rng.dirichlet(usual * 12))
    played = Counter({pitch: int(count) for pitch, count in zip(known("gm").output_notes, voices, strict=True)})
    assert detect_kit(played) == DEFAULT_KIT
    for pitch in percussion(seed):
        played[pitch] += int(rng.integers(1, 20))
    assert detect_kit(played) == DEFAULT_KIT


def test_a_chorus_on_the_crash_is_not_detected_as_hats_of_addictive_drums() -> None:
    assert detect_kit(counted(known("gm"), kick=100, snare=100, crash=400, high_tom=20)) == DEFAULT_KIT


def test_a_roland_groove_is_detected_by_hat_edges_and_tom_heads() -> None:
    roland = counted(known("roland-td"), **GROOVE)
    assert detect_kit(roland + Counter({22: 10})) == known("roland-td")
    assert detect_kit(roland) == DEFAULT_KIT
    assert detect_kit(counted(known("gm"), **GROOVE) + Counter({22: 10})) == DEFAULT_KIT  # plays 47 and 50, which are rims there


def takes(where: Path) -> list[Counter[int]]:
    """Counts the pitches of every third take of the Groove MIDI Dataset, a folder or a zip, if it has 40 notes or more."""
    if where.is_dir():
        data = [path.read_bytes() for path in sorted(where.rglob("*.mid"))[::3]]
    else:
        with ZipFile(where) as archive:
            data = [archive.read(name) for name in sorted(archive.namelist()) if name.endswith(".mid")][::3]
    counts = [Counter(note.pitch for note in ParsedMidi.from_mido(open_midi(file)).notes) for file in data]
    return [count for count in counts if count.total() >= 40]


@pytest.fixture(scope="module")
def roland_takes(gmd: Path) -> list[Counter[int]]:
    """Counts of takes by ten drummers on a Roland TD-11."""
    found = takes(gmd)
    assert len(found) > 100
    return found


def rendered(counts: Counter[int], kit: Kit) -> Counter[int]:
    """Moves counts of a Roland take to the output notes of another kit."""
    other: Counter[int] = Counter()
    for pitch, count in counts.items():
        voice = known("roland-td").voice_of(pitch)
        assert voice is not None
        other[kit.output_notes[voice]] += count
    return other


@pytest.mark.gmd
def test_real_roland_takes_are_mapped_to_their_voices(roland_takes: list[Counter[int]]) -> None:
    for counts in roland_takes:
        kit = detect_kit(counts)
        assert kit is not None
        assert [kit.voice_of(pitch) for pitch in counts] == [known("roland-td").voice_of(pitch) for pitch in counts]


@pytest.mark.gmd
def test_a_roland_is_detected_where_its_edges_and_toms_are_played(roland_takes: list[Counter[int]]) -> None:
    telling = [counts for counts in roland_takes if counts[22] + counts[26] > counts.total() / 20 and counts[48] + counts[45] > 5]
    assert len(telling) > 30
    assert np.mean([detect_kit(counts) == known("roland-td") for counts in telling]) >= 0.8


@pytest.mark.gmd
def test_real_grooves_are_detected_on_addictive_drums_and_on_general_midi(roland_takes: list[Counter[int]]) -> None:
    assert np.mean([detect_kit(rendered(counts, known("ad2"))) == known("ad2") for counts in roland_takes]) >= 0.8
    assert {detect_kit(rendered(counts, known("gm"))) for counts in roland_takes} == {DEFAULT_KIT}
    conga = Counter({54: 20, 56: 10, 62: 20, 63: 20, 64: 30})
    assert {detect_kit(rendered(counts, known("gm")) + conga) for counts in roland_takes} == {DEFAULT_KIT}


# the input kit of a running session


def play(kit: InputKit, counts: Counter[int], times: int = 1) -> None:
    for pitch in list(counts.elements()) * times:
        kit.voice_of(pitch)


def test_the_input_kit_changes_when_two_detections_agree() -> None:
    input_kit = InputKit()
    assert input_kit.detect() is None
    play(input_kit, counted(known("ad2"), **GROOVE))
    assert input_kit.voice_of(49) == CRASH
    assert input_kit.detect() is None
    assert input_kit.detect() == known("ad2")
    assert input_kit.detect() is None  # reported once
    assert input_kit.voice_of(49) == CLOSED_HAT


def test_a_fixed_input_kit_stays() -> None:
    input_kit = InputKit(known("gm"), fixed=True)
    play(input_kit, counted(known("ad2"), **GROOVE))
    assert [input_kit.detect(), input_kit.detect(), input_kit.kit] == [None, None, known("gm")]


def test_another_instrument_at_the_same_port_is_noticed_and_the_counts_stay_small() -> None:
    input_kit = InputKit()
    play(input_kit, counted(known("ad2"), **GROOVE), 20)
    input_kit.detect()
    assert input_kit.detect() == known("ad2")
    play(input_kit, counted(known("gm"), **GROOVE), 40)
    input_kit.detect()
    assert input_kit.detect() == DEFAULT_KIT
    assert input_kit._counts.total() <= MEMORY_NOTES


@pytest.mark.parametrize("text", ["kick = [" + "[" * 5000, "kick = " + "9" * 5000])
def test_a_file_that_breaks_the_parser_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(KitError, match="is no TOML"):
        kit_named(str(tmp_path / "odd.toml"))
    with pytest.raises(DrumVAEError, match="is no TOML"):
        read_map(tmp_path / "odd.toml")
    with pytest.raises(KitError, match="There is no kit"):
        kit_named("x" * 5000)
