import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_ar import NARES, WRN_34_10, Architecture, ConfigError, Entry, Grid, SearchSpace, SpaceError

choices = st.lists(st.integers(1, 30), min_size=1, max_size=4, unique=True).map(sorted).map(tuple)
spaces = st.builds(SearchSpace, choices, choices, st.integers(1, 3))


@given(spaces, st.data())
@settings(max_examples=60, deadline=None)
def test_index_round_trip_and_order(space: SearchSpace, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, space.product_size - 1))
    architecture = space.from_index(index)
    assert space.index(architecture) == index
    assert space.index(str(architecture)) == index
    assert space.index(list(architecture)) == index
    assert tuple(space.vectors(indices=np.array([index]))[0].tolist()) == architecture
    if index:
        assert space.from_index(index - 1) < architecture  # lexicographic
    arch_id = space.arch_id(architecture)
    assert space.from_arch_id(arch_id) == architecture
    if arch_id > 1:
        assert space.macs(space.from_arch_id(arch_id - 1)) <= space.macs(architecture)


@given(spaces, st.data())
@settings(max_examples=60, deadline=None)
def test_neighbourhood(space: SearchSpace, data: st.DataObject) -> None:
    center = space.from_index(data.draw(st.integers(0, space.product_size - 1)))
    neighbours = space.neighbours(center)
    assert len(set(neighbours)) == len(neighbours)
    assert len(neighbours) == sum(len(space.choices(p)) - 1 for p in range(space.dimensions))
    for neighbour in neighbours:
        assert sum(a != b for a, b in zip(center, neighbour, strict=True)) == 1
        assert center in space.neighbours(neighbour)
    keys = [next((p, b) for p, (a, b) in enumerate(zip(center, n, strict=True)) if a != b) for n in neighbours]
    assert keys == sorted(keys)


@given(spaces, st.data())
@settings(max_examples=30, deadline=None)
def test_restricted(space: SearchSpace, data: st.DataObject) -> None:
    members = data.draw(st.sets(st.integers(0, space.product_size - 1), min_size=1, max_size=8))
    small = space.restricted_to(indices=members)
    assert len(small) == len(members)
    assert [i for i in range(-1, space.product_size + 1) if small.has_index(i)] == sorted(members)
    assert [i for i in (-1, 0, space.product_size) if space.has_index(i)] == [0]
    assert [space.index(a) for a in small] == sorted(members)
    rng = np.random.default_rng(0)
    assert {space.index(small.sample(rng)) for _ in range(20)} <= members
    for a in small:
        assert small.arch_id(a) == space.arch_id(a)
        assert set(small.neighbours(a)) == {n for n in space.neighbours(a) if n in small}


def test_the_nares_space() -> None:
    assert NARES.size == len(NARES) == 15625
    assert len(NARES.neighbours(WRN_34_10)) == 24
    assert NARES.one_hot(indices=np.array([0])).shape == (1, 30)
    assert NARES.entry_names == ("D1", "W1", "D2", "W2", "D3", "W3")
    assert SearchSpace.from_dict(NARES.to_dict()) == NARES
    assert sorted(NARES.arch_id_order.tolist()) == list(range(15625))
    assert next(iter(NARES)) == (4, 8, 4, 8, 4, 8)


def test_samples_are_uniform_and_follow_the_generator() -> None:
    space = SearchSpace((1, 2), (1, 2), stages=1)
    rng = np.random.default_rng(0)
    counts = np.bincount([space.index(space.sample(rng)) for _ in range(4000)], minlength=4)
    assert abs(counts - 1000).max() < 120
    a, b = (NARES.sample(np.random.default_rng(5)) for _ in range(2))
    assert a == b


def test_membership() -> None:
    assert WRN_34_10 in NARES
    assert "WRN-34-10" in NARES
    assert [5, 10, 5, 10, 5, 10] in NARES
    assert np.array(WRN_34_10) in NARES
    for stranger in ("5-10-5-10-5-11", "WRN-28-10", (5, 10), 17, np.int64(17), None, object()):
        assert stranger not in NARES


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("5-10-5-10-5-11", "W3=11 is not one of 8, 10, 12, 14, 16"),
        ("6-10-5-10-5-10", "D1=6 is not one of 4, 5, 7, 9, 11"),
        ("5-10-5-10", "has 4 numbers; expected 6"),
        ("5-10-5-10-5-10-5-10", "has 8 numbers; expected 6"),
        (17, "not an architecture: 17"),
    ],
)
def test_strangers_are_named(given: object, message: str) -> None:
    for ask in (NARES.index, NARES.parse, NARES.macs, NARES.neighbours, NARES.arch_id):
        with pytest.raises(SpaceError, match=message):
            ask(given)  # type: ignore[operator]
    with pytest.raises(SpaceError, match=message):
        NARES.indices([given])  # type: ignore[list-item]


@pytest.mark.parametrize("index", [-1, 15625, True, 1.0, "3", None])
def test_bad_numbers(index: object) -> None:
    with pytest.raises(SpaceError, match=r"outside 0\.\.15624"):
        NARES.from_index(index)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match=r"outside 1\.\.15625"):
        NARES.from_arch_id(0 if index == 15625 or index == -1 else index)  # type: ignore[arg-type]


def test_a_notebook_shows_how_many_members_and_not_which() -> None:
    assert repr(NARES).endswith("classes=10)")
    assert eval(repr(NARES)) == NARES
    assert repr(NARES.restricted_to(indices=range(3000))) == f"{repr(NARES)[:-1]}, 3000 of 15625 architectures)"


