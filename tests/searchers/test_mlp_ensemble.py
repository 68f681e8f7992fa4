"""The predictor's algebra against finite differences, torch and a plain loop over members."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from searchers.mlp_ensemble import MLPEnsemble

N, D, M, H = 12, 7, 3, 4


def ensemble(**settings: object) -> MLPEnsemble:
    rng = np.random.default_rng(0)
    made = MLPEnsemble(rng, D, members=M, hidden=H, **settings)  # type: ignore[arg-type]
    made.bias1[:] = rng.normal(size=M * H) * 0.1
    made.bias2[:] = rng.normal(size=M) * 0.1
    return made


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(N, D)).astype(np.float32), rng.normal(40, 2, size=N)


def by_hand(made: MLPEnsemble, x: np.ndarray) -> np.ndarray:
    out = []
    for m in range(M):
        block = slice(m * H, (m + 1) * H)
        hidden = np.maximum(x @ made.weights1[:, block] + made.bias1[block], 0)
        out.append(hidden @ made.weights2[block] + made.bias2[m])
    return np.array(out)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_a_copy_goes_on_learning(copied: Callable[[MLPEnsemble], MLPEnsemble]) -> None:
    x, y = data()
    made = ensemble()
    made.fit(x, y, 3)
    other = copied(made)
    for one in (made, other):
        one.fit(x, y, 20)
    np.testing.assert_array_equal(other.predict(x), made.predict(x))


def test_prediction_equals_separate_networks() -> None:
    x, _ = data()
    made = ensemble()
    np.testing.assert_allclose(made.predict(x), by_hand(made, x), rtol=1e-5, atol=1e-6)


def test_members_are_independent() -> None:
    x, y = data()
    one, other = ensemble(), ensemble()
    other.weights1[:, :H] += 1
    one.fit(x, y, 20)
    other.fit(x, y, 20)
    np.testing.assert_allclose(one.predict(x)[1:], other.predict(x)[1:], rtol=1e-5)
    assert not np.allclose(one.predict(x)[0], other.predict(x)[0])


def torch_losses(made: MLPEnsemble) -> tuple[list, Callable[[], Any]]:
    """The same networks in torch, float64: their parameters, and the summed loss of all members."""
    torch = pytest.importorskip("torch")
    x, y = data()
    weights = [torch.tensor(w.copy(), dtype=torch.float64, requires_grad=True) for w in parameters(made)]
    inputs, target = torch.tensor(x, dtype=torch.float64), torch.tensor((y - y.mean()) / y.std())

    def total() -> Any:
        hidden = torch.relu(inputs @ weights[0] + weights[1]) * weights[2]
        error = hidden.reshape(N, M, H).sum(-1) + weights[3] - target[:, None]
        return (error**2).mean(0).sum()

    return weights, total


def test_gradient_equals_autograd() -> None:
    made = ensemble()
    weights, total = torch_losses(made)
    total().backward()
    made.fit(*data(), 1)
    for ours, theirs in zip(made._views(made._gradient), weights, strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_training_equals_torch_adamw() -> None:
    torch = pytest.importorskip("torch")
    made = ensemble(learning_rate=0.01, weight_decay=2.0)
    weights, total = torch_losses(made)
    made.fit(*data(), 15)
    optimiser = torch.optim.AdamW(weights, lr=0.01, betas=(0.9, 0.99), eps=1e-8, weight_decay=2.0)
    for _ in range(15):
        optimiser.zero_grad()
        total().backward()
        optimiser.step()
    for ours, theirs in zip(parameters(made), weights, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=2e-3, atol=2e-4)


def parameters(made: MLPEnsemble) -> list[np.ndarray]:
    return [made.weights1, made.bias1, made.weights2, made.bias2]


def test_fits_a_linear_function() -> None:
    x, _ = data()
    y = 30 + x @ np.arange(D)
    made = ensemble(weight_decay=0.0)
    made.fit(x, y, 1500)
    residual = made.predict(x) - y
    assert np.abs(residual).mean() < 0.05 * y.std()


def test_weight_decay_pulls_to_the_mean() -> None:
    x, y = data()
    spreads = []
    for decay in (0.0, 10.0, 80.0):
        made = ensemble(weight_decay=decay)
        made.fit(x, y, 200)
        spreads.append(made.predict(x).std(axis=1).mean())
    assert spreads[0] > spreads[1] > spreads[2]


def test_constant_targets_are_predicted() -> None:
    x, _ = data()
    made = ensemble()
    made.fit(x, np.full(N, 37.5), 300)
    np.testing.assert_allclose(made.predict(x), 37.5, atol=0.1)


def test_no_denormals_survive_long_training() -> None:
    x, y = data()
    made = ensemble(weight_decay=50.0)
    for _ in range(40):
        made.fit(x, y, 60)
    magnitudes = np.abs(made._theta[made._theta != 0])
    made.fit(x, y, 0)
    kept = np.abs(made._theta[made._theta != 0])
    assert magnitudes.size >= kept.size
    assert kept.min() >= 1e-30


def test_weights_begin_at_the_scale_of_their_inputs() -> None:
    """Each of six entries has a 1 in a one-hot row: He's sqrt(2 / 6); the output layer 1 / sqrt(units)."""
    network = MLPEnsemble(np.random.default_rng(0), 30, members=40, hidden=50)
    assert network.weights1.shape == (30, 2000)
    assert network.weights2.shape == (2000,)
    assert abs(network.weights1.std() / np.sqrt(2 / 6) - 1) < 0.02
    assert abs(network.weights2.std() * np.sqrt(50) - 1) < 0.05
    assert abs(network.weights1.mean()) < 0.01


@pytest.mark.parametrize("spread", [1e-3, 0.5, 1e3])
def test_targets_are_scaled_to_one(spread: float) -> None:
    x = np.eye(4, dtype=np.float32)
    y = spread * np.array([0.0, 1.0, 2.0, 3.0])
    network = MLPEnsemble(np.random.default_rng(0), 4, members=2, hidden=8)
    network.fit(x, y, 1)
    assert network._scale == pytest.approx(y.std(), rel=1e-6)
