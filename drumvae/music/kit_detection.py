"""Detects the kit of an input from how often each pitch is played.

Most instruments agree with General MIDI or the Roland modules, which the default kit maps. Detection is for instruments that use the
same notes for other drums, such as Addictive Drums 2, whose 49 is a closed hat. SSD5 is not detected: its own hats are on the bells
and congas of General MIDI. Its plain notes are right by default, and its kit can be named where the others matter.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from math import lgamma

from .kit import DEFAULT_KIT, PERCUSSION, Kit
from .kits import kit_rows, known_kits

EVIDENCE_NOTES = 32
"""The number of notes, about two bars of a groove, below which no kit is detected."""

_USUAL = (0.198, 0.301, 0.264, 0.032, 0.025, 0.011, 0.032, 0.014, 0.122)  # of each voice, among the notes of the Groove MIDI Dataset
_VOICES, _PERCUSSION, _ELSEWHERE = 12.0, 2.0, 0.25  # prior strength, in notes, of drums, percussion and any other pitch
_PLAIN = 0.6  # the share of a voice's hits on its output note; the rest are on rims and edges
_LEAD = 7.0  # the log-likelihood ratio by which another kit must be better than the default
_EDGES, _EDGE_SHARE = (22, 26), 0.02
_HEADS, _RIMS = (48, 45), (50, 47)


def detect_kit(counts: Mapping[int, int]) -> Kit | None:
    """Returns the known kit with the highest likelihood of some counts by pitch, or None below `EVIDENCE_NOTES` notes.

    Another kit than the default must be better by a wide margin, and must map to two voices or more notes that the default does not
    map: tambourine and cowbell alone do not indicate another kit. The Roland modules, which the default maps correctly, are
    distinguished by their hat edges and tom heads.
    """
    total = sum(counts.values())
    if total < EVIDENCE_NOTES:
        return None
    lead = _likelihood(counts, DEFAULT_KIT, _PERCUSSION) + _LEAD
    unmapped = [pitch for pitch, count in counts.items() if count and DEFAULT_KIT.voice_of(pitch) is None]
    others = [(_likelihood(counts, row.kit), row.kit) for row in kit_rows() if _maps_two(unmapped, row.kit)]
    best, kit = max(others, key=lambda other: other[0], default=(lead, DEFAULT_KIT))
    if best > lead:
        return kit
    edges, heads, rims = (sum(counts.get(pitch, 0) for pitch in pitches) for pitches in (_EDGES, _HEADS, _RIMS))
    return known_kits()["roland-td"].kit if edges >= _EDGE_SHARE * total and heads > rims else DEFAULT_KIT


def _maps_two(pitches: Sequence[int], kit: Kit) -> bool:
    """Returns whether some pitches are mapped to two voices of a kit or more."""
    return len(pitches) > 1 and len({kit.voice_of(pitch) for pitch in pitches} - {None}) > 1


def _likelihood(counts: Mapping[int, int], kit: Kit, percussion: float = 0.0) -> float:
    """Returns the log-likelihood of some counts on a kit, up to a constant that is nearly the same for all kits.

    The counts follow a Dirichlet-multinomial distribution: a drum that is rare in general may be frequent in one groove. A chorus on
    the crash is therefore not taken for the hats of another kit.
    """
    prior = _prior(kit, percussion)
    return sum(lgamma(count + prior[pitch]) - lgamma(prior[pitch]) for pitch, count in counts.items())


@cache
def _prior(kit: Kit, percussion: float) -> tuple[float, ...]:
    """Returns the prior strength of each of the 128 pitches on a kit, in notes."""
    prior = [_ELSEWHERE / 128 + (percussion / len(PERCUSSION) if pitch in PERCUSSION else 0.0) for pitch in range(128)]
    for usual, pitches, output_note in zip(_USUAL, kit.input_notes, kit.output_notes, strict=True):
        for pitch in pitches:
            plain = 1.0 if len(pitches) == 1 else _PLAIN if pitch == output_note else (1 - _PLAIN) / (len(pitches) - 1)
            prior[pitch] += _VOICES * usual * plain
    return tuple(prior)
