"""Searchers that ask for an architecture at an epoch, and go on with the promising ones.

    from searchers.fidelity import Hyperband

    searcher = Hyperband(space, seed=0, epochs=100)
    architecture, epoch = searcher.ask()
    searcher.tell(architecture, epoch, scores)      # after epochs 0..epoch; higher is better

`FIDELITY_SEARCHERS` maps the names that `python -m experiments.fidelity searcher=...` takes
to classes.  A new algorithm subclasses `FidelitySearcher`; `searchers.fidelity.testing` has
the tests that any subclass must pass.
"""

from searchers.fidelity.asha import Asha
from searchers.fidelity.base import FidelitySearcher, Training
from searchers.fidelity.halving import Hyperband, SuccessiveHalving
from searchers.fidelity.random_full import RandomFull

FIDELITY_SEARCHERS: dict[str, type[FidelitySearcher]] = {
    "random_full": RandomFull,
    "successive_halving": SuccessiveHalving,
    "hyperband": Hyperband,
    "asha": Asha,
}
"""By the names that `python -m experiments.fidelity searcher=...` takes."""

__all__ = [
    "FIDELITY_SEARCHERS",
    "Asha",
    "FidelitySearcher",
    "Hyperband",
    "RandomFull",
    "SuccessiveHalving",
    "Training",
]
