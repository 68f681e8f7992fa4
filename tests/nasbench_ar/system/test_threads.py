"""Threads of linear algebra."""

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from nasbench_ar.system import threads
from tests.processes import python


def test_one_thread_inside_and_as_before_outside() -> None:
    def blas_threads() -> set[int]:
        return {found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}

    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(2):
        with threads.single_threaded():
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def test_libraries_that_are_loaded_later() -> None:
    """SciPy brings a BLAS of its own."""
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from threadpoolctl import threadpool_info\n"
        "from nasbench_ar.system.threads import single_threaded\n"
        "with single_threaded(): pass\n"
        "assert 'scipy.linalg' not in sys.modules\n"
        "import scipy.linalg\n"
        "used = lambda: {found['num_threads'] for found in threadpool_info()}\n"
        "assert used() == {2}, used()\n"
        "with single_threaded():\n"
        "    assert used() == {1}, used()\n"
    )
    done = python("-c", code, OPENBLAS_NUM_THREADS="2", OMP_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr
