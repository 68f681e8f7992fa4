"""BoTorch's Gaussian process and noisy expected improvement, maximised over a pool; needs the package `botorch`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import MixedSingleTaskGP, SingleTaskGP
from botorch.optim import optimize_acqf_discrete
from botorch.posteriors import GPyTorchPosterior
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.distributions import MultivariateNormal
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator import to_linear_operator
from linear_operator.utils.errors import NanError, NotPSDError
from torch import Tensor

from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SearchError

_CHUNK = 512  # of the pool at once: more take longer, since a chunk's points have a joint posterior


class _OfPools:
    """Posteriors of (b, m + 1) points where only the last of each m + 1 differs, as noisy improvement asks for.

    BoTorch computes b posteriors; here the m + b points have one, whose parts are the same numbers.
    """

    def posterior(self, X: Tensor, *arguments: Any, **words: Any) -> GPyTorchPosterior:  # noqa: N803
        if X.ndim == 2:
            return super().posterior(X, *arguments, **words)  # type: ignore[misc]
        b, m = len(X), X.shape[1] - 1
        joint = super().posterior(torch.cat([X[0, :-1], X[:, -1]]), *arguments, **words).distribution  # type: ignore[misc]
        every = joint.covariance_matrix
        mean = torch.cat([joint.mean[:m].expand(b, m), joint.mean[m:, None]], dim=1)
        covariance = every.new_empty(b, m + 1, m + 1)
        covariance[:, :m, :m] = every[:m, :m]
        covariance[:, m, :m] = covariance[:, :m, m] = every[m:, :m]
        covariance[:, m, m] = every.diagonal()[m:]
        return GPyTorchPosterior(MultivariateNormal(mean, to_linear_operator(covariance)))


class OrdinalModel(_OfPools, SingleTaskGP):
    """`SingleTaskGP` for pools."""


class MixedModel(_OfPools, MixedSingleTaskGP):
    """`MixedSingleTaskGP` for pools."""


class Model:
    """A Gaussian process whose hyperparameters are fitted anew from time to time, and in between are kept.

    Args:
        categorical: columns of x that are codes of categories; the others are numbers in [0, 1].
        samples: of the posterior, quasi-random, in an expected improvement.
    """

    def __init__(self, categorical: Sequence[int], samples: int) -> None:
        self.categorical = list(categorical)
        self.samples = torch.Size([samples])
        self._fitted: SingleTaskGP | None = None
        self._next_fit = 0

    def propose(self, x: FloatArray, y: FloatArray, pool: FloatArray, count: int, seed: int) -> list[int]:
        """Rows of the pool, one after the other, each as if those before were being evaluated.

        Args:
            x: (n, d) what was observed.
            y: (n,) scores.
            pool: (m, d) different candidates, at least `count`.
            count: how many.
            seed: of all draws.

        Raises:
            SearchError: when BoTorch cannot fit the model.
        """
        observed, choices = torch.from_numpy(x), torch.from_numpy(pool)
        with _seeded(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = self._conditioned(observed, torch.from_numpy(y)[:, None])
                sampler = SobolQMCNormalSampler(self.samples, seed=seed)
                acquisition = qLogNoisyExpectedImprovement(model, observed, sampler, prune_baseline=True)
                chosen, _ = optimize_acqf_discrete(acquisition, count, choices, max_batch_size=_CHUNK)
            except (ModelFittingError, NanError, NotPSDError) as error:
                raise SearchError(f"BoTorch failed: {' '.join(str(error).split())}") from error
        return [int((choices == row).all(dim=1).nonzero()[0]) for row in chosen]

    def _conditioned(self, x: Tensor, y: Tensor) -> SingleTaskGP:
        """A model of all observations, fitted where a tenth more than at the last fit, or ten more, are known."""
        model = MixedModel(x, y, self.categorical) if self.categorical else OrdinalModel(x, y)
        if self._fitted is None or len(x) >= self._next_fit:
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            self._fitted = model
            self._next_fit = len(x) + min(max(len(x) // 10, 1), 10)
            return model
        for part in ("mean_module", "covar_module", "likelihood"):
            getattr(model, part).load_state_dict(getattr(self._fitted, part).state_dict())
        return model.eval()


def sobol(dimensions: int, count: int, seed: int) -> FloatArray:
    """(count, dimensions) numbers from 0 to below 1, of a scrambled Sobol sequence."""
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    return engine.draw(count, dtype=torch.double).numpy()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """BoTorch draws from PyTorch's global generator: seed it, then restore the user's state."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
