"""The product of choices by hand: numbering, encodings, and how large it may be."""

import re

import numpy as np
import pytest

from nasbench_ar import SpaceError
from nasbench_ar.grid import Grid

SMALL = Grid((1, 3), (2, 5, 6), stages=2)  # entries D1, W1, D2, W2


def test_numbering() -> None:
    assert SMALL.dimensions == 4
    assert SMALL.product_size == 36
    assert SMALL.entry_names == ("D1", "W1", "D2", "W2")
    assert [SMALL.choices(k) for k in range(4)] == [(1, 3), (2, 5, 6), (1, 3), (2, 5, 6)]
    every = SMALL.vectors(indices=np.arange(36)).tolist()
    assert every == [[a, b, c, d] for a in (1, 3) for b in (2, 5, 6) for c in (1, 3) for d in (2, 5, 6)]
    assert [SMALL._unchecked(k) for k in range(36)] == [tuple(vector) for vector in every]
    digits = SMALL.digits(indices=np.array([0, 1, 3, 6, 18, 35])).tolist()
    assert digits == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 2, 1, 2]]


def test_encodings() -> None:
    indices = np.array([0, 22, 35])  # 1-2-1-2, 3-2-3-5, 3-6-3-6
    assert SMALL.ordinal(indices=indices).dtype == SMALL.one_hot(indices=indices).dtype == np.float32
    assert SMALL.ordinal(indices=indices).tolist() == [[0, 0, 0, 0], [1, 0, 1, 0.5], [1, 1, 1, 1]]
    assert SMALL.one_hot(indices=indices).tolist() == [
        [1, 0, 1, 0, 0, 1, 0, 1, 0, 0],
        [0, 1, 1, 0, 0, 0, 1, 0, 1, 0],
        [0, 1, 0, 0, 1, 0, 1, 0, 0, 1],
    ]
    assert Grid((4,), (8, 9), 1).ordinal(indices=np.array([0, 1])).tolist() == [[0, 0], [0, 1]]


def test_the_largest_space() -> None:
    assert Grid((1, 2), (1,), stages=30).product_size == 2**30
    assert Grid(tuple(range(1, 2**15)), tuple(range(1, 2**16 + 1)), 1).product_size == 2**31 - 2**16
    for depths, widths, stages, shown in [
        ((1,), (1,), 31, "1^31"),
        (tuple(range(1, 2**15 + 1)), tuple(range(1, 2**16 + 1)), 1, "2147483648^1"),
        ((1, 2), (1, 2, 3), 10**9, "6^1000000000"),
    ]:
        message = f"a space of {shown} architectures is too large; at most 2147483647 in 30 stages can be indexed"
        with pytest.raises(SpaceError, match=re.escape(message)):
            Grid(depths, widths, stages)
