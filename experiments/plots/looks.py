"""How a searcher looks and what it is called, in every picture and printed table: one rule, from its name.

    >>> [look.colour for look in looks(["bananas", "published_bananas"])]
    ['#CC79A7', '#CC79A7']

A searcher of the toolkit has its own colour and marker and a solid line; the authors' form of it a dashed line.  The
checksum of any other name chooses a broken line, a marker and a colour, where possible one that no other searcher of
the picture has.  The searchers of `searchers.fidelity` share colours with the others: they never race each other.
"""

from __future__ import annotations

import textwrap
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.tables import PUBLISHED, proper_name

# Okabe and Ito's colours, told apart with any colour vision, grey for what is no search, and dark ones for libraries.
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
    *("#7F7F7F", "#7B4A12", "#332288", "#999933", "#882255", "#225522"),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "p", "H", "8", "<", ">")
_PLACES = {  # in `COLOURS` and `_MARKERS`
    "random_search": 0,
    "local_search": 1,
    "regularized_evolution": 2,
    "bananas": 3,
    "nsga2": 4,
    "optuna": 5,
    "gp": 6,
    "nevergrad": 8,
    "smac": 9,
    "syne_tune": 10,
    "botorch": 11,
    "baybe": 12,
    "largest": 7,
    "random_full": 0,
    "successive_halving": 1,
    "hyperband": 2,
    "asha": 3,
}
_SOLID: tuple[float, ...] = ()
_DASHED = (4.0, 1.8)
_BROKEN = ((6.0, 1.4, 1.2, 1.4), (1.2, 1.2), (6.0, 1.4, 1.2, 1.4, 1.2, 1.4))
_OWN_COLOURS = (4, 5, 6)  # first; they belong to searchers that seldom stand beside one's own
_OWN_MARKER = "d"


@dataclass(frozen=True)
class Look:
    """One searcher's line; `dashes` are lengths of strokes and gaps in widths of the line, empty for a solid one."""

    colour: str
    dashes: tuple[float, ...]
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        return {"color": self.colour, "linestyle": (0, self.dashes) if self.dashes else "-", "marker": self.marker}


def looks(names: Sequence[str]) -> list[Look]:
    """Looks of a picture's searchers; a path counts by its last part, a repeated name gets another line."""
    stems = [name.rpartition("/")[2] for name in names]
    found = {stem: _known(stem) for stem in stems if stem.removeprefix(PUBLISHED) in _PLACES}
    for stem in sorted(set(stems) - set(found)):  # sorted, so that the order of the names changes nothing
        found[stem] = _own(stem, list(found.values()))
    out: list[Look] = []
    for stem in stems:
        look = found[stem]
        taken = [other.dashes for other in out if other.colour == look.colour]
        lines = [look.dashes, *_BROKEN, _SOLID, _DASHED]
        out.append(Look(look.colour, next((d for d in lines if d not in taken), look.dashes), look.marker))
    return out


def _known(name: str) -> Look:
    place = _PLACES[name.removeprefix(PUBLISHED)]
    return Look(COLOURS[place], _DASHED if name.startswith(PUBLISHED) else _SOLID, _MARKERS[place])


def _own(name: str, others: Sequence[Look]) -> Look:
    """Where all colours are taken, one that the fewest have, with a line that those have not."""
    mark = zlib.crc32(name.encode())
    rest = [k for k in range(len(COLOURS)) if k not in _OWN_COLOURS]
    colours = [COLOURS[k] for k in (*_turned(_OWN_COLOURS, mark), *_turned(rest, mark))]
    used = [look.colour for look in others]
    colour = min(colours, key=used.count)
    lines = _turned(_BROKEN, mark // 3)
    same = [look.dashes for look in others if look.colour == colour]
    return Look(colour, min(lines, key=same.count), _OWN_MARKER)


def _turned(choices: Sequence[Any], by: int) -> list[Any]:
    start = by % len(choices)
    return [*choices[start:], *choices[:start]]


def wrapped_name(name: str, characters: int) -> str:
    return "\n".join(textwrap.wrap(proper_name(name), characters)) or repr(name)  # of underscores alone nothing is left
