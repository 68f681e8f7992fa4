"""One network: the vector `[D1, W1, D2, W2, D3, W3]` (NARes, section 3.1), or one of another space."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from nasbench_ar.errors import SpaceError, shown

_NUMBER = re.compile(r"[0-9]+")
_JOINED = re.compile(r"[0-9]{1,9}(-[0-9]{1,9})*")
_BRACKETED = re.compile(r"\[\s*[0-9]{1,9}((\s*,\s*|\s+)[0-9]{1,9})*\s*\]")

NAMED = {"WRN-34-10": (5, 10, 5, 10, 5, 10), "WRN-70-16": (11, 16, 11, 16, 11, 16)}


class Architecture(tuple[Any, ...]):
    """One network, as an immutable vector: a tuple, hashable.

    The constructor, `parse` and `of` make wide residual networks `(D1, W1, D2, W2, ...)`.
    Architectures of any other space come from that space: `Grid.parse`, `Grid.from_index`.

        >>> a = Architecture(5, 10, 5, 10, 5, 10)
        >>> str(a), a.name, a.depths
        ('5-10-5-10-5-10', 'WRN-34-10', (5, 5, 5))
        >>> Architecture.parse("WRN-34-10") == a
        True

    Raises:
        SpaceError: on anything but an even, non-zero number of positive integers, in `parse` and `of`
            too; when `depths` or `widths` are asked of anything else.
    """

    __slots__ = ()

    def __new__(cls, *vector: int) -> Self:
        try:
            values = tuple(operator.index(v) for v in vector)
        except TypeError:
            values = ()
        if len(values) == 1:
            raise _number_alone(values[0])
        if len(values) < 2 or len(values) % 2 or min(values) < 1:
            raise SpaceError(
                f"not an architecture: {shown(vector)}; expected pairs of positive integers "
                "D1, W1, D2, W2, ... such as 5, 10, 5, 10, 5, 10"
            )
        return super().__new__(cls, values)

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple.__new__, (Architecture, tuple(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `'5-10-5-10-5-10'`, `'[5 10 5 10 5 10]'` with or without commas, or a name such as `'WRN-34-10'`."""
        stripped = text.strip()
        if stripped.upper() in NAMED:
            return cls(*NAMED[stripped.upper()])
        if not (_JOINED.fullmatch(stripped) or _BRACKETED.fullmatch(stripped)):
            raise SpaceError(
                f"not an architecture: {shown(text)}; expected numbers joined by '-', such as "
                f"'5-10-5-10-5-10', a vector such as '[5 10 5 10 5 10]', or one of {', '.join(NAMED)}"
            )
        return cls(*map(int, _NUMBER.findall(stripped)))

    @classmethod
    def of(cls, given: ArchitectureLike) -> Architecture:
        """Turn text, a sequence or an architecture into an architecture, of any space."""
        if isinstance(given, Architecture):
            return given
        if isinstance(given, str):
            return cls.parse(given)
        if isinstance(given, (int, np.integer)) or (isinstance(given, np.ndarray) and not given.ndim):
            raise _number_alone(given)
        try:
            entries = tuple(given)
        except TypeError:
            raise SpaceError(
                f"not an architecture: {shown(given)}; expected a vector D1, W1, D2, W2, ..., "
                "or text such as '5-10-5-10-5-10'"
            ) from None
        return cls(*entries)

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks per stage."""
        return self._pairs()[0]

    @property
    def widths(self) -> tuple[int, ...]:
        """Width factor per stage."""
        return self._pairs()[1]

    def _pairs(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if len(self) % 2 or not self._whole():
            raise SpaceError(f"{self} has no depths and widths: it is no wide residual network")
        return tuple(self[0::2]), tuple(self[1::2])

    def _whole(self) -> bool:
        return all(type(value) is int and value >= 0 for value in self)

    @property
    def name(self) -> str | None:
        """The literature's name, if it has one."""
        return next((name for name, vector in NAMED.items() if vector == self), None)

    def __str__(self) -> str:
        return ("-" if self._whole() else ",").join(map(str, self))

    def __repr__(self) -> str:
        return f"Architecture({', '.join(map(repr, self))})"


def _number_alone(number: object) -> SpaceError:
    return SpaceError(
        f"not an architecture: {shown(number)}; a number may be an arch_id (from 1, as reports print it) or an index "
        "(from 0, lexicographic): say which by space.from_arch_id(...) or space.from_index(...)"
    )


WRN_34_10 = Architecture(*NAMED["WRN-34-10"])
"""`5-10-5-10-5-10`, the wide residual network of most papers on robustness."""
WRN_70_16 = Architecture(*NAMED["WRN-70-16"])
"""`11-16-11-16-11-16`, the largest of the space."""

ArchitectureLike = Architecture | str | Sequence[Any]
"""What is taken for an architecture: one, its text, or its vector; never a number alone."""
