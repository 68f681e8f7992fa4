"""The known divergences of the published searchers, measured on a table (docs/audit.md).

    python -m experiments.audit [runs=400] [table=nares-figures] [ensembles=10]

Runs the authors' random search, local search and evolution as they behave, and trains
some of their BANANAS ensembles, to say how much each divergence matters.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.races.config import target_of
from experiments.races.race import Race, build_searcher, open_session
from experiments.races.runner import run_once
from experiments.tables import plus_minus
from nasbench_ar import NARES, ConfigError, Oracle, load
from nasbench_ar.space import wide_resnets
from nasbench_ar.system.command import run_command
from nasbench_ar.system.key_values import parse_words
from searchers import ALL_SEARCHERS, Bananas
from searchers.trajectory import Trajectory

QUERIES = 500
SIZES = (100, 490)  # observations that an ensemble is trained on


def race(oracle: Oracle, name: str) -> Race:
    """500 queries of a searcher with its default arguments on the table's default objective."""
    objective = oracle.table.default_objective
    return Race(str(oracle.table.folder.resolve()), objective, QUERIES, target_of(ALL_SEARCHERS[name]))


def run_all(oracle: Oracle, name: str, runs: int) -> list[Trajectory]:
    """Runs of seeds 0, 1, ... on every core."""
    from joblib import Parallel, delayed

    found: list[Trajectory] = Parallel(n_jobs=-1)(delayed(run_once)(race(oracle, name), seed) for seed in range(runs))
    return found


def moves_down(oracle: Oracle, run: Trajectory, *, starts: int = 10) -> tuple[int, int]:
    """(moves to a worse neighbour, all moves) of a published local search, which begins at the best of some starts.

    It moves to every neighbour of another score.  It starts anew where none is left unqueried, so that no start is a
    neighbour of where it stood.
    """
    vectors, scores = oracle.space.vectors(indices=run.arch_index), run.scores
    down = moves = k = 0
    while k < len(scores):
        at = k + int(scores[k : k + starts].argmax())
        k += starts
        while k < len(scores) and (vectors[k] != vectors[at]).sum() == 1:
            if scores[k] != scores[at]:
                down, moves, at = down + int(scores[k] < scores[at]), moves + 1, k
            k += 1
    return down, moves


def local_search_facts(oracle: Oracle, runs: Sequence[Trajectory]) -> list[str]:
    """How often it steps down, how far it overruns, and what the overrun is worth."""
    down, moves = np.array([moves_down(oracle, run) for run in runs]).sum(axis=0)
    lengths = np.array([len(run.scores) for run in runs])
    at_budget = np.array([run.scores[:QUERIES].max() for run in runs])
    at_end = np.array([run.scores.max() for run in runs])
    return [
        f"moves to a worse neighbour: {100 * down / moves:.1f} % of {moves} moves",
        f"runs over the budget of {QUERIES}: {(lengths > QUERIES).sum()} of {len(runs)}; queries "
        f"{plus_minus(lengths.mean(), lengths.std(ddof=1))}, at most {lengths.max()}",
        f"objective after {QUERIES} queries {_spread(at_budget)}, at the end of the overrun {_spread(at_end)}",
    ]


def reporting_facts(oracle: Oracle, runs: Sequence[Trajectory]) -> list[str]:
    """What reporting the last of the best, rather than the first, changes."""
    first = np.array([run.arch_index[run.scores.argmax()] for run in runs])
    last = np.array([run.reported for run in runs])
    differ = first != last
    out = [f"runs whose last best is not their first best: {differ.sum()} of {len(runs)}"]
    for name in oracle.metrics:
        if oracle.metric(name).table2 and oracle.metric(name).split == "test":
            column = oracle.column(name)
            change = np.nanmean(column[last]) - np.nanmean(column[first])
            out.append(f"{oracle.label(name)}: {change:+.3f} points in the mean")
    return out


def evolution_facts(oracle: Oracle, runs: int) -> list[str]:
    """How many runs repeat an architecture among their 30 starts."""
    repeats = []
    setting = race(oracle, "published_regularized_evolution")
    for seed in range(runs):
        session = open_session(setting, oracle)
        searcher = build_searcher(setting, session, seed)
        for _ in range(30):
            proposed = searcher.ask()
            searcher.tell(proposed, session.score(proposed))
        repeats.append(session.repeats)
    return [f"runs with a repeat among their 30 starts: {np.count_nonzero(repeats)} of {runs}"]


