"""An ensemble of small MLPs, trained together on all observations: BANANAS' predictor.

Arrays (n examples, d inputs, M members, H hidden units a member):

    x          (n, d)      inputs, one-hot or other encodings
    y          (n,)        targets; standardised inside
    weights1   (d, M*H)    first layers of all members side by side
    bias1      (M*H,)
    weights2   (M*H,)      output layers, one block of H a member
    bias2      (M,)

All float32.  Member m is f_m(x) = bias2[m] + sum_{h in block m} weights2[h] relu(x weights1 + bias1)[h].

Why this form.  The members are independent networks of one shape, so their first layers are one matrix product
(n, d) x (d, M*H), and their output layers another, (n, M*H) x (M*H, M), with the M output vectors on a block
diagonal.  With n = 490, d = 30, M = 5 and H = 16, a full-batch step costs 4 n d M H + 6 n M^2 H = 6 million
floating-point operations and touches a few arrays of n M H = 39,200 floats, 0.16 MB each, which stay in the
second-level cache.  Training continues from the weights of the last round: ten new observations move the optimum
little, so few steps suffice.

The optimiser is AdamW (Loshchilov and Hutter 2019).  Its decay pulls predictions towards the mean of the targets.
That matters more than the size of the network, since validation accuracy is noisy (see `docs/searchers.md`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]

_BETA1, _BETA2, _EPSILON = 0.9, 0.99, 1e-8
_FLUSH = 1e-30  # smaller magnitudes become zero, before they turn into slow denormals


class MLPEnsemble:
    """Independent one-hidden-layer networks that differ in their random start."""

    def __init__(
        self,
        rng: np.random.Generator,
        inputs: int,
        *,
        members: int = 5,
        hidden: int = 16,
        learning_rate: float = 0.01,
        weight_decay: float = 10.0,
    ) -> None:
        self.members, self.hidden = members, hidden
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        units = members * hidden
        self._theta = np.zeros(inputs * units + 2 * units + members, dtype=np.float32)
        self._gradient = np.zeros_like(self._theta)
        self._first = np.zeros_like(self._theta)
        self._second = np.zeros_like(self._theta)
        self._scratch = np.empty_like(self._theta)
        self._steps = 0
        self._shapes = ((inputs, units), (units,), (units,), (members,))
        self._name_weights()
        # He et al. 2015, for rows with six ones, as one-hot architectures have.
        self.weights1[:] = rng.standard_normal((inputs, units)) * np.sqrt(2 / 6)
        self.weights2[:] = rng.standard_normal(units) * np.sqrt(1 / hidden)
        self._block = np.repeat(np.eye(members, dtype=np.float32), hidden, axis=0)  # (M*H, M)
        self._mean, self._scale = np.float32(0), np.float32(1)

    def _name_weights(self) -> None:
        self.weights1, self.bias1, self.weights2, self.bias2 = self._views(self._theta)

    def __setstate__(self, state: dict[str, Any]) -> None:  # a copy's views would be arrays of their own
        self.__dict__.update(state)
        self._name_weights()

    def _views(self, flat: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
        (w1, b1, w2, _) = (int(np.prod(shape)) for shape in self._shapes)
        ends = (w1, w1 + b1, w1 + b1 + w2)
        return (
            flat[: ends[0]].reshape(self._shapes[0]),
            flat[ends[0] : ends[1]],
            flat[ends[1] : ends[2]],
            flat[ends[2] :],
        )

    def fit(self, x: Float32Array, y: NDArray[np.floating], steps: int) -> None:
        """Take full-batch steps on (n, d) float32 inputs and (n,) scores, going on from the current weights."""
        n = len(y)
        self._mean = np.float32(np.mean(y, dtype=np.float64))
        spread = float(np.std(y, dtype=np.float64))
        self._scale = np.float32(spread if spread > 1e-9 else 1.0)
        target = ((y - self._mean) / self._scale).astype(np.float32)[:, None]
        x_transposed = np.ascontiguousarray(x.T)
        hidden = np.empty((n, self.members * self.hidden), dtype=np.float32)
        back = np.empty_like(hidden)
        grad1, grad_bias1, grad2, grad_bias2 = self._views(self._gradient)
        for moment in (self._theta, self._first, self._second):
            moment[np.abs(moment) < _FLUSH] = 0
        for _ in range(steps):
            output_layer = self._block * self.weights2[:, None]
            error = self._forward(x, hidden, output_layer) - target
            slope = np.float32(2 / n) * error
            np.matmul(slope, output_layer.T, out=back)
            np.einsum("km,km->k", hidden.T @ slope, self._block, out=grad2)
            back *= hidden > 0
            np.matmul(x_transposed, back, out=grad1)
            np.sum(back, axis=0, out=grad_bias1)
            np.sum(slope, axis=0, out=grad_bias2)
            self._step()

    def predict(self, x: Float32Array) -> Float32Array:
        """(members, n) float32 predicted scores, in the unit of the targets."""
        hidden = np.empty((len(x), self.members * self.hidden), dtype=np.float32)
        output = self._forward(x, hidden, self._block * self.weights2[:, None])
        return (output * self._scale + self._mean).T

    def _forward(self, x: Float32Array, hidden: Float32Array, output_layer: Float32Array) -> Float32Array:
        np.matmul(x, self.weights1, out=hidden)
        hidden += self.bias1
        np.maximum(hidden, 0, out=hidden)
        return hidden @ output_layer + self.bias2

    def _step(self) -> None:
        self._steps += 1
        gradient, scratch = self._gradient, self._scratch
        self._first *= _BETA1
        np.multiply(gradient, 1 - _BETA1, out=scratch)
        self._first += scratch
        self._second *= _BETA2
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1 - _BETA2
        self._second += scratch
        np.sqrt(self._second, out=scratch)
        scratch *= 1 / np.sqrt(1 - _BETA2**self._steps)
        scratch += _EPSILON
        np.divide(self._first, scratch, out=scratch)
        scratch *= self.learning_rate / (1 - _BETA1**self._steps)
        self._theta *= 1 - self.learning_rate * self.weight_decay
        self._theta -= scratch
