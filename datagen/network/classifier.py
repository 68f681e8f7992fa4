"""A network together with how it is run: precision, memory layout, compiled or not.

Training, attacks and evaluation all take a `Classifier`, so they cannot disagree on it.
"""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from datagen.network.model import Block
from nasbench_ar.library import home

MOST_GRAPHS = 1024  # of blocks: their shapes in a network, in training, attacks and tests, times sizes of batch
COMPILERS = ("torch._dynamo", "torch._functorch", "torch._inductor", "triton")
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
FP16_LOSS_SCALE = 2.0**10  # of attacks: small gradients do not vanish in float16, and their signs stay

# What PyTorch has since 2.9; it refuses to read the older switches where the two kinds disagree.
_SWITCHES = (
    (torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.cuda.matmul)
    if hasattr(torch.backends.cudnn, "conv")
    else ()
)


class Classifier:
    """Float32 logits of (n, channels, side, side) images in [0, 1]; the state of the plain `network` is saved.

    `loss_scale` multiplies losses whose gradient by an image is taken.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        precision: str = "float32",
        channels_last: bool = False,
        compiled: bool = False,
    ) -> None:
        self.network = network
        self.precision = precision
        self.loss_scale = FP16_LOSS_SCALE if precision == "fp16" else 1.0
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        if channels_last:
            network.to(memory_format=torch.channels_last)
        self.compiled = compiled
        if compiled:
            _compile_blocks(network)

    @property
    def device(self) -> torch.device:
        return next((p.device for p in self.network.parameters()), torch.device("cpu"))

    def laid_out(self, images: Tensor) -> Tensor:
        """The images in the network's memory layout; the very tensor where it has it already."""
        return images.contiguous(memory_format=self.layout)

    def __call__(self, images: Tensor) -> Tensor:
        """(n, classes) float32 logits."""
        images = self.laid_out(images)
        if self.precision not in AUTOCAST:
            logits: Tensor = self.network(images)
            return logits
        with torch.autocast(images.device.type, AUTOCAST[self.precision]):
            logits = self.network(images)
        return logits.float()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Evaluation mode without gradients to any weight; restores both on leaving."""
        modules = [(module, module.training) for module in self.network.modules()]
        weights = [(weight, weight.requires_grad) for weight in self.network.parameters()]
        self.network.eval().requires_grad_(False)
        try:
            yield
        finally:
            for module, training in modules:
                module.training = training
            for weight, wanted in weights:
                weight.requires_grad_(wanted)


def _compile_blocks(network: nn.Module) -> None:
    """Each by itself: blocks of one shape share their graphs in this network, and their kernels, on disk, in all."""
    from torch._dynamo import config

    torch.compiler.reset()  # graphs are counted over all networks, and blocks beyond the limit are not compiled
    config.recompile_limit = config.accumulated_recompile_limit = MOST_GRAPHS
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(home() / "compiled"))
    # Tracing a block looks at all that its input has, also where that is no leaf; with `-W error` it would fail.
    warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf", UserWarning)
    for module in network.modules():
        if isinstance(module, Block):
            module.compile(dynamic=False)


def compiled_code_failed(error: BaseException) -> bool:
    """Whether an error came from compiling or from what was compiled.

    Its type does not tell: kernels, and the graph of the gradients, are compiled when they are first used.
    """
    modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(name.startswith(COMPILERS) for name in modules)


@contextmanager
def float32_rule(precision: str) -> Iterator[None]:
    """Let float32 convolutions on CUDA round to TF32, except with `float32`; matrix products never do."""
    new = [switch.fp32_precision for switch in _SWITCHES]
    old = _older_switch(torch.backends.cudnn, new[:1]), _older_switch(torch.backends.cuda.matmul, new[2:])
    allowed = precision != "float32"
    convolution = "tf32" if allowed else "ieee"
    _set_switches((allowed, False), (convolution, convolution, "ieee"))
    try:
        yield
    finally:
        _set_switches(old, new)


def _older_switch(backend: Any, new: Sequence[str]) -> bool:
    try:
        return bool(backend.allow_tf32)
    except RuntimeError:  # it disagrees with the new one
        return new[0] != "tf32"


def _set_switches(old: tuple[bool, bool], new: Sequence[str]) -> None:
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = old  # these change the new ones too
    for switch, value in zip(_SWITCHES, new, strict=False):
        switch.fp32_precision = value
