"""Train and evaluate architectures, and store an entry for each (NARes, sections 3.2 and 3.3).

    python -m datagen.run archs=5-10-5-10-5-10 profile=cifar10 store=entries
    python -m datagen.run archs=1-100 profile=digits store=entries jobs=4
    python -m datagen.run --help

Stop it at any time: the same command goes on from the last finished epoch or attack.
Any number of commands, on any machines, may work on one store at the same time.

Exit codes: 0 when everything asked for has an entry; 1 when a training failed (the
others are done, and the reason is in the store); 2 for anything the user can mend, one
line on standard error; 3 when it ended earlier, as asked for by hours=, wait=false or
SIGUSR1; 130 when interrupted, 143 when terminated.
"""

from __future__ import annotations

import math
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from datagen.config import RunConfig, parse_command_line
from datagen.profiles import PROFILES
from datagen.selection import select, select_seeds
from datagen.store.folder import EntryStore, training_key
from datagen.workers import worker
from datagen.workers.stopping import Stop, asking_on_signal
from datagen.workers.worker import Order, Outcome, note
from nasbench_ar import Architecture
from nasbench_ar.errors import ConfigError, ResultsError, TrainingError, WriteError
from nasbench_ar.system.command import run_command
from nasbench_ar.system.engine import Engine
from nasbench_ar.system.key_values import describe_keys

POLL_SECONDS = 5.0
FAILURES_IN_A_ROW = 10  # a broken device must not use up the attempts of every training
Training = tuple[Architecture, int]


