"""The closed forms against an independent count, layer by layer, in plain Python integers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_ar import NARES, WRN_34_10, WRN_70_16, Architecture, SearchSpace

OFFICIAL = Path(__file__).parents[1] / "data" / "official_costs.npz"


class Counter:
    """Walks through a network as a forward pass would."""

    def __init__(self, side: int, channels: int) -> None:
        self.side, self.channels = side, channels
        self.params = self.macs = 0

    def conv(self, out: int, kernel: int, stride: int) -> None:
        weights = kernel * kernel * self.channels * out
        self.side = (self.side + 2 * (kernel // 2) - kernel) // stride + 1
        self.params += weights
        self.macs += weights * self.side * self.side
        self.channels = out

    def batch_norm(self) -> None:
        self.params += 2 * self.channels
        self.macs += self.channels * self.side * self.side

    def block(self, out: int, stride: int) -> None:
        came_in = (self.side, self.channels)
        self.batch_norm()
        self.conv(out, 3, stride)
        self.batch_norm()
        self.conv(out, 3, 1)
        if stride != 1 or came_in[1] != out:
            went_out = (self.side, self.channels)
            self.side, self.channels = came_in
            self.conv(out, 1, stride)
            assert (self.side, self.channels) == went_out


def count(space: SearchSpace, architecture: Architecture) -> tuple[int, int]:
    net = Counter(space.image_size, space.image_channels)
    net.conv(space.unit_channels, 3, 1)
    for stage, (depth, width) in enumerate(zip(architecture.depths, architecture.widths, strict=True)):
        for block in range(depth):
            net.block(space.unit_channels * 2**stage * width, 2 if stage and not block else 1)
    net.batch_norm()
    pooled = net.channels
    net.macs += pooled + pooled * space.classes
    net.params += pooled * space.classes + space.classes
    return net.params, net.macs


choices = st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True).map(sorted).map(tuple)


@given(choices, choices, st.integers(1, 3), st.integers(1, 9), st.sampled_from([4, 7, 32]), st.sampled_from([1, 3]))
@settings(max_examples=40, deadline=None)
def test_random_spaces(depths, widths, stages, unit, side, image_channels) -> None:  # type: ignore[no-untyped-def]
    space = SearchSpace(depths, widths, stages, unit, side, image_channels, classes=7)
    for index in {0, space.product_size // 2, space.product_size - 1}:
        architecture = space.from_index(index)
        assert (space.params(architecture), space.macs(architecture)) == count(space, architecture)


@pytest.mark.parametrize(
    ("vector", "params", "macs"),
    [
        ((4, 8, 4, 8, 4, 8), 23_354_842, 3_361_936_896),
        ((4, 8, 4, 8, 4, 10), None, 3_977_517_952),
        ((4, 8, 4, 8, 4, 12), None, 4_725_219_584),
        ((4, 8, 4, 8, 4, 14), None, 5_605_041_792),
        (WRN_34_10, 46_160_474, None),
        (WRN_70_16, 266_796_506, 38_774_320_128),
    ],
)
def test_published_numbers(vector: tuple[int, ...], params: int | None, macs: int | None) -> None:
    counted = count(NARES, Architecture(*vector))
    assert (NARES.params(vector), NARES.macs(vector)) == counted
    assert params in (None, counted[0])
    assert macs in (None, counted[1])


def test_all_published_rows_to_the_last_digit_in_the_official_order() -> None:
    with np.load(OFFICIAL) as pack:
        vectors, macs, params = pack["vectors"], pack["macs"], pack["params"]
    order = NARES.arch_id_order
    assert len(order) == 15625
    np.testing.assert_array_equal(NARES.vectors(indices=order), vectors)
    np.testing.assert_array_equal(NARES.macs_many(indices=order), macs)
    np.testing.assert_array_equal(NARES.params_many(indices=order), params)
    assert (np.diff(macs) >= 0).all()
    assert (np.diff(macs) == 0).sum() == 172
    tied = np.flatnonzero(np.diff(macs) == 0)
    assert (np.diff(tied) > 1).all()  # pairs, never three
    for first in tied.tolist():  # their order follows no rule, so both are asked by name
        for arch_id in (first + 1, first + 2):
            assert NARES.arch_id(vectors[arch_id - 1].tolist()) == arch_id
            assert NARES.from_arch_id(arch_id) == tuple(vectors[arch_id - 1].tolist())
