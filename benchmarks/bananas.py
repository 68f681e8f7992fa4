"""BANANAS' speed: seconds a run, seconds for 400, and ratios to other ways of doing the same.

    python -m benchmarks.bananas [--runs 400]

- one run in this process on one thread: CPU seconds, and how many of them the fits take;
- the fits of that run again by scikit-learn's MLPRegressor (five members of one hidden
  layer, full batch, warm-started, the same steps on the same observations);
- the published protocol (five networks of 20 layers trained from scratch in every
  round): CPU seconds an optimiser step of a plain loop, measured here, times the number
  of steps of a run, which is counted, not run;
- the command with 400 runs, whole process.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from benchmarks.environment import command_line, describe
from benchmarks.published_bananas import MEMBERS, plain_microseconds, steps_per_network
from benchmarks.searchers import seconds
from nasbench_ar import load
from nasbench_ar.arrays import FloatArray
from nasbench_ar.system.threads import single_threaded
from searchers import Bananas
from searchers.bananas import log_closeness
from searchers.mlp_ensemble import Float32Array
from searchers.published.batched_mlp import Recipe

Fits = list[tuple[int, int]]  # scores known and steps taken, of each


def one_run(seed: int) -> tuple[float, float, Bananas, Fits]:
    """(CPU seconds of a run, of which in fits, the searcher afterwards, its fits)."""
    session = load("nares-figures", quiet=True).session(budget=500)
    searcher = Bananas(session.space, seed)
    fitting = 0.0
    fits: Fits = []
    fit = searcher.predictor.fit

    def timed_fit(x: Float32Array, y: FloatArray, steps: int) -> None:
        nonlocal fitting
        begin = time.process_time()
        fit(x, y, steps)
        fitting += time.process_time() - begin
        fits.append((len(x), steps))

    searcher.predictor.fit = timed_fit  # type: ignore[assignment, method-assign]
    start = time.process_time()
    while session.remaining:
        architecture = searcher.ask()
        searcher.tell(architecture, session.score(architecture))
    return time.process_time() - start, fitting, searcher, fits


def scikit_learn_fits(searcher: Bananas, fits: Fits) -> float:
    """CPU seconds of the same fits by MLPRegressor."""
    encoded = searcher.space.one_hot(searcher.history)
    scores = np.array(list(searcher.history.values()))
    members = [
        MLPRegressor(
            hidden_layer_sizes=(searcher.predictor.hidden,),
            learning_rate_init=searcher.predictor.learning_rate,
            warm_start=True,
            n_iter_no_change=10_000,
            random_state=k,
        )
        for k in range(searcher.predictor.members)
    ]
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for known, steps in fits:
            target = log_closeness(scores[:known])
            target = (target - target.mean()) / target.std()
            for member in members:
                member.set_params(max_iter=steps, batch_size=known)
                member.fit(encoded[:known], target)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    print(command_line("benchmarks.bananas"))
    print(describe("scikit-learn", "torch"))
    one_run(0)  # warm-up
    measured = [one_run(seed) for seed in range(1, 1 + args.repeats)]
    run = float(np.median([m[0] for m in measured]))
    fits = float(np.median([m[1] for m in measured]))
    spread = f"{min(m[0] for m in measured):.3f} to {max(m[0] for m in measured):.3f}"
    searcher, fitted = measured[0][2:]
    flops = operations(searcher, fitted)
    with single_threaded():
        foreign = scikit_learn_fits(searcher, fitted)
        torch.set_num_threads(1)
        plain_microseconds(Recipe(epochs=1), loader=False)  # warm-up
        step = plain_microseconds(Recipe(epochs=10), loader=False) / 1e6
    steps = MEMBERS * steps_per_network(Recipe())
    minutes = step * steps / 60
    print(f"\none run of 500 queries, one thread: {run:.3f} CPU s (median of {args.repeats}, {spread})")
    rate = product_rate()
    print(
        f"  fits: {fits:.3f} s for {flops / 1e9:.1f} GFLOP, {flops / fits / 1e9:.0f} GFLOP/s; a large float32 product"
    )
    print(f"  reaches {rate / 1e9:.0f} GFLOP/s on one thread, which makes the floor {flops / rate:.3f} s")
    print(f"  the same fits by MLPRegressor: {foreign:.2f} s, {foreign / fits:.0f} times as long")
    print(f"  the published protocol: {1e3 * step:.2f} ms a step x {steps:,} steps = {minutes:.0f} min (computed)")
    print(f"  ratio of the published protocol to a whole run here: {60 * minutes / run:,.0f}")
    print(f"{args.runs} runs, whole process, jobs=-1: {seconds('bananas', args.runs):.1f} s wall")


def product_rate(side: int = 1024, repeats: int = 20) -> float:
    """Floating-point operations a second of a large float32 matrix product on one thread."""
    left, right = np.ones((2, side, side), dtype=np.float32)
    with single_threaded():
        out = left @ right  # warm-up
        start = time.process_time()
        for _ in range(repeats):
            np.matmul(left, right, out=out)
        return 2 * side**3 * repeats / (time.process_time() - start)


def operations(searcher: Bananas, fits: Fits) -> float:
    """Floating-point operations of a run's fits: 4 n d M H + 6 n M^2 H a step (`mlp_ensemble`)."""
    made = searcher.predictor
    inputs = made.weights1.shape[0]
    return sum(steps * known * made.members * made.hidden * (4 * inputs + 6 * made.members) for known, steps in fits)


if __name__ == "__main__":
    main()
