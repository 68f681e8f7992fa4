"""One search in a line: what it did, and what it would have reported after each query."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_ar import NARES, Architecture, Oracle, SearchError, SearchSpace, load
from searchers import ALL_SEARCHERS, RandomSearch, Searcher, create, search
from searchers.library_search import LibrarySearcher
from searchers.testing import SMALL as LARGER
from searchers.testing import hilly

NAMES = [
    name
    for name, cls in ALL_SEARCHERS.items()
    if name not in ("published_bananas", "nsga2") and not issubclass(cls, LibrarySearcher)
]


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return load("nares-figures", quiet=True)


@pytest.mark.parametrize("name", NAMES)
def test_incumbents_are_what_the_searcher_recommends(name: str, oracle: Oracle) -> None:
    """The same search once more, asked for its recommendation after every query."""
    session = oracle.session(budget=60)
    again, queries = create(name, session.space, 3), oracle.session(budget=60)
    found = search(create(name, session.space, 3), session)
    said = []
    while queries.remaining:
        architecture = again.ask()
        new = architecture not in queries.history
        again.tell(architecture, queries.score(architecture))
        if new:
            said.append(queries.space.index(again.recommend()))
    assert found.incumbent.tolist() == said
    assert found.arch_index.tolist() == queries.space.indices(queries.history).tolist()
    assert found.scores.tolist() == np.float32(list(queries.history.values())).tolist()
    assert (found.seed, found.reported, found.ended, found.repeats) == (3, said[-1], "", queries.repeats)


def test_one_search_in_a_line(oracle: Oracle) -> None:
    session = oracle.session("macs", budget=20)
    found = search(RandomSearch(session.space, seed=0), session)
    assert session.space.from_index(found.reported) == session.best()[0]
    with pytest.raises(SearchError, match="has answered queries already; a search begins with a session of its own"):
        search(RandomSearch(session.space, seed=0), session)


class Undecided(Searcher):
    """Reports what it has queried last."""

    def _ask(self) -> Architecture:
        return self.sample_unseen()

    def best(self) -> tuple[Architecture, float]:
        return list(self.history.items())[-1]


def test_a_report_of_the_searchers_own_choice(oracle: Oracle) -> None:
    session = oracle.session(budget=5)
    found = search(Undecided(session.space, 1), session)
    assert found.incumbent.tolist() == found.arch_index.tolist()


SMALL = SearchSpace(depth_choices=(1, 2), width_choices=(1, 2), stages=1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30))
def test_the_first_of_the_best(told: list[tuple[int, int]]) -> None:
    """Whatever is told, also other scores of what was told before, and with a question in between or not."""
    searcher, other, scores = RandomSearch(SMALL, 0), RandomSearch(SMALL, 0), {}
    for index, score in told:
        architecture = SMALL.from_index(index)
        scores[architecture] = float(score)
        searcher.tell(architecture, score)
        other.tell(architecture, score)
        assert searcher.best() == max(scores.items(), key=lambda item: item[1])
    assert other.best() == searcher.best()


def test_history_that_a_subclass_writes_itself() -> None:
    searcher = RandomSearch(NARES, 0)
    searcher.tell("WRN-34-10", 1.0)
    assert searcher.best()[1] == 1.0
    searcher.history[NARES.from_index(0)] = 2.0
    assert searcher.best() == (NARES.from_index(0), 2.0)


@pytest.mark.parametrize("name", ["random_search", "local_search", "regularized_evolution", "bananas", "gp"])
def test_a_pickled_searcher_goes_on_as_it_would_have(name: str) -> None:
    whole, cut = (create(name, LARGER, 3) for _ in range(2))
    for searcher in (whole, cut):
        for _ in range(25):
            asked = searcher.ask()
            searcher.tell(asked, hilly(asked))
    cut = pickle.loads(pickle.dumps(cut))
    for _ in range(25):
        first, second = whole.ask(), cut.ask()
        assert first == second
        whole.tell(first, hilly(first))
        cut.tell(second, hilly(second))
