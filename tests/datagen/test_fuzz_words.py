"""Odd words for the commands of datagen, and odd selections of architectures and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from datagen import export, plan, status
from datagen.config import KEYS, RunConfig, parse_command_line
from datagen.profiles import PROFILES
from datagen.selection import select, select_seeds
from nasbench_ar import Architecture, ConfigError, SpaceError
from nasbench_ar.system.key_values import parse_words
from tests.fuzzing import Damages, Files, Reader, byte_damage
from tests.nasbench_ar.conftest import TOY

COMMAND = Reader("datagen: command lines of run", ConfigError)
WORDS = Reader("datagen: command lines of plan, status and export", ConfigError)
ARCHS = Reader("datagen: archs=", ConfigError, SpaceError)
ARCHS_FILE = Reader("datagen: files of archs=", ConfigError, SpaceError)
SEEDS = Reader("datagen: seeds=", ConfigError)

_ODD = st.sampled_from(
    [
        *("", "null", "true", "no", "0", "1", "-1", "0.5", "1e999", "nan", "[]", "[1,2]", "[0.5,0.75]", "{a:1}"),
        *(
            "'",
            '"x"',
            "${oc.env:HOME}",
            "${seed}",
            "???",
            "a=b",
            "9" * 30,
            "9" * 400,
            "9" * 5000,
            "٣",
            "\\",
            "\x00",
            "[[",
        ),
        *("é", "cuda:99", "../x"),
    ]
)
_USUAL = st.sampled_from(["cifar10", "digits", "float32", "auto", "all", "0,2-4", "cpu", "loky", "3", "0.1"])
_TEXT = st.text(max_size=12)
_FORM = st.sampled_from(["{}={}", "{}={}", "{}={}", "{}={}", "+{}={}", "~{}", "++{}={}", "{} = {}", "{}:{}", "{}"])


def words_for(keys: list[str]) -> st.SearchStrategy[list[str]]:
    """A few `key=value` words, most of them of known keys."""
    key = st.sampled_from(keys) | st.sampled_from(["", "hydra.run.dir", "epochs", "train", "hydra/launcher"])
    return st.lists(st.builds(str.format, _FORM, key, _USUAL | _ODD | _TEXT), max_size=3)


@COMMAND.fuzz(words=words_for(KEYS), change=st.none() | byte_damage(most=1))
def test_any_command_line(words: list[str], change: Damages | None) -> None:
    if change is not None:
        words = [change(word.encode("utf-8", "replace")).decode("utf-8", "replace") for word in words]

    def holds(config: RunConfig) -> None:
        assert config.profile in PROFILES
        config.check()
        assert config.seed >= 0
        assert config.train.epochs >= 1
        assert all(0 < share < 1 for share in config.train.lr_drops)
        for key in KEYS:
            value = config[key]
            assert not isinstance(value, float) or value - value == 0, f"{key}={value}"

    COMMAND.check(lambda: parse_command_line(words), holds)


_DEFAULTS = {"plan": plan.OWN_KEYS, "status": status.DEFAULTS, "export": export.DEFAULTS}


@WORDS.fuzz(data=st.data(), command=st.sampled_from(list(_DEFAULTS)))
def test_any_words(data: st.DataObject, command: str) -> None:
    defaults: dict[str, Any] = _DEFAULTS[command]
    words = data.draw(words_for(list(defaults)))

    def holds(given: dict[str, Any]) -> None:
        assert given.keys() == defaults.keys()
        for key, value in given.items():
            default = defaults[key]
            assert default is None or type(value) is type(default), f"{key}={value!r}"
            assert not isinstance(value, (int, float)) or 0 <= value <= 10**9

    WORDS.check(lambda: parse_words(words, defaults), holds)


def are_members(chosen: list[Architecture]) -> None:
    """Of the space, none of them twice."""
    assert chosen
    assert len(set(chosen)) == len(chosen)
    assert all(type(one) is Architecture and TOY.parse(one) == one for one in chosen)


_PART = st.sampled_from(
    [
        *(
            "all",
            "ALL",
            "1-1-1-1",
            "1-3-2-1",
            "2-2-2-2",
            "1",
            "16",
            "17",
            "0",
            "1-4",
            "4-1",
            "1-99999999999",
            "WRN-34-10",
        ),
        *("", " ", "#", "1-1-1-1 # comment", "nowhere.txt", "..", "/", "\x00", "٣", "1-²", "9" * 30, "a" * 300, "~"),
    ]
)


@ARCHS.fuzz(text=st.lists(_PART, max_size=4).map(",".join) | st.text(max_size=20))
def test_any_selection(text: str) -> None:
    ARCHS.check(lambda: select(text, TOY), are_members)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "some.txt").write_text("# some\n1-1-1-1\n\n3  # a number\n5-8\n1-3-2-1\n", encoding="utf-8")
    return Files(folder, "some.txt")


@ARCHS_FILE.fuzz(change=byte_damage(), lines=st.none() | st.lists(_PART, max_size=4).map("\n".join))
def test_any_file_of_architectures(files: Files, change: Damages, lines: str | None) -> None:
    files.write({"some.txt": change(files["some.txt"]) if lines is None else lines.encode()})
    path: Path = files.folder / "some.txt"
    ARCHS_FILE.check(lambda: select(str(path), TOY), are_members, names=path)


@SEEDS.fuzz(
    text=st.lists(st.sampled_from(["0", "2-4", "4-2", "-1", "", "7", "0-99999999", "1-2-3", "²", " 5 "])).map(",".join)
)
def test_any_seeds(text: str) -> None:
    def holds(seeds: list[int]) -> None:
        assert seeds == sorted(set(seeds))
        assert all(type(seed) is int and 0 <= seed < 10**9 for seed in seeds)

    SEEDS.check(lambda: select_seeds(text), holds)
