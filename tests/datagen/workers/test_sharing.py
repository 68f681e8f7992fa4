"""The memory of a card is never given out twice, and never lost with a process."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from datagen import hardware
from datagen.config import parse_command_line
from datagen.planning.memory import MemorySettings, estimate_memory
from datagen.training import pipeline
from datagen.training.pipeline import Generator
from datagen.workers import sharing, worker
from datagen.workers.sharing import Card, cards_of, ledger_path, reserve
from nasbench_ar import Architecture, ResultsError, TrainingError
from tests.datagen.conftest import Command
from tests.datagen.workers.ledger import CARD, CPU, own_folder, start, tickets, wait_until  # noqa: F401

pytestmark = pytest.mark.usefixtures("own_folder")


def test_what_fits_goes_in_and_the_rest_waits_in_the_order_of_coming() -> None:
    events: list[str] = []
    leave = {name: threading.Event() for name in "abcd"}
    threads = []
    for position, (name, need) in enumerate({"a": 60, "b": 30, "c": 80, "d": 5}.items()):
        threads.append(start(need, events, name, leave[name]))
        wait_until(lambda position=position: len(tickets()) == position + 1)
    # d would fit beside a and b, but c came first.
    assert tickets() == [(60, True), (30, True), (80, False), (5, False)]
    leave["b"].set()
    wait_until(lambda: len(tickets()) == 3)
    time.sleep(0.05)
    assert tickets() == [(60, True), (80, False), (5, False)]
    leave["a"].set()
    wait_until(lambda: tickets() == [(80, True), (5, True)])
    for event in leave.values():
        event.set()
    for thread in threads:
        thread.join()
    assert tickets() == []
    assert f"c: waits for 0.0 GB on cpu (card), behind 2 others, by the account in {ledger_path('card')}" in events
    assert [event for event in events if event.endswith(" in")][:2] == ["a in", "b in"]


HOLDER = """
import sys, time
from datagen.workers.sharing import Card, reserve
with reserve([Card("card", 100, None)], int(sys.argv[1]), print):
    print("in", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_gives_its_part_back() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, "70"], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "in\n"
    assert tickets() == [(70, True)]
    events: list[str] = []
    leave = threading.Event()
    thread = start(50, events, "b", leave)
    wait_until(lambda: len(tickets()) == 2)
    time.sleep(0.05)
    assert tickets() == [(70, True), (50, False)]
    holder.send_signal(signal.SIGKILL)
    wait_until(lambda: "b in" in events)  # although nobody has waited for the dead child yet
    assert tickets() == [(50, True)]
    holder.wait()
    holder.stdout.close()
    leave.set()
    thread.join()


CROWD = """
import random, sys, time
from pathlib import Path
from datagen.workers import sharing
sharing.POLL_SECONDS = 0.005
folder, name = Path(sys.argv[1]), sys.argv[2]
rng = random.Random(name)
for turn in range(12):
    need = rng.randint(10, 70)
    with sharing.reserve([sharing.Card("card", 100, None)], need, lambda text: None):
        mine = folder / f"{name}-{turn}-{need}"
        mine.touch()
        inside = sum(int(path.name.split("-")[2]) for path in folder.iterdir())
        time.sleep(0.002)
        mine.unlink()
        assert inside <= 100, inside
"""


def test_processes_together_never_hold_more_than_the_card(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    crowd = [subprocess.Popen([sys.executable, "-c", CROWD, str(inside), name]) for name in "ab"]
    assert [one.wait(60) for one in crowd] == [0, 0]
    assert tickets() == []


def test_one_that_waits_goes_in_though_somebody_removes_the_account() -> None:
    events: list[str] = []
    leave = threading.Event()
    with reserve([CARD], 60, print):
        thread = start(60, events, "b", leave)
        wait_until(lambda: len(tickets()) == 2)
        ledger_path("card").unlink()
    wait_until(lambda: "b in" in events)
    leave.set()
    thread.join()


def test_what_an_earlier_boot_left_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with reserve([CARD], None, print):
        monkeypatch.setattr(sharing, "boot", lambda: "another")
        with reserve([CARD], None, print) as card:
            assert card == CARD
        monkeypatch.undo()


def test_one_larger_than_the_card_goes_in_alone_with_a_note() -> None:
    events: list[str] = []
    leave = {name: threading.Event() for name in "ab"}
    small = start(1, events, "a", leave["a"])
    wait_until(lambda: tickets() == [(1, True)])
    large = start(10**12, events, "b", leave["b"])
    wait_until(lambda: len(tickets()) == 2)
    assert tickets() == [(1, True), (100, False)]
    leave["a"].set()
    wait_until(lambda: "b in" in events)
    leave["b"].set()
    small.join()
    large.join()
    assert "b: needs about 1000.0 GB of 0.0 GB on cpu (card); it is tried alone there" in events


def test_waiting_can_be_ended_from_outside() -> None:
    def stop() -> None:
        raise InterruptedError("enough")

    with (
        reserve([CARD], 90, print),
        pytest.raises(InterruptedError, match="enough"),
        reserve([CARD], 20, print, check=stop),
    ):
        raise AssertionError("went in")
    assert tickets() == []


def test_an_error_inside_gives_the_part_back() -> None:
    with pytest.raises(ZeroDivisionError), reserve([CARD], 90, print):
        raise ZeroDivisionError
    assert tickets() == []


def test_without_file_locks_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "fcntl", None)
    said: list[str] = []
    with reserve([CARD], 90, said.append), reserve([CARD], 90, said.append):
        pass
    assert said == ["this system has no file locks (flock), so that share=true has no effect"] * 2


