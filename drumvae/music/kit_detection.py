"""How often each pitch was played in, the kit that it was played on out.

Most instruments agree with General MIDI or the Roland modules, which the default kit hears at once. What has to be recognised is an
instrument that means other drums by the same notes, such as Addictive Drums 2, whose 49 is a closed hat. SSD5 is to be set where it
matters: its own hats lie on the bells and congas of General MIDI, and its plain notes are heard rightly by default.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from math import lgamma

from .kit import DEFAULT_KIT, PERCUSSION, Kit
from .kits import kit_rows, known_kits

EVIDENCE_NOTES = 32
"""So many notes, about two bars of a groove, are heard before anything is said of the kit."""

_USUAL = (0.198, 0.301, 0.264, 0.032, 0.025, 0.011, 0.032, 0.014, 0.122)  # of each voice, among the notes of the Groove MIDI Dataset
_VOICES, _PERCUSSION, _ELSEWHERE = 12.0, 2.0, 0.25  # strength of belief, in notes, that a hit is a drum, percussion, anything else
_PLAIN = 0.6  # of a voice's hits on the note that the kit plays; the rest on its rims and edges
_LEAD = 7.0  # by so much a likelihood, e to the power of 7, another kit must be better than the default
_EDGES, _EDGE_SHARE = (22, 26), 0.02
_HEADS, _RIMS = (48, 45), (50, 47)


def detect_kit(counts: Mapping[int, int]) -> Kit | None:
    """Returns the known kit that explains best how often each pitch was played, or None before there are EVIDENCE_NOTES of them.

    It is the default unless another is better by far and knows, on two voices or more, notes that the default does not: tambourine
    and cowbell alone make no other kit. The Roland modules, which the default hears rightly, are told by their hat edges and tom
    heads.
    """
    total = sum(counts.values())
    if total < EVIDENCE_NOTES:
        return None
    lead = _likelihood(counts, DEFAULT_KIT, _PERCUSSION) + _LEAD
    strange = [pitch for pitch, count in counts.items() if count and DEFAULT_KIT.voice_of(pitch) is None]
    others = [(_likelihood(counts, row.kit), row.kit) for row in kit_rows() if _knows_two(strange, row.kit)]
    best, kit = max(others, key=lambda other: other[0], default=(lead, DEFAULT_KIT))
    if best > lead:
        return kit
    edges, heads, rims = (sum(counts.get(pitch, 0) for pitch in pitches) for pitches in (_EDGES, _HEADS, _RIMS))
    return known_kits()["roland-td"].kit if edges >= _EDGE_SHARE * total and heads > rims else DEFAULT_KIT


def _knows_two(pitches: Sequence[int], kit: Kit) -> bool:
    """Says whether some pitches fall on two voices of a kit or more."""
    return len(pitches) > 1 and len({kit.voice_of(pitch) for pitch in pitches} - {None}) > 1


def _likelihood(counts: Mapping[int, int], kit: Kit, percussion: float = 0.0) -> float:
    """Returns the logarithm of the probability of some counts on a kit, up to a constant that is nearly the same for all kits.

    The formula is that of the Dirichlet-multinomial distribution: notes come in habits, so a drum that is rare in general but was
    played once may well be played all the time. That keeps a chorus on the crash from being taken for the hats of another kit.
    """
    beliefs = _beliefs(kit, percussion)
    return sum(lgamma(count + beliefs[pitch]) - lgamma(beliefs[pitch]) for pitch, count in counts.items())


@cache
def _beliefs(kit: Kit, percussion: float) -> tuple[float, ...]:
    """Returns how strongly each of the 128 pitches is expected on a kit, in notes."""
    beliefs = [_ELSEWHERE / 128 + (percussion / len(PERCUSSION) if pitch in PERCUSSION else 0.0) for pitch in range(128)]
    for usual, pitches, played in zip(_USUAL, kit.input_notes, kit.output_notes, strict=True):
        for pitch in pitches:
            plain = 1.0 if len(pitches) == 1 else _PLAIN if pitch == played else (1 - _PLAIN) / (len(pitches) - 1)
            beliefs[pitch] += _VOICES * usual * plain
    return tuple(beliefs)
