"""The ledgers of `experiments.results.overtuning` in words: a table for reading, and CSV with full precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from experiments.results.baselines import RANDOM_SEARCH
from experiments.results.overtuning import ALIKE, LEAST_GAIN, Ledger, Ledgers
from experiments.statistics.intervals import Spread, spread
from experiments.tables import as_markdown, csv_text, interval, number, short_label, table_notes

LEGEND = """Regret: distance from the best that may be queried, mean over runs with its 95 % t interval. Got worse: runs
whose last incumbent has a worse test value than an earlier one had, with the exact interval. Overtuning: by how much
the last incumbent is worse than the best of them. Relative: overtuning over the gain since the first incumbent, median
over the [n] runs whose first and last incumbents have test values and that gained at least {gain}; severe: those of
them that lost all of it and more. Best after: queries to the best mean test value, as every other run chooses them;
Lost since: what the rest of the runs lose from there to the end. More search hurt where that interval is above 0, in
bold. Intervals are over runs, on this one table and its test images. Overtuning is meant as by
Schneider, Bischl and Feurer (2025, arXiv 2506.19540)."""


def table_lines(found: Ledgers) -> tuple[list[str], list[list[str]]]:
    labels = [short_label(found.oracle, name) for name in (found.objective, found.metric)]
    runs = ["Got worse", "Overtuning", "Relative", "Severe", "Best after", "Lost since"]
    header = ["Searcher", "Runs", *(f"Regret, {label}" for label in labels), *runs]
    lines = [_line(ledger) for ledger in found.ledgers]
    references = [found.largest]
    if found.random is not None:
        references.insert(0, (RANDOM_SEARCH, float(found.random[0][-1]), float(found.random[1][-1])))
    lines += [[name, "", number(seen, 3), number(tested, 3), *[""] * len(runs)] for name, seen, tested in references]
    return header, lines


def heading(found: Ledgers) -> str:
    seen, tested = (short_label(found.oracle, name) for name in (found.objective, found.metric))
    return (
        f"Incumbents after {found.queries} queries, guided by {seen}, judged by {tested}; "
        f"its best value that may be queried {number(found.optimum)}"
    )


def legend(found: Ledgers) -> str:
    unit = found.oracle.metric(found.metric).unit
    return LEGEND.format(gain=f"{LEAST_GAIN * 100:g} points" if unit == "%" else f"{LEAST_GAIN:g}")


def as_text(found: Ledgers) -> str:
    parts = [
        heading(found),
        f"Table {found.oracle.name}: {found.oracle.title}",
        as_markdown(*table_lines(found)),
        verdict(found),
        *found.notes,
        *table_notes(found.oracle, [found.objective, found.metric], ()),
        legend(found),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def verdict(found: Ledgers) -> str:
    """In one line each: whom more search hurt, whom not as far as the runs show, and what could not be judged."""
    hurt, spared, unknown = [], [], []
    for ledger in found.ledgers:
        turn = ledger.turn
        if turn.query is None:
            unknown.append(ledger.name)
        elif turn.harm:
            hurt.append(f"{ledger.name} after {turn.query} queries, by {_with_interval(turn.loss)}")
        else:
            spared.append(ledger.name)
    sentences = (
        ("More search hurt on average", hurt, "; "),
        ("No harm shown", spared, ", "),
        ("Too few runs with a test value to judge", unknown, ", "),
    )
    return "\n".join(f"{what}: {between.join(names)}." for what, names, between in sentences if names)


def _line(ledger: Ledger) -> list[str]:
    runs, known, turn = len(ledger.test.seeds), int(ledger.test.known[-1]), ledger.turn
    cells = [ledger.name, str(runs), _with_interval(spread(ledger.validation.regret[:, -1]))]
    if ledger.counts[-1]:
        low, high = 100 * ledger.worse_band[-1]
        ends = "" if math.isnan(low) else f" ({low:.0f} to {high:.0f} %)"
        cells += [_with_interval(spread(ledger.test.regret[:, -1]), runs), f"{100 * ledger.worse[-1]:.0f} %{ends}"]
        cells.append(_with_interval(spread(ledger.overtuning[:, -1])))
    else:
        cells += [f"– [{known}]", "–", "–"]
    relative = ledger.relative[~np.isnan(ledger.relative)]
    if len(relative) and ledger.counts[-1]:
        cells += [f"{np.median(relative):.2f} [{len(relative)}]", f"{100 * (relative > 1).mean():.0f} %"]
    else:
        cells += ["–", "–"]
    lost = _with_interval(turn.loss)
    return [*cells, "–" if turn.query is None else str(turn.query), f"**{lost}**" if turn.harm else lost]


def _with_interval(found: Spread, runs: int = 0) -> str:
    """Mean and interval; in brackets the number of runs that have a value, if not all have."""
    text = number(found.mean, 3)
    if not math.isnan(found.interval[0]) and found.std >= ALIKE:
        text += f" ({interval(found.interval)})"
    return text + (f" [{found.known}]" if found.known < runs else "")


def ledger_csv(found: Ledgers) -> str:
    """A line per searcher and query; test columns are empty where no run has a value, `known` says how many have."""
    lines: list[list[Any]] = []
    for one in found.ledgers:
        for n in range(found.queries):
            lost = spread(one.overtuning[:, n])
            seen = map(float, (one.validation.mean[n], *one.validation.mean_band[n]))
            tested = map(float, (one.test.mean[n], *one.test.mean_band[n], one.worse[n], *one.worse_band[n]))
            lines.append([one.name, n + 1, len(one.test.seeds), *seen, lost.known, *tested, lost.mean, *lost.interval])
    if found.random is not None:
        for n, (seen, tested) in enumerate(zip(*found.random, strict=True), start=1):
            lines.append([RANDOM_SEARCH, n, None, float(seen), None, None, None, float(tested), *[None] * 8])
    return csv_text(LEDGER_CSV, lines)


LEDGER_CSV = (
    *("searcher", "queries", "runs", "validation_regret", "validation_ci_low", "validation_ci_high", "known"),
    *("test_regret", "test_ci_low", "test_ci_high", "worse", "worse_ci_low", "worse_ci_high"),
    *("overtuning", "overtuning_ci_low", "overtuning_ci_high"),
)


def turns_csv(found: Ledgers) -> str:
    """A line per searcher: where the mean test value was best and what was lost since, and relative overtuning."""
    lines = []
    for one in found.ledgers:
        relative = one.relative[~np.isnan(one.relative)]
        middle, severe = (float(np.median(relative)), float((relative > 1).mean())) if len(relative) else (None, None)
        loss = one.turn.loss
        numbers = [one.turn.query, loss.known, loss.mean, *loss.interval, one.turn.harm]
        lines.append([one.name, *numbers, len(relative), middle, severe])
    return csv_text(TURNS_CSV, lines)


TURNS_CSV = (
    *("searcher", "best_after", "pairs", "lost_since", "ci_low", "ci_high", "harm"),
    *("gained", "relative_median", "severe"),
)
