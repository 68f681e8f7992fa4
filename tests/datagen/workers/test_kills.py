"""Workers killed at any moment, until a run of several of them is done: nothing is lost, nothing differs."""

from __future__ import annotations

import json
import multiprocessing
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from datagen.store.folder import EntryStore
from datagen.training.checkpoint import load_checkpoint
from tests.datagen.conftest import TINY
from tests.datagen.workers import kill_target

MACHINES = ("a", "b")  # a worker of one cannot know that a process of the other is dead
VARYING = ("timestamp", "finished", "host", "attempts", "interruptions", "train_seconds", "test_seconds")
QUICK = ["train.batch=32", "attack.pgd_steps=1", "attack.cw_steps=1", "train.steps=1", "lease=1"]


class Nursery:
    """Starts processes that have PyTorch loaded already."""

    def __init__(self, folder: Path) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.datagen.workers.kill_target"])
        self._folder = folder
        self._count = 0
        self.children: list[BaseProcess] = []

    def start(self, words: list[str], machine: str, aim: tuple[str, int, bool] | None = None) -> BaseProcess:
        self._count += 1
        log = self._folder / f"{self._count}.log"
        log.touch()
        child = self._context.Process(target=kill_target.main, args=(words, machine, log, aim), name=str(log))
        child.start()
        self.children.append(child)
        return child

    def run(self, words: list[str], machine: str = "a") -> str:
        """Wait for a command that must succeed; what it printed."""
        child = self.start(words, machine)
        child.join(300)
        printed = Path(child.name).read_text()
        assert child.exitcode == 0, printed
        return printed


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    (tmp_path / "logs").mkdir()
    nursery = Nursery(tmp_path / "logs")
    yield nursery
    for child in nursery.children:
        child.kill()
        child.join()


def kill_again_and_again(nursery: Nursery, words: list[str], kills: int, chance: random.Random) -> Counter[str]:
    """Two workers at a time, each killed and started anew; where they were killed."""
    killed: Counter[str] = Counter()
    slots: list[tuple[BaseProcess, str, float]] = []
    until: dict[BaseProcess, float] = {}
    while killed.total() < kills:
        while len(slots) < 2:
            aimed = chance.random() < 0.6
            name = chance.choice(sorted(kill_target.AIMS)) if aimed else "any moment"
            aim = (name, chance.randint(1, 10), chance.random() < 0.5) if aimed else None
            slots.append((nursery.start(words, chance.choice(MACHINES), aim), name, chance.uniform(0.0, 1.0)))
        for slot in list(slots):
            child, name, seconds = slot
            if name == "any moment" and child not in until and Path(child.name).stat().st_size:
                until[child] = time.monotonic() + seconds  # from its first words on
            if child.exitcode is None and time.monotonic() > until.get(child, float("inf")):
                child.kill()
                child.join()
            if child.exitcode is not None:
                slots.remove(slot)
                printed = Path(child.name).read_text()
                assert child.exitcode == -signal.SIGKILL, f"{child.exitcode} after {killed}: {printed}"
                killed[name] += 1
        time.sleep(0.005)
    for child, _, _ in slots:
        child.kill()
        child.join()
    return killed


def content(path: Path) -> dict[str, Any]:
    """An entry without what depends on when and where it was made."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    del found["sha256"], found["provenance"]["peak_memory_mib"], found["provenance"]["config"]["store"]
    for name in VARYING:
        del found["provenance"][name]
    return found


def by_name(folder: Path) -> dict[str, Path]:
    """Names of attacks' results end with a hash that seconds go into."""
    return {re.sub(r"^(test-.*)-[0-9a-f]{12}", r"\1", path.name): path for path in folder.glob("*.pt")}


def logged(folder: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (folder / "log.jsonl").read_text().splitlines()]


def same_tensors(first: Path, second: Path) -> bool:
    if first.name.startswith("test-"):
        found = [torch.load(path, weights_only=True)["found"] for path in (first, second)]
        return found[0].keys() == found[1].keys() and all(
            torch.equal(found[0][name], found[1][name]) for name in found[0]
        )
    one, two = (load_checkpoint(path) for path in (first, second))
    alike = all(torch.equal(one["network"][name], two["network"][name]) for name in two["network"])
    return alike and (one["epoch"], one["history"]) == (two["epoch"], two["history"])


def compare(nursery: Nursery, words: list[str], tmp_path: Path, machines: Sequence[str] = MACHINES) -> str:
    """Finish the disturbed store, and hold it against one that nobody disturbed; a summary."""
    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    for machine in machines:  # each also clears away what its own killed processes left
        nursery.run([*words, f"store={disturbed}"], machine)
    nursery.run([*words, f"store={undisturbed}"])
    names = [path.name for path in sorted((undisturbed / "entries").iterdir())]
    assert [path.name for path in sorted((disturbed / "entries").iterdir())] == names
    for name in names:
        assert content(disturbed / "entries" / name) == content(undisturbed / "entries" / name)
        work = Path("work", name.removesuffix(".json"))
        found, wanted = by_name(disturbed / work), by_name(undisturbed / work)
        assert found.keys() == wanted.keys()
        assert all(same_tensors(found[file], wanted[file]) for file in wanted)
        assert logged(disturbed / work) == logged(undisturbed / work)
    entries = EntryStore(disturbed).entries()
    assert not EntryStore(disturbed).failures()
    assert {entry.provenance["attempts"] for entry in entries} == {1}, "a kill is no failed attempt"
    assert not any((disturbed / "claims").iterdir())
    assert not list(disturbed.rglob("*.partial"))
    return f"{len(entries)} entries, {sum(entry.provenance['interruptions'] for entry in entries)} interruptions"


# Each call is certain to come: the manifest, the claim of the first training, its steps, its files, its entry.
CERTAIN = [
    ("flushing a file", 1, False),
    ("naming an entry or a claim", 2, True),
    ("step of training", 6, False),
    ("checkpoint", 1, True),
    ("renaming a file", 3, False),  # of a checkpoint
    ("test", 1, True),
    ("result of an attack", 1, True),
    ("result of an attack", 2, False),
    ("naming an entry or a claim", 1, False),
    ("naming an entry or a claim", 1, True),
    ("removing a file", 3, False),
]


def test_kills_at_every_kind_of_moment(nursery: Nursery, arrays: Path, tmp_path: Path) -> None:
    words = [*TINY, *QUICK, f"data.file={arrays}", "archs=1-2"]
    for aim in CERTAIN:
        child = nursery.start([*words, f"store={tmp_path / 'disturbed'}"], "a", aim)
        child.join(100)
        assert child.exitcode == -signal.SIGKILL, f"{aim}: {Path(child.name).read_text()}"
    assert any("goes on after epoch 0" in Path(child.name).read_text() for child in nursery.children)
    compare(nursery, words, tmp_path, ["a"])


@pytest.mark.slow
def test_fifty_kills(nursery: Nursery, arrays: Path, tmp_path: Path) -> None:
    words = [*TINY, *QUICK, f"data.file={arrays}", "archs=all", "seeds=0-3", "train.epochs=3"]
    killed = kill_again_and_again(nursery, [*words, f"store={tmp_path / 'disturbed'}"], 60, random.Random(2))
    print(f"{killed.total()} kills, {dict(killed)}; {compare(nursery, words, tmp_path)}")
    assert killed.total() >= 60
    assert len(killed) >= 8, "kills of nearly every kind"
