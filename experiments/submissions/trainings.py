"""Runs along learning curves in `runs.parquet`: a row per training, on one simulated machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.machines import Trace, simulate
from experiments.races.race import Race, open_fidelity_session
from experiments.submissions.entry import MOST_RUNS, Entry, read_columns, rows_of_runs
from nasbench_ar import Architecture, FidelitySession, Oracle, ResultsError, SpaceExhaustedError
from searchers.fidelity import FidelitySearcher, Training

COLUMNS = {
    "seed": "int64",
    "training": "int32",
    "arch_index": "int32",
    "epoch": "int32",
    "spent": "double",
    "incumbent": "int32",
}


def columns_of(traces: Sequence[Trace]) -> dict[str, NDArray[Any]]:
    """All trainings, in the order in which they ended."""
    lengths = [len(trace.arch_index) for trace in traces]
    return {
        "seed": np.repeat([trace.seed for trace in traces], lengths).astype(np.int64),
        "training": np.concatenate([np.arange(1, length + 1, dtype=np.int32) for length in lengths]),
        **{
            name: np.concatenate([getattr(trace, name) for trace in traces])
            for name in ("arch_index", "epoch", "spent", "incumbent")
        },
    }


def read_trainings(folder: Path, entry: Entry, race: Race, oracle: Oracle) -> tuple[Trace, ...]:
    """Read the runs of a submission and carry out their trainings; ResultsError says the first thing that is wrong."""
    most = int(race.budget or 0)  # a training has an epoch at least
    columns = read_columns(folder, COLUMNS, MOST_RUNS * most, f"{MOST_RUNS} runs of {most} epochs, one a training,")
    rows = rows_of_runs(folder, columns["seed"], columns["training"], entry.least_runs, "trainings")
    return tuple(
        _carried_out(
            f"{folder}: seed {seed}",
            {name: columns[name][rows[seed] : rows[seed + 1]] for name in COLUMNS},
            open_fidelity_session(race, oracle),
            seed,
        )
        for seed in range(len(rows) - 1)
    )


def _carried_out(what: str, run: dict[str, NDArray[Any]], session: FidelitySession, seed: int) -> Trace:
    trace = simulate(_Replay(session, seed, _trainings(what, run, session)), session, workers=1)
    within = min(len(trace.epoch), len(run["epoch"]))
    beyond = np.flatnonzero(trace.epoch[:within] != run["epoch"][:within])
    if len(beyond) or within < len(run["epoch"]):
        k = int(beyond[0]) if len(beyond) else within
        raise ResultsError(f"{what}: training {k + 1} is beyond the budget of {session.budget:.6g} {session.cost.unit}")
    if not session.exhausted:
        raise ResultsError(f"{what} has spent {session.spent:.6g} of {session.budget:.6g} {session.cost.unit}; run on")
    for name, says in (("spent", "it has spent"), ("incumbent", "it recommends")):
        differ = np.flatnonzero(run[name] != getattr(trace, name))
        if len(differ):
            k = int(differ[0])
            given, true = run[name][k], getattr(trace, name)[k]
            raise ResultsError(f"{what}: after training {k + 1} {says} {given:.6g}; by the table it is {true:.6g}")
    return trace


def _trainings(what: str, run: dict[str, NDArray[Any]], session: FidelitySession) -> list[Training]:
    """What a run asks for, each further than before and of the space."""
    out: list[Training] = []
    known: dict[Architecture, int] = {}
    allowed = set(session.space.member_indices.tolist())
    for k, (index, epoch) in enumerate(zip(run["arch_index"].tolist(), run["epoch"].tolist(), strict=True), start=1):
        if index not in allowed:
            raise ResultsError(f"{what}: training {k} is of architecture {index}, which the track does not allow")
        architecture = session.space.from_index(index)
        if not known.get(architecture, -1) < epoch < session.epochs:
            raise ResultsError(
                f"{what}: training {k}, of architecture {index}, ends with epoch {epoch}; expected one after "
                f"{known.get(architecture, -1)}, below {session.epochs}"
            )
        known[architecture] = epoch
        out.append(Training(architecture, epoch))
    return out


class _Replay(FidelitySearcher):
    """Asks for given trainings, one after the other."""

    def __init__(self, session: FidelitySession, seed: int, trainings: Iterable[Training]) -> None:
        super().__init__(session.space, seed, session.epochs)
        self._left = iter(trainings)

    def _ask(self) -> Training:
        try:
            return next(self._left)
        except StopIteration:
            raise SpaceExhaustedError("no training is left") from None
