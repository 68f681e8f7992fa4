"""The command line: Hydra's `key=value` syntax, composed into a `RunConfig`.

    searcher=bananas searcher.members=10 runs=100
    searcher._target_=my_module.MySearcher searcher.temperature=0.5

Config groups for all searchers are made from their constructors, so that every
hyperparameter has its default in one place.
"""

from __future__ import annotations

import difflib
import importlib
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nasbench_ar import METRICS, load
from nasbench_ar.errors import ConfigError, NasbenchError, first_line, shown
from nasbench_ar.library import default_folder, installed
from nasbench_ar.system.command import carry_out, docstring
from nasbench_ar.system.engine import Engine
from nasbench_ar.system.process import require_open_files
from searchers import ALL_SEARCHERS, Searcher, hyperparameters
from searchers.fidelity import FIDELITY_SEARCHERS

CUSTOM = "custom"
MOST_SEEDS = 2**32
MOST_RUNS = 1_000_000
LARGEST_ARGUMENT = 2**63 - 1
LONGEST_NAME = 200  # bytes; file systems take 255, temporary names need some of them
MOST = 10_000_000  # numbers that the small commands take
NOISES = ("none", "run", "query")
CONDITIONS = ("constraint", "noise", "images")  # keys of what a searcher may not choose, or does not see
QUOTED_KEYS = ("table", "out", "name", "dask", "objective", "constraint")


def is_folder_name(name: str) -> bool:
    """Whether a word can name a visible folder: printable, not too long, without slashes, not beginning with a dot."""
    visible = bool(name) and name.isprintable() and not set(name) & set("/\\") and not name.startswith(".")
    return visible and len(name.encode()) <= LONGEST_NAME


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
    def parallel(self) -> Engine:
        """What carries out the runs."""
        return Engine(self.engine, self.jobs, self.dask)

    def check(self) -> None:
        """Refuse values that no experiment can have.

        Raises:
            ConfigError: naming the key, the value and what is allowed.
        """
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
            if isinstance(value, int) and abs(value) > LARGEST_ARGUMENT:  # neither arrays nor floats need hold it
                raise ConfigError(f"searcher.{key}={shown(value)}: expected a number of at most 64 bits")
        if isinstance(self.table_seed, bool) or not (self.table_seed == "mean" or isinstance(self.table_seed, int)):
            raise ConfigError(f"table_seed={self.table_seed!r}: expected an integer or mean")
        if self.noise not in NOISES:
            raise ConfigError(f"noise={self.noise!r}: expected one of {', '.join(NOISES)}")
        if self.images is not None and (self.noise == "none" or self.images < 1):
            raise ConfigError(
                f"images={self.images}: expected a positive number, together with noise=run or noise=query"
            )
        if self.name is not None and not is_folder_name(self.name):
            raise ConfigError(f"name={shown(self.name)}: expected a plain folder name of at most {LONGEST_NAME} bytes")


