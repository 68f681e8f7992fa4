"""Build the embedded table `digits-729` from the entries that `datagen` made.

    python -m datagen.run archs=all profile=digits-729 store=entries
    python -m datagen.run archs=all profile=digits-729 store=entries seed=1     # as many as there is time for
    python scripts/build_digits_729.py --store entries     # packs them into sources/digits-729.tar.xz
    python scripts/build_digits_729.py                     # the table, from that archive

The archive holds the store without checkpoints, and without the paths it stood at.  Its entries are of protocol
version 1: `datagen.run` refuses to add to them, and the table says how they differ.
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
NAME = "digits-729"


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


def build(archive: Path, folder: Path) -> None:
    """Make the table of an archive."""
    with tempfile.TemporaryDirectory() as unpacked, tarfile.open(archive) as pack:
        store = Path(unpacked) / NAME  # its name is kept in the table
        pack.extractall(store, filter="data")
        exported = export_table(EntryStore(store), folder, name=NAME, replace=True, masks=True)
    print(f"{folder}: {exported.table.rows} trainings; {' '.join(exported.notes)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, help="pack this store into the archive first")
    parser.add_argument("--archive", type=Path, default=ROOT / f"sources/{NAME}.tar.xz")
    parser.add_argument("--folder", type=Path, default=ROOT / f"nasbench_ar/data/{NAME}")
    arguments = parser.parse_args()
    if arguments.store:
        pack(arguments.store, arguments.archive)
    build(arguments.archive, arguments.folder)


if __name__ == "__main__":
    main()
