"""BoTorch's Gaussian process and noisy expected improvement, maximised over a pool; needs the package `botorch`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import MixedSingleTaskGP, SingleTaskGP
from botorch.optim import optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.errors import NanError, NotPSDError
from torch import Tensor

from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SearchError

FAILURES = (ModelFittingError, NanError, NotPSDError)

_CHUNK = 512  # of the pool at once: more take longer, since a chunk's points have a joint posterior


class PoolImprovement(qLogNoisyExpectedImprovement):
    """`qLogNoisyExpectedImprovement` of many single points at once, which share what BoTorch computes for each.

    Given f at the m baseline points, which has the covariance L L', and standard normal draws z of length m + 1, f at a
    point x is mu(x) + a'z[:m] + sqrt(k(x, x) - a'a) z[m] with L a = k(baseline, x).  BoTorch makes a posterior over
    m + 1 points of every x, and solves with L again for each; here the points have one posterior, and L one solve.
    """

    def _get_samples_and_objectives(self, X: Tensor) -> tuple[Tensor, Tensor]:  # noqa: N803
        baseline = self.X_baseline
        m = len(baseline)
        posterior = self.model.posterior(torch.cat([baseline, X[:, 0]]))
        if self.q_in != 1:
            self._set_sampler(1, self.model.posterior(torch.cat([baseline, X[0]])[None]))
        z = self.sampler.base_samples.reshape(-1, m + 1)
        mean, covariance = posterior.distribution.mean[m:], posterior.distribution.covariance_matrix[m:]
        a = torch.linalg.solve_triangular(self._baseline_L, covariance[:, :m].T, upper=False)
        deviation = (covariance[:, m:].diagonal() - a.square().sum(dim=0)).clamp_min(0).sqrt()
        samples = (mean + z[:, :m] @ a + z[:, m:] * deviation)[:, :, None, None]
        return samples, self.objective(samples, X=X)


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
                acquisition = PoolImprovement(model, observed, sampler, prune_baseline=True)
                chosen, _ = optimize_acqf_discrete(acquisition, count, choices, max_batch_size=_CHUNK)
            except FAILURES as error:
                raise SearchError(f"BoTorch failed: {' '.join(str(error).split())}") from error
        return [int((choices == row).all(dim=1).nonzero()[0]) for row in chosen]

    def _conditioned(self, x: Tensor, y: Tensor) -> SingleTaskGP:
        """A model of all observations, fitted where a tenth more than at the last fit, or ten more, are known."""
        model = MixedSingleTaskGP(x, y, self.categorical) if self.categorical else SingleTaskGP(x, y)
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
