"""Networks of the space from files, and their weights for others.

`load_network` takes our checkpoints (`best.pt`), the authors' files and plain state dicts.
A state dict has our names or those of the dataset's authors:

    ours                                          theirs
    stem.weight                                   stem_conv.weight
    stages.<i>.<j>.norm1.*, norm2.*               blocks.<i>.layer.<j>.bn1.*, bn2.*
    stages.<i>.<j>.conv1.weight, conv2.weight     blocks.<i>.layer.<j>.conv1.weight, conv2.weight
    stages.<i>.<j>.shortcut.weight                blocks.<i>.layer.<j>.shortcut.0.weight
    norm.*, linear.*                              norm1.*, fc.*
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from datagen.network.model import WideResNet
from datagen.training.checkpoint import FORMAT, load_checkpoint
from nasbench_ar import Architecture, ArchitectureLike, SearchSpace
from nasbench_ar.errors import ResultsError, one_line, shown

_TO_THEIRS = (
    (r"^stem\.", "stem_conv."),
    (r"^stages\.(\d+)\.(\d+)\.", r"blocks.\1.layer.\2."),
    (r"\.norm([12])\.", r".bn\1."),
    (r"\.shortcut\.", ".shortcut.0."),
    (r"^norm\.", "norm1."),
    (r"^linear\.", "fc."),
)
_TO_OURS = (
    (r"^stem_conv\.", "stem."),
    (r"^blocks\.(\d+)\.layer\.(\d+)\.", r"stages.\1.\2."),
    (r"\.bn([12])\.", r".norm\1."),
    (r"\.shortcut\.0\.", ".shortcut."),
    (r"^norm1\.", "norm."),
    (r"^fc\.", "linear."),
)
_BLOCK = re.compile(r"stages\.(\d{1,3})\.(\d{1,4})\.conv1\.weight")
_NESTED = ("state_dict", "model_state_dict", "model", "net", "network")  # where files have a state dict among others
_PREFIXES = ("module.", "_orig_mod.")  # of data parallel and compiled networks


def load_network(path: str | Path, architecture: ArchitectureLike | None = None, *, image_size: int = 32) -> WideResNet:
    """The network of a file, in evaluation mode, on the processor: float32 logits of images in [0, 1].

    No code of the file is run.

    Args:
        path: one of our checkpoints, one of the authors' `.pth` files, or a plain state dict of either's names.
        architecture: what it should be; the weights tell what it is.
        image_size: side of its images, which only the cost of the network depends on.

    Raises:
        ResultsError: for a file that has no network of the space, or another architecture's.
    """
    path = Path(path)
    state = read_weights(path)
    state = _renamed(state, _TO_OURS) if "stem_conv.weight" in state else state
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    found, space = _described(path, state, image_size)
    if architecture is not None and Architecture.of(architecture) != found:
        raise ResultsError(f"{path} has the weights of {found}, not of {Architecture.of(architecture)}")
    with torch.device("meta"):
        network = WideResNet(space, found)
    wanted = network.state_dict()
    state = {name: torch.tensor(0) for name in wanted if name.endswith(".num_batches_tracked")} | state
    lacking, odd = [name for name in wanted if name not in state], [name for name in state if name not in wanted]
    kinds = {name: (tensor.shape, tensor.dtype) for name, tensor in wanted.items()}
    other = [name for name in wanted if name in state and (state[name].shape, state[name].dtype) != kinds[name]]
    for names, problem in ((lacking, "lacks"), (odd, "also has"), (other, "has another shape or type of")):
        if names:
            more = f" and {len(names) - 3} more" if names[3:] else ""
            raise ResultsError(f"{path} {problem} {', '.join(map(_short, names[:3]))}{more} for a network {found}")
    if infinite := [name for name, tensor in state.items() if not tensor.isfinite().all()]:
        raise ResultsError(f"{path}: {infinite[0]} is not finite")
    if negative := [name for name, tensor in state.items() if name.endswith("running_var") and (tensor < 0).any()]:
        raise ResultsError(f"{path}: {negative[0]} is negative")
    network.load_state_dict(state, assign=True)
    return network.eval()


def state_dict(network: WideResNet, names: str = "ours") -> dict[str, Tensor]:
    """Weights for `torch.save`, on the processor, under our names or the authors'."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return _renamed(state, _TO_THEIRS) if names == "authors" else state


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a file, under the names that it has there."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
    except MemoryError:
        raise
    except Exception as error:  # its unpickler and archive reader may raise anything on garbage
        raise ResultsError(
            f"{path} is no file of weights that PyTorch reads without running code: {one_line(error)}"
        ) from error
    if isinstance(content, Mapping) and content.get("format") == FORMAT:
        content = load_checkpoint(path)["network"]  # which checks the digest
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(value, Tensor) for value in content.values())
    ):
        raise ResultsError(f"{path} has no state dict: expected names and tensors, alone or under {', '.join(_NESTED)}")
    state = {str(name): tensor for name, tensor in content.items()}
    while shared := [prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in state)]:
        state = {name.removeprefix(shared[0]): tensor for name, tensor in state.items()}
    return state


def _renamed(state: Mapping[str, Tensor], rules: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
    out = {}
    for name, tensor in state.items():
        for pattern, new in rules:
            name = re.sub(pattern, new, name)
        out[name] = tensor
    return out


def _described(path: Path, state: Mapping[str, Tensor], image_size: int) -> tuple[Architecture, SearchSpace]:
    blocks = [(int(m[1]), int(m[2])) for m in map(_BLOCK.fullmatch, state) if m]
    try:
        unit, channels = state["stem.weight"].shape[:2]
        depths = [sum(stage == number for stage, _ in blocks) for number in range(1 + max(s for s, _ in blocks))]
        out = [state[f"stages.{number}.0.conv1.weight"].shape[0] for number in range(len(depths))]
        widths = [c // (unit * 2**number) for number, c in enumerate(out)]
        architecture = Architecture(*(value for pair in zip(depths, widths, strict=True) for value in pair))
        space = SearchSpace(
            tuple(sorted(set(depths))),
            tuple(sorted(set(widths))),
            stages=len(depths),
            unit_channels=unit,
            image_size=image_size,
            image_channels=channels,
            classes=state["linear.weight"].shape[0],
        )
    except (LookupError, ValueError, ZeroDivisionError) as error:  # errors of the space are ValueErrors
        names = ", ".join(map(_short, list(state)[:3]))
        raise ResultsError(
            f"{path} has no network of the space ({one_line(error)}): its names begin with {names}; expected "
            "stem.weight, stages.0.0.conv1.weight and so on, or the authors' stem_conv.weight, "
            "blocks.0.layer.0.conv1.weight; for another network give module="
        ) from error
    return architecture, space


def _short(name: str) -> str:
    return shown(name, 80)
