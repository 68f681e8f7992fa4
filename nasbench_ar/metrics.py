"""The catalogue of metrics, under the names of the dataset's authors (NARes, sections 3.2 to 3.4).

Accuracies are percentages.  `val_*` and `train_*` metrics are read at the best
epoch, the one of highest validation PGD-CW40 accuracy (first on ties);
`val_best_*_acc` are the maxima over all epochs of each accuracy on its own, which
is another number.  `test_*` metrics belong to the checkpoint of the best epoch.

    >>> METRICS["val_pgd_acc"].label
    'Val PGD20'
    >>> objective("test_pgd_acc")
    Traceback (most recent call last):
    nasbench_ar.errors.MetricError: test_pgd_acc is a test metric and may not guide a search: ...
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.errors import MetricError, shown
from nasbench_ar.grid import Grid

CORRUPTIONS = (
    "brightness",
    "contrast",
    "defocus_blur",
    "elastic_transform",
    "fog",
    "frost",
    "gaussian_blur",
    "gaussian_noise",
    "glass_blur",
    "impulse_noise",
    "jpeg_compression",
    "motion_blur",
    "pixelate",
    "saturate",
    "shot_noise",
    "snow",
    "spatter",
    "speckle_noise",
    "zoom_blur",
)
SEVERITIES = (1, 2, 3, 4, 5)
CW_LOSS_IMAGES = 100  # the batch over which the authors' cw_loss adds up margins
CELLS_LIKE = {"acc": "test_corrupt_acc", "loss": "test_loss"}  # kind of corruption cells -> a metric of the same range


@dataclass(frozen=True)
class Metric:
    """One column of the catalogue, or one that a table defines itself.

        Metric("val_acc", "Val accuracy", "val", "%", True, "mean validation accuracy", searchable=True)

    Attributes:
        name: small letters, digits and underscores.
        label: what reports print.
        split: `train`, `val`, `test` or `cost`.
        unit: `%`, `MACs`, `parameters`, `GPU-days`, `epoch`, empty, or any other text in a table's own.
        maximize: whether higher is better; None where neither is.
        description: what it is, in a line.
        searchable: whether a search may use it as its objective.
        before_training: whether it is known without training, so that limits on it cost no query.
        table2: the row of the published Table 2 it fills or stands in for.
        curve: the per-epoch curve it is read from (names of `CURVES`).
        release_key: its key in `test_best` of the authors' file.
    """

    name: str
    label: str
    split: str
    unit: str
    maximize: bool | None
    description: str
    searchable: bool = False
    before_training: bool = False
    table2: str | None = None
    curve: str | None = None
    release_key: str | None = None

    def impossible(self, values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Which values no network can have; NaN, a missing one, is allowed."""
        wrong = np.isinf(values)
        if self.unit in ("%", "GPU-days", "epoch"):
            wrong |= values < 0
        if self.unit == "%":
            wrong |= values > 100
        if self.unit == "epoch":
            wrong |= (values != np.floor(values)) & ~np.isnan(values)
        return wrong


# Our name of each per-epoch curve -> its key in the authors' file, in their order.
CURVES = {
    "train_loss": "train_loss",
    "train_acc": "train_acc",
    "val_loss": "val_loss",
    "val_clean_acc": "val_acc",
    "val_pgd_acc": "pgd",
    "val_pgd_stable": "pgd_stable",
    "val_pgd_lip": "pgd_lip",
    "val_pgd_loss": "pgd_loss",
    "val_cw_acc": "cw",
    "val_cw_stable": "cw_stable",
    "val_cw_lip": "cw_lip",
    "val_cw_loss": "cw_loss",
}

_KINDS = {  # suffix: (unit, maximize, what it is)
    "acc": ("%", True, "accuracy"),
    "stable": ("%", True, "stable accuracy: share of predictions that the attack leaves unchanged"),
    "lip": ("", False, "empirical Lipschitz constant of the logits"),
    "loss": ("", False, "loss"),
}
_ATTACKED_LOSSES = {
    "val_pgd_loss": "validation loss (PGD20 inputs) before the attack's last step",
    "val_cw_loss": (
        f"minus the sum of the margins max(Z_y - max Z_i, 0) of {CW_LOSS_IMAGES} validation images, averaged "
        "(PGD-CW40 inputs, before the last step): never above 0"
    ),
}
_INPUTS = {"clean": "Clean", "pgd": "PGD20", "cw": "PGD-CW40", "fgsm": "FGSM", "aa": "AA-Compact"}


