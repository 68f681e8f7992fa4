"""How far early epochs foretell a table's final ranking.

    python -m experiments.fidelity.ranks [table=NAME] [objective=METRIC] [table_seed=mean] [out=ranks.csv]

For each epoch: Kendall's tau-b between the curve's value after it and the objective of
the finished training, over all architectures that have both; the share of the final best
tenth that is among the best tenth at that epoch, where ties at the edge are drawn at
random; and the mean of the curve.  A schedule whose learning rate drops late shuffles the
ranking then: a searcher that stops before sees another order.  `out=` writes every epoch to a CSV file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.statistics.ranks import kendall
from experiments.tables import as_markdown, number
from nasbench_ar import ConfigError, Oracle, load
from nasbench_ar.arrays import FloatArray
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import write_file
from nasbench_ar.system.key_values import parse_words

MOST_LINES = 12
HEADER = ("Epoch", "Kendall's tau-b", "Best tenth found", "Mean of the curve")


@dataclass(frozen=True)
class EpochRank:
    """One epoch against finished trainings: `found` is the share of the best tenth, `mean` the curve's."""

    epoch: int
    architectures: int
    tau: float
    found: float
    mean: float


def ranks(oracle: Oracle, objective: str | None = None, table_seed: int | str = "mean") -> list[EpochRank]:
    session = oracle.fidelity_session(objective, budget=1, seed=table_seed)  # type: ignore[arg-type]
    sign = 1.0 if session.objective.maximize else -1.0
    final = oracle.column(session.objective.name, seed=table_seed)[session.space.member_indices]  # type: ignore[arg-type]
    curves = np.array([oracle.curve(a, session.curve, seed=table_seed) for a in session.space])  # type: ignore[arg-type]
    tenth = max(len(final) // 10, 1)
    best = chances_among_best(sign * final, tenth)
    out = []
    for epoch in range(session.epochs):
        values = curves[:, epoch]
        found = float(best @ chances_among_best(sign * values, tenth)) / tenth
        out.append(EpochRank(epoch, len(final), kendall(values, final)[0], found, float(values.mean())))
    return out


def chances_among_best(values: FloatArray, n: int) -> FloatArray:
    """(k,) each value's chance to be among the n highest, where what ties at the edge is drawn at random."""
    edge = np.partition(values, -n)[-n]
    above, ties = values > edge, values == edge
    return above + ties * (n - above.sum()) / ties.sum()


def as_text(oracle: Oracle, objective: str, found: Sequence[EpochRank]) -> str:
    """A Markdown table; of a long training, the first and last epoch and those around some shares of it."""
    epochs = len(found)
    shown = set(range(epochs))
    if epochs > MOST_LINES:
        shares = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
        shown = {0, epochs - 1} | {int(share * epochs) - before for share in shares for before in (0, 1)}
    lines = [(str(r.epoch), number(r.tau), f"{100 * r.found:.0f} %", number(r.mean)) for r in found if r.epoch in shown]
    return (
        f"Epochs against the finished training: {oracle.label(objective)}, {epochs} epochs, "
        f"{found[0].architectures} of {oracle.space.size} architectures\n\n"
        f"Table {oracle.name}: {oracle.title}\n\n{as_markdown(HEADER, lines)}"
    )


def as_csv(found: Sequence[EpochRank]) -> str:
    lines = ["epoch,kendall_tau_b,best_tenth_found,mean"]
    lines += [f"{r.epoch},{r.tau!r},{r.found!r},{r.mean!r}" for r in found]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    given = parse_words(arguments, {"table": "", "objective": "", "table_seed": "mean", "out": ""})
    seed = given["table_seed"]
    if seed != "mean" and not (seed.isascii() and seed.isdigit()):
        raise ConfigError(f"table_seed={seed!r}: expected a number or mean")
    oracle = load(given["table"] or None)
    objective = given["objective"] or oracle.table.default_objective
    found = ranks(oracle, objective, seed if seed == "mean" else int(seed))
    print(as_text(oracle, oracle.metric(objective).name, found))
    if given["out"]:
        write_file(Path(given["out"]), as_csv(found).encode())
        print(given["out"])


if __name__ == "__main__":
    sys.exit(run_command(main))
