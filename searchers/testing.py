"""Conformance tests that every searcher must pass: ours, and yours.

In your own tests, with pytest:

    from searchers.testing import SearcherConformance

    class TestMySearcher(SearcherConformance):
        searcher = MySearcher
        arguments = {"temperature": 0.5}      # optional
        rank_based = True                     # optional promises: see `SearcherConformance`

or anywhere else: `check_searcher(MySearcher, temperature=0.5)`.  The class must be importable by its module's
name, since one test starts another process.  `searchers.fidelity.testing` tests searchers that ask for epochs.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import SearchError, SearchFinishedError, SpaceError, SpaceExhaustedError
from nasbench_ar.space import SearchSpace
from searchers.base import Searcher

TINY = SearchSpace(depth_choices=(1, 2), width_choices=(1, 2), stages=2)  # 16 architectures
SMALL = SearchSpace(depth_choices=(1, 2, 3), width_choices=(1, 2, 4), stages=2)  # 81

_PATIENCE = 20_000  # proposals a searcher may need to finish a space

Stretch = Callable[[int], float]

# Strictly increasing in the rank, and in floats exactly so up to rank 1000.
STRETCHES: dict[str, Stretch] = {
    "ranks": float,
    "affine": lambda rank: 0.25 * rank - 1e6,
    "cubes": lambda rank: float(rank**3),
    "powers": lambda rank: 2.0 ** (rank / 8),
    "inverses": lambda rank: -1 / (1 + rank),
}

_IN_ANOTHER_PROCESS = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
from searchers.testing import imported
function, target, seed, steps, arguments = json.loads(sys.argv[2])
print(json.dumps(imported(function)(imported(target), seed, steps, arguments)))
"""


