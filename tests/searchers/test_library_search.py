"""Optuna's and Nevergrad's samplers as searchers."""

import random
import sys
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from nasbench_ar import NARES, Architecture, Entry, Grid, SearchError, SearchSpace
from searchers import NevergradSearcher, OptunaSearcher
from searchers.library_search import BorrowedSearcher
from searchers.testing import SMALL, TINY, SearcherConformance, hilly, trajectory
from tests.processes import python
from tests.searchers.problems import suite


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    if not request.node.name.startswith("test_missing"):
        pytest.importorskip("optuna")
        pytest.importorskip("nevergrad")


TestOptunaTPE = pytest.mark.slow(suite(SearcherConformance, OptunaSearcher))
TestOptunaNSGA2Ordinal = suite(
    SearcherConformance, OptunaSearcher, {"sampler": "nsga2", "encoding": "ordinal", "patience": 3}
)
TestOptunaCMAES = pytest.mark.slow(suite(SearcherConformance, OptunaSearcher, {"sampler": "cmaes"}))
TestOptunaQMC = pytest.mark.slow(suite(SearcherConformance, OptunaSearcher, {"sampler": "qmc"}))
TestNevergradNGOpt = pytest.mark.slow(suite(SearcherConformance, NevergradSearcher))
TestNevergradDECategorical = pytest.mark.slow(
    suite(SearcherConformance, NevergradSearcher, {"optimizer": "TwoPointsDE", "encoding": "categorical"})
)


@pytest.mark.slow
def test_nevergrad_has_its_own_randomness() -> None:
    def run() -> list[list[int]]:
        return trajectory(NevergradSearcher(SMALL, 3, optimizer="DiscreteOnePlusOne"), 40)

    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state under test
    first = run()
    random.setstate(random.Random(9).getstate())
    np.random.set_state(np.random.RandomState(9).get_state())  # noqa: NPY002
    marks = random.getstate()
    assert run() == first
    assert random.getstate() == marks
    random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002


def test_nevergrad_keeps_to_a_restricted_space() -> None:
    space = SMALL.restricted_to(indices=range(0, 81, 4))
    searcher = NevergradSearcher(space, 0, optimizer="TwoPointsDE", patience=3)
    assert len(trajectory(searcher, space.size)) == space.size


def test_nevergrad_is_given_only_what_can_be_chosen() -> None:
    """Its optimisers divide by zero or fail an assertion where an entry has a single value."""
    space = SearchSpace(depth_choices=(2, 3, 5), width_choices=(8,), stages=2)
    searcher = NevergradSearcher(space, 0, optimizer="DiscreteOnePlusOne", encoding="categorical")
    assert len(trajectory(searcher, space.size)) == space.size
    single = SearchSpace(depth_choices=(1,), width_choices=(1,), stages=1)
    searcher = NevergradSearcher(single, 0)
    assert {searcher.ask() for _ in range(20)} == set(single)
    assert len(trajectory(searcher, 1)) == 1


@pytest.mark.slow
def test_gp_is_deterministic() -> None:
    pytest.importorskip("torch")
    runs = [trajectory(OptunaSearcher(TINY, 5, sampler="gp"), 13) for _ in range(2)]
    assert runs[0] == runs[1]


def test_optuna_is_told_everything() -> None:
    searcher = OptunaSearcher(SMALL, 0, sampler="random")
    asked = searcher.ask()
    searcher.tell(asked, 1.0)
    searcher.tell(SMALL.from_index(7), 2.0)  # nobody asked for it
    study: Any = searcher._study
    assert [t.value for t in study.trials] == [1.0, 2.0]
    assert tuple(study.best_params.values()) == tuple(SMALL.from_index(7))


class Loop(BorrowedSearcher):
    """A library that proposes one architecture inside the space and one outside, for ever."""

    def _propose(self) -> Architecture:
        self.turn = getattr(self, "turn", 0) + 1
        return SMALL.from_index(8 * (self.turn % 2))

    def _reject(self, architecture: Architecture) -> None:
        self.rejected = [*getattr(self, "rejected", []), architecture]

    def _report(self, architecture: Architecture, score: float) -> None:
        self.reported = [*getattr(self, "reported", []), architecture]


