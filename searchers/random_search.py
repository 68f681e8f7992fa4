"""Random search: the baseline that every other searcher has to beat (NARes, section 5)."""

from nasbench_ar.architecture import Architecture
from searchers.base import Searcher


class RandomSearch(Searcher):
    """Uniform sampling without replacement.

    The expectation of its incumbent is known in closed form:
    `experiments.results.incumbents.expected_best_of_n`.
    """

    def _ask(self) -> Architecture:
        return self.sample_unseen()
