"""From stores of entries to a table, or to a file in the format of the dataset's authors.

    python -m datagen.export store=entries out=mytable
    python -m experiments.run table=mytable queries=20

    python -m datagen.export store=here,there out=mytable masks=true
    python -m datagen.export store=entries out=mine.jsonl

Keys: `store` (one, or a comma list of stores with one protocol and the same images), `out` (a folder
for a table, a name ending in .jsonl for the authors' format), `name` of the table (the
folder's), `masks` (false: bit masks of the test images beside the table), `conflicts`
(error; first: where two stores have different results of one training, the first store's is
taken), `replace` (false: what a table there holds is kept, and only new trainings are
read and added; true: it is written anew).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.config import AttackConfig, TrainConfig
from datagen.store.folder import EntryStore
from datagen.store.merge import SHOWN, Merged, merge
from datagen.store.rows import Facts, OldRows, Row, row_of_entry, unknown_metrics
from nasbench_ar import METRICS, Table, TableWriter
from nasbench_ar.errors import ConfigError, ResultsError, TableError
from nasbench_ar.masks import FILE as MASKS_FILE
from nasbench_ar.masks import Masks, load_masks
from nasbench_ar.release.writer import release_gaps, write_release
from nasbench_ar.system.command import run_command
from nasbench_ar.system.key_values import parse_words

DEFAULTS: dict[str, Any] = {
    "store": "entries",
    "out": "",
    "name": "",
    "masks": None,
    "conflicts": "error",
    "replace": False,
}
CONFLICTS = ("error", "first")
HASHES = ("protocol_sha256", "dataset_sha256")
OFFICIAL_DATA = "CIFAR-10"
OFFICIAL_VALIDATION = "CIFAR-10.1 v6"


@dataclass(frozen=True)
class Exported:
    """A table and how it came about.

    Attributes:
        notes: what the table has no room for or lacks, a line each.
        new: trainings that were read from entries.
        kept: trainings that the table held already.
        identical: entries left out because another store has the same.
        conflicts: trainings with different results in several stores, the first store's taken.
    """

    table: Table
    notes: list[str]
    new: int
    kept: int
    identical: int
    conflicts: list[str]
    changed: bool


def export_table(
    stores: EntryStore | Sequence[EntryStore],
    out: Path,
    *,
    name: str | None = None,
    replace: bool = False,
    masks: bool | None = None,
    conflicts: str = "error",
) -> Exported:
    """Write all entries of some stores as a table, or add to the table what is new.

    The outcome equals, array for array, that of an export from scratch: rows whose entry has
    the same hash are taken from the table instead of from the entry.

    Args:
        stores: where the entries are.
        out: folder of the table.
        name: of the table; by default as it is, or the folder's.
        replace: write it anew, even over another table.
        masks: whether to write bit masks beside it; by default if they are there already.
        conflicts: `error`, or `first` to take the first store's result.

    Raises:
        ResultsError: when a store is damaged, all are empty, or they do not go together.
        TableError: when the table cannot be written, or another one is there.
    """
    stores = [stores] if isinstance(stores, EntryStore) else list(stores)
    merged = merge(stores)
    if not merged.listed:
        raise ResultsError(f"{stores[0].folder} has no entry yet; make some with python -m datagen.run")
    if merged.conflicts and conflicts != "first":
        more = f"; and {len(merged.conflicts) - SHOWN} more" if len(merged.conflicts) > SHOWN else ""
        raise ResultsError(
            f"{len(merged.conflicts)} trainings have different results in several stores; conflicts=first takes the "
            f"first store's: {'; '.join(merged.conflicts[:SHOWN])}{more}"
        )
    held = None if replace else _open_held(out, merged)
    has_masks = (out / MASKS_FILE).exists()
    wanted = has_masks and not replace if masks is None else masks
    if held is not None and wanted:
        held.masks = _masks_of(held.table)
    known = set() if held is None else set(held.by_hash)
    new = sum(listed.sha256 not in known for listed in merged.listed)
    counts = {"new": new, "kept": len(merged.listed) - new, "identical": merged.identical}
    if (
        held is not None
        and not new
        and name in (None, held.table.name)
        and (held.masks is not None) == has_masks == wanted
    ):
        return Exported(held.table, held.table.meta["notes"], **counts, conflicts=merged.conflicts, changed=False)
    name = name or (out.resolve().name if held is None else held.table.name)
    usable = held if held is None or not wanted or held.masks is not None else None
    facts = _write(merged, out, name, usable, wanted, stores)
    return Exported(Table(out), facts.notes(), **counts, conflicts=merged.conflicts, changed=True)


def _open_held(out: Path, merged: Merged) -> OldRows | None:
    if not out.exists():
        return None
    table = Table(out)
    remedy = "choose another out=, or say replace=true"
    if any(table.meta["source"].get(key) != merged.manifest[key] for key in HASHES):
        raise TableError(f"{out} exists already and is another table ({table.title}); {remedy}")
    held = OldRows(table)
    lost = table.rows - len(set(held.by_hash) & {listed.sha256 for listed in merged.listed})
    if lost:
        raise TableError(
            f"{out} exists already, and {lost} of its {table.rows} trainings are not in the stores, or not with the "
            f"same entry; {remedy}"
        )
    return held


def _masks_of(table: Table) -> Masks | None:
    try:
        return load_masks(table)
    except TableError:  # the entries give them again
        return None


def _write(
    merged: Merged, out: Path, name: str, old: OldRows | None, masks: bool, stores: Sequence[EntryStore]
) -> Facts:
    manifest = merged.manifest
    facts = Facts(known=len({listed.architecture for listed in merged.listed}), size=merged.space.size)
    data = manifest["dataset"]
    if old is not None:
        facts.left_out |= set(old.table.meta["source"].get("left_out", ()))
    bits: dict[str, list[NDArray[np.uint8]]] = {}
    with TableWriter(
        out,
        name=name,
        title=(
            f"made by datagen: {data['name']}, {len(merged.listed)} trainings, protocol "
            f"{manifest['protocol_sha256'][:12]}"
        ),
        provenance=(
            f"Trained and attacked by datagen, profile {manifest['profile']}: training images {data['train']['from']}, "
            f"validation {data['val']['from']}, test {data['test']['from']}. Settings are under 'source'."
        ),
        space=merged.space,
        default_objective="val_pgd_acc",
        licence="Made by the owner of this table; the terms of the images apply.",
        source={
            **{key: manifest[key] for key in ("profile", *HASHES, "protocol", "dataset")},
            "stores": [store.folder.name for store in stores],
            "conflicts": merged.conflicts,
        },
        differs=definitions(manifest),
        replace=True,
    ) as writer:
        for listed in merged.listed:
            if old is not None and listed.sha256 in old.by_hash:
                row = old.row(old.by_hash[listed.sha256])
            else:
                entry = merged.read(listed)
                row = row_of_entry(entry, listed.sha256)
                facts.left_out |= unknown_metrics(entry)
            facts.count(row)
            writer.add(
                listed.architecture,
                seed=listed.seed,
                scalars=row.scalars,
                curves=row.curves,
                corruption_acc=row.corruption_acc,
                corruption_loss=row.corruption_loss,
                flags=row.flags,
                labels=row.labels,
            )
            if masks:
                _collect(bits, row, str(listed.path), first=facts.rows == 1)
        writer.annotate(notes=tuple(facts.notes()), source={"left_out": sorted(facts.left_out)})
    if masks:
        index = merged.space.indices(listed.architecture for listed in merged.listed).astype(np.int32)
        seeds = np.array([listed.seed for listed in merged.listed], dtype=np.int64)
        packed = {attack: np.stack(rows) for attack, rows in bits.items()}
        Masks(index, seeds, int(data["test"]["images"]), packed).save(out)
    return facts


def _collect(bits: dict[str, list[NDArray[np.uint8]]], row: Row, where: str, *, first: bool) -> None:
    if not first and set(bits) != set(row.bits):
        raise ResultsError(f"{where} has masks of {', '.join(row.bits)}; the entries before it of {', '.join(bits)}")
    for attack, packed in row.bits.items():
        bits.setdefault(attack, []).append(packed)


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


def export_release(stores: EntryStore | Sequence[EntryStore], out: Path, *, conflicts: str = "error") -> Exported:
    """Write all entries in the authors' format over an old file; the table returned was a temporary one."""
    with tempfile.TemporaryDirectory() as folder:
        exported = export_table(stores, Path(folder) / "table", conflicts=conflicts)
        exported.notes.extend(release_gaps(exported.table))
        write_release(exported.table, out)
    return exported