def test_a_ledger_that_cannot_be_used_is_one_error(tmp_path: Path) -> None:
    path = ledger_path("card")
    path.parent.mkdir(mode=0o700)
    owner = '{"machine": "m", "pid": 99999999999, "started": null}'
    far = f'[{{"token": "a", "owner": {owner}, "bytes": 1, "held": true, "idle": false}}]'
    for content in ("[{]", "[" * 100_000, "[{}]", far, far.replace("99999999999", "9").replace("1,", '"1",')):
        path.write_text(content)
        with pytest.raises(ResultsError, match="is damaged"), reserve([CARD], 1, print):
            pass
    path.unlink()
    path.with_suffix(".lock").unlink()
    path.parent.rmdir()
    path.parent.write_text("")
    with pytest.raises(ResultsError, match="cannot keep account of the GPU"), reserve([CARD], 1, print):
        pass


def try_to_share() -> None:
    with reserve([CARD], 1, print):
        pass


# -- contexts of processes between their trainings -------------------------------------


def idle() -> list[tuple[int, bool]]:
    return [(one["bytes"], one["idle"]) for one in json.loads(ledger_path("card").read_text())]


def test_a_process_keeps_its_context_until_its_next_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with reserve([CARD], 90, print, context_bytes=20):
        assert idle() == [(90, False)]
    assert idle() == [(20, True)]
    with reserve([CARD], 100, print, context_bytes=20):  # which has its own context in it
        assert idle() == [(100, False)]
    assert idle() == [(20, True)]
    me = sharing.Process.this()
    monkeypatch.setattr(sharing.Process, "this", lambda: replace(me, pid=os.getppid(), started=None))
    with reserve([CARD], 70, print):
        leave, events = threading.Event(), []
        thread = start(20, events, "b", leave)  # of the other process again
        wait_until(lambda: len(tickets()) == 3)
        time.sleep(0.05)
        assert idle() == [(20, True), (70, False), (20, False)], "20 and 70 and 20 are more than the card has"
    wait_until(lambda: "b in" in events)
    leave.set()
    thread.join()


def test_idle_contexts_never_keep_the_first_in_the_queue_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with reserve([CARD], 50, print, context_bytes=20):
        pass
    me = sharing.Process.this()
    monkeypatch.setattr(sharing.Process, "this", lambda: replace(me, pid=os.getppid(), started=None))
    with reserve([CARD], 100, print):
        assert idle() == [(20, True), (100, False)]


def test_who_never_had_a_part_has_no_context() -> None:
    def stop() -> None:
        raise InterruptedError

    with (
        reserve([CARD], 90, print),
        pytest.raises(InterruptedError),
        reserve([CARD], 20, print, context_bytes=10, check=stop),
    ):
        raise AssertionError("went in")
    assert tickets() == []


