"""The command line: what it takes, and what it says when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.races import race
from experiments.races.config import RunConfig, help_text, parse_command_line, searcher_class
from nasbench_ar import ConfigError, load
from nasbench_ar.library import HOME_VARIABLE
from nasbench_ar.system.engine import Engine
from searchers import SEARCHERS, hyperparameters
from searchers.gp import GaussianProcess


def test_defaults() -> None:
    config = parse_command_line([])
    assert (config.runs, config.queries, config.seed, config.jobs, config.out) == (400, 500, 0, -1, "results")
    assert config.searcher == {"_target_": "searchers.gp.GaussianProcess", **hyperparameters(GaussianProcess)}
    assert config.searcher_name == "gp"


@pytest.mark.parametrize("name", SEARCHERS)
def test_groups_follow_the_constructors(name: str) -> None:
    config = parse_command_line([f"searcher={name}"])
    assert config.searcher_name == name
    assert config.arguments == hyperparameters(SEARCHERS[name])
    assert searcher_class(config.searcher["_target_"]) is SEARCHERS[name]


def test_values_are_typed() -> None:
    words = ["searcher=local_search", "searcher.improvement=best", "runs=3", "table=some/folder", "table_seed=2"]
    config = parse_command_line([*words, "name=steepest"])
    assert config.arguments == {"starts": 10, "improvement": "best", "guided": False}
    assert (config.runs, config.table, config.table_seed, config.searcher_name) == (3, "some/folder", 2, "steepest")


def test_the_largest_seed_and_the_longest_name() -> None:
    config = parse_command_line([f"seed={2**32 - 2}", "runs=2", "name=" + "x" * 200])
    assert (config.seed, len(config.searcher_name)) == (2**32 - 2, 200)
    config = parse_command_line(
        ["queries=1", "runs=1", "noise=run", "images=1", "searcher=bananas", f"searcher.steps={2**63 - 1}"]
    )
    assert (config.queries, config.images, config.arguments["steps"]) == (1, 1, 2**63 - 1)


def test_engines() -> None:
    assert parse_command_line([]).parallel == Engine("loky", -1)
    assert parse_command_line(["engine=dask", "jobs=2"]).parallel == Engine("dask", 2)
    words = ["engine=dask", "dask=tcp://host:8786"]
    assert parse_command_line(words).parallel == Engine("dask", -1, "tcp://host:8786")


def test_the_last_word_counts() -> None:
    words = ["searcher=random_search", "runs=2", "searcher=local_search", "searcher.starts=3", "runs=4"]
    config = parse_command_line(words)
    assert (config.searcher_name, config.arguments["starts"], config.runs) == ("local_search", 3, 4)


def test_a_class_of_ones_own_brings_no_foreign_defaults() -> None:
    words = ["searcher._target_=tests.experiments.races.test_runner.Repeater", "searcher.heat=0.5", "runs=2"]
    config = parse_command_line(words)
    assert config.searcher == {"_target_": "tests.experiments.races.test_runner.Repeater", "heat": 0.5}
    assert config.searcher_name == "Repeater"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rums=3"], "unknown key 'rums'; did you mean runs"),
        (["colour=red"], "valid keys: table, objective, queries"),
        (["searcher=grid"], "unknown searcher 'grid'; known: random_search"),
        (["searcher=null", "searcher=bananas"], "unknown searcher 'null'; known: random_search"),
        (
            ["searcher=bananas", "searcher.membres=3"],
            "searcher bananas has no argument 'membres'; it takes starts, batch",
        ),
        (["searcher=random_search", "searcher.starts=3"], "it takes none at all"),
        (["runs=0"], "runs=0: expected an integer of at least 1"),
        (["queries=-5"], "queries=-5: expected"),
        (["seed=-1"], "seed=-1: expected"),
        (["jobs=0"], "jobs=0: expected"),
        (["engine=ray"], "engine='ray': expected one of loky, dask"),
        (["dask=tcp://host:8786"], "a scheduler goes with engine=dask, not with engine=loky"),
        (["engine=dask", "dask=tcp://host:8786", "jobs=3"], "jobs=3: the workers of the scheduler tcp://host:8786 dec"),
        (["engine=dask", "dask="], "dask= takes a scheduler's address or its file"),
        (["table_seed=best"], "table_seed='best': expected"),
        (["images=5"], "images=5: expected an integer from 1 to 10000000, together with noise=run or query"),
        (["noise=run", "images=0"], "images=0: expected an integer from 1"),
        (["noise=run", "images=10000001"], "images=10000001: expected an integer from 1 to 10000000"),
        (["noise=run", f"images={'9' * 400}"], r"^images=9+\.\.\.: expected an integer from 1 to 10000000"),
        (["name=../up"], "name='../up': expected a plain folder name"),
        (["name=\0"], r"name='\\x00': expected a plain folder name"),
        (["name=two\nlines"], "expected a plain folder name"),
        (["out=a\0b"], "out= and table= take a name or a folder"),
        (["table=a\0b"], "out= and table= take a name or a folder"),
        (["name=" + "x" * 201], r"^name='x+\.\.\.: expected a plain folder name of at most 200 bytes$"),
        (["name=" + "ä" * 101], "expected a plain folder name of at most 200 bytes"),
        (["runs=4294967296"], "runs=4294967296: expected at most 1000000"),
        ([f"seed={2**32 - 2}", "runs=3"], f"seed={2**32 - 2}: seeds must stay below {2**32}"),
        (["runs"], "^'runs': expected key=value, as runs=3; --help lists the keys$"),
        (["--runs=3"], "^'--runs=3': expected key=value, as runs=3"),
        ([f"runs:={'9' * 5000}"], "^.{1,800}$"),
        (
            ["searcher=bananas", f"searcher.learning_rate={'9' * 400}"],
            r"^searcher.learning_rate=9{1,57}\.\.\.: expected .* at most 64 bits",
        ),
        (
            ["searcher=bananas", f"searcher.steps=-{2**63}"],
            "searcher.steps=-9223372036854775808: expected a number of at most 64 bits",
        ),
    ],
)
def test_wrong_words(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_command_line(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("Plain", "expected module.Class"),
        ("..", "expected module.Class"),
        (".searchers.RandomSearch", "expected module.Class"),
        ("searchers..RandomSearch", "expected module.Class"),
        ("x" * 5000, r"_target_='x{56}\.\.\.: expected module.Class"),
        ("no_such_module.Search", "there is no module 'no_such_module'"),
        ("searchers.no_such.Search", "there is no module 'searchers.no_such'"),
        ("searchers.local_search.Lokal", "no subclass of searchers.Searcher of that name; it has .*LocalSearch"),
        ("searchers.local_search.STRATEGIES", "no subclass"),
    ],
)
def test_wrong_targets(target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        searcher_class(target)


def test_help_names_every_key_and_searcher() -> None:
    text = help_text("prog", __name__, "docs/it.md")
    for word in (
        (__doc__ or "").strip(),
        "queries=500",
        "runs=400",
        "jobs=-1",
        *SEARCHERS,
        "weight_decay=",
        "_target_",
        "docs/it.md",
    ):
        assert word in text
    assert "  searcher=gp  " in text
    assert "digits-729: " in text
    assert "val_best_pgd_acc by default; macs, params, val_best_clean_acc," in text
    assert "test_pgd_acc" not in text, "it may not guide a search"
    assert max(map(len, text.splitlines())) <= 100
    assert "_target_" not in help_text("prog", __name__, "docs/it.md", hidden=["searcher"])


def test_help_without_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tables/mine").mkdir(parents=True)
    (tmp_path / "tables/mine/meta.json").write_text("damaged")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    text = help_text("prog", __name__, "docs/it.md")
    assert "queries=500" in text
    assert "tables at hand cannot be read: " in text


def test_config_is_plain_data() -> None:
    assert RunConfig(searcher={"_target_": "a.B", "x": 1}).arguments == {"x": 1}


@pytest.mark.parametrize(("words", "planned"), [([], 12), (["searcher.budget=30"], 30)])
def test_a_searcher_that_plans_for_a_budget_plans_for_the_race(words: list[str], planned: int) -> None:
    pytest.importorskip("nevergrad")
    config = parse_command_line(["searcher=nevergrad", "table=digits-729", "queries=12", *words])
    assert race.plan(config, load("digits-729", quiet=True)).arguments["budget"] == planned
