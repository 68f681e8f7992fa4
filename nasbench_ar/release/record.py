"""One line of the authors' file, checked field by field (format: NARes, the released `cifar10.jsonl`).

    {"arch_id": 1, "arch": {"D1": 4, "W1": 8, ...}, "MACs": 3361.9, "Params": 23.35,
     "train": [{"seed": 0, "best_epoch": 76, ..., "val_acc": [...], "cw": [...]}],
     "test_best": [{"test_clean_acc": 87.5, ..., "corruptions": {"fog": {"1": {"acc": 86.1, "loss": 0.5}}}}]}

MACs and Params are in millions, accuracies are percentages, training_time is in
GPU-days.  Test values may be missing, one by one or all of them; gpu_type, timestamp
and training_time may be missing or null; everything else is required.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson

from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SpaceError, shown
from nasbench_ar.metrics import CORRUPTIONS, CURVES, METRICS, SEVERITIES
from nasbench_ar.space import SearchSpace

LABELS = ("gpu_type", "timestamp")
TEST_METRICS = {m.release_key: name for name, m in METRICS.items() if m.release_key is not None}
COST_TOLERANCE = 1e-5

_TOP_KEYS = frozenset({"arch_id", "arch", "MACs", "Params", "train", "test_best"})
_TRAIN_KEYS = frozenset({"seed", "best_epoch", "training_time", *LABELS, *CURVES.values()})
_TEST_KEYS = frozenset({"seed", "corruptions", *TEST_METRICS})
_NUMBER = frozenset({int, float})
_CURVE_ROW = {name: row for row, name in enumerate(CURVES)}
_PERCENT_ROWS = [row for name, row in _CURVE_ROW.items() if METRICS[name].unit == "%"]
_CW_ROW = _CURVE_ROW["val_cw_acc"]
_MAXIMA = {name: _CURVE_ROW[str(METRICS[name].curve)] for name in METRICS if name.startswith("val_best_")}
_SEVERITY_KEYS = tuple(map(str, SEVERITIES))
_KINDS = ("acc", "loss")


class RecordError(ValueError):
    """What is wrong with a line, and what to do; the importer adds file and line."""


@dataclass(frozen=True, slots=True)
class Training:
    """One future row of a table.

    Attributes:
        labels: gpu_type and timestamp, if given.
        curves: (12, epochs) float64, in the order of `CURVES`.
        corruptions: `acc` and `loss`, if given -> (19, 5) float64, NaN where missing.
        first_best: whether best_epoch is the first of the highest PGD-CW40 accuracy.
    """

    seed: int
    scalars: dict[str, float]
    labels: dict[str, str]
    curves: FloatArray
    corruptions: dict[str, FloatArray]
    first_best: bool


class RecordReader:
    """Checks lines against a space and against each other; `unknown` counts fields that the release does not have."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.epochs: int | None = None
        self.unknown: Counter[str] = Counter()
        every = np.arange(space.product_size)
        self._macs = space.macs_many(indices=every).tolist()
        self._params = space.params_many(indices=every).tolist()
        self._entries = space.entry_names

    def read(self, line: bytes) -> tuple[Architecture, list[Training]]:
        """Parse and check one line, or raise `RecordError`."""
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            cut = "" if line.endswith(b"\n") else "; the file seems to be cut short"
            raise RecordError(f"not valid JSON ({error}){cut}") from None
        record = _object("the line", record)
        self._tally(record, _TOP_KEYS)
        architecture = self._architecture(record)
        runs = _list("train", _required(record, "train"))
        if not runs:
            raise RecordError("train is empty; expected one object for each training")
        seeds = [self._seed("train", k, run) for k, run in enumerate(runs)]
        if len(set(seeds)) != len(seeds):
            raise RecordError(f"train repeats a seed: {seeds}; each training needs its own")
        tests = self._paired_tests(record, seeds)
        pairs = zip(seeds, runs, tests, strict=True)
        return architecture, [self._training(k, *pair) for k, pair in enumerate(pairs)]

    def _tally(self, given: Mapping[str, Any], known: frozenset[str]) -> None:
        if not given.keys() <= known:
            self.unknown.update(given.keys() - known)

    def _architecture(self, record: Mapping[str, Any]) -> Architecture:
        arch = _object("arch", _required(record, "arch"))
        if arch.keys() != set(self._entries):
            raise RecordError(f"arch has the keys {shown(sorted(arch), 200)}; expected {', '.join(self._entries)}")
        try:
            found = Architecture(*(_integer(f"arch.{entry}", arch[entry]) for entry in self._entries))
            index = self.space.index(found)
        except SpaceError as error:
            raise RecordError(str(error)) from None
        arch_id, official = _integer("arch_id", _required(record, "arch_id")), self.space.arch_id(found)
        if arch_id != official:
            raise RecordError(f"arch_id is {arch_id}, but architecture {found} has the number {official}")
        for key, exact in (("MACs", self._macs[index]), ("Params", self._params[index])):
            given = _number(key, _required(record, key))
            if not abs(given * 1e6 - exact) <= COST_TOLERANCE * exact:
                raise RecordError(f"{key} is {given!r} millions, but architecture {found} has {exact / 1e6!r}")
        return found

    def _seed(self, where: str, k: int, run: Any) -> int:
        name = f"{where}[{k}]"
        seed = _integer(f"{name}.seed", _required(_object(name, run), "seed", name))
        if not -(2**63) <= seed < 2**63:
            raise RecordError(f"{name}.seed is {seed}; expected a 64-bit integer")
        return seed

    def _paired_tests(self, record: Mapping[str, Any], seeds: list[int]) -> list[Mapping[str, Any]]:
        """For each training its object of `test_best`, empty where there is none."""
        tests = _list("test_best", record.get("test_best", []))
        if not tests:
            return [{} for _ in seeds]
        named = [k for k, test in enumerate(tests) if "seed" in _object(f"test_best[{k}]", test)]
        if not named and len(tests) == len(seeds):
            return tests
        if len(named) != len(tests):
            raise RecordError(
                f"train has {len(seeds)} objects and test_best {len(tests)}, of which {len(named)} carry a seed: "
                "ambiguous; give as many, or a seed in each object of test_best"
            )
        by_seed = {self._seed("test_best", k, test): test for k, test in enumerate(tests)}
        if len(by_seed) != len(tests):
            raise RecordError("test_best repeats a seed; each training has one object at most")
        if strays := sorted(by_seed.keys() - set(seeds)):
            raise RecordError(f"test_best has the seed {strays[0]}, which train has not; its seeds are {seeds}")
        return [by_seed.get(seed, {}) for seed in seeds]

    def _training(self, k: int, seed: int, run: Mapping[str, Any], test: Mapping[str, Any]) -> Training:
        where = f"train[{k}]"
        self._tally(run, _TRAIN_KEYS)
        curves = self._curves(where, run)
        epochs = curves.shape[1]
        best = _integer(f"{where}.best_epoch", _required(run, "best_epoch", where))
        if not 0 <= best < epochs:
            raise RecordError(f"{where}.best_epoch is {best}; expected 0 to {epochs - 1}")
        scalars = {"best_epoch": float(best), **dict(zip(CURVES, curves[:, best].tolist(), strict=True))}
        maxima = curves.max(axis=1)
        scalars |= {name: float(maxima[row]) for name, row in _MAXIMA.items()}
        if run.get("training_time") is not None:
            days = _number(f"{where}.training_time", run["training_time"])
            if days < 0:
                raise RecordError(f"{where}.training_time is {days}; expected GPU-days, not negative")
            scalars["training_time_gpu_days"] = days
        labels = {key: _text(f"{where}.{key}", run[key]) for key in LABELS if run.get(key) is not None}
        corruptions = self._test_values(f"test_best[seed {seed}]", test, scalars)
        return Training(seed, scalars, labels, curves, corruptions, int(curves[_CW_ROW].argmax()) == best)

    def _curves(self, where: str, run: Mapping[str, Any]) -> FloatArray:
        curves = [_list(f"{where}.{key}", _required(run, key, where)) for key in CURVES.values()]
        epochs = self.epochs or len(curves[0])
        for key, curve in zip(CURVES.values(), curves, strict=True):
            if len(curve) != epochs or not epochs:
                expected = epochs or "at least 1"
                raise RecordError(
                    f"{where}.{key} has {len(curve)} values; expected {expected}, as all curves of a file"
                )
        flat = list(chain.from_iterable(curves))
        if not _NUMBER.issuperset(map(type, flat)):
            for key, curve in zip(CURVES.values(), curves, strict=True):
                for epoch, value in enumerate(curve):
                    _number(f"{where}.{key}[{epoch}]", value)
        values = np.array(flat, dtype=np.float64).reshape(len(curves), epochs)
        wrong = ~np.isfinite(values)
        wrong[_PERCENT_ROWS] |= (values[_PERCENT_ROWS] < 0) | (values[_PERCENT_ROWS] > 100)
        if wrong.any():
            row, epoch = np.argwhere(wrong)[0]
            key = tuple(CURVES.values())[row]
            raise RecordError(
                f"{where}.{key}[{epoch}] is {values[row, epoch]}; expected {_range(row in _PERCENT_ROWS)}"
            )
        self.epochs = epochs
        return values

    def _test_values(self, where: str, test: Mapping[str, Any], scalars: dict[str, float]) -> dict[str, FloatArray]:
        """Adds the test metrics to `scalars`; returns the corruption cells by kind."""
        self._tally(test, _TEST_KEYS)
        for key, name in TEST_METRICS.items():
            if key in test:
                scalars[name] = _measured(f"{where}.{key}", test[key], percent=METRICS[name].unit == "%")
        if "corruptions" not in test:
            return {}
        cells = _corruption_cells(f"{where}.corruptions", test["corruptions"])
        if "acc" in cells and not np.isnan(cells["acc"]).any():
            scalars["test_corrupt_acc"] = float(cells["acc"].mean())
        return cells


