"""How much computing a protocol asks for, counted in forward passes of one image.

A backward pass to the image counts as one more, and one to the weights as a third.  An
adversarial training step of k attack steps is therefore 2 k + 3 passes, with mart, which
trains on clean images too, 2 k + 6, and with trades, whose attack looks at them first,
2 k + 7.  A PGD of k steps, measured anew afterwards, is 2 k + 1, and the 100 steps of an APGD 202.  AutoAttack works on
survivors only; STANDING assumes their share.  PGD-CW counts as if no image left it early.
Cost is proportional to passes times MACs, the overhead of a device to calls of the network, however large the batch.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datagen.images.classes import check_classes
from datagen.profiles import passes_of_step
from nasbench_ar.errors import DataError, one_line
from nasbench_ar.metrics import CORRUPTIONS, SEVERITIES
from nasbench_ar.system.checked_json import MOST_CLASSES
from nasbench_ar.system.npz import read_npz

if TYPE_CHECKING:
    from datagen.config import DataConfig
    from datagen.images.splits import Dataset

STANDING = {"clean": 0.87, "apgd-ce": 0.55, "apgd-t": 0.52}  # shares of the test images, as the published median
APGD_PASSES = 2 * 101
TARGETS = 9
FAB_PASSES, SQUARE_PASSES = 3 * 100, 5000
DIGITS = 1797
DIGITS_TEST = 200


@dataclass(frozen=True)
class Images:
    """Numbers and shape of a dataset's images; `corrupted` counts corrupted copies of the test images."""

    train: int
    val: int
    test: int
    corrupted: int
    side: int
    channels: int
    classes: int

    @property
    def on_device(self) -> int:
        """Images in the device's memory; corrupted ones come by the batch."""
        return self.train + self.val + self.test

    @property
    def most_evaluated(self) -> int:
        """Images of the larger of validation and test, more than which no batch has."""
        return max(self.val, self.test)


def images_of_store(manifest: Mapping[str, Any]) -> Images:
    data, space = manifest["dataset"], manifest["protocol"]["space"]
    train, val, test = (int(data[purpose]["images"]) for purpose in ("train", "val", "test"))
    corrupted = test * CELLS if data["corruptions"] else 0
    return Images(train, val, test, corrupted, space["image_size"], space["image_channels"], space["classes"])


def images_of_dataset(dataset: Dataset) -> Images:
    train, val, test = len(dataset.train), len(dataset.val), len(dataset.test)
    corrupted = 0 if dataset.corruptions is None else test * CELLS
    return Images(train, val, test, corrupted, dataset.image_size, dataset.image_channels, dataset.classes)


def images_of_config(data: DataConfig) -> Images:
    """The images that a configuration names; reads only a user's `.npz`."""
    held_out = data.held_out if data.validation == "held_out" else 0
    if data.source == "arrays":
        found = _images_of_npz(Path(str(data.file)), held_out)
    elif data.source == "digits":
        found = Images(DIGITS - DIGITS_TEST - held_out, held_out, DIGITS_TEST, 0, 8, 1, 10)
    else:
        classes = 100 if data.source == "cifar100" else 10
        found = Images(50_000 - held_out, held_out or 2000, 10_000, 0, 32, 3, classes)
    if found.train < 1:
        raise DataError(f"data.held_out={held_out}: no training image would remain; hold out fewer")
    corrupted = 0 if data.corruptions is None else found.test * CELLS
    return Images(found.train, found.val, found.test, corrupted, found.side, found.channels, found.classes)


CELLS = len(CORRUPTIONS) * len(SEVERITIES)


