"""How the figures look: sizes for print, fonts of at least 7 points, and texts that are printed as they are."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from experiments.plots.looks import COLOURS as COLOURS
from nasbench_ar import ResultsError
from nasbench_ar.system.files import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PAGE = 6.8  # inches, both columns of a page
SMALLEST_FONT = 7
MUTED = "0.35"
LAYOUT: Literal["constrained"] | None = "constrained"  # most of the time that a figure takes

# Names and titles are the user's: nothing in them is a formula, whatever the user's own settings are.
PLAIN: dict[Any, Any] = {
    "text.usetex": False,
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "text.hinting": "no_hinting",  # texts as wide at any number of dots per inch, so that they fit
    "pdf.fonttype": 42,  # real fonts, which publishers ask for
}
_RC: dict[Any, Any] = PLAIN | {
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "xtick.labelsize": SMALLEST_FONT,
    "ytick.labelsize": SMALLEST_FONT,
    "legend.fontsize": SMALLEST_FONT,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.dpi": 200,  # of the layout: near enough to print for texts to fit
    "savefig.dpi": 300,
}


@contextmanager
def with_settings(settings: dict[Any, Any]) -> Iterator[None]:
    """For what is drawn and saved inside; global settings stay as they are.  Also a decorator."""
    import matplotlib as mpl

    with mpl.rc_context(settings):
        yield


plain_text, print_style = partial(with_settings, PLAIN), partial(with_settings, _RC)


def canvas(width: float, height: float) -> Figure:
    """An empty figure, in inches, that is not registered with pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=LAYOUT)


def panels(rows: int, columns: int, *, width: float, height: float, **keywords: Any) -> tuple[Figure, Any]:
    """A figure and its (rows, columns) axes with a light grid."""
    figure = canvas(width, height)
    axes = figure.subplots(rows, columns, squeeze=False, **keywords)
    for ax in axes.flat:
        ax.grid(True)
    return figure, axes


def footnote(figure: Figure, note: str, most: int = 4) -> None:
    if not note:  # an empty text would take room all the same
        return
    characters = int(figure.get_size_inches()[0] * 72 / (0.56 * SMALLEST_FONT))
    lines = textwrap.wrap(note, characters, max_lines=most, placeholder=" …")
    figure.supxlabel("\n".join(lines), fontsize=SMALLEST_FONT, color=MUTED)


def level_colours(count: int) -> list[Any]:
    """Colours of ordered levels, dark to light, told apart with any colour vision."""
    import matplotlib as mpl

    return list(mpl.colormaps["viridis"](np.linspace(0.0, 0.9, count)))


def scaled(values: NDArray[np.float64], unit: str) -> tuple[float, str]:
    """Divisor that makes an axis of costs read well, and its label, such as `MACs (millions)`."""
    top = float(np.nanmax(values))
    for factor, word in ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands")):
        if top >= factor:
            return factor, f"{unit} ({word})"
    return 1.0, unit


def dots(count: int) -> dict[str, Any]:
    size, alpha = (1.0, 0.35) if count > 2000 else (3.0, 0.5) if count > 300 else (8.0, 0.7)
    return {"s": size, "alpha": alpha, "linewidths": 0, "rasterized": True, "color": COLOURS[0]}


def tidy(axes: Axes, grid: str = "0.9", linewidth: float = 0.8) -> None:
    axes.grid(color=grid, linewidth=linewidth)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def letter(ax: Axes, text: str) -> None:
    ax.set_title(text, loc="left")


NO_DATES = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}  # equal pictures, equal files


def save_figure(axes: Axes, path: Path, *, note: str) -> None:
    """Write the picture of some axes, as `save_drawing`."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    save_drawing(figure, path, note=note)


def save_drawing(figure: Figure, path: Path, *, note: str) -> None:
    """Write a picture with a note at its foot, if there is one; beside a `.png` of 200 dots per inch, a `.pdf`."""
    with plain_text():
        footnote(figure, note, most=8)
    write_figure(figure, path)
    if path.suffix.lower() == ".png":
        figure.set_layout_engine(None)  # laid out once; the engine "none" would draw once more
        write_figure(figure, path.with_suffix(".pdf"))


@plain_text()
def write_figure(figure: Figure, path: Path, *, dpi: int = 200) -> None:
    """Write a drawing as `.png`, `.pdf` or `.svg`, atomically; equal drawings make equal files."""
    buffer = io.BytesIO()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in NO_DATES:
        raise ResultsError(f"cannot write {str(path)!r}: a picture's name ends in .png, .pdf or .svg")
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=NO_DATES[kind])
    write_file(path, buffer.getvalue())
