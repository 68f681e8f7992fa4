"""From stores of entries to a table, or to a file in the format of the dataset's authors.

    python -m datagen.export store=entries out=mytable
    python -m experiments.run table=mytable queries=20

    python -m datagen.export store=here,there out=mytable masks=true
    python -m datagen.export store=entries out=mine.jsonl
    python -m datagen.export store=entries out=networks weights=authors

Keys: `store` (one, or a comma list of stores with one protocol and the same images), `out` (a folder
for a table, a name ending in .jsonl for the authors' format), `name` of the table (the
folder's), `masks` (false: bit masks of the test images beside the table), `conflicts`
(error; first: where two stores have different results of one training, the first store's is
taken), `replace` (false: a table there is written anew if the stores still have all of its
trainings; true: in any case), `weights` (ours or authors: instead of a table, the best network
of every training that still has its checkpoint, as a plain state dict `<arch>-seed<k>.pth` in
the folder, under our names or those of the dataset's authors; this needs PyTorch).
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.config import AttackConfig, TrainConfig, train_settings
from datagen.store.folder import HASHES, EntryStore, training_key
from datagen.store.merge import SHOWN, Merged, merge
from datagen.store.rows import ENTRY_LABEL, Facts, Row, row_of_entry
from nasbench_ar import METRICS, Architecture, Table, TableWriter
from nasbench_ar.errors import ConfigError, ResultsError, TableError, quotable
from nasbench_ar.masks import FILE as MASKS_FILE
from nasbench_ar.masks import Masks
from nasbench_ar.release.writer import release_gaps, write_release
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import make_folder, write_file
from nasbench_ar.system.key_values import parse_words
from nasbench_ar.table_folder import restore

DEFAULTS: dict[str, Any] = {
    "store": "entries",
    "out": "",
    "name": "",
    "masks": None,
    "conflicts": "error",
    "replace": False,
    "weights": "",
}
WEIGHTS = ("ours", "authors")
CONFLICTS = ("error", "first")
OFFICIAL_DATA = "CIFAR-10"
OFFICIAL_IMAGES = 50_000  # to train on
OFFICIAL_VALIDATION = "CIFAR-10.1 v6"
SETTINGS = {  # attack in a metric's name -> settings that it depends on
    "fgsm": ("eps_255",),
    "pgd": ("eps_255", "step_255", "pgd_steps"),
    "cw": ("eps_255", "step_255", "cw_steps"),
    "aa": ("eps_255",),
}


@dataclass(frozen=True)
class Exported:
    """A table and how it came about.

    Attributes:
        notes: what the table has no room for or lacks, a line each.
        identical: entries left out because another store has the same.
        conflicts: trainings with different results in several stores, the first store's taken.
    """

    table: Table
    notes: list[str]
    identical: int
    conflicts: list[str]


def export_table(
    stores: EntryStore | Sequence[EntryStore],
    out: Path,
    *,
    name: str | None = None,
    replace: bool = False,
    masks: bool | None = None,
    conflicts: str = "error",
) -> Exported:
    """Write all entries of some stores as a table; one that is there is written anew.

    Args:
        stores: where the entries are.
        out: folder of the table.
        name: of the table; by default as it is, or the folder's.
        replace: write it even over a table that has what the stores have not.
        masks: whether to write bit masks beside it; by default if they are there already.
        conflicts: `error`, or `first` to take the first store's result.

    Raises:
        ResultsError: when a store is damaged, all are empty, or they do not go together.
        TableError: when the table cannot be written, or the one there would lose trainings.
    """
    stores = [stores] if isinstance(stores, EntryStore) else list(stores)
    merged = _together(stores, conflicts)
    restore(out.parent, of=out.name)
    old = _old_table(out, damaged=replace)
    if old is not None:
        if not replace:
            _refuse_loss(old, merged)
        name = name or old.name
    if masks is None:
        masks = (out / MASKS_FILE).exists()
    facts = _write(merged, out, name or out.resolve().name, masks, stores)
    return Exported(Table(out), facts.notes(), merged.identical, merged.conflicts)


def _together(stores: Sequence[EntryStore], conflicts: str) -> Merged:
    merged = merge(stores)
    if not merged.listed:
        raise ResultsError(f"{stores[0].folder} has no entry yet; make some with python -m datagen.run")
    if merged.conflicts and conflicts != "first":
        more = f"; and {len(merged.conflicts) - SHOWN} more" if len(merged.conflicts) > SHOWN else ""
        raise ResultsError(
            f"{len(merged.conflicts)} trainings have different results in several stores; conflicts=first takes the "
            f"first store's: {'; '.join(merged.conflicts[:SHOWN])}{more}"
        )
    return merged


def _old_table(out: Path, *, damaged: bool) -> Table | None:
    """The table that is there; a damaged one counts as none if it may be replaced."""
    try:
        return Table(out) if out.exists() else None
    except TableError:
        if not damaged:
            raise
        return None


def _refuse_loss(old: Table, merged: Merged) -> None:
    remedy = "choose another out=, or say replace=true"
    if any(old.meta["source"].get(key) != merged.manifest[key] for key in HASHES):
        raise TableError(f"{old.folder} exists already and is another table ({old.title}); {remedy}")
    hashes = set(old.label(ENTRY_LABEL).tolist()) if ENTRY_LABEL in old.label_names else set()
    lost = old.rows - len(hashes & {listed.sha256 for listed in merged.listed})
    if lost:
        raise TableError(
            f"{old.folder} exists already, and {lost} of its {old.rows} trainings are not in the stores, or not with "
            f"the same entry; {remedy}"
        )


def _write(merged: Merged, out: Path, name: str, masks: bool, stores: Sequence[EntryStore]) -> Facts:
    manifest, version = merged.manifest, merged.manifest["protocol"]["version"]
    facts = Facts(known=len({listed.architecture for listed in merged.listed}), size=merged.space.size, version=version)
    data = manifest["dataset"]
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
            entry = merged.read(listed)
            row = row_of_entry(entry, listed.sha256, version=version)
            facts.left_out |= entry.test.keys() - METRICS.keys()
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
            Masks(index, seeds, int(data["test"]["images"]), packed).save(writer.staging)
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
    if data["name"] == OFFICIAL_DATA and data["train"]["images"] != OFFICIAL_IMAGES:
        common.append(f"trained on {data['train']['images']:,} images")
    if _changed(asdict(TrainConfig()), train_settings(manifest["protocol"])):
        common.append("other training")
    held_out = data["name"] == OFFICIAL_DATA and data["val"]["from"] != OFFICIAL_VALIDATION
    changed = _changed(asdict(AttackConfig()), attack)
    out = {}
    for metric in METRICS.values():
        if metric.split == "cost":
            continue
        words = list(common) + (["held-out images"] if held_out and metric.split == "val" else [])
        for name, settings in SETTINGS.items():
            if f"_{name}_" in metric.name:
                words += [changed[key] for key in settings if key in changed]
        if not words and not metric.name.startswith("val_best_"):  # but of the epoch of highest val_cw_acc
            words = [f"best epoch by {changed[key]}" for key in SETTINGS["cw"] if key in changed]
        if manifest["protocol"]["version"] == 1 and metric.name in ("val_pgd_loss", "val_cw_loss"):
            words.append("after the last step")
        if words:
            out[metric.name] = ", ".join(words)
    return out


def _changed(paper: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    skipped = ("precision", "autoattack")
    return {key: f"{key}={now[key]}" for key in paper if key not in skipped and now[key] != paper[key]}


def export_release(stores: EntryStore | Sequence[EntryStore], out: Path, *, conflicts: str = "error") -> Exported:
    """Write all entries in the authors' format over an old file; the table returned was a temporary one."""
    with tempfile.TemporaryDirectory() as folder:
        exported = export_table(stores, Path(folder) / "table", conflicts=conflicts)
        exported.notes.extend(release_gaps(exported.table))
        write_release(exported.table, out)
    return exported


