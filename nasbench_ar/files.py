"""Files that are there whole or not at all, and hashes of them."""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nasbench_ar.process import Process, machine

STALE_SECONDS = 24 * 3600  # a temporary file this old belongs to no living process anywhere
_PARTIAL = re.compile(r"\..*\.([0-9a-f]{12})-(\d+)-[0-9a-f]{12}\.partial", re.DOTALL)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fsync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the system allows it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def partial_path(target: Path) -> Path:
    """A name beside `target` for a temporary file, which tells who writes it."""
    return target.with_name(f".{target.name}.{machine()}-{os.getpid()}-{uuid.uuid4().hex[:12]}.partial")


@contextmanager
def _written(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A temporary file beside `target`; gone when the block ends, unless it was renamed."""
    partial = partial_path(target)
    try:
        with partial.open("wb") as stream:
            yield stream, partial
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def open_atomically(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary stream whose content appears at `path` when the block ends, and not if it fails.

    Raises:
        OSError: when the disk is full or the folder cannot be written; the old
            file is then untouched and no temporary file stays behind.
    """
    target = Path(path)
    with _written(target) as (stream, partial):
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
        stream.close()
        partial.replace(target)
        fsync_folder(target.parent)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` so that readers see the old file or the new one, never a part.

    Raises:
        OSError: as `open_atomically`.
    """
    with open_atomically(path) as stream:
        stream.write(content)


def write_first(path: str | os.PathLike[str], content: bytes) -> bool:
    """Write `content` to `path` unless there is a file already: of many writers, on any machines, one succeeds.

    A hard link gives the whole temporary file its name, and fails where the name is taken.
    On a file system without hard links the name is looked up first and the file renamed;
    of two writers within the same instant the later one then stays, whole as well.

    Returns:
        Whether it is this content that has the name.

    Raises:
        OSError: as `open_atomically`.
    """
    target = Path(path)
    if target.exists():
        return False
    with _written(target) as (stream, partial):
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
        stream.close()
        try:
            os.link(partial, target)
        except FileExistsError:
            # A network file system may report its own success so, when the first answer was lost.
            if not _same(partial, target):
                return False
        except FileNotFoundError:
            raise
        except OSError:  # no hard links here
            if target.exists():
                return False
            partial.replace(target)
        fsync_folder(target.parent)
    return True


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except FileNotFoundError:
        return False


def sweep_partials(folder: Path) -> int:
    """Remove what killed processes left of unfinished files in `folder`: those of this machine, and old ones.

    Returns:
        How many were removed.
    """
    removed = 0
    for path in folder.glob(".*.partial"):
        match = _PARTIAL.fullmatch(path.name)
        try:
            old = time.time() - path.stat().st_mtime > STALE_SECONDS
            if old or (match and Process(match[1], int(match[2])).surely_dead()):
                path.unlink(missing_ok=True)
                removed += 1
        except OSError:  # another process was faster, or it is not ours to remove
            continue
    return removed
