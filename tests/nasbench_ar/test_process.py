"""Which processes are known to be dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from nasbench_ar.process import Process, machine

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
    until = time.monotonic() + 10
    while not process.surely_dead() and time.monotonic() < until:
        time.sleep(0.01)
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