@dataclass
class Tally:
    """What is known of the trainings that a command was asked for."""

    done: set[Training] = field(default_factory=set)
    failed: dict[Training, str] = field(default_factory=dict)
    held: dict[Training, Outcome] = field(default_factory=dict)
    stopped: str = ""
    failures_in_a_row: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one outcome, and tell the user; raises when nothing can be written or too many fail in a row."""
        training = outcome.architecture, outcome.seed
        self.held.pop(training, None)
        if outcome.kind == worker.UNWRITABLE:
            raise WriteError(outcome.text)
        if outcome.kind in (worker.DONE, worker.THERE):
            self.done.add(training)
            if outcome.kind == worker.DONE:
                self.failures_in_a_row = 0
                print(outcome.text, flush=True)
        elif outcome.kind == worker.HELD:
            self.held[training] = outcome
            note(f"{outcome.title}: left to {outcome.text}")
        elif outcome.kind == worker.STOPPED:
            self.stopped = outcome.text
        else:
            self.failed[training] = outcome.text
            if outcome.kind == worker.EXHAUSTED:
                self.failed[training] += f" (failed {outcome.attempts} times; attempts= or retry=true tries again)"
            note(f"{outcome.title}: failed: {self.failed[training]}")
            self.failures_in_a_row += outcome.kind == worker.FAILED
            if self.failures_in_a_row >= FAILURES_IN_A_ROW:
                raise TrainingError(
                    f"{FAILURES_IN_A_ROW} trainings in a row failed, the last because: {outcome.text}; look at the "
                    "device and the settings before the same command goes on"
                )


def run(config: RunConfig) -> int:
    """Carry out a configuration; returns the exit code."""
    config.check()
    if config.dask:  # its workers may have another working directory
        config = replace(config, store=str(Path(config.store).absolute()))
    store = EntryStore(config.store, config.lease)
    command = uuid.uuid4().hex
    hours = math.inf if config.hours is None else config.hours
    order = Order(config, command, Stop(store.claims.folder / f".{command}.stop", time.time(), hours))
    with asking_on_signal(order.stop):
        # Workers of a scheduler know their own devices and data; workers of this machine are like this process.
        if config.dask:
            engine = Engine(config.engine, dask=config.dask)
            (found,) = engine.run(worker.survey, [(order,)])
        else:
            found = worker.survey(order)
            engine = Engine(config.engine, workers_on(found.gpus, config))
        chosen = select(config.archs, found.space)
        seeds = select_seeds(config.seeds) if config.seeds else [config.seed]
        store.claim(config.profile, found.protocol, found.facts)
        for line in found.lines:
            note(line)
        ids = {architecture: found.space.arch_id(architecture) for architecture in chosen}
        macs = found.space.macs_many(chosen).tolist()
        longest_first = sorted(zip(chosen, macs, strict=True), key=lambda pair: (-pair[1], ids[pair[0]]))
        trainings = [(architecture, seed) for architecture, _ in longest_first for seed in seeds]
        store.record_asked(trainings)
        try:
            tally = _carry_out(engine, order, store, trainings, several_seeds=len(seeds) > 1)
        finally:
            _clean_up(store, order)
    return _report(store, tally, len(trainings), several_seeds=len(seeds) > 1)


def workers_on(gpus: int, config: RunConfig) -> int:
    """How many workers there are; GPUs that are not shared have one each."""
    jobs = config.jobs or (gpus if config.device == "all" else 1)
    number = Engine(config.engine, jobs).processes()
    if gpus and number > gpus and not config.share:
        where = f"one GPU, device={config.device}" if config.device != "all" else f"{gpus} visible GPUs"
        raise ConfigError(
            f"jobs={jobs}: {number} trainings at a time on {where}; say device=all without jobs= for one on each "
            "visible GPU, share=true for as many as there is memory for, or fewer jobs"
        )
    return jobs


def _carry_out(
    engine: Engine, order: Order, store: EntryStore, trainings: Sequence[Training], *, several_seeds: bool
) -> Tally:
    tally = Tally()
    tasks = []
    for number, (architecture, seed) in enumerate(trainings, 1):
        title = f"{architecture}{f' seed {seed}' if several_seeds else ''} ({number} of {len(trainings)})"
        try:
            if store.has(architecture, seed):
                tally.done.add((architecture, seed))
                continue
        except ResultsError as error:  # it is damaged, and never overwritten
            tally.failed[architecture, seed] = str(error)
            note(f"{title}: {error}")
            continue
        tasks.append((order, architecture, seed, title))
    if tally.done:
        note(f"{len(tally.done)} of {len(trainings)} trainings have an entry in {order.config.store} already")
    while tasks:
        with closing(engine.run(worker.attempt, tasks)) as outcomes:  # type: ignore[type-var]
            for outcome in outcomes:
                tally.add(outcome)
        if not tally.held or not order.config.wait or tally.stopped:
            break
        note(f"waiting for others, who are working on {len(tally.held)} of the trainings")
        tasks = [(order, held.architecture, held.seed, held.title) for held in _wait(order, store, tally)]
    return tally


def _wait(order: Order, store: EntryStore, tally: Tally) -> list[Outcome]:
    """Wait until others finish or lose a training; returns those that are free again."""
    pause = min(POLL_SECONDS, order.config.lease / 3)
    waited = pause / 16  # another is often about to end
    while tally.held:
        now = store.claims.now()
        free = []
        for (architecture, seed), held in list(tally.held.items()):
            if store.entry_path(architecture, seed).exists():
                tally.add(replace(held, kind=worker.THERE))
            elif store.claims.free(store.claims.holder(training_key(architecture, seed), now)):
                failure = store.failure(architecture, seed)
                if failure.attempts > held.attempts:  # it would probably fail here too
                    tally.add(replace(held, kind=worker.FAILED, text=failure.last_error))
                else:
                    free.append(held)
        if free:
            return free
        if reason := order.stop.reason():
            tally.stopped = reason
            return []
        if tally.held:
            time.sleep(waited)
            waited = min(2 * waited, pause)
    return []


def _clean_up(store: EntryStore, order: Order) -> None:
    try:
        store.tidy(order.command)
        if not (order.config.dask and order.stop.marker.exists()):  # workers elsewhere may still have to see it
            order.stop.marker.unlink(missing_ok=True)
    except OSError:  # the worker that had to write reports an unwritable store
        pass


def _report(store: EntryStore, tally: Tally, asked: int, *, several_seeds: bool) -> int:
    print(f"{store.folder}: {len(tally.done)} of {asked} trainings have an entry")
    for (architecture, seed), reason in tally.failed.items():
        print(f"failed: {architecture}{f' seed {seed}' if several_seeds else ''}: {reason}")
    if tally.held:
        print(f"others are working on {len(tally.held)} of them")
    if tally.stopped:
        print(f"ended early: {tally.stopped}; what is done is kept, and a command of the same store goes on from there")
    if tally.failed:
        return 1
    return 0 if len(tally.done) == asked else 3


def usage() -> str:
    return (
        "usage: python -m datagen.run archs=... [key=value ...]\n\n"
        f"keys and their defaults under profile=cifar10:\n{describe_keys(RunConfig())}\n"
        f"profiles: {', '.join(PROFILES)}; what they change is in datagen/profiles.py"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    kept = "the same command goes on from the last finished epoch or attack"
    return run_command(lambda words: run(parse_command_line(words)), arguments, kept=kept)


if __name__ == "__main__":
    sys.exit(main())
