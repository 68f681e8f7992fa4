"""Table 2: all searchers on one table, beside the published values (NARes, section 5) and what needs no search.

    python -m experiments.table2 runs=400
    python -m experiments.table2 runs=100 queries=200 table=mytable
    python -m experiments.table2 runs=400 variant=both published_bananas_runs=20

Takes the keys of `experiments.run` but `searcher` and `name`, and two of its own:
`variant` is `corrected` (the default), `published` (the authors' searchers as they
behave) or `both`; `published_bananas_runs` (20) is the number of runs of the published
BANANAS, which takes CPU hours for what the others do in seconds.  Each searcher's
results are those of `experiments.run`, in the same folders; the whole table and a
picture of all trajectories go to `<out>/<table>/`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.analysis import resampling
from experiments.experiment import run_experiment
from experiments.plots.style import save_figure
from experiments.plots.trajectories import draw_trajectories, lines_of
from experiments.races.config import CONDITIONS, KEPT, RunConfig, help_text, parse_command_line, target_of
from experiments.races.noise import images_behind
from experiments.results import recommendation
from experiments.results.experiment import Experiment
from experiments.results.table2 import (
    as_csv,
    as_text,
    legend,
    table_lines,
    variant_legend,
    variant_lines,
    variant_text,
    what_was_run,
)
from experiments.tables import (
    OF_OBJECTIVE,
    PUBLISHED,
    as_latex,
    objective_axis,
    origin,
    short_label,
)
from nasbench_ar import ConfigError, Oracle, load
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import write_file
from nasbench_ar.system.key_values import paragraph, parse_words
from searchers import ALL_SEARCHERS, BASELINES, SEARCHERS, hyperparameters

VARIANTS = ("corrected", "published", "both")


def run_all(config: RunConfig, oracle: Oracle, names: Sequence[str] = (*SEARCHERS, *BASELINES)) -> list[Experiment]:
    """Complete one experiment per searcher with its default arguments."""
    experiments = []
    for name in names:
        if name in BASELINES and not oracle.space.known_costs:
            continue  # nothing is the largest here
        cls = ALL_SEARCHERS[name]
        searcher = {"_target_": target_of(cls), **hyperparameters(cls)}
        experiments.append(run_experiment(replace(config, searcher=searcher), oracle))
    return experiments


def run_published(config: RunConfig, oracle: Oracle, bananas_runs: int) -> dict[str, Experiment]:
    """The authors' searchers as they behave, by the names of their corrected forms."""
    names = [f"{PUBLISHED}{name}" for name in SEARCHERS if name != "bananas" or bananas_runs]
    experiments = run_all(config, oracle, [name for name in names if name != f"{PUBLISHED}bananas"])
    if bananas_runs:
        fewer = replace(config, runs=min(bananas_runs, config.runs))
        experiments += run_all(fewer, oracle, [f"{PUBLISHED}bananas"])
    return {name.removeprefix(PUBLISHED): e for name, e in zip(names, experiments, strict=True)}


def write_report(experiments: Sequence[Experiment], folder: Path, *, foot: bool) -> None:
    """Print the table; write `table2.md`, `table2.csv`, `.tex`, `.png`, `.pdf` and `table2-recommendation.csv`."""
    found = recommendation.choices(experiments)
    text = f"{as_text(experiments)}\n{recommendation.as_text(found)}"
    print(text)  # first, since the folder may be read-only
    _write(folder, "table2", text, experiments, *table_lines(experiments), legend(experiments), foot=foot)
    write_file(folder / "table2-recommendation.csv", recommendation.as_csv(found).encode())


def write_variants(
    corrected: Mapping[str, Experiment],
    as_published: Mapping[str, Experiment],
    folder: Path,
    variant: str,
    *,
    foot: bool,
) -> None:
    """Print and write `table2-<variant>`, with the effect of the objective's noise where it is known."""
    experiments = [*corrected.values(), *as_published.values()]
    names = [name for name in (*SEARCHERS, *BASELINES) if name in corrected or name in as_published]
    text = variant_text(corrected, as_published, names)
    oracle, objective = experiments[0].oracle, experiments[0].race.objective
    if (images := images_behind(oracle, objective)) is not None:
        text += "\n" + resampling.report(oracle, objective, images)
    print(text)
    table = variant_lines(corrected, as_published, names)
    _write(folder, f"table2-{variant}", text, experiments, *table, variant_legend(experiments[0]), foot=foot)


