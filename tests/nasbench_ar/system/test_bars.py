"""Bars in a terminal, a line now and then elsewhere."""

import sys

import pytest

from nasbench_ar.system import bars


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    out = Clock()
    monkeypatch.setattr(bars, "time", out)
    return out


def test_a_log_gets_a_line_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with bars.bar(total=1000, unit="run", desc="LocalSearch") as progress:
        for _ in range(1000):
            clock.now += 0.125
            progress.update()
        assert progress.n == 1000
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5, "after 30, 60, 90 and 120 seconds, and at the end"
    assert lines[0].startswith("LocalSearch: 240/1000 run [00:30<01:35")
    assert lines[-1].startswith("LocalSearch: 1000/1000 run [02:05<00:00")


def test_a_short_one_says_its_end_only(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with bars.bar(total=2_000_000, unit="B", desc="importing", unit_scale=True) as progress:
        for _ in range(20):
            progress.update(100_000)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("importing: 2.00M/2.00M B [")


def test_what_is_stopped_says_how_far_it_came(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with bars.bar(total=9, unit="run", desc="x") as progress:
            progress.update(4)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert capsys.readouterr().err.startswith("x: 4/9 run [")


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with bars.bar(total=3, unit="run", desc="x") as progress:
        progress.update(3)
    written = capsys.readouterr().err
    assert written.startswith("\rx:")
    assert "3/3" in written


@pytest.mark.parametrize("terminal", [True, False])
def test_a_hidden_one_is_silent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with bars.bar(total=3, unit="run", desc="x", hidden=True) as progress:
        progress.update(3)
    assert capsys.readouterr().err == ""