def _val_metrics() -> Iterable[Metric]:
    yield Metric("best_epoch", "Best epoch", "val", "epoch", None, "epoch of highest validation PGD-CW40 accuracy")
    for curve in CURVES:
        split, *middle, kind = curve.split("_")
        unit, maximize, what = _KINDS[kind]
        attack = _INPUTS[middle[0]] if middle else ("adversarial" if split == "train" else "clean")
        word = "" if kind == "acc" else f" {kind}"
        label = f"Train {kind}" if split == "train" else f"Val {attack}{word}"
        table2 = label if split == "val" and kind == "acc" else None
        text = f"{'training' if split == 'train' else 'validation'} {what} ({attack} inputs)"
        text = f"{_ATTACKED_LOSSES.get(curve, text)}, at the best epoch"
        yield Metric(curve, label, split, unit, maximize, text, True, False, table2, curve)
    for attack in ("clean", "pgd", "cw"):
        label, curve = f"Val {_INPUTS[attack]}", f"val_{attack}_acc"
        text = f"maximum over the epochs of the validation accuracy ({_INPUTS[attack]} inputs)"
        yield Metric(
            f"val_best_{attack}_acc", f"{label}, max over epochs", "val", "%", True, text, True, False, label, curve
        )


def _test_metrics() -> Iterable[Metric]:
    keys = {"test_clean_acc": "test_clean_acc", "test_loss": "test_loss"}
    for attack, kinds in {"fgsm": "acc stable", "pgd": "acc stable lip", "cw": "acc stable lip", "aa": "acc"}.items():
        keys |= {f"test_{attack}_{kind}": f"Linf_{attack}_{kind}" for kind in kinds.split()}
    for name, key in keys.items():
        _, *middle, kind = name.split("_")
        unit, maximize, what = _KINDS[kind]
        attack = _INPUTS[middle[0]] if middle else "clean"
        label = f"Test {attack}" + ("" if kind == "acc" else f" {kind}")
        table2 = label if kind == "acc" else None
        text = f"test {what} ({attack} inputs), checkpoint of the best epoch"
        yield Metric(name, label, "test", unit, maximize, text, False, False, table2, None, key)
    text = "mean accuracy over 19 corruptions x 5 severities of CIFAR-10-C"
    yield Metric("test_corrupt_acc", "Test Corruption", "test", "%", True, text, False, False, "Test Corruption")


def _cost_metrics() -> Iterable[Metric]:
    yield Metric("macs", "MACs", "cost", "MACs", False, "multiply-accumulates for one image, closed form", True, True)
    yield Metric("params", "Params", "cost", "parameters", False, "number of parameters, closed form", True, True)
    text = "measured training time of one network"
    yield Metric("training_time_gpu_days", "Training time", "cost", "GPU-days", False, text)


class _Catalogue(dict[str, Metric]):
    """Shows its names only: all else would fill several screens of a notebook."""

    def __repr__(self) -> str:
        named = {
            split: [m.name for m in self.values() if m.split == split] for split in ("cost", "val", "train", "test")
        }
        lines = [f"  {split}: {', '.join(names)}" for split, names in named.items()]
        return "\n".join([f"{len(self)} metrics; METRICS[name] tells more", *lines])


METRICS: dict[str, Metric] = _Catalogue((m.name, m) for m in (*_cost_metrics(), *_val_metrics(), *_test_metrics()))
"""Every metric by its name; docs/glossary.md lists them."""

# Rows of Table 2 from top to bottom.
TABLE2_ROWS = (
    "Val Clean",
    "Val PGD20",
    "Val PGD-CW40",
    "Test Clean",
    "Test FGSM",
    "Test PGD20",
    "Test PGD-CW40",
    "Test AA-Compact",
    "Test Corruption",
)


def metric(name: str, catalogue: Mapping[str, Metric] = METRICS, among: Collection[str] | None = None) -> Metric:
    """Look a metric up in a catalogue; `among` are names to suggest instead of an unknown one, all by default.

    Raises:
        MetricError: on an unknown name; lists close ones, or all.
    """
    try:
        return catalogue[name]
    except (KeyError, TypeError):
        known = list(catalogue if among is None else among)
        close = difflib.get_close_matches(str(name), known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(known)}"
        raise MetricError(f"unknown metric {shown(name)}; {hint}") from None


