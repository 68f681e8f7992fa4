from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench_ar import Table, TableError
from nasbench_ar.describe import describe, summary
from tests.nasbench_ar.conftest import TOY, table_of


@pytest.fixture
def full(tmp_path: Path) -> Table:
    values: dict[str, Any] = {
        "val_loss": 1.0,
        "training_time_gpu_days": 0.5,
        "curves": {"val_loss": np.ones(3), "val_pgd_acc": np.ones(3)},
        "corruption_acc": np.ones((19, 5)),
        "labels": {"gpu_type": "a", "host": "b"},
    }
    seeds = [{"seed": seed, "flags": {"odd": seed % 2 == 1, "late": seed == 9}} for seed in range(11)]
    rows = (
        (TOY.from_index(k % 2), values | seed | ({"val_pgd_acc": 2.0} if k % 2 else {})) for k, seed in enumerate(seeds)
    )
    return table_of(tmp_path / "t", *rows)


def test_every_line(full: Table) -> None:
    assert describe(full, verify=True).splitlines() == [
        "toy: toy numbers",
        *([f"  folder: {full.folder}"] if len(str(full.folder)) < 89 else ["  folder:", f"    {full.folder}"]),
        "  provenance: made up",
        "  licence: none",
        "  source: file nowhere",
        "  note: a note",
        "  space: 16 architectures: 2 stages, depths 1, 2, widths 1, 3",
        "  content: 2 architectures, 11 trainings, seeds 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...",
        "  default objective: val_pgd_acc",
        "  metrics, with the number of architectures that have a value:",
        "    macs                        16  MACs",
        "    params                      16  Params [parameters]",
        "    training_time_gpu_days       2  Training time [GPU-days]",
        "    val_loss                     2  Val clean loss",
        "    val_pgd_acc                  1  Val PGD20 (ten steps) [%]",
        "  curves: val_loss, val_pgd_acc (3 epochs)",
        "  corruptions: acc",
        "  flags: late (1), odd (5)",
        "  labels: gpu_type, host",
        f"  verified: {len(full.meta['files'])} arrays equal their hashes",
    ]


def test_a_summary_of_few_lines(full: Table) -> None:
    assert summary(full, note=" (the best)").splitlines() == [
        "toy: 2 architectures, 11 trainings (the best)",
        "  toy numbers",
        f"  folder: {full.folder}",
        "  objective: val_pgd_acc; curves of 3 epochs, corruptions: acc",
        "  metrics: macs, params, training_time_gpu_days, val_loss, val_pgd_acc",
    ]


def test_what_a_table_lacks_is_named(tmp_path: Path) -> None:
    text = describe(table_of(tmp_path / "t", *((TOY.from_index(0), {"seed": seed}) for seed in range(10))))
    assert text.splitlines()[-4:] == ["  curves: none", "  corruptions: none", "  flags: none", "  labels: none"]
    assert "seeds 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n" in text
    assert "verified" not in text


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        (("a-" * 30, "b-" * 30), [f"  labels: {'a-' * 30},", f"    {'b-' * 30}"]),
        (("a" * 89, "b"), [f"  labels: {'a' * 89},", "    b"]),
        (("a" * 90, "b"), ["  labels:", f"    {'a' * 90}, b"]),
    ],
)
def test_lines_have_a_hundred_characters_at_most(tmp_path: Path, names: tuple[str, ...], lines: list[str]) -> None:
    table = table_of(tmp_path / "t", (TOY.from_index(0), {"labels": dict.fromkeys(names, "")}))
    assert describe(table).splitlines()[-2:] == lines


def test_every_array_is_compared_on_request_only(full: Table) -> None:
    path = next((full.folder / "curves").iterdir())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert describe(full)
    with pytest.raises(TableError, match=path.stem):
        describe(full, verify=True)
