"""The entry of RobustBench's leaderboard."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from datagen.robustbench import model_info
from nasbench_ar import ResultsError

# Of model_info/cifar10/Linf/Bartoldson2024Adversarial_WRN-82-8.json in RobustBench's repository, with their types.
PUBLISHED = {
    "link": str,
    "name": str,
    "authors": str,
    "additional_data": bool,
    "number_forward_passes": int,
    "dataset": str,
    "venue": str,
    "architecture": str,
    "eps": str,
    "clean_acc": str,
    "reported": str,
    "autoattack_acc": str,
    "footnote": str,
    "unreliable": bool,
}
PAPER = {"name": "A paper", "authors": "A, B", "link": "https://example.org", "venue": "ICLR 2025"}


def evaluation(path: Path, **changes: Any) -> Path:
    """What `datagen.evaluate` writes, as far as it matters here."""
    content: dict[str, Any] = {
        "network": {"arch": "5-10-5-10-5-10", "module": None},
        "dataset": {"test": {"images": 10_000}},
        "test": {"test_clean_acc": 85.1, "test_aa_acc": 53.0, "test_aa_standard_acc": 52.456},
        "sanity": {"aa_above_cw": False},
        "config": {"data.source": "cifar10", "attack.eps_255": 8.0},
    }
    path.write_text(json.dumps(content | changes))
    return path


def test_the_keys_are_the_published_ones(tmp_path: Path) -> None:
    path = evaluation(tmp_path / "found.json")
    info = model_info(path, **PAPER, footnote="a note", reported=52.5)
    assert {key: type(value) for key, value in info.items()} == PUBLISHED
    assert {
        key: info[key] for key in ("dataset", "architecture", "eps", "clean_acc", "reported", "autoattack_acc")
    } == {
        "dataset": "cifar10",
        "architecture": "WideResNet-34-10",
        "eps": "8/255",
        "clean_acc": "85.10",
        "reported": "52.50",
        "autoattack_acc": "52.46",
    }
    assert not info["unreliable"]
    plain = model_info(path, **PAPER)
    assert (plain["reported"], "footnote" in plain) == ("52.46", False)


def test_networks_and_doubts(tmp_path: Path) -> None:
    for network, shown in (
        ({"arch": "4-8-4-8-4-8", "module": None}, "WideResNet 4-8-4-8-4-8"),
        ({"arch": None, "module": "mine.make"}, "mine.make"),
    ):
        info = model_info(evaluation(tmp_path / "a", network=network, sanity={"zero_gradients": True}), **PAPER)
        assert (info["architecture"], info["unreliable"]) == (shown, True)


def test_robustbench_has_these_fields(tmp_path: Path) -> None:
    try:
        from robustbench.utils import ModelInfo
    except ImportError as error:  # which a RobustBench without autoattack raises, too
        pytest.skip(str(error))
    info = model_info(evaluation(tmp_path / "a"), **PAPER)
    assert set(info) - {"unreliable"} <= {field.name for field in dataclasses.fields(ModelInfo)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"test": {"test_clean_acc": 85.1, "test_aa_acc": 53.0}},
            "AA-Compact is another number: .*autoattack=standard",
        ),
        ({"dataset": {"test": {"images": 500}}}, "of 500 images of data.source=cifar10; RobustBench takes all 10000"),
        ({"config": {"data.source": "digits", "attack.eps_255": 8.0}}, "data.source=digits; RobustBench takes"),
        ({"config": []}, "is no evaluation; expected what python -m datagen.evaluate writes"),
        ({"test": None}, "is no evaluation"),
    ],
)
def test_evaluations_that_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ResultsError, match=message):
        model_info(evaluation(tmp_path / "found.json", **changes), **PAPER)


def test_files_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"cannot read .*none"):
        model_info(tmp_path / "none", **PAPER)
    for content in ("{", "[]", "5"):
        (tmp_path / "odd").write_text(content)
        with pytest.raises(ResultsError, match="is no evaluation"):
            model_info(tmp_path / "odd", **PAPER)