def _images_of_npz(path: Path, held_out: int) -> Images:
    wanted = ("train", "test") if held_out else ("train", "val", "test")
    found: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
    try:
        with zipfile.ZipFile(path) as pack:
            for purpose in wanted:
                if f"{purpose}_images.npy" in pack.namelist():
                    with pack.open(f"{purpose}_images.npy") as member:
                        found[purpose] = _header(member)
        labels = read_npz(path, compressed=True, only=lambda name: name.endswith("_labels"))
        classes = 1 + max(int(labels[f"{purpose}_labels"].max()) for purpose in found)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; give data.file= the path of an .npz") from None
    except MemoryError:
        raise
    except Exception as error:  # zipfile and NumPy's header reader may raise anything on garbage
        raise DataError(f"cannot read {path} as an .npz of images and labels: {one_line(error)}") from error
    if missing := [purpose for purpose in wanted if purpose not in found]:
        hint = "; or data.validation=held_out" if missing == ["val"] else ""
        raise DataError(f"{path} lacks {', '.join(f'{purpose}_images' for purpose in missing)}{hint}")
    shapes = {purpose: shape for purpose, (shape, _) in found.items()}
    one_kind = len({shape[1:] for shape in shapes.values()}) == 1
    if not one_kind or not all(_are_images(*header) for header in found.values()):
        kinds = ", ".join(f"{purpose}_images {kind} {shape}" for purpose, (shape, kind) in found.items())
        raise DataError(f"{path} has {kinds}; expected uint8 (n, side, side) or with 1 or 3 channels, the same in all")
    if not 1 < classes <= MOST_CLASSES:
        raise DataError(f"{path}: labels for {classes} classes; expected 2 to {MOST_CLASSES}")
    check_classes(path, labels["train_labels"], classes, held_out)
    side, channels = shapes["train"][1], shapes["train"][3] if len(shapes["train"]) == 4 else 1
    val = held_out or shapes["val"][0]
    return Images(shapes["train"][0] - held_out, val, shapes["test"][0], 0, side, channels, classes)


def _are_images(shape: tuple[int, ...], kind: np.dtype[Any]) -> bool:
    square = len(shape) in (3, 4) and min(shape) > 0 and shape[1] == shape[2] and shape[3:] in ((), (1,), (3,))
    return square and kind == np.uint8


def _header(member: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(member)
    return tuple(shape), kind


@dataclass(frozen=True)
class Workload:
    """Passes of images and calls of the network over one whole training with its validation, and over one test.

    `attack_passes` are those of each part of the test, after which there is a checkpoint.
    """

    epochs: int
    train_passes: float
    attack_passes: dict[str, float]
    train_calls: float
    test_calls: float

    @property
    def test_passes(self) -> float:
        return sum(self.attack_passes.values())


def workload(train: Mapping[str, Any], attack: Mapping[str, Any], images: Images, batch: int) -> Workload:
    """Count a protocol: `train` and `attack` have all settings of `TrainConfig` and `AttackConfig`."""
    steps = images.train // train["batch"]
    of_step = passes_of_step(train["loss"], train["steps"])
    iterated = {"pgd": 2 * attack["pgd_steps"] + 1, "cw": 2 * attack["cw_steps"] + 1}
    of_val = 1 + sum(iterated.values())
    of_test = {"clean": 1, "fgsm": 3, **iterated, **_autoattack(attack["autoattack"], images.classes)}
    val_batches, test_batches = (-(-n // batch) for n in (images.val, images.test))
    return Workload(
        epochs=train["epochs"],
        train_passes=train["epochs"] * (steps * train["batch"] * of_step + images.val * of_val),
        attack_passes={name: images.test * passes for name, passes in of_test.items()}
        | ({"corruptions": images.corrupted} if images.corrupted else {}),
        train_calls=train["epochs"] * (steps * of_step + val_batches * of_val),
        test_calls=test_batches * sum(of_test.values()) + -(-images.corrupted // batch),
    )


def _autoattack(which: str, classes: int) -> dict[str, float]:
    targets = min(TARGETS, classes - 1)
    if which == "none":
        return {}
    compact = {"apgd-ce": STANDING["clean"] * APGD_PASSES, "apgd-t": STANDING["apgd-ce"] * targets * APGD_PASSES}
    if which == "compact":
        return compact
    last = STANDING["apgd-t"]
    return compact | {"fab-t": last * targets * FAB_PASSES, "square": last * SQUARE_PASSES}
