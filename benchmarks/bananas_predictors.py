"""How well BANANAS' ensemble ranks what it has not seen, as a run goes on.

    python -m benchmarks.bananas_predictors [--runs 20]

Kendall's tau between predicted and true scores over all unseen architectures, for the
ensemble and for scikit-learn's linear regression and random forest on the same data
(the architectures that run had queried, one-hot encoded).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.stats import kendalltau
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from benchmarks.environment import command_line, describe
from experiments.tables import as_markdown
from nasbench_ar import load
from searchers import Bananas

CHECKPOINTS = (50, 100, 200, 300, 400, 490)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    args = parser.parse_args()
    oracle = load("nares-figures", quiet=True)
    objective = oracle.table.default_objective
    truth = oracle.column(objective)
    taus: dict[tuple[int, str], list[float]] = {}
    seconds = {"ensemble": 0.0, "linear regression": 0.0, "random forest": 0.0}
    for seed in range(args.runs):
        session = oracle.session(budget=500)
        searcher = Bananas(session.space, seed)
        due = list(CHECKPOINTS)
        while session.remaining:
            start = time.perf_counter()
            batch = searcher.ask_batch()  # the ensemble is fitted here
            elapsed = time.perf_counter() - start
            if due and session.spent >= due[0]:
                known = due.pop(0)
                seconds["ensemble"] += elapsed
                seen = session.space.indices(session.history)
                unseen = np.setdiff1d(session.space.member_indices, seen)
                predicted = {"ensemble": searcher.predict(unseen).mean(axis=0)}
                models = {
                    "linear regression": LinearRegression(),
                    "random forest": RandomForestRegressor(n_estimators=100, random_state=seed),
                }
                for name, model in models.items():
                    start = time.perf_counter()
                    model.fit(session.space.one_hot(indices=seen), truth[seen])
                    predicted[name] = model.predict(session.space.one_hot(indices=unseen))
                    seconds[name] += time.perf_counter() - start
                for name, values in predicted.items():
                    taus.setdefault((known, name), []).append(float(kendalltau(values, truth[unseen]).statistic))
            for architecture in batch[: session.remaining]:
                searcher.tell(architecture, session.score(architecture))
    print(command_line("benchmarks.bananas_predictors"))
    print(describe("scikit-learn", "scipy"))
    print(f"\nKendall's tau on unseen architectures, mean ± std over {args.runs} runs, {objective} on {oracle.name}\n")
    lines = []
    for known in CHECKPOINTS:
        columns = [taus[known, name] for name in seconds]
        lines.append([str(known), *(f"{np.mean(c):.3f} ± {np.std(c, ddof=1):.3f}" for c in columns)])
    fits = args.runs * len(CHECKPOINTS)
    lines.append(["seconds a fit", *(f"{total / fits:.4f}" for total in seconds.values())])
    print(as_markdown(("queried", *seconds), lines))


if __name__ == "__main__":
    main()
