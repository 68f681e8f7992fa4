"""Hypothesis draws the same cases in every run, so that a change is to blame when a test fails.

With `NASBENCH_AR_FUZZ_CASES` set, as in the long runs of `benchmarks.fuzz`, they are drawn anew.
"""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.fuzzing import CASES_VARIABLE

settings.register_profile("repeatable", derandomize=CASES_VARIABLE not in os.environ, database=None, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """In this process nothing outlives a power cut; processes of their own wait as a user's do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it to what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
