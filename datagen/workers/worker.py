"""What a worker process does for `datagen.run`: one training, from its claim to its entry.

A worker returns an `Outcome` and raises only errors that no other training would survive,
such as a broken GPU.  PyTorch is imported when a worker begins, not with this module, so
that a command with its workers elsewhere starts fast.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datagen.config import RunConfig, train_settings
from datagen.planning.workload import Workload, images_of_dataset, workload
from datagen.store.claims import Claim, Holder, LeaseLostError
from datagen.store.folder import EntryStore, training_key
from datagen.workers.sharing import hold_device
from datagen.workers.stopping import Stop, StoppedError, asking_on_signal
from nasbench_ar import Architecture, SearchSpace
from nasbench_ar.errors import ConfigError, ResultsError, TrainingError, WriteError, one_line

if TYPE_CHECKING:
    from datagen.training.pipeline import Generator
    from datagen.training.train import Watch

DONE, THERE, HELD, FAILED, EXHAUSTED, STOPPED, UNWRITABLE = (
    "done",  # its entry is stored
    "there",  # another worker's entry is
    "held",  # another worker is at it
    "failed",
    "exhausted",  # it failed too often before
    "stopped",  # at a checkpoint, as asked for
    "unwritable",  # the disk is full, or the like
)
TEST_SLOWDOWN = 1.75  # a pass of the paper's tests took so much longer than one of its trainings
_ready: dict[str, Generator] = {}  # of the command at hand
_pace: dict[str, float] = {}  # seconds of the last epoch of this process by MACs of its network, of the command at hand
_one_at_a_time = threading.Lock()  # a Dask worker may have several threads, but settings of PyTorch are global


@dataclass(frozen=True)
class Survey:
    """What a command must know before it can give out work.

    `facts` are of the dataset, `lines` for the user; `gpus` are those that one worker may choose from.
    """

    space: SearchSpace
    protocol: dict[str, Any]
    facts: dict[str, Any]
    lines: list[str]
    gpus: int


@dataclass(frozen=True)
class Order:
    """What all trainings of one command have in common; `command` is a name that no other command has."""

    config: RunConfig
    command: str
    stop: Stop


@dataclass(frozen=True)
class Outcome:
    """How one training ended; `text` is a summary of the entry, the reason, or who holds it."""

    kind: str
    architecture: Architecture
    seed: int
    title: str
    text: str = ""
    attempts: int = 0


def survey(order: Order) -> Survey:
    """Check a configuration where the work will be done; writes nothing."""
    with _one_at_a_time:
        generator = _generator(order)
    return Survey(generator.space, generator.protocol, generator.facts, generator.describe(), generator.gpus)


def attempt(order: Order, architecture: Architecture, seed: int, title: str) -> Outcome:
    """Train, test and store one architecture, unless another worker did or does."""
    outcome = functools.partial(Outcome, architecture=architecture, seed=seed, title=title)
    with _one_at_a_time, asking_on_signal(order.stop):
        store = EntryStore(order.config.store, order.config.lease)
        if store.entry_path(architecture, seed).exists():
            return outcome(THERE)
        if reason := order.stop.reason():
            return outcome(STOPPED, text=reason)
        generator = _generator(order)
        generator.claim()

        def check() -> None:
            if reason := order.stop.reason():
                raise StoppedError(reason)

        def on_device() -> Outcome:
            # Before the claim: it may take hours.
            with hold_device(generator, architecture, functools.partial(_note_on, title), check) as device:
                # The block ends without an error, whose frames would hold tensors while others get the card.
                return _ended(lambda: _claimed(order, generator.on_device(device), outcome), store, outcome)

        return _ended(on_device, store, outcome)


def _claimed(order: Order, generator: Generator, outcome: functools.partial[Outcome]) -> Outcome:
    store, training = generator.store, (outcome.keywords["architecture"], outcome.keywords["seed"])
    claim = store.claims.take(training_key(*training), device=str(generator.device), command=order.command)
    if isinstance(claim, Holder):
        return outcome(HELD, text=str(claim), attempts=store.failure(*training).attempts)
    with claim:
        return _with_claim(order, generator, claim, outcome)


def _ended(work: Callable[[], Outcome], store: EntryStore, outcome: functools.partial[Outcome]) -> Outcome:
    """The outcome of some work, also where an error ended it that concerns this training alone."""
    architecture, seed, title = (outcome.keywords[name] for name in ("architecture", "seed", "title"))
    try:
        return work()
    except LeaseLostError as error:
        note(f"{title}: {error}; it is left to the other worker")
        return outcome(HELD, text=str(error), attempts=store.failure(architecture, seed).attempts)
    except StoppedError as error:
        note(f"{title}: {error}")
        return outcome(STOPPED, text=str(error))
    except WriteError as error:
        return outcome(UNWRITABLE, text=str(error))
    except ResultsError as error:  # of its failure file, which must not be overwritten, or of the account of the GPU
        return outcome(FAILED, text=str(error))
    except Exception as error:
        from datagen.out_of_memory import is_out_of_memory  # with PyTorch

        if not is_out_of_memory(error):
            raise
        return outcome(FAILED, text=f"{type(error).__name__}: {one_line(error)}")


def _with_claim(order: Order, generator: Generator, claim: Claim, outcome: functools.partial[Outcome]) -> Outcome:
    store, config = generator.store, order.config
    architecture, seed, title = (outcome.keywords[name] for name in ("architecture", "seed", "title"))
    if store.entry_path(architecture, seed).exists():  # it may have appeared since the check before the claim
        return outcome(THERE)
    store.clear_partials(architecture, seed)
    past = store.failure(architecture, seed)
    if claim.taken_over is not None:
        note(f"{title}: taken over from {claim.taken_over}, which ended without a result")
        past = past.interrupted()
        store.record_failure(past)
    if past.attempts >= config.attempts and not config.retry:
        return outcome(EXHAUSTED, text=past.last_error, attempts=past.attempts)
    if not config.quiet:
        note(f"{title}: begins")
    watch = _watch(order, generator, claim, outcome)
    try:
        entry = generator.generate(architecture, seed, say=functools.partial(_note_on, title), watch=watch, past=past)
        kept = store.save(entry)
    except WriteError:
        claim.check()  # another worker may have cleared away what this one was writing
        raise
    except (TrainingError, ResultsError) as error:
        claim.check()
        past = past.failed(str(error), str(generator.device))
        store.record_failure(past)
        return outcome(FAILED, text=str(error), attempts=past.attempts)
    except Exception as error:
        if (interrupt := _interrupt_behind(error)) is not None:
            raise interrupt from None
        if not isinstance(error, LeaseLostError | StoppedError | ConfigError):
            store.record_failure(past.failed(f"{type(error).__name__}: {error}", str(generator.device)))
        raise
    if not kept:
        note(f"{title}: another worker's result is there already; it is kept, this one is dropped")
        return outcome(THERE)
    from datagen.training.pipeline import summary

    return outcome(DONE, text=summary(entry), attempts=past.attempts)


def _watch(order: Order, generator: Generator, claim: Claim, outcome: functools.partial[Outcome]) -> Watch:
    from datagen.training.train import Watch

    store, config = generator.store, order.config
    architecture, seed = outcome.keywords["architecture"], outcome.keywords["seed"]
    settings = generator.protocol
    load = workload(train_settings(settings), settings["attack"], images_of_dataset(generator.dataset), config.batch)
    macs = generator.space.macs(architecture)

    def stop(ahead: float) -> None:
        if reason := order.stop.reason(ahead):
            raise StoppedError(reason)

    class Guard(Watch):
        """Writes while the claim is held, and ends at a checkpoint when asked to."""

        def before_epoch(self, seconds: float) -> None:
            stop(seconds or macs * _pace.get(order.command, 0.0))
            self.began = time.perf_counter()

        def before_saving(self) -> None:
            claim.check()
            if store.entry_path(architecture, seed).exists():
                raise LeaseLostError("another worker has stored its result")

        def after_epoch(self, epoch: int) -> None:
            _pace[order.command] = (time.perf_counter() - self.began) / macs
            store.record_progress(architecture, seed, epoch, load.epochs)

        def before_attack(self, name: str, training_seconds: float, finished: dict[str, float]) -> None:
            stop(load.attack_passes[name] * seconds_a_pass(load, training_seconds, finished))

    return Guard()


def seconds_a_pass(load: Workload, training_seconds: float, finished: dict[str, float]) -> float:
    """Of a test, by its longer finished attacks or else by the training."""
    longer = [name for name in finished if name not in ("clean", "fgsm")]
    if passes := sum(load.attack_passes[name] for name in longer):
        return sum(finished[name] for name in longer) / passes
    return TEST_SLOWDOWN * training_seconds / load.train_passes


def _generator(order: Order) -> Generator:
    """Cached per process and command, with its images on the processor."""
    from datagen.training.pipeline import Generator

    if order.command not in _ready:
        generator = Generator.prepare(order.config)
        _ready.clear()
        _pace.clear()
        _ready[order.command] = generator
    return _ready[order.command]


def _interrupt_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """The signal that an error arose under; one that comes amid an import leaves modules behind that are half there."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


def _note_on(title: str, text: str) -> None:
    note(f"{title}: {text}")


def note(text: str) -> None:
    """Tell the user, on standard error, in one piece."""
    sys.stderr.write(f"datagen: {text}\n")
    sys.stderr.flush()
