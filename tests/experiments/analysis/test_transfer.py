"""Tables whose parts carry over as they were made to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.analysis.measured import Measured
from experiments.analysis.transfer import Source, Transfer, check_same_space, designed, scales, transfer
from nasbench_ar import MissingEntryError, Oracle, SearchSpace, Table, TableError
from tests.experiments.conftest import table_writer

SPACE = SearchSpace(depth_choices=(1, 2, 3), width_choices=(1, 2, 4), stages=3)


def measured(folder: Path, values: np.ndarray, name: str = "val_pgd_acc", space: SearchSpace = SPACE) -> Measured:
    """A table of these values, none where NaN."""
    with table_writer(folder, folder.name, space=space) as writer:
        known = np.flatnonzero(~np.isnan(values))
        writer.add_rows(known, np.zeros_like(known), {"val_pgd_acc": values[known], "val_loss": -values[known]})
    return Measured.of(Oracle(Table(folder)), name, {})


def parts(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Main effects, pairs and deviations with standard deviations near 3, 1 and 1."""
    digits = np.stack(np.unravel_index(np.arange(729), (3,) * 6))
    main = sum(rng.normal(0, 1.5, 3)[digit] for digit in digits)
    pairs = sum(rng.normal(0, 0.4, (3, 3))[digits[i], digits[j]] for i in range(6) for j in range(i))
    return main - main.mean(), pairs - pairs.mean(), rng.normal(0, 1, 729)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Transfer:
    """Of a target that has half of the source's main effects, none of its pairs, all of its deviations."""
    rng, folder = np.random.default_rng(1), tmp_path_factory.mktemp("tables")
    main, pairs, deviations = parts(rng)
    truth = 40 + main / 2 + parts(rng)[1] / 2 + deviations + rng.normal(0, 0.3, 729)
    source, target = measured(folder / "source", 50 + main + pairs + deviations), measured(folder / "target", truth)
    chosen = np.zeros(729, dtype=bool)
    chosen[rng.choice(729, 150, replace=False)] = True
    return transfer(Source.of(source), target, chosen, target.known)


def test_parts_carry_over_with_their_own_scales(found: Transfer) -> None:
    assert found.source.names == ("main effects", "pairs", "deviations")
    for (_, scale, error, _), expected in zip(scales(found.source, found.both.posterior), (0.5, 0, 1), strict=True):
        assert abs(scale - expected) < 3 * error < 0.6
    by_name = {way.name: way.quality(found.target, found.judges) for way in found.ways}
    errors = {name: error for name, (error, _) in by_name.items()}
    assert errors["both"] < 0.8 * min(errors["source alone"], errors["target alone"])
    assert errors["target alone"] < errors["mean of the trainings"]
    assert by_name["both"][1] == pytest.approx(0.95, abs=0.04)


def test_what_was_seen_is_predicted_by_folds(found: Transfer) -> None:
    seen = found.trained
    np.testing.assert_allclose(found.both.expected[seen], found.target.values[seen], atol=1e-6)
    error, inside = found.both.quality(found.target, seen)
    assert error > 0.3, "as much as no other training tells of"
    assert 0.88 < inside <= 1


def test_choices_are_judged_by_the_target(found: Transfer) -> None:
    first, _, last = found.choices
    assert first.index == int(found.source.measured.values.argmax())
    assert first.gain == (0, 0, 0)
    assert last.expected == max(found.both.expected)
    truth = found.target.values
    for choice in found.choices:
        low, high = choice.regret[1:]
        assert low <= truth.max() - truth[choice.index] <= high
        assert choice.regret[0] + choice.gain[0] == pytest.approx(first.regret[0])


def test_more_is_better_within(tmp_path: Path) -> None:
    values = 40 + parts(np.random.default_rng(9))[0]
    gain, loss = (measured(tmp_path / name, values, name) for name in ("val_pgd_acc", "val_loss"))
    assert (gain.sign, loss.sign) == (1, -1)
    np.testing.assert_allclose(gain.values, loss.values, err_msg="the loss is minus the accuracy")


