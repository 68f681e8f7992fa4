"""From a store of entries to a table, or to a file in the format of the dataset's authors.

    python -m datagen.export store=entries out=mytable
    python -m experiments.run table=mytable queries=20

    python -m datagen.export store=entries out=mine.jsonl

Keys: `store`, `out` (a folder for a table, a name ending in .jsonl for the authors'
format), `name` of the table (the folder's), `replace` (false: an old table is not replaced).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from datagen.config import AttackConfig, TrainConfig, check_keys
from datagen.entry import Entry
from datagen.store import EntryStore
from nasbench_ar import METRICS, Table, TableWriter
from nasbench_ar.errors import ConfigError, NasbenchError, ResultsError
from nasbench_ar.export import write_release
from nasbench_ar.metrics import CURVES

KEYS = ("store", "out", "name", "replace")
OFFICIAL_DATA = "CIFAR-10"
OFFICIAL_VALIDATION = "CIFAR-10.1 v6"
SECONDS_A_DAY = 86_400


def export_table(
    store: EntryStore, out: Path, *, name: str | None = None, replace: bool = False
) -> tuple[Table, list[str]]:
    """Write all entries of a store as a table.

    Args:
        store: where the entries are.
        out: folder of the table.
        name: of the table; the folder's by default.
        replace: whether an older table there may be replaced.

    Returns:
        The table, and what it has no room for or lacks, a line each.

    Raises:
        ResultsError: when the store is damaged or empty.
        TableError: when the table cannot be written.
    """
    manifest, entries = store.manifest(), store.entries()
    if not entries:
        raise ResultsError(f"{store.folder} has no entry yet; make some with python -m datagen.run")
    notes = _notes(entries)
    data = manifest["dataset"]
    title = f"made by datagen: {data['name']}, {len(entries)} trainings, protocol {manifest['protocol_sha256'][:12]}"
    with TableWriter(
        out,
        name=name or out.resolve().name,
        title=title,
        provenance=(
            f"Trained and attacked by datagen, profile {manifest['profile']}: training images {data['train']['from']}, "
            f"validation {data['val']['from']}, test {data['test']['from']}. Settings are under 'source'."
        ),
        space=store.space(),
        default_objective="val_pgd_acc",
        licence="Made by the owner of this table; the terms of the images apply.",
        source={key: manifest[key] for key in ("profile", "protocol_sha256", "dataset_sha256", "protocol", "dataset")},
        differs=definitions(manifest),
        notes=tuple(notes),
        replace=replace,
    ) as writer:
        for entry in entries:
            _add(writer, entry)
    return Table(out), notes


def _add(writer: TableWriter, entry: Entry) -> None:
    at_best = {name: curve[entry.best_epoch] for name, curve in entry.curves.items()}
    maxima = {f"val_best_{a}_acc": max(entry.curves[f"val_{a}_acc"]) for a in ("clean", "pgd", "cw")}
    scalars = {"best_epoch": float(entry.best_epoch), **at_best, **maxima}
    scalars |= {name: value for name, value in entry.test.items() if name in METRICS}
    if on_gpu(entry):
        scalars["training_time_gpu_days"] = entry.provenance["train_seconds"] / SECONDS_A_DAY
    writer.add(
        entry.architecture,
        seed=entry.seed,
        scalars=scalars,
        curves={name: np.array(entry.curves[name]) for name in CURVES},
        corruption_acc=entry.corruption_acc,
        corruption_loss=entry.corruption_loss,
        flags={f"sanity_{name}": failed for name, failed in entry.sanity.items()},
        labels={"gpu_type": entry.provenance["hardware"]["name"][:200], "timestamp": entry.provenance["timestamp"]},
    )


def on_gpu(entry: Entry) -> bool:
    """Whether the training ran on a GPU, so that its time is one in GPU-days."""
    return str(entry.provenance["hardware"]["device"]).startswith("cuda")


def _notes(entries: Sequence[Entry]) -> list[str]:
    notes = []
    if slow := sum(not on_gpu(entry) for entry in entries):
        notes.append(f"{slow} of {len(entries)} trainings ran on a processor and have no time in GPU-days.")
    if all(entry.corruption_acc is None for entry in entries):
        notes.append("There are no corrupted images, hence no corruption metrics.")
    unknown = sorted({name for entry in entries for name in entry.test if name not in METRICS})
    if unknown:
        notes.append(f"Left out, the catalogue has no such metric: {', '.join(unknown)}; they are in the entries.")
    if wrong := sum(any(entry.sanity.values()) for entry in entries):
        notes.append(f"{wrong} of {len(entries)} entries failed a sanity check (flags sanity_*).")
    return notes


def definitions(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Metric -> how its definition differs from the published one; empty for the paper's own protocol."""
    data, attack = manifest["dataset"], manifest["protocol"]["attack"]
    common = [] if data["name"] == OFFICIAL_DATA else [data["name"]]
    changed = _changed(asdict(AttackConfig()), attack)
    if _changed(asdict(TrainConfig()), manifest["protocol"]["train"]):
        common.append("other training")
    held_out = [] if common[:1] == [data["name"]] or data["val"]["from"] == OFFICIAL_VALIDATION else ["held-out images"]
    out = {}
    for metric in METRICS.values():
        if metric.split == "cost":
            continue
        words = list(common) + (held_out if metric.split == "val" else [])
        attacked = any(f"_{a}_" in f"{metric.name}_" for a in ("pgd", "cw", "fgsm", "aa"))
        words += changed if attacked else []
        if words:
            out[metric.name] = ", ".join(words)
    return out


def _changed(paper: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    skipped = ("precision", "autoattack")
    return [f"{key}={now[key]}" for key in paper if key not in skipped and now[key] != paper[key]]


def export_release(store: EntryStore, out: Path) -> list[str]:
    """Write all entries in the authors' format; an old file is replaced.

    Returns:
        What the format has no room for or lacks, a line each.

    Raises:
        ResultsError: when the store is damaged or empty.
        TableError: when the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        table, notes = export_table(store, Path(folder) / "table")
        write_release(table, out)
    return notes


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return 0
    try:
        given = _parse(words)
        store, out = EntryStore(given["store"]), Path(given["out"])
        if out.suffix == ".jsonl":
            notes = export_release(store, out)
            print(f"{out}: the entries of {store.folder} in the authors' format")
        else:
            replace = given["replace"].lower() == "true"
            table, notes = export_table(store, out, name=given.get("name"), replace=replace)
            print(f"{out}: {table.title}")
        for note in notes:
            print(f"  {note}")
    except NasbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(words: Sequence[str]) -> dict[str, str]:
    given = {"store": "entries", "replace": "false"}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise ConfigError(f"not of the form key=value: {word!r}; keys: {', '.join(KEYS)}")
        check_keys([key], KEYS)
        given[key] = value
    if "out" not in given:
        raise ConfigError("out= is missing: a folder for a table, or a name ending in .jsonl")
    if given["replace"].lower() not in ("true", "false"):
        raise ConfigError(f"replace={given['replace']}: expected true or false")
    return given


if __name__ == "__main__":
    sys.exit(main())
