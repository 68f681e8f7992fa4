"""The kit for fuzz tests can fail, in every way it is meant to."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_ar import ConfigError, TableError
from tests import fuzzing
from tests.fuzz_damage import (
    DEEP,
    ArrayDamage,
    ByteStep,
    DocumentStep,
    array_damage,
    byte_damage,
    document_damage,
    to_json,
)
from tests.fuzzing import CaseTooSlow, Files, Reader

DOCUMENT: dict[str, Any] = {"rows": 3, "files": {"a": [1.5, "x"]}}


@pytest.fixture
def reader() -> Iterator[Reader]:
    yield Reader("a reader of this test", TableError)
    del fuzzing.READERS["a reader of this test"]


def refusing(error: Exception) -> Callable[[], None]:
    def read() -> None:
        raise error

    return read


def test_outcomes_are_counted(reader: Reader) -> None:
    reader.check(lambda: 5, holds=lambda value: value, names="x")
    reader.check(refusing(TableError("x is damaged")), names="x")
    assert str(reader) == "2 cases: 1 refused (TableError 1), 1 read"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TableError(""), "without a message"),
        (TableError("two\nlines of x"), "more than one line"),
        (TableError("a line\rof x"), "more than one line"),
        (TableError("x" * 2001), "2001 characters"),
        (TableError("it is damaged"), "does not name 'x'"),
        (MemoryError(), "asked for more than 1024 MiB"),
    ],
)
def test_a_poor_refusal_fails(reader: Reader, error: Exception, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        reader.check(refusing(error), names="x")


@pytest.mark.parametrize("error", [KeyError("rows"), ConfigError("of another kind"), RecursionError()])
def test_another_error_fails(reader: Reader, error: Exception) -> None:
    with pytest.raises(type(error)):
        reader.check(refusing(error))


def test_what_was_read_must_hold(reader: Reader) -> None:
    def holds(value: int) -> None:
        assert value > 5

    with pytest.raises(AssertionError):
        reader.check(lambda: 5, holds=holds)
    assert reader.read == 0


def test_a_large_allocation_fails(reader: Reader) -> None:
    with pytest.raises(AssertionError, match="asked for more than 1024 MiB"):
        reader.check(lambda: np.empty(2**33, dtype=np.uint8))
    np.empty(2**31, dtype=np.uint8)  # the limit is gone


def test_a_hang_fails(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "LONGEST_SECONDS", 0.02)
    with pytest.raises(CaseTooSlow):
        reader.check(lambda: time.sleep(5))


@pytest.mark.parametrize(("ends", "message"), [("read", "never refused"), ("refused", "never read")])
def test_one_outcome_only_fails(reader: Reader, ends: str, message: str) -> None:
    @reader.fuzz(number=st.integers())
    def cases(number: int) -> None:
        reader.check((lambda: number) if ends == "read" else refusing(TableError("no")))

    with pytest.raises(AssertionError, match=message):
        cases()
    reader.both = False
    cases()


def test_as_many_cases_as_asked_for(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        @reader.fuzz(number=st.integers())
        def cases(number: int) -> None:
            reader.check((lambda: number) if number % 2 else refusing(TableError("even")))

        cases()

    run()
    assert reader.read + reader.refused.total() == fuzzing.CASES
    monkeypatch.setenv(fuzzing.CASES_VARIABLE, "321")
    run()
    assert reader.read + reader.refused.total() == fuzzing.CASES + 321
    assert reader.seconds > 0


# -- damage ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "damaged"),
    [
        ("flip", b"0103456"),
        ("set", b"01\x013456"),
        ("cut", b"01"),
        ("insert", b"01..23456"),
        ("replace", b"01..456"),
        ("delete", b"01456"),
        ("repeat", b"012323456"),
        ("blank", b"01\x00\x00456"),
        ("move", b"0231456"),
    ],
)
def test_damage_to_bytes(kind: str, damaged: bytes) -> None:
    assert ByteStep(kind, at=-5, length=2, to=1, token=b"..")(b"0123456") == damaged


@pytest.mark.parametrize(
    ("kind", "picks", "damaged"),
    [
        ("replace", (0,), {"rows": None, "files": {"a": [1.5, "x"]}}),
        ("near", (2,), {"rows": 4, "files": {"a": [1.5, "x"]}}),
        ("near", (1, 0, 1), {"rows": 3, "files": {"a": [1.5, "xx"]}}),
        ("delete", (1, 0, 0), {"rows": 3, "files": {"a": ["x"]}}),
        ("add", (1, 0), {"rows": 3, "files": {"a": [1.5, "x"], "odd1": None}}),
        ("rename", (0,), {"rows2": 3, "files": {"a": [1.5, "x"]}}),
        ("repeat", (1, 0, 1), {"rows": 3, "files": {"a": [1.5, "x", "x"]}}),
        ("swap", (0,), {"rows": {"a": [1.5, "x"]}, "files": 3}),
    ],
)
def test_damage_to_a_document(kind: str, picks: tuple[int, ...], damaged: Any) -> None:
    before = copy.deepcopy(DOCUMENT)
    assert fuzzing.Damages((DocumentStep(kind, picks, other=1, value=None),))(DOCUMENT) == damaged
    assert before == DOCUMENT


def test_a_value_put_in_twice_is_two_values() -> None:
    value: list[Any] = []
    put = [DocumentStep("replace", picks, 0, value) for picks in ((0,), (1,))]
    inside = DocumentStep("add", (0, 0), 0, value)
    damaged = fuzzing.Damages((*put, inside))({"a": [1], "b": 2})
    assert damaged == {"a": [], "b": [], "odd0": []}
    assert value == []


@given(change=document_damage())
@settings(max_examples=100, deadline=None)
def test_any_damaged_document_can_be_written(change: fuzzing.Damages) -> None:
    assert to_json(change(DOCUMENT))


@given(change=byte_damage())
@settings(max_examples=100, deadline=None)
def test_any_bytes_can_be_damaged(change: fuzzing.Damages) -> None:
    assert isinstance(change(b"0123"), bytes)


@pytest.mark.parametrize(
    ("numbers", "kind", "shape", "damaged"),
    [
        (((4, -1.0),), None, "same", [0, -1, 2]),
        ((), "<f8", "longer", [0.0, 1.0, 2.0, 0.0]),
        ((), None, "reversed", [2, 1, 0]),
        ((), None, "deeper", [[0], [1], [2]]),
        ((), None, "empty", []),
        ((), None, "scalar", 0),
    ],
)
def test_damage_to_an_array(numbers: Any, kind: str | None, shape: str, damaged: Any) -> None:
    whole = np.arange(3)
    assert ArrayDamage(numbers, kind, shape)(whole).tolist() == damaged
    assert whole.tolist() == [0, 1, 2]


@given(change=array_damage(), kind=st.sampled_from(["f8", "i4", "u1", "U5", "b1"]))
@settings(max_examples=100, deadline=None)
def test_any_array_can_be_damaged(change: ArrayDamage, kind: str) -> None:
    assert isinstance(change(np.ones((2, 3), dtype=kind)), (np.ndarray, np.generic))


def test_files_are_whole_again_after_each_case(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    files = Files(tmp_path, "a", "b", "c")
    files.write({"a": b"x", "b": b""})
    files.write({"b": b"y"})
    assert [(tmp_path / name).read_bytes() for name in "abc"] == [b"a", b"y", b"c"]
    assert (files["b"], len(repr(files)) < 200) == (b"b", True)
    with pytest.raises(AssertionError, match="other"):
        files.write({"other": b""})


def test_very_deep_lists() -> None:
    with pytest.raises(RecursionError):
        json.loads(to_json({"x": [DEEP]}))