def test_a_part_that_the_source_lacks_is_left_out(tmp_path: Path) -> None:
    main, pairs, _ = parts(np.random.default_rng(4))
    source = Source.of(measured(tmp_path / "source", 50 + main + pairs))
    assert source.names == ("main effects", "pairs")


def test_parts_that_depend_on_each_other_are_left_out(tmp_path: Path) -> None:
    """Main effects and pairs are all there is in a space of two entries."""
    space = SearchSpace(depth_choices=(1, 2, 3, 4, 5), width_choices=(1, 2, 3, 4, 5), stages=1)
    values = np.random.default_rng(9).normal(50, 3, 25)
    source = Source.of(measured(tmp_path / "source", values, space=space))
    assert source.names == ("main effects", "pairs")
    target = measured(tmp_path / "target", values / 2, space=space)
    found = transfer(source, target, np.arange(25) < 20, target.known)
    assert found.both.quality(target, found.judges)[0] < 0.5 * np.std(target.values)


def test_a_part_that_no_training_shows_is_left_out(tmp_path: Path) -> None:
    main, pairs, deviations = parts(np.random.default_rng(10))
    values, chosen = 50 + main + pairs + deviations, np.arange(729) % 9 == 0
    source = Source.of(measured(tmp_path / "source", np.where(chosen, np.nan, values)))
    target = measured(tmp_path / "target", values)
    assert transfer(source, target, chosen, target.known).source.names == ("main effects", "pairs")


def test_trainings_that_are_all_alike_say_nothing(tmp_path: Path) -> None:
    source = Source.of(measured(tmp_path / "source", 50 + sum(parts(np.random.default_rng(11)))))
    target = measured(tmp_path / "target", np.where(np.arange(729) == 700, 35.0, 10.0))
    with pytest.raises(MissingEntryError, match=r"^the 20 trainings seen of table target are all alike$"):
        transfer(source, target, np.arange(729) < 20, target.known)


def test_noise_of_a_training_is_not_the_architectures_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.analysis.transfer.FOLDS", 2)
    rng = np.random.default_rng(5)
    main, _, _ = parts(rng)
    source = Source.of(measured(tmp_path / "source", 50 + main + rng.normal(0, 0.1, 729)))
    target = measured(tmp_path / "target", 40 + main + rng.normal(0, 1, 729))
    chosen = np.arange(729) % 12 == 0
    exact, noisy = (transfer(source, target, chosen, target.known, seed_sd) for seed_sd in (0.0, 1.0))
    assert noisy.choices[-1].regret[0] < exact.choices[-1].regret[0] / 2
    assert noisy.both.quality(target, noisy.judges)[1] == pytest.approx(0.95, abs=0.04)


def test_a_design_is_better_than_random_ones_and_balanced(tmp_path: Path) -> None:
    source = Source.of(measured(tmp_path / "source", 50 + sum(parts(np.random.default_rng(6)))))
    found = designed(source, 40, seed=0)
    assert found.error < found.random.min()
    eighth = np.argsort(np.argsort(SPACE.macs_many(indices=np.arange(729)), kind="stable"), kind="stable") * 8 // 729
    assert np.bincount(eighth[found.chosen]).tolist() == [5] * 8
    np.testing.assert_array_equal(found.chosen, designed(source, 40, seed=0).chosen)


def test_another_space(tmp_path: Path) -> None:
    small = SearchSpace(depth_choices=(1, 2), width_choices=(1, 2), stages=3)
    source = measured(tmp_path / "source", 50 + sum(parts(np.random.default_rng(7))))
    target = measured(tmp_path / "target", np.random.default_rng(8).random(64), space=small)
    with pytest.raises(TableError, match="table target is of another space than source"):
        check_same_space(source, target)
