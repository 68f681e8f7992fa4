"""The kit for fuzz tests can fail, in every way it is meant to."""

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
from tests.fuzz_damage import BYTES, DEEP, ArrayDamage, ByteStep, DocumentStep
from tests.fuzzing import CaseTooSlow, Damages, Files, Reader, array_damage, byte_damage, document_damage, to_json

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
    ("error", "kind", "message"),
    [
        (TableError(""), AssertionError, "without a message"),
        (TableError("two\nlines of x"), AssertionError, "more than one line"),
        (TableError("a line\rof x"), AssertionError, "more than one line"),
        (TableError("x" * 2001), AssertionError, "2001 characters"),
        (TableError("it is damaged"), AssertionError, "does not name 'x'"),
        (MemoryError(), AssertionError, "asked for more than 1024 MiB"),
        (KeyError("x"), KeyError, "x"),
        (ConfigError("x, of another kind"), ConfigError, "kind"),
        (RecursionError("deep"), RecursionError, "deep"),
    ],
)
def test_a_poor_refusal_or_another_error_fails(
    reader: Reader, error: Exception, kind: type[BaseException], message: str
) -> None:
    with pytest.raises(kind, match=message):
        reader.check(refusing(error), names="x")
    assert not reader.refused


def test_what_was_read_must_hold(reader: Reader) -> None:
    def holds(value: int) -> None:
        assert value > 5

    with pytest.raises(AssertionError):
        reader.check(lambda: 5, holds=holds)
    assert reader.read == 0


def test_a_large_allocation_and_a_hang_fail(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="asked for more than 1024 MiB"):
        reader.check(lambda: np.empty(2**33, dtype=np.uint8))
    np.empty(2**31, dtype=np.uint8)  # the limit is gone
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
    for known, asked in ((0, fuzzing.CASES), (fuzzing.CASES, 321)):
        if known:
            monkeypatch.setenv(fuzzing.CASES_VARIABLE, str(asked))

        @reader.fuzz(number=st.integers())
        def cases(number: int) -> None:
            reader.check((lambda: number) if number % 2 else refusing(TableError("even")))

        cases()
        assert reader.read + reader.refused.total() == known + asked
    assert reader.seconds > 0


def test_damage_to_bytes() -> None:
    damaged = {kind: ByteStep(kind, at=-5, length=2, token=b"!!")(b"0123456") for kind in BYTES}
    assert damaged == {
        "flip": b"0103456",
        "cut": b"01",
        "insert": b"01!!23456",
        "replace": b"01!!456",
        "delete": b"01456",
        "repeat": b"012323456",
        "blank": b"01\x00\x00456",
        "to the end": b"0145623",
    }


@pytest.mark.parametrize(
    ("kind", "picks", "damaged"),
    [
        ("replace", (0,), {"rows": None, "files": {"a": [1.5, "x"]}}),
        ("near", (2,), {"rows": 4, "files": {"a": [1.5, "x"]}}),
        ("near", (1, 0, 1), {"rows": 3, "files": {"a": [1.5, "xx"]}}),
        ("delete", (1, 0, 0), {"rows": 3, "files": {"a": ["x"]}}),
        ("add", (1, 0), {"rows": 3, "files": {"a": [1.5, "x"], "odd1": None}}),
        ("rename", (0,), {"odd1": 3, "files": {"a": [1.5, "x"]}}),
        ("repeat", (1, 0, 1), {"rows": 3, "files": {"a": [1.5, "x", "x"]}}),
        ("swap", (0,), {"rows": {"a": [1.5, "x"]}, "files": 3}),
    ],
)
def test_damage_to_a_document(kind: str, picks: tuple[int, ...], damaged: Any) -> None:
    before = copy.deepcopy(DOCUMENT)
    assert Damages((DocumentStep(kind, picks, other=1, value=None),))(DOCUMENT) == damaged
    assert before == DOCUMENT


def test_a_value_put_in_twice_is_two_values() -> None:
    value: list[Any] = []
    put = [DocumentStep("replace", picks, 0, value) for picks in ((0,), (1,))]
    damaged = Damages((*put, DocumentStep("add", (0, 0), 0, value)))({"a": [1], "b": 2})
    assert damaged == {"a": [], "b": [], "odd0": []}
    assert value == []


@given(
    document=document_damage(),
    content=byte_damage(),
    array=array_damage(),
    kind=st.sampled_from(["f8", "i4", "u1", "U5", "b1"]),
)
@settings(max_examples=100, deadline=None)
def test_anything_can_be_damaged(document: Damages, content: Damages, array: ArrayDamage, kind: str) -> None:
    assert to_json(document(DOCUMENT))
    assert isinstance(content(b"0123"), bytes)
    assert isinstance(array(np.ones((2, 3), dtype=kind)), (np.ndarray, np.generic))


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
