"""The search space: which networks there are and how they are numbered (NARes, section 3.1).

An architecture is the vector `[D1, W1, D2, W2, D3, W3]`: blocks and width factor
of each stage.  This module builds no network.

    >>> space = SearchSpace()
    >>> space.size
    15625
    >>> wrn = space.parse("5-10-5-10-5-10")
    >>> space.params(wrn), space.macs(wrn)
    (46160474, 6680090880)
    >>> len(space.neighbours(wrn))
    24

Two numberings exist and must not be mixed: the *index*, 0-based, counts vectors in
lexicographic order; the *arch_id*, 1-based, is the authors' rank by ascending MACs.
A smaller space, for tests or for a generator, is a constructor call:
`SearchSpace(depth_choices=(1, 2), width_choices=(1, 2), unit_channels=4)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib import resources
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.cost import network_cost
from nasbench_ar.errors import SpaceError

_MAX_STAGES = 30


@dataclass(frozen=True)
class SearchSpace:
    """All vectors of `stages` (depth, width) pairs; the defaults are the NARes space.

    Attributes:
        depth_choices: ascending block counts that every stage may take.
        width_choices: ascending width factors that every stage may take.
        stages: number of stages.
        unit_channels: channels of the stem, and of stage 1 at width factor 1.
        image_size: side of the input in pixels.
        image_channels: channels of the input.
        classes: outputs of the network.
        members: None for the full product; otherwise the ascending indices that
            belong to the space (see `restricted_to`).

    Raises:
        SpaceError: when choices are empty, repeated, not ascending or not positive.
    """

    depth_choices: tuple[int, ...] = (4, 5, 7, 9, 11)
    width_choices: tuple[int, ...] = (8, 10, 12, 14, 16)
    stages: int = 3
    unit_channels: int = 16
    image_size: int = 32
    image_channels: int = 3
    classes: int = 10
    members: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for field in ("depth_choices", "width_choices"):
            object.__setattr__(self, field, _ascending(field, getattr(self, field)))
        for field in ("stages", "unit_channels", "image_size", "image_channels", "classes"):
            value = getattr(self, field)
            if not _is_int(value) or value < 1:
                raise SpaceError(f"{field}={value!r}: expected a positive integer")
        # The first test keeps the power from being computed for an absurd number of stages.
        if self.stages > _MAX_STAGES or self.product_size > 2**31 - 1:
            per_stage = len(self.depth_choices) * len(self.width_choices)
            raise SpaceError(
                f"a space of {per_stage}^{self.stages} architectures is too large; at most {2**31 - 1} "
                f"in {_MAX_STAGES} stages can be indexed: use fewer choices or stages"
            )
        if self.members is not None and not self.members:
            raise SpaceError("a restricted space needs at least one member; none was given")

    # -- size and membership -------------------------------------------------

    @property
    def dimensions(self) -> int:
        """Length of a vector: two numbers per stage."""
        return 2 * self.stages

    @property
    def product_size(self) -> int:
        """Number of vectors, members or not; indices run from 0 to this minus 1."""
        return (len(self.depth_choices) * len(self.width_choices)) ** self.stages

    @property
    def size(self) -> int:
        """Number of architectures in the space."""
        return self.product_size if self.members is None else len(self.members)

    def __len__(self) -> int:
        return self.size

    def __contains__(self, architecture: object) -> bool:
        if isinstance(architecture, (str, Sequence)):
            try:
                self.index(architecture)
            except SpaceError:
                return False
            return True
        return False

    def __iter__(self) -> Iterator[Architecture]:
        """All architectures in lexicographic order."""
        return (self.architecture(int(i)) for i in self.member_indices)

    @property
    def entry_names(self) -> tuple[str, ...]:
        """`D1`, `W1`, `D2`, ...: names of a vector's entries."""
        return tuple(f"{letter}{stage + 1}" for stage in range(self.stages) for letter in "DW")

    def choices(self, position: int) -> tuple[int, ...]:
        """Values that entry `position` of a vector may take."""
        return self.width_choices if position % 2 else self.depth_choices

    @cached_property
    def member_indices(self) -> NDArray[np.int32]:
        """(size,) int32, the indices of all members, ascending."""
        if self.members is None:
            return np.arange(self.product_size, dtype=np.int32)
        return np.array(self.members, dtype=np.int32)

    @cached_property
    def _member_set(self) -> frozenset[int] | None:
        return None if self.members is None else frozenset(self.members)

    def restricted_to(self, indices: Iterable[int]) -> SearchSpace:
        """The same space with only the given members; indices and ids keep their meaning.

        Raises:
            SpaceError: on an index outside the space, or when none is given.
        """
        chosen = tuple(sorted({int(i) for i in indices}))
        if chosen and not 0 <= chosen[0] <= chosen[-1] < self.product_size:
            bad = chosen[0] if chosen[0] < 0 else chosen[-1]
            raise SpaceError(f"index {bad} is outside 0..{self.product_size - 1}")
        return replace(self, members=None if len(chosen) == self.product_size else chosen)

    def has_index(self, index: int) -> bool:
        """Whether an index belongs to a member of the space."""
        members = self._member_set
        return 0 <= index < self.product_size if members is None else index in members

    # -- index, vector, id ---------------------------------------------------

    @cached_property
    def _digit_of(self) -> tuple[dict[int, int], dict[int, int]]:
        depth = {value: digit for digit, value in enumerate(self.depth_choices)}
        width = {value: digit for digit, value in enumerate(self.width_choices)}
        return depth, width

    def parse(self, architecture: ArchitectureLike) -> Architecture:
        """Turn a string or a sequence into a member of this space.

        Raises:
            SpaceError: when it is not one; the message names the offending entry.
        """
        parsed = Architecture.of(architecture)
        self.index(parsed)
        return parsed

    def index(self, architecture: ArchitectureLike) -> int:
        """Rank of an architecture in lexicographic order of its vector, from 0.

        Raises:
            SpaceError: when it is not a member of this space.
        """
        if type(architecture) is not Architecture:
            architecture = Architecture.of(architecture)
        depth_digit, width_digit = self._digit_of
        index = 0
        try:
            for d, w in zip(architecture[0::2], architecture[1::2], strict=True):
                index = (index * len(depth_digit) + depth_digit[d]) * len(width_digit) + width_digit[w]
        except KeyError:
            raise self._outside(architecture) from None
        if len(architecture) != self.dimensions:
            raise self._outside(architecture)
        if self._member_set is not None and index not in self._member_set:
            raise SpaceError(
                f"architecture {architecture} is left out of this space, which was restricted "
                f"to {self.size} of {self.product_size} architectures"
            )
        return index

    def _outside(self, architecture: Architecture) -> SpaceError:
        if len(architecture) != self.dimensions:
            return SpaceError(
                f"architecture {architecture} has {len(architecture)} numbers; expected "
                f"{self.dimensions}: a depth and a width for each of {self.stages} stages"
            )
        for position, value in enumerate(architecture):
            if value not in self.choices(position):
                allowed = ", ".join(map(str, self.choices(position)))
                entry = self.entry_names[position]
                return SpaceError(f"architecture {architecture}: {entry}={value} is not one of {allowed}")
        raise AssertionError("called for a vector of the space")

    def architecture(self, index: int) -> Architecture:
        """The architecture of a lexicographic index.

        Raises:
            SpaceError: when the index is outside the space.
        """
        if not _is_int(index) or not 0 <= index < self.product_size:
            raise SpaceError(f"index {index!r} is outside 0..{self.product_size - 1}")
        if self._member_set is not None and int(index) not in self._member_set:
            raise SpaceError(f"index {index} is left out of this restricted space")
        return self._unchecked(int(index))

    def _unchecked(self, index: int) -> Architecture:
        vector = [0] * self.dimensions
        for position in range(self.dimensions - 1, -1, -1):
            choices = self.width_choices if position % 2 else self.depth_choices
            index, digit = divmod(index, len(choices))
            vector[position] = choices[digit]
        return tuple.__new__(Architecture, vector)

    def digits(self, indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """(n, dimensions) int64: position of each entry among its choices."""
        rest = np.asarray(indices, dtype=np.int64)
        out = np.empty((len(rest), self.dimensions), dtype=np.int64)
        for position in range(self.dimensions - 1, -1, -1):
            rest, out[:, position] = np.divmod(rest, len(self.choices(position)))
        return out

    def vectors(self, indices: NDArray[np.integer[Any]] | None = None) -> NDArray[np.int64]:
        """(n, dimensions) int64 vectors of the given indices; of all members by default."""
        digits = self.digits(self.member_indices if indices is None else indices)
        columns = [np.array(self.choices(p))[digits[:, p]] for p in range(self.dimensions)]
        return np.stack(columns, axis=1)

    def indices(self, architectures: Iterable[ArchitectureLike]) -> NDArray[np.int32]:
        """(n,) int32 lexicographic indices of many architectures.

        Raises:
            SpaceError: when one of them is not a member.
        """
        return np.fromiter((self.index(a) for a in architectures), dtype=np.int32)

    @cached_property
    def arch_id_order(self) -> NDArray[np.int32]:
        """(product_size,) int32: the index of arch_id 1, 2, ...

        The published numbering for the NARes space, whose ties follow no rule;
        ascending MACs, ties in lexicographic order, for any other.
        """
        if replace(self, members=None) == SearchSpace():
            with resources.as_file(resources.files("nasbench_ar") / "data/arch_id_order.npy") as path:
                return np.load(path, allow_pickle=False).astype(np.int32)
        every = np.arange(self.product_size, dtype=np.int32)
        return every[np.argsort(self.macs_many(every), kind="stable")]

    @cached_property
    def _arch_id_of_index(self) -> NDArray[np.int32]:
        ids = np.empty(self.product_size, dtype=np.int32)
        ids[self.arch_id_order] = np.arange(1, self.product_size + 1)
        return ids

    def arch_ids(self, indices: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """(n,) int32 official numbers of many indices."""
        return self._arch_id_of_index[indices]

    def arch_id(self, architecture: ArchitectureLike) -> int:
        """The official number, from 1: rank by ascending MACs."""
        return int(self._arch_id_of_index[self.index(architecture)])

    def from_arch_id(self, arch_id: int) -> Architecture:
        """The architecture of an official number.

        Raises:
            SpaceError: when the number is outside 1..product_size.
        """
        if not _is_int(arch_id) or not 1 <= arch_id <= self.product_size:
            raise SpaceError(f"arch_id {arch_id!r} is outside 1..{self.product_size}")
        return self.architecture(int(self.arch_id_order[arch_id - 1]))

    # -- sampling and neighbourhood ------------------------------------------

    def sample(self, rng: np.random.Generator) -> Architecture:
        """One architecture, uniformly."""
        pick = int(rng.integers(self.size))
        return self._unchecked(pick if self.members is None else self.members[pick])

    def neighbours(self, architecture: ArchitectureLike) -> list[Architecture]:
        """All members that differ in exactly one entry: 24 in the full NARes space.

        Ordered by position, then by ascending value.
        """
        center = self.parse(architecture)
        members = self._member_set
        out = []
        for position, current in enumerate(center):
            head, tail = center[:position], center[position + 1 :]
            for value in self.choices(position):
                if value != current:
                    neighbour = tuple.__new__(Architecture, (*head, value, *tail))
                    if members is None or neighbour in self:
                        out.append(neighbour)
        return out

    # -- encodings and costs -------------------------------------------------

    def one_hot(self, indices: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """(n, one_hot_size) float32: one block of 0/1 per entry, as BANANAS is fed (30 wide)."""
        digits = self.digits(indices)
        blocks = [np.eye(len(self.choices(p)), dtype=np.float32)[digits[:, p]] for p in range(self.dimensions)]
        return np.concatenate(blocks, axis=1)

    def ordinal(self, indices: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """(n, dimensions) float32 in [0, 1]: rank of each entry among its choices, scaled."""
        top = np.array([max(len(self.choices(p)) - 1, 1) for p in range(self.dimensions)])
        return (self.digits(indices) / top).astype(np.float32)

    def params(self, architecture: ArchitectureLike) -> int:
        """Exact number of parameters."""
        return int(self.params_many(np.array([self.index(architecture)]))[0])

    def macs(self, architecture: ArchitectureLike) -> int:
        """Exact multiply-accumulates for one image, counted as the authors do (`cost`)."""
        return int(self.macs_many(np.array([self.index(architecture)]))[0])

    def params_many(self, indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """(n,) int64 parameters of many architectures by index."""
        return self._costs(indices)[0]

    def macs_many(self, indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """(n,) int64 MACs of many architectures by index."""
        return self._costs(indices)[1]

    def _costs(self, indices: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        vectors = self.vectors(indices)
        return network_cost(
            vectors[:, 0::2],
            vectors[:, 1::2],
            unit_channels=self.unit_channels,
            image_size=self.image_size,
            image_channels=self.image_channels,
            classes=self.classes,
        )

    # -- storage -------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a table's `meta.json`; restrictions are not part of it."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "members"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SearchSpace:
        """Rebuild a space from `to_dict`.

        Raises:
            SpaceError: on missing or unknown keys or wrong values.
        """
        names = {f.name for f in fields(cls)} - {"members"}
        if not isinstance(data, Mapping) or set(data) != names:
            given = sorted(data) if isinstance(data, Mapping) else data
            raise SpaceError(f"a space needs exactly the keys {sorted(names)}; given: {given!r}")
        return cls(**data)


def _is_int(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _ascending(field: str, values: object) -> tuple[int, ...]:
    valid = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
    if valid and all(_is_int(v) for v in values):  # type: ignore[attr-defined]
        out = tuple(int(v) for v in values)  # type: ignore[attr-defined]
        if out[0] > 0 and all(a < b for a, b in pairwise(out)):
            return out
    raise SpaceError(f"{field}={values!r}: expected ascending positive integers without repeats")


NARES = SearchSpace()
