"""NSGA-II and vectors of scores: conformance, selection by hand, and that it beats chance."""

import numpy as np
import pytest

from nasbench_ar import NARES, Architecture, SearchError
from nasbench_ar.pareto import hypervolume
from searchers import FOR_VECTORS, NSGA2, RandomSearch, VectorRandomSearch, VectorSearcher
from searchers.nsga2 import survivors
from searchers.testing import SMALL, SearcherConformance, hilly
from tests.searchers.problems import suite

TestNSGA2 = suite(SearcherConformance, NSGA2, {}, "rank_based", "never_repeats")
TestNSGA2Small = suite(
    SearcherConformance,
    NSGA2,
    {"population": 3, "crossover": 0.5, "mutation": 0.0, "patience": 2},
    "rank_based",
    "never_repeats",
)
TestVectorRandomSearch = suite(SearcherConformance, VectorRandomSearch, {}, "rank_based", "never_repeats")


def pair(architecture: Architecture) -> tuple[float, float]:
    return hilly(architecture), -float(SMALL.macs(architecture))


def told(searcher: VectorSearcher, queries: int) -> list[Architecture]:
    while len(searcher.history) < queries:
        proposed = searcher.ask()
        assert proposed not in searcher.history, "no architecture is proposed twice"
        searcher.tell(proposed, pair(proposed))
    return list(searcher.history)


@pytest.mark.parametrize("cls", [NSGA2, VectorRandomSearch])
def test_vectors_are_deterministic_and_finish_the_space(cls: type[VectorSearcher]) -> None:
    assert told(cls(SMALL, 5), 60) == told(cls(SMALL, 5), 60)
    searcher = cls(SMALL, 1)
    assert set(told(searcher, 81)) == set(SMALL)
    pairs = {a: pair(a) for a in SMALL}
    beaten = {a for a, p in pairs.items() for q in pairs.values() if p != q and p[0] <= q[0] and p[1] <= q[1]}
    assert set(searcher.front()) == set(SMALL) - beaten


def test_selection_by_hand() -> None:
    # front 0: a (0, 10), b (1, 9), c (5, 5), d (10, 0); front 1: e (0, 9); front 2: f (0, 0)
    points = np.array([[0.0, 10], [1, 9], [5, 5], [10, 0], [0, 9], [0, 0]])
    kept, place = survivors(points, 5)
    # crowding of b: (5 - 0) / 10 + (10 - 5) / 10 = 1; of c: (10 - 1) / 10 + (9 - 0) / 10 = 1.8
    assert kept.tolist() == [0, 3, 2, 1, 4]
    assert place.tolist() == [0, 0, 1, 2, 3], "the two ends are not told apart"
    assert survivors(points, 3)[0].tolist() == [0, 3, 2], "a front that does not fit is cut by crowding"
    kept, place = survivors(points, 9)
    assert kept.tolist() == [0, 3, 2, 1, 4, 5]
    assert place.tolist() == [0, 0, 1, 2, 3, 4]


def next_generation(searcher: NSGA2) -> list[Architecture]:
    children = []
    for _ in range(searcher.population):
        children.append(searcher.ask())
        searcher.tell(children[-1], pair(children[-1]))
    return children


def test_children_mix_both_parents() -> None:
    masks: list[tuple[bool, ...]] = []
    for seed in range(300):
        searcher = NSGA2(SMALL, seed, population=2, crossover=1.0, mutation=0.0)
        first, second = next_generation(searcher)
        for child in next_generation(searcher) if all(a != b for a, b in zip(first, second, strict=True)) else ():
            assert all(value in both for value, both in zip(child, zip(first, second, strict=True), strict=True))
            masks.append(tuple(value == b for value, b in zip(child, second, strict=True)))
    assert len(set(masks)) == 2**4 - 2, "every mixture comes, the parents themselves do not"
    assert 0.4 < np.mean(masks) < 0.6


def test_children_without_crossover_are_neighbours() -> None:
    for seed in range(20):
        searcher = NSGA2(SMALL, seed, population=4, crossover=0.0, mutation=1.0)
        parents = next_generation(searcher)
        for child in next_generation(searcher):
            assert any(child in SMALL.neighbours(parent) for parent in parents)


def test_what_was_told_before_counts_for_the_first_generation() -> None:
    searcher = NSGA2(SMALL, 0, population=5)
    for architecture in list(SMALL)[:2]:
        searcher.tell(architecture, pair(architecture))
    told(searcher, 5)
    assert not searcher._alive
    searcher.ask()
    assert set(searcher._alive) == set(searcher.history)


def test_tournaments_prefer_the_better_place() -> None:
    searcher = NSGA2(SMALL, 0)
    searcher._alive = list(SMALL)[:3]
    wins = np.bincount([searcher._tournament(np.array([0, 1, 2])) for _ in range(3000)], minlength=3) / 3000
    np.testing.assert_allclose(wins, [5 / 9, 3 / 9, 1 / 9], atol=0.03)


def test_it_beats_random_search_on_a_smooth_front() -> None:
    vectors = NARES.vectors()
    points = np.stack([np.log(vectors).sum(axis=1), -NARES.macs_many(indices=NARES.member_indices) / 1e10], axis=1)
    volumes = []
    for cls in (NSGA2, VectorRandomSearch):
        found = []
        for seed in range(3):
            searcher = cls(NARES, seed)
            while len(searcher.history) < 300:
                proposed = searcher.ask()
                searcher.tell(proposed, points[NARES.index(proposed)])
            found.append(hypervolume(points[NARES.indices(searcher.history)], points.min(axis=0)))
        volumes.append(found)
    assert min(volumes[0]) > max(volumes[1])


def test_random_search_is_the_same_with_vectors() -> None:
    plain, vector = RandomSearch(SMALL, 4), FOR_VECTORS[RandomSearch](SMALL, 4)
    for _ in range(30):
        proposed = plain.ask()
        assert vector.ask() == proposed
        plain.tell(proposed, 1.0)
        vector.tell(proposed, (1.0, 2.0))


def test_bad_vectors() -> None:
    searcher = NSGA2(SMALL, 0)
    first, second = list(SMALL)[:2]
    searcher.tell(first, (1.0, 2.0))
    assert searcher.best() == (first, 1.0)
    for score in ((1.0, float("nan")), (), (1.0, "x"), None):
        with pytest.raises(SearchError, match="expected finite numbers"):
            searcher.tell(second, score)  # type: ignore[arg-type]
    with pytest.raises(SearchError, match="has 3 scores, architectures told before have 2"):
        searcher.tell(second, (1.0, 2.0, 3.0))
    assert VectorRandomSearch(SMALL, 0).front() == []


@pytest.mark.parametrize("argument", ["crossover", "mutation"])
def test_probabilities(argument: str) -> None:
    with pytest.raises(SearchError, match=rf"^{argument}=1\.5: expected a probability, 0 to 1$"):
        NSGA2(SMALL, 0, **{argument: 1.5})  # type: ignore[arg-type]


@pytest.mark.parametrize(("crossover", "mutation"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
def test_the_ends_of_the_ranges(crossover: float, mutation: float) -> None:
    searcher = NSGA2(SMALL, 3, population=1, crossover=crossover, mutation=mutation, patience=1)
    assert len(told(searcher, 81)) == 81
