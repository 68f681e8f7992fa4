"""What tests of searchers share: conformance suites, and small spaces, scores and budgets that Hypothesis draws."""

import math
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from nasbench_ar import Architecture, Entry, Grid, SearchError, SearchSpace
from searchers.library_search import LibrarySearcher
from searchers.testing import TINY


def suite(kit: type, searcher: type, arguments: dict[str, Any] | None = None, *promises: str) -> Any:
    """The conformance tests of a searcher, as a subclass of the kit has them."""
    names = {"searcher": searcher, "arguments": arguments or {}, **dict.fromkeys(promises, True)}
    return type(searcher.__name__, (kit,), names)


def quick(kit: type) -> type:
    """A kit for what takes long: slow is what another of its tests, or `test_properties.py`, sees too."""
    names = ("same_seed_same_trajectory", "batches_cover_what_single_asks_do")
    names += ("survives_any_scale", "survives_constant_scores", "survives_ties")

    def slow(test: Any) -> Any:
        @pytest.mark.slow
        def same(self: Any) -> None:  # a mark on the test itself would be on everybody's
            test(self)

        return same

    return type(f"Quick{kit.__name__}", (kit,), {f"test_{name}": slow(getattr(kit, f"test_{name}")) for name in names})


def need_libraries(searcher: type) -> None:
    """Skip a test where a library of another searcher's is missing, which that says itself."""
    if issubclass(searcher, LibrarySearcher):
        try:
            searcher(TINY, 0)
        except SearchError as missing:
            pytest.skip(str(missing))


MIXED = Grid(
    [
        Entry("kind", ("a", "b", "c"), ordered=False),
        Entry("size", (1, 2, 4)),
        Entry("fixed", (7,)),
        Entry("flag", (True, False), ordered=False),
    ]
)
"""Entries with an order, without one, and with nothing to choose; 18 architectures."""

DEPTHS = ((2, 3, 5), (1, 4, 6, 9), (1, 2), (1,))
WIDTHS = ((1, 2, 4), (1, 3), (1,))


@st.composite
def spaces(draw: st.DrawFn, largest: int = 144) -> SearchSpace:
    """One or two stages with one to four values an entry, whole or restricted to some members."""
    shapes = st.tuples(st.sampled_from(DEPTHS), st.sampled_from(WIDTHS), st.sampled_from([2, 2, 1]))
    depths, widths, stages = draw(shapes.filter(lambda shape: (len(shape[0]) * len(shape[1])) ** shape[2] <= largest))
    space = SearchSpace(depth_choices=depths, width_choices=widths, stages=stages)
    share = draw(st.sampled_from([1.0, 0.7, 0.2]))
    if share == 1:
        return space
    order = draw(st.integers(0, 9999).map(random.Random))
    members = order.sample(range(space.product_size), math.ceil(share * space.product_size))
    return space.restricted_to(indices=sorted(members))


@st.composite
def numbers(draw: st.DrawFn, count: int) -> list[float]:
    """So many finite scores: constant, of few levels, all different, negative, of a huge or a tiny scale."""
    order = draw(st.integers(0, 9999).map(random.Random))
    scale = draw(st.sampled_from([1.0, -1.0, 1e-12, 1e12, 1e17]))  # Nevergrad clips what reaches 5e20
    offset = draw(st.sampled_from([0.0, -38.8, 100.0]))
    if draw(st.booleans()):
        different = draw(st.lists(st.floats(-100, 100), min_size=1, max_size=4))
        return [order.choice(different) * scale + offset for _ in range(count)]
    return [rank * scale + offset for rank in order.sample(range(count), count)]


@dataclass(frozen=True)
class Problem:
    """What a searcher is set.

    Attributes:
        scores: of every architecture of the space, higher being better.
        budget: unique queries; may be more than the space has.
        seed: of the searcher.
    """

    space: SearchSpace
    scores: dict[Architecture, float]
    budget: int
    seed: int

    @property
    def optimum(self) -> float:
        """The best score of the space."""
        return max(self.scores.values())


@st.composite
def problems(draw: st.DrawFn, largest: int = 144) -> Problem:
    """A space, a score of every architecture of it, a budget and a seed."""
    space = draw(spaces(largest))
    scores = dict(zip(space, draw(numbers(space.size)), strict=True))
    share = draw(st.sampled_from([0.9, 0.5, 1.0, 1.2, 0.1]))
    return Problem(space, scores, math.ceil(share * space.size), draw(st.integers(0, 9999)))


def as_percentages(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers from 0 to 100 in the same order, with the same ties: what a table takes for accuracies."""
    distinct, ranks = np.unique(values, return_inverse=True)
    return (100.0 * ranks / max(len(distinct) - 1, 1)).reshape(values.shape)  # exactly 100 at the top