def test_left_out_members() -> None:
    small = NARES.restricted_to(indices=[3, 1])
    assert small.members == (1, 3)
    asked: list[tuple[Callable[[], object], str]] = [
        (lambda: small.index(NARES.from_index(2)), "left out of this space"),
        (lambda: small.from_index(2), "left out of this restricted space"),
        (lambda: NARES.restricted_to(indices=[]), "at least one member"),
        (lambda: NARES.restricted_to(indices=[0, 15625]), "indices= reach from 0 to 15625, outside"),
        (lambda: NARES.restricted_to(indices=[-1]), "indices= reach from -1 to -1, outside"),
    ]
    for ask, message in asked:
        with pytest.raises(SpaceError, match=message):
            ask()
    assert NARES.restricted_to(indices=range(15625)).members is None


@pytest.mark.parametrize("values", [(), (2, 1), (1, 1), (0, 1), (1.0,), "12", None, (True, 2), 5])
def test_bad_choices(values: object) -> None:
    for field in ("depth_choices", "width_choices"):
        with pytest.raises(SpaceError, match=f"^{field}=.*: expected ascending positive integers without repeats"):
            SearchSpace(**{field: values})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["stages", "unit_channels", "image_size", "image_channels", "classes"])
@pytest.mark.parametrize("value", [0, -1, 1.0, "3", True, None])
def test_bad_sizes(field: str, value: object) -> None:
    with pytest.raises(SpaceError, match=f"{field}=.*positive integer"):
        SearchSpace(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sizes",
    [
        {"unit_channels": 10**10},
        {"image_size": 10**30},
        {"classes": 2**61},
        {"depth_choices": (1, 10**18)},
        {"stages": 30, "depth_choices": (1,), "width_choices": (1,)},
    ],
)
def test_costs_that_are_no_64_bit_integers(sizes: dict[str, Any]) -> None:
    with pytest.raises(SpaceError, match="costs reach beyond 4611686018427387904"):
        SearchSpace(**sizes)


def test_the_largest_costs_are_exact() -> None:
    space = SearchSpace(depth_choices=(1,), width_choices=(1,), stages=1, image_size=10**7, image_channels=1, classes=1)
    channels = 16
    per_pixel = 9 * channels + channels + 9 * channels**2 + channels + 9 * channels**2 + channels
    assert space.macs("1-1") == 10**14 * per_pixel + channels + channels


@pytest.mark.parametrize("text", ["1-" * 5000 + "1", "5-" * 29 + "9" * 9])
def test_messages_stay_short(text: str) -> None:
    with pytest.raises(SpaceError) as caught:
        NARES.parse(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "data", [{}, None, [1], {**NARES.to_dict(), "extra": 1}, {"stages": 3}, {1: 2, "a": 3}, "x" * 5000]
)
def test_bad_dicts(data: Any) -> None:
    with pytest.raises(SpaceError, match="exactly the keys") as caught:
        SearchSpace.from_dict(data)
    assert len(str(caught.value)) < 600


def test_architecture_objects_of_the_space_are_architectures() -> None:
    assert type(NARES.from_index(0)) is Architecture
    assert type(NARES.sample(np.random.default_rng(0))) is Architecture
    assert all(type(n) is Architecture for n in NARES.neighbours(WRN_34_10))


def test_a_configuration_space_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("ConfigSpace")
    space = SearchSpace((1, 2, 5), (3,), stages=2).restricted_to(indices=range(8))
    made = space.configspace(seed=1)
    assert made.get_default_configuration() == library.Configuration(made, {"D1": 1, "W1": 3, "D2": 1, "W2": 3})
    order = made["D2"].sequence
    assert (order, made.estimate_size()) == ((1, 2, 5), 9)
    found = {tuple(configuration.values()) for configuration in made.sample_configuration(100)}
    assert len(found) == 9
    for d1, d2, w1, w2 in found:  # by name, as the library orders them
        configuration = library.Configuration(made, {"D1": d1, "D2": d2, "W1": w1, "W2": w2})
        if (d1, d2) == (5, 5):
            with pytest.raises(SpaceError, match="left out"):
                space.from_entries(configuration)
        else:
            assert space.from_entries(configuration) == (d1, w1, d2, w2)
    monkeypatch.setitem(sys.modules, "ConfigSpace", None)
    with pytest.raises(ConfigError, match=r"space.configspace needs ConfigSpace, .*nasbench-ar\[configspace\]"):
        space.configspace()


def test_entries_without_order_are_categories() -> None:
    library = pytest.importorskip("ConfigSpace")
    space = Grid([Entry("z", ("b", "a"), ordered=False), Entry("y", (False, True)), Entry("x", (0.5, 2.0))])
    made = space.configspace(seed=0)
    assert {name: type(made[name]) for name in made} == {
        "x": library.OrdinalHyperparameter,
        "y": library.OrdinalHyperparameter,
        "z": library.CategoricalHyperparameter,
    }
    assert {space.from_entries(configuration) for configuration in made.sample_configuration(100)} == set(space)


@pytest.mark.parametrize("values", [{}, {"D1": 5}, dict.fromkeys(NARES.entry_names, 10) | {"seed": 1}])
def test_entries_that_make_no_architecture(values: dict[str, int]) -> None:
    with pytest.raises(SpaceError, match="expected a value for each of D1, W1, D2, W2, D3, W3; given: "):
        NARES.from_entries(values)
