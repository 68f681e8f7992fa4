"""Grids of any entries, by hand and against enumeration: numbering, encodings, reading, limits."""

import itertools
import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_ar import Architecture, Entry, Grid, SearchSpace, SpaceError
from nasbench_ar.space import space_from_dict, wide_resnets

SMALL = Grid([Entry("a", (1, 3)), Entry("b", (2, 5, 6)), Entry("c", (1, 3)), Entry("d", (2, 5, 6))])
MIXED = Grid(
    [
        Entry("optimizer", ("sgd", "adam", "lion"), ordered=False),
        Entry("rate", (1e-8, 0.01, 1)),
        Entry("nesterov", (False, True), ordered=False),
    ]
)


def test_numbering() -> None:
    assert SMALL.dimensions == 4
    assert SMALL.product_size == SMALL.size == len(SMALL) == 36
    assert SMALL.entry_names == ("a", "b", "c", "d")
    every = SMALL.vectors().tolist()
    assert every == [[a, b, c, d] for a in (1, 3) for b in (2, 5, 6) for c in (1, 3) for d in (2, 5, 6)]
    assert list(SMALL) == [tuple(vector) for vector in every]
    digits = SMALL.digits(indices=np.array([0, 1, 3, 6, 18, 35])).tolist()
    assert digits == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 2, 1, 2]]
    assert SMALL.arch_id((3, 6, 3, 6)) == 36
    assert SMALL.from_arch_id(1) == (1, 2, 1, 2)


def test_it_is_the_grid_of_wide_residual_networks_too() -> None:
    space = SearchSpace((1, 3), (2, 5, 6), stages=2)
    assert isinstance(space, Grid)
    assert space.known_costs == ("macs", "params")
    assert not SMALL.known_costs
    assert list(space) == list(SMALL)
    for architecture in SMALL:
        assert space.neighbours(architecture) == SMALL.neighbours(architecture)
    indices = np.arange(36)
    assert np.array_equal(space.one_hot(indices=indices), SMALL.one_hot(indices=indices))
    assert np.array_equal(space.ordinal(indices=indices), SMALL.ordinal(indices=indices))
    assert wide_resnets(space, "this") is space
    with pytest.raises(SpaceError, match=r"^this: this needs wide residual networks, .* made of a, b, c, d$"):
        wide_resnets(SMALL, "this")


def test_encodings() -> None:
    indices = np.array([0, 22, 35])  # 1-2-1-2, 3-2-3-5, 3-6-3-6
    assert SMALL.ordinal(indices=indices).dtype == SMALL.one_hot(indices=indices).dtype == np.float32
    assert SMALL.ordinal(indices=indices).tolist() == [[0, 0, 0, 0], [1, 0, 1, 0.5], [1, 1, 1, 1]]
    assert SMALL.one_hot(indices=indices).tolist() == [
        [1, 0, 1, 0, 0, 1, 0, 1, 0, 0],
        [0, 1, 1, 0, 0, 0, 1, 0, 1, 0],
        [0, 1, 0, 0, 1, 0, 1, 0, 0, 1],
    ]


def test_an_entry_without_order_has_no_ranks() -> None:
    found = MIXED.ordinal([("adam", 0.01, True), ("sgd", 1, False)])
    assert found.tolist() == [[0, 1, 0, 0.5, 0, 1], [1, 0, 0, 1, 1, 0]]
    assert MIXED.one_hot(["adam,0.01,True"]).tolist() == [[0, 1, 0, 0, 1, 0, 0, 1]]


def test_vectors_have_the_type_of_their_levels() -> None:
    assert SMALL.vectors().dtype == np.int64
    assert Grid([Entry("a", (1, 2)), Entry("b", (0.5, 1.5))]).vectors().dtype == np.float64
    assert MIXED.vectors().dtype == object
    assert MIXED.vectors(indices=[0]).tolist() == [["sgd", 1e-8, False]]


@pytest.mark.parametrize(
    "form",
    ["adam,0.01,True", " adam , 0.01,True ", ("adam", 0.01, True), np.array(["adam", 0.01, True], dtype=object)],
)
def test_forms_of_an_architecture(form: Any) -> None:
    found = MIXED.parse(form)
    assert found == ("adam", 0.01, True)
    assert str(found) == "adam,0.01,True"
    assert MIXED.index(form) == (1 * 3 + 1) * 2 + 1
    assert pickle.loads(pickle.dumps(found)) == found
    assert type(pickle.loads(pickle.dumps(found))) is Architecture


def test_equal_numbers_are_one_level_in_the_form_of_the_space() -> None:
    found = MIXED.parse(("sgd", 1.0, 0))
    assert repr(found) == "Architecture('sgd', 1, False)"
    assert repr(SMALL.parse(np.array([1.0, 2.0, 3.0, 6.0]))) == "Architecture(1, 2, 3, 6)"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (("adam", 0.02, True), "architecture adam,0.02,True: rate=0.02 is not one of 1e-08, 0.01, 1"),
        (("adam", 0.01), "has 2 entries; expected 3: optimizer, rate, nesterov"),
        ("adam-0.01-True", "expected 3 levels, of optimizer, rate, nesterov, such as 'sgd,1e-08,False'"),
        ("adam,0.01,true", "nesterov='true' is not one of False, True"),
        (("adam", [0.01], True), "rate=[0.01] is not one of"),
        (7, "not an architecture: 7; expected the levels of optimizer, rate, nesterov, or text such as"),
        (None, "not an architecture: None"),
    ],
)
def test_what_is_no_architecture(form: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(message)):
        MIXED.parse(form)
    assert form not in MIXED


