"""Random search as published (NARes, section 5): only its random numbers differ from `searchers.random_search`."""

from __future__ import annotations

from collections.abc import Iterator

from nasbench_ar.architecture import Architecture
from searchers.published.base import SequentialSearcher
from searchers.published.sampling import sample_unseen


class PublishedRandomSearch(SequentialSearcher):
    """Sample, skip what was seen, until the budget is spent."""

    def _search(self) -> Iterator[Architecture]:
        while not self.budget_spent:
            yield sample_unseen(self.space, self.python_rng, self.history)
