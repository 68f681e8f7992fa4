"""Words of commands: what they give, and what is said of wrong ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nasbench_ar import ConfigError
from nasbench_ar.system.key_values import (
    any_value,
    as_word,
    describe_keys,
    known_keys,
    parse_words,
    read_words,
    split_words,
)


@dataclass
class Inner:
    """Inside another.

    Attributes:
        rates: shares, `0` to `1`.
        deep: whether it is.
    """

    rates: list[float] = field(default_factory=lambda: [0.5])
    deep: bool = False


@dataclass
class Keys:
    """Every type that a key may take.

    Attributes:
        runs: how many of them there are, at most as many as the longest line of a help text can hold and more.
        lr: a rate.
        name: any text.
        place: a folder;
            null for none.
        most: a number; null for none.
        free: anything.
        inner: more.
    """

    runs: int = 3
    lr: float = 0.1
    name: str = "x"
    place: str | None = None
    most: int | None = None
    free: Any = "mean"
    inner: Inner = field(default_factory=Inner)


def read(*words: str) -> Keys:
    return read_words(split_words(words), Keys())


def test_values_have_the_types_of_their_fields() -> None:
    found = read("runs=7", "lr=1e-3", "name=5", "place=a=b/c,d", "most=4", "free=[1,x]", "inner.rates=[1,0.5]")
    assert found == Keys(7, 0.001, "5", "a=b/c,d", 4, [1, "x"], Inner([1.0, 0.5]))
    assert [type(rate) for rate in found.inner.rates] == [float, float]
    assert read("lr=2").lr == 2.0
    assert type(read("lr=2").lr) is float
    assert read("inner.deep=TRUE").inner == Inner(deep=True)
    assert read() == Keys(), "without words, what counts from the start"
    assert read("runs=1_000", "runs=5").runs == 5, "the last word counts"
    assert Keys().inner == Inner(), "nothing is changed in place"


def test_quotes_and_null() -> None:
    assert (read("name='a b'").name, read('name="[x]"').name, read(r"name='it\'s'").name) == ("a b", "[x]", "it's")
    assert (read("name='").name, read("name='a").name) == ("'", "'a")
    assert (read("place=null").place, read("place=NULL").place, read("place='null'").place) == (None, None, "null")
    assert (read("name=null").name, read("name=").name) == ("null", "")
    assert read("most=null").most is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-0", 0),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("-inf", -float("inf")),
        ("true", True),
        ("False", False),
        ("null", None),
        ("yes", "yes"),
        ("2024-01-01", "2024-01-01"),
        ("0x10", "0x10"),
        ("a, b", "a, b"),
        ("${x}", "${x}"),
        ("٣", "٣"),
        ("", ""),
        ("[]", []),
        ("[1, 2.5, yes, null, '3', [true]]", [1, 2.5, "yes", None, "3", [True]]),
        ("{a: 1e-3, b: {c: x}}", {"a": 0.001, "b": {"c": "x"}}),
    ],
)
def test_what_anything_looks_like(text: str, value: object) -> None:
    found = any_value("key", text)
    assert found == value
    assert type(found) is type(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False), st.lists, max_leaves=5))
def test_a_value_as_a_word_gives_it_back(value: object) -> None:
    assert any_value("key", as_word(value)) == value


LEAVES = st.integers(0, 9) | st.sampled_from(["a", "b c"])


@given(st.recursive(LEAVES, lambda x: st.lists(x) | st.dictionaries(st.just("k"), x)))
def test_brackets_are_those_of_yaml(value: object) -> None:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()
    assert any_value("key", text) == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runs"], "^'runs': expected key=value, as runs=3; --help lists the keys$"),
        (["--runs=3"], "^'--runs=3': expected key=value, as runs=3"),
        (["--runs", "3"], "^'--runs': expected key=value"),
        (["=3"], "^'=3': expected key=value"),
        (["~runs"], "^'~runs': expected key=value"),
        (["rums=3"], "^unknown key 'rums'; did you mean runs[?] valid keys: runs, lr, .*inner.rates, inner.deep$"),
        (["rates=3"], "did you mean inner.rates"),
        (["inner=3"], "^unknown key 'inner'"),
        (["+runs=3"], "^unknown key '[+]runs'"),
        (["runs =3"], "^unknown key 'runs '"),
        (["runs=many"], "^runs='many': expected a whole number$"),
        (["runs=2.0"], "^runs='2.0': expected a whole number$"),
        (["runs=true"], "^runs='true': expected a whole number$"),
        (["runs=null"], "^runs='null': expected a whole number$"),
        (["runs="], "^runs='': expected a whole number$"),
        (["runs=[1]"], "^runs='.1.': expected a whole number$"),
        (["most=x"], "^most='x': expected null or a whole number$"),
        (["lr=fast"], "^lr='fast': expected a number$"),
        (["lr=false"], "^lr='false': expected a number$"),
        ([f"lr={'9' * 400}"], "^lr='9+...: int too large to convert to float$"),
        ([f"runs={'9' * 5000}"], "^runs='9+[.]{3}: Exceeds the limit .{1,130}$"),
        (["inner.deep=1"], "^inner.deep='1': expected true or false$"),
        (["inner.rates=3"], "^inner.rates='3': expected a list of numbers in brackets, as .1,2.$"),
        ([f"inner.rates=[{'9' * 400}]"], "^inner.rates='.9+...: int too large to convert to float$"),
        (["inner.rates=[a]"], "expected a list of numbers in brackets"),
        (["inner.rates=[true]"], "expected a list of numbers in brackets"),
        (["free=[1"], "^free='.1': while parsing a flow sequence; text with brackets stands in quotes"),
        (["free={a"], "while parsing a flow mapping; text with brackets stands in quotes"),
        (["free={[1]: 2}"], "text with brackets stands in quotes"),
        (["free=[{a: 1, b: {c: 1, c: 1}}]"], "^free='.*': a key is there twice; keep one"),
        (["free={1: a, 1.0: b}"], "a key is there twice; keep one"),
        (["free=[&a [1], *a]"], "aliases are not understood"),
        (["free=" + "[" * 5000], "^.{1,400}$"),
    ],
)
def test_wrong_words(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read(*words)
    assert "\n" not in str(caught.value)


def test_a_few_keys() -> None:
    defaults = {"dpi": 300, "share": 0.5, "masks": None, "json": False, "out": "", "store": "entries"}
    assert parse_words([], defaults) == defaults
    words = ["dpi=30", "share=2", "masks=true", "json=TRUE", "out=", "store=a=b"]
    found = parse_words(words, defaults, {"dpi": (30, 1200)})
    assert found == {"dpi": 30, "share": 2.0, "masks": True, "json": True, "out": "", "store": "a=b"}
    assert parse_words(["dpi=1000000000"], {"dpi": 300}) == {"dpi": 10**9}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        *(
            (f"dpi={x}", f"^dpi='{x}': expected a whole number from 30 to 1200$")
            for x in ("z", "29", "1201", "", "3e2")
        ),
        ("share=-1", "^share='-1': expected a number from 0 to 1000000000$"),
        ("share=nan", "^share='nan': expected a number from"),
        ("json=1", "^json='1': expected true or false$"),
        ("json=", "^json=: expected true or false$"),
        ("store=", "^store=: expected text$"),
        ("dip=3", "^unknown key 'dip'; did you mean dpi[?]"),
        ("dpi", "^'dpi': expected key=value"),
    ],
)
def test_wrong_words_of_a_few_keys(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_words([word], {"dpi": 300, "share": 0.5, "json": False, "store": "entries"}, {"dpi": (30, 1200)})


def test_help() -> None:
    assert known_keys(Keys) == ["runs", "lr", "name", "place", "most", "free", "inner.rates", "inner.deep"]
    lines = describe_keys(Keys(), hidden=["name"]).splitlines()
    assert lines[0].startswith("  runs=3                       how many of them there are, at most")
    assert lines[1].startswith(" " * 31)
    assert "  place=null                   a folder; null for none" in lines
    assert "  inner.rates=[0.5]            shares, 0 to 1" in lines
    assert not [line for line in lines if "name=" in line]
    assert max(map(len, lines)) <= 100
