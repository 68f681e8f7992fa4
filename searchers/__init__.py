"""Search algorithms in their correct form, behind one ask/tell interface.

    from searchers import RandomSearch

    searcher = RandomSearch(space, seed=0)
    architecture = searcher.ask()
    searcher.tell(architecture, score)      # higher is better

`SEARCHERS` maps the names that `python -m experiments.run searcher=...` takes to
classes.  A new algorithm subclasses `Searcher`; `searchers.testing` has the tests
that any subclass must pass.
"""

import inspect
from typing import Any

from nasbench_ar.errors import SearchError
from nasbench_ar.space import SearchSpace
from searchers.bananas import Bananas
from searchers.base import Searcher
from searchers.local_search import LocalSearch
from searchers.random_search import RandomSearch
from searchers.regularized_evolution import RegularizedEvolution

SEARCHERS: dict[str, type[Searcher]] = {
    "random_search": RandomSearch,
    "local_search": LocalSearch,
    "regularized_evolution": RegularizedEvolution,
    "bananas": Bananas,
}


def hyperparameters(searcher: type[Searcher]) -> dict[str, Any]:
    """Name -> default of every constructor argument but `space` and `seed`.

    Arguments without a default are left out.
    """
    parameters = inspect.signature(searcher).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty and p.name not in ("space", "seed")}


def create(name: str, space: SearchSpace, seed: int, **arguments: Any) -> Searcher:
    """Build one of `SEARCHERS` by name.

    Raises:
        SearchError: on an unknown name or argument; the message lists the known ones.
    """
    if name not in SEARCHERS:
        raise SearchError(f"unknown searcher {name!r}; known: {', '.join(SEARCHERS)}")
    known = hyperparameters(SEARCHERS[name])
    for argument in arguments:
        if argument not in known:
            raise SearchError(f"{name} has no argument {argument!r}; it takes {', '.join(known) or 'none'}")
    return SEARCHERS[name](space, seed, **arguments)


__all__ = [
    "SEARCHERS",
    "Bananas",
    "LocalSearch",
    "RandomSearch",
    "RegularizedEvolution",
    "Searcher",
    "create",
    "hyperparameters",
]
