"""A lock on a folder, by which one command of several writes it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class FolderLock:
    """A lock on a folder itself, which needs no file and ends with the process; none where the system has none."""

    def __init__(self, folder: Path, held: ExitStack) -> None:
        self._handle: int | None = None
        if fcntl is not None:
            try:
                self._handle = os.open(folder, os.O_RDONLY)
            except OSError:
                return
            held.callback(os.close, self._handle)

    def take_alone(self) -> bool:
        try:
            if self._handle is not None:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # this file system has no locks
            pass
        return True

    def share(self) -> None:
        """Wait until no other process has it alone, and keep others from taking it alone."""
        try:
            if self._handle is not None:
                fcntl.flock(self._handle, fcntl.LOCK_SH)
        except OSError:
            pass

    def is_of(self, folder: Path) -> bool:
        """Whether the folder is still the one that was locked, and not one that has replaced it."""
        try:
            return self._handle is None or os.path.samestat(os.fstat(self._handle), folder.stat())
        except OSError:
            return False
