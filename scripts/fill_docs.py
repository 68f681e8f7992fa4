"""Fill the measured tables into README.md and docs/ from stored results.

    python -m experiments.table2 runs=400 table=nares-figures
    python -m experiments.table2 runs=400 variant=both published_bananas_runs=20 table=nares-figures
    python -m benchmarks.bananas_variants > benchmarks/results/bananas_variants.txt
    python -m benchmarks.bananas_predictors > benchmarks/results/bananas_predictors.txt
    python -m experiments.audit > benchmarks/results/audit.txt
    python scripts/fill_docs.py [results]
    python scripts/fill_docs.py --findings      # docs/findings.md and the pictures of docs/analysis.md alone

Whatever stands between `<!-- begin NAME -->` and `<!-- end NAME -->` is replaced, and
`docs/table2.png` is copied; the comparison of the four searchers is made anew, with
`docs/compare.png`; the pictures of docs/analysis.md are drawn.
"""

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image

from experiments import compare_figures, compare_text, plot
from experiments.analysis.table_data import TableData
from experiments.analyze import FIGURES
from experiments.compare import compare
from experiments.findings import FINDINGS, finding, samples
from experiments.noise import report
from nasbench_ar import load
from searchers import SEARCHERS

ROOT = Path(__file__).resolve().parent.parent


def fill(document: Path, name: str, text: str) -> None:
    """Replace one marked block."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    content = document.read_text(encoding="utf-8")
    head, mark, rest = content.partition(begin)
    _, other_mark, tail = rest.partition(end)
    if not mark or not other_mark:
        raise SystemExit(f"{document} has no block {name}")
    document.write_text(f"{head}{begin}\n\n{text.strip()}\n\n{end}{tail}", encoding="utf-8")
    print(f"{document.relative_to(ROOT)}: {name}")


def tables(text: str) -> str:
    """The Markdown tables of a report, without the text around them."""
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


def fill_findings() -> None:
    """The numbers of docs/findings.md."""
    data = samples(load("nares-figures", quiet=True))
    for name in FINDINGS:
        fill(ROOT / "docs/findings.md", name, finding(name, data))


def draw_analyses() -> None:
    """The pictures of docs/analysis.md, in few colours, so that they stay small."""
    data = TableData.of(load("nares-figures", quiet=True))
    for name in ("2", "7", "anova", "landscape"):
        figure = FIGURES[name]
        buffer = io.BytesIO()
        figure.draw(figure.numbers(data)).savefig(buffer, format="png", dpi=110)
        picture = Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)
        picture.save(ROOT / f"docs/analysis-{figure.stem}.png", optimize=True)


def main() -> None:
    """Fill every block."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="?", type=Path, default=ROOT / "results")
    parser.add_argument("--findings", action="store_true", help="only findings and analyses, which need no results")
    given = parser.parse_args()
    fill_findings()
    draw_analyses()
    if given.findings:
        return
    folder = given.results / "nares-figures"
    measured = ROOT / "benchmarks" / "results"
    fill(ROOT / "README.md", "table2", tables((folder / "table2.md").read_text()))
    both = (folder / "table2-both.md").read_text()
    both = both[both.index("Runs, corrected") :].partition("What the validation noise does")[0]
    fill(ROOT / "docs/audit.md", "both", both)
    facts = (measured / "audit.txt").read_text()
    fill(ROOT / "docs/audit.md", "ensembles", facts[facts.index("Predictors of BANANAS") :])
    noise = report(load("nares-figures", quiet=True), "val_best_pgd_acc")
    fill(ROOT / "docs/audit.md", "noise", noise[noise.index("Optimum") :])
    for name in ("variants", "predictors"):
        text = (measured / f"bananas_{name}.txt").read_text()
        fill(ROOT / "docs/searchers.md", name, tables(text))
    comparison = compare([folder / searcher for searcher in SEARCHERS])
    fill(ROOT / "docs/experiments.md", "compare", compare_text.as_text(comparison).partition("Regret: distance")[0])
    figure = compare_figures.draw_anytime(comparison)
    plot.save_figure(figure.axes[0], ROOT / "docs/compare.png", note=compare_figures.note(comparison))
    shutil.copyfile(folder / "table2.png", ROOT / "docs/table2.png")


if __name__ == "__main__":
    main()
