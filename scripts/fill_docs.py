"""Fill the measured tables into README.md and docs/ from stored results.

    python -m experiments.table2 runs=400 table=nares-figures
    python -m experiments.table2 runs=400 variant=both published_bananas_runs=20 table=nares-figures
    python -m benchmarks.bananas_variants > benchmarks/results/bananas_variants.txt
    python -m benchmarks.bananas_predictors > benchmarks/results/bananas_predictors.txt
    python -m experiments.audit > benchmarks/results/audit.txt
    python -m experiments.fidelity table=digits-729
    python -m experiments.fidelity table=digits-729 workers=8 unit=gpu_days out=results/workers
    python scripts/fill_docs.py [results] [--only races|fidelity]

Whatever stands between `<!-- begin NAME -->` and `<!-- end NAME -->` is replaced, and
`docs/table2.png` and `docs/fidelity.png` are copied.
"""

import argparse
import shutil
from pathlib import Path

from experiments.fidelity import ranks
from experiments.fidelity.results import read_results
from experiments.noise import report
from nasbench_ar import load

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


def fill_races(results: Path) -> None:
    """README.md, docs/audit.md and docs/searchers.md."""
    folder = results / "nares-figures"
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
    shutil.copyfile(folder / "table2.png", ROOT / "docs/table2.png")


def fill_fidelity(results: Path) -> None:
    """docs/fidelity.md."""
    document = ROOT / "docs/fidelity.md"
    folder, workers = (start / "digits-729" / "fidelity" for start in (results, results / "workers"))
    runs = read_results(folder / "random_full")
    fill(document, "ranks", ranks.as_text(runs.oracle, runs.objective, ranks.ranks(runs.oracle, runs.objective)))
    fill(document, "comparison", (folder / "comparison.md").read_text())
    fill(document, "workers", (workers / "comparison.md").read_text())
    shutil.copyfile(workers / "comparison.png", ROOT / "docs/fidelity.png")


PARTS = {"races": fill_races, "fidelity": fill_fidelity}


def main() -> None:
    """Fill every block, or those of one part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="?", type=Path, default=ROOT / "results")
    parser.add_argument("--only", choices=PARTS)
    given = parser.parse_args()
    for name in [given.only] if given.only else PARTS:
        PARTS[name](given.results)


if __name__ == "__main__":
    main()