def export(words: list[str]) -> str:
    """Carry out a command line; returns what was done, a line each."""
    given = _parse(words)
    stores, out = [EntryStore(folder) for folder in split_stores(given["store"])], Path(given["out"])
    if out.suffix == ".jsonl":
        exported = export_release(stores, out, conflicts=given["conflicts"])
        lines = [f"{out}: the entries of {given['store']} in the authors' format"]
    else:
        options = {key: given[key] for key in ("replace", "masks", "conflicts")}
        exported = export_table(stores, out, name=given["name"] or None, **options)
        lines = [f"{out}: {exported.table.title}", f"  {_what_was_done(exported)}"]
    if exported.identical:
        lines.append(f"  {exported.identical} entries left out: another store has the same")
    lines += [f"  the first store's is taken: {conflict}" for conflict in exported.conflicts]
    return "\n".join(lines + [f"  {note}" for note in exported.notes])


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(export, arguments)


def _what_was_done(exported: Exported) -> str:
    if not exported.changed:
        return f"nothing new: all {exported.kept} trainings are in the table already"
    return f"{exported.new} new trainings, {exported.kept} already in the table"


def split_stores(text: str) -> list[str]:
    """Folders of a comma list; one with a comma in its name is taken whole."""
    folders = [text] if Path(text).exists() else text.split(",")
    if "" in folders or len({os.path.realpath(folder) for folder in folders}) < len(folders):
        raise ConfigError(f"store={text}: expected a folder, or different ones with a comma between")
    return folders


def _parse(words: Sequence[str]) -> dict[str, Any]:
    given = parse_words(words, DEFAULTS)
    if not given["out"]:
        raise ConfigError("out= is missing: a folder for a table, or a name ending in .jsonl")
    if given["conflicts"] not in CONFLICTS:
        raise ConfigError(f"conflicts={given['conflicts']}: expected {' or '.join(CONFLICTS)}")
    return given


if __name__ == "__main__":
    sys.exit(main())
