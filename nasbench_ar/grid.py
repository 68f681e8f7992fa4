"""Search spaces as grids: all vectors of entries with given levels, how they are numbered, and their encodings.

    >>> space = Grid([Entry("optimizer", ("sgd", "adam"), ordered=False), Entry("width", (16, 32, 64))])
    >>> space.size, space.parse("adam,32"), space.index(("adam", 32))
    (6, Architecture('adam', 32), 4)
    >>> list(map(str, space.neighbours("adam,32")))
    ['sgd,32', 'adam,16', 'adam,64']

`space.SearchSpace` is the grid of wide residual networks, whose costs are known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.entry import Entry, plain
from nasbench_ar.errors import SpaceError, shown
from nasbench_ar.system.extras import require

Many = Iterable[ArchitectureLike] | None
Numbers = Iterable[int] | NDArray[np.integer[Any]] | None

_NUMBERS = re.compile(r"\s*\d+(-\d+)+\s*")
_MOST = 2**31 - 1  # indices are 32 bits wide
_MOST_ENTRIES = 60
_MOST_KEPT = 100_000  # architectures, of those that were made or looked up


class Grid:
    """All vectors of some entries, numbered from 0 in lexicographic order of their levels (the *index*).

    Reports number them from 1 by *arch_id*: index + 1 here, the authors' numbering in a
    `SearchSpace`.  A number alone is never taken for an architecture: use `from_index` or
    `from_arch_id`, and `indices=` or `arch_ids=` where a method takes many architectures.

    Args:
        entries: what a vector is made of, in its order.
        members: ascending indices that belong to the space; None for all (see `restricted_to`).

    Raises:
        SpaceError: when entries are missing or share a name, or there are too many vectors for
            32-bit indices; later when a method is given an architecture, index or arch_id
            outside the space.
    """

    entries: tuple[Entry, ...]
    members: tuple[int, ...] | None
    known_costs: tuple[str, ...] = ()  # metrics that follow from the architecture alone

    def __init__(self, entries: Iterable[Entry], members: tuple[int, ...] | None = None) -> None:
        self._set(entries, members)

    def _set(self, entries: Iterable[Entry], members: tuple[int, ...] | None) -> None:
        found = tuple(entries)
        if not found or not all(isinstance(entry, Entry) for entry in found):
            raise SpaceError(f"a space needs a list of entries; given: {shown(found)}")
        names = [entry.name for entry in found]
        if len(set(names)) < len(names):
            raise SpaceError(f"the entries of a space need different names; given: {shown(names)}")
        if len(found) > _MOST_ENTRIES or math.prod(len(entry.choices) for entry in found) > _MOST:
            raise SpaceError(
                f"a space of {' x '.join(str(len(entry.choices)) for entry in found[:_MOST_ENTRIES])} architectures is "
                f"too large; at most {_MOST} of {_MOST_ENTRIES} entries can be indexed: use fewer entries or levels"
            )
        if members is not None:
            size = math.prod(len(entry.choices) for entry in found)
            if not members:
                raise SpaceError("a restricted space needs at least one member; none was given")
            if not all(map(is_int, members)) or not 0 <= members[0] <= members[-1] < size or _falls(members):
                raise SpaceError(f"members={shown(members)}: expected ascending indices below {size}")
        object.__setattr__(self, "entries", found)
        object.__setattr__(self, "members", members)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.entries, self.members) == (other.entries, other.members)

    def __hash__(self) -> int:
        return hash((self.entries, self.members))

    def __reduce__(self) -> tuple[Any, ...]:  # without what can be computed again
        return type(self), (self.entries, self.members)

    def __repr__(self) -> str:
        return f"Grid({', '.join([*map(str, self.entries), *self._restriction()])})"

    def _restriction(self) -> list[str]:
        """Thousands of numbers would hide the rest."""
        return [] if self.members is None else [f"{self.size} of {self.product_size} architectures"]

    @cached_property
    def dimensions(self) -> int:
        """Length of a vector."""
        return len(self.entries)

    @cached_property
    def product_size(self) -> int:
        """Number of vectors, members or not; indices run from 0 to this minus 1."""
        return math.prod(len(entry.choices) for entry in self.entries)

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

    def restricted_to(self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None) -> Self:
        """The same space with only the given members, at least one; indices and arch_ids keep their meaning."""
        given = self.indices(architectures, indices=indices, arch_ids=arch_ids)
        chosen = tuple(np.unique(given).tolist())
        if left_out := [index for index in chosen if not self.has_index(index)]:
            raise SpaceError(f"index {left_out[0]} is left out of this restricted space")
        return self._with_members(None if len(chosen) == self.product_size else chosen)

    def _with_members(self, members: tuple[int, ...] | None) -> Self:
        return type(self)(self.entries, members)

    def has_index(self, index: int) -> bool:
        """Whether an index belongs to a member of the space."""
        members = self._member_set
        return 0 <= index < self.product_size if members is None else index in members

    @property
    def entry_names(self) -> tuple[str, ...]:
        """`D1`, `W1`, `D2`, ... in the space of NARes."""
        return tuple(entry.name for entry in self.entries)

    def choices(self, position: int) -> tuple[Any, ...]:
        """Levels that entry `position` of a vector may take."""
        return self.entries[position].choices

    @cached_property
    def others(self) -> tuple[dict[Any, tuple[Any, ...]], ...]:
        """By position and level of an entry, the other levels that it may take, in their order."""
        every = [entry.choices for entry in self.entries]
        return tuple({value: tuple(v for v in values if v != value) for value in values} for values in every)

    def compose(self, levels: Iterable[Any]) -> Architecture:
        """An architecture of these levels, which are not checked; `parse` checks them."""
        return tuple.__new__(Architecture, levels)

    def changed(self, architecture: Architecture, position: int, value: Any) -> Architecture:
        """The architecture with another level of one entry, which is not checked."""
        return tuple.__new__(Architecture, (*architecture[:position], value, *architecture[position + 1 :]))

    @cached_property
    def _known(self) -> dict[Architecture, int]:
        """Indices of members that were looked up before, so that a search need not check them again and again."""
        return {}

    @cached_property
    def _made(self) -> dict[int, Architecture]:
        """Architectures by index that were made before."""
        return {}

    def parse(self, architecture: ArchitectureLike) -> Architecture:
        """Turn a text, such as reports print, or a sequence of levels into a member of this space."""
        if type(architecture) is Architecture and architecture in self._known:
            return architecture
        return self._unchecked(self.index(architecture))

    def index(self, architecture: ArchitectureLike) -> int:
        """Rank of an architecture in lexicographic order of its vector, from 0."""
        if type(architecture) is not Architecture:
            architecture = self._read(architecture)
        elif (known := self._known.get(architecture)) is not None:
            return known
        if len(architecture) != self.dimensions:
            raise self._outside(architecture)
        index = 0
        try:
            for entry, value in zip(self.entries, architecture, strict=True):
                index = index * len(entry.choices) + entry.digit_of[value]
        except (KeyError, TypeError):  # a list as a level cannot even be looked up
            raise self._outside(architecture) from None
        if self._member_set is not None and index not in self._member_set:
            raise SpaceError(
                f"architecture {architecture} is left out of this space, which was restricted "
                f"to {self.size} of {self.product_size} architectures"
            )
        if len(self._known) < _MOST_KEPT:
            self._known[architecture] = index
        return index

    def _read(self, given: Any) -> Architecture:
        """Text or a sequence as a vector, which is not checked."""
        if isinstance(given, str):
            return self._from_text(given)
        try:
            return tuple.__new__(Architecture, map(plain, given))
        except TypeError:
            raise SpaceError(
                f"not an architecture: {shown(given)}; expected the levels of {', '.join(self.entry_names)}, or "
                f"text such as {str(self._unchecked(0))!r}; a number may be an index or an arch_id: use "
                "space.from_index(...) or space.from_arch_id(...)"
            ) from None

    def _from_text(self, text: str) -> Architecture:
        parts = text.strip().split(",")
        if len(parts) == 1 < self.dimensions and ("," not in str(self._unchecked(0)) or _NUMBERS.fullmatch(parts[0])):
            parts = parts[0].split("-")
        if len(parts) != self.dimensions:
            raise SpaceError(
                f"not an architecture: {shown(text)}; expected {self.dimensions} levels, of "
                f"{', '.join(self.entry_names)}, such as {str(self._unchecked(0))!r}"
            )
        read = (entry.by_text.get(part.strip(), part) for entry, part in zip(self.entries, parts, strict=True))
        return tuple.__new__(Architecture, read)

    def _outside(self, architecture: Architecture) -> SpaceError:
        if len(architecture) != self.dimensions:
            return SpaceError(
                f"architecture {short(architecture)} has {len(architecture)} entries; expected "
                f"{self.dimensions}: {', '.join(self.entry_names)}"
            )
        for entry, value in zip(self.entries, architecture, strict=True):
            if value not in entry.choices:
                allowed = ", ".join(map(str, entry.choices))
                return SpaceError(
                    f"architecture {short(architecture)}: {entry.name}={shown(value)} is not one of {allowed}"
                )
        raise AssertionError("called for a vector of the space")

    def from_index(self, index: int) -> Architecture:
        """The architecture of a lexicographic index."""
        if not is_int(index) or not 0 <= index < self.product_size:
            raise SpaceError(f"index {shown(index)} is outside 0..{self.product_size - 1}")
        if self._member_set is not None and int(index) not in self._member_set:
            raise SpaceError(f"index {index} is left out of this restricted space")
        return self._unchecked(int(index))

    def _unchecked(self, index: int) -> Architecture:
        if (made := self._made.get(index)) is not None:
            return made
        rest, vector = index, []
        for entry in reversed(self.entries):
            rest, digit = divmod(rest, len(entry.choices))
            vector.append(entry.choices[digit])
        architecture = tuple.__new__(Architecture, reversed(vector))
        if len(self._made) < _MOST_KEPT:
            self._made[index] = architecture
        return architecture

    def indices(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.integer[Any]]:
        """(n,) lexicographic indices of many architectures, given in one of three forms.

        Args:
            architectures: objects, texts or vectors, such as the rows of an (n, dimensions) array; no numbers.
            indices: (n,) lexicographic indices, checked and returned.
            arch_ids: (n,) arch_ids.
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

    @cached_property
    def arch_id_order(self) -> NDArray[np.int32]:
        """(product_size,) int32: the index of arch_id 1, 2, ..."""
        return np.arange(self.product_size, dtype=np.int32)

    @cached_property
    def _arch_id_of_index(self) -> NDArray[np.int32]:
        ids = np.empty(self.product_size, dtype=np.int32)
        ids[self.arch_id_order] = np.arange(1, self.product_size + 1)
        return ids

    def arch_ids(self, architectures: Many = None, *, indices: Numbers = None) -> NDArray[np.int32]:
        """(n,) int32 arch_ids of many architectures, or of their indices."""
        return self._arch_id_of_index[self.indices(architectures, indices=indices)]

    def arch_id(self, architecture: ArchitectureLike) -> int:
        """The number that reports print, from 1."""
        return int(self._arch_id_of_index[self.index(architecture)])

    def from_arch_id(self, arch_id: int) -> Architecture:
        """The architecture of an arch_id, 1..product_size."""
        if not is_int(arch_id) or not 1 <= arch_id <= self.product_size:
            raise SpaceError(f"arch_id {shown(arch_id)} is outside 1..{self.product_size}")
        return self.from_index(int(self.arch_id_order[arch_id - 1]))

    def vectors(self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None) -> NDArray[Any]:
        """(n, dimensions) levels of many architectures (see `indices`); of all members by default.

        int64 where all levels are integers, float64 where all are numbers, else objects.
        """
        if architectures is None and indices is None and arch_ids is None:
            indices = self.member_indices
        digits = self.digits(architectures, indices=indices, arch_ids=arch_ids)
        arrays = [np.array(entry.choices) for entry in self.entries]
        if not all(array.dtype.kind in "if" for array in arrays):
            arrays = [np.array(entry.choices, dtype=object) for entry in self.entries]
        return np.stack([array[digits[:, p]] for p, array in enumerate(arrays)], axis=1)

    def digits(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.int64]:
        """(n, dimensions) int64: position of each entry among its choices."""
        rest = np.asarray(self.indices(architectures, indices=indices, arch_ids=arch_ids), dtype=np.int64)
        out = np.empty((len(rest), self.dimensions), dtype=np.int64)
        for position in range(self.dimensions - 1, -1, -1):
            rest, out[:, position] = np.divmod(rest, len(self.choices(position)))
        return out

    def one_hot(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.float32]:
        """(n, levels of all entries) float32: one block of 0/1 per entry, as BANANAS is fed (30 wide in NARes)."""
        digits = self.digits(architectures, indices=indices, arch_ids=arch_ids)
        blocks = [_block(entry, digits[:, position]) for position, entry in enumerate(self.entries)]
        return np.concatenate(blocks, axis=1)

    def ordinal(
        self, architectures: Many = None, *, indices: Numbers = None, arch_ids: Numbers = None
    ) -> NDArray[np.float32]:
        """(n, width) float32 in [0, 1]: a column per ordered entry, the rank of its level, scaled.

        An entry without order has no ranks: it takes a block of 0/1, as in `one_hot`.
        """
        digits = self.digits(architectures, indices=indices, arch_ids=arch_ids)
        blocks = [
            (digits[:, [p]] / max(len(entry.choices) - 1, 1)).astype(np.float32)
            if entry.ordered
            else _block(entry, digits[:, p])
            for p, entry in enumerate(self.entries)
        ]
        return np.concatenate(blocks, axis=1)

    def known_cost(self, name: str, indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """(n,) a metric of `known_costs`, by index."""
        raise AssertionError(f"a grid knows no {name}")

    def sample(self, rng: np.random.Generator) -> Architecture:
        """One architecture, uniformly."""
        pick = int(rng.integers(self.size))
        return self._unchecked(pick if self.members is None else self.members[pick])

    def neighbours(self, architecture: ArchitectureLike) -> list[Architecture]:
        """All members that differ in exactly one entry, by position and order of levels: 24 in the full NARes space."""
        center = self.parse(architecture)
        members = self._member_set
        out = []
        for position, current in enumerate(center):
            for value in self.others[position][current]:
                neighbour = self.changed(center, position, value)
                if members is None or neighbour in self:
                    out.append(neighbour)
        return out

    def configspace(self, seed: int | None = None) -> Any:
        """A `ConfigSpace.ConfigurationSpace`, a hyperparameter for every entry: ordinal, or categorical without order.

        It holds all vectors: what a restriction left out is refused by `from_entries`.

        Raises:
            ConfigError: when ConfigSpace is not installed.
        """
        library = require("space.configspace", "ConfigSpace")
        kinds = {True: library.OrdinalHyperparameter, False: library.CategoricalHyperparameter}
        made = [kinds[entry.ordered](entry.name, entry.choices) for entry in self.entries]
        return library.ConfigurationSpace(space=made, seed=seed)

    def from_entries(self, values: Mapping[str, Any]) -> Architecture:
        """The architecture of a level for every entry by its name, as libraries' configurations have, in any order."""
        if set(values) != set(self.entry_names):
            given = ", ".join(map(str, values)) or "none"
            raise SpaceError(f"expected a value for each of {', '.join(self.entry_names)}; given: {shown(given, 200)}")
        return self.parse([values[name] for name in self.entry_names])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a table's `meta.json`; restrictions are not part of it."""
        return {"entries": [entry.to_dict() for entry in self.entries]}


def _block(entry: Entry, digits: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.eye(len(entry.choices), dtype=np.float32)[digits]


def _falls(members: Sequence[int]) -> bool:
    return any(first >= second for first, second in pairwise(members))


def is_int(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


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


def short(architecture: Sequence[Any]) -> str:
    text = str(architecture)
    return text if len(text) <= 60 else f"{text[:57]}..."
