"""A ledger of cards in a folder of its own, and trainings that only wait."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from datagen.workers import sharing
from datagen.workers.sharing import Card, ledger_path, reserve

CPU = torch.device("cpu")
CARD = Card("card", 100, CPU)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(sharing, "POLL_SECONDS", 0.01)
    yield
    tempfile.tempdir = None


def tickets(card: str = "card") -> list[tuple[int, bool]]:
    path = ledger_path(card)
    return [(one["bytes"], one["held"]) for one in json.loads(path.read_text())] if path.exists() else []


def wait_until(condition: object, seconds: float = 20.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def start(need: int, events: list[str], name: str, leave: threading.Event) -> threading.Thread:
    def work() -> None:
        with reserve([CARD], need, lambda text: events.append(f"{name}: {text}")):
            events.append(f"{name} in")
            leave.wait(20)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
