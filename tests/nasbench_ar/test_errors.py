"""What messages quote."""

from __future__ import annotations

from nasbench_ar.errors import first_line


def test_the_first_line_of_the_cause_after_its_key() -> None:
    cause = ValueError("\n  too large \n    full_key: train.lr\n    object_type=Run\n")
    error = TypeError("about something else")
    error.__cause__ = cause
    assert first_line(error) == "train.lr: too large"
    assert first_line(cause) == "train.lr: too large"
    assert first_line(error, 3) == "train.lr: too"


def test_an_error_without_words_has_its_name() -> None:
    assert first_line(OverflowError()) == "OverflowError"
    assert first_line(ValueError(" \n ")) == "ValueError"
    assert first_line(ValueError("x" * 400)) == "x" * 300
