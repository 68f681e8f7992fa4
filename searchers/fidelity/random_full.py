"""Random search at full fidelity: what early stopping has to beat under the same budget."""

from searchers.fidelity.base import FidelitySearcher, Training


class RandomFull(FidelitySearcher):
    """Uniform sampling without replacement; every architecture is trained to its last epoch."""

    def _ask(self) -> Training:
        return Training(self.sample_unseen(), self.epochs - 1)
