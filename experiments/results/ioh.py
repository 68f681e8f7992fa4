"""Stored runs in the format of IOHexperimenter 0.3.18, for IOHinspector.

    python -m experiments.compare FOLDER FOLDER ... ioh=trajectories

    import iohinspector
    manager = iohinspector.DataManager()
    manager.add_folder("trajectories")

A searcher is a folder: a JSON file on its runs, ascending by seed, and a data file with the scores that improve on all
before them in their run, and the last.  `raw_y` is the objective in its own unit, as the searcher saw it; `x` is the
vector of the architecture.  The table is the one instance.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.results.read import Stored
from nasbench_ar import ConfigError
from nasbench_ar.system.files import make_folder, write_file
from nasbench_ar.version import __version__

FORMAT = "0.3.18"
HEADER = "evaluations raw_y"


def ioh_files(stored: Stored) -> dict[str, str]:
    """Path -> content, in the folder of one searcher.  Queries beyond the budget do not count."""
    race, oracle, runs = stored.race, stored.oracle, stored.runs
    column = oracle.column(race.objective, seed=race.table_seed)
    maximize = bool(oracle.metric(race.objective).maximize)
    vectors = oracle.space.vectors(indices=runs.reported)
    data = f"data_f1_{race.objective}/IOHprofiler_f1_DIM{vectors.shape[1]}.dat"
    lines, described = [], []
    for queried in runs.arch_index[:, : race.queries]:
        indices = queried[queried >= 0]
        scores = column[indices]
        best = (np.maximum if maximize else np.minimum).accumulate(scores)
        kept = np.flatnonzero(np.append(True, best[1:] != best[:-1]))
        first = int(kept[-1])
        lines.append(HEADER)
        lines += [f"{n + 1} {float(scores[n])!r}" for n in np.union1d(kept, len(scores) - 1).tolist()]
        x = oracle.space.vectors(indices=indices[first : first + 1])[0].tolist()
        described.append(
            {"instance": 1, "evals": len(scores), "best": {"evals": first + 1, "y": float(best[-1]), "x": x}}
        )
    meta = {
        "version": FORMAT,
        "suite": oracle.name,
        "function_id": 1,
        "function_name": race.objective,
        "maximization": maximize,
        "algorithm": {"name": stored.name, "info": f"nasbench-ar {__version__}"},
        "attributes": HEADER.split(),
        "scenarios": [{"dimension": vectors.shape[1], "path": data, "runs": described}],
    }
    return {f"IOHprofiler_f1_{race.objective}.json": json.dumps(meta, indent=1) + "\n", data: "\n".join(lines) + "\n"}


def write_ioh(contestants: Sequence[Stored], folder: Path) -> None:
    """Write every searcher into a folder of its own below `folder`, which must have no other files for IOHinspector."""
    files = {
        folder / f"{number}-{stored.folder.name}" / path: text
        for number, stored in enumerate(contestants, start=1)
        for path, text in ioh_files(stored).items()
    }
    others = sorted({*folder.rglob("*.json"), *folder.rglob("*.info")} - set(files))
    if others:
        raise ConfigError(f"ioh={folder}: {others[0]} would be read together with these runs; choose another folder")
    for path, text in files.items():
        make_folder(path.parent)
        write_file(path, text.encode())
