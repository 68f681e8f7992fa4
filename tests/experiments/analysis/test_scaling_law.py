"""The best shape by brute force, rules by their proportions, and the document's numbers computed once more."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from experiments.analysis import scaling_law
from experiments.analysis.figure import Numbers
from experiments.analysis.laws import costs, log_shares
from experiments.analysis.ratios import ROBUST_PRINCIPLE_AIM, RULES
from experiments.analysis.table_data import TableData
from nasbench_ar import NARES, MissingEntryError, Oracle, SearchSpace, Table, load
from tests.experiments.conftest import table_writer

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/carries-over.md"


@pytest.fixture(scope="module")
def data() -> TableData:
    return TableData.of(load("nares-figures", quiet=True))


@pytest.fixture(scope="module")
def numbers(data: TableData) -> Numbers:
    return scaling_law.numbers(data)


def test_the_best_within_a_budget_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    macs, error = rng.integers(1, 30, 200).astype(float), rng.integers(0, 40, 200).astype(float)
    budgets = np.linspace(macs.min(), 31, 50)
    for index, budget in zip(scaling_law.cheapest_path(macs, error, budgets), budgets, strict=True):
        allowed = [(error[k], macs[k]) for k in range(200) if macs[k] <= budget]
        assert (error[index], macs[index]) == min(allowed)


@pytest.mark.parametrize("rule", RULES)
def test_rules_keep_their_proportions(rule: str) -> None:
    budgets = np.array([5.09e9, 2e10, 4.09e10])
    depth, width = scaling_law.rule_path(RULES[rule], NARES, budgets)
    depths, widths = (np.array(of_stage) / sum(of_stage) for of_stage in RULES[rule])
    vectors = np.stack([depth[:, None] * depths, width[:, None] * widths], axis=2).reshape(3, 6)
    assert costs(vectors, NARES)["macs"] == pytest.approx(budgets, rel=1e-3)
    if rule == "robust_resnet":
        assert depth / (depth + width) == pytest.approx(0.7)
        assert depth == pytest.approx([35, 55, 68], abs=2)  # of the published networks of these MACs
        assert width == pytest.approx([15, 24, 30], abs=1.5)
    else:
        ratio = (16 * vectors[:, 1] / vectors[:, 0] + 32 * vectors[:, 3] / vectors[:, 2]) / 2
        assert ratio == pytest.approx(ROBUST_PRINCIPLE_AIM)


def test_favoured_by_hand() -> None:
    predicted, measured = np.arange(200.0), np.arange(200.0)[::-1]
    found = scaling_law.favoured(predicted, measured)
    assert found["favoured_predicted"] == 99.5 - 4.5
    assert found["favoured_measured"] == 99.5 - 194.5
    assert found["favoured_measured_error"] == pytest.approx(np.std(np.arange(10), ddof=1) / np.sqrt(10))
    assert all(np.isnan(value) for value in scaling_law.favoured(predicted[1:], measured[1:]).values())


def test_a_second_fit_finds_the_same_laws(data: TableData, numbers: Numbers) -> None:
    """Huber's loss written out, minimised by another algorithm over E, log A, a and b."""
    found = numbers.tables["laws"].set_index(["metric", "form"])
    validated = numbers.tables["blocks"].set_index(["metric", "form", "block"])
    known = data.known("test_pgd_acc")
    error, vectors = 100 - data.column("test_pgd_acc")[known], data.vectors[known]
    macs = NARES.macs_many(indices=known).astype(float)
    largest = macs >= np.quantile(macs, 0.9)
    for form, shape in (("macs", np.zeros((len(known), 0))), ("macs_shape", log_shares(vectors, NARES))):

        def fitted(rows: np.ndarray, shape: np.ndarray = shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            x, moved = np.log(macs / np.exp(np.log(macs[rows]).mean())), shape - shape[rows].mean(axis=0)
            columns = np.column_stack([np.ones(len(x)), x, moved])
            residual = error - columns @ np.linalg.lstsq(columns[rows], error[rows])[0]
            corner = 1.345 * 1.4826 * np.median(np.abs(residual[rows] - np.median(residual[rows])))

            def law(p: np.ndarray) -> np.ndarray:
                return p[0] + np.exp(p[1] - p[2] * x + moved @ p[3:])

            def loss(p: np.ndarray) -> float:
                off = np.abs(law(p) - error)[rows]
                return float(np.where(off <= corner, off**2, 2 * corner * off - corner**2).mean())

            start = np.r_[40.0, 1.4, 0.3, np.zeros(shape.shape[1])]
            best = minimize(loss, start, method="BFGS", options={"gtol": 1e-6})
            return best.x, law(best.x), rows

        parameters, _, _ = fitted(np.ones(len(known), bool))
        row = found.loc["test_pgd_acc", form]
        assert row["n"] == len(known)
        assert row["asymptote"] == pytest.approx(parameters[0], abs=0.05)
        assert row["exponent"] == pytest.approx(parameters[2], abs=0.01)
        if form == "macs_shape":
            shown = [row[f"b_{term}"] for term in ("ΣD/ΣW", "D2/D1", "D3/D1", "W2/W1", "W3/W1")]
            assert shown == pytest.approx(parameters[3:], abs=0.003)
        _, predicted, _ = fitted(~largest)
        held = validated.loc["test_pgd_acc", form, "largest tenth by MACs"]
        assert held["n"] == largest.sum()
        assert held["rmse"] == pytest.approx(np.sqrt(np.mean((predicted - error)[largest] ** 2)), abs=1e-3)


def test_blocks_of_a_kind_count_every_architecture_once(numbers: Numbers) -> None:
    blocks = numbers.tables["blocks"]
    pooled = numbers.tables["cross_validation"].set_index(["metric", "form", "kind"])
    chosen = blocks[(blocks["metric"] == "test_clean_acc") & (blocks["form"] == "params") & (blocks["kind"] == "edge")]
    row = pooled.loc["test_clean_acc", "params", "edge"]
    assert row["blocks"] == len(chosen) == 12
    assert row["rmse"] ** 2 == pytest.approx((chosen["rmse"] ** 2 * chosen["n"]).sum() / chosen["n"].sum())
    assert row["coverage"] == pytest.approx((chosen["coverage"] * chosen["n"]).sum() / chosen["n"].sum())
    base = blocks[(blocks["metric"] == "test_clean_acc") & (blocks["form"] == "macs")].set_index("block")["rmse"]
    assert row["better_than_macs"] == (chosen["rmse"].to_numpy() < base[chosen["block"]].to_numpy()).sum()


def test_the_document_quotes_the_numbers(numbers: Numbers) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, expected in scaling_law.as_texts(numbers).items():
        block = re.search(rf"<!-- begin {name} -->\n(.*?)<!-- end {name} -->", text, re.DOTALL)
        assert block
        assert block[1].strip() == expected.strip()


def test_the_picture_has_rules_and_published_networks(numbers: Numbers) -> None:
    drawing = scaling_law.FIGURE.draw(numbers)
    assert all(ax.get_visible() for ax in drawing.axes)
    judged, depth = drawing.axes[2], drawing.axes[3]
    assert sum(len(group.get_offsets()) for group in judged.collections) == 24  # twelve by each of two laws
    shown = numbers.tables["networks"]
    expected = (100 - shown["test_pgd_acc"]) - (100 - shown["test_pgd_acc"]).mean()
    drawn = np.concatenate([np.asarray(group.get_offsets())[:, 1] for group in judged.collections[:3]])
    assert sorted(drawn) == pytest.approx(sorted(expected))
    assert [line.get_label() for line in depth.lines] == ["Test PGD20", "Test Clean", "RobustResNet", "RobustPrinciple"]


def test_without_clean_accuracy_and_rules(tmp_path: Path) -> None:
    """One stage, one metric: neither rules' paths nor a judge, and empty places in the picture."""
    space = SearchSpace(depth_choices=tuple(range(1, 9)), width_choices=tuple(range(1, 9)), stages=1)
    rng = np.random.default_rng(0)
    macs = space.macs_many(indices=np.arange(space.size)) / 1e6
    with table_writer(tmp_path / "one", "one", space=space) as writer:
        for index in range(space.size):
            robust = 60 - 5 * macs[index] ** -0.3 + rng.normal(0, 0.1)
            writer.add(space.from_index(index), seed=0, scalars={"val_pgd_acc": robust})
    numbers = scaling_law.numbers(TableData.of(Oracle(Table(tmp_path / "one"))))
    assert not {"rules", "judge", "networks"} & numbers.tables.keys()
    assert set(numbers.tables["laws"]["form"]) == {"macs", "params", "macs_resnet", "macs_shape", "params_shape"}
    drawing = scaling_law.FIGURE.draw(numbers)
    assert [ax.get_visible() for ax in drawing.axes] == [True, False, False, True, True, True]


def test_few_architectures_have_no_law(table: Table) -> None:
    with pytest.raises(MissingEntryError, match="54 architectures with test_pgd_acc are too few to hold a block out"):
        scaling_law.numbers(TableData.of(Oracle(table)))
