from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nasbench_ar
from nasbench_ar import MetricError, MissingEntryError, Oracle, SpaceError
from nasbench_ar.metrics import CORRUPTIONS, CURVES, METRICS
from tests.nasbench_ar.conftest import EPOCHS, TOY, table_of, toy_cells, toy_curves, write_toy

TWO_SEEDS, NO_TEST, NO_ENTRY = TOY.from_index(0), TOY.from_index(5), TOY.from_index(15)
PLAIN = TOY.from_index(7)


def test_values(toy: Oracle) -> None:
    assert toy.query(PLAIN, "test_pgd_acc") == 57.0
    assert toy.query("1-3-2-3", "test_pgd_acc") == 57.0
    assert toy.query([1, 3, 2, 3], "test_pgd_acc") == 57.0
    assert type(toy.query(PLAIN, "test_pgd_acc")) is float
    assert toy.query(PLAIN, "macs") == TOY.macs(PLAIN)
    assert toy.query(NO_ENTRY, "params") == TOY.params(NO_ENTRY)  # known without any training
    assert toy.query(PLAIN, "best_epoch") == toy_curves(7, 0)["val_cw_acc"].argmax()
    assert "toy numbers" in repr(toy)


def test_metrics_and_labels(toy: Oracle) -> None:
    assert toy.metrics == tuple(name for name in METRICS if name in {"macs", "params", *toy.table.scalar_names})
    assert toy.label("val_pgd_acc") == "Val PGD20 (ten steps)"
    assert toy.label("val_cw_acc") == "Val PGD-CW40"


def test_missing_values_raise(toy: Oracle) -> None:
    asked: list[tuple[Any, str]] = [
        (lambda: toy.query(NO_ENTRY, "test_pgd_acc"), "has no entry for 2-3-2-3; it holds 15 of 16 architectures"),
        (lambda: toy.query(NO_ENTRY, "val_pgd_acc", epoch=2), "has no entry for"),
        (lambda: toy.query(NO_ENTRY, "val_pgd_acc", seed="all"), "has no entry for"),
        (lambda: toy.query(NO_ENTRY, "params", seed="all"), "has no entry for"),
        (lambda: toy.query(NO_TEST, "test_pgd_acc"), "no test_pgd_acc for 1-3-1-3: it was not measured"),
        (lambda: toy.query(NO_TEST, "test_pgd_acc", seed="all"), "it was not measured"),
        (lambda: toy.query(PLAIN, "test_pgd_acc", seed=3), r"no training of 1-3-2-3 with seed 3; seeds: \[0\]"),
        (lambda: toy.query(PLAIN, "val_pgd_acc", seed=3, epoch=0), "with seed 3"),
        (lambda: toy.query_many([PLAIN, NO_TEST], "test_pgd_acc"), "for 1-3-1-3: it was not measured"),
        (lambda: toy.query_many(indices=[7, 15], name="test_pgd_acc"), "no entry for 2-3-2-3"),
        (lambda: toy.curve(NO_ENTRY, "val_pgd_acc"), "no entry for"),
        (lambda: toy.curve(PLAIN, "val_pgd_acc", seed=3), "with seed 3"),
        (lambda: toy.corruptions(NO_TEST), "no complete set of corruption acc for 1-3-1-3"),
        (lambda: toy.corruptions(NO_ENTRY), "no entry for"),
        (lambda: toy.record(NO_ENTRY), "no entry for"),
        (lambda: toy.gpu_days(NO_ENTRY), "no entry for"),
    ]
    for ask, message in asked:
        with pytest.raises(MissingEntryError, match=message):
            ask()


