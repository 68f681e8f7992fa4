"""One thread for linear algebra: runs share a machine, and rounding must not depend on its cores."""

from __future__ import annotations

import functools
import sys
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController


@functools.lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:
    """Cached by the number of loaded modules: finding their native libraries takes longer than a small fit."""
    return ThreadpoolController()


def single_threaded() -> AbstractContextManager[object]:
    """One thread for BLAS and OpenMP in this process; only the next call limits libraries loaded inside."""
    return _controller(len(sys.modules)).limit(limits=1)
