"""Which processes are known to be dead."""

import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nasbench_ar.errors import EngineError
from nasbench_ar.system.process import OPEN_FILES, Process, machine, require_open_files
from tests.nasbench_ar.conftest import raising
from tests.open_files import open_files
from tests.processes import wait_for

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])


def test_a_living_process_is_not_dead() -> None:
    this = Process.this()
    assert (this.pid, this.machine) == (os.getpid(), machine())
    assert this.started
    assert not this.surely_dead()
    assert not replace(this, started=None).surely_dead()


def test_an_ended_process_is_dead_whether_or_not_its_parent_has_noticed() -> None:
    child = sleeper()
    process = Process(machine(), child.pid)
    assert not process.surely_dead()
    child.kill()
    wait_for(process.surely_dead, 10)
    assert process.surely_dead(), "killed, but still in the list of processes"
    child.wait()
    assert process.surely_dead()


def test_another_process_of_the_same_number_does_not_count() -> None:
    this = Process.this()
    assert this.started
    assert replace(this, started=this.started - 1).surely_dead()


def test_nothing_is_known_of_other_machines() -> None:
    child = sleeper()
    child.kill()
    child.wait()
    assert not Process("0" * 12, child.pid).surely_dead()


def test_a_machine_is_a_host_a_boot_and_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"host": "one", "boot": "two", "container": "three"}
    monkeypatch.setattr(socket, "gethostname", lambda: facts["host"])
    monkeypatch.setattr(Path, "read_text", lambda path, **_: facts["boot"] + "\n")
    monkeypatch.setattr(os, "readlink", lambda path: facts["container"])
    names = [machine.__wrapped__()]
    for key in facts:
        monkeypatch.setitem(facts, key, "other")
        names.append(machine.__wrapped__())
    assert len(set(names)) == 4
    assert all(re.fullmatch("[0-9a-f]{12}", name) for name in names)


def test_what_the_kernel_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    stat = "7 (a) b (c)) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21\n"
    monkeypatch.setattr(Path, "read_text", lambda path, **_: stat if str(path) == "/proc/7/stat" else "")
    monkeypatch.setattr(os, "kill", lambda pid, number: None if (pid, number) == (7, 0) else 1 / 0)
    assert not Process(machine(), 7, 4242).surely_dead()
    assert Process(machine(), 7, 4241).surely_dead()
    for state, dead in (("Z", True), ("X", True), ("S", False), ("D", False)):
        stat = f"7 (a) {state} " + " ".join(map(str, range(20)))
        assert Process(machine(), 7).surely_dead() is dead


def test_names_of_other_encodings_do_no_harm() -> None:
    name = (
        "import ctypes, sys; ctypes.CDLL(None).prctl(15, b'\\xff) Z (', 0, 0, 0); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert b"\xff" in Path(f"/proc/{child.pid}/stat").read_bytes()
        assert not Process(machine(), child.pid).surely_dead()
        child.kill()


def test_nothing_is_known_of_processes_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", raising(PermissionError()))
    assert not Process.this().surely_dead()


def test_nothing_is_known_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", raising(FileNotFoundError()))
    this = Process.this()
    assert this.started is None
    assert not this.surely_dead()


def test_few_open_files_are_refused_with_what_to_do() -> None:
    with open_files(OPEN_FILES - 1), pytest.raises(EngineError, match=r"only 63 files open here \(ulimit -n\), and a"):
        require_open_files()
    with open_files(OPEN_FILES):
        require_open_files()
        with pytest.raises(EngineError, match="9 workers needs up to 100: raise the limit, say with ulimit -n 1024"):
            require_open_files(100, "a command with 9 workers")
        with pytest.raises(EngineError, match="ulimit -n 5000$"):
            require_open_files(5000)
