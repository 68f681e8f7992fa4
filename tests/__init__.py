"""Numerical libraries compute on one thread, here and in what tests start: two processes share the files."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before any of them is loaded