def _write(
    folder: Path,
    stem: str,
    text: str,
    experiments: Sequence[Experiment],
    header: Sequence[str],
    lines: Sequence[Sequence[str]],
    signs: Sequence[str],
    *,
    foot: bool,
) -> None:
    first = experiments[0]
    run = what_was_run(experiments, short_label(first.oracle, first.race.objective))
    caption = " ".join([run, *signs, f"Table {first.oracle.name}: {first.oracle.title}."])
    narrow = [[line[0].replace(OF_OBJECTIVE, "").replace(", max over epochs", " (max)"), *line[1:]] for line in lines]
    if any("(max)" in line[0] for line in narrow):
        caption += " (max): maximum over the epochs."
    write_file(folder / f"{stem}.md", text.encode())
    write_file(folder / f"{stem}.csv", as_csv(experiments).encode())
    write_file(folder / f"{stem}.tex", as_latex(header, narrow, caption, stem).encode())
    axes = draw_trajectories(
        [e.curve for e in experiments],
        ylabel=objective_axis(first.oracle, first.race.objective),
        **lines_of(first.oracle, first.race, None, first.race.queries),  # type: ignore[arg-type]
    )
    note = origin(first.oracle, first.race.objective) if foot else ""
    save_figure(axes, folder / f"{stem}.png", note=note)


def _own_keys(arguments: Sequence[str]) -> tuple[list[str], str, int]:
    defaults: dict[str, str | int] = {"variant": "corrected", "published_bananas_runs": 20}
    rest = []
    for word in arguments:
        key = word.partition("=")[0]
        if key.partition(".")[0] in ("searcher", "name"):
            raise ConfigError(f"{word!r}: table2 runs every searcher; for one alone use python -m experiments.run")
        if key in CONDITIONS:
            raise ConfigError(
                f"{word!r}: table2 is the published comparison, without limits and noise; use python -m "
                "experiments.run for each searcher, and experiments.plot"
            )
        if key not in defaults:
            rest.append(word)
    own = parse_words([word for word in arguments if word not in rest], defaults)
    if own["variant"] not in VARIANTS:
        raise ConfigError(f"variant={own['variant']!r}: expected one of {', '.join(VARIANTS)}")
    return rest, own["variant"], own["published_bananas_runs"]


def usage() -> str:
    more = paragraph(f"variant={VARIANTS[0]}", f"one of {', '.join(VARIANTS)}")
    more += paragraph("published_bananas_runs=20", "runs of the published BANANAS")
    hidden = ("searcher", "name", *CONDITIONS)
    return help_text("python -m experiments.table2", __name__, "docs/experiments.md", hidden=hidden, more=more)


def main(arguments: Sequence[str]) -> None:
    words, variant, bananas_runs = _own_keys(arguments)
    config = parse_command_line(words)
    oracle = load(config.table, quiet=config.quiet)
    folder = Path(config.out) / oracle.name
    corrected: dict[str, Experiment] = {}
    if variant != "published":
        corrected = {e.name: e for e in run_all(config, oracle)}
    if variant == "corrected":
        write_report(list(corrected.values()), folder, foot=config.foot)
    else:
        as_published = run_published(config, oracle, bananas_runs)
        write_variants(corrected, as_published, folder, variant, foot=config.foot)
    stem = "table2" if variant == "corrected" else f"table2-{variant}"
    more = ", table2-recommendation.csv" if variant == "corrected" else ""
    print(f"{folder}: {stem}.md .csv .tex .png .pdf{more}; each searcher's results in a folder beside them")


if __name__ == "__main__":
    sys.exit(run_command(main, kept=KEPT))
