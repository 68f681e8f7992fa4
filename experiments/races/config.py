"""The keys of a race, and the words that give them.

    searcher=bananas searcher.members=10 runs=100
    searcher._target_=my_module.MySearcher searcher.temperature=0.5

The arguments of searchers are read from their constructors, so that every hyperparameter
has its default in one place.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from nasbench_ar import load
from nasbench_ar.errors import ConfigError, NasbenchError, first_line, shown
from nasbench_ar.library import default_folder, installed
from nasbench_ar.system.command import docstring
from nasbench_ar.system.engine import Engine
from nasbench_ar.system.key_values import (
    any_value,
    as_word,
    check_keys,
    describe_keys,
    paragraph,
    read_words,
    split_words,
)
from nasbench_ar.training_cost import UNITS
from searchers import ALL_SEARCHERS, Searcher, hyperparameters
from searchers.fidelity import FIDELITY_SEARCHERS, FidelitySearcher

MOST_SEEDS = 2**32
MOST_RUNS = 1_000_000
MOST_IMAGES = 10_000_000
MOST_WORKERS = 10_000  # simulated machines
LARGEST_ARGUMENT = 2**63 - 1
ALL = "all"  # every searcher, or every track
KEPT = "finished runs are kept, the same command goes on from there"
LONGEST_NAME = 200  # bytes; file systems take 255, temporary names need some of them
NOISES = ("none", "run", "query")
CONDITIONS = ("constraint", "noise", "images")  # what a searcher may not choose, or does not see


def is_folder_name(name: str) -> bool:
    visible = bool(name) and name.isprintable() and not set(name) & set("/\\") and not name.startswith(".")
    return visible and len(name.encode()) <= LONGEST_NAME


def check_images(images: int | None, noise: str) -> None:
    if images is not None and (noise == "none" or not 1 <= images <= MOST_IMAGES):
        raise ConfigError(
            f"images={shown(images)}: expected an integer from 1 to {MOST_IMAGES}, together with noise=run or query"
        )


@dataclass
class RunConfig:
    """What one experiment is; every field is a key of the command line.

    Attributes:
        table: name or folder of a table; null takes the best one at hand.
        objective: metric that guides the search, or several, separated by commas; null takes the table's default.
        queries: unique architectures per run.
        runs: number of seeded runs.
        seed: seed of the first run; the others follow.
        jobs: processes; -1 takes every core.
        engine: `loky`, processes on this machine, or `dask`.
        dask: address or file of a running Dask scheduler; null starts Dask on this machine.
        out: folder for results.
        name: name of the result folder; null takes the searcher's.
        overwrite: replace stored results of another configuration.
        table_seed: training seed to look up, or `mean` over those there are.
        allow_test_objective: let a test metric guide the search (analyses only).
        constraint: limits such as macs<=10e9, several separated by commas.
        noise: redraw the validation images of what the search sees: none, run (one table per run) or query.
        images: validation images that noise= draws; null takes the table's number.
        quiet: say nothing of progress; warnings, errors and results remain.
        foot: end pictures with a line on where their numbers come from.
        searcher: `_target_`, the class, and its arguments.
    """

    table: str | None = None
    objective: str | None = None
    queries: int = 500
    runs: int = 400
    seed: int = 0
    jobs: int = -1
    engine: str = "loky"
    dask: str | None = None
    out: str = "results"
    name: str | None = None
    overwrite: bool = False
    table_seed: Any = "mean"
    allow_test_objective: bool = False
    constraint: str | None = None
    noise: str = "none"
    images: int | None = None
    quiet: bool = False
    foot: bool = True
    searcher: dict[str, Any] = field(default_factory=dict)

    @property
    def searcher_name(self) -> str:
        """Name of the result folder."""
        if self.name:
            return self.name
        known = {target_of(cls): name for name, cls in (ALL_SEARCHERS | FIDELITY_SEARCHERS).items()}
        target = str(self.searcher["_target_"])
        return known.get(target, target.rpartition(".")[2])

    @property
    def arguments(self) -> dict[str, Any]:
        """The searcher's constructor arguments."""
        return {key: value for key, value in self.searcher.items() if key != "_target_"}

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.runs)

    @property
    def parallel(self) -> Engine:
        return Engine(self.engine, self.jobs, self.dask)

    def check(self) -> None:
        """Refuse values that no experiment can have."""
        for key, least in (("queries", 1), ("runs", 1), ("seed", 0)):
            if getattr(self, key) < least:
                raise ConfigError(f"{key}={getattr(self, key)}: expected an integer of at least {least}")
        if self.runs > MOST_RUNS:
            raise ConfigError(f"runs={self.runs}: expected at most {MOST_RUNS}")
        if self.seed + self.runs > MOST_SEEDS:
            raise ConfigError(f"seed={self.seed}: seeds must stay below {MOST_SEEDS}")
        if not self.out or self.table == "" or "\0" in self.out + (self.table or ""):
            raise ConfigError("out= and table= take a name or a folder; leave them out for their defaults")
        _ = self.parallel  # refuses what does not fit together
        for key, value in self.arguments.items():
            if isinstance(value, int) and abs(value) > LARGEST_ARGUMENT:  # arrays and floats may not hold it
                raise ConfigError(f"searcher.{key}={shown(value)}: expected a number of at most 64 bits")
        if isinstance(self.table_seed, bool) or not (self.table_seed == "mean" or isinstance(self.table_seed, int)):
            raise ConfigError(f"table_seed={self.table_seed!r}: expected an integer or mean")
        if self.noise not in NOISES:
            raise ConfigError(f"noise={self.noise!r}: expected one of {', '.join(NOISES)}")
        check_images(self.images, self.noise)
        if self.name is not None and not is_folder_name(self.name):
            raise ConfigError(f"name={shown(self.name)}: expected a plain folder name of at most {LONGEST_NAME} bytes")


