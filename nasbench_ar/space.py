"""The search space of NARes: which networks there are and how they are numbered (NARes, section 3.1).

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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib import resources
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.cost import network_cost
from nasbench_ar.entry import Entry
from nasbench_ar.errors import SpaceError, shown
from nasbench_ar.grid import Grid, Many, Numbers, is_int, short

_MOST_COST = 2**62  # so that sums of costs stay within int64
_MOST_STAGES = 30


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

    depth_choices: tuple[int, ...] = (4, 5, 7, 9, 11)
    width_choices: tuple[int, ...] = (8, 10, 12, 14, 16)
    stages: int = 3
    unit_channels: int = 16
    image_size: int = 32
    image_channels: int = 3
    classes: int = 10
    members: tuple[int, ...] | None = None

    known_costs = ("macs", "params")

    def __post_init__(self) -> None:
        for field in ("depth_choices", "width_choices"):
            object.__setattr__(self, field, _ascending(field, getattr(self, field)))
        for field in ("stages", "unit_channels", "image_size", "image_channels", "classes"):
            if not is_int(value := getattr(self, field)) or value < 1:
                raise SpaceError(f"{field}={shown(value)}: expected a positive integer")
        per_stage = len(self.depth_choices) * len(self.width_choices)
        if self.stages > _MOST_STAGES or per_stage**self.stages > 2**31 - 1:  # an absurd power is not computed
            raise SpaceError(
                f"a space of {per_stage}^{shown(self.stages)} architectures is too large; at most {2**31 - 1} "
                f"in {_MOST_STAGES} stages can be indexed: use fewer choices or stages"
            )
        both = {"D": self.depth_choices, "W": self.width_choices}
        stages = range(1, self.stages + 1)
        self._set([Entry(f"{letter}{n}", levels) for n in stages for letter, levels in both.items()], self.members)
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
        return f"SearchSpace({', '.join([*words, *self._restriction()])})"

    def __reduce__(self) -> tuple[Any, ...]:  # without what can be computed again
        return SearchSpace, tuple(getattr(self, field.name) for field in fields(self))

    def _with_members(self, members: tuple[int, ...] | None) -> Self:
        return replace(self, members=members)

    def _read(self, given: Any) -> Architecture:
        return Architecture.of(given)

    def _outside(self, architecture: Architecture) -> SpaceError:
        if len(architecture) != self.dimensions:
            return SpaceError(
                f"architecture {short(architecture)} has {len(architecture)} numbers; expected "
                f"{self.dimensions}: a depth and a width for each of {self.stages} stages"
            )
        return super()._outside(architecture)

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
        return self.costs_of(self.vectors(indices=indices))

    def costs_of(self, vectors: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """(n,) parameters and MACs of (n, dimensions) vectors, which need not be of the space, nor whole numbers."""
        return network_cost(
            vectors[:, 0::2],
            vectors[:, 1::2],
            unit_channels=self.unit_channels,
            image_size=self.image_size,
            image_channels=self.image_channels,
            classes=self.classes,
        )

    def known_cost(self, name: str, indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        params, macs = self._costs(indices)
        return {"params": params, "macs": macs}[name]

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


def space_from_dict(data: Mapping[str, Any]) -> Grid:
    """Rebuild a space of either kind from its `to_dict`; `SpaceError` on missing or unknown keys or wrong values."""
    if isinstance(data, Mapping) and set(data) == {"entries"}:
        if not isinstance(data["entries"], list):
            raise SpaceError(f"a space needs a list of entries; given: {shown(data['entries'])}")
        return Grid(map(Entry.from_dict, data["entries"]))
    return SearchSpace.from_dict(data)


def wide_resnets(space: Grid, what: str) -> SearchSpace:
    """The space, if its architectures are wide residual networks, which `what` needs; `SpaceError` otherwise."""
    if isinstance(space, SearchSpace):
        return space
    raise SpaceError(
        f"{what}: this needs wide residual networks, whose costs follow from depths and widths; "
        f"here an architecture is made of {', '.join(space.entry_names)}"
    )


def _ascending(field: str, values: object) -> tuple[int, ...]:
    valid = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
    if valid and all(is_int(v) for v in values):  # type: ignore[attr-defined]
        out = tuple(int(v) for v in values)  # type: ignore[attr-defined]
        if out[0] > 0 and all(a < b for a, b in pairwise(out)):
            return out
    raise SpaceError(f"{field}={shown(values)}: expected ascending positive integers without repeats")


NARES = SearchSpace()
"""The 15,625 architectures of the dataset."""