def test_wrong_questions(toy: Oracle) -> None:
    asked: list[tuple[Any, type[Exception], str]] = [
        (lambda: toy.query("9-9-9-9", "val_pgd_acc"), SpaceError, "D1=9"),
        (lambda: toy.query(7, "val_pgd_acc"), SpaceError, "not an architecture: 7"),  # type: ignore[arg-type]
        (lambda: toy.query(PLAIN, "val_pgd"), MetricError, "did you mean"),
        (lambda: toy.query(PLAIN, "test_aa_acc"), MetricError, "table toy has no test_aa_acc; it has macs"),
        (lambda: toy.query(PLAIN, "test_aa_acc", seed="all"), MetricError, "has no test_aa_acc"),
        (lambda: toy.query(PLAIN, "val_pgd_acc", epoch=EPOCHS), MetricError, "epochs run from 0 to 5"),
        (lambda: toy.query(PLAIN, "val_pgd_acc", epoch=-1), MetricError, "epoch=-1"),
        (lambda: toy.query(PLAIN, "val_pgd_acc", epoch=True), MetricError, "epoch=True"),
        (lambda: toy.query(PLAIN, "val_pgd_acc", epoch=1.5), MetricError, "epoch=1.5"),  # type: ignore[arg-type]
        (lambda: toy.query(PLAIN, "test_pgd_acc", epoch=2), MetricError, "measured once, after training"),
        (lambda: toy.query(PLAIN, "macs", epoch=2), MetricError, "measured once"),
        (lambda: toy.gpu_days(PLAIN, epoch=99), MetricError, "epochs run from 0 to 5"),
        (lambda: toy.gpu_days(PLAIN, epoch=1.0), MetricError, "epoch=1.0"),  # type: ignore[arg-type]
        (lambda: toy.gpu_days(PLAIN, seed="all"), MetricError, "expected an integer or 'mean'"),  # type: ignore[arg-type]
        (lambda: toy.curve(PLAIN, "test_pgd_acc"), MetricError, "no curve of test_pgd_acc over the epochs"),
        (lambda: toy.corruptions(PLAIN, "loss"), MetricError, "no corruption cells of kind 'loss'; it has acc"),
        (lambda: toy.flag("x"), MetricError, "no flag 'x'; flags: odd"),
        (lambda: toy.optimum("best_epoch"), MetricError, "no better or worse"),
        (lambda: toy.query_many(indices=[0, 16], name="macs"), SpaceError, r"indices= reach .*outside 0\.\.15"),
        (lambda: toy.query_many(indices=[-1], name="macs"), SpaceError, "indices= reach from -1 to -1, outside"),
        (lambda: toy.query_many(arch_ids=[1, 17], name="macs"), SpaceError, r"arch_ids= reach .*outside 1\.\.16"),
        (lambda: toy.query_many(arch_ids=[0], name="macs"), SpaceError, r"outside 1\.\.16"),
        (lambda: toy.query_many(name="macs"), SpaceError, "architectures, indices= or arch_ids="),
        (lambda: toy.query_many([PLAIN], "macs", indices=[0]), SpaceError, "architectures, indices= or arch_ids="),
        (lambda: toy.query_many([PLAIN]), MetricError, "choose from macs, params"),
        (lambda: toy.query_many(["9-9-9-9"], "macs"), SpaceError, "D1=9"),
    ]
    for ask, kind, message in asked:
        with pytest.raises(kind, match=message):
            ask()


@pytest.mark.parametrize("seed", ["median", None, 1.0, True, (0,)])
def test_wrong_seeds(toy: Oracle, seed: Any) -> None:
    toy.column("val_pgd_acc", seed=0)
    toy.query(PLAIN, "val_pgd_acc", seed=0)  # whatever is kept of it
    for ask in (
        lambda: toy.query(PLAIN, "val_pgd_acc", seed=seed),
        lambda: toy.query(PLAIN, "val_pgd_acc", seed=seed, epoch=2),
        lambda: toy.query_many([PLAIN], "val_pgd_acc", seed=seed),
        lambda: toy.curve(PLAIN, "val_pgd_acc", seed=seed),
        lambda: toy.corruptions(PLAIN, seed=seed),
        lambda: toy.column("val_pgd_acc", seed=seed),
    ):
        with pytest.raises(MetricError, match="expected an integer or 'mean'"):
            ask()


