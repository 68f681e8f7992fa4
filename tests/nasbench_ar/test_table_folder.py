"""A table is written whole or not at all, whatever fails, is killed or stands in its place."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench_ar import Table, TableError, TableWriter, library, load, table_folder
from nasbench_ar.system.files import partial_path
from tests.nasbench_ar.conftest import FULL, TOY, raising, table_of, toy_writer, write_toy

ROOT = Path(__file__).parents[2]
SEVEN = TOY.from_index(7), {}


def hidden(folder: Path) -> list[str]:
    return [p.name for p in folder.parent.iterdir() if p.name.startswith(".")]


def test_an_existing_table_is_kept_unless_told_otherwise(tmp_path: Path, toy_table: Table) -> None:
    with pytest.raises(TableError, match=r"exists already.*--replace"):
        toy_writer(toy_table.folder)
    assert table_of(toy_table.folder, SEVEN, replace=True).arch_index.tolist() == [7]
    assert not hidden(toy_table.folder)


def test_a_table_that_appeared_meanwhile_is_kept(tmp_path: Path) -> None:
    slow = toy_writer(tmp_path / "t")
    slow.add(SEVEN[0], seed=0, scalars={})
    write_toy(tmp_path / "t")
    with pytest.raises(TableError, match=r"failed: .*not empty; nothing was changed there"):
        slow.__exit__(None, None, None)
    assert Table(tmp_path / "t").rows == 16
    assert not hidden(tmp_path / "t")


def test_replacing_never_touches_what_is_no_table(tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter1.tex").write_text("x")
    for target in (precious, precious / "chapter1.tex"):
        with pytest.raises(TableError, match="something else than a table"):
            toy_writer(target, replace=True)
    assert (precious / "chapter1.tex").read_text() == "x"


def rename_nothing_partial(path: Path, target: Path, rename: Callable[..., Path] = Path.rename) -> Path:
    if path.name.endswith(".partial"):
        raise FULL
    return rename(path, target)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    ("owner", "name", "stub"),
    [
        (table_folder._RowFile, "flush", raising(FULL)),
        (np, "save", raising(FULL)),
        (os, "fsync", raising(FULL)),
        (table_folder, "write_atomically", raising(FULL)),
        (Path, "rename", rename_nothing_partial),
    ],
)
def test_a_full_disk_changes_nothing(
    owner: Any, name: str, stub: Any, replace: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "toy"
    before = write_toy(folder).content_hash if replace else None
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stub)
        with pytest.raises(TableError, match="No space left on device; nothing was changed there") as caught:
            write_toy(folder, replace=replace)
    assert "\n" not in str(caught.value)
    assert not hidden(folder)
    if replace:
        assert Table(folder).content_hash == before
        Table(folder).verify()
    else:
        assert not folder.exists()


def test_a_failure_while_closing_does_not_hide_the_first_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk fails again when buffered data are flushed by close."""

    class Failing:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

        def close(self) -> None:
            self.stream.close()
            raise FULL

    original = table_folder._RowFile.__init__

    def init(self: Any, *args: Any) -> None:
        original(self, *args)
        self._file = Failing(self._file)

    monkeypatch.setattr(table_folder._RowFile, "__init__", init)
    writer = toy_writer(tmp_path / "t")
    with pytest.raises(RuntimeError, match="the first"), writer:
        _add_and_raise(writer, RuntimeError("the first"))
    assert not hidden(tmp_path / "t")


def _add_and_raise(writer: TableWriter, error: BaseException) -> None:
    writer.add(TOY.from_index(0), seed=0, scalars={}, curves={"train_acc": np.ones(3)})
    raise error


def test_an_exception_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    writer = toy_writer(tmp_path / "t")
    with pytest.raises(KeyboardInterrupt), writer:
        _add_and_raise(writer, KeyboardInterrupt())
    assert list(tmp_path.glob("[.t]*")) == []


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match=r"cannot write a table at .*Not a directory"):
        toy_writer(tmp_path / "file" / "table")


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.nasbench_ar.conftest import TOY, toy_writer

folder, when = Path(sys.argv[1]), int(sys.argv[2])
rename, count = Path.rename, 0

def counted(self, target):
    global count
    if count == when:
        os.kill(os.getpid(), signal.SIGKILL)
    count += 1
    return rename(self, target)

Path.rename = counted
with toy_writer(folder, replace=True) as writer:
    writer.add(TOY.from_index(7), seed=0, scalars={})