def export_weights(stores: Sequence[EntryStore], out: Path, names: str, *, conflicts: str = "error") -> list[str]:
    """Write the best network of every training of a table of these stores over old files; returns a line on each gone.

    It is the network that the table's values are of: where results differ, the first store's or none.
    """
    import torch

    from datagen.training.weights import load_network, state_dict

    lacking: list[str] = []
    make: dict[str, tuple[Path, Architecture]] = {}
    merged = _together(stores, conflicts)
    for one in merged.listed:
        key = training_key(one.architecture, one.seed)
        homes = [store for store in stores if store.entry_path(one.architecture, one.seed).exists()]
        if (one.arch_id, one.seed) in merged.disputed:
            homes = homes[:1]
        paths = [store.work_folder(one.architecture, one.seed) / "best.pt" for store in homes]
        if found := next((path for path in paths if path.exists()), None):
            make[key] = found, one.architecture
        else:
            lacking.append(f"{paths[0]} is gone, and with it the network of {key}")
    if not make:
        raise ResultsError(
            f"{stores[0].folder} has no entry with a checkpoint; {'; '.join(lacking[:SHOWN])}".rstrip("; ")
        )
    make_folder(out)
    for key, (path, architecture) in make.items():
        packed = io.BytesIO()
        torch.save(state_dict(load_network(path, architecture), names), packed)
        write_file(out / f"{key}.pth", packed.getvalue())
    whose = "our" if names == "ours" else "the authors'"
    return [f"{out}: networks under {whose} names, {len(make)} of them", *(f"  {line}" for line in lacking)]


def export(words: list[str]) -> str:
    """Carry out a command line; returns what was done, a line each."""
    given = _parse(words)
    stores, out = [EntryStore(folder) for folder in split_stores(given["store"])], Path(given["out"])
    if given["weights"]:
        return "\n".join(export_weights(stores, out, given["weights"], conflicts=given["conflicts"]))
    if out.suffix.lower() == ".jsonl":
        exported = export_release(stores, out, conflicts=given["conflicts"])
        lines = [f"{out}: the entries of {given['store']} in the authors' format"]
    else:
        options = {key: given[key] for key in ("replace", "masks", "conflicts")}
        exported = export_table(stores, out, name=given["name"] or None, **options)
        lines = [f"{out}: {exported.table.title}"]
    if exported.identical:
        lines.append(f"  {exported.identical} entries left out: another store has the same")
    lines += [f"  the first store's is taken: {conflict}" for conflict in exported.conflicts]
    return "\n".join(lines + [f"  {note}" for note in exported.notes])


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(export, arguments)


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
    if given["weights"] not in ("", *WEIGHTS):
        raise ConfigError(f"weights={quotable(given['weights'])}: expected {' or '.join(WEIGHTS)}")
    if given["weights"] or Path(given["out"]).suffix.lower() == ".jsonl":
        for key in ("name", "masks"):
            if given[key]:
                raise ConfigError(f"{key}= is for a table; leave it out")
    return given


if __name__ == "__main__":
    sys.exit(main())
