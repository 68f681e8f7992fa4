"""Files that are there whole or not at all, their hashes, and how large unpacked ones may be."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nasbench_ar.errors import WriteError
from nasbench_ar.system.process import Process, machine

MOST_UNPACKED = 64 << 20  # bytes that any packed file may unpack to
MOST_RATIO = 100  # beyond that, how many times its own size: images and numbers pack to a fifth, zeros to a thousandth
STALE_SECONDS = 24 * 3600  # a temporary file this old belongs to no living process anywhere
_TEMPORARY = re.compile(r"\.(.*)\.([0-9a-f]{12})-(\d+)-[0-9a-f]{12}\.[a-z]+", re.DOTALL)


def file_sha256(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def most_unpacked(packed: int) -> int:
    """Bytes that so many packed ones may unpack to; a file of more was made to fill the memory."""
    return max(MOST_UNPACKED, MOST_RATIO * packed)


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
    partial = partial_path(target)
    try:
        with partial.open("wb") as stream:
            yield stream, partial
    finally:
        partial.unlink(missing_ok=True)


def try_writing(path: str | os.PathLike[str]) -> None:
    """Find out, before much work, whether `open_atomically` can write to `path`; leaves nothing behind."""
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not _is_no_place_for_a_file(target):
        with _written(target):
            pass


def _is_no_place_for_a_file(target: Path) -> bool:
    """Devices, pipes, and links such as /dev/stdout: they are written to, never replaced."""
    if not target.exists() or target.is_dir():
        return False
    return not target.is_file() or target.absolute().parent == Path("/dev")


@contextmanager
def open_atomically(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A stream whose content appears at `path` when the block ends, never if it fails; devices are written directly."""
    target = Path(path)
    if _is_no_place_for_a_file(target):
        with target.open("wb") as stream:
            yield stream
        return
    with _written(target) as (stream, partial):
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
        stream.close()
        partial.replace(target)
        fsync_folder(target.parent)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Readers see the old file or the new one, never a part."""
    with open_atomically(path) as stream:
        stream.write(content)


def write_first(path: str | os.PathLike[str], content: bytes) -> bool:
    """Write `content` unless `path` exists; of many writers, on any machines, one succeeds and gets True.

    A hard link gives the whole temporary file its name, and fails where the name is taken.
    A file system without hard links checks for the name, then renames: of two writers in the
    same instant the later one stays, whole as well.
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
            # A network file system may also report its own success so, if the first answer was lost.
            if not _same(partial, target):
                return False
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


def sweep_partials(folder: Path, *, of: str | None = None) -> int:
    """Remove what killed processes left in `folder`, or only what should have become `of`; returns how many."""
    removed = 0
    for path, target, writer in leftovers(folder, ".partial"):
        try:
            old = time.time() - path.stat().st_mtime > STALE_SECONDS
            if of in (None, target) and (old or (writer is not None and writer.surely_dead())):
                remove(path)
                removed += 1
        except OSError:  # another process was faster, or it is not ours to remove
            continue
    return removed


def leftovers(folder: Path, suffix: str) -> list[tuple[Path, str | None, Process | None]]:
    """Hidden files with a suffix, their targets and writers; None for names of another form."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(".") and name.endswith(suffix))
    except OSError:
        return []
    matches = [(folder / name, _TEMPORARY.fullmatch(name)) for name in names]
    return [(path, m and m[1], m and Process(m[2], int(m[3]))) for path, m in matches]


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make the folder of a report; raises WriteError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}; choose another out=") from error


def write_file(path: Path, content: bytes) -> None:
    """Write one file of a report, atomically; raises WriteError."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error
    except ValueError as error:  # no name of a file
        raise WriteError(f"cannot write {path}: {error}") from error


def note(text: str) -> None:
    print(f"nasbench-ar: {text}", file=sys.stderr)
