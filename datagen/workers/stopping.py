"""Ending a command before its work is done: at the next checkpoint, or at once.

`hours=` and SIGUSR1 end every training of the command at its next checkpoint: nothing is
lost.  SIGTERM ends it at once, as Ctrl-C does, since schedulers kill half a minute
later: the epoch under way is lost, claims are given back.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_USR1 = getattr(signal, "SIGUSR1", None)  # Windows has none


class StoppedError(Exception):
    """The training ended at a checkpoint, as asked."""


@dataclass(frozen=True)
class Stop:
    """The trainings of a command end `hours` after it began, seconds since 1970, or once the file `marker` exists."""

    marker: Path
    began: float = 0.0
    hours: float = math.inf

    def reason(self, ahead: float = 0.0) -> str | None:
        """Why to end now; None to go on for another `ahead` seconds."""
        if self.marker.exists():
            return "asked to end at the next checkpoint"
        if ahead > 3600 * self.hours:
            return (
                f"what comes next takes about {ahead / 3600:.2g} hours without a checkpoint, for which "
                f"hours={self.hours:g} is never enough: give more"
            )
        if time.time() + ahead > self.began + 3600 * self.hours:
            return "what comes next would not end within hours="
        return None

    def ask(self) -> None:
        try:
            self.marker.parent.mkdir(parents=True, exist_ok=True)
            self.marker.touch()
        except OSError:  # a full disk will soon end the workers
            pass


@contextmanager
def asking_on_signal(stop: Stop) -> Iterator[None]:
    """SIGUSR1 asks to end, also where a scheduler sends it to every process."""
    if _USR1 is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(_USR1, lambda number, frame: stop.ask())
    try:
        yield
    finally:
        signal.signal(_USR1, before)