def _corruption_cells(where: str, given: Any) -> dict[str, FloatArray]:
    by_name = _object(where, given)
    _only(where, by_name, CORRUPTIONS)
    missing = float("nan")
    flat: list[Any] = []
    empty: dict[str, Any] = {}
    for corruption in CORRUPTIONS:
        by_severity = by_name.get(corruption, empty)
        if type(by_severity) is not dict or not by_severity.keys() <= set(_SEVERITY_KEYS):
            _only(f"{where}.{corruption}", _object(f"{where}.{corruption}", by_severity), _SEVERITY_KEYS)
        for severity in _SEVERITY_KEYS:
            cell = by_severity.get(severity, empty)
            if type(cell) is not dict or not cell.keys() <= {"acc", "loss"}:
                _only(f"{where}.{corruption}.{severity}", _object(f"{where}.{corruption}.{severity}", cell), _KINDS)
            flat.append(cell.get("acc", missing))
            flat.append(cell.get("loss", missing))
    fits = _NUMBER.issuperset(map(type, flat))
    values = np.array(flat, dtype=np.float64) if fits else np.empty(0)
    acc = values[0::2]
    if not fits or np.isinf(values).any() or (acc < 0).any() or (acc > 100).any():
        for name, severities in by_name.items():
            for severity, cell in severities.items():
                for kind, value in cell.items():
                    _measured(f"{where}.{name}.{severity}.{kind}", value, percent=kind == "acc")
    grids = values.reshape(len(CORRUPTIONS), len(SEVERITIES), len(_KINDS))
    found = {kind: grids[:, :, k] for k, kind in enumerate(_KINDS)}
    return {kind: grid for kind, grid in found.items() if not np.isnan(grid).all()}


