"""CPU time of published BANANAS: networks trained one after the other, and many at once.

    python -m benchmarks.published_bananas [--epochs 10] [--repeats 5]

Nearly all time of a run goes into training 5 networks from scratch after every 10
queries.  Both ways train the same networks on the same observations with the same
batches of 32, in one process with one thread, for every eighth round of a run and few
epochs; the time per optimiser step of one network is multiplied by the steps of a full
run.  "loader" fetches batches by torch's DataLoader, as the protocol reads; "slices"
takes them from a shuffled tensor, the least a plain loop can do.  The batched way is
timed with the kernels that NumPy's BLAS chooses, and with its AVX-512 kernels where the
processor has them and they were not chosen.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.environment import command_line, describe
from nasbench_ar import NARES
from searchers.published.bananas import CPU_GROUP
from searchers.published.batched_mlp import BatchedMLP, Recipe

QUERIES, MEMBERS, BATCH, INPUTS = 500, 5, 10, 30
ROUNDS = range(BATCH, QUERIES, BATCH)  # observations in each
TIMED = ROUNDS[::8]
GROUPS = (1, 2, CPU_GROUP, 10, 20)
AVX512 = {"OPENBLAS_CORETYPE": "SkylakeX"}

FloatArray = NDArray[np.float32]


def steps_per_network(recipe: Recipe, rounds: range = ROUNDS) -> int:
    """Optimiser steps of one network over the given rounds."""
    return recipe.epochs * sum(-(-n // recipe.minibatch) for n in rounds)


def observations(runs: int, n: int) -> tuple[FloatArray, FloatArray]:
    """(runs, n, 30) random architectures and (runs, n) errors such as the table has."""
    rng = np.random.default_rng(n)
    x = np.stack([NARES.one_hot(indices=rng.integers(NARES.size, size=n)) for _ in range(runs)])
    return x, rng.normal(62, 0.6, (runs, n)).astype(np.float32)


def plain_network(recipe: Recipe) -> nn.Sequential:
    """One predictor, as a plain model."""
    modules: list[nn.Module] = []
    for fan_in in [INPUTS] + [recipe.width] * (recipe.layers - 1):
        modules += [nn.Linear(fan_in, recipe.width), nn.ReLU()]
    network = nn.Sequential(*modules, nn.Linear(recipe.width, 1))
    for module in network:
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return network


def train_plain(x: FloatArray, y: FloatArray, recipe: Recipe, *, loader: bool) -> None:
    """Train one network in a plain loop."""
    network = plain_network(recipe)
    output = network[-1]
    assert isinstance(output, nn.Linear)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, betas=(recipe.beta1, recipe.beta2))
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    batches = DataLoader(TensorDataset(inputs, targets), batch_size=recipe.minibatch, shuffle=True)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(y))
        chosen = (order[start : start + recipe.minibatch] for start in range(0, len(y), recipe.minibatch))
        slices = ((inputs[rows], targets[rows]) for rows in chosen)
        for batch, wanted in batches if loader else slices:
            optimiser.zero_grad()
            loss = (network(batch)[:, 0] - wanted).abs().mean() + recipe.penalty * output.weight.abs().sum()
            loss.backward()
            optimiser.step()


def plain_microseconds(recipe: Recipe, *, loader: bool) -> float:
    """CPU time per step of one network."""
    data = [observations(1, n) for n in TIMED]
    start = time.process_time()
    for x, y in data:
        train_plain(x[0], y[0], recipe, loader=loader)
    return (time.process_time() - start) * 1e6 / steps_per_network(recipe, TIMED)


def batched_microseconds(recipe: Recipe, runs: int) -> float:
    """CPU time per step of one network, of `runs` ensembles trained at once."""
    data = [observations(runs, n) for n in TIMED]
    count = runs * MEMBERS
    start = time.process_time()
    for x, y in data:
        BatchedMLP(INPUTS, [np.random.default_rng(k) for k in range(count)], recipe).fit(x, y)
    return (time.process_time() - start) * 1e6 / steps_per_network(recipe, TIMED) / count


def operations_per_run(recipe: Recipe) -> tuple[float, float]:
    """Floating-point operations and bytes through memory of one run's training.

    Operations: a row of a batch costs, per weight, 2 forward, 2 for the weight's gradient
    and 2 for the layer below (none below the first); Adam 12 per parameter and step.
    Bytes, when nothing stays in a cache: parameters are read forward and backward, and
    their gradients written; Adam reads 4 and writes 3 values per parameter; a hidden
    unit is written or read 14 times per row.
    """
    weights = INPUTS * recipe.width + (recipe.layers - 1) * recipe.width**2 + recipe.width
    rows = MEMBERS * recipe.epochs * sum(ROUNDS)
    steps = MEMBERS * steps_per_network(recipe)
    parameters = recipe.parameters(INPUTS)
    operations = rows * (6 * weights - 2 * INPUTS * recipe.width) + steps * 12 * parameters
    units = recipe.layers * recipe.width
    return float(operations), 4.0 * (steps * 10 * parameters + rows * 14 * units)


def estimate(recipe: Recipe, runs: int = 400) -> str:
    """What many runs should take on a GPU; computed, not measured."""
    operations, traffic = operations_per_run(recipe)
    bandwidth, peak, share, launch = 3.35e12, 67e12, 0.3, 4e-6
    kernels = 7 * recipe.layers + 12
    memory = runs * traffic / (0.6 * bandwidth)
    compute = runs * operations / (share * peak)
    launches = steps_per_network(recipe) * kernels * launch
    return (
        f"one run: {MEMBERS * steps_per_network(recipe):,} steps of one network, "
        f"{operations:.2e} floating-point operations, {traffic:.2e} bytes through memory\n"
        f"ESTIMATE, not a measurement, for {runs} runs at once on a GPU with 3.35 TB/s and 67 TFLOP/s (float32):\n"
        f"  memory  {memory:5.0f} s at 60 % of the bandwidth, nothing kept in caches\n"
        f"  compute {compute:5.0f} s at 30 % of the peak\n"
        f"  launches {launches:4.0f} s: {kernels} kernels a step, {launch * 1e6:.0f} microseconds each\n"
        f"  these overlap: about {max(memory, compute, launches) / 60:.0f} minutes if the longest alone counts, "
        f"{(memory + compute + launches) / 60:.0f} if nothing overlaps"
    )


def kernels() -> str:
    """What NumPy's BLAS calls the kernels it chose."""
    chosen = [str(info.get("architecture")) for info in threadpool_info() if info["internal_api"] == "openblas"]
    return chosen[0] if chosen else "unknown"