@dataclass(frozen=True)
class Front:
    """A command that takes a searcher.

    Attributes:
        schema: dataclass of its keys, `RunConfig` or a subclass.
        searchers: those it knows by name.
        base: what every searcher is a subclass of.
        default: the searcher when none is named.
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
        """What the command line may name."""
        return [f.name for f in fields(self.schema) if f.name not in self.hidden]


RACES = Front(RunConfig, ALL_SEARCHERS, Searcher, "bananas")


def target_of(cls: type) -> str:
    """Dotted path of a class, as `_target_` takes it."""
    return f"{cls.__module__}.{cls.__qualname__}"


def searcher_class(target: str, base: type = Searcher) -> type[Any]:
    """Import a searcher by its dotted path.

    Args:
        target: the path.
        base: what it must be a subclass of.

    Raises:
        ConfigError: when there is no such module or class, or it is no such searcher.
    """
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


def parse_command_line(arguments: Sequence[str], front: Front = RACES, **fixed: Any) -> Any:
    """Turn `key=value` words into a checked configuration.

    Args:
        arguments: the words, without the program's name.
        front: the command.
        fixed: values that replace a field's default.

    Returns:
        An instance of the front's schema.

    Raises:
        ConfigError: on an unknown key, searcher or value; lists the valid ones.
    """
    words = _prepare(arguments, front)
    root = _register(front)
    try:
        with initialize(version_base="1.3", config_path=None):
            composed = compose(config_name=root, overrides=[*words])
        values: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException, OverflowError) as error:  # a whole number beyond all floats
        raise ConfigError(first_line(error)) from error
    given = {word.lstrip("+~").split("=")[0] for word in words}
    values |= {key: value for key, value in fixed.items() if key not in given}
    config = front.schema(**values)
    config.check()
    return config


def parse_words(
    arguments: Sequence[str], defaults: Mapping[str, str | int], ranges: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, Any]:
    """Read `key=value` words of the small commands; a default that is a number asks for one.

    Args:
        arguments: the words.
        defaults: of all keys.
        ranges: least and largest number of a key, where it is not 0 to 10 million.

    Raises:
        ConfigError: on other words or keys, or what is no number in the key's range.
    """
    out: dict[str, Any] = dict(defaults)
    for word in arguments:
        key, mark, value = word.partition("=")
        if not mark or key not in defaults:
            raise ConfigError(f"{shown(word)}: expected {', '.join(f'{known}=' for known in defaults)}")
        if isinstance(defaults[key], int):
            least, most = (ranges or {}).get(key, (0, MOST))
            if not (value.isascii() and value.isdigit() and len(value) < 9 and least <= int(value) <= most):
                raise ConfigError(f"{key}={shown(value)}: expected a number from {least} to {most}")
            out[key] = int(value)
        else:
            out[key] = value
    return out


def _register(front: Front) -> str:
    """Store the configuration of a command; returns the name of its root."""
    store = ConfigStore.instance()
    schema, root = f"nasbench_ar_{front.schema.__name__}_schema", f"nasbench_ar_{front.schema.__name__}"
    store.store(name=schema, node=OmegaConf.structured(front.schema))
    store.store(name=root, node={"defaults": [schema, {"searcher": front.default}, "_self_"]})
    for name, cls in front.searchers.items():
        store.store(group="searcher", name=name, node={"_target_": target_of(cls), **hyperparameters(cls)})
    store.store(group="searcher", name=CUSTOM, node={"_target_": MISSING})
    return root


def _prepare(arguments: Sequence[str], front: Front) -> list[str]:
    """Check keys and make `searcher._target_=...` stand for a searcher without further defaults."""
    for word in arguments:
        if word.startswith("-") or not ("=" in word or word.startswith("~")):
            raise ConfigError(f"{shown(word)}: expected key=value, as runs=3; --help lists the keys")
    arguments = [_quoted(word) for word in arguments]
    try:
        overrides = OverridesParser.create().parse_overrides(arguments)
    except HydraException as error:
        reason = first_line(error)
        reason = "" if "Exception" in reason else f" ({reason})"  # the name of a parser's class tells nobody anything
        raise ConfigError(
            f"cannot read {shown(' '.join(arguments), 300)}: words have the form key=value, and a value with special "
            f"characters stands in quotes, key='\"value\"'{reason}"
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"cannot read {shown(' '.join(arguments))}: {first_line(error)}") from error
    for override in overrides:
        if override.is_delete():
            raise ConfigError(f"{override.input_line!r}: nothing can be removed from the configuration")
        root = override.key_or_group.split(".")[0]
        if root not in front.keys:
            close = difflib.get_close_matches(root, front.keys, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ConfigError(f"unknown key {root!r}; {hint}valid keys: {', '.join(front.keys)}")
    groups = [str(o.value()) for o in overrides if o.key_or_group == "searcher"]
    group = groups[-1] if groups else None  # the last word counts, as for every key
    if unknown := [name for name in groups if name not in front.searchers]:
        raise ConfigError(
            f"unknown searcher {shown(unknown[0])}; known: {', '.join(front.searchers)}; "
            "or your own by searcher._target_=my_module.MySearcher"
        )
    if group is None and any(o.key_or_group == "searcher._target_" for o in overrides):
        added = [
            w if not w.startswith("searcher.") or w.startswith("searcher._target_=") else f"++{w}" for w in arguments
        ]
        return [f"searcher={CUSTOM}", *added]
    _check_arguments(group or front.default, overrides, front)
    return arguments


def _quoted(word: str) -> str:
    """Paths, lists and limits may hold characters that mean something in Hydra's syntax."""
    key, mark, value = word.partition("=")
    if not mark or key not in QUOTED_KEYS or value in ("", "null") or value[0] in "'\"":
        return word
    escaped = value.replace("'", "\\'")
    return f"{key}='{escaped}'"


