"""How fast, and in how much memory, a file of the authors' size is imported.

    python -m benchmarks.release_import [--repeats 3]

Makes a synthetic `nares.txz` with 15,625 records in a temporary folder, then in
fresh processes, taking turns: imports it, and merely decompresses it and parses
every line with orjson.  The ratio of the two times is what checking, computing
the metrics and writing the table cost; it depends little on the machine.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from benchmarks.environment import command_line, describe
from nasbench_ar import NARES
from nasbench_ar.library import HOME_VARIABLE
from tests.nasbench_ar.release.synthetic_release import make_record, write_jsonl

IMPORT = """
from nasbench_ar.release.importer import import_release
table = import_release(path, replace=True, progress=False)
assert table.rows == 15625
"""
PARSE = """
import tarfile, orjson
count = 0
with tarfile.open(path, "r|*" if path.endswith("txz") else "r|", bufsize=1 << 20) as archive:
    for member in archive:
        for line in archive.extractfile(member):
            orjson.loads(line)
            count += 1
assert count == 15625
"""
FRAME = """
import json, sys, time
path = sys.argv[1]
start = time.perf_counter()
{body}
seconds = time.perf_counter() - start
from benchmarks.environment import peak_memory_mib
print(json.dumps([seconds, peak_memory_mib()]))
"""


def measure(body: str, path: Path, home: Path) -> tuple[float, float]:
    """Seconds and peak MiB of a fresh process, imports of modules included."""
    environment = os.environ | {HOME_VARIABLE: str(home)}
    command = [sys.executable, "-c", FRAME.format(body=body), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def make_files(folder: Path) -> tuple[Path, Path]:
    """The synthetic release, packed with xz as the authors' file is, and packed without compression."""
    plain = write_jsonl(folder / "cifar10.jsonl", (make_record(NARES.from_arch_id(k + 1)) for k in range(NARES.size)))
    loose, packed = folder / "nares.tar", folder / "nares.txz"
    with tarfile.open(loose, "w") as archive:
        archive.add(plain, arcname=plain.name)
    with lzma.open(packed, "wb", preset=1) as target, loose.open("rb") as source:
        while chunk := source.read(1 << 20):
            target.write(chunk)
    return packed, loose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(command_line("benchmarks.release_import"))
    print(describe("orjson"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = make_files(folder)
        content = (folder / "cifar10.jsonl").stat().st_size / 1e6
        print(f"synthetic records: {NARES.size}, {content:.0f} MB of JSON lines; {args.repeats} fresh processes each")
        for path in files:
            pairs = [(measure(IMPORT, path, folder), measure(PARSE, path, folder)) for _ in range(args.repeats)]
            report(path, content, pairs)


def report(path: Path, content: float, pairs: list[tuple[tuple[float, float], tuple[float, float]]]) -> None:
    """Print medians, extremes and the ratio."""
    print(f"\n{path.name}, {path.stat().st_size / 1e6:.0f} MB")
    for label, runs in (("import", [p[0] for p in pairs]), ("decompress + orjson", [p[1] for p in pairs])):
        seconds = sorted(run[0] for run in runs)
        middle = statistics.median(seconds)
        print(
            f"  {label:<20} {middle:6.2f} s ({seconds[0]:.2f} to {seconds[-1]:.2f}), "
            f"{content / middle:6.1f} MB/s, peak {max(run[1] for run in runs):.0f} MiB"
        )
    ratios = sorted(imported[0] / parsed[0] for imported, parsed in pairs)
    print(f"  ratio of the two     {statistics.median(ratios):6.2f}   ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