"""


def kill_before_rename(folder: Path, when: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, str(folder), str(when)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert hidden(folder)


@pytest.mark.parametrize("when", [0, 1, 2])  # before the first rename, between the two, before the old one goes
@pytest.mark.parametrize("then", ["load", "open by name", "open by folder", "write"])
def test_a_replacement_that_was_killed(when: int, then: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "tables" / "nares"
    write_toy(folder)
    kill_before_rename(folder, when)
    assert folder.exists() == (when != 1)
    if then == "write":
        with pytest.raises(TableError, match="exists already"):
            toy_writer(folder)
        table = Table(folder)
        toy_writer(folder, replace=True).__exit__(KeyboardInterrupt, None, None)
    elif then == "load":
        table = load(quiet=True).table
    else:
        table = library.open_table("nares" if then == "open by name" else folder)
    assert (table.folder, table.rows) == (folder, 16 if when < 2 else 1)
    table.verify()
    said = capsys.readouterr().err
    assert said.count(f"killed while it replaced {folder}; the old table is back, replace it again") == (when == 1)
    if then in ("open by name", "write"):
        assert not hidden(folder)


def test_a_killed_replacement_outside_the_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, other = tmp_path / "toy", tmp_path / "other"
    for place in (folder, other):
        write_toy(place)
        kill_before_rename(place, 1)
    assert library.open_table(folder).rows == 16
    assert f"{folder}; the old table is back" in capsys.readouterr().err
    assert not other.exists()  # it is nobody's business yet


def test_what_killed_writers_left_goes_when_the_next_one_comes(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    kill_before_rename(folder, 0)
    (tmp_path / ".thesis.partial").write_text("not ours")
    (tmp_path / ".toy.tex.partial").write_text("not ours")
    living = partial_path(folder)
    living.mkdir()
    write_toy(folder)
    assert sorted(hidden(folder)) == sorted([".thesis.partial", ".toy.tex.partial", living.name])


def test_a_replacement_whose_end_nobody_can_know_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "tables" / "nares"
    write_toy(folder)
    kill_before_rename(folder, 1)
    monkeypatch.setattr("nasbench_ar.system.process.machine", lambda: "0" * 12)  # as seen from elsewhere
    assert load(quiet=True).name == "nares-figures"
    (aside,) = folder.parent.glob(".nares.*.replaced")
    said = capsys.readouterr().err
    assert f"{folder} is being replaced, or a process on another machine was killed" in said
    assert f"the old table is {aside}\n" in said


def test_a_table_that_cannot_be_put_back_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "tables" / "nares"
    write_toy(folder)
    kill_before_rename(folder, 1)

    monkeypatch.setattr(Path, "rename", raising(PermissionError(errno.EACCES, os.strerror(errno.EACCES))))
    load(quiet=True)
    assert f"old table of {folder} and cannot be put back: Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("done", [False, True])
def test_interrupted_at_the_second_rename(done: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "toy"
    write_toy(folder)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if not self.name.endswith(".partial"):
            return rename(self, target)
        if done:
            rename(self, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        table_of(folder, SEVEN, replace=True)
    assert Table(folder).rows == (1 if done else 16)
    assert not list(tmp_path.glob(".*.partial"))


def test_replacing_keeps_the_files_of_others(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    table = write_toy(folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "figures").mkdir()
    (folder / "figures" / "a.pdf").write_text("mine too")
    (folder / "scalars" / "own.npy").write_text("and this")
    (folder / "link").symlink_to("notes.txt")
    (folder / "masks.npz").write_text("of other rows")
    table_of(folder, SEVEN, replace=True)
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        *Table(folder).meta["files"],
        *("meta.json", "notes.txt", "figures/a.pdf", "scalars/own.npy", "link"),
    }
    assert (folder / "link").readlink() == Path("notes.txt")
    assert (folder / "figures" / "a.pdf").read_text() == "mine too"
    assert set(table.meta["files"]) > set(Table(folder).meta["files"])


def test_the_new_table_wins_over_a_file_in_its_place(tmp_path: Path) -> None:
    table_of(tmp_path / "toy", SEVEN)
    (tmp_path / "toy" / "flags").mkdir()
    (tmp_path / "toy" / "flags" / "odd.npy").write_text("not of the old table")
    write_toy(tmp_path / "toy", replace=True).verify()


def test_replacing_a_damaged_table_keeps_what_is_there_besides(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    write_toy(folder)
    (folder / "notes.txt").write_text("mine")
    for content in ("", "[]", "{}", '{"files": 5}', "[" * 100_000):
        (folder / "meta.json").write_text(content)
        write_toy(folder, replace=True).verify()
        assert (folder / "notes.txt").read_text() == "mine"
