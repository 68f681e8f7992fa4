"""When trainings end before their work is done, and what signals do."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from datagen.workers.stopping import Stop, asking_on_signal

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no such signals")


@pytest.fixture
def stop(tmp_path: Path) -> Stop:
    return Stop(tmp_path / "claims/.a.stop")


def test_what_comes_next_must_end_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    stop = Stop(tmp_path / "marker", 700.0, hours=0.1)  # ends at 1060
    assert stop.reason() is None
    assert stop.reason(ahead=60.0) is None
    assert stop.reason(ahead=60.5) == "what comes next would not end within hours="
    monkeypatch.setattr(time, "time", lambda: 1060.5)
    assert stop.reason() == "what comes next would not end within hours="


def test_what_is_too_long_for_any_command_of_these_hours_is_said(tmp_path: Path) -> None:
    stop = Stop(tmp_path / "marker", time.time(), hours=4)
    assert stop.reason(ahead=4 * 3600 - 60) is None
    assert stop.reason(ahead=6.25 * 3600) == (
        "what comes next takes about 6.2 hours without a checkpoint, for which hours=4 is never enough: give more"
    )


def test_without_a_deadline_only_the_marker_ends(stop: Stop) -> None:
    assert stop.reason(ahead=1e12) is None
    stop.ask()
    stop.ask()
    assert stop.reason() == "asked to end at the next checkpoint"


def test_asking_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    stop = Stop(tmp_path / "file/marker")
    stop.ask()
    assert stop.reason() is None


def test_the_signal_asks_within_the_block_only(stop: Stop) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with asking_on_signal(stop):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.reason() == "asked to end at the next checkpoint"
    assert signal.getsignal(signal.SIGUSR1) == before
    with pytest.raises(ZeroDivisionError), asking_on_signal(stop):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGUSR1) == before


def test_other_threads_leave_signals_alone(stop: Stop) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    seen: list[object] = []

    def work() -> None:
        with asking_on_signal(stop):
            seen.append(signal.getsignal(signal.SIGUSR1))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
