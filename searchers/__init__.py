"""Search algorithms behind one ask/tell interface: in their correct form, and as published.

    from searchers import RandomSearch

    searcher = RandomSearch(space, seed=0)
    architecture = searcher.ask()
    searcher.tell(architecture, score)      # higher is better

`SEARCHERS`, `BASELINES` (no search), `PUBLISHED` (as the authors' code behaves, defects included) and `FURTHER` (a
Gaussian process, several objectives, other libraries) map the names that `python -m experiments.run searcher=...` takes
to classes.  A new algorithm subclasses `Searcher`; `searchers.testing` has the tests that any subclass must pass.  The
searchers of `searchers.fidelity` ask for an architecture at an epoch.
"""

import inspect
from typing import Any

from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from searchers.bananas import Bananas
from searchers.base import Searcher
from searchers.baybe_search import BaybeSearcher
from searchers.botorch_search import BotorchSearcher
from searchers.gp import GaussianProcess
from searchers.largest import Largest
from searchers.local_search import LocalSearch
from searchers.nevergrad_search import NevergradSearcher
from searchers.nsga2 import NSGA2
from searchers.optuna_search import OptunaSearcher
from searchers.published.bananas import PublishedBananas
from searchers.published.local_search import PublishedLocalSearch
from searchers.published.random_search import PublishedRandomSearch
from searchers.published.regularized_evolution import PublishedRegularizedEvolution
from searchers.random_search import RandomSearch
from searchers.regularized_evolution import RegularizedEvolution
from searchers.smac_search import SMACSearcher
from searchers.syne_tune_search import SyneTuneSearcher
from searchers.trajectory import Trajectory, search
from searchers.vector import VectorRandomSearch, VectorSearcher

SEARCHERS: dict[str, type[Searcher]] = {
    "random_search": RandomSearch,
    "local_search": LocalSearch,
    "regularized_evolution": RegularizedEvolution,
    "bananas": Bananas,
}
"""The four of Table 2, by the names that `python -m experiments.run searcher=...` takes."""

BASELINES: dict[str, type[Searcher]] = {"largest": Largest}
"""What needs no search."""

PUBLISHED: dict[str, type[Searcher]] = {
    "published_random_search": PublishedRandomSearch,
    "published_local_search": PublishedLocalSearch,
    "published_regularized_evolution": PublishedRegularizedEvolution,
    "published_bananas": PublishedBananas,
}
"""As the authors' code behaves, defects included."""

FURTHER: dict[str, type[Searcher]] = {
    "gp": GaussianProcess,
    "nsga2": NSGA2,
    "optuna": OptunaSearcher,
    "nevergrad": NevergradSearcher,
    "botorch": BotorchSearcher,
    "baybe": BaybeSearcher,
    "smac": SMACSearcher,
    "syne_tune": SyneTuneSearcher,
}
"""Not among the paper's four: a Gaussian process, one for several objectives, and those of optional libraries."""

ALL_SEARCHERS: dict[str, type[Searcher]] = SEARCHERS | BASELINES | PUBLISHED | FURTHER
"""`SEARCHERS`, `BASELINES`, `PUBLISHED` and `FURTHER` together."""

FOR_VECTORS: dict[type[Searcher], type[VectorSearcher]] = {RandomSearch: VectorRandomSearch}
"""What stands for a searcher where there are several objectives."""


def hyperparameters(searcher: type) -> dict[str, Any]:
    """Name -> default of constructor arguments, without `space`, `seed` and, if it stops itself, `queries`."""
    stops_itself = issubclass(searcher, Searcher) and searcher.stops_itself
    fixed = ("space", "seed", "queries") if stops_itself else ("space", "seed")
    parameters = inspect.signature(searcher).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty and p.name not in fixed}


def create(name: str, space: Grid, seed: int, **arguments: Any) -> Searcher:
    """Build one of `ALL_SEARCHERS` by name.

    Raises:
        SearchError: on an unknown name or argument; the message lists the known ones.
    """
    if name not in ALL_SEARCHERS:
        raise SearchError(f"unknown searcher {name!r}; known: {', '.join(ALL_SEARCHERS)}")
    cls = ALL_SEARCHERS[name]
    known = [*(["queries"] if cls.stops_itself else []), *hyperparameters(cls)]
    for argument in arguments:
        if argument not in known:
            raise SearchError(f"{name} has no argument {argument!r}; it takes {', '.join(known) or 'none'}")
    return cls(space, seed, **arguments)


__all__ = [
    "ALL_SEARCHERS",
    "BASELINES",
    "FOR_VECTORS",
    "FURTHER",
    "NSGA2",
    "PUBLISHED",
    "SEARCHERS",
    "Bananas",
    "BaybeSearcher",
    "BotorchSearcher",
    "GaussianProcess",
    "Largest",
    "LocalSearch",
    "NevergradSearcher",
    "OptunaSearcher",
    "PublishedBananas",
    "PublishedLocalSearch",
    "PublishedRandomSearch",
    "PublishedRegularizedEvolution",
    "RandomSearch",
    "RegularizedEvolution",
    "SMACSearcher",
    "Searcher",
    "SyneTuneSearcher",
    "Trajectory",
    "VectorRandomSearch",
    "VectorSearcher",
    "create",
    "hyperparameters",
    "search",
]
