"""Failures on disk: counts, damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datagen.store.failures import Failure, read_failure
from nasbench_ar import ResultsError


def test_a_failure_comes_back(tmp_path: Path) -> None:
    failure = Failure("1-1", 3).interrupted().failed("diverged\nin epoch 1", "cuda:1").interrupted()
    (tmp_path / "f.json").write_bytes(failure.to_bytes())
    assert read_failure(tmp_path / "f.json") == failure
    assert (failure.attempts, failure.interruptions, failure.last_error) == (1, 2, "diverged")
    assert failure.errors[0]["device"] == "cuda:1"
    assert failure.errors[0]["host"]
    assert failure.errors[0]["time"].endswith("Z")


def test_the_last_errors_are_kept() -> None:
    failure = Failure("1-1", 0)
    for number in range(8):
        failure = failure.failed(f"error {number}", "cpu")
    assert failure.attempts == 8
    assert [line["error"] for line in failure.errors] == [f"error {number}" for number in range(3, 8)]
    assert failure.last_error == "error 7"
    assert Failure("1-1", 0).failed("", "cpu").last_error == ""
    assert Failure("1-1", 0).failed("x" * 501, "cpu").last_error == "x" * 500


def test_none(tmp_path: Path) -> None:
    assert read_failure(tmp_path / "f.json") is None


def whole(**changes: Any) -> str:
    return json.dumps({**json.loads(Failure("1-1", 0).to_bytes()), **changes})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is damaged: not valid JSON"),
        ("[]", "is no whole failure"),
        ("{}", "is no whole failure"),
        (
            '{"format": "datagen-failure", "format_version": 2}',
            "format 'datagen-failure' version 2; this release reads",
        ),
        ('{"format": "datagen-failure", "format_version": 1, "errors": [{}]}', "is no whole failure"),
        (whole(attempts=0.5), "0.5 is no whole number"),
        (whole(attempts=float("inf")), "inf is no whole number"),
        (whole(interruptions=-1), "-1 is no whole number"),
        (whole(arch="1\n1"), "is no line of text"),
        (whole(errors=[{"time": "", "host": "", "device": "", "error": 1}]), "1 is no text"),
    ],
)
def test_damage(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "f.json").write_text(content)
    with pytest.raises(ResultsError, match=message) as caught:
        read_failure(tmp_path / "f.json")
    assert "\n" not in str(caught.value)
