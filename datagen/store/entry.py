"""One trained and attacked network, as one JSON file with a hash of its own content.

    {"format": "datagen-entry", "format_version": 1, "sha256": ...,
     "arch": "5-10-5-10-5-10", "arch_id": 7777, "seed": 0, "macs": ..., "params": ...,
     "best_epoch": 76, "curves": {"val_cw_acc": [...], ...}, "test": {"test_pgd_acc": ..., ...},
     "corruptions": {"acc": [[...]], "loss": [[...]]} or null,
     "masks": {"images": 10000, "bits": {"pgd": base64, ...}},
     "sanity": {"robust_above_clean": false, ...}, "details": {...}, "provenance": {...}}

The metric catalogue has all curves and test values but `test_aa_standard_acc`.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datagen.store.identity import content_hash, hash_matches
from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import BoolArray, FloatArray
from nasbench_ar.errors import NasbenchError, ResultsError, one_line, shown
from nasbench_ar.metrics import CORRUPTIONS, CURVES, SEVERITIES
from nasbench_ar.system import checked_json as checked

FORMAT = "datagen-entry"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """Everything known about one training.

    Attributes:
        best_epoch: first of highest validation PGD-CW accuracy.
        corruption_acc: (19, 5) percent, or None; likewise `corruption_loss`.
        masks: attack -> (images,) bool, still classified correctly; packed in the file.
        sanity: check -> whether it failed; `details` has the numbers behind the checks.
        provenance: hashes, versions, hardware, times.
    """

    architecture: Architecture
    arch_id: int
    seed: int
    macs: int
    params: int
    best_epoch: int
    curves: dict[str, list[float]]
    test: dict[str, float]
    corruption_acc: FloatArray | None
    corruption_loss: FloatArray | None
    masks: dict[str, BoolArray]
    sanity: dict[str, bool]
    details: dict[str, float]
    provenance: dict[str, Any]

    def to_bytes(self) -> bytes:
        cells = None
        if self.corruption_acc is not None and self.corruption_loss is not None:
            cells = {"acc": self.corruption_acc.tolist(), "loss": self.corruption_loss.tolist()}
        images = len(next(iter(self.masks.values())))
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "arch": str(self.architecture),
            "arch_id": self.arch_id,
            "seed": self.seed,
            "macs": self.macs,
            "params": self.params,
            "best_epoch": self.best_epoch,
            "curves": self.curves,
            "test": self.test,
            "corruptions": cells,
            "masks": {"images": images, "bits": {name: _packed(mask) for name, mask in self.masks.items()}},
            "sanity": self.sanity,
            "details": self.details,
            "provenance": self.provenance,
        }
        return json.dumps({"sha256": content_hash(content), **content}, indent=1, allow_nan=False).encode() + b"\n"


def read_entry(path: Path) -> Entry:
    """Read an entry and check its hash and content."""
    remedy = "remove it and run the command again, or restore it"
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path} is damaged: not valid JSON ({error}); {remedy}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ResultsError(f"{path} is no entry; {remedy}")
    if content.get("format_version") != FORMAT_VERSION:
        raise ResultsError(
            f"{path} has format version {shown(content.get('format_version'))}; this release reads {FORMAT_VERSION}"
        )
    if not hash_matches(content, content.pop("sha256", None)):
        raise ResultsError(f"{path} is damaged: its content does not match its hash; {remedy}")
    try:
        return _entry(content)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, NasbenchError) as error:
        problem = f"{type(error).__name__}: {one_line(error)}"
        raise ResultsError(f"{path} is no whole entry ({problem}); {remedy}") from error


def _entry(content: dict[str, Any]) -> Entry:
    curves = {name: list(map(checked.number, content["curves"][name])) for name in CURVES}
    lengths = {len(curve) for curve in curves.values()}
    best_epoch = checked.count(content["best_epoch"])
    if len(lengths) != 1 or best_epoch >= lengths.pop():
        raise ValueError("curves differ in length, or best_epoch is outside them")
    images, bits = checked.count(content["masks"]["images"]), content["masks"]["bits"]
    if not bits:
        raise ValueError("there is no mask")
    cells = content["corruptions"]
    return Entry(
        architecture=Architecture.parse(checked.line(content["arch"])),
        arch_id=checked.count(content["arch_id"]),
        seed=checked.count(content["seed"]),
        macs=checked.count(content["macs"]),
        params=checked.count(content["params"]),
        best_epoch=best_epoch,
        curves=curves,
        test={checked.line(name): checked.number(value) for name, value in content["test"].items()},
        corruption_acc=None if cells is None else _grid(cells["acc"]),
        corruption_loss=None if cells is None else _grid(cells["loss"]),
        masks={checked.line(name): _unpacked(text, images) for name, text in bits.items()},
        sanity={checked.line(name): checked.truth(value) for name, value in content["sanity"].items()},
        details={checked.line(name): checked.number(value) for name, value in content["details"].items()},
        provenance=_provenance(content["provenance"]),
    )


def _provenance(content: Any) -> dict[str, Any]:
    """Check what tables and plans read from it."""
    for name in ("train_seconds", "test_seconds"):
        checked.number(content[name])
    if content["peak_memory_mib"] is not None:
        checked.number(content["peak_memory_mib"])
    checked.count(content["evaluation_batch"])
    for value in (content["timestamp"], content["hardware"]["device"], content["hardware"]["name"]):
        checked.line(value)
    return dict(content)


def _grid(rows: Any) -> FloatArray:
    cells = np.array([[checked.number(value) for value in row] for row in rows], dtype=np.float64)
    if cells.shape != (len(CORRUPTIONS), len(SEVERITIES)):
        raise ValueError(f"corruptions have the shape {cells.shape}")
    return cells


def _packed(mask: BoolArray) -> str:
    return base64.b64encode(np.packbits(mask).tobytes()).decode()


def _unpacked(text: str, images: int) -> BoolArray:
    bits = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    if len(bits) != (images + 7) // 8 or not images:
        raise ValueError(f"a mask of {images} images has {len(bits)} bytes")
    return np.unpackbits(bits, count=images).astype(bool)
