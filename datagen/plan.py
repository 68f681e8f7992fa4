"""What generating a table would take: work, GPU-days, memory, and the days that N GPUs need.

    python -m datagen.plan archs=all profile=cifar10 gpus=8
    python -m datagen.plan gpus=100 preemptions_per_day=2 restart_minutes=10
    python -m datagen.plan archs=1-100 store=entries gpus=4 json=true

Keys of `datagen.run` that change the work are taken: `archs` (all by default),
`profile`, `seed`, `seeds`, `batch`, `overhead_gb`, and those of data, space, train and attack.  Its own are

  gpus=1                   GPUs at work, each on one training at a time, as device=all has it
  preemptions_per_day=0    how often each is taken away, at random
  restart_minutes=10       until it is back
  checkpoint_epochs=1      epochs between checkpoints; datagen.run writes one after each
  repetitions=20           simulated courses, where there are preemptions
  store=                   an existing store: its protocol, its images, its measured times; what it has is done
  gpu_days=                what the chosen architectures take together, if you know
  gpu=                     h100, h100-pcie, h100-nvl, h200, h200-nvl or a100: its peak by the data sheet
  tflops=                  a peak of your own instead, the same in training and test
  mfu=0.4                  share of the peak that is reached, assumed
  json=false               print JSON instead

Times are estimates from the store's entries, else from gpu_days=, else from gpu= or
tflops=, else from the totals that the dataset's authors published; the output says which.  Nothing is trained, and
PyTorch is not needed.  Exit codes: 0; 2 for anything the user can mend.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.config import KEYS, RunConfig, parse_command_line, train_settings
from datagen.planning.cost_model import (
    MFU,
    SECONDS_A_DAY,
    CostModel,
    Sizes,
    from_entries,
    from_peak,
    from_published,
    from_total,
)
from datagen.planning.memory import CARDS_GB, GB, GRAPHS, MemorySettings, estimate_memory, gigabytes
from datagen.planning.schedule import Jobs, Schedule, poisson, simulate
from datagen.planning.text import render
from datagen.planning.workload import Images, Workload, images_of_config, images_of_store, workload
from datagen.selection import select, select_seeds
from datagen.store.entry import Entry, read_entry
from datagen.store.folder import EntryStore
from nasbench_ar import NARES, SearchSpace
from nasbench_ar.errors import ConfigError
from nasbench_ar.system.command import run_command
from nasbench_ar.system.key_values import MOST, check_keys, parse_words

# Least and largest; what is simulated must end within a minute or so.
RANGES = {"gpus": (1, 100_000), "checkpoint_epochs": (1, MOST), "repetitions": (1, 1000)}
OWN_KEYS: dict[str, Any] = {
    "gpus": 1,
    "preemptions_per_day": 0.0,
    "restart_minutes": 10.0,
    "checkpoint_epochs": 1,
    "repetitions": 20,
    "store": "",
    "gpu_days": 0.0,
    "gpu": "",
    "tflops": 0.0,
    "mfu": MFU,
    "json": False,
}
OF_RUN = ("archs", "profile", "seed", "seeds", "batch", "overhead_gb")  # keys of datagen.run that change the work
PROTOCOL = ("train.", "attack.", "space.", "data.")
CALIBRATION_ENTRIES = 500
HOPELESS = 5.0  # preemptions expected in one stretch of work between checkpoints


@dataclass(frozen=True)
class Task:
    """What is to be planned.

    Attributes:
        title: profile or store.
        seeds: of the trainings of each architecture.
        indices: (n,) the architecture of each training asked for.
        done: (n,) whether its entry is there.
        load: passes of one training.
        model: estimates seconds.
        measured: entries that were read for calibration.
    """

    title: str
    space: SearchSpace
    seeds: list[int]
    indices: NDArray[np.int32]
    done: NDArray[np.bool_]
    load: Workload
    images: Images
    memory: MemorySettings
    model: CostModel
    measured: Sequence[Entry]


def prepare(config: RunConfig, store: EntryStore | None, own: dict[str, Any]) -> Task:
    """Find out what is asked for, and calibrate."""
    if store is None:
        images = images_of_config(config.data)
        config.check_images(train=images.train, side=images.side, classes=images.classes)
        space = config.space.for_images(size=images.side, channels=images.channels, classes=images.classes)
        train, attack = asdict(config.train), asdict(config.attack)
    else:
        manifest = store.manifest()
        images, space = images_of_store(manifest), store.space()
        train, attack = train_settings(manifest["protocol"]), manifest["protocol"]["attack"]
    chosen = select(config.archs, space)
    seeds = select_seeds(config.seeds) if config.seeds else [config.seed]
    indices = np.repeat(space.indices(chosen), len(seeds))
    done = np.array([store is not None and store.entry_path(a, s).exists() for a in chosen for s in seeds])
    load = workload(train, attack, images, config.batch)
    measured = [] if store is None else sample_entries(store)
    macs = space.macs_many(indices=indices).astype(np.float64)
    precisions = tuple(
        automatic if part["precision"] == "auto" else str(part["precision"])
        for part, automatic in ((train, "bf16"), (attack, "tf32"))
    )
    if store is not None and measured:
        model = from_entries(measured, space, load, str(store.folder))
    elif own["gpu_days"]:
        model = from_total(own["gpu_days"], load, macs)
    elif own["gpu"] or own["tflops"]:
        model = from_peak(own["gpu"], own["tflops"], own["mfu"], (precisions[0], precisions[1]))
    else:
        model = from_published(NARES)
        if macs.min() < NARES.macs_many(indices=NARES.member_indices).min():
            far = "far from networks as small as these: train a few and say store="
            model = replace(model, basis=f"{model.basis}; {far}")
    memory = MemorySettings(
        train_batch=train["batch"],
        train_graphs=GRAPHS[train["loss"]],
        averaged=train["ema"] > 0,
        evaluation_batch=min(config.batch, images.most_evaluated),
        train_precision=precisions[0],
        test_precision=precisions[1],
        images=images.on_device,
        test_images=images.test,
        overhead=gigabytes(config.overhead_gb),
    )
    title = config.profile if store is None else f"{store.folder}, profile {manifest['profile']}"
    return Task(title, space, seeds, indices, done, load, images, memory, model, measured)


def sample_entries(store: EntryStore) -> list[Entry]:
    """At most `CALIBRATION_ENTRIES` entries, evenly over the names."""
    paths = sorted((store.folder / "entries").glob("[!.]*.json"))
    step = max(1, len(paths) / CALIBRATION_ENTRIES)
    return [read_entry(paths[int(k * step)]) for k in range(min(len(paths), CALIBRATION_ENTRIES))]


def report(task: Task, config: RunConfig, own: dict[str, Any]) -> dict[str, Any]:
    """Everything that the command prints, as plain data."""
    sizes, left = Sizes.of(task.space, task.indices), ~task.done
    train, test = task.model.seconds(task.load, sizes)
    out: dict[str, Any] = {
        "of": task.title,
        "trainings": len(task.indices),
        "done": int(task.done.sum()),
        "seeds": task.seeds,
        "epochs": task.load.epochs,
        "image_passes": {"training": task.load.train_passes, "evaluation": task.load.test_passes},
        "macs": float((task.load.train_passes + task.load.test_passes) * sizes.macs[left].sum()),
        "estimate": {
            "basis": task.model.basis,
            "training_error": task.model.train_error,
            "evaluation_error": task.model.test_error,
            "training_gpu_days": float(train[left].sum() / SECONDS_A_DAY),
            "evaluation_gpu_days": float(test[left].sum() / SECONDS_A_DAY),
        },
        "memory": describe_memory(task),
    }
    if left.any():
        out["estimate"]["gpu_days_each"] = _spread((train + test)[left] / SECONDS_A_DAY)
        shares = tuple(passes / task.load.test_passes for passes in task.load.attack_passes.values())
        jobs = Jobs(train[left] / task.load.epochs, test[left], task.load.epochs, own["checkpoint_epochs"], shares)
        out["schedule"] = describe_schedule(jobs, own, config.seed)
    return out


def describe_memory(task: Task) -> dict[str, Any]:
    """Memory by architecture, what fits on which card, and estimates beside measured peaks."""
    found = estimate_memory(task.space, np.unique(task.indices), task.memory)
    total, training = found.total, found.training + found.overhead
    cards = {}
    for size in CARDS_GB:
        at_once = size * GB // total
        counts = {
            "fit": at_once >= 1,
            "could_share": at_once >= 2,
            "training_fits": training <= size * GB,
        }
        cards[str(size)] = {key: int(which.sum()) for key, which in counts.items()}
    out: dict[str, Any] = {
        "architectures": len(total),
        "bytes": _spread(total.astype(np.float64)),
        "training_bytes": _spread(training.astype(np.float64)),
        "evaluation_batch": task.memory.evaluation_batch,
        "assumed_bytes": found.overhead,
        "cards_gb": cards,
    }
    on_cuda = [e for e in task.measured if str(e.provenance["hardware"]["device"]).startswith("cuda")]
    if peaks := [(e, float(e.provenance["peak_memory_mib"])) for e in on_cuda if e.provenance["peak_memory_mib"]]:
        ratios = []
        for entry, mib in peaks:
            batch = min(int(entry.provenance["evaluation_batch"]), task.images.most_evaluated)
            settings = replace(task.memory, evaluation_batch=batch)
            expected = estimate_memory(task.space, task.space.indices([entry.architecture]), settings).allocated[0]
            ratios.append(mib * 2**20 / expected)
        out["measured_over_estimated"] = {**_spread(np.array(ratios)), "entries": len(ratios)}
    return out


def describe_schedule(jobs: Jobs, own: dict[str, Any], seed: int) -> dict[str, Any]:
    """The undisturbed course, and what preemptions make of it."""
    gpus, rate = own["gpus"], own["preemptions_per_day"] / SECONDS_A_DAY
    out = {"gpus": gpus, "undisturbed": _days(simulate(jobs, gpus=gpus), gpus)}
    if not rate:
        return out
    if rate * jobs.longest_stretch > HOPELESS:
        raise ConfigError(
            f"preemptions_per_day={own['preemptions_per_day']:g}: the longest work between two checkpoints takes "
            f"{jobs.longest_stretch / 3600:.1f} hours and would be lost over and over; give fewer preemptions"
            + (", or checkpoint_epochs=1" if jobs.checkpoint_epochs > 1 else "")
        )
    rng = np.random.default_rng(seed)
    courses = [
        simulate(jobs, gpus=gpus, next_preemption=poisson(rate, rng), restart=60 * own["restart_minutes"])
        for _ in range(own["repetitions"])
    ]
    days = [_days(course, gpus) for course in courses]
    out["preempted"] = {key: _spread(np.array([one[key] for one in days])) for key in days[0]}
    out["preempted"] |= {key: own[key] for key in ("preemptions_per_day", "restart_minutes", "checkpoint_epochs")}
    out["preempted"]["repetitions"] = len(days)
    return out


def _days(course: Schedule, gpus: int) -> dict[str, float]:
    return {
        "wall_days": course.wall / SECONDS_A_DAY,
        "lost_gpu_days": course.lost / SECONDS_A_DAY,
        "lost_percent": 100 * course.lost / course.work if course.work else 0.0,
        "lost_in_tests_gpu_days": course.lost_in_tests / SECONDS_A_DAY,
        "restart_gpu_days": course.down / SECONDS_A_DAY,
        "tail_gpu_days": course.tail / SECONDS_A_DAY,
        "preemptions": float(course.preemptions),
    }


def _spread(values: NDArray[np.float64]) -> dict[str, float]:
    low, middle, high = np.quantile(values, (0, 0.5, 1))
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {
        "mean": float(values.mean()),
        "std": deviation,
        "min": float(low),
        "median": float(middle),
        "max": float(high),
    }


def plan(words: Sequence[str]) -> str:
    mine = [word for word in words if word.partition("=")[0] in OWN_KEYS]
    rest = [word for word in words if word not in mine]
    own = parse_words(mine, OWN_KEYS, ranges=RANGES)
    given = {word.partition("=")[0] for word in rest}
    check_keys(sorted(given), [*OWN_KEYS, *(key for key in KEYS if key in OF_RUN or key.startswith(PROTOCOL))])
    config = parse_command_line(rest if "archs" in given else ["archs=all", *rest])
    store = None
    if own["store"]:
        store = EntryStore(Path(own["store"]))
        if fixed := sorted(key for key in given if key.startswith(PROTOCOL)):
            raise ConfigError(f"{fixed[0]}=: a store has its own settings; leave it out, or leave store= out")
        if "profile" in given and config.profile != (kept := store.manifest()["profile"]):
            raise ConfigError(f"profile={config.profile}: {store.folder} is of profile {kept}; leave profile= out")
    bases = [f"{key}=" for key in ("gpu_days", "gpu", "tflops") if own[key]]
    if len(bases) > 1:
        raise ConfigError(f"{' and '.join(bases)} each say how long trainings take: give one of them")
    if own["mfu"] != MFU and bases not in (["gpu="], ["tflops="]):
        raise ConfigError(f"mfu={own['mfu']:g}: it goes with gpu= or tflops=; give one of them, or leave mfu= out")
    if not 0 < own["mfu"] <= 1:
        raise ConfigError(f"mfu={own['mfu']:g}: expected a share above 0, at most 1")
    task = prepare(config, store, own)
    found = report(task, config, own)
    return json.dumps(found, indent=1) if own["json"] else render(found)


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(plan, arguments)


if __name__ == "__main__":
    sys.exit(main())