def _required(record: Mapping[str, Any], key: str, where: str = "the record") -> Any:
    if key not in record:
        raise RecordError(f"{where} has no field {key!r}, which is required")
    return record[key]


def _object(where: str, value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise RecordError(f"{where} is {shown(value)}; expected an object")
    return value


def _list(where: str, value: Any) -> list[Any]:
    if type(value) is not list:
        raise RecordError(f"{where} is {shown(value)}; expected a list")
    return value


def _only(where: str, given: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for key in given:
        if key not in allowed:
            raise RecordError(f"{where} has the key {shown(key)}; allowed are {', '.join(allowed)}")


def _integer(where: str, value: Any) -> int:
    if type(value) is not int:
        raise RecordError(f"{where} is {shown(value)}; expected an integer")
    return value


def _number(where: str, value: Any) -> float:
    if type(value) not in _NUMBER:
        raise RecordError(f"{where} is {shown(value)}; expected a number (leave out what is missing)")
    if not np.isfinite(value):
        raise RecordError(f"{where} is {value}; expected a finite number")
    return float(value)


def _measured(where: str, value: Any, *, percent: bool) -> float:
    number = _number(where, value)
    if percent and not 0 <= number <= 100:
        raise RecordError(f"{where} is {number}; expected {_range(True)}")
    return number


def _text(where: str, value: Any) -> str:
    if type(value) is not str or len(value) > 200 or not value.isprintable():
        raise RecordError(f"{where} is {shown(value)}; expected a short text")
    return value


def _range(percent: bool) -> str:
    return "a percentage, 0 to 100" if percent else "a finite number"
