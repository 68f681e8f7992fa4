"""Import of the authors' release (`nares.txz`) into a table.

Users download it from the authors' page (github.com/zhichao-lu/arch-dataset-adv-robustness,
release v1.0) and run `python -m nasbench_ar import nares.txz`, or, from Python,

    from nasbench_ar.release.importer import import_release
    table = import_release("nares.txz")

Every record is checked.  Metrics that the authors' API computes on the fly are computed here
once: the values at the best epoch, maxima over the epochs, and the mean over all corruptions.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import TableError
from nasbench_ar.library import OFFICIAL, imported_folder
from nasbench_ar.metrics import CURVES
from nasbench_ar.release.archive import ReleaseFile
from nasbench_ar.release.record import LABELS, TEST_METRICS, RecordError, RecordReader, Training
from nasbench_ar.space import NARES, SearchSpace
from nasbench_ar.table import Table
from nasbench_ar.table_writer import TableWriter

DEFAULT_OBJECTIVE = "val_pgd_acc"
BEST_EPOCH_FLAG = "best_epoch_not_first_maximum"
CW_LOSS_FLAG = "cw_loss_above_0"

_PROVENANCE = (
    "Imported from a file in the format of the NARes authors' release, which the user supplied. Every record was "
    "checked for completeness, ranges, the official numbering and the closed-form costs; no checksum of the "
    "authors' file is known to this package, so compare the sha256 under 'source' with a copy you trust. "
    "Metrics at the best epoch, maxima over the epochs and the mean over corruptions were computed at import."
)
_LICENCE = (
    "The numbers belong to the authors of the file and are not part of this package: see the terms at "
    "github.com/zhichao-lu/arch-dataset-adv-robustness, and cite the NARes paper when you use them."
)
_EXPECTED_TESTS = (*TEST_METRICS.values(), "test_corrupt_acc")


def import_release(
    path: str | os.PathLike[str],
    *,
    name: str = OFFICIAL,
    folder: str | os.PathLike[str] | None = None,
    replace: bool = False,
    progress: bool = True,
    space: SearchSpace = NARES,
) -> Table:
    """Convert the authors' release into a table.

    Args:
        path: `nares.txz`, any tar archive with one `cifar10.jsonl`, or that file itself;
            plain, gzip or xz.
        name: of the table; `load()` prefers the one named `nares`.
        folder: where to put it instead of among the imported tables.
        replace: whether to replace an existing table, once the new one is complete.
        progress: show a bar on standard error.
        space: the space that the architectures must belong to.

    Returns:
        The new table.  `meta["notes"]` says what is unusual about the file, and standard
        error too where it affects the numbers.

    Raises:
        TableError: the file cannot be read, a record is wrong (the message has file,
            line, what is wrong and what to do), or the table cannot be written.
            Nothing was changed then.
    """
    target = imported_folder(name) if folder is None else Path(folder)
    source = ReleaseFile(path, progress=progress)
    reader = RecordReader(space)
    seen = _Seen()
    with (
        TableWriter(
            target,
            name=name,
            title="",  # holds the hash, which is known at the end
            provenance=_PROVENANCE,
            space=space,
            default_objective=DEFAULT_OBJECTIVE,
            licence=_LICENCE,
            source={"file": source.path.name},
            replace=replace,
        ) as writer,
        closing(source.lines()) as lines,
    ):
        for number, line in lines:
            try:
                architecture, trainings = reader.read(line)
                seen.add(number, architecture, trainings)
            except RecordError as error:
                raise TableError(
                    f"{source.path}, line {number}: {error}. Download the file again or correct the line; "
                    "nothing was imported"
                ) from None
            for training in trainings:
                _write(writer, architecture, training)
        if not seen.records:
            raise TableError(f"{source.path}: no record in it, only blank lines; download the file again")
        warnings = seen.warnings()
        origin = f"{source.path.name}, a file in the NARes release's format, sha256 {source.sha256[:12]}"
        writer.annotate(
            title=f"imported from {origin}",  # no checksum of the authors' own file is known to tell more
            source={"sha256": source.sha256, "records": seen.records},
            notes=(*warnings, *seen.notes(space), *_unknown_fields(reader.unknown)),
        )
    for warning in warnings:
        print(f"nasbench-ar: warning: {warning}", file=sys.stderr)
    return Table(target)


def _write(writer: TableWriter, architecture: Architecture, training: Training) -> None:
    writer.add(
        architecture,
        seed=training.seed,
        scalars=training.scalars,
        curves=dict(zip(CURVES, training.curves, strict=True)),
        corruption_acc=training.corruptions.get("acc"),
        corruption_loss=training.corruptions.get("loss"),
        flags=_flags(training),
        labels=training.labels,
    )


def _flags(training: Training) -> dict[str, bool]:
    above = bool(training.curves[list(CURVES).index("val_cw_loss")].max() > 0)
    marks = {BEST_EPOCH_FLAG: not training.first_best, CW_LOSS_FLAG: above}
    return {name: True for name, holds in marks.items() if holds}


@dataclass
class _Seen:
    """What passed through the import, for duplicates and notes."""

    records: int = 0
    trainings: int = 0
    marked: Counter[str] = field(default_factory=Counter)
    line_of: dict[tuple[Architecture, int], int] = field(default_factory=dict)
    architectures: set[Architecture] = field(default_factory=set)
    present: Counter[str] = field(default_factory=Counter)

    def add(self, number: int, architecture: Architecture, trainings: list[Training]) -> None:
        for training in trainings:
            first = self.line_of.setdefault((architecture, training.seed), number)
            if first != number:
                raise RecordError(f"architecture {architecture} with seed {training.seed} was on line {first} already")
            self.marked.update(_flags(training).keys())
            self.present.update(training.scalars.keys())
            self.present.update(training.labels.keys())
        self.architectures.add(architecture)
        self.records += 1
        self.trainings += len(trainings)

    def warnings(self) -> tuple[str, ...]:
        """Lines that concern the numbers themselves."""
        said = {
            BEST_EPOCH_FLAG: "name a best_epoch that is not the first epoch of highest validation PGD-CW40 accuracy;",
            CW_LOSS_FLAG: "have a cw_loss above 0, which the authors' (minus a sum of margins) never is; if it is a "
            "margin, higher is better there, and no search may take val_cw_loss;",
        }
        return tuple(
            f"{self.marked[flag]} of {self.trainings} trainings {text} it was imported as given (flag {flag})"
            for flag, text in said.items()
            if self.marked[flag]
        )

    def notes(self, space: SearchSpace) -> tuple[str, ...]:
        """Lines on what is not there."""
        out = []
        if len(self.architectures) < space.product_size:
            out.append(f"Partial: {len(self.architectures)} of {space.product_size} architectures.")
        expected = (*_EXPECTED_TESTS, "training_time_gpu_days", *LABELS)
        lacking = {name: self.trainings - self.present[name] for name in expected}
        if listed := ", ".join(f"{name} ({count})" for name, count in lacking.items() if count):
            out.append(f"Missing, with the number of trainings out of {self.trainings}: {listed}.")
        return tuple(out)


def _unknown_fields(unknown: Counter[str]) -> tuple[str, ...]:
    if not unknown:
        return ()
    listed = ", ".join(f"{name[:40]!r} ({count})" for name, count in unknown.most_common(10))
    return (f"Fields that this version does not know and left out: {listed}.",)