def test_mean_one_and_all(toy: Oracle) -> None:
    assert toy.seeds(TWO_SEEDS) == (0, 3)
    assert toy.seeds(NO_ENTRY) == ()
    assert toy.query(TWO_SEEDS, "test_pgd_acc") == 51.5
    assert toy.query(TWO_SEEDS, "test_pgd_acc", seed=3) == 53.0
    assert toy.query(TWO_SEEDS, "test_pgd_acc", seed=np.int64(3)) == 53.0
    np.testing.assert_array_equal(toy.query(TWO_SEEDS, "test_pgd_acc", seed="all"), [50.0, 53.0])
    np.testing.assert_array_equal(toy.query(PLAIN, "test_pgd_acc", seed="all"), [57.0])
    assert toy.query(TWO_SEEDS, "macs") == TOY.macs(TWO_SEEDS)
    assert toy.available("test_pgd_acc", seed=3).tolist() == [True] + [False] * 15
    first, second = (toy_curves(0, seed)["val_loss"] for seed in (0, 3))
    np.testing.assert_allclose(toy.curve(TWO_SEEDS, "val_loss"), (first + second) / 2)
    np.testing.assert_array_equal(toy.curve(TWO_SEEDS, "val_loss", seed=3), second)
    np.testing.assert_allclose(
        toy.corruptions(TWO_SEEDS)["fog"], (toy_cells(0, 0) + toy_cells(0, 3))[CORRUPTIONS.index("fog")] / 2
    )


def test_means_are_over_the_trainings_that_have_the_value(tmp_path: Path) -> None:
    curves = {name: np.arange(4.0) for name in CURVES}
    measured = {"val_pgd_acc": 3.0, "best_epoch": 3, "curves": curves}
    oracle = Oracle(table_of(tmp_path / "t", (PLAIN, measured), (PLAIN, {"seed": 1})))
    assert oracle.query(PLAIN, "val_pgd_acc") == 3.0
    assert oracle.query(PLAIN, "val_pgd_acc", epoch=3) == 3.0
    assert oracle.query(PLAIN, "val_pgd_acc", seed="all").tolist() == [3.0]
    assert oracle.curve(PLAIN, "val_pgd_acc").tolist() == [0, 1, 2, 3]
    for more in ({}, {"epoch": 2}):
        with pytest.raises(MissingEntryError, match="it was not measured"):
            oracle.query(PLAIN, "val_pgd_acc", seed=1, **more)


def test_means_that_are_equal_in_decimals_tie(tmp_path: Path) -> None:
    trainings = [(38.1, 38.2, 38.3), (38.2, 38.2, 38.2), (37.7, 38.0, 38.9), (1e-7, 2e-7, 3e-7), (0.0, 0.0, 0.0)]
    rows = [
        (TOY.from_index(k), {"seed": seed, "val_pgd_loss": value})
        for k, values in enumerate(trainings)
        for seed, value in enumerate(values)
    ]
    column = Oracle(table_of(tmp_path / "t", *rows)).column("val_pgd_loss")
    assert len({sum(values) / 3 for values in trainings[:3]}) > 1, "as they are, they do not"
    assert column[:5].tolist() == [38.2, 38.2, 38.2, 2e-7, 0.0]
    for seeds in ((0,), (0, 1, 2)):  # what agrees is taken as it is
        rows = [(PLAIN, {"seed": seed, "val_pgd_loss": 1 / 3}) for seed in seeds]
        agreed = Oracle(table_of(tmp_path / str(len(seeds)), *rows))
        assert np.nanmax(agreed.column("val_pgd_loss")) == agreed.query(PLAIN, "val_pgd_loss") == 1 / 3


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_a_stopped_training(toy: Oracle, epoch: int) -> None:
    for index in range(1, 15):
        architecture, curves = TOY.from_index(index), toy_curves(index, 0)
        best = int(curves["val_cw_acc"][: epoch + 1].argmax())
        assert toy.query(architecture, "best_epoch", epoch=epoch) == best
        for name in CURVES:
            assert toy.query(architecture, name, epoch=epoch) == curves[name][best]
            np.testing.assert_array_equal(toy.curve(architecture, name, epoch=epoch), curves[name][: epoch + 1])
        stopped = toy.query(architecture, "val_best_clean_acc", epoch=epoch)
        assert stopped == curves["val_clean_acc"][: epoch + 1].max()


