"""One thread for linear algebra: runs share a machine, and rounding must not depend on its cores."""

from __future__ import annotations

import functools
import sys
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController


@functools.lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:
    """Knows the native libraries that came with so many modules; to look for them takes longer than a small fit."""
    return ThreadpoolController()


def single_threaded() -> AbstractContextManager[object]:
    """A context in which BLAS and OpenMP use one thread in this process.

    Libraries that are loaded inside of it are limited by the next one only.
    """
    return _controller(len(sys.modules)).limit(limits=1)
