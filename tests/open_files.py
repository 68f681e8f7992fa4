"""A process that may open few files only, as after `ulimit -n`."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def open_files(most: int) -> Iterator[None]:
    """Lower the limit for the length of a block; skips where there is none."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
