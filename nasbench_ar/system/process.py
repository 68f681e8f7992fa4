"""Processes: whether one that left files on a shared disk is still alive, and how many files this one may open."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nasbench_ar.errors import EngineError

OPEN_FILES = 64  # of a command, with some room


@dataclass(frozen=True)
class Process:
    """One process, told apart from all others on all machines.

    Attributes:
        machine: see `machine`.
        started: when it began, in the kernel's own ticks; None where the system does not tell.
    """

    machine: str
    pid: int
    started: int | None = None

    @classmethod
    def this(cls) -> Process:
        stat = _stat(os.getpid())
        return cls(machine(), os.getpid(), stat[1] if stat else None)

    def surely_dead(self) -> bool:
        """True only for a process of this machine that has ended; False where nobody can know."""
        if self.machine != machine() or os.name != "posix":
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # it belongs to another user
            return False
        stat = _stat(self.pid)
        if stat is None:
            return False
        state, started = stat
        return state in "ZX" or (self.started is not None and started != self.started)


def boot() -> str:
    """The kernel's name for the time since this machine was started; empty where it gives none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # not Linux
        return ""


@functools.cache
def machine() -> str:
    """12 hex digits for the place in which process numbers mean something: host, boot and container."""
    parts = [socket.gethostname(), boot()]
    with suppress(OSError):  # not Linux
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _stat(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may contain anything
    return fields[0], int(fields[19])


def require_open_files(need: int = OPEN_FILES, who: str = "a command") -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed != resource.RLIM_INFINITY and allowed < need:
        raise EngineError(
            f"a process may have only {allowed} files open here (ulimit -n), and {who} needs up to {need}: "
            f"raise the limit, say with ulimit -n {max(need, 1024)}"
        )
