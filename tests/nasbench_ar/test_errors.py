"""What messages quote."""

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


@pytest.mark.parametrize(
    ("error", "most", "line"),
    [
        (ValueError("\n  too large \n  by far\n"), {}, "too large"),
        (ValueError("\n  too large \n  by far\n"), {"most": 3}, "too"),
        (OverflowError(), {}, "OverflowError"),
        (ValueError(" \n "), {}, "ValueError"),
        (ValueError("x" * 400), {}, "x" * 300),
    ],
)
def test_the_first_line(error: Exception, most: dict[str, int], line: str) -> None:
    assert first_line(error, **most) == line
