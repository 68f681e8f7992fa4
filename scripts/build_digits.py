"""Build `digits-729`, or `digits-729-trades` in `examples/transfer`, from the entries that `datagen` made.

    python -m datagen.run archs=all profile=digits-729 store=entries
    python -m datagen.run archs=all profile=digits-729 store=entries seed=1     # as many as there is time for
    python scripts/build_digits.py digits-729 --store entries     # packs them into sources/digits-729.tar.xz
    python scripts/build_digits.py digits-729                     # the table, from that archive

Those of `digits-729-trades` are lists in `examples/transfer`, with train.loss=trades attack.autoattack=none.

An archive holds the store without checkpoints, and without the paths it stood at.  The entries of `digits-729` are of
protocol version 1: `datagen.run` refuses to add to them, and the table says how they differ.
"""

import argparse
import io
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

from datagen.export import export_table
from datagen.store.entry import Entry
from datagen.store.folder import MANIFEST, EntryStore, training_key

ROOT = Path(__file__).resolve().parent.parent
PLACES = {"digits-729": "nasbench_ar/data", "digits-729-trades": "examples/transfer"}


def pack(store: Path, archive: Path) -> None:
    """Put manifest and entries of a store into an archive, the same bytes for the same entries."""
    entries = EntryStore(store).entries()  # refuses what is damaged or of another protocol
    files = {MANIFEST: (store / MANIFEST).read_bytes()}
    for entry in entries:
        files[f"entries/{training_key(entry.architecture, entry.seed)}.json"] = _without_places(entry).to_bytes()
    with tarfile.open(archive, "w:xz", preset=9) as pack:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            pack.addfile(member, io.BytesIO(content))


def _without_places(entry: Entry) -> Entry:
    """Where a command kept its files is nobody's business; everything else stays as it is."""
    config = {key: value for key, value in entry.provenance["config"].items() if key not in ("store", "archs")}
    return replace(entry, provenance={**entry.provenance, "config": config})


def build(name: str, archive: Path, folder: Path) -> None:
    """Make the table of an archive."""
    with tempfile.TemporaryDirectory() as unpacked, tarfile.open(archive) as pack:
        store = Path(unpacked) / name  # its name is kept in the table
        pack.extractall(store, filter="data")
        exported = export_table(EntryStore(store), folder, name=name, replace=True, masks=True)
    print(f"{folder}: {exported.table.rows} trainings; {' '.join(exported.notes)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=list(PLACES))
    parser.add_argument("--store", type=Path, help="pack this store into the archive first")
    parser.add_argument("--folder", type=Path, help="where the table is written, if not in its place")
    arguments = parser.parse_args()
    archive = ROOT / f"sources/{arguments.name}.tar.xz"
    if arguments.store:
        pack(arguments.store, archive)
    build(arguments.name, archive, arguments.folder or ROOT / PLACES[arguments.name] / arguments.name)


if __name__ == "__main__":
    main()
