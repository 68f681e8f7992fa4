"""Fill the measured tables into README.md and docs/ from stored results.

    python -m experiments.table2 runs=400 table=nares-figures
    python -m experiments.table2 runs=400 variant=both published_bananas_runs=20 table=nares-figures
    python -m benchmarks.bananas_variants > benchmarks/results/bananas_variants.txt
    python -m benchmarks.bananas_predictors > benchmarks/results/bananas_predictors.txt
    python -m experiments.audit > benchmarks/results/audit.txt
    python -m benchmarks.other_libraries > benchmarks/results/other_libraries.txt
    python -m experiments.run searcher=nsga2 objective=val_best_pgd_acc,macs runs=100
    python -m experiments.run searcher=random_search objective=val_best_pgd_acc,macs runs=100
    python -m experiments.run searcher=bananas noise=run name=bananas-noisy runs=100
    python -m experiments.run searcher=regularized_evolution noise=run name=regularized_evolution-noisy runs=100
    python -m experiments.run searcher=random_search noise=run name=random_search-noisy runs=100
    python -m experiments.proxy searcher=regularized_evolution runs=50
    python -m experiments.track name=all
    python -m experiments.suite use=tuning runs=25
    python -m experiments.suite use=report runs=25
    python -m experiments.table2 runs=400 table=digits-729 queries=200 out=results/overtuning
    python -m benchmarks.overtuning_blur > benchmarks/results/overtuning_blur.txt
    python -m benchmarks.posterior > benchmarks/results/posterior.txt
    python -m benchmarks.posterior_races > benchmarks/results/posterior_races.txt
    python -m experiments.fidelity table=digits-729
    python -m experiments.fidelity table=digits-729 workers=8 unit=gpu_days out=results/workers
    python scripts/fill_docs.py [results] [--only PART]

PART is races, tracks, overtuning, suite, glossary, published, analyses, carries-over, posterior, transfer,
objectives, fidelity or protocol.
Whatever stands between `<!-- begin NAME -->` and `<!-- end NAME -->` is replaced, and the
pictures in `docs/` are copied or drawn; those from the analyses to transfer and the protocol need no results.
"""

import argparse
import csv
import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from PIL import Image

from experiments import baselines, transfer
from experiments.analysis import external, posterior, scaling_law, transfer_report
from experiments.analysis.catalogue import FIGURES
from experiments.analysis.figure import Figure, Numbers
from experiments.analysis.measured import Measured
from experiments.analysis.resampling import report
from experiments.analysis.table_data import TableData, flagged
from experiments.fidelity import ranks
from experiments.findings import FINDINGS, finding, samples
from experiments.plots import comparison as pictures
from experiments.plots.overtuning import draw_overtuning
from experiments.plots.style import print_style, save_figure
from experiments.races.suite import USES
from experiments.results import comparison_text, overtuning, overtuning_text
from experiments.results.comparison import compare
from experiments.results.traces import read_results
from experiments.statistics.intervals import mean_interval
from experiments.tables import as_markdown, origin
from nasbench_ar import METRICS, load
from searchers import BASELINES, SEARCHERS

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


def fill_analyses(_results: Path) -> None:
    """The numbers of docs/findings.md, and the pictures of docs/analysis.md in few colours, so that they stay small."""
    oracle = load("nares-figures", quiet=True)
    both = samples(oracle)
    for name in FINDINGS:
        fill(ROOT / "docs/findings.md", name, finding(name, both))
    data = TableData.of(oracle)
    for name in ("2", "7", "anova", "landscape"):
        save_small(FIGURES[name], FIGURES[name].numbers(data))


def save_small(figure: Figure, numbers: Numbers) -> None:
    """docs/analysis-NAME.png."""
    save_in_few_colours(lambda: figure.draw(numbers), f"analysis-{figure.stem}")


def save_png(axes: Axes, path: Path, note: str) -> None:
    save_figure(axes, path, note=note)
    path.with_suffix(".pdf").unlink()