def test_the_last_epoch_is_the_finished_training(toy: Oracle) -> None:
    for name in (*CURVES, "best_epoch", "val_best_pgd_acc"):
        for architecture in (PLAIN, TWO_SEEDS):
            assert toy.query(architecture, name, epoch=EPOCHS - 1) == pytest.approx(toy.query(architecture, name))


@pytest.mark.parametrize("epoch", range(EPOCHS - 1))
def test_nothing_later_than_the_epoch_is_revealed(tmp_path: Path, epoch: int) -> None:
    """Other values after the epoch, or none at all, change no answer."""

    def oracle(later: float, name: str) -> Oracle:
        curves = {}
        for curve, values in toy_curves(7, 0).items():
            curves[curve] = values.copy()
            curves[curve][epoch + 1 :] = later
        return Oracle(table_of(tmp_path / name, (PLAIN, {"training_time_gpu_days": 6.0, "curves": curves})))

    def answers(oracle: Oracle) -> list[Any]:
        names = (*CURVES, "best_epoch", "val_best_clean_acc", "val_best_pgd_acc", "val_best_cw_acc")
        out: list[Any] = [oracle.query(PLAIN, name, epoch=epoch) for name in names]
        out += [oracle.curve(PLAIN, name, epoch=epoch).tolist() for name in CURVES]
        return [*out, oracle.gpu_days(PLAIN, epoch=epoch)]

    expected = answers(oracle(1.0, "low"))
    assert answers(oracle(99.0, "high")) == expected
    assert answers(oracle(np.nan, "none")) == expected


def test_best_epoch_is_the_first_on_ties(tmp_path: Path) -> None:
    curves = {name: np.arange(4.0) for name in CURVES} | {"val_cw_acc": np.array([1.0, 5.0, 5.0, 2.0])}
    oracle = Oracle(table_of(tmp_path / "t", (PLAIN, {"curves": curves})))
    assert oracle.query(PLAIN, "best_epoch", epoch=3) == 1
    assert oracle.query(PLAIN, "val_pgd_acc", epoch=3) == 1.0


def test_cost_is_shared_by_the_epochs(toy: Oracle) -> None:
    assert toy.gpu_days(PLAIN) == 8.0
    assert toy.gpu_days(PLAIN, epoch=EPOCHS - 1) == 8.0
    assert toy.gpu_days(PLAIN, epoch=2) == 4.0
    assert toy.gpu_days(TWO_SEEDS) == 2.5
    assert toy.gpu_days(TWO_SEEDS, seed=3) == 4.0


@pytest.mark.parametrize("seed", ["mean", 0])
def test_many_equal_one_by_one(toy: Oracle, seed: Any) -> None:
    architectures = [TOY.from_index(i) for i in (3, 0, 14, 3, 7)]
    for name in ("test_pgd_acc", "val_cw_lip", "params", "training_time_gpu_days"):
        one_by_one = [toy.query(a, name, seed=seed) for a in architectures]
        for form in (architectures, map(str, architectures), np.array(architectures), iter(architectures)):
            values = toy.query_many(form, name, seed=seed)
            assert values.dtype == np.float64
            assert values.tolist() == one_by_one
        for numbers in ({"indices": TOY.indices(architectures)}, {"arch_ids": TOY.arch_ids(architectures)}):
            assert toy.query_many(name=name, seed=seed, **numbers).tolist() == one_by_one
    assert toy.query_many([], "params").shape == (0,)
    assert toy.query_many(indices=[], name="params").shape == (0,)


def _at_epoch_1(ask: Callable[[Any, int], object], given: Any) -> object:
    return ask(given, 1)


