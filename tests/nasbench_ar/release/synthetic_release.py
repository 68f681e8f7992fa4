"""Synthetic files in the format of the authors' release, for tests and benchmarks.

The numbers follow the published course of a training (three learning rates, robust
overfitting after epoch 75, larger networks a little better) plus noise, and are
made up: nothing may be concluded from them.  Every record says so in `gpu_type`.
"""

import gzip
import io
import lzma
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture
from nasbench_ar.metrics import CORRUPTIONS, CURVES, SEVERITIES
from nasbench_ar.space import NARES, SearchSpace

GPU_TYPE = "synthetic, no GPU"

# Curve -> (value at the start, after epoch 0.75 * epochs, at the end, noise, step of rounding).
_COURSES = {
    "train_loss": (2.2, 1.35, 0.6, 0.01, 1e-4),
    "train_acc": (20.0, 57.7, 91.4, 0.3, 1e-3),
    "val_loss": (2.2, 1.1, 1.2, 0.02, 1e-4),
    "val_clean_acc": (30.0, 68.2, 75.8, 0.6, 0.05),
    "val_pgd_acc": (18.0, 36.4, 32.1, 0.5, 0.05),
    "val_pgd_stable": (45.0, 60.0, 52.0, 0.5, 0.05),
    "val_pgd_lip": (20.0, 60.0, 110.0, 2.0, 1e-3),
    "val_pgd_loss": (2.2, 1.8, 2.9, 0.02, 1e-4),
    "val_cw_acc": (17.0, 35.2, 28.9, 0.5, 0.05),
    "val_cw_stable": (44.0, 58.0, 50.0, 0.5, 0.05),
    "val_cw_lip": (20.0, 60.0, 110.0, 2.0, 1e-3),
    "val_cw_loss": (-1.0, -9.0, -16.0, 0.2, 1e-4),
}
_TESTS = {
    "test_clean_acc": (87.2, 0.01),
    "test_loss": (0.4, 1e-4),
    "Linf_fgsm_acc": (61.4, 0.01),
    "Linf_fgsm_stable": (66.0, 0.01),
    "Linf_pgd_acc": (56.4, 0.01),
    "Linf_pgd_stable": (60.0, 0.01),
    "Linf_pgd_lip": (50.0, 1e-3),
    "Linf_cw_acc": (54.8, 0.01),
    "Linf_cw_stable": (59.0, 0.01),
    "Linf_cw_lip": (52.0, 1e-3),
    "Linf_aa_acc": (52.2, 0.01),
}


def make_record(
    architecture: Architecture, *, seeds: Iterable[int] = (0,), epochs: int = 100, space: SearchSpace = NARES
) -> dict[str, Any]:
    """One complete record; the same arguments give the same numbers."""
    seeds = list(seeds)
    index = space.index(architecture)
    rngs = [np.random.default_rng([index, seed]) for seed in seeds]
    size = index / space.product_size
    return {
        "arch_id": space.arch_id(architecture),
        "arch": dict(zip(space.entry_names, architecture, strict=True)),
        "MACs": space.macs(architecture) / 1e6,
        "Params": space.params(architecture) / 1e6,
        "train": [_training(rng, seed, epochs, size) for rng, seed in zip(rngs, seeds, strict=True)],
        "test_best": [_test(rng, size) for rng in rngs],
    }


def _training(rng: np.random.Generator, seed: int, epochs: int, size: float) -> dict[str, Any]:
    time = np.arange(1, epochs + 1) / epochs
    values: dict[str, list[float]] = {}
    for name, (start, knee, end, noise, step) in _COURSES.items():
        mean = np.interp(time, [0.0, 0.75, 1.0], [start, knee + 2 * size * noise, end])
        values[CURVES[name]] = _rounded(mean + noise * rng.standard_normal(epochs), step)
    return {
        "seed": seed,
        "gpu_type": GPU_TYPE,
        "timestamp": f"2023-{1 + seed % 12:02d}-01",
        "training_time": round(0.5 + size, 4),
        "best_epoch": int(np.argmax(values["cw"])),
        **values,
    }


def _test(rng: np.random.Generator, size: float) -> dict[str, Any]:
    noise = 0.4 * rng.standard_normal(len(_TESTS))
    tests = {
        key: _rounded(np.array([mean * (1 + 0.01 * (size + draw))]), step)[0]
        for (key, (mean, step)), draw in zip(_TESTS.items(), noise, strict=True)
    }
    shape = (len(CORRUPTIONS), len(SEVERITIES))
    acc = _rounded(89.0 - 3.0 * np.arange(5) + rng.standard_normal(shape), 0.01)
    loss = _rounded(0.35 + 0.1 * np.arange(5) + 0.01 * rng.standard_normal(shape), 1e-4)
    cells = {
        name: {str(s): {"acc": acc[c][k], "loss": loss[c][k]} for k, s in enumerate(SEVERITIES)}
        for c, name in enumerate(CORRUPTIONS)
    }
    return {**tests, "corruptions": cells}


def _rounded(values: NDArray[np.float64], step: float) -> Any:
    digits = 2 if step == 0.05 else round(-np.log10(step))
    return np.round(np.round(values / step) * step, int(digits)).tolist()


def as_lines(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """One JSON line per record."""
    return (orjson.dumps(record) + b"\n" for record in records)


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    """A plain `.jsonl`; returns its path."""
    with path.open("wb") as stream:
        stream.writelines(as_lines(records))
    return path


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], *, mode: str = "w:xz") -> Path:
    """A tar archive of the given (name, content) members; returns its path."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


PACKINGS = ("plain", "gz", "xz", "w:", "w:gz", "w:xz")


def write_packed(path: Path, content: bytes, packing: str) -> Path:
    """The content alone, or between other members of an archive; returns its path."""
    if packing.startswith("w:"):
        members = [("nares/README", b"hello"), ("nares/cifar10.jsonl", content), ("nares/after", b"bye")]
        return write_tar(path, members, mode=packing)
    path.write_bytes({"plain": content, "gz": gzip.compress(content, mtime=0), "xz": lzma.compress(content)}[packing])
    return path
