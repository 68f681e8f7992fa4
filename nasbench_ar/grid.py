"""The product of depth and width choices that a search space is made of, and its encodings.

`space.SearchSpace` adds networks and membership.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import SpaceError, shown

_MAX_STAGES = 30
MOST_KEPT = 100_000  # architectures, of those that were made or looked up


@dataclass(frozen=True)
class Grid:
    """All vectors `(D1, W1, D2, W2, ...)`, numbered in lexicographic order; see `SearchSpace`."""

    depth_choices: tuple[int, ...] = (4, 5, 7, 9, 11)
    width_choices: tuple[int, ...] = (8, 10, 12, 14, 16)
    stages: int = 3

    def __post_init__(self) -> None:
        for field in ("depth_choices", "width_choices"):
            object.__setattr__(self, field, _ascending(field, getattr(self, field)))
        require_positive("stages", self.stages)
        # The first test keeps the power from being computed for an absurd number of stages.
        if self.stages > _MAX_STAGES or self.product_size > 2**31 - 1:
            per_stage = len(self.depth_choices) * len(self.width_choices)
            raise SpaceError(
                f"a space of {per_stage}^{shown(self.stages)} architectures is too large; at most {2**31 - 1} "
                f"in {_MAX_STAGES} stages can be indexed: use fewer choices or stages"
            )

    @cached_property
    def dimensions(self) -> int:
        """Length of a vector: two numbers per stage."""
        return 2 * self.stages

    @cached_property
    def product_size(self) -> int:
        """Number of vectors, members or not; indices run from 0 to this minus 1."""
        return (len(self.depth_choices) * len(self.width_choices)) ** self.stages

    @property
    def entry_names(self) -> tuple[str, ...]:
        """`D1`, `W1`, `D2`, ..."""
        return tuple(f"{letter}{stage + 1}" for stage in range(self.stages) for letter in "DW")

    def choices(self, position: int) -> tuple[int, ...]:
        """Values that entry `position` of a vector may take."""
        return self.width_choices if position % 2 else self.depth_choices

    @cached_property
    def others(self) -> tuple[dict[int, tuple[int, ...]], ...]:
        """By position and value of an entry, the other values that it may take, ascending."""
        every = [self.choices(position) for position in range(self.dimensions)]
        return tuple({value: tuple(v for v in values if v != value) for value in values} for values in every)

    def changed(self, architecture: Architecture, position: int, value: int) -> Architecture:
        """The architecture with another value of one entry, which is not checked."""
        return tuple.__new__(Architecture, (*architecture[:position], value, *architecture[position + 1 :]))

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # without what can be computed again

    @cached_property
    def _made(self) -> dict[int, Architecture]:
        """Architectures by index that were made before."""
        return {}

    def _unchecked(self, index: int) -> Architecture:
        if (made := self._made.get(index)) is not None:
            return made
        rest = index
        vector = [0] * self.dimensions
        for position in range(self.dimensions - 1, -1, -1):
            choices = self.width_choices if position % 2 else self.depth_choices
            rest, digit = divmod(rest, len(choices))
            vector[position] = choices[digit]
        architecture = tuple.__new__(Architecture, vector)
        if len(self._made) < MOST_KEPT:
            self._made[index] = architecture
        return architecture

    def digits(self, *, indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """(n, dimensions) int64: position of each entry among its choices."""
        rest = np.asarray(indices, dtype=np.int64)
        out = np.empty((len(rest), self.dimensions), dtype=np.int64)
        for position in range(self.dimensions - 1, -1, -1):
            rest, out[:, position] = np.divmod(rest, len(self.choices(position)))
        return out

    def vectors(self, *, indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """(n, dimensions) int64"""
        digits = self.digits(indices=indices)
        columns = [np.array(self.choices(p))[digits[:, p]] for p in range(self.dimensions)]
        return np.stack(columns, axis=1)

    def one_hot(self, *, indices: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """(n, one_hot_size) float32: one block of 0/1 per entry, as BANANAS is fed (30 wide)."""
        digits = self.digits(indices=indices)
        blocks = [np.eye(len(self.choices(p)), dtype=np.float32)[digits[:, p]] for p in range(self.dimensions)]
        return np.concatenate(blocks, axis=1)

    def ordinal(self, *, indices: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """(n, dimensions) float32 in [0, 1]: rank of each entry among its choices, scaled."""
        top = np.array([max(len(self.choices(p)) - 1, 1) for p in range(self.dimensions)])
        return (self.digits(indices=indices) / top).astype(np.float32)


def is_int(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def require_positive(field: str, value: object) -> None:
    if not is_int(value) or value < 1:  # type: ignore[operator]
        raise SpaceError(f"{field}={shown(value)}: expected a positive integer")


def _ascending(field: str, values: object) -> tuple[int, ...]:
    valid = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
    if valid and all(is_int(v) for v in values):  # type: ignore[attr-defined]
        out = tuple(int(v) for v in values)  # type: ignore[attr-defined]
        if out[0] > 0 and all(a < b for a, b in pairwise(out)):
            return out
    raise SpaceError(f"{field}={shown(values)}: expected ascending positive integers without repeats")
