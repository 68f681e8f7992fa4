"""Files of which the first stays, and what killed writers leave."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nasbench_ar.system import files
from nasbench_ar.system.files import (
    STALE_SECONDS,
    partial_path,
    remove,
    sweep_partials,
    try_writing,
    write_atomically,
    write_first,
)
from nasbench_ar.system.process import Process
from tests.nasbench_ar.conftest import FULL, partial_of_a_dead_process, raising


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_first_stays(tmp_path: Path) -> None:
    assert write_first(tmp_path / "f", b"first")
    assert not write_first(tmp_path / "f", b"second")
    assert (tmp_path / "f").read_bytes() == b"first"
    assert names(tmp_path) == ["f"]


def test_where_there_is_a_first_one_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_first(tmp_path / "f", b"first")
    monkeypatch.setattr(Path, "open", raising(FULL))
    assert not write_first(tmp_path / "f", b"second")


def test_a_temporary_file_that_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def late(source: Path, target: Path) -> None:
        source.unlink()
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(FileNotFoundError):
        write_first(tmp_path / "f", b"first")
    assert names(tmp_path) == []


def test_of_many_at_once_one_is_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)  # nobody sees the others come
    with ThreadPoolExecutor(16) as pool:
        for number in range(10):
            path = tmp_path / str(number)
            firsts = list(pool.map(lambda k, path=path: write_first(path, b"%d" % k), range(16)))
            assert firsts.count(True) == 1
            assert path.read_bytes() == b"%d" % firsts.index(True)
    assert len(names(tmp_path)) == 10


def test_a_try_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    try_writing(tmp_path / "f")
    try_writing(tmp_path / "g")
    assert names(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"
    for wrong in (tmp_path, tmp_path / "nowhere/f", tmp_path / "f/g"):
        with pytest.raises(OSError, match=r"directory|Not a|No such"):
            try_writing(wrong)
    with pytest.raises(FileNotFoundError):
        write_first(tmp_path / "nowhere/f", b"")


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(os, "link", raising(OSError(code, os.strerror(code))))
    assert write_first(tmp_path / "f", b"first")
    assert not write_first(tmp_path / "f", b"second")
    assert (tmp_path / "f").read_bytes() == b"first"
    assert names(tmp_path) == ["f"]


def test_a_success_that_is_reported_as_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.link

    def link(source: Any, target: Any) -> None:
        whole(source, target)
        raise FileExistsError(errno.EEXIST, "asked a second time, as the first answer was lost")

    monkeypatch.setattr(os, "link", link)
    assert write_first(tmp_path / "f", b"mine")


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "f", b"old")
    monkeypatch.setattr(os, "fsync", raising(FULL))
    for write, name in ((write_first, "g"), (write_atomically, "f")):
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / name, b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="needs /dev")
def test_devices_are_no_places_for_files(tmp_path: Path) -> None:
    """A root user's `out=/dev/null` must not take the device away from everybody."""
    assert all(files._is_no_place_for_a_file(Path("/dev") / name) for name in ("null", "stdout", "stderr"))
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    for path in (tmp_path, tmp_path / "file", tmp_path / "link", tmp_path / "absent", Path("/dev/absent")):
        assert not files._is_no_place_for_a_file(path)


def test_what_killed_writers_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, elsewhere, old = (partial_path(tmp_path / name) for name in ("mine", "elsewhere", "old"))
    machine = Process.this().machine
    dead = partial_of_a_dead_process(tmp_path / "dead")
    elsewhere, old = (Path(str(p).replace(machine, "0" * 12)) for p in (elsewhere, old))
    for path in (mine, dead, elsewhere, old, tmp_path / "entry.json", tmp_path / ".other.partial"):
        path.touch()
    past = time.time() - STALE_SECONDS - 10
    os.utime(old, (past, past))
    assert sweep_partials(tmp_path) == 2
    assert names(tmp_path) == sorted([mine.name, elsewhere.name, "entry.json", ".other.partial"])
    os.utime(tmp_path / ".other.partial", (past, past))
    assert sweep_partials(tmp_path) == 1
    assert names(tmp_path) == sorted([mine.name, elsewhere.name, "entry.json"])


def test_among_the_files_of_others_only_ones_own_are_swept(tmp_path: Path) -> None:
    past = time.time() - STALE_SECONDS - 10
    dead = [partial_of_a_dead_process(tmp_path / name) for name in ("a", "a.b", "b")]
    for path in (*dead, tmp_path / ".a.partial", tmp_path / ".a.tex.partial"):
        path.touch()
        os.utime(path, (past, past))
    dead[0].unlink()
    (dead[0] / "inner").mkdir(parents=True)
    (dead[0] / "inner" / "file").touch()
    assert sweep_partials(tmp_path, of="a") == 1
    assert names(tmp_path) == sorted([dead[1].name, dead[2].name, ".a.partial", ".a.tex.partial"])
    assert sweep_partials(tmp_path / "none", of="a") == 0


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to("folder")
    remove(tmp_path / "link")
    assert names(tmp_path) == ["folder"]
    remove(tmp_path / "folder")
    remove(tmp_path / "folder")
    assert names(tmp_path) == []