def save_in_few_colours(draw: Callable[[], Drawing], name: str) -> None:
    buffer = io.BytesIO()
    with print_style():
        draw().savefig(buffer, format="png", dpi=110)
    picture = Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    picture.save(ROOT / f"docs/{name}.png", optimize=True)


def fill_carries_over(_results: Path) -> None:
    """docs/carries-over.md."""
    data = TableData.of(load("nares-figures", quiet=True))
    document = ROOT / "docs/carries-over.md"
    numbers = external.numbers(data)
    fill(document, "external", external.as_text(numbers))
    save_small(external.FIGURE, numbers)
    numbers = scaling_law.numbers(data)
    for name, text in scaling_law.as_texts(numbers).items():
        fill(document, name, text)
    save_small(scaling_law.FIGURE, numbers)


def fill_posterior(_results: Path) -> None:
    """docs/posterior.md."""
    document = ROOT / "docs/posterior.md"
    for name in ("nares-figures", "digits-729"):
        oracle = load(name, quiet=True)
        measured = Measured.of(oracle, oracle.table.default_objective, flagged(oracle))
        lines = posterior.study(measured, posterior.settings(measured))
        fill(document, f"posterior-{name}", posterior.tables(measured, lines))
        if name == "nares-figures":
            save_in_few_colours(partial(posterior.draw, measured, lines), "posterior")
    coverage, blur = (ROOT / "benchmarks/results/posterior.txt").read_text().split("digits-729:")
    fill(document, "posterior-coverage", tables(coverage))
    fill(document, "posterior-blur", tables(blur))
    fill(document, "posterior-races", tables((ROOT / "benchmarks/results/posterior_races.txt").read_text()))


def fill_transfer(_results: Path) -> None:
    """docs/transfer.md: what 64 designed and 64 random trainings by TRADES say, judged by 40 others."""
    document, lists = ROOT / "docs/transfer.md", ROOT / "examples/transfer"
    lines: dict[str, list[str]] = {}
    target = str(lists / "digits-729-trades")
    for name in ("designed", "random"):
        found = transfer.predicted("digits-729", target, archs=f"{lists}/{name}.txt", judges=f"{lists}/judges.txt")
        for way in found.ways:
            for which in (found.trained, found.judges):
                error, inside = way.quality(found.target, which)
                lines.setdefault(way.name, [way.name]).append(f"{error:.2f} ({100 * inside:.0f})")
    header = ["Predicted by", "designed: folds", "designed: judges", "random: folds", "random: judges"]
    fill(document, "transfer-designs", as_markdown(header, list(lines.values())))
    every = transfer.predicted("digits-729", target)
    fill(document, "transfer-all", transfer_report.tables(every))
    save_in_few_colours(partial(transfer_report.draw, every), "transfer")
    repeated, coverage = (ROOT / "benchmarks/results/transfer_designs.txt").read_text().split("Made targets")
    fill(document, "transfer-repeated", tables(repeated))
    fill(document, "transfer-coverage", tables(coverage))


def fronts_table(folder: Path) -> str:
    """Hypervolume and share of the front, a searcher a line."""
    lines = []
    for name in ("random_search", "nsga2"):
        rows = csv.DictReader((folder / name / "summary.csv").read_text().splitlines())
        by_measure = {row["measure"]: row for row in rows}
        cells = [f"{float(by_measure[m]['mean']):.3f} ± {float(by_measure[m]['std']):.3f}" for m in by_measure]
        lines.append([name, by_measure["hypervolume"]["runs"], *cells])
    return as_markdown(("searcher", "runs", "hypervolume", "exact front found", "size of the front"), lines)


