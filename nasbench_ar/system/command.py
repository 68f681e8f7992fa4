"""How every command starts, prints and ends.

Exit codes: 0; 2 for what the user can mend, with one line on standard error; 130 when
interrupted, 143 when terminated, 141 when the reader of a pipe went away. A command may
add its own.

This module loads only small parts of Python's own library: it works from the first moment
of a command, before NumPy and the rest are there.
"""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TextIO

from nasbench_ar.errors import NasbenchError
from nasbench_ar.system.extras import missing_line
from nasbench_ar.version import __version__

PACKAGES = ("nasbench_ar", "searchers", "experiments", "datagen")
PLAIN = {
    "±": "+/-",
    "–": "-",
    "−": "-",
    "…": "...",
    "≈": "~",
    "†": "+",
    "²": "^2",
    "ρ": "rho",
    "τ": "tau",
    "Σ": "Sum",
}  # replaces signs that the terminal's encoding lacks
_ERRORS = "nasbench-ar"  # the name of their replacement among the error handlers of codecs
_ENDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, handled wherever Ctrl-C is handled."""


def begin() -> None:
    """Called when a package loads: from then on Ctrl-C ends a `python -m` command of this toolkit in one line."""
    if sys.argv[:1] != ["-m"]:  # which Python replaces once it has found the module
        return
    module = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
    if module.partition(".")[0] not in PACKAGES:
        return
    for number in _ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    _open_closed_streams()


def _leave(number: int, frame: FrameType | None) -> None:
    """Exits at once: an exception could be lost in an import, and no work is under way."""
    _say(_ENDS[signal.Signals(number)])
    os._exit(128 + number)


def carry_out(
    work: Callable[[list[str]], int | None], arguments: Sequence[str] | None = None, *, kept: str = ""
) -> int:
    """Run `work` on a command's words, or say the version; returns the exit code.

    `kept` tells a user who interrupts what stays.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _raising_signals():
            return _printed(work, words)
    except NasbenchError as error:
        return _failed(str(error))
    except ModuleNotFoundError as error:
        if (line := missing_line(_program(), error)) is None:
            raise
        return _failed(line)
    except KeyboardInterrupt as stop:
        return _interrupted(stop, kept)
    except BrokenPipeError:
        return 128 + 13  # SIGPIPE, which Windows does not know
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.filename is None:
            return _failed("the folder in which this command was started is gone; start it in another")
        reason = error.strerror or str(error)
        return _failed(reason if error.filename is None else f"{error.filename}: {reason}")
    except MemoryError as error:
        return _failed(f"memory ran out: {error}".rstrip(": "))
    except Exception as error:
        if (behind := _interrupt_behind(error)) is not None:
            return _interrupted(behind, kept)
        from nasbench_ar.system.tasks import own_traceback

        if (text := own_traceback(error)) is None:
            raise
        print(text, file=sys.stderr)
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            if not _writable(stream):  # or Python complains at exit of what is still buffered
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _interrupted(stop: KeyboardInterrupt, kept: str) -> int:
    number = signal.SIGTERM if isinstance(stop, TerminatedError) else signal.SIGINT
    _say(f"{_ENDS[number]}; {kept}" if kept else _ENDS[number])
    exec("")  # Python remembers an interrupt inside of exec() until the next, and would end by the signal itself
    return 128 + number


def _interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """An interrupt on which a library's clean-up failed, as matplotlib's does in the middle of a `.pdf`."""
    behind = error.__context__
    return behind if isinstance(behind, KeyboardInterrupt) or behind is None else _interrupt_behind(behind)


def run_command(
    work: Callable[[list[str]], int | str | None], arguments: Sequence[str] | None = None, *, kept: str = ""
) -> int:
    """`carry_out` for the `main` of a module: prints text it returns; `--help` prints `usage()` or the docstring."""

    def main(words: list[str]) -> int | None:
        if {"-h", "--help"} & set(words):
            usage = getattr(sys.modules[work.__module__], "usage", None)
            print(usage() if usage else docstring(work.__module__).strip())
            return None
        from nasbench_ar.system.process import require_open_files

        require_open_files()
        os.environ["MPLBACKEND"] = "Agg"  # pictures are files; another value may be none that matplotlib knows
        found = work(words)
        if isinstance(found, str):
            print(found)
            return None
        return found

    return carry_out(main, arguments, kept=kept)


def _say_version() -> int:
    print(f"nasbench-ar {__version__}")
    return 0


def _printed(work: Callable[[list[str]], int | None], words: list[str]) -> int:
    try:
        code = _say_version() if "--version" in words else work(words) or 0
    except SystemExit:  # of argparse, which has printed something
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return code


@contextmanager
def _raising_signals() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _terminate}
    handlers = {number: raises for number, raises in handlers.items() if signal.getsignal(number) is not signal.SIG_IGN}
    before = {number: signal.signal(number, raises) for number, raises in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise TerminatedError


def _program() -> str:
    """How the user has started this command."""
    spec = sys.modules["__main__"].__spec__
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else "this command"


def _failed(text: str) -> int:
    _say(f"error: {text}")
    return 2


def _say(text: str) -> None:
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _writable(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        return False
    return True


def _open_closed_streams() -> None:
    """A file opened later would take the place of a stream that was closed when Python started."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in lacking), error.end


codecs.register_error(_ERRORS, _substitute)


def docstring(of: str | type) -> str:
    """The docstring of a module (by name) or class; from the source under `python -OO`, which drops it."""
    found = sys.modules[of] if isinstance(of, str) else of
    if sys.flags.optimize < 2:
        return found.__doc__ or ""
    import ast
    import inspect
    import textwrap

    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(found)))
    except (OSError, TypeError):
        return "no help under python -OO where the source is missing"
    owner = tree if isinstance(of, str) else tree.body[0]
    return ast.get_docstring(owner, clean=False) or ""  # type: ignore[arg-type]