@dataclass
class FidelityConfig(RunConfig):
    """What one experiment is; every field is a key of the command line.

    Attributes:
        budget: training per run, in units; null takes that of 50 whole trainings, or of half the space.
        unit: `epochs`, or `gpu_days` as measured or else estimated from MACs.
        workers: simulated machines that train at a time.
        objective: metric that guides the search, by its curve; null takes the table's default.
    """

    runs: int = 100
    budget: float | None = None
    unit: str = "epochs"
    workers: int = 1

    def check(self) -> None:
        super().check()
        if self.objective and "," in self.objective:
            raise ConfigError(f"objective={shown(self.objective)}: epochs are bought for one metric; name one")
        if self.unit not in UNITS:
            raise ConfigError(f"unit={self.unit!r}: expected {' or '.join(UNITS)}")
        if self.budget is not None and not (math.isfinite(self.budget) and self.budget > 0):
            raise ConfigError(f"budget={self.budget}: expected a positive number of {self.unit}")
        if not 1 <= self.workers <= MOST_WORKERS:
            raise ConfigError(f"workers={self.workers}: expected an integer from 1 to {MOST_WORKERS}")


@dataclass(frozen=True)
class Front:
    """A command that takes a searcher.

    Attributes:
        searchers: those it knows by name.
        base: what every searcher is a subclass of.
        hidden: fields of the schema that are no keys of this command.
        curves: whether it needs the learning curve of its objective.
    """

    schema: type[RunConfig]
    searchers: Mapping[str, type]
    base: type
    default: str
    hidden: tuple[str, ...] = ()
    curves: bool = False

    @property
    def keys(self) -> list[str]:
        return [f.name for f in fields(self.schema) if f.name not in self.hidden]


RACES = Front(RunConfig, ALL_SEARCHERS, Searcher, "gp")  # the best on the suite (docs/suite.md)
FIDELITY_RACES = Front(
    FidelityConfig,
    FIDELITY_SEARCHERS,
    FidelitySearcher,
    default="hyperband",
    hidden=("queries", "allow_test_objective", *CONDITIONS),
    curves=True,
)


def target_of(cls: type) -> str:
    """Dotted path of a class, as `_target_` takes it."""
    return f"{cls.__module__}.{cls.__qualname__}"


def searcher_class(target: str, base: type = Searcher) -> type[Any]:
    """Import a subclass of `base` by its dotted path."""
    module_name, _, class_name = target.rpartition(".")
    if not module_name or not all(part.isidentifier() for part in target.split(".")):
        raise ConfigError(f"searcher._target_={shown(target)}: expected module.Class")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise  # the user's module exists; something it imports does not
        raise ConfigError(
            f"searcher._target_={target!r}: there is no module {error.name!r}; "
            "start the command in the folder that holds it, or put that folder on PYTHONPATH"
        ) from error
    found = getattr(module, class_name, None)
    parent = f"{base.__module__.removesuffix('.base')}.{base.__name__}"
    if not (isinstance(found, type) and issubclass(found, base)):
        there = [n for n, c in vars(module).items() if isinstance(c, type) and issubclass(c, base)]
        raise ConfigError(
            f"searcher._target_={target!r}: {module_name} has no subclass of {parent} of that name; "
            f"it has {', '.join(there) or 'none'}"
        )
    return found


