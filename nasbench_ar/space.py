"""The search space: which networks there are and how they are numbered (NARes, section 3.1).

An architecture is the vector `[D1, W1, D2, W2, D3, W3]`: blocks and width factor
of each stage.  This module builds no network.

    >>> space = SearchSpace()
    >>> space.size
    15625
    >>> wrn = space.parse("5-10-5-10-5-10")
    >>> space.params(wrn), space.macs(wrn)
    (46160474, 6661790592)
    >>> len(space.neighbours(wrn))
    24

Two numberings exist: the *index*, from 0, counts vectors in lexicographic order; the
*arch_id*, from 1, is the authors' rank by ascending MACs, and what reports print.  To keep
them apart, a number is never taken for an architecture: use `from_index` or `from_arch_id`,
and `indices=` or `arch_ids=` where a method takes many architectures:

    >>> space.indices(arch_ids=[1, 15625]).tolist(), space.arch_ids(indices=[0, 15624]).tolist()
    ([0, 15624], [1, 15625])
    >>> space.macs_many(arch_ids=[1, 15625]).tolist()
    [3361936896, 38774320128]

A smaller space, for tests or for a generator, is a constructor call:
`SearchSpace(depth_choices=(1, 2), width_choices=(1, 2), unit_channels=4)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.cost import network_cost
from nasbench_ar.errors import SpaceError, shown
from nasbench_ar.grid import MOST_KEPT, Grid, is_int, require_positive

Many = Iterable[ArchitectureLike] | None
Numbers = Iterable[int] | NDArray[np.integer[Any]] | None

_MOST_COST = 2**62  # so that sums of costs stay within int64


@dataclass(frozen=True)
class SearchSpace(Grid):
    """All vectors of `stages` (depth, width) pairs; the defaults are the NARes space.

    Attributes:
        depth_choices: ascending block counts that every stage may take.
        width_choices: ascending width factors that every stage may take.
        stages: number of stages.
        unit_channels: channels of the stem, and of stage 1 at width factor 1.
        image_size: side of the input in pixels.
        image_channels: channels of the input.
        classes: outputs of the network.
        members: ascending indices that belong to the space; None for all (see `restricted_to`).

    Raises:
        SpaceError: when choices are empty, repeated, not ascending or not positive, or there are
            too many vectors for 32-bit indices, or their costs are beyond 64-bit integers; later
            when a method is given an architecture, index or arch_id outside the space.
    """

    unit_channels: int = 16
    image_size: int = 32
    image_channels: int = 3
    classes: int = 10
    members: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("unit_channels", "image_size", "image_channels", "classes"):
            require_positive(field, getattr(self, field))
        if self.members is not None and not self.members:
            raise SpaceError("a restricted space needs at least one member; none was given")
        if max(map(int, self._largest_cost())) >= _MOST_COST:
            raise SpaceError(
                f"the networks of this space are too large: costs reach beyond {_MOST_COST}; use fewer or smaller "
                "choices, stages or channels, or a smaller image"
            )

    def _largest_cost(self) -> tuple[Any, Any]:
        """Parameters and MACs of the deepest and widest network, in Python integers, which cannot overflow."""
        params, macs = network_cost(
            np.full((1, self.stages), self.depth_choices[-1], dtype=object),
            np.full((1, self.stages), self.width_choices[-1], dtype=object),
            unit_channels=int(self.unit_channels),
            image_size=int(self.image_size),
            image_channels=int(self.image_channels),
            classes=int(self.classes),
        )
        return params[0], macs[0]

    def __repr__(self) -> str:
        words = [f"{name}={value!r}" for name, value in self.to_dict().items()]
        if self.members is not None:  # thousands of numbers would hide the rest
            words.append(f"{self.size} of {self.product_size} architectures")
        return f"SearchSpace({', '.join(words)})"

    # -- size and membership -------------------------------------------------

    @cached_property
    def size(self) -> int:
        """Number of architectures in the space."""
        return self.product_size if self.members is None else len(self.members)

    def __len__(self) -> int:
        return self.size

    def __contains__(self, architecture: object) -> bool:
        try:
            self.index(architecture)  # type: ignore[arg-type]
        except SpaceError:
            return False
        return True

    def __iter__(self) -> Iterator[Architecture]:
        """All architectures in lexicographic order."""
        return (self.from_index(int(i)) for i in self.member_indices)

    @cached_property
    def member_indices(self) -> NDArray[np.int32]:
        """(size,) int32, the indices of all members, ascending."""
        if self.members is None:
            return np.arange(self.product_size, dtype=np.int32)
        return np.array(self.members, dtype=np.int32)

    @cached_property
    def _member_set(self) -> frozenset[int] | None:
        return None if self.members is None else frozenset(self.members)

    def restricted_to(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> SearchSpace:
        """The same space with only the given members, at least one; indices and arch_ids keep their meaning."""
        given = self.indices(architectures, indices=indices, arch_ids=arch_ids)
        chosen = tuple(np.unique(given).tolist())
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

    @cached_property
    def _known(self) -> dict[Architecture, int]:
        """Indices of members that were looked up before, so that a search need not check them again and again."""
        return {}

    def parse(self, architecture: ArchitectureLike) -> Architecture:
        """Turn a string or a sequence into a member of this space."""
        if type(architecture) is Architecture and architecture in self._known:
            return architecture
        parsed = Architecture.of(architecture)
        self.index(parsed)
        return parsed

    def index(self, architecture: ArchitectureLike) -> int:
        """Rank of an architecture in lexicographic order of its vector, from 0."""
        if type(architecture) is not Architecture:
            architecture = Architecture.of(architecture)
        elif (known := self._known.get(architecture)) is not None:
            return known
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
        if len(self._known) < MOST_KEPT:
            self._known[architecture] = index
        return index

    def _outside(self, architecture: Architecture) -> SpaceError:
        if len(architecture) != self.dimensions:
            return SpaceError(
                f"architecture {_short(architecture)} has {len(architecture)} numbers; expected "
                f"{self.dimensions}: a depth and a width for each of {self.stages} stages"
            )
        for position, value in enumerate(architecture):
            if value not in self.choices(position):
                allowed = ", ".join(map(str, self.choices(position)))
                entry = self.entry_names[position]
                return SpaceError(
                    f"architecture {_short(architecture)}: {entry}={shown(value)} is not one of {allowed}"
                )
        raise AssertionError("called for a vector of the space")

    def from_index(self, index: int) -> Architecture:
        """The architecture of a lexicographic index."""
        if not is_int(index) or not 0 <= index < self.product_size:
            raise SpaceError(f"index {shown(index)} is outside 0..{self.product_size - 1}")
        if self._member_set is not None and int(index) not in self._member_set:
            raise SpaceError(f"index {index} is left out of this restricted space")
        return self._unchecked(int(index))

    def indices(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.integer[Any]]:
        """(n,) lexicographic indices of many architectures, given in one of three forms.

        Args:
            architectures: objects, texts or vectors, such as the rows of an (n, dimensions) array; no numbers.
            indices: (n,) lexicographic indices, checked and returned.
            arch_ids: (n,) official numbers.
        """
        if (architectures is not None) + (indices is not None) + (arch_ids is not None) != 1:
            raise SpaceError("give one of the three: architectures, indices= or arch_ids=")
        if indices is not None:
            return _checked_numbers("indices", indices, 0, self.product_size - 1)
        if arch_ids is not None:
            return self.arch_id_order[_checked_numbers("arch_ids", arch_ids, 1, self.product_size) - 1]
        if isinstance(architectures, (str, Architecture)):
            raise SpaceError(f"{shown(architectures)} is one architecture; several are expected: put it into a list")
        if _only_numbers(architectures):
            raise SpaceError(
                "whole numbers may be arch_ids (from 1, as reports print them) or indices (from 0, lexicographic): "
                "say which by arch_ids= or indices=; a single vector goes into a list"
            )
        return np.fromiter(map(self.index, _several(architectures)), dtype=np.int32)

    def vectors(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.int64]:
        """(n, dimensions) int64 vectors of many architectures (see `indices`); of all members by default."""
        if architectures is None and indices is None and arch_ids is None:
            indices = self.member_indices
        return super().vectors(indices=self.indices(architectures, indices=indices, arch_ids=arch_ids))

    def digits(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.int64]:
        """(n, dimensions) int64: position of each entry among its choices."""
        return super().digits(indices=self.indices(architectures, indices=indices, arch_ids=arch_ids))

    def one_hot(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.float32]:
        """(n, one_hot_size) float32: one block of 0/1 per entry, as BANANAS is fed (30 wide)."""
        return super().one_hot(indices=self.indices(architectures, indices=indices, arch_ids=arch_ids))

    def ordinal(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.float32]:
        """(n, dimensions) float32 in [0, 1]: rank of each entry among its choices, scaled."""
        return super().ordinal(indices=self.indices(architectures, indices=indices, arch_ids=arch_ids))

    @cached_property
    def arch_id_order(self) -> NDArray[np.int32]:
        """(product_size,) int32: the index of arch_id 1, 2, ...

        Published for the NARes space, whose ties follow no rule; any other is ordered by ascending
        MACs, then lexicographically.
        """
        if replace(self, members=None) == SearchSpace():
            with resources.as_file(resources.files("nasbench_ar") / "data/arch_id_order.npy") as path:
                return np.load(path, allow_pickle=False).astype(np.int32)
        every = np.arange(self.product_size, dtype=np.int32)
        return every[np.argsort(self.macs_many(indices=every), kind="stable")]

    @cached_property
    def _arch_id_of_index(self) -> NDArray[np.int32]:
        ids = np.empty(self.product_size, dtype=np.int32)
        ids[self.arch_id_order] = np.arange(1, self.product_size + 1)
        return ids

    def arch_ids(self, architectures: Many = None, *, indices: Numbers = None) -> NDArray[np.int32]:
        """(n,) int32 official numbers of many architectures, or of their indices."""
        return self._arch_id_of_index[self.indices(architectures, indices=indices)]

    def arch_id(self, architecture: ArchitectureLike) -> int:
        """The official number, from 1: rank by ascending MACs."""
        return int(self._arch_id_of_index[self.index(architecture)])

    def from_arch_id(self, arch_id: int) -> Architecture:
        """The architecture of an official number, 1..product_size."""
        if not is_int(arch_id) or not 1 <= arch_id <= self.product_size:
            raise SpaceError(f"arch_id {shown(arch_id)} is outside 1..{self.product_size}")
        return self.from_index(int(self.arch_id_order[arch_id - 1]))

    # -- sampling and neighbourhood ------------------------------------------

    def sample(self, rng: np.random.Generator) -> Architecture:
        """One architecture, uniformly."""
        pick = int(rng.integers(self.size))
        return self._unchecked(pick if self.members is None else self.members[pick])

    def neighbours(self, architecture: ArchitectureLike) -> list[Architecture]:
        """All members that differ in exactly one entry, by position and ascending value: 24 in the full NARes space."""
        center = self.parse(architecture)
        members = self._member_set
        out = []
        for position, current in enumerate(center):
            for value in self.others[position][current]:
                neighbour = self.changed(center, position, value)
                if members is None or neighbour in self:
                    out.append(neighbour)
        return out

    # -- costs ---------------------------------------------------------------

    def params(self, architecture: ArchitectureLike) -> int:
        """Exact number of parameters."""
        return int(self.params_many([architecture])[0])

    def macs(self, architecture: ArchitectureLike) -> int:
        """Exact multiply-accumulates for one image, counted as the authors do (`cost`)."""
        return int(self.macs_many([architecture])[0])

    def params_many(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.int64]:
        """(n,) int64 parameters of many architectures (see `indices`)."""
        return self._costs(self.indices(architectures, indices=indices, arch_ids=arch_ids))[0]

    def macs_many(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.int64]:
        """(n,) int64 MACs of many architectures (see `indices`)."""
        return self._costs(self.indices(architectures, indices=indices, arch_ids=arch_ids))[1]

    def _costs(self, indices: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        vectors = self.vectors(indices=indices)
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
        """Rebuild a space from `to_dict`; `SpaceError` on missing or unknown keys or wrong values."""
        names = {f.name for f in fields(cls)} - {"members"}
        if not isinstance(data, Mapping) or set(data) != names:
            given = sorted(map(str, data)) if isinstance(data, Mapping) else data
            raise SpaceError(f"a space needs exactly the keys {sorted(names)}; given: {shown(given, 300)}")
        return cls(**data)


def _only_numbers(given: object) -> bool:
    return is_int(given) or (isinstance(given, np.ndarray) and given.dtype.kind in "iu" and given.ndim < 2)


def _several(architectures: Any) -> Iterable[ArchitectureLike]:
    try:
        return iter(architectures)
    except TypeError:
        raise SpaceError(f"{shown(architectures)}: expected several architectures, such as a list of them") from None


def _checked_numbers(
    field: str, given: Iterable[int] | NDArray[np.integer[Any]], low: int, high: int
) -> NDArray[np.integer[Any]]:
    numbers = given if isinstance(given, np.ndarray) else np.array(list(given))
    if numbers.ndim == 1 and not len(numbers):
        return np.zeros(0, dtype=np.int32)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise SpaceError(f"{field}=: expected whole numbers in one dimension; given: {numbers.dtype} {numbers.shape}")
    if not low <= numbers.min() <= numbers.max() <= high:
        raise SpaceError(f"{field}= reach from {numbers.min()} to {numbers.max()}, outside {low}..{high}")
    return numbers


def _short(architecture: Architecture) -> str:
    text = str(architecture)
    return text if len(text) <= 60 else f"{text[:57]}..."


NARES = SearchSpace()
