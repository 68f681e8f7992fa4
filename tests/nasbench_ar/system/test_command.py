"""How commands start, print and end."""

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from nasbench_ar import NasbenchError, Session, errors
from nasbench_ar.system.command import TerminatedError, carry_out, docstring
from tests.nasbench_ar.conftest import raising
from tests.processes import ROOT, python

full_device = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")


def run(
    code: str, *options: str, before: str = "", shell: str = "", stdout: int = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A process that carries out `work`, which `code` defines, with redirections as a shell has them."""
    program = f"import sys\nfrom nasbench_ar.system.command import carry_out\n{code}\nsys.exit(carry_out(work))"
    call = ["sh", "-c", f'{before}\nexec "$@" {shell}', "sh", sys.executable, *options, "-c", program]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        call, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, timeout=60, check=False
    )


def test_the_work_gets_the_words_and_gives_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(sys, "argv", ["program", "from", "outside"])
    assert carry_out(seen.append) == 0
    assert carry_out(seen.append, ("given",)) == 0
    assert seen == [["from", "outside"], ["given"]]
    assert carry_out(lambda words: 3, []) == 3


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (NasbenchError("not so"), 2, "error: not so"),
        (NasbenchError("of two\nlines \x1b[2J and ± \udcff"), 2, "error: of two\\nlines \\x1b[2J and ± \\udcff"),
        (KeyboardInterrupt(), 130, "interrupted; all is kept\n"),
        (TerminatedError(), 143, "terminated; all is kept"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x\ny"), 2, r"error: x\ny: No such file or dire"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: No space left on device"),
        (FileNotFoundError(errno.ENOENT, "No such file"), 2, "error: the folder in which this command was"),
        (OSError("of other words"), 2, "error: of other words"),
        (MemoryError("Unable to allocate 8 PiB"), 2, "error: memory ran out: Unable to allocate 8 PiB"),
        (MemoryError(), 2, "error: memory ran out"),
    ],
)
def test_every_end_is_one_line(error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out(raising(error), [], kept="all is kept") == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == bool(line)
    if code == 130:
        assert carry_out(raising(error), []) == code
        assert capsys.readouterr().err == "interrupted\n", "nothing is promised where nothing is kept"


@pytest.mark.skipif(os.name != "posix", reason="no other system lets a working folder go")
def test_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("import os\ndef work(words): os.getcwd()", before="mkdir gone; cd gone; rmdir ../gone")
    assert done.returncode == 2
    assert done.stderr == "error: the folder in which this command was started is gone; start it in another\n"


def test_faults_of_the_program_stay_visible() -> None:
    with pytest.raises(ZeroDivisionError):
        carry_out(lambda words: 1 // 0, [])
    with pytest.raises(SystemExit):
        carry_out(raising(SystemExit(2)), [])


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (TerminatedError(), 143)])
def test_a_clean_up_that_fails_on_an_interrupt_hides_it_not(
    stop: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_: list[str]) -> int:
        try:
            raise stop
        finally:
            raise zlib.error("inconsistent stream state")

    assert carry_out(work, []) == code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_signals_raise_in_the_work_and_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        assert carry_out(lambda words, number=number: signal.raise_signal(number), []) == code
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_interrupt_inside_of_exec_ends_alike(tmp_path: Path) -> None:
    """As while a dataclass is made; Python itself looks at it only where it runs a module."""
    work = "lambda words: exec('raise KeyboardInterrupt')"
    (tmp_path / "one.py").write_text(
        f"import sys; from nasbench_ar.system import command; sys.exit(command.carry_out({work}))"
    )
    done = python("-m", "one", path=str(tmp_path))
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_signals_that_are_ignored_stay_ignored() -> None:
    """A shell starts what is to go on in the background so."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert carry_out(lambda words: signal.raise_signal(signal.SIGINT), []) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_cannot_have_signals() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(carry_out(lambda words: 0, [])))
    thread.start()
    thread.join()
    assert codes == [0]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_what_a_terminal_cannot_show_is_replaced(name: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
    monkeypatch.setattr(sys, name, stream)
    text = "38.1 ± 0.2 – 40, ≈ †, − …, R² ρ τ Σ, ☃ \udcff"
    assert carry_out(lambda words: print(text, file=getattr(sys, name)), []) == 0
    stream.flush()
    expected = {
        "ascii": "38.1 +/- 0.2 - 40, ~ +, - ..., R^2 rho tau Sum, \\u2603 \\udcff\n",
        "latin-1": "38.1 ± 0.2 - 40, ~ +, - ..., R² rho tau Sum, \\u2603 \\udcff\n",
        "cp1252": "38.1 ± 0.2 – 40, ~ †, - …, R² rho tau Sum, \\u2603 \\udcff\n",
        "utf-8": "38.1 ± 0.2 – 40, ≈ †, − …, R² ρ τ Σ, ☃ \\udcff\n",
    }
    assert raw.getvalue().decode(encoding) == expected[encoding]


@pytest.mark.parametrize("settings", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}])
def test_an_ascii_locale(settings: dict[str, str]) -> None:
    done = run("def work(words): print('1 \\u00b1 2')", PYTHONUTF8="0", **settings)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 +/- 2\n", "")


@full_device
@pytest.mark.parametrize(
    ("work", "options"),
    [("print('a')", ()), ("print('a')", ("-u",)), ("print('a' * 10**6)", ()), ("sys.exit(print('a'))", ())],
)
def test_a_full_disk_below_standard_output(work: str, options: tuple[str, ...]) -> None:
    done = run(f"def work(words): {work}", *options, shell="> /dev/full")
    assert (done.returncode, done.stderr) == (2, "error: No space left on device\n")


@full_device
def test_nothing_can_be_said(tmp_path: Path) -> None:
    done = run("def work(words): print('a', file=sys.stderr)", shell="2> /dev/full")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.mark.parametrize(("work", "options"), [("print('a')", ()), ("print('a')", ("-u",)), ("print('a' * 10**6)", ())])
def test_a_reader_that_goes_away(work: str, options: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = run(f"def work(words): {work}", *options, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_closed_streams_take_no_file_and_stop_nothing(tmp_path: Path) -> None:
    work = f"""
def work(words):
    with open({str(tmp_path / "file")!r}, "w") as stream:
        assert stream.fileno() > 2, "what other code writes to standard output would go there"
        print("a")
        print("b", file=sys.stderr)
        stream.write("c")
    assert sys.stdin.read() == ""
"""
    assert run(work, shell="<&- >&- 2>&-").returncode == 0
    assert (tmp_path / "file").read_text() == "c"


def test_help_without_docstrings() -> None:
    """`python -OO` drops them; a dataclass gets another one then."""
    code = """
from dataclasses import dataclass
from nasbench_ar import errors, session
from nasbench_ar.system.command import docstring
def work(words):
    assert errors.__doc__ is errors.NasbenchError.__doc__ is None
    print([docstring(of) for of in ("nasbench_ar.errors", errors.NasbenchError, session.Session)])
    print(docstring(dataclass(type("Here", (), {"__module__": "__main__"}))))
"""
    done = run(code, "-OO")
    expected = [errors.__doc__, errors.NasbenchError.__doc__, Session.__doc__]
    assert done.stderr == ""
    assert done.stdout == f"{expected}\nno help under python -OO where the source is missing\n"
    assert [docstring("nasbench_ar.errors"), docstring(errors.NasbenchError), docstring(Session)] == expected