def test_no_call_takes_a_number_for_an_architecture(toy: Oracle) -> None:
    """Of 7, no one can say whether it is arch_id 7 or index 7, which are different networks."""
    session, vectors = toy.session(budget=5), toy.vector_session(["val_pgd_acc", "macs"], budget=5)
    epochs = toy.fidelity_session(budget=5)
    calls: list[Callable[[Any], object]] = [
        lambda given: toy.query(given, "val_pgd_acc"),
        lambda given: toy.query(given, "val_pgd_acc", seed="all"),
        lambda given: toy.query_many(given, "val_pgd_acc"),
        lambda given: toy.curve(given, "val_pgd_acc"),
        toy.corruptions,
        toy.record,
        toy.seeds,
        toy.gpu_days,
        *(getattr(one, name) for one in (session, vectors) for name in ("query", "score", "feasible")),
        *(partial(_at_epoch_1, getattr(epochs, name)) for name in ("query", "scores", "price", "affordable")),
        epochs.known_epochs,
        *(getattr(toy.space, name) for name in ("parse", "index", "arch_id", "neighbours", "macs", "params")),
        *(getattr(toy.space, name) for name in ("indices", "arch_ids", "vectors", "digits", "one_hot", "ordinal")),
        *(getattr(toy.space, name) for name in ("macs_many", "params_many", "restricted_to")),
    ]
    for call in calls:
        for given in (7, np.int64(7), np.array(7), np.array([7]), [7]):
            with pytest.raises(SpaceError, match=r"arch_ids? .*ind(ex|ices)"):
                call(given)
    problem = nasbench_ar.nevergrad_problem(budget=3, table=toy)
    with pytest.raises(SpaceError, match="arch_id .* index"):
        problem(7)
    assert (session.spent, vectors.spent, epochs.spent, problem.session.spent) == (0, 0, 0, 0)


def test_numbers_that_say_what_they_are(toy: Oracle) -> None:
    space = toy.space
    for architecture in space:
        index, arch_id = space.index(architecture), space.arch_id(architecture)
        assert space.from_index(index) == space.from_arch_id(arch_id) == architecture
        for given in ({"indices": [index]}, {"arch_ids": np.array([arch_id])}, {"architectures": [architecture]}):
            assert space.indices(**given).tolist() == [index]
            assert space.vectors(**given).tolist() == [list(architecture)]
            assert space.macs_many(**given).tolist() == toy.query_many(name="macs", **given).tolist()
            assert list(space.restricted_to(**given)) == [architecture]
        assert space.arch_ids([architecture]).tolist() == space.arch_ids(indices=[index]).tolist() == [arch_id]
    asked: list[tuple[Callable[[], object], str]] = [
        (
            lambda: space.vectors(indices=[0.0, 1.0]),
            r"indices=: expected whole .* in one dimension; given: float64 \(2,\)",
        ),
        (lambda: toy.query_many(indices=np.ones(16, dtype=bool), name="macs"), "given: bool"),
        (lambda: space.one_hot(arch_ids=np.array([[1, 2]])), r"given: int64 \(1, 2\)"),
        (lambda: toy.query_many("1-1-2-3", "macs"), "one architecture; several are expected"),
        (lambda: toy.query_many(2.5, "macs"), "expected several architectures"),
    ]
    for ask, message in asked:
        with pytest.raises(SpaceError, match=message):
            ask()


def test_columns_flags_and_availability(toy: Oracle) -> None:
    column = toy.column("test_pgd_acc")
    assert np.flatnonzero(np.isnan(column)).tolist() == [5, 15]
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 1.0
    assert np.flatnonzero(~toy.available("val_pgd_acc", "test_pgd_acc")).tolist() == [5, 15]
    assert toy.available().all()
    assert np.flatnonzero(toy.flag("odd")).tolist() == [1, 3, 5, 7, 9, 11, 13]