def _check_arguments(group: str, overrides: Sequence[Any], front: Front) -> None:
    known = hyperparameters(front.searchers[group])
    for override in overrides:
        root, _, argument = override.key_or_group.partition(".")
        if root == "searcher" and argument and argument.split(".")[0] not in (*known, "_target_"):
            raise ConfigError(
                f"searcher {group} has no argument {argument!r}; it takes {', '.join(known) or 'none at all'}"
            )


HELP = """{about}

usage: {program} [key=value ...]

keys and defaults:
{keys}{more}{searchers}{at_hand}
Documentation: {docs} in the repository.
"""
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
    """What `--help` prints.

    Args:
        program: how the command is called.
        module: its module's name, whose docstring says what it does.
        docs: where more about it stands.
        hidden: keys that it does not take; without `searcher`, the searchers are left out too.
        more: lines on keys that are not the front's.
        default: the searcher when none is named; the front's by default.
        front: the command.
    """
    said = [docstring(cls) for cls in reversed(front.schema.__mro__) if issubclass(cls, RunConfig)]
    lines = [line.strip() for doc in said for line in doc.partition("Attributes:")[2].splitlines()]
    words = dict(line.replace("`", "").rstrip(".").split(": ", 1) for line in lines if ": " in line)
    words["searcher"] = "one of the searchers below, or your own"
    defaults = {f.name: _shown(getattr(front.schema(), f.name)) for f in fields(front.schema)}
    defaults["searcher"] = default or front.default
    keys = ["searcher", *(key for key in front.keys if key != "searcher")]
    blocks = []
    for name, cls in front.searchers.items():
        settings = [f"{key}={_shown(value)}" for key, value in hyperparameters(cls).items()]
        blocks.append(_entry(f"{name}:", ", ".join(settings) or "no arguments"))
    return HELP.format(
        program=program,
        about=docstring(module).strip(),
        keys="".join(_entry(f"{key}={defaults[key]}", words.get(key, "")) for key in keys if key not in hidden),
        more=more,
        searchers="" if "searcher" in hidden else SEARCHERS.format(searchers="".join(blocks)),
        at_hand=_at_hand(front),
        docs=docs,
    )


def _entry(first: str, text: str) -> str:
    return textwrap.fill(text, 100, initial_indent=f"  {first:28} ", subsequent_indent=" " * 31) + "\n"


def _at_hand(front: Front) -> str:
    """Which tables there are, and which of their metrics may guide a search."""
    blocks = []
    try:
        taken = default_folder().name
        for name in sorted(installed()):
            oracle = load(name, quiet=True)
            guides = [m for m in oracle.metrics if METRICS[m].searchable]
            if front.curves:
                guides = [m for m in guides if METRICS[m].curve in oracle.table.curve_names]
            own = f"{oracle.table.default_objective} by default; " if guides else ""
            blocks.append(_entry(f"{name}:", f"{own}{', '.join(guides) or 'none, since it has no learning curves'}"))
    except (NasbenchError, OSError) as error:
        return f"\ntables at hand cannot be read: {first_line(error)}\n"
    return f"\ntables at hand (table=null takes {taken}) and their metrics for objective=:\n{''.join(blocks)}"


def _shown(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def main_with_errors(
    main: Callable[[list[str]], None], arguments: Sequence[str] | None = None, *, runs: bool = False
) -> int:
    """Run a command's main, which stores runs or not; returns its exit code."""

    def work(words: list[str]) -> None:
        require_open_files()
        os.environ["MPLBACKEND"] = "Agg"  # pictures are files; another value may be none that matplotlib knows
        main(words)

    kept = "finished runs are kept, the same command goes on from there" if runs else ""
    return carry_out(work, arguments, kept=kept)
