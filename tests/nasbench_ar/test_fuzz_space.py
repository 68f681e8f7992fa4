"""Damaged and odd descriptions of spaces, architectures and constraints."""

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nasbench_ar import (
    METRICS,
    NARES,
    Architecture,
    ConfigError,
    MetricError,
    SearchSpace,
    SpaceError,
    parse_constraints,
)
from nasbench_ar.constraints import Constraint
from tests.fuzzing import Damages, Reader, byte_damage, document_damage, odd_values
from tests.nasbench_ar.conftest import TOY

SPACE = Reader("nasbench_ar: SearchSpace.from_dict", SpaceError)
TEXT = Reader("nasbench_ar: SearchSpace.parse, of text", SpaceError)
VECTOR = Reader("nasbench_ar: SearchSpace.parse, of a vector", SpaceError)
CONSTRAINTS = Reader("nasbench_ar: parse_constraints", ConfigError, MetricError)


@SPACE.fuzz(change=document_damage() | st.just(Damages(())), whole=st.sampled_from([NARES, TOY]))
def test_any_description_of_a_space(change: Damages, whole: SearchSpace) -> None:
    given = change(whole.to_dict() | {"depth_choices": list(whole.depth_choices)})

    def holds(space: SearchSpace) -> None:
        assert SearchSpace.from_dict(space.to_dict()) == space
        ends = np.array([0, space.product_size - 1])
        assert (space.macs_many(indices=ends) > 0).all()
        assert (space.params_many(indices=ends) > 0).all()
        for index in ends.tolist():
            assert space.index(space.from_index(index)) == index

    SPACE.check(lambda: SearchSpace.from_dict(given), holds)


def _is_member(architecture: Architecture) -> None:
    assert type(architecture) is Architecture
    assert NARES.from_index(NARES.index(architecture)) == architecture
    assert NARES.from_arch_id(NARES.arch_id(architecture)) == architecture
    assert Architecture.parse(str(architecture)) == architecture


_WRITTEN = st.sampled_from(["5-10-5-10-5-10", "11-16-11-16-11-16", "WRN-34-10", " 4-8-4-8-4-8 "])
_ENTRY = st.sampled_from(["4", "5", "11", "8", "10", "16", "0", "-1", "", "1e3", "٣", "²", "9" * 30])


@TEXT.fuzz(
    text=st.builds(lambda whole, change: change(whole.encode()).decode("utf-8", "replace"), _WRITTEN, byte_damage())
    | st.lists(_ENTRY, max_size=8).map("-".join)
    | st.lists(st.sampled_from(["4", "8", "10"]), min_size=6, max_size=6).map("-".join)
    | st.text(max_size=20)
)
def test_any_text_for_an_architecture(text: str) -> None:
    TEXT.check(lambda: NARES.parse(text), _is_member)


@VECTOR.fuzz(change=document_damage(values=st.sampled_from([4, 5, 8, 10, 16, np.int64(4), np.float64(4), 4.0])))
def test_any_vector_for_an_architecture(change: Damages) -> None:
    given: Any = change([5, 10, 5, 10, 5, 10])
    VECTOR.check(lambda: NARES.parse(given), _is_member)


_NAME = st.sampled_from([*METRICS, "val_pgd", "", "MACS", "1"])
_NUMBER = st.sampled_from(["10e9", "77", "-0", "+1.5e-3", ".5", "1e999", "nan", "1.2.3", ".", "1_0", "٣", "9" * 400])
_LIMIT = st.builds("{}{}{}".format, _NAME, st.sampled_from(["<=", ">=", " <= ", "<", "==", "=<", ""]), _NUMBER)


@CONSTRAINTS.fuzz(
    given=st.lists(_LIMIT, min_size=1, max_size=3).map(",".join)
    | st.builds(
        lambda change: change(b"macs<=10e9,val_best_clean_acc>=77").decode("utf-8", "replace"), byte_damage(most=2)
    )
    | st.lists(odd_values(), max_size=2)
)
def test_any_constraint(given: str | list[Any]) -> None:
    def holds(limits: tuple[Constraint, ...]) -> None:
        for limit in limits:
            assert math.isfinite(limit.limit)
            assert METRICS[limit.metric].searchable or METRICS[limit.metric].split == "cost"
            assert limit.known_cost == (limit.metric in ("macs", "params"))
            assert parse_constraints(str(limit))[0].relation == limit.relation

    CONSTRAINTS.check(lambda: parse_constraints(given), holds)
