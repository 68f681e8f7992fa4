"""One line of the authors' file by itself: what may be missing, and values at the ends of their ranges."""

import copy
from typing import Any

import numpy as np
import orjson
import pytest

from nasbench_ar import NARES, Architecture
from nasbench_ar.metrics import CORRUPTIONS, CURVES, METRICS
from nasbench_ar.release.record import TEST_METRICS, RecordError, RecordReader, Training
from tests.nasbench_ar.release.synthetic_release import make_record

Record = dict[str, Any]
EPOCHS = 4


@pytest.fixture(scope="module")
def reader() -> RecordReader:
    return RecordReader(NARES)


@pytest.fixture
def record() -> Record:
    return make_record(NARES.from_arch_id(3), seeds=(0,), epochs=EPOCHS)


def read(reader: RecordReader, record: Record) -> list[Training]:
    architecture, trainings = reader.read(orjson.dumps(record) + b"\n")
    assert architecture == NARES.from_arch_id(3)
    return trainings


@pytest.mark.parametrize("end", [0, 100, 0.0, 100.0])
def test_percentages_reach_from_0_to_100(reader: RecordReader, record: Record, end: float) -> None:
    percentages = [name for name in CURVES if METRICS[name].unit == "%"]
    for name in percentages:
        record["train"][0][CURVES[name]] = [end] * EPOCHS
    for key, name in TEST_METRICS.items():
        if METRICS[name].unit == "%":
            record["test_best"][0][key] = end
    for cells in record["test_best"][0]["corruptions"].values():
        for cell in cells.values():
            cell["acc"] = end
    (training,) = read(reader, record)
    assert {training.scalars[name] for name in percentages} == {end}
    assert training.scalars["test_pgd_acc"] == training.scalars["test_corrupt_acc"] == end
    assert (training.corruptions["acc"] == end).all()


def test_what_a_training_may_lack(reader: RecordReader, record: Record) -> None:
    for key in ("gpu_type", "timestamp", "training_time"):
        del record["train"][0][key]
    record["test_best"] = [{}]
    (training,) = read(reader, record)
    assert training.labels == {}
    assert training.corruptions == {}
    assert set(training.scalars) == {*CURVES, "best_epoch", "val_best_clean_acc", "val_best_pgd_acc", "val_best_cw_acc"}
    for absent in ([], None):
        if absent is None:
            del record["test_best"]
        else:
            record["test_best"] = absent
        assert read(reader, record)[0].scalars == training.scalars


def test_a_training_of_no_time(reader: RecordReader, record: Record) -> None:
    record["train"][0].update(training_time=0, gpu_type="x" * 200)
    (training,) = read(reader, record)
    assert training.scalars["training_time_gpu_days"] == 0
    assert training.labels["gpu_type"] == "x" * 200


@pytest.mark.parametrize("kind", ["acc", "loss"])
def test_a_missing_kind_of_corruption_values(reader: RecordReader, record: Record, kind: str) -> None:
    other = {"acc": "loss", "loss": "acc"}[kind]
    for cells in record["test_best"][0]["corruptions"].values():
        for cell in cells.values():
            del cell[kind]
    (training,) = read(reader, record)
    assert set(training.corruptions) == {other}
    assert ("test_corrupt_acc" in training.scalars) == (kind == "loss")


def test_missing_corruption_cells(reader: RecordReader, record: Record) -> None:
    whole = copy.deepcopy(record["test_best"][0]["corruptions"])
    cells = record["test_best"][0]["corruptions"]
    del cells["fog"], cells["snow"]["2"], cells["frost"]["5"]["acc"], cells["contrast"]["1"]["loss"]
    (training,) = read(reader, record)
    for kind in ("acc", "loss"):
        expected = np.array([[whole[c][str(s)][kind] for s in range(1, 6)] for c in CORRUPTIONS])
        expected[CORRUPTIONS.index("fog")] = np.nan
        expected[CORRUPTIONS.index("snow"), 1] = np.nan
        expected[CORRUPTIONS.index("frost" if kind == "acc" else "contrast"), 4 if kind == "acc" else 0] = np.nan
        np.testing.assert_array_equal(training.corruptions[kind], expected)
    assert "test_corrupt_acc" not in training.scalars  # the mean of some would be another measure