def imported(path: str) -> Any:
    """The object that `module:name` or `module:Outer.name` names."""
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def in_another_process(
    replay: Callable[..., Any], searcher: type, seed: int, steps: int, arguments: Mapping[str, Any]
) -> Any:
    """Result of `replay(searcher, seed, steps, arguments)` in a new process with other hash seeds."""
    paths = [f"{found.__module__}:{found.__qualname__}" for found in (replay, searcher)]
    call = json.dumps([*paths, seed, steps, dict(arguments)])
    command = [sys.executable, "-c", _IN_ANOTHER_PROCESS, json.dumps(sys.path), call]
    environment = os.environ | {"PYTHONHASHSEED": "123"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"the other process failed:\n{done.stderr}"
    return json.loads(done.stdout)


def check_global_random_state(run: Callable[[], object]) -> None:
    """Call `run` twice: it must neither depend on the global generators nor draw from them."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state under test
    try:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        first = run()
        marks = random.random(), np.random.random()  # noqa: NPY002
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        untouched = random.random(), np.random.random()  # noqa: NPY002
        assert run() == first, "the trajectory depends on global random state"
        assert marks == untouched, "the searcher draws from the global random generators"
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


def hilly(architecture: Architecture) -> float:
    """A toy objective: additive with a fixed disturbance, which makes local optima."""
    disturbance = sum(value * (k + 3) * 7919 for k, value in enumerate(architecture)) % 101 / 40
    return float(sum(architecture)) + disturbance


def stretched(values: Mapping[Any, float], stretch: Stretch) -> dict[Any, float]:
    """Other values in the same order; equal ones stay equal."""
    place = {value: rank for rank, value in enumerate(sorted(set(values.values())))}
    return {key: stretch(place[value]) for key, value in values.items()}


def trajectory(searcher: Searcher, queries: int, objective: Callable[[Architecture], float] = hilly) -> list[list[int]]:
    """The first `queries` different architectures that a searcher queries, as lists of numbers.

    It ends early when the space is exhausted or the searcher has stopped itself.  A searcher that needs more than
    20,000 proposals fails.
    """
    for _ in range(_PATIENCE):
        if len(searcher.history) >= queries:
            break
        try:
            proposed = searcher.ask()
        except (SpaceExhaustedError, SearchFinishedError):
            break
        searcher.tell(proposed, objective(proposed))
    else:
        raise AssertionError(
            f"{type(searcher).__name__} found {len(searcher.history)} of {queries} architectures "
            f"in {_PATIENCE} proposals: it repeats itself"
        )
    return [list(architecture) for architecture in searcher.history]


def replay(searcher: type[Searcher], seed: int, queries: int, arguments: Mapping[str, Any]) -> list[list[int]]:
    return trajectory(searcher(SMALL, seed, **arguments), queries)


class SearcherConformance:
    """Subclass it in a test module and set `searcher`; pytest collects the tests.

    Attributes:
        searcher: the class under test.
        arguments: its constructor arguments beyond `space` and `seed`.
        rank_based: set it where the searcher only compares scores: any strictly increasing transformation of them
            must leave the trajectory as it is.
        never_repeats: set it where the searcher never proposes an architecture that was told before.
    """

    searcher: ClassVar[type[Searcher]]
    arguments: ClassVar[Mapping[str, Any]] = {}
    rank_based: ClassVar[bool] = False
    never_repeats: ClassVar[bool] = False

    def make(self, space: SearchSpace, seed: int = 0) -> Searcher:
        return self.searcher(space, seed, **self.arguments)

    def test_proposals_are_members(self) -> None:
        searcher = self.make(SMALL)
        for _ in range(60):
            proposed = searcher.ask()
            assert isinstance(proposed, Architecture), f"proposed {proposed!r}, not an Architecture"
            assert proposed in SMALL, f"proposed {proposed}, which is outside the space"
            searcher.tell(proposed, hilly(proposed))

    def test_respects_a_budget(self) -> None:
        searcher = self.make(SMALL)
        told: set[Architecture] = set()
        for _ in range(_PATIENCE):
            if len(told) == 30:
                break
            proposed = searcher.ask()
            told.add(proposed)
            searcher.tell(proposed, hilly(proposed))
            assert set(searcher.history) == told, "the searcher knows scores that nobody told it"
        assert len(told) == 30, f"found {len(told)} architectures in {_PATIENCE} proposals, not 30"

    def test_exhausts_a_tiny_space(self) -> None:
        searcher = self.make(TINY)
        trajectory(searcher, TINY.size)
        assert set(searcher.history) == set(TINY), f"saw {len(searcher.history)} of {TINY.size}"
        try:
            again = searcher.ask()
        except SpaceExhaustedError:
            return
        raise AssertionError(f"proposed {again} after the whole space had been told")

    def test_the_best_is_the_best_told(self) -> None:
        searcher = self.make(TINY)
        best = -np.inf
        for _ in range(_PATIENCE):
            if len(searcher.history) == TINY.size:
                break
            proposed = searcher.ask()
            searcher.tell(proposed, hilly(proposed))
            best = max(best, hilly(proposed))
            found, score = searcher.best()
            assert score == searcher.history[found] == best, f"best() is {found} with {score}; {best} was told"
        assert best == max(map(hilly, TINY)), "the whole space was searched and its optimum missed"

    def test_repeats_nothing_if_it_promises_so(self) -> None:
        searcher = self.make(SMALL)
        while self.never_repeats and len(searcher.history) < SMALL.size:
            proposed = searcher.ask()
            assert proposed not in searcher.history, f"proposed {proposed} again"
            searcher.tell(proposed, hilly(proposed))

    def test_ranks_decide_if_it_promises_so(self) -> None:
        if not self.rank_based:
            return
        scores = {architecture: hilly(architecture) for architecture in SMALL}
        expected = trajectory(self.make(SMALL, 5), 60, scores.__getitem__)
        for name, stretch in STRETCHES.items():
            found = trajectory(self.make(SMALL, 5), 60, stretched(scores, stretch).__getitem__)
            assert found == expected, f"another trajectory when scores are replaced by {name} in the same order"

    def test_space_of_one(self) -> None:
        searcher = self.make(SMALL.restricted_to(indices=[40]))
        assert trajectory(searcher, 5) == [list(SMALL.from_index(40))], "a space of one has one trajectory"

    def test_restricted_space(self) -> None:
        space = SMALL.restricted_to(indices=range(0, 81, 4))
        searcher = self.make(space)
        trajectory(searcher, space.size)
        assert set(searcher.history) == set(space), f"saw {len(searcher.history)} of {space.size}"

    def test_same_seed_same_trajectory(self) -> None:
        first, second = (trajectory(self.make(SMALL, 7), 60) for _ in range(2))
        assert first == second, "two searchers of the same seed went different ways"

    def test_same_in_another_process(self) -> None:
        elsewhere = in_another_process(replay, self.searcher, 11, 60, self.arguments)
        assert elsewhere == trajectory(self.make(SMALL, 11), 60), "another process went another way"

    def test_ignores_global_random_state(self) -> None:
        check_global_random_state(lambda: trajectory(self.make(SMALL, 3), 60))

    def test_survives_constant_scores(self) -> None:
        assert len(trajectory(self.make(SMALL), 60, lambda _: 1.0)) == 60

    def test_survives_ties(self) -> None:
        assert len(trajectory(self.make(SMALL), 60, lambda a: float(a[0] > 1))) == 60

    def test_survives_any_scale(self) -> None:
        for scale in (-1e12, 1e-12, 1e12):
            found = trajectory(self.make(SMALL), 40, lambda a, s=scale: s * hilly(a))  # type: ignore[misc]
            assert len(found) == 40

    def test_survives_scores_nobody_asked_for(self) -> None:
        searcher = self.make(SMALL)
        for index in range(0, 81, 9):
            searcher.tell(SMALL.from_index(index), 1.0)
        assert len(trajectory(searcher, 60)) == 60

    def test_rejects_bad_scores(self) -> None:
        searcher = self.make(SMALL)
        proposed = searcher.ask()
        for score in (float("nan"), float("inf"), None):
            try:
                searcher.tell(proposed, score)  # type: ignore[arg-type]
            except SearchError:
                continue
            raise AssertionError(f"accepted the score {score!r}")
        try:
            searcher.tell("9-9-9-9", 1.0)
        except SpaceError:
            return
        raise AssertionError("accepted a score for an architecture outside the space")

    def test_batches_cover_what_single_asks_do(self) -> None:
        searcher = self.make(SMALL)
        for _ in range(_PATIENCE):
            if len(searcher.history) >= 60:
                break
            for proposed in searcher.ask_batch():
                searcher.tell(proposed, hilly(proposed))
        single = self.make(SMALL)
        trajectory(single, len(searcher.history))
        assert list(single.history) == list(searcher.history), "ask_batch and ask go different ways"


def check_searcher(searcher: type[Searcher], **arguments: Any) -> None:
    """Run every conformance test; AssertionError at the first that fails."""
    check_all(type("Suite", (SearcherConformance,), {"searcher": searcher, "arguments": arguments})())


def check_all(suite: object) -> None:
    for name in dir(suite):
        if name.startswith("test_"):
            getattr(suite, name)()
