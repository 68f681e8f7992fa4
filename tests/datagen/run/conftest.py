"""A store of one tiny training after another, and what happens to it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datagen.store.folder import EntryStore
from nasbench_ar import Architecture, TrainingError
from tests.datagen.conftest import stripes, write_arrays

SMALLEST = Architecture(1, 1, 1, 1)


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    sizes = {"train": 32, "val": 8, "test": 8}
    splits = {purpose: stripes(n, seed) for seed, (purpose, n) in enumerate(sizes.items())}
    images = {f"{purpose}_images": split[0] for purpose, split in splits.items()}
    return write_arrays(tmp_path / "stripes.npz", **images, **{f"{p}_labels": split[1] for p, split in splits.items()})


@pytest.fixture
def store(tmp_path: Path) -> EntryStore:
    return EntryStore(tmp_path / "store")


def before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, act: Callable[[], object]) -> None:
    """Let something happen just before the given call of a function."""
    whole, calls = getattr(owner, name), iter(range(1, 1000))

    def acting(*arguments: Any, **more: Any) -> Any:
        if next(calls) == call:
            act()
        return whole(*arguments, **more)

    monkeypatch.setattr(owner, name, acting)


def diverge(*rest: Any, **more: Any) -> Any:
    raise TrainingError("diverged")


def left_behind(store: EntryStore) -> list[str]:
    kept = ("manifest.json", "entries", "work", "failures", "asked")
    return [str(p) for p in store.folder.rglob("*") if p.is_file() and p.relative_to(store.folder).parts[0] not in kept]
