"""Every training has a card of its own, or one with room; several cards, none of which is there."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from datagen import run
from datagen.config import RunConfig
from datagen.training.pipeline import Generator
from datagen.workers import sharing, worker
from datagen.workers.sharing import Card, cards_of, reserve
from nasbench_ar import ConfigError
from tests.datagen.conftest import Command
from tests.datagen.workers.ledger import CARD, CPU, own_folder, start, tickets, wait_until  # noqa: F401

pytestmark = pytest.mark.usefixtures("own_folder")


class Facts:
    """Of a GPU, as far as anybody asks."""

    total_memory = 80
    major, minor = 9, 0

    def __init__(self, uuid: str | None) -> None:
        if uuid:
            self.uuid = uuid


def test_cards_have_the_same_name_in_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = torch.device("cuda", 0), torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Facts("3f1c"))
    assert cards_of([first]) == [Card("cuda-3f1c", 80, first)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,MIG-7a")
    assert [card.name for card in cards_of([first, second])] == ["cuda-3f1c", "cuda-MIG-7a"]
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Facts(None))
    assert [card.name for card in cards_of([first, second])] == ["cuda-5", "cuda-MIG-7a"]
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert cards_of([torch.device("cuda")]) == [Card("cuda-5", 80, torch.device("cuda"))]


CARDS = [Card("b", 80, torch.device("cuda", 0)), Card("a", 80, torch.device("cuda", 1))]


def test_whole_cards_are_taken_one_by_one_and_then_refused() -> None:
    with reserve(CARDS, None, print) as first, reserve(CARDS, None, print) as second:
        assert [first, second] == CARDS
        with (
            pytest.raises(
                ConfigError, match="all 2 GPUs have a training of yours already.*share=true in every command"
            ),
            reserve(CARDS, None, print),
        ):
            raise AssertionError("went in")
        with (
            pytest.raises(ConfigError, match=r"cuda:1 \(a\) has a training of yours already"),
            reserve([second], None, print),
        ):
            raise AssertionError("went in")
    assert tickets("a") == tickets("b") == []


def test_a_process_stays_on_the_card_that_has_its_context() -> None:
    with reserve(CARDS, None, print), reserve(CARDS, None, print, context_bytes=10) as mine:
        assert mine == CARDS[1]
    with reserve(CARDS, None, print, context_bytes=10) as again:
        assert again == mine
    with reserve(CARDS, 70, print, context_bytes=10) as again:
        assert again == mine
    with reserve([CARDS[0]], 10, print) as other:
        assert other == CARDS[0], "it may be told to go elsewhere"


def test_those_who_share_take_the_card_with_most_room() -> None:
    with reserve(CARDS, 50, print) as one, reserve(CARDS, 20, print) as two, reserve(CARDS, 40, print) as three:
        assert [one, two, three] == [CARDS[0], CARDS[1], CARDS[1]]


def test_whoever_shares_waits_for_a_card_that_was_taken_whole() -> None:
    events: list[str] = []
    with reserve([CARD], None, print):
        leave = threading.Event()
        thread = start(1, events, "b", leave)
        wait_until(lambda: tickets() == [(100, True), (1, False)])
    wait_until(lambda: "b in" in events)
    leave.set()
    thread.join()


def test_without_file_locks_nobody_can_share_out_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "fcntl", None)
    said: list[str] = []
    with reserve([CARD], None, said.append) as card:
        assert card == CARD
    assert said == []
    with pytest.raises(ConfigError, match="start a command for each GPU instead"), reserve(CARDS, None, print):
        raise AssertionError("went in")


MANY = """
import sys, time
from pathlib import Path
from datagen.workers import sharing
cards = [sharing.Card(name, 10, name) for name in "dbca"]
folder = Path(sys.argv[1])
for turn in range(10):
    with sharing.reserve(cards, None, print, context_bytes=1) as card:
        (folder / card.name).touch(exist_ok=False)
        time.sleep(0.003)
        (folder / card.name).unlink()
"""


def test_processes_never_meet_on_a_card(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    folder.mkdir()
    crowd = [subprocess.Popen([sys.executable, "-c", MANY, str(folder)]) for _ in range(4)]
    assert [one.wait(120) for one in crowd] == [0] * 4


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's answers about two GPUs; whatever is moved there stays on the processor."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index or 0}")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Facts(f"id{device.index or 0}"))
    monkeypatch.setattr(sharing, "as_current", lambda device: nullcontext())
    move = Generator.on_device
    monkeypatch.setattr(Generator, "on_device", lambda generator, device: move(generator, CPU))


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            ["device=cuda", "jobs=8"],
            "jobs=8: 8 trainings at a time on one GPU, device=cuda; say device=all without jobs=",
        ),
        (["device=auto", "jobs=2"], "jobs=2: 2 trainings at a time on one GPU, device=auto; say device=all"),
        (["device=cuda:1", "jobs=2", "engine=dask"], "jobs=2: 2 trainings at a time on one GPU, device=cuda:1"),
        (["device=all", "jobs=3"], "jobs=3: 3 trainings at a time on 2 visible GPUs; say device=all without jobs="),
    ],
)
def test_several_trainings_on_a_gpu_are_refused(
    words: list[str], command: Command, two_gpus: None, more: list[str], line: str
) -> None:
    code, out, err = command(*words, *more)
    assert (code, out) == (2, "")
    assert line in err
    assert err.splitlines()[-1].endswith("share=true for as many as there is memory for, or fewer jobs")


def test_how_many_workers_there_are(config: RunConfig) -> None:
    for changes, gpus, workers in (
        ({}, 0, 1),
        ({}, 1, 1),
        ({"jobs": 8}, 0, 8),
        ({"device": "all"}, 4, 4),
        ({"device": "all", "jobs": 2}, 4, 2),
        ({"device": "all", "jobs": 8, "share": True}, 4, 8),
        ({"device": "cuda", "jobs": 8, "share": True}, 1, 8),
    ):
        assert run.workers_on(gpus, replace(config, **changes)) == workers


def test_a_command_takes_the_gpu_that_is_free(
    words: list[str], command: Command, two_gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[list[tuple[int, bool]]] = []
    real = worker._with_claim
    monkeypatch.setattr(worker, "_with_claim", lambda *given: (taken.append(tickets("cuda-id1")), real(*given))[1])
    with reserve(cards_of([torch.device("cuda", 0)]), None, print):
        code, _, err = command(*words, "device=all", "jobs=1")
        assert code == 0, err
        assert "GPU 0 and GPU 1" in err
        assert taken == [[(80, True)]]
        code, _, err = command(*words, "device=cuda", "archs=1-1-1-2")
        assert code == 2
        assert "cuda (cuda-id0) has a training of yours already" in err


def test_what_names_no_gpu_uses_the_one_that_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[torch.device] = []

    @contextmanager
    def device(chosen: torch.device) -> Iterator[None]:
        current.append(chosen)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", device)
    with sharing.as_current(torch.device("cuda", 1)):
        assert current == [torch.device("cuda", 1)]
    assert current == []
    with sharing.as_current(CPU):
        assert current == []
