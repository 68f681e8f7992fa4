"""Many deep MLPs of one shape, trained at once: the predictors of published BANANAS (NARes, section 5).

A network is x -> relu layers of equal width -> one number.  The published ones have d = 30 inputs, L = 20 hidden
layers of H = 32 and are trained for 500 epochs in batches of m = 32, from scratch, 5 of them after every 10 queries.
Each step of one network is some 200 operations on arrays of a thousand numbers: called one by one, nearly all time
goes into the calls.  But the networks of an ensemble, and those of other runs, are independent and of one shape.
So G of them are stacked along a first axis, and a step of all is one sequence of batched operations:

    inputs      (G, m, d)       batch of each network, in its own order
    weights_in  (G, d, H)       weights (L-1, G, H, H)      weights_out (G, H, 1)
    biases      (L, G, 1, H)    bias_out (G, 1, 1)
    hidden      (L, G, m, H)    after the relu
    slope       (G, m, H)       derivative of the loss by what goes into a layer's relu

    hidden[l] = relu(hidden[l-1] weights[l-1] + biases[l])
    loss      = mean |output - target| + penalty * sum |weights_out|
    slope[l]  = (slope[l+1] weights[l]^T) where hidden[l] > 0
    gradient of weights[l-1] = hidden[l-1]^T slope[l]

All parameters lie in one flat vector, so that Adam is one operation too.  On CUDA the products are PyTorch's; on the
CPU they are NumPy's, whose OpenBLAS handles small matrices faster.

What depends on what.  A network takes its initial weights and the order of its batches from its own generator and
nothing else from outside: networks trained together and apart differ at most by rounding.  Rounding differs between
CPU and CUDA and between BLAS libraries; 500 epochs with a loss that is not smooth amplify it, so that predictions,
and from some round on queries, may differ between such machines.  On the CPU denormal numbers count as zero; they
would slow down networks whose units have died.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Float32Array = NDArray[np.float32]

_KEYS_AT_ONCE = 2**20  # random numbers drawn at a time for the order of batches


@dataclass(frozen=True)
class Recipe:
    """Shape and training of a network; the defaults are the published ones."""

    layers: int = 20
    width: int = 32
    epochs: int = 500
    minibatch: int = 32
    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.99
    penalty: float = 0.2

    def parameters(self, inputs: int) -> int:
        return (inputs + 1) * self.width + (self.layers - 1) * (self.width + 1) * self.width + self.width + 1

    def bytes_per_network(self, inputs: int, observations: int) -> int:
        """Memory that training takes: parameters, gradient, two moments; activations of two batch sizes; data."""
        activations = 2 * (self.layers + 2) * self.width * self.minibatch
        return 4 * (4 * self.parameters(inputs) + activations) + 2 * observations * (4 * inputs + 16)


class BatchedMLP:
    """G networks; each takes its initial weights and batches from its own generator."""

    def __init__(
        self, inputs: int, generators: Sequence[np.random.Generator], recipe: Recipe, device: str = "cpu"
    ) -> None:
        self.recipe, self.generators = recipe, generators
        self.device = torch.device(device)
        count, layers, width = len(generators), recipe.layers, recipe.width
        self._shapes = (
            (count, inputs, width),
            (layers - 1, count, width, width),
            (layers, count, 1, width),
            (count, width, 1),
            (count, 1, 1),
        )
        initial = torch.zeros(count * recipe.parameters(inputs))
        weights_in, weights, _, weights_out, _ = self._views(initial)
        for network, rng in enumerate(generators):
            for matrix in (weights_in[network], *weights[:, network], weights_out[network]):
                bound = math.sqrt(6 / sum(matrix.shape))  # Xavier-uniform
                matrix.copy_(torch.from_numpy(rng.uniform(-bound, bound, matrix.shape)))
        self.theta = initial.to(self.device)
        self.weights_in, self.weights, self.biases, self.weights_out, self.bias_out = self._views(self.theta)

    def _views(self, flat: Tensor) -> list[Tensor]:
        parts: list[Tensor] = []
        start = 0
        for shape in self._shapes:
            parts.append(flat[start : start + math.prod(shape)].view(shape))
            start += math.prod(shape)
        return parts

    def fit(self, x: Float32Array, y: Float32Array) -> None:
        """Train on (runs, n, d) float32 inputs and (runs, n) targets; runs share the networks evenly, in order."""
        runs, n, inputs = x.shape
        members = len(self.generators) // runs
        with torch.no_grad(), _quick(self.device):
            trainer = _Trainer(self)
            rows = torch.from_numpy(np.ascontiguousarray(x)).to(self.device).view(runs * n, inputs)
            targets = torch.from_numpy(np.ascontiguousarray(y)).to(self.device).view(runs * n)
            first_row = (torch.arange(runs).repeat_interleave(members) * n).view(-1, 1).to(self.device)
            shuffled = torch.empty(len(self.generators), n, inputs, device=self.device)
            for order in self._orders(n):
                chosen = (order + first_row).view(-1)
                torch.index_select(rows, 0, chosen, out=shuffled.view(-1, inputs))
                wanted = targets[chosen].view(-1, n, 1)
                for start in range(0, n, self.recipe.minibatch):
                    stop = start + self.recipe.minibatch
                    trainer.step(shuffled[:, start:stop], wanted[:, start:stop])

    def _orders(self, n: int) -> Iterator[Tensor]:
        """(G, n) int64 per epoch: a uniform permutation for each network, by sorting random keys."""
        epochs = self.recipe.epochs
        at_once = max(1, _KEYS_AT_ONCE // (len(self.generators) * n))
        for start in range(0, epochs, at_once):
            count = min(at_once, epochs - start)
            keys = np.stack([rng.random((count, n)) for rng in self.generators], axis=1)
            if self.device.type == "cpu":
                yield from torch.from_numpy(keys.argsort(axis=-1))
            else:
                yield from torch.from_numpy(keys).to(self.device).argsort(dim=-1)

    def predict(self, x: Float32Array) -> Float32Array:
        """(runs, members, k) float32 outputs for (runs, k, d) inputs."""
        runs, k, _ = x.shape
        members = len(self.generators) // runs
        with torch.no_grad(), _quick(self.device):
            inputs = torch.from_numpy(np.ascontiguousarray(x)).to(self.device).repeat_interleave(members, dim=0)
            activations = _Activations(self, k, keep=False)
            activations.forward(inputs)
            return activations.output.view(runs, members, k).cpu().numpy()


class _Activations:
    """Buffers for batches of one size; with `keep`, those of all layers, for the backward pass."""

    def __init__(self, networks: BatchedMLP, size: int, *, keep: bool = True) -> None:
        layers, count, _, width = networks.biases.shape
        device = networks.device
        self.networks = networks
        self.hidden = torch.empty(layers if keep else 2, count, size, width, device=device)
        self.slopes = list(torch.empty(2, count, size, width, device=device)) if keep else []
        self.slope_operands = [_operand(slope) for slope in self.slopes]
        self.output = torch.empty(count, size, 1, device=device)
        self.layers = [self.hidden[layer % len(self.hidden)] for layer in range(layers)]
        self.transposed = [_operand(layer.mT) for layer in self.layers[:-1]]
        self.products = [_operand(layer) for layer in self.layers]
        self.weights = [_operand(w) for w in (networks.weights_in, *networks.weights)]
        self.biases = list(networks.biases)

    def forward(self, inputs: Tensor) -> None:
        """Fill `hidden` and `output` for (G, m, d) inputs."""
        below = _operand(inputs)
        for layer, weights, bias, product in zip(self.layers, self.weights, self.biases, self.products, strict=True):
            _multiply(below, weights, out=product)
            layer.add_(bias).relu_()
            below = product
        torch.sum(self.layers[-1] * self.networks.weights_out.mT, dim=2, keepdim=True, out=self.output)
        self.output.add_(self.networks.bias_out)


class _Trainer:
    def __init__(self, networks: BatchedMLP) -> None:
        recipe = networks.recipe
        self.networks = networks
        theta = networks.theta
        theta.grad = torch.zeros_like(theta)
        first, others, biases, self._out, self._bias_out = networks._views(theta.grad)
        self._weight_gradients = [_operand(gradient) for gradient in (first, *others)]
        self._bias_gradients = list(biases)
        self._transposed = [_operand(w.mT) for w in networks.weights]
        betas = (recipe.beta1, recipe.beta2)
        self._adam = torch.optim.Adam([theta], lr=recipe.learning_rate, betas=betas, fused=True)
        self._by_size: dict[int, _Activations] = {}

    def step(self, inputs: Tensor, targets: Tensor) -> None:
        """Descend on one batch of each network: (G, m, d) inputs, (G, m, 1) targets."""
        size = inputs.shape[1]
        if size not in self._by_size:
            self._by_size[size] = _Activations(self.networks, size)
        found = self._by_size[size]
        found.forward(inputs)
        self._output_layer(found, targets)
        below = [_operand(inputs.mT), *found.transposed]
        for layer in range(len(found.layers) - 1, -1, -1):
            slope, operand = found.slopes[layer % 2], found.slope_operands[layer % 2]
            _mask(slope, found.layers[layer])
            _multiply(below[layer], operand, out=self._weight_gradients[layer])
            torch.sum(slope, dim=1, keepdim=True, out=self._bias_gradients[layer])
            if layer:
                _multiply(operand, self._transposed[layer - 1], out=found.slope_operands[1 - layer % 2])
        self._adam.step()

    def _output_layer(self, found: _Activations, targets: Tensor) -> None:
        """Gradients of the output layer, and the last hidden layer's slopes before its relu."""
        weights_out = self.networks.weights_out
        slope = found.output.sub_(targets).sign_().mul_(1 / targets.shape[1])
        torch.sum(slope, dim=1, keepdim=True, out=self._bias_out)
        torch.bmm(found.layers[-1].mT, slope, out=self._out)
        self._out.add_(weights_out.sign(), alpha=self.networks.recipe.penalty)
        torch.mul(slope, weights_out.mT, out=found.slopes[(len(found.layers) - 1) % 2])


def _mask(slope: Tensor, activation: Tensor) -> None:
    """Zero the slope, in place, where a relu is shut."""
    torch.ops.aten.threshold_backward.grad_input(slope, activation, 0, grad_input=slope)


def _operand(tensor: Tensor) -> Any:
    """The tensor as `_multiply` takes it: the same memory, as a NumPy array on the CPU."""
    return tensor.numpy() if tensor.device.type == "cpu" else tensor


def _multiply(left: Any, right: Any, *, out: Any) -> None:
    if isinstance(out, np.ndarray):
        np.matmul(left, right, out=out)
    else:
        torch.matmul(left, right, out=out)


@contextlib.contextmanager
def _quick(device: torch.device) -> Iterator[None]:
    """On the CPU: one thread, and denormal numbers are zero."""
    if device.type != "cpu":
        yield
        return
    threads = torch.get_num_threads()
    flushed = bool(torch.tensor(1e-39) * 1.0 == 0)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(threads)
