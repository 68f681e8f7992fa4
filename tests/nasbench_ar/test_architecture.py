import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_ar import WRN_34_10, WRN_70_16, Architecture, SpaceError

vectors = st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=1, max_size=5)


@given(vectors)
@settings(max_examples=50, deadline=None)
def test_text_round_trip(pairs: list[tuple[int, int]]) -> None:
    architecture = Architecture(*(n for pair in pairs for n in pair))
    assert Architecture.parse(str(architecture)) == architecture
    assert eval(repr(architecture)) == architecture
    assert pickle.loads(pickle.dumps(architecture)) == architecture
    assert type(pickle.loads(pickle.dumps(architecture))) is Architecture
    assert list(zip(architecture.depths, architecture.widths, strict=True)) == pairs


def test_is_a_plain_tuple_to_the_outside() -> None:
    assert WRN_34_10 == (5, 10, 5, 10, 5, 10)
    assert hash(WRN_34_10) == hash((5, 10, 5, 10, 5, 10))
    assert Architecture(*np.array([5, 10])) == (5, 10)
    assert all(type(n) is int for n in Architecture(*np.array([5, 10])))


def test_known_names() -> None:
    assert Architecture.parse("wrn-34-10") == WRN_34_10
    assert WRN_34_10.name == "WRN-34-10"
    assert WRN_70_16 == (11, 16, 11, 16, 11, 16)
    assert Architecture(5, 10, 5, 10, 5, 12).name is None


@pytest.mark.parametrize("vector", [(), (5,), (5, 10, 5), (0, 10), (-1, 2), (5, 10.0), ("5", 10), (5, None)])
def test_bad_vectors(vector: tuple[object, ...]) -> None:
    with pytest.raises(SpaceError, match="not an architecture"):
        Architecture(*vector)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        *["", "a", "5-", "5--10", "-5-10", "5-10-x", "5.0-10", "٥-10", "5-" + "9" * 5000, "WRN-28-10"],
        *["[]", "[5 10", "5 10]", "5 10", "[5,,10]", "[5 -10]", "[5-10]", "[5 10][5 10]", "[٥ 10]", "[5 10.0]"],
    ],
)
def test_bad_texts(text: str) -> None:
    with pytest.raises(SpaceError, match="not an architecture"):
        Architecture.parse(text)


@pytest.mark.parametrize("given", [5, np.int64(7), [7], np.array([7]), "14935"])
def test_a_number_alone_says_neither_what_it_is(given: object) -> None:
    with pytest.raises(SpaceError, match=r"arch_id .*or an index .*from_arch_id\(\.\.\.\) or space\.from_index"):
        Architecture.of(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["[5 10 5 10 5 10]", "[5, 10, 5, 10, 5, 10]", " [ 5,10 ,5  10 5 10 ] ", " WRN-34-10 "])
def test_the_notation_that_reports_print(text: str) -> None:
    assert Architecture.parse(text) == WRN_34_10


def test_of_takes_every_form() -> None:
    for form in ("5-10-5-10-5-10", [5, 10, 5, 10, 5, 10], np.array(WRN_34_10), WRN_34_10, "WRN-34-10"):
        assert Architecture.of(form) == WRN_34_10  # type: ignore[arg-type]
    for other in (None, 5.5):
        with pytest.raises(SpaceError, match="expected a vector"):
            Architecture.of(other)  # type: ignore[arg-type]