def noisy_table(folder: Path) -> str:
    """Regret of what was reported: searched without and with noise, and as the searcher believed."""
    best = load("nares-figures", quiet=True).optimum("val_best_pgd_acc")[1]
    lines = []
    for name in ("random_search", "regularized_evolution", "bananas"):
        with np.load(folder / f"{name}-noisy" / "trajectories.npz") as noisy:
            true, seen = noisy["true_incumbent"][:, -1], noisy["observed_incumbent"][:, -1]
        cells = []
        for values in (true, seen):
            low, high = mean_interval(best - values)
            cells.append(f"{(best - values).mean():.2f} ({low:.2f} to {high:.2f})")
        lines.append([name, str(len(true)), *cells])
    return as_markdown(("searcher", "runs", "regret, true value", "regret, as observed"), lines)


def fill_objectives(results: Path) -> None:
    """The blocks and pictures of docs/objectives.md and docs/other-libraries.md."""
    folder = results / "nares-figures"
    document = ROOT / "docs/objectives.md"
    several = folder / "val_best_pgd_acc+macs"
    fill(document, "fronts", fronts_table(several))
    fill(document, "noisy", noisy_table(folder))
    proxy = folder / "proxy/regularized_evolution"
    fill(document, "proxy", tables((proxy / "matrix.md").read_text()))
    shutil.copyfile(several / "nsga2/front.png", ROOT / "docs/front.png")
    shutil.copyfile(proxy / "matrix.png", ROOT / "docs/proxy.png")
    text = (ROOT / "benchmarks/results/other_libraries.txt").read_text()
    fill(ROOT / "docs/other-libraries.md", "other-libraries", tables(text))


def fill_races(results: Path) -> None:
    """README.md, baselines in docs/audit.md, docs/searchers.md, and the comparison in docs/experiments.md."""
    folder = results / "nares-figures"
    measured = ROOT / "benchmarks" / "results"
    searchers, mark, choices = (folder / "table2.md").read_text().partition("| What runs end with")
    fill(ROOT / "README.md", "table2", tables(searchers))
    fill(ROOT / "docs/audit.md", "recommendation", tables(mark + choices))
    oracle = load("nares-figures", quiet=True)
    fill(
        ROOT / "docs/audit.md",
        "baselines",
        tables(baselines.as_text(baselines.of(oracle, "val_best_pgd_acc"), oracle, "val_best_pgd_acc")),
    )
    noise = report(oracle, "val_best_pgd_acc", 2000)
    fill(ROOT / "docs/audit.md", "noise", noise[noise.index("Optimum") :])
    for name in ("variants", "predictors"):
        text = (measured / f"bananas_{name}.txt").read_text()
        fill(ROOT / "docs/searchers.md", name, tables(text))
    comparison = compare([folder / searcher for searcher in SEARCHERS])
    fill(ROOT / "docs/experiments.md", "compare", comparison_text.as_text(comparison).partition("Regret: distance")[0])
    figure = pictures.draw_anytime(comparison)
    save_png(figure.axes[0], ROOT / "docs/compare.png", pictures.note(comparison))
    shutil.copyfile(folder / "table2.png", ROOT / "docs/table2.png")


def metrics_table() -> str:
    lines = []
    for metric in METRICS.values():
        better = {True: "more", False: "less", None: "–"}[metric.maximize]
        lines.append([f"`{metric.name}`", metric.label, metric.unit or "–", better, metric.description])
    return as_markdown(("metric", "label", "unit", "better", "meaning"), lines)


def fill_glossary(_results: Path) -> None:
    """The metrics in docs/glossary.md."""
    fill(ROOT / "docs/glossary.md", "metrics", metrics_table())


def fill_tracks(results: Path) -> None:
    """docs/tracks.md."""
    overview, mark, rules = (results / "tracks.md").read_text().partition("| Rule, against observed")
    fill(ROOT / "docs/tracks.md", "tracks", overview)
    fill(ROOT / "docs/tracks.md", "rules", mark + rules)
    shutil.copyfile(results / "nares-figures/track-macs-10g/track.png", ROOT / "docs/track.png")


