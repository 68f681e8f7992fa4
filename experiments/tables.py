"""Numbers in words and tables: Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import math
import re
import textwrap
from collections.abc import Iterable, Sequence

from experiments.statistics.intervals import Spread
from experiments.statistics.significance import SIGNIFICANCE
from nasbench_ar import Oracle

PUBLISHED = "published_"  # prefix of the searchers as published
_PROPER_NAMES = {
    "random_search": "random search",
    "local_search": "local search",
    "regularized_evolution": "regularized evolution",
    "bananas": "BANANAS",
    "largest": "largest network",
    "gp": "Gaussian process",
    "nsga2": "NSGA-II",
    "optuna": "Optuna",
    "nevergrad": "Nevergrad",
    "botorch": "BoTorch",
    "baybe": "BayBE",
    "smac": "SMAC",
    "syne_tune": "Syne Tune",
    "random_full": "random search",
    "successive_halving": "successive halving",
    "hyperband": "Hyperband",
    "asha": "ASHA",
}
HEADING_CHARACTERS = 12  # of a line of a heading in LaTeX
SEARCHER_NAMES = (*_PROPER_NAMES, *(f"{PUBLISHED}{name}" for name in _PROPER_NAMES))  # of the toolkit
OTHERWISE = "†"
OF_OBJECTIVE = " (objective)"  # behind its label
MARKS = (
    "Bold: best mean; ≈: not significantly different from it (Wilcoxon signed-rank, paired by seed, Holm-adjusted, "
    f"p >= {SIGNIFICANCE}); ?: no seed in common with it. Where a searcher has values in fewer than half of its runs, "
    "nothing is compared."
)
_MINUS = re.compile(r"(?<![\w.])-(?=\d)")
_POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]\d+)(?!\w)")  # 6.68e+09
_DEVIATION = re.compile(
    r" \$\\pm\$ ((?:\d[\d.]*|\$\d\S*\$)(?: \[\d+\])?)"
)  # and the number of runs, of a cell in LaTeX
_LATEX = {character: f"\\{character}" for character in "%_&#${}"}
_LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {"±": r"$\pm$", "–": "--", "≈": r"$\approx$", "†": r"\textsuperscript{$\dagger$}", "×": r"$\times$"}
_LATEX |= {"<": "$<$", ">": "$>$", "≤": r"$\leq$", "≥": r"$\geq$", "|": r"\textbar{}", "\u00a0": "~"}


def csv_text(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A CSV file: numbers with 15 digits, empty where NaN or None.

    Text that spreadsheets would take for a formula, such as a name `=1+1`, gets an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(map(_csv_cell, line) for line in lines)
    return out.getvalue()


def number(value: float, digits: int = 2) -> str:
    """A number for people; a dash where there is none, three digits of what the decimals would not show."""
    if math.isnan(value):
        return "–"
    if 0 < abs(value) < 0.5 * 10**-digits:
        return f"{value:.3g}"
    return f"{value:.{digits}f}" if abs(value) < 1e5 else f"{value:.3e}"


def plus_minus(mean: float, std: float, digits: int = 2) -> str:
    return number(mean, digits) + ("" if math.isnan(std) else f" ± {number(std, digits)}")


def mean_text(spread: Spread, runs: int, more: str = "", digits: int = 2) -> str:
    """Mean and spread; in brackets the number of runs that have a value, if not all have."""
    return plus_minus(spread.mean, spread.std, digits) + more + (f" [{spread.known}]" if spread.known < runs else "")


def difference_text(difference: Spread, *, told: bool, unit: str) -> str:
    """Mean with its sign and interval, in bold where it is `told` from none; a dash where nothing is known.

    Per cents have two decimals; of other units the mean has as many digits as `number` gives it.
    """
    if not difference.known:
        return "–"
    ends = "" if math.isnan(difference.interval[0]) else f" ({interval(difference.interval, 2)})"
    mean = difference.mean
    sign = "+" if mean >= 0 else ""
    text = f"{mean:+.2f}{ends}" if unit == "%" else f"{sign}{number(mean)}{ends}"
    return f"**{text}**" if told else text


def share_text(share: float) -> str:
    """In brackets how often there is a value, if not always."""
    return f" [{100 * share:.1f} %]" if share < 0.9995 else ""


def interval(ends: tuple[float, float], digits: int = 3) -> str:
    return "–" if math.isnan(ends[0]) else f"{number(ends[0], digits)} to {number(ends[1], digits)}"


def marked(texts: Sequence[str], best: int | None, p_values: Sequence[float]) -> list[str]:
    """The cells of a row whose searchers are compared with the best one (`MARKS` is the legend)."""
    if best is None:
        return list(texts)
    marks = ["≈ " if p >= SIGNIFICANCE else "? " if math.isnan(p) else "" for p in p_values]
    return [f"**{text}**" if k == best else marks[k] + text for k, text in enumerate(texts)]


def as_markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, with aligned columns that read well as plain text too."""
    # At least 2, for the ruler's "-:".
    widths = [max(2, *(len(line[k]) for line in (header, *lines))) for k in range(len(header))]

    def joined(line: Sequence[str]) -> str:
        padded = [
            text.ljust(width) if k == 0 else text.rjust(width)
            for k, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    ruler = [("-" if k == 0 else "") + "-" * (w - 1) + ("" if k == 0 else ":") for k, w in enumerate(widths)]
    return "\n".join([joined(header), f"| {' | '.join(ruler)} |", *map(joined, lines)]) + "\n"


def as_latex(header: Sequence[str], lines: Sequence[Sequence[str]], caption: str, label: str) -> str:
    r"""A `booktabs` table for `\input`, no wider than the line; `label` follows `tab:`, `caption` is plain text.

    `**bold**` cells become `\textbf`, a searcher's name its proper name; cells that begin with two spaces are indented.
    Headings take several lines and deviations are small, so that the whole need not be scaled down much.
    """
    body: list[str] = []
    for k, line in enumerate(lines):
        if k and lines[k - 1][0].startswith("  ") and not line[0].startswith("  "):
            body.append(r"\addlinespace")
        body.append(" & ".join(map(_cell, line)) + r" \\")
    return "\n".join(
        [
            r"% needs \usepackage{booktabs,graphicx}; in two columns, table* gives it the width of the page",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex(caption)}}}",
            rf"\label{{tab:{re.sub('[^A-Za-z0-9]+', '-', label)}}}",
            r"\smallskip",
            r"\small",
            r"\setlength{\tabcolsep}{4pt}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{@{{}}l{'r' * (len(header) - 1)}@{{}}}}",
            r"\toprule",
            " & ".join(_heading(text, "r" if k else "l") for k, text in enumerate(header)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _latex(text: str) -> str:
    text = text.replace(">=", "≥").replace("<=", "≤")
    return "".join(_LATEX.get(character, character) for character in text)


def _csv_cell(cell: object) -> object:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float):
        return repr(float(f"{cell:.15g}"))
    if not (isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t"))):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _cell(text: str) -> str:
    if text.startswith("**") and text.endswith("**") and len(text) > 4:
        return rf"\textbf{{{_cell(text[2:-2])}}}"
    if text.startswith("  "):
        return rf"\quad {_cell(text[2:])}"
    out = _MINUS.sub("$-$", _latex(_with_proper_name(text)))
    out = out.replace(r"$\approx$ ", r"$\approx$\,")
    out = _POWER.sub(lambda found: rf"${found[1]}\times10^{{{int(found[2])}}}$", out)
    out = _DEVIATION.sub(r"{\\scriptsize\\,$\\pm$\\,\1}", out)
    # Otherwise LaTeX takes it for an argument of the line break before it.
    return f"{{}}{out}" if out.startswith(("[", "*")) else out


def _heading(text: str, side: str) -> str:
    lines = textwrap.wrap(_with_proper_name(text), HEADING_CHARACTERS, break_long_words=False)
    if len(lines) < 2:
        return _cell(text)
    stacked = r"\\".join(map(_cell, lines))
    return rf"\shortstack[{side}]{{{stacked}}}"


def _with_proper_name(text: str) -> str:
    return proper_name(text)[0].upper() + proper_name(text)[1:] if text in SEARCHER_NAMES else text


def proper_name(name: str) -> str:
    """What people call a searcher; a user's own is its name without underscores."""
    stem = name.removeprefix(PUBLISHED)
    if stem not in _PROPER_NAMES:
        return name.replace("_", " ")
    return _PROPER_NAMES[stem] + (" (published)" if name.startswith(PUBLISHED) else "")


def short_label(oracle: Oracle, name: str) -> str:
    return oracle.metric(name).label + (OTHERWISE if name in oracle.table.meta["differs"] else "")


def row_label(oracle: Oracle, name: str, objective: str) -> str:
    return short_label(oracle, name) + (OF_OBJECTIVE if name == objective else "")


def table_notes(oracle: Oracle, names: Iterable[str], lacking: Sequence[str]) -> list[str]:
    """Under a table of metrics: what its daggers mean, and which rows of the published one are not there."""
    daggers = definitions(oracle, names)
    absent = f"Not in this table: {', '.join(lacking)}" if lacking else ""
    return [f"{note}." for note in (daggers, absent) if note]


def definitions(oracle: Oracle, names: Iterable[str]) -> str:
    """What the daggers on these metrics mean, in one line; empty where there is none."""
    differs = oracle.table.meta["differs"]
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if name in differs:
            groups.setdefault(differs[name], []).append(oracle.metric(name).label)
    several = len(groups) > 1
    parts = [f"{', '.join(labels)}: {how}" if several else how for how, labels in groups.items()]
    return f"{OTHERWISE} measured otherwise than in the paper: {'; '.join(parts)}" if parts else ""


def objective_axis(oracle: Oracle, objective: str) -> str:
    """Axis label of an objective: name and unit, which for MACs are one."""
    label, unit = short_label(oracle, objective), oracle.metric(objective).unit
    return label + (f" ({unit})" if unit not in ("", label) else "")


def origin(oracle: Oracle, *metrics: str) -> str:
    """The foot of a figure: where the table's numbers come from, and which of these metrics it measures otherwise."""
    return "; ".join(filter(None, (f"table {oracle.name}: {oracle.title}", definitions(oracle, metrics))))
