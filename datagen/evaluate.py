"""Attack one network as every entry's is: clean, FGSM, PGD, PGD-CW, AutoAttack, corruptions (NARes, section 3.3).

    python -m datagen.evaluate checkpoint=best.pt
    python -m datagen.evaluate checkpoint=theirs.pth arch=WRN-34-10 data.corruptions=null out=theirs.json
    python -m datagen.evaluate module=mypackage.networks.make checkpoint=mine.pth profile=digits

Its own keys are

  checkpoint=   weights: a checkpoint of datagen.run, a file of the dataset's authors, or any state dict
  arch=         the architecture that they should be of; they tell by themselves what it is
  module=       another network: dotted path of a torch.nn.Module, or of a function without arguments that returns one;
                its code is run, and checkpoint=, if given, is loaded into it
  out=          a JSON file for everything that was found

The others are keys of `datagen.run`: `profile`, `seed`, `batch`, `device`, `threads`,
`channels_last`, `deterministic`, and those of data and attack.  Networks take images in
[0, 1] and return logits.  CIFAR-10.1 is not needed.
`datagen.training.weights.load_network` gives the network of a file to your own code.

Exit codes: 0; 2 for anything the user can mend.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datagen.config import KEYS, RunConfig, parse_command_line, require_classes
from nasbench_ar import Architecture
from nasbench_ar.errors import ConfigError, one_line, quotable
from nasbench_ar.metrics import CORRUPTIONS
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import file_sha256, try_writing, write_file
from nasbench_ar.system.key_values import check_keys, parse_words

if TYPE_CHECKING:
    from torch import nn

    from datagen.attack.assessment import Assessment
    from datagen.images.splits import Dataset

OWN_KEYS: dict[str, Any] = {"checkpoint": "", "arch": "", "module": "", "out": ""}
OF_RUN = ("profile", "seed", "batch", "device", "threads", "channels_last", "deterministic")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def evaluate(network: nn.Module, config: RunConfig) -> tuple[Assessment, Dataset, dict[str, Any]]:
    """Test a network on the images, and by the attacks, of a configuration; it moves to the configured device.

    Returns:
        What the test found, the images, and how it was made: precision, batch, hardware, code.

    Raises:
        TrainingError: where a value found is not finite.
    """
    import torch

    from datagen.attack.assessment import assess
    from datagen.attack.evaluator import Batches
    from datagen.hardware import (
        choice_of_kernels,
        choose_device,
        choose_precision,
        describe_code,
        describe_hardware,
    )
    from datagen.images.datasets import load_dataset
    from datagen.network.classifier import Classifier
    from datagen.workers.worker import note

    device = choose_device(config.device)
    precision = choose_precision(config.attack.precision, device, automatic="tf32")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    data = config.data
    if data.source in ("cifar10", "cifar100"):  # whatever the validation images are, nothing looks at them
        data = replace(data, validation="held_out", held_out=1)
    dataset = load_dataset(data)
    require_classes(dataset.classes, config.attack.autoattack)
    on_device = replace(dataset, test=dataset.test.to(device))
    layout = device.type == "cuda" if config.channels_last is None else config.channels_last
    classifier = Classifier(network.to(device), precision=precision, channels_last=layout)
    with choice_of_kernels(device, deterministic=config.deterministic):
        _require_fit(classifier, on_device)
        batches = Batches(config.batch, note)
        found = assess(classifier, on_device, config.attack, batches, seed=config.seed, say=note)
        made = {"precision": precision, "evaluation_batch": batches.size, "hardware": describe_hardware(device)}
    return found, dataset, made | describe_code()


def _require_fit(classifier: Any, dataset: Dataset) -> None:
    import torch

    images = classifier.laid_out(dataset.test.images[:2].float() / 255).requires_grad_()
    wanted = (
        f"one of {tuple(images.shape[1:])} images (channels, side, side) in [0, 1] and {dataset.classes} classes, "
        "that is differentiable and leaves them unchanged"
    )
    try:
        with classifier.frozen(), torch.enable_grad():
            logits = classifier(images)
            torch.autograd.grad(logits.sum(), images)
            shape = tuple(logits.shape)
    except Exception as error:  # of any code
        raise ConfigError(
            f"the network does not take images of {dataset.name}: expected {wanted} ({one_line(error)})"
        ) from error
    if shape != (len(images), dataset.classes):
        raise ConfigError(
            f"the network returns {shape} for {len(images)} images of {dataset.name}: expected {wanted}; another "
            "profile= or data.source= has other images"
        )


def load_module(dotted: str, checkpoint: str = "") -> nn.Module:
    """The module at a dotted path, or what a function there returns, with the weights of a file if one is given."""
    from torch import nn

    from datagen.training.weights import read_weights

    expected = "expected the dotted path of a torch.nn.Module, or of a function without arguments that returns one"
    if not _DOTTED.fullmatch(dotted):
        raise ConfigError(f"module={quotable(dotted)}: {expected}, such as mypackage.networks.make")
    where, _, name = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(where), name)
        found = found if isinstance(found, nn.Module) else found()
    except Exception as error:  # of the user's code
        problem = f"{type(error).__name__}: {one_line(error)}"
        raise ConfigError(f"module={dotted}: {problem}; {expected}") from error
    if not isinstance(found, nn.Module):
        raise ConfigError(f"module={dotted}: is or returns a {type(found).__name__}; {expected}")
    if checkpoint:
        try:
            found.load_state_dict(read_weights(Path(checkpoint)))
        except RuntimeError as error:
            raise ConfigError(f"checkpoint={checkpoint} does not fit module={dotted}: {one_line(error)}") from error
    return found.eval()


def _network(own: dict[str, Any]) -> tuple[nn.Module, str]:
    """The network that was asked for, and its name."""
    from datagen.training.weights import load_network

    if own["module"]:
        if own["arch"]:
            raise ConfigError(f"arch={quotable(own['arch'])}: a module= has no architecture of the space; leave it out")
        return load_module(own["module"], own["checkpoint"]), own["module"]
    if not own["checkpoint"]:
        raise ConfigError("checkpoint= is missing: give a file of weights, or module= with a dotted path")
    network = load_network(own["checkpoint"], Architecture.parse(own["arch"]) if own["arch"] else None)
    return network, str(network.architecture)


def as_json(
    found: Assessment, dataset: Dataset, made: dict[str, Any], own: dict[str, Any], config: RunConfig
) -> dict[str, Any]:
    cells = None
    if found.corruption_acc is not None and found.corruption_loss is not None:
        cells = {
            name: {"acc": acc.tolist(), "loss": loss.tolist()}
            for name, acc, loss in zip(CORRUPTIONS, found.corruption_acc, found.corruption_loss, strict=True)
        }
    digest = file_sha256(own["checkpoint"]) if own["checkpoint"] else None
    return {
        "network": {key: own[key] or None for key in ("checkpoint", "arch", "module")} | {"sha256": digest},
        "dataset": {"name": dataset.name, "test": {"images": len(dataset.test), "sha256": dataset.test.sha256()}},
        "test": found.metrics,
        "corruptions": cells,
        "sanity": found.sanity,
        "details": found.details,
        "warnings": found.warnings,
        "masks": {name: "".join(map(str, mask.astype(int))) for name, mask in found.masks.items()},
        "config": {key: config[key] for key in KEYS if key in OF_RUN or key.startswith(("data.", "attack."))},
        "provenance": made,
    }


def run(words: Sequence[str]) -> str:
    mine = [word for word in words if word.partition("=")[0] in OWN_KEYS]
    rest = [word for word in words if word not in mine]
    own = parse_words(mine, OWN_KEYS)
    taken = [key for key in KEYS if key in OF_RUN or key.startswith(("data.", "attack."))]
    check_keys([word.partition("=")[0] for word in rest], [*OWN_KEYS, *taken])
    config = parse_command_line(["archs=all", *rest])
    if own["out"]:
        try:
            try_writing(own["out"])
        except OSError as error:
            raise ConfigError(f"out={own['out']}: cannot be written: {error.strerror or error}") from error
    network, name = _network(own)
    if not own["module"]:
        own["arch"] = name
    found, dataset, made = evaluate(network, config)
    if own["out"]:
        text = json.dumps(as_json(found, dataset, made, own, config), indent=1, allow_nan=False)
        write_file(Path(own["out"]), text.encode() + b"\n")
    lines = [f"{name}: {len(dataset.test):,} test images of {dataset.name}"]
    lines += [f"  {metric:20} {value:10.4f}" for metric, value in found.metrics.items()]
    lines += [f"  doubtful: {check}; docs/datagen.md tells what it means" for check, bad in found.sanity.items() if bad]
    return "\n".join(lines + [f"  {text}" for text in found.warnings])


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(run, arguments)


if __name__ == "__main__":
    sys.exit(main())
