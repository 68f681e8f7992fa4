"""Whether a user's images have all classes; without PyTorch, so that the plan refuses what a run does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nasbench_ar.errors import DataError


def check_classes(path: Path, labels: NDArray[Any], classes: int, held_out: int = 0) -> None:
    """Refuse (n,) training labels that lack a class, the last `held_out` of which are validated on."""
    if lacking := _lacking(labels, classes):
        raise DataError(
            f"{path}: no training image is of class {lacking}; number the classes from 0 without gaps, and leave out "
            "what training has no images of"
        )
    if not 0 < held_out < len(labels):
        return
    for purpose, part in (("validation", labels[-held_out:]), ("training", labels[:-held_out])):
        if lacking := _lacking(part, classes):
            raise DataError(
                f"{path}: data.held_out={held_out}: {purpose} would have no image of class {lacking}; shuffle the "
                "file, or give val_images and val_labels with data.validation=file"
            )


def _lacking(labels: NDArray[Any], classes: int) -> str:
    """The classes without an image; empty where all have one."""
    names = [str(number) for number in sorted({*range(classes)} - {*labels.ravel().tolist()})]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