def parse_command_line(
    words: Sequence[str], front: Front = RACES, *, searcher: Mapping[str, Any] | None = None, **fixed: Any
) -> Any:
    """Turn words into a checked instance of the front's schema; `searcher` and `fixed` replace defaults."""
    pairs = split_words(words)
    check_keys([key.partition(".")[0] for key, _ in pairs], front.keys)
    named = [(key, text) for key, text in pairs if key.partition(".")[0] == "searcher"]
    rest = [(key, text) for key, text in pairs if key.partition(".")[0] != "searcher"]
    config = read_words(rest, front.schema(searcher=_searcher(named, front, searcher or {}), **fixed))
    config.check()
    return config


def without_all(words: Sequence[str]) -> tuple[list[str], bool]:
    """The words without `searcher=all`, and whether none of them is on a searcher."""
    rest = [word for word in words if word != f"searcher={ALL}"]
    everyone = not any(word.startswith("searcher") for word in rest)
    if len(rest) < len(words) and not everyone:
        raise ConfigError(f"searcher={ALL} names every searcher; name one, or none")
    return rest, everyone


def _searcher(pairs: Sequence[tuple[str, str]], front: Front, unnamed: Mapping[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for key, text in pairs:
        if argument := key.partition(".")[2]:
            arguments[argument] = text if argument == "_target_" else any_value(key, text)
    names = [text for key, text in pairs if key == "searcher"]
    if not names and "_target_" in arguments:
        return arguments
    if not names and unnamed:
        return {**unnamed, **arguments}
    settings = [named_searcher(name, front) for name in names or [front.default]][-1]
    for argument in arguments:
        if argument not in settings:
            takes = ", ".join(key for key in settings if key != "_target_") or "none at all"
            name = names[-1] if names else front.default
            raise ConfigError(f"searcher {name} has no argument {shown(argument)}; it takes {takes}")
    return settings | arguments


def named_searcher(name: str, front: Front = RACES) -> dict[str, Any]:
    """`_target_` and default arguments of a searcher that a command knows by name."""
    if name not in front.searchers:
        raise ConfigError(
            f"unknown searcher {shown(name)}; known: {', '.join(front.searchers)}; "
            "or your own by searcher._target_=my_module.MySearcher"
        )
    return {"_target_": target_of(front.searchers[name]), **hyperparameters(front.searchers[name])}


HELP = """{about}

usage: {program} [key=value ...]

keys and defaults:
{keys}{more}{searchers}{at_hand}
Documentation: {docs} in the repository."""
SEARCHERS = """
searchers and their arguments (searcher=NAME searcher.ARGUMENT=VALUE):
{searchers}  your own: searcher._target_=my_module.MySearcher searcher.ARGUMENT=VALUE
"""


def help_text(
    program: str,
    module: str,
    docs: str,
    *,
    hidden: Sequence[str] = (),
    more: str = "",
    default: str | None = None,
    front: Front = RACES,
) -> str:
    """What `--help` prints; hiding `searcher` leaves out the searchers too, `more` has lines on other keys."""
    first = paragraph(f"searcher={default or front.default}", "one of the searchers below, or your own")
    first = "" if "searcher" in hidden else first
    blocks = []
    for name, cls in front.searchers.items():
        settings = [f"{key}={as_word(value)}" for key, value in hyperparameters(cls).items()]
        blocks.append(paragraph(f"{name}:", ", ".join(settings) or "no arguments"))
    return HELP.format(
        program=program,
        about=docstring(module).strip(),
        keys=first + describe_keys(front.schema(), {"searcher", *hidden, *front.hidden}),
        more=more,
        searchers="" if "searcher" in hidden else SEARCHERS.format(searchers="".join(blocks)),
        at_hand=_at_hand(front),
        docs=docs,
    )


def _at_hand(front: Front) -> str:
    blocks = []
    try:
        taken = default_folder().name
        for name in sorted(installed()):
            oracle = load(name, quiet=True)
            guides = [m for m in oracle.metrics if oracle.metric(m).searchable]
            if front.curves:
                guides = [m for m in guides if oracle.metric(m).curve in oracle.table.curve_names]
            own = f"{oracle.table.default_objective} by default; " if guides else ""
            blocks.append(paragraph(f"{name}:", f"{own}{', '.join(guides) or 'none, since it has no learning curves'}"))
    except (NasbenchError, OSError) as error:
        return f"\ntables at hand cannot be read: {first_line(error)}\n"
    return f"\ntables at hand (table=null takes {taken}) and their metrics for objective=:\n{''.join(blocks)}"
