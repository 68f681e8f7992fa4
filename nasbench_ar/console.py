"""The script `nasbench-ar`: a short name for `python -m`.

nasbench-ar                                # what there is
nasbench-ar run searcher=bananas           # python -m experiments.run searcher=bananas
nasbench-ar datagen.run archs=1-3          # python -m datagen.run archs=1-3
nasbench-ar info digits-729                # python -m nasbench_ar info digits-729
nasbench-ar list searchers                 # or metrics, or tables
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys

from nasbench_ar.errors import ConfigError, shown
from nasbench_ar.metrics import METRICS
from nasbench_ar.system.command import carry_out
from nasbench_ar.system.packages import columns, commands

_OF_TABLES = {
    "import": "Bring a table in.",
    "info": "Tables that are installed, and what is in them.",
    "export": "Write a table as CSV, as Parquet or in the authors' format.",
    "query": "One value of a table.",
}
_LISTS = ("searchers", "metrics", "tables")


def main() -> int:
    return carry_out(_run)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    name, rest = words[0], words[1:]
    if name == "list":
        return _list(rest)
    if name in _OF_TABLES:
        return _start(["nasbench_ar", name, *rest])
    known = {
        module.removeprefix("experiments."): module
        for package in ("experiments", "datagen")
        for module in commands(package)
    }
    if name not in known:
        close = difflib.get_close_matches(name, [*known, *_OF_TABLES, "list"], n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "nasbench-ar alone lists them"
        raise ConfigError(f"{shown(name)} is no command; {hint}")
    return _start([known[name], *rest])


def _list(words: list[str]) -> int:
    if len(words) != 1 or words[0] not in _LISTS:
        raise ConfigError(f"nasbench-ar list: expected {', '.join(_LISTS)}")
    if words[0] == "metrics":
        print(
            columns(
                {name: f"{m.label}{f' ({m.unit})' if m.unit else ''}: {m.description}" for name, m in METRICS.items()}
            )
        )
        return 0
    return _start(["searchers"] if words[0] == "searchers" else ["nasbench_ar", "info"])


def _start(words: list[str]) -> int:
    """Carry out `python -m`, in this process's place where the system can do that."""
    line = [sys.executable, "-m", *words]
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(line[0], line)
    return subprocess.call(line)


def _overview() -> str:
    lines = {f"nasbench-ar {name}": text for name, text in _OF_TABLES.items()}
    lines |= {f"nasbench-ar list {name}": f"All {name}." for name in _LISTS}
    for package in ("experiments", "datagen"):
        found = commands(package).items()
        lines |= {f"nasbench-ar {module.removeprefix('experiments.')}": text for module, text in found}
    end = "--help after any of them tells its arguments."
    return f"NASBench-AR: neural architecture search under adversarial robustness.\n\n{columns(lines)}\n\n{end}"
