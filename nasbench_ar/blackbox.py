"""A table as a blackbox of Syne Tune, whose simulator runs its schedulers on it.

    from syne_tune.blackbox_repository import UserBlackboxBackend

    blackbox = nasbench_ar.syne_tune_blackbox("val_pgd_acc", table="digits-729", unit="epochs")
    backend = UserBlackboxBackend(blackbox, elapsed_time_attr="elapsed_time")

Nothing is counted here: the simulator has a clock and budgets of its own.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nasbench_ar.entry import Entry
from nasbench_ar.metrics import objective as searchable_metric
from nasbench_ar.oracle import Oracle, load
from nasbench_ar.system.extras import require
from nasbench_ar.training_cost import NARES_EPOCHS, training_cost
from nasbench_ar.values import SeedChoice

_SECONDS = {"gpu_days": 86_400, "epochs": 1}


def syne_tune_blackbox(
    objective: str | None = None,
    *,
    table: str | os.PathLike[str] | Oracle | None = None,
    unit: str = "gpu_days",
    seed: SeedChoice = "mean",
) -> Any:
    """A `BlackboxTabular` with the objective, in its own unit, and `elapsed_time`, the seconds of training so far.

    Where the table has a curve of the objective, the fidelity is `epochs`, the number that were trained, and the values
    are those measured after each.  Otherwise it is `trainings`, 1, with the value of the finished training.

    Args:
        objective: a metric that may guide a search; None takes the table's default.
        table: a name, a folder, an oracle, or None for the best table at hand.
        unit: `gpu_days`: the seconds are one GPU's, measured or estimated from MACs (`training_cost`); `epochs`: each
            takes a second.  The simulator counts no step below 0.01 s, which small networks' are.
        seed: training seed to look up, or `"mean"`.

    Raises:
        ConfigError: when Syne Tune is not installed, or on another unit.
        MetricError: on an objective that the table lacks or that may not guide a search.
        MissingEntryError: when no architecture has a value.
    """
    tabular = require("syne_tune_blackbox", "syne_tune.blackbox_repository.blackbox_tabular").BlackboxTabular
    domains = require("syne_tune_blackbox", "syne_tune.config_space")
    oracle = table if isinstance(table, Oracle) else load(table, quiet=True)
    name = objective or oracle.table.default_objective
    found = searchable_metric(name, catalogue=oracle.table.catalogue, among=oracle.metrics)
    if found.curve in oracle.table.curve_names:
        along = oracle.fidelity_session(found.name, budget=1, unit=unit, seed=seed)
        space, fidelity, a_step = along.space, "epochs", along.cost.per_epoch
        values = np.array([oracle.curve(architecture, along.curve, seed=seed) for architecture in space])
    else:
        space, fidelity = oracle.session(found.name, budget=1, seed=seed).space, "trainings"
        values = oracle.column(found.name, seed=seed)[space.member_indices, None]
        epochs = oracle.table.epochs or NARES_EPOCHS
        cost = training_cost(oracle, unit, indices=space.member_indices, epochs=epochs, seed=seed)
        a_step = epochs * cost.per_epoch
    steps = np.arange(1, values.shape[1] + 1)
    seconds = _SECONDS[unit] * a_step[space.member_indices, None] * steps
    import pandas as pd

    return tabular(
        hyperparameters=pd.DataFrame(space.vectors(), columns=list(space.entry_names)),
        configuration_space={
            entry.name: domains.ordinal(_of_one_type(entry), kind="equal")
            if entry.ordered
            else domains.choice(_of_one_type(entry))
            for entry in space.entries
        },
        fidelity_space={fidelity: domains.randint(1, len(steps))},
        objectives_evaluations=np.stack([values, seconds], axis=-1)[:, None],
        objectives_names=[found.name, "elapsed_time"],
    )


def _of_one_type(entry: Entry) -> list[Any]:
    """The levels, whole numbers as floats beside floats: Syne Tune takes no domain of two types."""
    mixed = {type(level) for level in entry.choices} == {int, float}
    return [float(level) for level in entry.choices] if mixed else list(entry.choices)
