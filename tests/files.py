"""Files that tests read back."""

import csv
from pathlib import Path


def rows_of(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV file."""
    return list(csv.DictReader(path.read_text().splitlines()))


def contents(folder: Path) -> dict[str, bytes]:
    """What is in every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