def test_only_networks_have_depths() -> None:
    for architecture in (MIXED.from_index(0), Grid([Entry("a", (1, 2))]).from_index(0)):
        with pytest.raises(SpaceError, match="has no depths and widths: it is no wide residual network"):
            _ = architecture.depths


def test_a_restricted_grid() -> None:
    kept = MIXED.restricted_to(["sgd,0.01,True", "lion,1,False"])
    assert kept.size == 2
    assert kept.product_size == 18
    assert list(map(str, kept)) == ["sgd,0.01,True", "lion,1,False"]
    assert "adam,1,True" not in kept
    assert kept.neighbours("lion,1,False") == []
    assert kept == MIXED.restricted_to(indices=[3, 16]) == pickle.loads(pickle.dumps(kept))
    assert kept != MIXED
    assert len({kept, MIXED, MIXED.restricted_to(indices=[3, 16])}) == 2
    assert repr(kept) == (
        "Grid(optimizer={sgd, adam, lion}, rate=[1e-08, 0.01, 1], nesterov={False, True}, 2 of 18 architectures)"
    )


levels = st.one_of(
    st.lists(st.integers(-5, 50), min_size=1, max_size=4, unique=True).map(sorted),
    st.lists(st.text("abcXYZ-|~_.", min_size=1, max_size=6), min_size=1, max_size=4, unique=True),
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=4, unique=True).map(sorted),
)


@given(st.lists(levels, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_grid_equals_its_enumeration(choices: list[list[Any]]) -> None:
    space = Grid(Entry(f"e{k}", tuple(given)) for k, given in enumerate(choices))
    every = list(itertools.product(*choices))
    assert [tuple(a) for a in space] == every
    for index, architecture in enumerate(space):
        assert space.index(architecture) == space.index(str(architecture)) == space.index(list(architecture)) == index
        apart = [other for other in every if sum(a != b for a, b in zip(other, architecture, strict=True)) == 1]
        assert sorted(map(space.index, space.neighbours(architecture))) == sorted(map(space.index, apart))
    assert space_from_dict(space.to_dict()) == space
    one_hot = space.one_hot(indices=space.member_indices)
    assert (one_hot.sum(axis=1) == len(choices)).all()
    assert len(np.unique(one_hot, axis=0)) == space.size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a b", (1,)), "expected a printable name"),
        (("", (1,)), "expected a printable name"),
        (("arch_id", (1,)), "would hide the column"),
        (("a", ()), "expected a list of levels"),
        (("a", "xyz"), "expected a list of levels"),
        (("a", (1, 1.0)), "are not all different"),
        (("a", (1, "1")), "are not all different"),
        (("a", (True, 1)), "are not all different"),
        (("a", (2, 1)), "do not ascend; sort them, or say ordered=False"),
        (("a", (float("nan"),)), "cannot be a level"),
        (("a", ("x,y",)), "cannot be a level"),
        (("a", (" x",)), "cannot be a level"),
        (("a", (None,)), "cannot be a level"),
        (("a", (1, 2), 1), "ordered=1: expected True or False"),
    ],
)
def test_bad_entries(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(message)):
        Entry(*arguments)


def test_bad_grids() -> None:
    one = Entry("a", (1, 2))
    for entries, message in [
        ([], "a space needs a list of entries"),
        ([("a", (1, 2))], "a space needs a list of entries"),
        ([one, one], "need different names"),
        ([Entry(f"e{k}", tuple(range(10))) for k in range(10)], "is too large"),
        ([Entry(f"e{k}", (1,)) for k in range(61)], "is too large"),
    ]:
        with pytest.raises(SpaceError, match=message):
            Grid(entries)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="at least one member"):
        Grid([one], ())


@pytest.mark.parametrize(
    "data",
    [{"entries": 5}, {"entries": [5]}, {"entries": [{"name": "a"}]}, {"entries": [], "more": 1}, {"entries": []}, None],
)
def test_bad_stored_spaces(data: Any) -> None:
    with pytest.raises(SpaceError):
        space_from_dict(data)


def test_the_largest_space_of_networks() -> None:
    assert SearchSpace((1, 2), (1, 2), stages=15, unit_channels=1, image_size=1).product_size == 2**30
    for depths, widths, stages, shown in [((1,), (1,), 31, "1^31"), ((1, 2), (1, 2, 3), 10**9, "6^1000000000")]:
        message = f"a space of {shown} architectures is too large; at most 2147483647 in 30 stages can be indexed"
        with pytest.raises(SpaceError, match=re.escape(message)):
            SearchSpace(depths, widths, stages)


def test_members_are_members() -> None:
    grid = Grid([Entry("a", (1, 2, 3)), Entry("b", (1, 2))])
    for members in ((3, 3), (5, 3), (6,), (-1,), (1.0,), (True,)):
        with pytest.raises(SpaceError, match="expected ascending indices below 6"):
            Grid(grid.entries, members)
    few = grid.restricted_to(indices=[1, 2, 3])
    assert list(few.restricted_to(indices=[3, 1]).member_indices) == [1, 3]
    with pytest.raises(SpaceError, match="index 5 is left out of this restricted space"):
        few.restricted_to(indices=[1, 5])


@pytest.mark.parametrize("levels", [(-1, 0, 1), (0.5, 1, 2)])
def test_what_reports_print_is_read_again(levels: tuple[Any, ...]) -> None:
    grid = Grid([Entry("shift", levels), Entry("n", (3, 4))])
    for architecture in grid:
        assert grid.parse(str(architecture)) == architecture
