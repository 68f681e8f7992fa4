"""Odd words on the command lines of the experiments."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from experiments.races.config import FIDELITY_RACES as FIDELITY
from experiments.races.config import NOISES, RACES, Front, parse_command_line, searcher_class, target_of
from nasbench_ar.errors import ConfigError
from nasbench_ar.system.key_values import MOST, parse_words
from nasbench_ar.training_cost import UNITS
from searchers import hyperparameters
from tests.fuzzing import Reader

RUN = Reader("command line: experiments.run, table2", ConfigError)
FIDELITY_RUN = Reader("command line: experiments.fidelity", ConfigError)
WORDS = Reader("command line: the small commands", ConfigError)

GOOD = {
    "runs": ("1", "400", "0", "-1", "2.0", "1e3", "4294967296"),
    "queries": ("5", "0", "1_000", "9" * 400, "9" * 5000),
    "seed": ("0", "7", "-1", "4294967295"),
    "jobs": ("-1", "2", "0", "-7"),
    "engine": ("loky", "dask", "mpi"),
    "dask": ("tcp://host:8786", "null", "a b", "[1,2]"),
    "table": ("nares-figures", "a/b=c", "null", "'"),
    "objective": ("val_pgd_acc", "val_pgd_acc,macs", "[a,b]"),
    "constraint": ("macs<=10e9", "macs<=1,params>=2", "${oc.env:HOME}"),
    "name": ("mine", "a/b", ".x", "..", "null", "${name}"),
    "out": ("results", "", "a\nb", "${out}"),
    "overwrite": ("true", "yes", "2", "null"),
    "table_seed": ("mean", "3", "3.5", "null", "true", "[1]", "{a: 1}", "9" * 30),
    "noise": ("run", "query", "none", "null"),
    "images": ("100", "0", "-5", "null"),
    "allow_test_objective": ("true", "1", "x"),
    "searcher": ("bananas", "random_search", "hyperband", "custom", "null", "[a]", "{_target_: x}", "bananas/../x"),
    "searcher.members": ("3", "9" * 400, "null", "x"),
    "searcher._target_": (
        "searchers.RandomSearch",
        "searchers.Searcher",
        "searchers.nothing.There",
        "NoModule",
        "a..b",
        ".a",
        "null",
        "5",
        "[x]",
        "math.pi",
        "\x00.A",
        "searchers\n.A",
    ),
    "searcher.what": ("1",),
    "budget": ("100", "1e9", "9" * 400, "-1", "nan", "inf", "null", "[]"),
    "unit": ("epochs", "gpu_days", "days"),
    "workers": ("1", "10000", "10001", "0"),
    "hydra.run.dir": ("/tmp/x",),
    "defaults": ("[]",),
    "run": ("5",),
    "": ("5",),
}
_VALUES = [value for values in GOOD.values() for value in values]
_ODD = st.sampled_from(
    [
        "",
        "'",
        '"',
        "\\",
        "{",
        "[1,",
        "${",
        "${oc.env:X}",
        "${oc.decode:1}",
        "é",
        "\ud800",
        "a b",
        "#",
        "%",
        "@",
        ",",
        "???",
    ]
) | st.text(max_size=6)


@st.composite
def words(draw: st.DrawFn) -> str:
    """`key=value`: keys that exist with values they take or not, other keys, and garbage."""
    key = draw(st.sampled_from(list(GOOD)))
    value = draw(st.sampled_from(GOOD[key]) | st.sampled_from(GOOD[key]) | st.sampled_from(_VALUES) | _ODD)
    form = draw(
        st.sampled_from(["{}={}"] * 8 + ["+{}={}", "++{}={}", "~{}", "~{}={}", "{}", "{}:={}", "{}=={}", "{} = {}"])
    )
    return form.format(key, value)


COMMAND_LINE: SearchStrategy[list[str]] = st.lists(words(), min_size=1, max_size=3) | st.lists(_ODD, max_size=2)


def is_config(config: Any, front: Front) -> None:
    """Every value is of its kind and in its range, and the searcher one that can be built."""
    assert type(config) is front.schema
    for key, least in (("queries", 1), ("runs", 1), ("seed", 0)):
        assert type(getattr(config, key)) is int
        assert getattr(config, key) >= least
    for key in ("overwrite", "allow_test_objective"):
        assert type(getattr(config, key)) is bool
    for key in ("table", "objective", "dask", "name", "constraint"):
        assert getattr(config, key) is None or isinstance(getattr(config, key), str)
    assert config.table_seed == "mean" or type(config.table_seed) is int
    assert config.noise in NOISES
    assert issubclass(searcher_class(str(config.searcher["_target_"]), front.base), front.base)
    assert config.searcher_name
    assert not set(config.searcher_name) & set("/\\\0")
    assert "\0" not in config.out + (config.table or "")
    assert config.parallel.processes() >= 1
    by_target = {target_of(cls): cls for cls in front.searchers.values()}
    if config.searcher["_target_"] in by_target:
        assert set(config.arguments) <= set(hyperparameters(by_target[config.searcher["_target_"]]))
    if front is FIDELITY:
        assert config.budget is None or (math.isfinite(config.budget) and config.budget > 0)
        assert config.unit in UNITS
        assert config.workers >= 1


def parsed(given: list[str], front: Front) -> Any:
    config = parse_command_line(given, front)
    searcher_class(str(config.searcher["_target_"]), front.base)
    return config


@RUN.fuzz(given=COMMAND_LINE)
def test_any_command_line_of_a_race(given: list[str]) -> None:
    RUN.check(lambda: parsed(given, RACES), lambda config: is_config(config, RACES))


@FIDELITY_RUN.fuzz(given=COMMAND_LINE)
def test_any_command_line_of_a_fidelity_race(given: list[str]) -> None:
    FIDELITY_RUN.check(lambda: parsed(given, FIDELITY), lambda config: is_config(config, FIDELITY))


_DEFAULTS: dict[str, str | int] = {"table": "", "runs": 400, "seed": 0, "out": "here"}
_NUMBERS = st.sampled_from(
    ["5", "0", "-1", "1e3", "٣", "²", "10000000", "10000001", "9" * 5000, " 5", "5 ", "", "True"]
)
_SMALL = st.builds(
    "{}={}".format, st.sampled_from(["table", "runs", "seed", "out", "run", ""]), _NUMBERS | st.text(max_size=5)
)


@WORDS.fuzz(given=st.lists(_SMALL | st.text(max_size=5), max_size=3))
def test_any_words_of_a_small_command(given: list[str]) -> None:
    def holds(found: dict[str, Any]) -> None:
        assert found.keys() == _DEFAULTS.keys()
        for key, default in _DEFAULTS.items():
            assert type(found[key]) is type(default)
            assert isinstance(default, str) or 0 <= found[key] <= MOST

    WORDS.check(lambda: parse_words(given, _DEFAULTS), holds)
