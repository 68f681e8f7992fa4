"""What messages quote."""

from __future__ import annotations

import pytest

from nasbench_ar.errors import first_line, shown


@pytest.mark.parametrize(
    ("value", "most", "expected"),
    [
        ("a", 60, "'a'"),
        ("a\nb", 60, "'a\\nb'"),
        ("x" * 58, 60, f"'{'x' * 58}'"),
        ("x" * 59, 60, f"'{'x' * 56}..."),
        ("abcdef", 8, "'abcdef'"),
        ("abcdefg", 8, "'abcd..."),
    ],
)
def test_what_is_quoted_is_short_and_on_one_line(value: object, most: int, expected: str) -> None:
    assert shown(value, most) == expected
    if most == 60:
        assert shown(value) == expected


def test_a_number_that_python_does_not_print() -> None:
    assert shown(10**5000) == "a int too long to print"


def test_the_first_line() -> None:
    error = ValueError("\n  too large \n  by far\n")
    assert first_line(error) == "too large"
    assert first_line(error, 3) == "too"


def test_an_error_without_words_has_its_name() -> None:
    assert first_line(OverflowError()) == "OverflowError"
    assert first_line(ValueError(" \n ")) == "ValueError"
    assert first_line(ValueError("x" * 400)) == "x" * 300
