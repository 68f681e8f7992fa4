"""How much computing a protocol asks for, counted in forward passes of one image.

A forward pass is one, a backward pass to the image one more, and one to the weights a
third.  An adversarial training step of k attack steps is therefore 2 k + 3 passes, a
PGD of k steps, measured anew afterwards, 2 k + 1, and the 100 steps of an APGD 202.
AutoAttack works on survivors only; what share of the images these are is not known
before, so that STANDING is assumed.  Passes times the MACs of an architecture are what
its cost is proportional to; calls of the network, whatever the size of the batch, are
what the overhead of a device is proportional to.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_ar.errors import DataError
from nasbench_ar.metrics import CORRUPTIONS, SEVERITIES
from nasbench_ar.system.checked_json import MOST_CLASSES, one_line
from nasbench_ar.system.npz import read_npz

if TYPE_CHECKING:
    from datagen.config import DataConfig

STANDING = {"clean": 0.87, "apgd-ce": 0.55, "apgd-t": 0.52}  # shares of the test images, as the published median
APGD_PASSES = 2 * 101
TARGETS = 9
FAB_PASSES, SQUARE_PASSES = 3 * 100, 5000
DIGITS = 1797
DIGITS_TEST = 200


@dataclass(frozen=True)
class Images:
    """The images of a dataset, by number and shape.

    Attributes:
        train: training images.
        val: validation images.
        test: test images.
        corrupted: corrupted copies of the test images.
        side: of the square images.
        channels: 1 or 3.
        classes: of the labels.
    """

    train: int
    val: int
    test: int
    corrupted: int
    side: int
    channels: int
    classes: int

    @property
    def on_device(self) -> int:
        """Images that lie in the memory of the device; corrupted ones come by the batch."""
        return self.train + self.val + self.test


def images_of_store(manifest: Mapping[str, Any]) -> Images:
    """The images that a store was made from."""
    data, space = manifest["dataset"], manifest["protocol"]["space"]
    train, val, test = (int(data[purpose]["images"]) for purpose in ("train", "val", "test"))
    corrupted = test * CELLS if data["corruptions"] else 0
    return Images(train, val, test, corrupted, space["image_size"], space["image_channels"], space["classes"])


def images_of_config(data: DataConfig) -> Images:
    """The images that a configuration names; only an `.npz` of the user's is looked into.

    Raises:
        DataError: when it cannot be, or no training image would remain.
    """
    held_out = data.held_out if data.validation == "held_out" else 0
    if data.source == "arrays":
        found = _images_of_npz(Path(str(data.file)), held_out)
    elif data.source == "digits":
        found = Images(DIGITS - DIGITS_TEST - held_out, held_out, DIGITS_TEST, 0, 8, 1, 10)
    else:
        found = Images(50_000 - held_out, held_out or 2000, 10_000, 0, 32, 3, 10)
    if found.train < 1:
        raise DataError(f"data.held_out={held_out}: no training image would remain; hold out fewer")
    corrupted = 0 if data.corruptions is None else found.test * CELLS
    return Images(found.train, found.val, found.test, corrupted, found.side, found.channels, found.classes)


CELLS = len(CORRUPTIONS) * len(SEVERITIES)


def _images_of_npz(path: Path, held_out: int) -> Images:
    shapes: dict[str, tuple[int, ...]] = {}
    try:
        with zipfile.ZipFile(path) as pack:
            for name in pack.namelist():
                if name.endswith("_images.npy"):
                    with pack.open(name) as member:
                        shapes[name.removesuffix("_images.npy")] = _shape(member)
        labels = read_npz(path, compressed=True, only=lambda name: name.endswith("_labels"))
        classes = 1 + max(int(labels[f"{purpose}_labels"].max()) for purpose in shapes)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; give data.file= the path of an .npz") from None
    except MemoryError:
        raise
    except Exception as error:  # what zipfile and NumPy's header reader let through on garbage is open-ended
        raise DataError(f"cannot read {path} as an .npz of images and labels: {one_line(error)}") from error
    wanted = ("train", "test") if held_out else ("train", "val", "test")
    if missing := [purpose for purpose in wanted if not _are_images(shapes.get(purpose, ()))]:
        raise DataError(f"{path} lacks {', '.join(f'{p}_images' for p in missing)}, (n, side, side) or with channels")
    if not 1 < classes <= MOST_CLASSES:
        raise DataError(f"{path}: labels for {classes} classes; expected 2 to {MOST_CLASSES}")
    side, channels = shapes["train"][1], shapes["train"][3] if len(shapes["train"]) == 4 else 1
    val = held_out or shapes["val"][0]
    return Images(shapes["train"][0] - held_out, val, shapes["test"][0], 0, side, channels, classes)


def _are_images(shape: tuple[int, ...]) -> bool:
    return len(shape) in (3, 4) and min(shape) > 0 and shape[1] == shape[2] and shape[3:] in ((), (1,), (3,))


def _shape(member: Any) -> tuple[int, ...]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return tuple(read(member)[0])


@dataclass(frozen=True)
class Workload:
    """Passes of one training, whatever its architecture.

    Attributes:
        epochs: of the training; what follows is of the whole training or the whole test.
        train_passes: image passes of training and validation.
        test_passes: image passes of the test.
        train_calls: passes of whole batches in training and validation.
        test_calls: passes of whole batches in the test.
    """

    epochs: int
    train_passes: float
    test_passes: float
    train_calls: float
    test_calls: float


def workload(train: Mapping[str, Any], attack: Mapping[str, Any], images: Images, batch: int) -> Workload:
    """Count a protocol.

    Args:
        train: settings of `TrainConfig`.
        attack: settings of `AttackConfig`.
        images: what it works on.
        batch: images at once in validation and test.
    """
    steps = images.train // train["batch"]
    of_step = 2 * train["steps"] + 3
    iterated = (2 * attack["pgd_steps"] + 1) + (2 * attack["cw_steps"] + 1)
    of_val = 1 + iterated
    of_test = 1 + 3 + iterated + _autoattack(attack["autoattack"], images.classes)
    val_batches, test_batches = (-(-n // batch) for n in (images.val, images.test))
    return Workload(
        epochs=train["epochs"],
        train_passes=train["epochs"] * (steps * train["batch"] * of_step + images.val * of_val),
        test_passes=images.test * of_test + images.corrupted,
        train_calls=train["epochs"] * (steps * of_step + val_batches * of_val),
        test_calls=test_batches * of_test + -(-images.corrupted // batch),
    )


def _autoattack(which: str, classes: int) -> float:
    """Passes of an image on average."""
    targets = min(TARGETS, classes - 1)
    if which == "none":
        return 0.0
    compact = STANDING["clean"] * APGD_PASSES + STANDING["apgd-ce"] * targets * APGD_PASSES
    return compact + (STANDING["apgd-t"] * (targets * FAB_PASSES + SQUARE_PASSES) if which == "standard" else 0.0)