def test_no_corruption_cell_at_all(reader: RecordReader, record: Record) -> None:
    for nothing in ({}, {"fog": {}}, {"fog": {"1": {}}}):
        record["test_best"][0]["corruptions"] = nothing
        assert read(reader, record)[0].corruptions == {}


@pytest.mark.parametrize("seed", [-(2**63), 2**63 - 1])
def test_the_largest_seeds(reader: RecordReader, record: Record, seed: int) -> None:
    record["train"][0]["seed"] = seed
    assert read(reader, record)[0].seed == seed


def test_tests_are_paired_by_their_seed(reader: RecordReader) -> None:
    record = make_record(NARES.from_arch_id(3), seeds=(5, 1, 3), epochs=EPOCHS)
    first, second, third = record["test_best"]
    by_position = [training.scalars["test_pgd_acc"] for training in read(reader, record)]
    assert by_position == [test["Linf_pgd_acc"] for test in (first, second, third)]
    record["test_best"] = [{**third, "seed": 3}, {**first, "seed": 5}]
    trainings = read(reader, record)
    assert [training.seed for training in trainings] == [5, 1, 3]
    assert [training.scalars.get("test_pgd_acc") for training in trainings] == [by_position[0], None, by_position[2]]
    for seeds, message in [
        ((5, 5), "^test_best repeats a seed; each training has one object at most$"),
        ((5, 4), r"^test_best has the seed 4, which train has not; its seeds are \[5, 1, 3\]$"),
        ((5, None), "^train has 3 objects and test_best 2, of which 1 carry a seed: ambiguous;"),
        ((None,) * 4, "^train has 3 objects and test_best 4, of which 0 carry a seed: ambiguous;"),
        ((None,), "^train has 3 objects and test_best 1, of which 0 carry a seed: ambiguous;"),
        ((5, "3"), r"^test_best\[1\]\.seed is '3'; expected an integer"),
    ]:
        record["test_best"] = [{} if seed is None else {"seed": seed} for seed in seeds]
        with pytest.raises(RecordError, match=message):
            read(reader, record)


def test_best_epochs_that_are_not_the_first(reader: RecordReader, record: Record) -> None:
    record["train"][0].update(cw=[1.0, 3.0, 3.0, 2.0], best_epoch=2)
    assert not read(reader, record)[0].first_best
    record["train"][0]["best_epoch"] = 1
    assert read(reader, record)[0].first_best


def test_costs_agree_to_the_digits_of_the_file(reader: RecordReader, record: Record) -> None:
    exact = NARES.macs(NARES.from_arch_id(3)) / 1e6
    for factor, accepted in ((1 + 0.9e-5, True), (1 - 0.9e-5, True), (1 + 1.1e-5, False), (1 - 1.1e-5, False)):
        record["MACs"] = exact * factor
        if accepted:
            read(reader, record)
        else:
            with pytest.raises(RecordError, match="^MACs is .* millions, but architecture"):
                read(reader, record)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"arch_id": 1', r"^not valid JSON \(.*\); the file seems to be cut short$"),
        (b'{"arch_id": 1\n', r"^not valid JSON \([^;]*\)$"),
        (b"[1]\n", r"^the line is \[1\]; expected an object$"),
    ],
)
def test_lines_that_are_no_records(reader: RecordReader, line: bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        reader.read(line)


def test_unknown_fields_are_counted() -> None:
    reader = RecordReader(NARES)
    record = make_record(Architecture(4, 8, 4, 8, 4, 8), epochs=EPOCHS)
    assert not reader.unknown
    record["train"][0]["new"] = record["new"] = 1
    record["test_best"][0]["newer"] = 1
    reader.read(orjson.dumps(record))
    assert reader.unknown == {"new": 2, "newer": 1}
