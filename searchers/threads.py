"""One thread for linear algebra: runs share a machine, and rounding must not depend on its cores."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def single_threaded() -> AbstractContextManager[object]:
    """A context in which BLAS and OpenMP use one thread in this process."""
    return _controller().limit(limits=1)
