"""NASBench-AR: neural architecture search under adversarial robustness, from a table.

The 15,625 wide residual networks of NARes, each adversarially trained and attacked,
as a search space (`SearchSpace`), a catalogue of metrics (`METRICS`) and a tabular
oracle (`load`, `Oracle`).  Searchers are in `searchers`, races in `experiments`.

    import nasbench_ar

    oracle = nasbench_ar.load()
    oracle.query("5-10-5-10-5-10", "val_best_pgd_acc")

Accuracies are percentages; see `nasbench_ar.metrics` for every name.
"""

from nasbench_ar.system import command

command.begin()  # before the slow imports below

from nasbench_ar.adapters import nevergrad_problem, optuna_objective, pymoo_problem
from nasbench_ar.architecture import WRN_34_10, WRN_70_16, Architecture, ArchitectureLike
from nasbench_ar.blackbox import syne_tune_blackbox
from nasbench_ar.constraints import Constraint, parse_constraints
from nasbench_ar.entry import Entry
from nasbench_ar.epoch_session import FidelitySession
from nasbench_ar.errors import (
    BudgetExhaustedError,
    ConfigError,
    DataError,
    EngineError,
    MetricError,
    MissingEntryError,
    NasbenchError,
    ResultsError,
    SearchError,
    SearchFinishedError,
    SpaceError,
    SpaceExhaustedError,
    TableError,
    TrainingError,
    WriteError,
)
from nasbench_ar.grid import Grid
from nasbench_ar.library import open_table
from nasbench_ar.metrics import METRICS, Metric
from nasbench_ar.oracle import Oracle, load
from nasbench_ar.session import Session, VectorSession
from nasbench_ar.space import NARES, SearchSpace
from nasbench_ar.table import Table
from nasbench_ar.table_writer import TableWriter
from nasbench_ar.version import __version__

__all__ = [
    "METRICS",
    "NARES",
    "WRN_34_10",
    "WRN_70_16",
    "Architecture",
    "ArchitectureLike",
    "BudgetExhaustedError",
    "ConfigError",
    "Constraint",
    "DataError",
    "EngineError",
    "Entry",
    "FidelitySession",
    "Grid",
    "Metric",
    "MetricError",
    "MissingEntryError",
    "NasbenchError",
    "Oracle",
    "ResultsError",
    "SearchError",
    "SearchFinishedError",
    "SearchSpace",
    "Session",
    "SpaceError",
    "SpaceExhaustedError",
    "Table",
    "TableError",
    "TableWriter",
    "TrainingError",
    "VectorSession",
    "WriteError",
    "__version__",
    "load",
    "nevergrad_problem",
    "open_table",
    "optuna_objective",
    "parse_constraints",
    "pymoo_problem",
    "syne_tune_blackbox",
]


def __dir__() -> list[str]:
    """What a user needs, for completion; the modules are there by their names."""
    return __all__