def ensemble_facts(oracle: Oracle, ensembles: int) -> list[str]:
    """How far published and corrected predictors fit what a search has observed, and rank the rest."""
    from scipy.stats import kendalltau

    from searchers.published.batched_mlp import BatchedMLP, Recipe

    truth = oracle.column(oracle.table.default_objective)
    known = np.flatnonzero(~np.isnan(truth))
    space = oracle.space
    searches = [run.arch_index for run in run_all(oracle, "bananas", ensembles)]
    out = []
    for size in SIZES:
        draws = [run[:size] for run in searches]
        x = np.stack([space.one_hot(indices=draw) for draw in draws])
        targets = np.stack([100 - truth[draw] for draw in draws]).astype(np.float32)
        streams = [np.random.default_rng([seed, member]) for seed in range(ensembles) for member in range(5)]
        networks = BatchedMLP(x.shape[2], streams, Recipe())
        networks.fit(x, targets)
        every = np.repeat(space.one_hot(indices=known)[None], ensembles, axis=0)
        published = 100 - np.concatenate([networks.predict(part) for part in np.array_split(every, 16, axis=1)], axis=2)
        corrected = np.stack([_corrected(oracle, draw, truth, known) for draw in draws])
        spread = np.mean([truth[draw].std() for draw in draws])
        constant = np.mean([np.abs(truth[draw] - np.median(truth[draw])).mean() for draw in draws])
        for title, predicted in (("published", published), ("corrected", corrected)):
            error, tau = _quality(predicted, draws, known, truth, kendalltau)
            out.append(
                f"{title} predictors, first {size} observations of a corrected BANANAS run (std {spread:.2f}, "
                f"mean absolute deviation from the median {constant:.2f}): mean absolute error on them "
                f"{error.mean():.2f} points a network, from {error.min():.2f} to {error.max():.2f}; "
                f"Kendall's tau of the ensemble's mean on all others {np.mean(tau):.2f}"
            )
    return out


def _corrected(
    oracle: Oracle, draw: NDArray[np.integer], truth: NDArray[np.float64], known: NDArray[np.integer]
) -> NDArray[np.float32]:
    """(members, known) predictions of our ensemble, trained round by round on what a run has drawn."""
    searcher = Bananas(oracle.space, 0)
    while len(searcher.history) < len(draw):
        proposed = len(searcher.ask_batch())
        for index in draw[len(searcher.history) :][:proposed].tolist():
            searcher.tell(oracle.space.from_index(index), float(truth[index]))
    searcher.ask_batch()
    return searcher.predict(known)


def _quality(
    predicted: NDArray[np.floating],
    draws: Sequence[NDArray[np.integer]],
    known: NDArray[np.integer],
    truth: NDArray[np.float64],
    kendalltau: object,
) -> tuple[NDArray[np.float64], list[float]]:
    """(ensembles, members) training errors, and one tau an ensemble on what it has not seen."""
    errors, taus = [], []
    for values, draw in zip(predicted, draws, strict=True):
        seen = np.isin(known, draw)
        errors.append(np.abs(values[:, seen] - truth[known[seen]]).mean(axis=1))
        tau = kendalltau(values.mean(axis=0)[~seen], truth[known[~seen]]).statistic  # type: ignore[operator]
        taus.append(0.0 if np.isnan(tau) else float(tau))  # a constant prediction ranks nothing
    return np.array(errors), taus


def table_facts(oracle: Oracle) -> list[str]:
    """What the table alone tells: the column-wise optimum, ties in the numbering, printed parameters."""
    rows = [name for name in oracle.metrics if oracle.metric(name).table2]
    best = {name: oracle.optimum(name) for name in rows}
    different = len({architecture for architecture, _ in best.values()})
    out = [f"architectures that the column-wise optimum of {len(rows)} rows is made of: {different}"]
    chosen = best[oracle.table.default_objective][0]
    for name in rows:
        value = oracle.column(name)[oracle.space.index(chosen)]
        if oracle.metric(name).split == "test" and not np.isnan(value):
            out.append(f"{oracle.label(name)}: best {best[name][1]:.2f}, of the objective's optimum {value:.2f}")
    macs = np.sort(NARES.macs_many(indices=NARES.member_indices))
    out.append(
        f"pairs of equal MACs, whose order in the official numbering follows no rule: {(np.diff(macs) == 0).sum()}"
    )
    out.append(f"parameters of 4-8-4-8-4-8: {NARES.params('4-8-4-8-4-8'):,} (the paper prints 23.25M)")
    return out


def _spread(values: NDArray[np.floating]) -> str:
    return plus_minus(float(values.mean()), float(values.std(ddof=1)))


def main(arguments: Sequence[str]) -> None:
    given = parse_words(arguments, {"runs": 400, "table": "nares-figures", "ensembles": 10})
    runs, ensembles = given["runs"], given["ensembles"]
    if runs < 2:
        raise ConfigError(f"runs={runs}: expected a number of at least 2")
    oracle = load(given["table"])
    wide_resnets(oracle.space, "the audit of the published searchers")
    walks = run_all(oracle, "published_local_search", runs)
    sections = {
        "Published local search": local_search_facts(oracle, walks),
        "Reporting the last of the best": reporting_facts(oracle, run_all(oracle, "published_random_search", runs)),
        "Published evolution": evolution_facts(oracle, runs),
        "Optimum, numbering, parameters": table_facts(oracle),
    }
    if ensembles:
        sections["Predictors of BANANAS"] = ensemble_facts(oracle, ensembles)
    print(f"{oracle.table.default_objective} on table {oracle.name} ({oracle.title}), seeds 0..{runs - 1}")
    for title, facts in sections.items():
        print(f"\n{title}\n" + "\n".join(f"- {fact}" for fact in facts), flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
