"""What searchers of other libraries share; the proposals of many may repeat, or lie outside the space."""

from __future__ import annotations

import logging
import random
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import numpy as np

from nasbench_ar.architecture import Architecture
from nasbench_ar.entry import Entry
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.threads import single_threaded
from searchers.base import Searcher, check_at_least


def by_rank(encoding: str, entry: Entry) -> bool:
    """Whether a library is given an entry's levels as numbers in order: always, never, or where they have one."""
    return encoding == "ordinal" or (encoding == "mixed" and entry.ordered)


def check_seed(seed: int, whose: str) -> None:
    """Refuse a seed that a library's generators do not take."""
    if seed >= 2**32:
        raise SearchError(f"seed={seed!r}: {whose} seeds below 2**32")


class OwnGenerators:
    """What stands for Python's and NumPy's global generators while a library computes that draws from them."""

    def __init__(self, seed: int) -> None:
        self._states = random.Random(seed).getstate(), np.random.RandomState(seed).get_state()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Install them, then restore the user's."""
        users = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.setstate(self._states[0])
        np.random.set_state(self._states[1])  # noqa: NPY002
        try:
            yield
        finally:
            self._states = random.getstate(), np.random.get_state()  # noqa: NPY002
            random.setstate(users[0])
            np.random.set_state(users[1])  # noqa: NPY002


@contextmanager
def unheard() -> Iterator[None]:
    """Where the user has not set up logging, a library's messages go nowhere, and it cannot set it up either."""
    root, nowhere = logging.getLogger(), logging.NullHandler()
    if not root.handlers:
        root.addHandler(nowhere)
    try:
        yield
    finally:
        root.removeHandler(nowhere)


class LibrarySearcher(Searcher):
    """Base class of all that another library decides.

    Attributes:
        libraries: distributions whose versions decide what is proposed.
    """

    libraries: ClassVar[tuple[str, ...]] = ()

    @property
    def _free_entries(self) -> list[Entry]:
        """Those with something to choose: some libraries fail at a choice of one."""
        return [entry for entry in self.space.entries if len(entry.choices) > 1]


class BorrowedSearcher(LibrarySearcher):
    """Base class of adapters that ask and tell; the library computes on one thread.

    An architecture that was told before is proposed again: that is free, and the library is told the known score.
    An architecture outside the space (left out of a partial table, beyond a constraint) is handed back as failed.
    After `patience` of either in a row, a random unseen architecture is proposed instead and reported to the library
    as evaluated, so that no run stalls.
    """

    def __init__(self, space: Grid, seed: int, *, patience: int) -> None:
        super().__init__(space, seed)
        self.patience = check_at_least("patience", patience, 1)
        self._nothing_new = 0

    def _ask(self) -> Architecture:
        if self.space.size == 1:  # some libraries fail where there is nothing to choose
            return self.sample_unseen()
        while self._nothing_new < self.patience:
            with single_threaded():
                architecture = self._propose()
            if architecture not in self.space:
                self._nothing_new += 1
                self._reject(architecture)
                continue
            self._nothing_new = self._nothing_new + 1 if architecture in self.history else 0
            return architecture
        self._nothing_new = 0
        return self.sample_unseen()

    def _tell(self, architecture: Architecture, score: float) -> None:
        with single_threaded():
            self._report(architecture, score)

    @abstractmethod
    def _propose(self) -> Architecture:
        """What the library proposes; perhaps outside the space."""

    @abstractmethod
    def _reject(self, architecture: Architecture) -> None:
        """Hand the last proposal back as failed."""

    @abstractmethod
    def _report(self, architecture: Architecture, score: float) -> None:
        """Report a score, also of what the library did not propose."""

    # -- for libraries that are given digits -----------------------------------

    def _digits(self, architecture: Architecture) -> dict[str, int]:
        """The digit of each free entry, by its name."""
        levels = dict(zip(self.space.entry_names, architecture, strict=True))
        return {entry.name: entry.digit_of[levels[entry.name]] for entry in self._free_entries}

    def _of_digits(self, digits: Mapping[str, int]) -> Architecture:
        return self.space.compose(entry.choices[int(digits.get(entry.name, 0))] for entry in self.space.entries)