def objective(
    name: str,
    *,
    allow_test: bool = False,
    catalogue: Mapping[str, Metric] = METRICS,
    among: Collection[str] | None = None,
) -> Metric:
    """Look up a metric that guides a search; see `metric`.

    `allow_test` is for analyses, never for a comparison of searchers.

    Raises:
        MetricError: when it is unknown, has no direction or no meaning as an objective, or is a
            test metric without `allow_test`.
    """
    found = metric(name, catalogue, among)
    if found.searchable:
        return found
    allowed = [m for m in (catalogue if among is None else among) if catalogue[m].searchable]
    if found.split == "test":
        if allow_test and found.maximize is not None:
            return found
        validation = [m for m in allowed if catalogue[m].split == "val"]
        alike = difflib.get_close_matches(name, validation, n=1, cutoff=0)
        such = f" such as {alike[0]}" if alike else ""
        raise MetricError(
            f"{name} is a test metric and may not guide a search: a result chosen on the test set "
            f"says nothing about unseen data. Use a validation metric{such}, or "
            "allow_test_objective=true for an analysis that is no comparison of searchers"
        )
    raise MetricError(f"{name} may not guide a search; allowed are {', '.join(allowed) or 'none'}")


def catalogue(space: Grid, own: Iterable[Metric | Mapping[str, Any]]) -> dict[str, Metric]:
    """Metrics that a table of this space may have; `MetricError` where its own cannot be used."""
    known = {name: found for name, found in METRICS.items() if not found.before_training or name in space.known_costs}
    for found in map(own_metric, own):
        if found.name in known or found.name in space.entry_names:
            raise MetricError(f"metric {found.name}: the name is taken by another metric or an entry of the space")
        known[found.name] = found
    return known


_OWN_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OWN_KEYS = ("name", "label", "split", "unit", "maximize", "description", "searchable", "before_training")


def own_data(found: Metric) -> dict[str, Any]:
    """A metric that a table defines itself, for its `meta.json`."""
    return {key: getattr(found, key) for key in _OWN_KEYS}


def own_metric(data: Metric | Mapping[str, Any]) -> Metric:
    """A metric that a table defines itself, as `Metric` or as in its `meta.json`, checked."""
    if isinstance(data, Metric):
        if (data.table2, data.curve, data.release_key) != (None, None, None):
            raise MetricError(f"metric {data.name}: table2, curve and release_key belong to the catalogue's metrics")
        data = own_data(data)
    if not isinstance(data, Mapping) or set(data) != set(_OWN_KEYS):
        raise MetricError(f"a metric needs exactly the keys {', '.join(_OWN_KEYS)}; given: {shown(data, 300)}")
    name = data["name"]
    if not isinstance(name, str) or not _OWN_NAME.fullmatch(name) or name in (*METRICS, "arch", "arch_id", "seed"):
        raise MetricError(
            f"metric {shown(name)}: expected small letters, digits and underscores, beginning with a letter, and no "
            "name that has a meaning already"
        )
    texts = (data["label"], data["unit"], data["description"])
    if not all(isinstance(text, str) and (text.isprintable() or not text) for text in texts) or not data["label"]:
        raise MetricError(
            f"metric {name}: label, unit and description are texts of one line, and the label is not empty"
        )
    if data["split"] not in ("train", "val", "test", "cost"):
        raise MetricError(f"metric {name}: split={shown(data['split'])}: expected train, val, test or cost")
    flags = (data["searchable"], data["before_training"], data["maximize"] is not None and data["maximize"])
    if not all(isinstance(flag, bool) for flag in flags):
        raise MetricError(
            f"metric {name}: maximize is true, false or null; searchable and before_training are booleans"
        )
    if data["searchable"] and (data["maximize"] is None or data["split"] == "test"):
        raise MetricError(f"metric {name}: a search may use no test metric, and none without a direction")
    if data["before_training"] and data["split"] != "cost":
        raise MetricError(f"metric {name}: before_training is for metrics of split cost")
    return Metric(**data)
