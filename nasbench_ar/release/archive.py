"""Reading the lines of the authors' release, packed or not, without unpacking it to the disk.

The first bytes, not the name, say what the file is: JSON lines, or a tar archive with one
`cifar10.jsonl`, either of them plain, gzip or xz.  An archive with links, with paths that lead
out of a folder, or that unpacks to far more than numbers do cannot be the authors'.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, BinaryIO

from nasbench_ar.errors import TableError
from nasbench_ar.system.bars import bar
from nasbench_ar.system.files import most_unpacked

MEMBER = "cifar10.jsonl"
_BUFFER = 1 << 20
_LONGEST_LINE = 1 << 26  # the authors' lines have some 10 kB
_MOST_BLANK = 10_000  # the authors' file has none
_AGAIN = "download the file again, or name another one; nothing was imported"

# All that the readers below raise on damaged bytes; TableError, an OSError too, is handled before.
_READ_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, tarfile.TarError, ValueError, OverflowError)


class ReleaseFile:
    """The authors' file as numbered lines; `sha256` of its bytes is known once all lines were read."""

    def __init__(self, path: str | os.PathLike[str], *, progress: bool) -> None:
        self.path = Path(path)
        self.sha256 = ""
        self._progress = progress

    def lines(self) -> Generator[tuple[int, bytes], None, None]:
        """Non-blank lines with their numbers, from 1."""
        try:
            yield from self._lines()
        except TableError:
            raise
        except tarfile.TarError as error:
            raise self._refused(
                f"neither JSON lines, beginning with '{{', nor a whole tar archive ({error}); {_AGAIN}"
            ) from error
        except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
            raise self._refused(f"the compressed data are damaged or cut short ({error}); {_AGAIN}") from error
        except OSError as error:
            raise self._refused(f"cannot be read: {error.strerror or error}") from error
        except _READ_ERRORS as error:
            raise self._refused(f"damaged ({error}); {_AGAIN}") from error

    def _lines(self) -> Generator[tuple[int, bytes], None, None]:
        with ExitStack() as stack:
            raw = stack.enter_context(self.path.open("rb", buffering=0))
            size = os.fstat(raw.fileno()).st_size
            name = f"importing {self.path.name}"
            progress = stack.enter_context(
                bar(total=size, unit="B", unit_scale=True, desc=name, hidden=not self._progress)
            )
            hashed = _HashedReader(raw, progress)
            content = self._decompressed(io.BufferedReader(hashed, _BUFFER), most_unpacked(size))
            start = content.peek(512)[:512]
            if not start:
                raise self._refused(f"empty; {_AGAIN}")
            if start.lstrip()[:1] == b"{":
                yield from self._numbered(content)
            else:
                yield from self._member_lines(content)
            while content.read(_BUFFER):  # to the end, so that checksums are compared and all is hashed
                pass
            while hashed.read(_BUFFER):
                pass
            self.sha256 = hashed.digest.hexdigest()

    def _member_lines(self, content: BinaryIO) -> Generator[tuple[int, bytes], None, None]:
        found: str | None = None
        names: list[str] = []
        with tarfile.open(fileobj=content, mode="r|", bufsize=_BUFFER) as archive:
            for member in archive:
                self._check_member(member)
                names.append(member.name)
                if PurePosixPath(member.name).name != MEMBER or not member.isreg():
                    continue
                if found is not None:
                    raise self._refused(f"holds two files {MEMBER}, {found!r} and {member.name!r}; {_AGAIN}")
                found = member.name
                lines = archive.extractfile(member)
                assert lines is not None  # it is a regular file
                yield from self._numbered(lines)
        if found is None:
            held = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
            raise self._refused(f"an archive without {MEMBER}; it holds {held or 'nothing'}; {_AGAIN}")

    def _check_member(self, member: tarfile.TarInfo) -> None:
        name = member.name
        if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or name.startswith("\\"):
            what = "an absolute path"
        elif ".." in name.replace("\\", "/").split("/"):
            what = "a path with '..'"
        elif not (member.isreg() or member.isdir()):
            what = "a link or device"
        else:
            return
        raise self._refused(
            f"the archive holds {name!r}, {what}, which the authors' archive does not: refused; {_AGAIN}"
        )

    def _numbered(self, stream: IO[bytes]) -> Generator[tuple[int, bytes], None, None]:
        number = blank = 0
        while line := stream.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise self._refused(f"line {number} is longer than {_LONGEST_LINE >> 20} MiB; {_AGAIN}")
            if not line.isspace():
                yield number, line
            elif (blank := blank + 1) > _MOST_BLANK:
                raise self._refused(f"has more than {_MOST_BLANK:,} blank lines; {_AGAIN}")
        if not number:
            raise self._refused(f"{MEMBER} is empty; {_AGAIN}")

    def _decompressed(self, stream: io.BufferedReader, most: int) -> io.BufferedReader:
        magic = stream.peek(6)
        unpacked: io.BufferedIOBase
        if magic.startswith(b"\xfd7zXZ\x00"):
            unpacked = lzma.LZMAFile(stream)  # noqa: SIM115 - `stream` is closed with the file below it
        elif magic.startswith(b"\x1f\x8b"):
            unpacked = gzip.GzipFile(fileobj=stream)
        else:
            return stream
        too_large = self._refused(f"unpacks to more than {most:,} bytes, which the authors' file does not; {_AGAIN}")
        return io.BufferedReader(_BoundedReader(unpacked, most, too_large), _BUFFER)

    def _refused(self, what: str) -> TableError:
        return TableError(f"{self.path}: {what}")


class _HashedReader(io.RawIOBase):
    def __init__(self, raw: io.FileIO, progress: Any) -> None:
        self._raw = raw
        self._progress = progress
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._raw.readinto(buffer) or 0
        self.digest.update(memoryview(buffer)[:count])
        self._progress.update(count)
        return count


class _BoundedReader(io.RawIOBase):
    def __init__(self, stream: io.BufferedIOBase, most: int, error: TableError) -> None:
        self._stream = stream
        self._rest = most
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        self._rest -= len(content)
        if self._rest < 0:
            raise self._error
        buffer[: len(content)] = content
        return len(content)