def has_avx512() -> bool:
    """Whether the processor can run the AVX-512 kernels, as far as the system tells."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return False
    return {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"} <= flags


def other_kernels(epochs: int) -> Callable[[], float]:
    """`batched_microseconds` of the default group in a process that is told to use AVX-512."""
    command = [sys.executable, "-m", "benchmarks.published_bananas", "--batched-only", "--epochs", str(epochs)]

    def measure() -> float:
        done = subprocess.run(command, env=os.environ | AVX512, capture_output=True, text=True, check=True)
        return float(done.stdout)

    return measure


def report(name: str, times: list[float], steps: int, baselines: list[float]) -> None:
    """One line: time per step, time of a run, and how many times less that is."""
    median = statistics.median(times)
    spread = f"{min(times):.1f} to {max(times):.1f}"
    ratios = "".join(f"{baseline / median:10.1f}" for baseline in baselines)
    print(f"{name:44}{median:10.1f}  {spread:20}{median * steps / 6e7:10.2f}{ratios}")


def main() -> None:
    """Time all ways in turn, so that drift of the machine meets all alike."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batched-only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    short = Recipe(epochs=args.epochs)
    with threadpool_limits(1):
        batched_microseconds(Recipe(epochs=1), CPU_GROUP)  # warm-up
        if args.batched_only:
            print(batched_microseconds(short, CPU_GROUP))
            return
        print(command_line("benchmarks.published_bananas"))
        print(describe("torch"))
        print(f"blas of numpy: openblas, {kernels()} kernels chosen")
        ways: dict[str, Callable[[], float]] = {
            "one after the other, loader": lambda: plain_microseconds(short, loader=True),
            "one after the other, slices": lambda: plain_microseconds(short, loader=False),
        }
        for runs in GROUPS:
            ways[f"batched, {runs} runs"] = lambda runs=runs: batched_microseconds(short, runs)  # type: ignore[misc]
        if has_avx512() and kernels() in ("Haswell", "Zen"):
            setting = "=".join(next(iter(AVX512.items())))
            ways[f"batched, {CPU_GROUP} runs, {setting}"] = other_kernels(args.epochs)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(args.repeats):
            for name, measure in ways.items():
                times[name].append(measure())
    steps = MEMBERS * steps_per_network(Recipe())
    print(f"\nCPU time, one thread, rounds with {', '.join(map(str, TIMED))} observations, {args.epochs} epochs each")
    print(f"{'':44}{'us / step':>10}  {'min to max':20}{'min / run':>10}{'x loader':>10}{'x slices':>10}")
    baselines = [statistics.median(measured) for measured in list(times.values())[:2]]
    for name, measured in times.items():
        report(name, measured, steps, baselines)
    print(f"\nus / step: median over {args.repeats} repeats, of one step of one network; min / run: extrapolated to")
    print(f"{steps:,} steps; x: how many times less than networks one after the other. Used: {CPU_GROUP} runs.\n")
    print(estimate(Recipe()))


if __name__ == "__main__":
    main()
