"""Random search: the baseline that every other searcher has to beat (NARes, section 5)."""

from nasbench_ar.architecture import Architecture
from searchers.base import Searcher


class RandomSearch(Searcher):
    """Uniform sampling without replacement; `experiments.results.incumbents` has its exact expectation."""

    def _ask(self) -> Architecture:
        return self.sample_unseen()