def fill_suite(results: Path) -> None:
    """docs/suite.md, without the tables' legends."""
    for use in USES:
        text = (results / f"suite/{use}.md").read_text()
        kept = [part for part in text.split("\n\n") if part.lstrip().startswith(("|", "Suite,", "Expected"))]
        legend = [part for part in text.split("\n\n") if part.startswith("Queries of all runs")]
        fill(ROOT / "docs/suite.md", f"suite-{use}", "\n\n".join([*map(str.strip, kept), *legend]))
    shutil.copyfile(results / "suite/report.png", ROOT / "docs/suite.png")


def fill_overtuning(results: Path) -> None:
    """docs/overtuning.md."""
    document = ROOT / "docs/overtuning.md"
    figures, digits = results / "nares-figures", results / "overtuning/digits-729"
    for name, folder, metric in (
        ("nares-figures", figures, overtuning.DEFAULT_METRIC),
        ("clean", figures, "test_clean_acc"),
        ("digits-729", digits, overtuning.DEFAULT_METRIC),
    ):
        found = overtuning.overtuning([folder / searcher for searcher in (*SEARCHERS, *BASELINES)], metric)
        text = overtuning_text.as_text(found)
        short = f"{tables(text)}\n\n{overtuning_text.verdict(found)}"
        fill(document, name, text if name == "nares-figures" else short)
        if name != "clean":
            picture = ROOT / f"docs/overtuning{'' if folder == figures else f'-{name}'}.png"
            note = origin(found.oracle, found.objective, found.metric)
            save_png(draw_overtuning(found), picture, note)
    text = (ROOT / "benchmarks/results/overtuning_blur.txt").read_text()
    fill(document, "blur", text[text.index("Table nares-figures") :])


def fill_published(results: Path) -> None:
    """The authors' searchers in docs/audit.md, of which the published BANANAS takes CPU hours."""
    both = (results / "nares-figures" / "table2-both.md").read_text()
    both = both[both.index("Runs, corrected") :].partition("What the validation noise does")[0]
    fill(ROOT / "docs/audit.md", "both", both)
    facts = (ROOT / "benchmarks/results/audit.txt").read_text()
    fill(ROOT / "docs/audit.md", "ensembles", facts[facts.index("Predictors of BANANAS") :])


def fill_fidelity(results: Path) -> None:
    """docs/fidelity.md."""
    document = ROOT / "docs/fidelity.md"
    folder, workers = (start / "digits-729" / "fidelity" for start in (results, results / "workers"))
    runs = read_results(folder / "random_full")
    objective = runs.race.objective
    fill(document, "ranks", ranks.as_text(runs.oracle, objective, ranks.ranks(runs.oracle, objective)))
    fill(document, "comparison", (folder / "comparison.md").read_text())
    fill(document, "workers", (workers / "comparison.md").read_text())
    shutil.copyfile(workers / "comparison.png", ROOT / "docs/fidelity.png")


def fill_protocol(_results: Path) -> None:
    """docs/protocol.md."""
    torch.set_num_threads(1)
    line = [sys.executable, "-m", "benchmarks.protocol"]
    told = subprocess.run(line, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    fill(ROOT / "docs/protocol.md", "protocol", tables(told))


PARTS = {
    "races": fill_races,
    "tracks": fill_tracks,
    "overtuning": fill_overtuning,
    "suite": fill_suite,
    "glossary": fill_glossary,
    "published": fill_published,
    "analyses": fill_analyses,
    "carries-over": fill_carries_over,
    "posterior": fill_posterior,
    "transfer": fill_transfer,
    "objectives": fill_objectives,
    "fidelity": fill_fidelity,
    "protocol": fill_protocol,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="?", type=Path, default=ROOT / "results")
    parser.add_argument("--only", choices=PARTS, help="one part of the documentation")
    arguments = parser.parse_args()
    for name, part in PARTS.items():
        if arguments.only in (None, name):
            part(arguments.results)


if __name__ == "__main__":
    main()