@pytest.mark.parametrize("error", [None, TrainingError, torch.cuda.OutOfMemoryError])
def test_the_card_is_touched_only_while_a_part_is_held_and_left_empty(
    words: list[str], command: Command, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None
) -> None:
    """On a processor, with a card that only the account knows."""
    monkeypatch.setattr(sharing, "cards_of", lambda devices: [Card("card", 80 * 10**9, CPU)])
    events: list[tuple[str, int]] = []
    tensors: list[weakref.ref[torch.Tensor]] = []
    move, release, assess = Generator.on_device, hardware.release_memory, pipeline.assess

    def on_device(generator: Generator, device: torch.device) -> Generator:
        events.append(("moved", len([one for one in idle() if not one[1]])))
        moved = move(generator, device)
        images = moved.dataset.train.images.clone()
        tensors.append(weakref.ref(images))
        return replace(moved, dataset=replace(moved.dataset, train=replace(moved.dataset.train, images=images)))

    def failing(*given: Any, **more: Any) -> Any:
        batch = torch.zeros(3)
        tensors.append(weakref.ref(batch))
        if error is not None:
            raise error  # a new one: it holds the frames it came through
        return assess(*given, **more)

    def releasing() -> None:
        events.append(("released", len([one for one in idle() if not one[1]])))
        events.append(("alive", sum(tensor() is not None for tensor in tensors)))
        release()

    monkeypatch.setattr(Generator, "on_device", on_device)
    monkeypatch.setattr(pipeline, "assess", failing)
    monkeypatch.setattr(hardware, "release_memory", releasing)
    assert command(*words, "share=true")[0] == (0 if error is None else 1)
    assert events == [("moved", 1), ("released", 1), ("alive", 0)]
    assert idle() == [(2 * 10**9, True)]


def test_a_folder_that_somebody_else_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: somebody)
    folder = ledger_path("card").parent
    folder.mkdir(mode=0o700)
    with pytest.raises(ResultsError, match=f"{folder} is not a folder of yours alone.*, or set TMPDIR"):
        try_to_share()
    assert not list(folder.iterdir())


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_folder_that_others_may_write_is_refused(mode: int) -> None:
    folder = ledger_path("card").parent
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ResultsError, match="is not a folder of yours alone"):
        try_to_share()
    assert not list(folder.iterdir())


def test_links_are_not_followed(tmp_path: Path) -> None:
    path, elsewhere = ledger_path("card"), tmp_path / "elsewhere"
    folder, lock = path.parent, path.with_suffix(".lock")
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    with pytest.raises(ResultsError, match="is not a folder of yours alone"):
        try_to_share()
    folder.unlink()
    folder.mkdir(mode=0o700)
    lock.symlink_to(elsewhere / "lock")
    with pytest.raises(ResultsError, match="cannot keep account of the GPU"):
        try_to_share()
    lock.unlink()
    path.symlink_to(elsewhere / "account")
    try_to_share()
    assert not path.is_symlink()
    assert not list(elsewhere.iterdir())


def test_the_folder_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    try:
        try_to_share()
    finally:
        os.umask(before)
    assert stat.S_IMODE(ledger_path("card").parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(ledger_path("card").with_suffix(".lock").stat().st_mode) == 0o600


@pytest.mark.parametrize(("batch", "precisions"), [(10, ("bf16", "float32")), (500, ("float32", "bf16"))])
def test_what_a_training_is_estimated_to_take(words: list[str], batch: int, precisions: tuple[str, str]) -> None:
    changes = [
        "overhead_gb=1.5",
        f"batch={batch}",
        f"train.precision={precisions[0]}",
        f"attack.precision={precisions[1]}",
    ]
    generator = Generator.prepare(parse_command_line([*words, *changes]))
    settings = MemorySettings(
        train_batch=16,
        evaluation_batch=min(batch, 48),  # there are 40 images to validate on and 48 to test
        train_precision=precisions[0],
        test_precision=precisions[1],
        images=128 + 40 + 48,
        test_images=48,
        overhead=1_500_000_000,
    )
    space = generator.space
    need = int(estimate_memory(space, space.indices(["2-2-1-1"]), settings).total[0])
    assert sharing.needed_bytes(generator, Architecture(2, 2, 1, 1)) == need


def test_a_processor_is_not_shared() -> None:
    assert cards_of([CPU]) == []


def test_the_command_shares_a_card(words: list[str], command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = command(*words, "share=true", "archs=1-1-1-1")
    assert (code, "card" in err) == (0, False)  # a processor is not shared
    monkeypatch.setattr(sharing, "cards_of", lambda devices: [Card("card", 10**9, CPU)])
    seen: list[list[tuple[int, bool]]] = []
    real = worker._with_claim
    monkeypatch.setattr(worker, "_with_claim", lambda *given: (seen.append(tickets()), real(*given))[1])
    code, _, err = command(*words, "share=true", "archs=1-1-1-2")
    assert code == 0
    assert seen == [[(10**9, True)]]
    assert "1-1-1-2 (1 of 1): needs about 2.0 GB of 1.0 GB on cpu (card); it is tried alone there" in err
    assert tickets() == [(2 * 10**9, True)], "the context of this process stays"
    # Whoever waits for a card ends when asked to.
    with reserve([Card("card", 10**9, CPU)], 10**9, print):
        code, out, err = command(*words, "share=true", "archs=1-1-2-1", "hours=0.0003")
    assert code == 3
    assert "ended early" in out
