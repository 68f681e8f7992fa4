"""Threads of linear algebra."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_info

from searchers import threads


def test_one_thread_inside_and_as_before_outside() -> None:
    def blas_threads() -> set[int]:
        return {found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}

    np.ones((2, 2)) @ np.ones((2, 2))
    before = blas_threads()
    with threads.single_threaded():
        assert blas_threads() == {1}
    assert blas_threads() == before