def test_optimum(toy: Oracle) -> None:
    assert toy.optimum("test_pgd_acc") == (TOY.from_index(14), 64.0)
    assert toy.optimum("training_time_gpu_days") == (TOY.from_index(1), 2.0)
    assert toy.optimum("test_pgd_acc", seed=3) == (TWO_SEEDS, 53.0)
    assert toy.optimum("macs")[0] == TOY.from_index(0)
    with pytest.raises(MissingEntryError, match=r"^table toy has no training with seed 99; seeds: \[0, 3\], or mean$"):
        toy.optimum("test_pgd_acc", seed=99)
    values = [toy.query(TOY.from_index(i), "val_cw_loss") for i in range(15)]
    assert toy.optimum("val_cw_loss")[1] == min(values)


def test_searchable_space(toy: Oracle) -> None:
    assert len(toy.searchable_space("test_pgd_acc")) == 14
    assert NO_TEST not in toy.searchable_space("test_pgd_acc")
    assert len(toy.searchable_space("val_pgd_acc")) == 15
    with pytest.raises(MissingEntryError, match=r"no training with seed 99; seeds: \[0, 3\], or mean"):
        toy.searchable_space("val_pgd_acc", seed=99)


def test_record(toy: Oracle) -> None:
    record = toy.record(TWO_SEEDS)
    assert record["arch"] == TWO_SEEDS
    assert record["arch_id"] == TOY.arch_id(TWO_SEEDS)
    assert (record["macs"], record["params"]) == (TOY.macs(TWO_SEEDS), TOY.params(TWO_SEEDS))
    assert [t["seed"] for t in record["trainings"]] == [0, 3]
    training = record["trainings"][1]
    assert training["test_pgd_acc"] == 53.0
    assert training["gpu_type"] == "gpu0"
    assert training["odd"] is False
    np.testing.assert_array_equal(training["curves"]["val_cw_lip"], toy_curves(0, 3)["val_cw_lip"])
    assert training["corruptions"]["contrast"]["4"] == {"acc": toy_cells(0, 3)[1, 3]}
    untested = toy.record(NO_TEST)["trainings"][0]
    assert "corruptions" not in untested
    assert "test_pgd_acc" not in untested


def test_records_show_single_cells(tmp_path: Path) -> None:
    cells = np.full((19, 5), np.nan)
    cells[2, 0] = 77.0
    oracle = Oracle(table_of(tmp_path / "t", (PLAIN, {"corruption_acc": cells})))
    assert oracle.record(PLAIN)["trainings"][0]["corruptions"] == {"defocus_blur": {"1": {"acc": 77.0}}}
    with pytest.raises(MissingEntryError, match="no complete set"):
        oracle.corruptions(PLAIN)


def test_tables_without_curves(tmp_path: Path) -> None:
    oracle = Oracle(table_of(tmp_path / "t", (PLAIN, {"val_pgd_acc": 1.0, "training_time_gpu_days": 2.0})))
    asked: list[tuple[Callable[[], object], str]] = [
        (lambda: oracle.query(PLAIN, "val_pgd_acc", epoch=0), "no curve of val_pgd_acc .*; curves: none at all"),
        (lambda: oracle.gpu_days(PLAIN, epoch=0), "it has no values by epoch"),
        (lambda: oracle.flag("x"), "flags: none"),
        (lambda: oracle.corruptions(PLAIN), "it has none"),
    ]
    for ask, message in asked:
        with pytest.raises(MetricError, match=message):
            ask()


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    toy = Oracle(write_toy(tmp_path / "a"))
    table, rows = toy.table, []
    for row in np.random.default_rng(0).permutation(16).tolist():
        scalars = {n: v for n in table.scalar_names if not np.isnan(v := table.scalar(n)[row])}
        others = {"seed": int(table.seeds[row]), "curves": {n: table.curve(n)[row] for n in table.curve_names}}
        rows.append((TOY.from_index(int(table.arch_index[row])), scalars | others))
    shuffled = Oracle(table_of(tmp_path / "b", *rows))
    for name in toy.metrics:
        np.testing.assert_array_equal(shuffled.column(name), toy.column(name))
    assert shuffled.seeds(TWO_SEEDS) == (0, 3)
    for index in range(15):
        a = TOY.from_index(index)
        assert shuffled.query(a, "val_pgd_acc", epoch=3) == toy.query(a, "val_pgd_acc", epoch=3)
