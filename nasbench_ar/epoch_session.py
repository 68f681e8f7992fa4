"""Counted queries along learning curves: a searcher asks for an architecture at an epoch.

    session = oracle.fidelity_session(budget=400)      # 400 epochs of training
    session.query(architecture, 2)      # values after epochs 0, 1, 2: three epochs are charged
    session.query(architecture, 7)      # goes on training: five more
    session.query(architecture, 4)      # known: free

The rules, which no order of queries can evade:

- Only the values of one curve up to the epoch are revealed: nothing later, and no value
  read at the best epoch, which is known only when a training is over.
- A search has spent the sum, over the architectures, of the cost of the highest epoch it
  asked for.  A query that the rest of the budget does not pay reveals nothing.
- The objective at an epoch is the value measured after that epoch, as a practitioner
  sees it, not the best so far; the incumbent is the architecture of the best value revealed.

The final value of an architecture (the objective of the finished training, read at its
best epoch) is another number: look it up in the oracle after the search.
"""

from __future__ import annotations

import numpy as np

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import BudgetExhaustedError, ConfigError, MetricError, MissingEntryError
from nasbench_ar.grid import Grid, is_int
from nasbench_ar.metrics import objective as searchable_metric
from nasbench_ar.training_cost import training_cost
from nasbench_ar.values import SeedChoice, Values, unknown_seed

_ROUNDING = 1e-9  # share of the budget by which sums of GPU-days may be off


class FidelitySession:
    """A budget of training, in epochs or GPU-days.

    Attributes:
        curve: the learning curve that reveals the objective.
        epochs: length of a whole training; epochs count from 0.
        cost: prices; `cost.label` says what they are.
        space: architectures with a whole curve and a value of the finished training.
        history: architecture -> (epochs known,) float64, in the order of first queries.
        spent: cost of everything asked for so far.
        repeats: queries for what was known already.

    Raises:
        MetricError: when the objective is unknown or has no curve in the table, as test metrics
            have none; later when a method is given an epoch outside the training.
        MissingEntryError: when no architecture has a whole curve.
        ConfigError: when the budget is not positive, or not a whole number of epochs.
        SpaceError: when a method is given an architecture outside the space.
    """

    def __init__(
        self,
        oracle: Values,
        objective: str | None = None,
        *,
        budget: float,
        unit: str = "epochs",
        seed: SeedChoice = "mean",
    ) -> None:
        self.objective = searchable_metric(
            objective or oracle.table.default_objective,
            allow_test=True,
            catalogue=oracle.table.catalogue,
            among=oracle.metrics,
        )
        self.curve = _curve_of(oracle, self.objective.name)
        self.epochs = oracle.table.curve(self.curve).shape[1]
        self.space = _searchable(oracle, self.objective.name, self.curve, seed)
        self.cost = training_cost(oracle, unit, indices=self.space.member_indices, epochs=self.epochs, seed=seed)
        self.budget = _checked_budget(budget, unit)
        self.history: dict[Architecture, FloatArray] = {}
        self.spent = 0.0
        self.repeats = 0
        self._oracle = oracle
        self._seed = seed
        self._sign = 1.0 if self.objective.maximize else -1.0

    def __repr__(self) -> str:
        best = "{1:.6g} by {0}".format(*self.best()) if self.history else ""
        return (
            f"FidelitySession({self.objective.name} of {self._oracle.name}: "
            f"{self.spent:.6g} of {self.budget:.6g} {self.cost.unit}{best and f', best {best}'})"
        )

    @property
    def remaining(self) -> float:
        """What may still be spent."""
        return max(self.budget - self.spent, 0.0)

    @property
    def exhausted(self) -> bool:
        """Whether the budget is spent, up to rounding."""
        return self.remaining <= _ROUNDING * self.budget

    def known_epochs(self, architecture: ArchitectureLike) -> int:
        """How many epochs of an architecture are paid for."""
        return len(self.history.get(self.space.parse(architecture), ()))

    def price(self, architecture: ArchitectureLike, epoch: int) -> float:
        """What training from the known epochs up to `epoch` would cost."""
        found = self.space.parse(architecture)
        further = max(self._epochs_done(epoch) - len(self.history.get(found, ())), 0)
        return float(further * self.cost.per_epoch[self.space.index(found)])

    def affordable(self, architecture: ArchitectureLike, epoch: int) -> int | None:
        """The last epoch, up to the given one, that is known or the rest of the budget pays; None if there is none."""
        found = self.space.parse(architecture)
        wanted, known = self._epochs_done(epoch), len(self.history.get(found, ()))
        if wanted <= known:
            return epoch
        rest = self.budget - self.spent + _ROUNDING * self.budget
        further = min(wanted - known, int(rest / self.cost.per_epoch[self.space.index(found)]))
        return known + further - 1 if further > 0 else None

    def query(self, architecture: ArchitectureLike, epoch: int) -> FloatArray:
        """(epoch + 1,) float64: the curve's values after epochs 0..epoch, in its own unit.

        Raises:
            BudgetExhaustedError: when the rest does not pay for it; nothing is charged or revealed.
        """
        found = self.space.parse(architecture)
        done = self._epochs_done(epoch)
        if done <= len(self.history.get(found, ())):
            self.repeats += 1
            return self.history[found][:done]
        price = self.price(found, epoch)
        if self.affordable(found, epoch) != epoch:
            raise BudgetExhaustedError(
                f"{found} up to epoch {epoch} costs {price:.6g} {self.cost.unit}; {self.remaining:.6g} of "
                f"{self.budget:.6g} remain"
            )
        values = self._oracle.curve(found, self.curve, epoch=epoch, seed=self._seed)
        values.flags.writeable = False
        self.spent += price
        self.history[found] = values
        return values

    def scores(self, architecture: ArchitectureLike, epoch: int) -> FloatArray:
        """As `query`, turned so that higher is better: what a searcher is told."""
        return self._sign * self.query(architecture, epoch)

    def best(self) -> tuple[Architecture, float]:
        """The incumbent: first architecture with the best value revealed, and that value.

        Raises:
            BudgetExhaustedError: before the first query.
        """
        if not self.history:
            raise BudgetExhaustedError("nothing was queried yet, so there is no best")
        turned = {architecture: float((self._sign * values).max()) for architecture, values in self.history.items()}
        found = max(turned, key=turned.__getitem__)
        return found, self._sign * turned[found]

    def _epochs_done(self, epoch: int) -> int:
        if not is_int(epoch) or not 0 <= epoch < self.epochs:
            raise MetricError(f"epoch={epoch!r}: a training of this table has epochs 0 to {self.epochs - 1}")
        return int(epoch) + 1


