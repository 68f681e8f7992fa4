"""What all fuzz tests share: how many cases, how to damage a file, what a reader must do with it.

    CONFIG = Reader("results: config.yaml", ResultsError)

    @pytest.fixture(scope="module")
    def files(tmp_path_factory):
        return Files(write_some_results(tmp_path_factory.mktemp("fuzz")), "config.yaml")

    @CONFIG.fuzz(change=byte_damage())
    def test_damaged_config(files, change):
        files.write({"config.yaml": change(files["config.yaml"])})
        CONFIG.check(lambda: RunStore(files.folder).read_config(), holds=is_a_config, names=files.folder)

A hundred cases of each reader, the same ones every time, are part of the normal
tests.  With `NASBENCH_AR_FUZZ_CASES=10000` there are so many, drawn anew each time;
a failure prints what repeats it, and `--hypothesis-seed` repeats a whole run.
`python -m benchmarks.fuzz` does that for all readers and tells how the cases ended.
"""

import functools
import gc
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from nasbench_ar import NasbenchError
from tests.fuzz_damage import ArrayDamage, Damages, array_damage, byte_damage, document_damage, odd_values, to_json

__all__ = ["ArrayDamage", "Damages", "array_damage", "byte_damage", "document_damage", "odd_values", "to_json"]

CASES_VARIABLE = "NASBENCH_AR_FUZZ_CASES"
CASES = 100  # of the normal run
LONGEST_SECONDS = 30.0  # one case; a machine that does other things too takes its time
MOST_MEMORY = 2**30  # what one case may ask for beyond what the process has
LONGEST_MESSAGE = 2000

T = TypeVar("T")


class CaseTooSlow(BaseException):
    """No `Exception`, so that no reader takes it for a damaged file."""


class Reader:
    """One thing that reads what may be damaged, and how it dealt with the cases so far.

    Args:
        name: for the report, `package: what is read`.
        errors: what it may raise, as documented.
        both: whether the cases must end both ways, refused and read; a test that sees one
            way only has damage that is too coarse, too fine, or beside the point.
        cases: of the normal run.
    """

    def __init__(self, name: str, *errors: type[NasbenchError], both: bool = True, cases: int = CASES) -> None:
        assert errors, "which errors does it document?"
        assert all(issubclass(error, NasbenchError) for error in errors), errors
        assert name not in READERS, f"two readers are called {name!r}"
        self.name = name
        self.errors = errors
        self.both = both
        self.cases = cases
        self.refused: Counter[str] = Counter()
        self.read = 0
        self.seconds = 0.0
        READERS[name] = self

    def __str__(self) -> str:
        total = self.read + self.refused.total()
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.refused.most_common())
        return f"{total:,} cases: {self.refused.total():,} refused ({kinds or 'none'}), {self.read:,} read"

    def fuzz(self, **strategies: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Make a test of it: `strategies` as for `hypothesis.given`, all other parameters are fixtures."""
        many = os.environ.get(CASES_VARIABLE)
        profile = settings(
            max_examples=int(many) if many else self.cases,
            derandomize=not many,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),  # not explain, which would trace every line of every case
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )

        def decorate(test: Callable[..., None]) -> Callable[..., None]:
            cases = profile(given(**strategies)(test))

            @functools.wraps(cases)
            def measured(*args: Any, **kwargs: Any) -> None:
                start = time.perf_counter()
                try:
                    with patch("os.fsync"):  # thousands of small files; no power cut is awaited
                        cases(*args, **kwargs)
                finally:
                    self.seconds += time.perf_counter() - start
                if self.both:
                    assert self.refused, f"{self.name} never refused anything: {self}"
                    assert self.read, f"{self.name} never read anything: {self}"

            return pytest.mark.fuzz(measured)

        return decorate

    def check(
        self,
        read: Callable[[], T],
        holds: Callable[[T], object] = lambda value: None,
        *,
        names: str | os.PathLike[str] = "",
    ) -> None:
        """One case: refused as documented, or read and sound.

        Args:
            read: gives it to the reader, and asks what a user would ask of the answer.
            holds: asserts what must be true of what was read, whatever the damage.
            names: what an error must name, such as the file.
        """
        try:
            with _memory_limit(), _time_limit():
                value = read()
        except self.errors as error:
            kind, said = type(error).__name__, str(error)
        else:
            holds(value)
            self.read += 1
            return
        assert said.strip(), f"{kind} without a message"
        assert len(said.splitlines()) == 1, f"more than one line: {said!r}"
        assert len(said) <= LONGEST_MESSAGE, f"{len(said)} characters: {said[:LONGEST_MESSAGE]!r}"
        assert str(names) in said, f"{said!r} does not name {str(names)!r}"
        self.refused[kind] += 1


READERS: dict[str, Reader] = {}


class Files:
    """Files of a folder that cases damage, one case after the other.

    Args:
        folder: that holds them, whole.
        names: theirs; `Files` writes none but these.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self._whole = {name: (folder / name).read_bytes() for name in names}
        self._damaged: set[str] = set()

    def __repr__(self) -> str:
        return f"Files({len(self._whole)} in {self.folder})"  # their content would fill the screen

    def __getitem__(self, name: str) -> bytes:
        """What a file holds when it is whole."""
        return self._whole[name]

    def write(self, changed: Mapping[str, bytes]) -> None:
        """Give some files other content; all others are whole again."""
        for name in self._damaged - changed.keys():
            (self.folder / name).write_bytes(self._whole[name])
        for name, content in changed.items():
            assert name in self._whole, name
            (self.folder / name).write_bytes(content)
        self._damaged = set(changed)


@contextmanager
def _time_limit() -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise CaseTooSlow(f"the case took more than {LONGEST_SECONDS:g} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _memory_limit() -> Iterator[None]:
    pages = Path("/proc/self/statm")
    if not pages.exists():
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    held = int(pages.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    limit = held + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    except MemoryError as error:
        gc.collect()
        raise AssertionError(f"a case asked for more than {MOST_MEMORY >> 20} MiB") from error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
