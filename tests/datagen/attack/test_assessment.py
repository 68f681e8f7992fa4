"""The test of a network: every metric, every mask, and the checks that doubt them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from datagen.attack import assessment
from datagen.attack.assessment import assess, sanity_checks
from datagen.attack.attacks import Attack
from datagen.attack.autoattack import COMPACT, STANDARD, Survivors
from datagen.attack.evaluator import Batches, Evaluator, Outcome
from datagen.config import AttackConfig
from datagen.images.corruptions import CorruptionFiles
from datagen.images.splits import Dataset, Split
from datagen.network.classifier import Classifier
from nasbench_ar.errors import TrainingError
from nasbench_ar.metrics import CORRUPTIONS, METRICS
from tests.datagen.conftest import linear_classifier

ATTACK = AttackConfig(eps_255=20, step_255=2)
TEST_METRICS = {name for name, metric in METRICS.items() if metric.split == "test"}


def linear_dataset(n: int = 40) -> tuple[Classifier, Dataset]:
    classifier = linear_classifier(classes=5)
    random = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8, generator=random)
    with torch.no_grad():
        labels = classifier(images / 255).argmax(1)
    labels[:5] = (labels[:5] + 1) % 5
    split = Split("linear", images, labels)
    return classifier, Dataset("linear", split, split, split, classes=5)


def with_corruptions(dataset: Dataset, folder: Path) -> Dataset:
    """Severity s replaces the first 5 * s images by black ones."""
    pixels = dataset.test.images.numpy().transpose(0, 2, 3, 1)
    cells = np.concatenate(
        [np.where(np.arange(len(pixels))[:, None, None, None] < 5 * s, 0, pixels) for s in range(1, 6)]
    )
    for name in CORRUPTIONS:
        np.save(folder / f"{name}.npy", cells.astype(np.uint8))
    files = CorruptionFiles(folder, len(pixels))
    return Dataset("linear", dataset.train, dataset.val, dataset.test, 5, files)


def test_every_metric_of_the_catalogue_is_measured(tmp_path: Path) -> None:
    classifier, dataset = linear_dataset()
    said: list[str] = []
    dataset = with_corruptions(dataset, tmp_path)
    found = assess(classifier, dataset, ATTACK, Batches(500, print), seed=0, say=said.append)
    assert set(found.metrics) == TEST_METRICS
    assert found.metrics["test_clean_acc"] == 87.5
    assert list(found.masks) == ["clean", "fgsm", "pgd", "cw", "apgd-ce", "apgd-t"]
    names = {"clean": "test_clean_acc", "fgsm": "test_fgsm_acc", "pgd": "test_pgd_acc", "cw": "test_cw_acc"}
    for mask, metric in {**names, "apgd-t": "test_aa_acc"}.items():
        assert found.metrics[metric] == pytest.approx(100 * found.masks[mask].mean())
    assert found.metrics["test_aa_acc"] <= found.metrics["test_cw_acc"] <= found.metrics["test_clean_acc"]
    assert not any(found.sanity.values())
    assert found.details == {"zero_gradient_share": 0.0, "aa_outside_ball": 0.0}
    assert any(line.startswith("pgd: ") for line in said)


def test_corruption_cells(tmp_path: Path) -> None:
    classifier, dataset = linear_dataset()
    dataset = with_corruptions(dataset, tmp_path)
    found = assess(classifier, dataset, AttackConfig(autoattack="none"), Batches(7, print), seed=0, say=lambda t: None)
    assert found.corruption_acc is not None
    assert found.corruption_loss is not None
    labels = dataset.test.labels
    for severity in range(1, 6):
        images = dataset.test.images.float() / 255
        images[: 5 * severity] = 0
        with torch.no_grad():
            logits = classifier(images)
        wanted = 100 * float((logits.argmax(1) == labels).double().mean())
        assert found.corruption_acc[:, severity - 1] == pytest.approx([wanted] * 19)
        loss = float(torch.nn.functional.cross_entropy(logits, labels))
        assert found.corruption_loss[:, severity - 1] == pytest.approx([loss] * 19, rel=1e-5)
    assert found.metrics["test_corrupt_acc"] == pytest.approx(found.corruption_acc.mean())


@pytest.mark.parametrize(("name", "sequence"), [("compact", COMPACT), ("standard", STANDARD)])
def test_what_is_asked_of_attacks_and_taken_from_them(
    name: str, sequence: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, dataset = linear_dataset()
    correct = torch.arange(40) >= 5
    whole, asked = Evaluator.attacked, {}

    def attacked(evaluator: Evaluator, attack: Attack, seed: int, *purpose: object) -> Outcome:
        asked[purpose[-1]] = (attack.eps, attack.step, attack.steps, seed)
        return replace(whole(evaluator, attack, seed, *purpose), zero_gradient=~correct)

    def autoattack(
        evaluator: Evaluator, *, eps: float, seed: int, attacks: tuple[str, ...], **more: object
    ) -> Survivors:
        asked["autoattack"] = (eps, seed, attacks)
        return Survivors({a: torch.arange(40) >= 10 + 2 * k for k, a in enumerate(attacks)}, 3, ["odd"])

    monkeypatch.setattr(Evaluator, "attacked", attacked)
    monkeypatch.setattr(assessment, "run_autoattack", autoattack)
    config = AttackConfig(eps_255=20, step_255=2, pgd_steps=3, cw_steps=4, autoattack=name)
    found = assess(classifier, dataset, config, Batches(500, print), seed=7, say=lambda t: None)
    eps, step = 20 / 255, 2 / 255
    assert asked == {
        "fgsm": (eps, eps, 1, 7),
        "pgd": (eps, step, 3, 7),
        "cw": (eps, step, 4, 7),
        "autoattack": (eps, 7, sequence),
    }
    assert found.details == {"zero_gradient_share": 0.0, "aa_outside_ball": 3.0}, "of correct images only"
    assert found.sanity["aa_outside_ball"]
    assert found.warnings == ["odd"]
    assert found.metrics["test_aa_acc"] == 70.0, "10 and 2 of 40 have fallen"
    assert found.metrics.get("test_aa_standard_acc") == (60.0 if name == "standard" else None)
    with torch.no_grad():
        losses = torch.nn.functional.cross_entropy(classifier(dataset.test.images / 255), dataset.test.labels)
    assert found.metrics["test_loss"] == pytest.approx(float(losses))


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_precision_holds_for_the_whole_test(precision: str) -> None:
    classifier, dataset = linear_dataset()
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    seen = set()
    assess(
        Classifier(classifier.network, precision=precision),
        dataset,
        AttackConfig(autoattack="none"),
        Batches(500, print),
        seed=0,
        say=lambda t: seen.add((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)),
    )
    assert seen == {(precision == "tf32", False)}, "convolutions only"
    assert before == (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)


def test_without_corruptions_and_autoattack_the_fields_are_absent() -> None:
    classifier, dataset = linear_dataset()
    found = assess(classifier, dataset, AttackConfig(autoattack="none"), Batches(9, print), seed=0, say=lambda t: None)
    assert set(found.metrics) == TEST_METRICS - {"test_corrupt_acc", "test_aa_acc"}
    assert (found.corruption_acc, found.corruption_loss) == (None, None)
    assert set(found.sanity) == {"robust_above_clean", "zero_gradients"}


@pytest.mark.slow
def test_standard_autoattack_has_its_own_name() -> None:
    classifier, dataset = linear_dataset(12)
    config = AttackConfig(autoattack="standard")
    found = assess(classifier, dataset, config, Batches(500, print), seed=0, say=lambda t: None)
    assert list(found.masks)[-4:] == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert found.metrics["test_aa_standard_acc"] <= found.metrics["test_aa_acc"]


def masks(clean: int = 80, pgd: int = 50, cw: int = 45, compact: int = 44) -> dict[str, np.ndarray]:
    return {
        name: np.arange(100) < standing
        for name, standing in {"clean": clean, "pgd": pgd, "cw": cw, "apgd-t": compact}.items()
    }


DETAILS = {"zero_gradient_share": 0.0, "aa_outside_ball": 0.0}


def test_a_sound_evaluation_raises_no_flag() -> None:
    assert not any(sanity_checks(masks(), DETAILS).values())
    assert not any(sanity_checks(masks(compact=46), DETAILS).values()), "one image is within the noise"


@pytest.mark.parametrize(
    ("only_compact", "only_cw", "flagged"),
    [(0, 0, False), (4, 0, False), (5, 0, True), (5, 1, False), (7, 1, True), (1, 7, False), (26, 10, True)],
)
def test_autoattack_may_leave_more_than_cw_by_twice_the_noise(only_compact: int, only_cw: int, flagged: bool) -> None:
    """Of n images on which the two disagree, chance gives one side n / 2 with a standard deviation of sqrt(n) / 2."""
    given = masks(clean=100, pgd=80)
    given["cw"] = (np.arange(100) >= only_compact) & (np.arange(100) < 60)
    given["apgd-t"] = np.arange(100) < 60 - only_cw
    assert sanity_checks(given, DETAILS)["aa_above_cw"] == flagged


@pytest.mark.parametrize(("fallen", "flagged"), [(0, False), (2, False), (3, True)])
def test_square_may_lower_the_accuracy_by_a_fifth_of_a_point(fallen: int, flagged: bool) -> None:
    standing = {"clean": 800, "pgd": 500, "cw": 450, "apgd-t": 444, "fab-t": 440, "square": 440 - fallen}
    given = {name: np.arange(1000) < n for name, n in standing.items()}
    assert sanity_checks(given, DETAILS) == {
        **dict.fromkeys(("robust_above_clean", "zero_gradients", "aa_above_cw", "aa_outside_ball"), False),
        "square_lowers_accuracy": flagged,
    }


def test_what_is_just_within_bounds_is_not_flagged() -> None:
    assert not any(sanity_checks(masks(pgd=80), {**DETAILS, "zero_gradient_share": 1.0}).values())
    assert sanity_checks(masks(), {**DETAILS, "zero_gradient_share": 1.001})["zero_gradients"]


@pytest.mark.parametrize(
    ("given", "details", "flag"),
    [
        (masks(clean=49), DETAILS, "robust_above_clean"),
        (masks(compact=50), DETAILS, "aa_above_cw"),
        (masks(), {**DETAILS, "zero_gradient_share": 1.5}, "zero_gradients"),
        (masks(), {**DETAILS, "aa_outside_ball": 1.0}, "aa_outside_ball"),
    ],
)
def test_what_cannot_be_trusted_is_flagged(given: dict[str, np.ndarray], details: dict[str, float], flag: str) -> None:
    assert [name for name, failed in sanity_checks(given, details).items() if failed] == [flag]


def test_what_is_not_finite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, dataset = linear_dataset()
    without = AttackConfig(autoattack="none")
    cells = (np.zeros((19, 5)), np.full((19, 5), np.inf))
    monkeypatch.setattr(assessment, "evaluate_corruptions", lambda *given: cells)
    with pytest.raises(TrainingError, match="the test is not finite: losses of corruptions$"):
        assess(classifier, with_corruptions(dataset, tmp_path), without, Batches(99, print), seed=0, say=lambda t: None)
    with torch.no_grad():
        for weight in classifier.network.parameters():
            weight *= torch.nan
    with pytest.raises(TrainingError, match="the test is not finite: test_loss, test_pgd_lip, test_cw_lip$"):
        assess(classifier, dataset, without, Batches(99, print), seed=0, say=lambda t: None)


def test_a_network_without_gradients_is_flagged() -> None:
    classifier, dataset = linear_dataset()
    with torch.no_grad():
        for weight in classifier.network.parameters():
            weight *= 1e4
    found = assess(classifier, dataset, AttackConfig(autoattack="none"), Batches(99, print), seed=0, say=lambda t: None)
    assert found.details["zero_gradient_share"] > 50
    assert found.sanity["zero_gradients"]
