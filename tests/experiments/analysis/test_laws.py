"""Sizes and shapes by hand, blocks by brute force, cross-validation against a plain loop."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from experiments.analysis import laws
from experiments.analysis.laws import BASE, FORMS, SHAPED, blocks, costs, cross_validate, forms_of
from experiments.statistics.power_law import fit_power_law
from nasbench_ar import NARES, SearchSpace

SPACE = SearchSpace(depth_choices=(1, 2, 3), width_choices=(1, 2, 4), stages=2)
VECTORS = SPACE.vectors()


def test_costs_are_those_of_the_space_and_go_beyond_it() -> None:
    assert costs(VECTORS, SPACE)["macs"].tolist() == SPACE.macs_many(indices=np.arange(SPACE.size)).tolist()
    assert costs(VECTORS, SPACE)["params"].tolist() == SPACE.params_many(indices=np.arange(SPACE.size)).tolist()
    published = np.array([[5, 10, 5, 10, 2, 10], [11, 18, 11, 21, 11, 9]])  # 5.25G, 24.0M; 42.7G, 170M
    assert costs(published, NARES)["macs"] / 1e9 == pytest.approx([5.25, 42.7], rel=2e-3)
    assert costs(published, NARES)["params"] / 1e6 == pytest.approx([24.0, 170], rel=3e-3)


def test_shapes_by_hand() -> None:
    vectors = np.array([[4, 8, 8, 16, 2, 8], [14, 5, 14, 7, 7, 3]])
    shares = laws.log_shares(vectors, NARES)
    assert laws.share_terms(3) == ["ΣD/ΣW", "D2/D1", "D3/D1", "W2/W1", "W3/W1"]
    assert np.exp(shares[0]) == pytest.approx([14 / 32, 2, 0.5, 2, 1])
    assert laws.from_robust_resnet(vectors, NARES)[:, 0] == pytest.approx([0.7 - 14 / 46, 0], abs=1e-12)
    aim = np.array([[30, 13.5, 31, 13.5, 10, 13.5]])
    assert laws.from_robust_principle(aim, NARES)[0, 0] == pytest.approx(0, abs=1e-12)
    twice = np.array([[15, 13.5, 15.5, 13.5, 10, 13.5]])
    assert laws.from_robust_principle(twice, NARES)[0, 0] == pytest.approx(np.log(2))


def test_a_space_of_one_stage_has_no_robust_principle() -> None:
    one = SearchSpace(depth_choices=(1, 2), width_choices=(1, 2), stages=1)
    assert [form.name for form in FORMS if form not in forms_of(one)] == ["macs_principle"]
    assert forms_of(SPACE) == FORMS


def test_blocks_by_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laws, "LEAST", 50)
    macs = costs(VECTORS, SPACE)["macs"]
    found = {block.name: block for block in blocks(VECTORS, macs, SPACE.entry_names)}
    largest = set(sorted(range(81), key=lambda k: macs[k])[-9:])
    assert set(np.flatnonzero(found["largest tenth by MACs"].held)) == largest
    expected = {"largest tenth by MACs": "largest"}
    for position, letter in enumerate(SPACE.entry_names):
        for level in (1, 2, 3) if letter[0] == "D" else (1, 2, 4):
            expected[f"{letter} = {level}"] = "inner" if level == 2 else "edge"
            held = [
                k
                for k, vector in enumerate(itertools.product((1, 2, 3), (1, 2, 4), repeat=2))
                if vector[position] == level
            ]
            assert np.flatnonzero(found[f"{letter} = {level}"].held).tolist() == held
    assert {name: block.kind for name, block in found.items()} == expected
    monkeypatch.setattr(laws, "LEAST", 60)  # a level has 27, so that 54 would remain
    assert [block.name for block in blocks(VECTORS, macs, SPACE.entry_names)] == ["largest tenth by MACs"]


def test_cross_validation_against_a_plain_loop() -> None:
    macs = costs(VECTORS, SPACE)["macs"]
    error = 40 + 3 * (macs / 1e7) ** -0.4 + np.random.default_rng(0).normal(0, 0.1, 81)
    held_out = blocks(VECTORS, macs, SPACE.entry_names)
    rows = {(row["form"], row["block"]): row for row in cross_validate((BASE, SHAPED), VECTORS, SPACE, error, held_out)}
    assert len(rows) == 3 * len(held_out)
    for block in held_out:
        rest = [k for k in range(81) if not block.held[k]]
        for form, shape in ((BASE, np.zeros((81, 0))), (SHAPED, laws.log_shares(VECTORS, SPACE))):
            law = fit_power_law(macs[rest], shape[rest], error[rest])
            misses, inside = [], 0
            for k in np.flatnonzero(block.held):
                one = macs[k : k + 1], shape[k : k + 1]
                misses.append(law.predict(*one)[0] - error[k])
                low, high = law.interval(*one)[0]
                inside += low <= error[k] <= high
            row = rows[form.name, block.name]
            assert row["n"] == len(misses)
            assert row["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(misses))), abs=1e-3)
            assert row["bias"] == pytest.approx(np.mean(misses), abs=1e-3)
            assert row["coverage"] == pytest.approx(inside / len(misses), abs=0.05)
        plain = rows["none", block.name]
        assert plain["bias"] == pytest.approx(np.mean(error[rest]) - np.mean(error[block.held]))
        assert "coverage" not in plain