def test_the_library_computes_on_one_thread() -> None:
    def blas_threads() -> set[int]:
        return {found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}

    class Watched(Loop):
        def _propose(self) -> Architecture:
            seen.append(blas_threads())
            return super()._propose()

        def _report(self, architecture: Architecture, score: float) -> None:
            seen.append(blas_threads())

    seen: list[set[int]] = []
    with threadpool_limits(2):
        searcher = Watched(SMALL, 0, patience=3)
        searcher.tell(searcher.ask(), 1.0)
        assert seen == [{1}, {1}]
        assert blas_threads() == {2}


def test_torch_is_there_before_it_is_held_to_one_thread() -> None:
    code = (
        "import sys\n"
        "from searchers import OptunaSearcher\n"
        "from searchers.testing import SMALL\n"
        "OptunaSearcher(SMALL, 0)\n"
        "assert 'torch' not in sys.modules\n"
        "OptunaSearcher(SMALL, 0, sampler='gp')\n"
        "assert 'torch' in sys.modules\n"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


def test_optimisers_that_lack_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import nevergrad

    class Absent:
        def __init__(self, *arguments: Any, **words: Any) -> None:
            raise ModuleNotFoundError("No module named 'bayes_optim'")

    class AbsentLater:
        def __init__(self, *arguments: Any, **words: Any) -> None:
            pass

        def ask(self) -> None:
            raise RuntimeError("an optimizer raised an error:\nNo module named 'ConfigSpace'")

    monkeypatch.setitem(nevergrad.optimizers.registry, "Absent", Absent)
    monkeypatch.setitem(nevergrad.optimizers.registry, "AbsentLater", AbsentLater)
    with pytest.raises(SearchError, match="^optimizer=Absent needs another package: No module named 'bayes_optim'$"):
        NevergradSearcher(SMALL, 0, optimizer="Absent")
    searcher = NevergradSearcher(SMALL, 0, optimizer="AbsentLater")
    message = "^Nevergrad's AbsentLater failed: an optimizer raised an error: No module named 'ConfigSpace'$"
    with pytest.raises(SearchError, match=message):
        searcher.ask()


def test_patience_ends_loops() -> None:
    space = SMALL.restricted_to(indices=range(8))  # index 8 is outside
    searcher = Loop(space, 0, patience=4)
    proposals = []
    for _ in range(6):
        proposals.append(searcher.ask())
        searcher.tell(proposals[-1], hilly(proposals[-1]))
    inside = space.from_index(0)
    # rejected, inside (new); then rejected, inside, rejected, inside, that is 4 without anything new; then random
    assert proposals[0] == inside
    assert [p == inside for p in proposals] == [True, True, True, False, True, True]
    assert set(searcher.rejected) == {SMALL.from_index(8)}
    assert searcher.reported == proposals


def test_samplers_of_numbers_take_no_categories() -> None:
    with pytest.raises(SearchError, match="use ordinal"):
        OptunaSearcher(SMALL, 0, sampler="cmaes", encoding="categorical")


@pytest.mark.parametrize(
    ("library", "extra", "cls", "arguments"),
    [
        ("optuna", "optuna", OptunaSearcher, {}),
        ("nevergrad", "nevergrad", NevergradSearcher, {}),
        ("cmaes", "optuna", OptunaSearcher, {"sampler": "cmaes"}),
    ],
)
def test_missing_libraries_are_named(
    library: str, extra: str, cls: Any, arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    asked = "sampler" if arguments else "searcher"
    message = rf"^{asked}={library} needs {library}, .*: pip install 'nasbench-ar\[{extra}\]'$"
    with pytest.raises(SearchError, match=message):
        cls(SMALL, 0, **arguments)
    if arguments:
        OptunaSearcher(SMALL, 0, sampler="random")


class Recorder:
    """Stands for a library's object and notes what it is told."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped, self.told = wrapped, []  # type: ignore[var-annotated]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def tell(self, candidate: Any, loss: float) -> None:
        self.told.append((Architecture(*candidate.value), loss))
        self.wrapped.tell(candidate, loss)


def test_nevergrad_is_told_losses() -> None:
    searcher = NevergradSearcher(SMALL.restricted_to(indices=[7, 8, 9]), 0, optimizer="RandomSearch", patience=5)
    searcher._optimizer = recorder = Recorder(searcher._optimizer)
    for index, score in ((8, 3.0), (7, -2.0)):
        searcher.tell(SMALL.from_index(index), score)  # nobody asked for it
    asked = searcher.ask()
    outside = [loss for architecture, loss in recorder.told if architecture not in searcher.space]
    assert outside
    assert set(outside) == {3.0}, "one worse than the worst told, which is -2"
    searcher.tell(asked, 9.0)
    inside = [pair for pair in recorder.told if pair[0] in searcher.space]
    assert inside == [(SMALL.from_index(8), -3.0), (SMALL.from_index(7), 2.0), (asked, -9.0)]


@pytest.mark.parametrize("score", [-1000.0, 3.0])
def test_nevergrad_hears_of_what_is_outside_once_a_score_is_known(score: float) -> None:
    searcher = NevergradSearcher(SMALL.restricted_to(indices=[7, 8]), 0, optimizer="RandomSearch", patience=3)
    searcher._optimizer = recorder = Recorder(searcher._optimizer)
    asked = searcher.ask()
    assert not recorder.told
    searcher.tell(asked, score)
    told = [loss for found, loss in recorder.told if found != asked]
    assert told == [-score + 1.0] * 3, "or it would hold them for the best"


def test_nevergrad_beyond_its_own_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some optimisers have no proposal then, and repeats count."""
    searcher = NevergradSearcher(SMALL, 0, optimizer="ScrHammersleySearch", budget=10)
    assert len(trajectory(searcher, 20)) == 20
    searcher = NevergradSearcher(SMALL, 0, optimizer="RandomSearch")
    monkeypatch.setattr(searcher._optimizer, "ask", Mock(side_effect=AssertionError("of another kind")))
    with pytest.raises(SearchError, match="Nevergrad's RandomSearch failed: of another kind"):
        searcher.ask()


def test_nevergrad_climbs() -> None:
    def mean_of_best(searcher: BorrowedSearcher) -> float:
        trajectory(searcher, 30)
        return float(np.mean(sorted(searcher.history.values())[-10:]))

    wins = [
        mean_of_best(NevergradSearcher(SMALL, seed, optimizer="DiscreteOnePlusOne"))
        > mean_of_best(NevergradSearcher(SMALL, seed, optimizer="RandomSearch"))
        for seed in range(4)
    ]
    assert sum(wins) >= 3


@pytest.mark.parametrize(("encoding", "kind"), [("ordinal", "TransitionChoice"), ("categorical", "Choice")])
def test_what_nevergrad_is_made_of(encoding: str, kind: str) -> None:
    import nevergrad

    searcher = NevergradSearcher(SMALL, 5, optimizer="RandomSearch", encoding=encoding, budget=77)
    assert {type(entry) for entry in searcher._optimizer.parametrization} == {getattr(nevergrad.p, kind)}
    assert searcher._optimizer.budget == 77
    first, second = (trajectory(NevergradSearcher(SMALL, 5, optimizer="RandomSearch"), 9) for _ in range(2))
    assert first == second != trajectory(NevergradSearcher(SMALL, 6, optimizer="RandomSearch"), 9)


@pytest.mark.parametrize(
    ("name", "cls", "given"),
    [
        ("tpe", "TPESampler", {"multivariate": None}),
        ("gp", "GPSampler", {}),
        ("cmaes", "CmaEsSampler", {}),
        ("nsga2", "NSGAIISampler", {}),
        ("qmc", "QMCSampler", {"scramble": True}),
        ("random", "RandomSampler", {}),
    ],
)
def test_what_optuna_is_made_of(name: str, cls: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import optuna

    calls: list[dict[str, Any]] = []
    made: Any = getattr(optuna.samplers, cls)
    monkeypatch.setattr(optuna.samplers, cls, lambda **arguments: (calls.append(arguments), made(**arguments))[1])
    searcher = OptunaSearcher(SMALL, 11, sampler=name)
    assert type(searcher._study.sampler) is made
    assert calls == [{"seed": 11, **given}]
    assert searcher.encoding == ("ordinal" if name in ("cmaes", "qmc") else "categorical")


@pytest.mark.parametrize(
    ("name", "cls"), [("tpe", "TPESampler"), ("nsga2", "NSGAIISampler"), ("random", "RandomSampler")]
)
def test_what_optuna_proposes_is_what_a_users_own_study_does(name: str, cls: str) -> None:
    import optuna

    searcher = OptunaSearcher(NARES, 3, sampler=name)
    study = optuna.create_study(direction="maximize", sampler=getattr(optuna.samplers, cls)(seed=3))
    for _ in range(60):
        architecture = searcher.ask()
        trial = study.ask(
            {entry.name: optuna.distributions.CategoricalDistribution(entry.choices) for entry in NARES.entries}
        )
        assert tuple(trial.params.values()) == tuple(architecture)
        score = float(np.sin(np.arange(1, 7)) @ architecture)
        searcher.tell(architecture, score)
        study.tell(trial, score)


def test_ranks_are_read_back_as_choices() -> None:
    searcher = OptunaSearcher(SMALL, 0, sampler="random", encoding="ordinal")
    for architecture in (SMALL.from_index(0), SMALL.from_index(80), SMALL.from_index(31)):
        searcher.tell(architecture, 1.0)
        ranks = [SMALL.choices(k).index(value) for k, value in enumerate(architecture)]
        assert list(searcher._study.trials[-1].params.values()) == ranks
    for entry, found in zip(SMALL.entries, searcher._distributions.values(), strict=True):
        assert (found.low, found.high) == (0, len(entry.choices) - 1)
    assert len(trajectory(searcher, 78)) == 78, "all that is left is reached"


def test_each_entry_as_it_is() -> None:
    """In a mixed encoding, entries with an order are numbers and the others categories."""
    space = Grid(
        [
            Entry("kind", ("a", "b", "c"), ordered=False),
            Entry("size", (1, 2, 4)),
            Entry("flag", (True, False), ordered=False),
        ]
    )
    optuna = OptunaSearcher(space, 0, sampler="tpe", encoding="mixed", multivariate=True)
    assert optuna._study.sampler._multivariate
    kinds = [type(found).__name__ for found in optuna._distributions.values()]
    assert kinds == ["CategoricalDistribution", "IntDistribution", "CategoricalDistribution"]
    optuna.tell(space.parse("c,4,True"), 1.0)
    assert optuna._study.trials[-1].params == {"kind": "c", "size": 2, "flag": True}
    nevergrad = NevergradSearcher(space, 0, optimizer="DiscreteOnePlusOne", encoding="mixed")
    kinds = [type(nevergrad._optimizer.parametrization[k]).__name__ for k in range(3)]
    assert kinds == ["Choice", "TransitionChoice", "Choice"]
    for searcher in (optuna, nevergrad):
        found = trajectory(searcher, 17, lambda architecture: space.index(architecture) % 7.0)
        assert len({space.index(vector) for vector in found}) == 17
    with pytest.raises(SearchError, match="encoding=mixed: Optuna's qmc samples categories at random"):
        OptunaSearcher(space, 0, sampler="qmc", encoding="mixed")
    with pytest.raises(SearchError, match="multivariate='yes': expected True, False or None"):
        OptunaSearcher(space, 0, multivariate="yes")  # type: ignore[arg-type]
