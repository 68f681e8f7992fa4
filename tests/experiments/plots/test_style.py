"""Texts fit at any resolution, and axes have units that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from experiments.analysis.figure import Numbers, in_print_style
from experiments.plots.style import PAGE, panels, plain_text, scaled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

pytestmark = pytest.mark.usefixtures("real_pictures")


@in_print_style
def draw(numbers: Numbers) -> Figure:
    figure, axes = panels(1, 1, width=PAGE, height=2.0)
    axes[0, 0].set_yticks([0, 1], ["Test PGD-CW40 stable", "$x^$ Test PGD20 lip, in the very long words of a user"])
    return figure


@pytest.mark.parametrize("dpi", [72, 100, 110, 192])
def test_no_label_is_cut_at_any_resolution(dpi: int) -> None:
    figure = draw(Numbers({"": pd.DataFrame()}, (), "made up"))
    figure.set_dpi(dpi)
    with plain_text():
        figure.draw_without_rendering()
        labels = figure.axes[0].get_yticklabels()
        assert min(text.get_window_extent().x0 for text in labels) >= 0.02 * dpi


@pytest.mark.parametrize(
    ("top", "factor", "label"),
    [
        (36e9, 1e9, "MACs (billions)"),
        (4.2e6, 1e6, "MACs (millions)"),
        (5e5, 1e3, "MACs (thousands)"),
        (12.0, 1.0, "MACs"),
    ],
)
def test_costs_have_units_that_fit(top: float, factor: float, label: str) -> None:
    assert scaled(np.array([1.0, np.nan, top]), "MACs") == (factor, label)