def _checked_budget(budget: float, unit: str) -> float:
    number = isinstance(budget, (int, float, np.integer, np.floating)) and not isinstance(budget, bool)
    if not number or not 0 < budget < float("inf"):
        raise ConfigError(f"budget={budget!r}: expected a positive number of {unit}")
    if unit == "epochs" and budget != int(budget):
        raise ConfigError(f"budget={budget!r}: epochs are whole; use {max(int(budget), 1)}")
    return float(budget)


def _curve_of(oracle: Values, name: str) -> str:
    curves = oracle.table.curve_names
    if not curves:
        raise MetricError(
            f"table {oracle.name} has no learning curves, so that nothing is known of an architecture before the end "
            f"of its training; tables with curves: {_tables_with_curves()}, the authors' release (python -m "
            "nasbench_ar import nares.txz), or one of your own (python -m datagen.run, then datagen.export)"
        )
    curve = oracle.metric(name).curve
    if name in oracle.metrics and curve in curves:
        return curve
    possible = [m.name for m in map(oracle.metric, oracle.metrics) if m.searchable and m.curve in curves]
    raise MetricError(
        f"table {oracle.name} has no learning curve of {name}; objectives with one: {', '.join(possible) or 'none'}"
    )


def _tables_with_curves() -> str:
    from nasbench_ar.library import installed
    from nasbench_ar.table import Table

    return ", ".join(name for name, folder in installed().items() if Table(folder).curve_names) or "none installed"


def _searchable(oracle: Values, objective: str, curve: str, seed: SeedChoice) -> Grid:
    """Architectures with a whole curve and a value of the finished training.

    A training with a part of its curve would change the mean over seeds from epoch to epoch.
    """
    table = oracle.table
    if not isinstance(seed, str) and seed not in table.seeds:
        raise unknown_seed(table, seed)
    absent = np.isnan(np.asarray(table.curve(curve)))
    counted = np.ones(table.rows, dtype=bool) if isinstance(seed, str) else np.asarray(table.seeds) == seed
    whole = np.zeros(oracle.space.product_size, dtype=bool)
    whole[table.arch_index[counted & ~absent.any(axis=1)]] = True
    whole[table.arch_index[counted & absent.any(axis=1) & ~absent.all(axis=1)]] = False
    present = np.flatnonzero(whole & oracle.available(objective, seed=seed))
    if not len(present):
        which = "" if isinstance(seed, str) else f" among the trainings with seed {seed}"
        raise MissingEntryError(f"table {oracle.name} has no {objective} with a whole curve of {curve}{which}")
    return oracle.space.restricted_to(indices=present)
