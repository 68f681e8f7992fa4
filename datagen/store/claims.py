"""Who works on which training: leases that expire, so that work is hardly ever done twice.

    claims/5-10-5-10-5-10-seed0.json   {token, host, machine, pid, started, began, device, command}

A worker makes a claim by exclusive creation and keeps it alive by touching its file.  A
claim that nobody touched for the length of the lease may be replaced; one whose process
is dead on this very machine is free at once.  Ages are differences of times of the *file
server*, so clocks of machines need not agree.

Claims only avoid duplicate work; results never depend on them.  If two workers ever hold
the same training, it is done twice and the first result is kept (`folder`).  So any file
here may be removed at any time.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from nasbench_ar.errors import ResultsError, WriteError
from nasbench_ar.system import checked_json as checked
from nasbench_ar.system.files import partial_path, write_atomically, write_first
from nasbench_ar.system.process import Process

RENEWALS = 3  # within a lease
MOST_SECONDS = 2.0**37  # since 1970; some four thousand years
Say = Callable[[str], None]


class LeaseLostError(Exception):
    """Another worker took over, since this one showed no sign of life for too long."""


@dataclass(frozen=True)
class Holder:
    """Who holds a training.

    Attributes:
        token: of this claim alone.
        machine: of `Process`, as are `pid` and `started`.
        began: when the claim was made, seconds since 1970 by the clock of the host.
        command: of the command that the worker belongs to.
        age: seconds since the last sign of life, by the file server's clock.
    """

    token: str
    host: str
    machine: str
    pid: int
    started: int | None
    began: float
    device: str
    command: str
    age: float = 0.0

    @property
    def dead(self) -> bool:
        """Whether its process is known to have ended."""
        return Process(self.machine, self.pid, self.started).surely_dead()

    def __str__(self) -> str:
        began = datetime.fromtimestamp(self.began).strftime("%Y-%m-%d %H:%M")
        return f"{self.host}, process {self.pid}, on {self.device} since {began}"


UNREADABLE = Holder("", "an unknown host", "", 0, None, 0.0, "an unknown device", "")


class Claims:
    """The claims of a store; `lease` is in seconds."""

    def __init__(self, folder: Path, lease: float) -> None:
        self.folder, self.lease = folder, lease

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def now(self) -> float:
        """The file server's clock, or this machine's where nothing can be written."""
        probe = partial_path(self.folder / "clock")
        try:
            probe.touch(exist_ok=False)
            now = probe.stat().st_mtime
            probe.unlink()
        except OSError:
            return time.time()
        return now

    def holder(self, key: str, now: float | None = None) -> Holder | None:
        """Who holds a training, in whatever state."""
        try:
            with self.path(key).open("rb") as stream:  # opening makes network file systems look again
                content, touched = stream.read(), os.fstat(stream.fileno()).st_mtime
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ESTALE:  # removed on the file server a moment ago
                return None
            raise ResultsError(f"cannot read {self.path(key)}: {error.strerror or error}") from error
        age = max(0.0, (self.now() if now is None else now) - touched)
        try:
            return replace(_holder(json.loads(content)), age=age)
        except (ValueError, TypeError, KeyError, RecursionError):
            return replace(UNREADABLE, age=age)

    def free(self, holder: Holder | None) -> bool:
        return holder is None or holder.age > self.lease or holder.dead

    def holders(self) -> Iterator[tuple[str, Holder]]:
        """All claims, free ones too, by the key of their training."""
        paths = sorted(self.folder.glob("[!.]*.json"))
        now = self.now() if paths else 0.0
        for path in paths:
            if holder := self.holder(path.stem, now):
                yield path.stem, holder

    def take(self, key: str, *, device: str, command: str) -> Claim | Holder:
        """Claim a training, or learn who holds it."""
        this = Process.this()
        mine = Holder(
            token=uuid.uuid4().hex,
            host=socket.gethostname(),
            machine=this.machine,
            pid=this.pid,
            started=this.started,
            began=time.time(),
            device=device,
            command=command,
        )
        content = _content(mine)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            while not write_first(self.path(key), content):
                holder = self.holder(key)
                if holder is None:  # released in between
                    continue
                if not self.free(holder):
                    return holder
                write_atomically(self.path(key), content)
                # If two take over at once, both may read their own token here; the work is then done twice.
                winner = self.holder(key)
                if winner is None or winner.token != mine.token:
                    continue
                return Claim(self, key, mine, taken_over=holder)
        except OSError as error:
            raise WriteError(f"writing {self.path(key)} failed: {error.strerror or error}") from error
        return Claim(self, key, mine)

    def sweep(self, *, command: str | None = None, finished: Callable[[str], bool] = lambda key: False) -> None:
        """Remove claims that free trainings still have: those of a command, and those of finished trainings."""
        for key, holder in list(self.holders()):
            if self.free(holder) and (holder.command == command or finished(key)):
                self.path(key).unlink(missing_ok=True)


class Claim:
    """A claim that this process holds; a context that renews it in the background and gives it back."""

    def __init__(self, claims: Claims, key: str, mine: Holder, taken_over: Holder | None = None) -> None:
        self.taken_over = taken_over
        self._claims, self._key, self._mine = claims, key, mine
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"lease of {key}", daemon=True)

    def __enter__(self) -> Claim:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with self._lock:  # let a running renewal finish
            try:
                if self._held():
                    self._claims.path(self._key).unlink(missing_ok=True)
            except OSError:  # it expires by itself
                pass

    def check(self) -> None:
        """Call this before changing shared files: raises `LeaseLostError` when another worker took over."""
        if not self.renew():
            holder = self._claims.holder(self._key) or UNREADABLE
            raise LeaseLostError(f"taken over by {holder}, since this worker showed no sign of life for too long")

    def renew(self) -> bool:
        """Show a sign of life; False when the claim is known to be lost."""
        path = self._claims.path(self._key)
        with self._lock:
            if self._ended.is_set():  # the file was given back and stays away
                return False
            try:
                if self._held():
                    os.utime(path)
                    return True
                # Put the file back if somebody removed it.
                return write_first(path, _content(self._mine))
            except OSError:  # a full disk or an absent server says nothing about who holds it
                return True

    def _held(self) -> bool:
        holder = self._claims.holder(self._key, now=0.0)
        return holder is not None and holder.token == self._mine.token

    def _beat(self) -> None:
        while not self._ended.wait(self._claims.lease / RENEWALS):
            if not self.renew():
                return


def _holder(content: Any) -> Holder:
    began = checked.number(content["began"])
    if not 0 <= began < MOST_SECONDS:
        raise ValueError(f"began={began}: outside of the calendar")
    fields: dict[str, Any] = {name: checked.line(content[name]) for name in ("token", "host", "device", "command")}
    return Holder(**fields, **asdict(checked.process(content)), began=began)


def _content(holder: Holder) -> bytes:
    content: dict[str, Any] = {name: value for name, value in asdict(holder).items() if name != "age"}
    return json.dumps(content, indent=1).encode() + b"\n"
