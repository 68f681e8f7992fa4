"""A test that ends anywhere goes on at the next attack, and finds what an undisturbed one finds, to the bit."""

from __future__ import annotations

import errno
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from datagen.attack.assessment import Assessment, assess
from datagen.attack.evaluator import Batches
from datagen.config import AttackConfig
from datagen.network.classifier import Classifier
from datagen.store.identity import identity_of_test
from datagen.training import finished_attacks
from datagen.training.checkpoint import to_bytes
from datagen.training.finished_attacks import FORMAT, FinishedAttacks
from datagen.training.train import Watch
from nasbench_ar import ResultsError, WriteError
from tests.datagen.attack.test_assessment import linear_dataset, with_corruptions
from tests.datagen.conftest import Linear
from tests.datagen.synthetic_entries import DATASET, PROTOCOL

ATTACK = AttackConfig(eps_255=20, step_255=2, pgd_steps=4, cw_steps=4)
NAMES = ["clean", "fgsm", "pgd", "cw", "apgd-ce", "apgd-t", "corruptions"]
IDENTITY = {"checkpoint": "a" * 64, "seed": 0}


class Stopped(BaseException):
    """A kill, as far as a test within one process can have one."""


class Stopping(Watch):
    """Ends the test before an attack, or before its result is kept; notes what is asked."""

    def __init__(self, attack: str = "", *, saving: bool = False) -> None:
        self.attack, self.saving = attack, saving
        self.asked: list[str] = []
        self.finished: list[list[str]] = []

    def before_attack(self, name: str, training_seconds: float, finished: dict[str, float]) -> None:
        assert training_seconds == 70.0
        assert all(seconds > 0 for seconds in finished.values())
        self.asked.append(name)
        self.finished.append(list(finished))
        if name == self.attack and not self.saving:
            raise Stopped

    def before_saving(self) -> None:
        if self.asked[-1] == self.attack and self.saving:
            raise Stopped


def attacks_of(
    folder: Path, watch: Watch, batches: Batches, said: list[str] | None = None, **changes: Any
) -> FinishedAttacks:
    folder.mkdir(exist_ok=True)
    say = (lambda text: None) if said is None else said.append
    identity = {**IDENTITY, **changes}
    return FinishedAttacks(folder, identity, training_seconds=70.0, batches=batches, watch=watch, say=say)


def run(folder: Path, watch: Watch, *, batch: int = 500, said: list[str] | None = None) -> Assessment:
    classifier, dataset = linear_dataset()
    corrupted = folder.with_name("corrupted")
    corrupted.mkdir(exist_ok=True)
    batches = Batches(batch, lambda text: None)
    keep = attacks_of(folder, watch, batches, said).keep
    say = (lambda text: None) if said is None else said.append
    return assess(classifier, with_corruptions(dataset, corrupted), ATTACK, batches, seed=0, say=say, keep=keep)


def plain(found: Assessment) -> dict[str, Any]:
    content = asdict(found)
    assert found.corruption_acc is not None
    assert found.corruption_loss is not None
    content |= {"acc": found.corruption_acc.tolist(), "loss": found.corruption_loss.tolist()}
    del content["corruption_acc"], content["corruption_loss"]
    return {**content, "masks": {name: mask.tolist() for name, mask in found.masks.items()}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Assessment:
    """Undisturbed, with nothing kept."""
    classifier, dataset = linear_dataset()
    dataset = with_corruptions(dataset, tmp_path_factory.mktemp("corrupted"))
    return assess(classifier, dataset, ATTACK, Batches(500, lambda text: None), seed=0, say=lambda text: None)


@pytest.mark.parametrize(("attack", "saving"), [*((name, False) for name in NAMES), ("pgd", True)])
def test_a_stopped_test_goes_on_at_the_next_attack_to_the_same_bits(
    tmp_path: Path, attack: str, saving: bool, whole: Assessment
) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "work", Stopping(attack, saving=saving))
    done = NAMES[: NAMES.index(attack)]
    assert {path.name.split("-", 1)[1].rpartition("-")[0] for path in (tmp_path / "work").iterdir()} == set(done)
    torch.rand(5)  # whatever happens to the global generator in between
    watch, said = Stopping(), []
    found = run(tmp_path / "work", watch, said=said)
    assert plain(found) == plain(whole)
    assert watch.asked == NAMES[NAMES.index(attack) :], "nothing is done twice"
    assert watch.finished[0] == done
    assert [line.split(":")[0] for line in said if "finished before, in" in line] == done


def test_the_pages_of_one_test_are_measured_against_the_same_logits(tmp_path: Path) -> None:
    """On another device the last digits may differ; a prediction must not change in the middle of a test."""
    whole = run(tmp_path / "work", Watch())
    for path in (tmp_path / "work").glob("test-[!c]*"):
        path.unlink()
    classifier, dataset = linear_dataset()
    assert isinstance(classifier.network, Linear)
    with torch.no_grad():
        classifier.network.bias += torch.tensor([100.0, 0, 0, 0, 0])
    batches = Batches(500, lambda text: None)
    keep = attacks_of(tmp_path / "work", Watch(), batches).keep
    found = assess(Classifier(classifier.network), dataset, ATTACK, batches, seed=0, say=lambda text: None, keep=keep)
    assert (found.masks["clean"] == whole.masks["clean"]).all()
    assert found.metrics["test_fgsm_stable"] < 50


def test_a_halved_batch_stays_halved(tmp_path: Path) -> None:
    """AutoAttack's random starts depend on it, and the entry's provenance names it."""
    batches = Batches(40, lambda text: None)
    attacks_of(tmp_path / "work", Watch(), batches).keep("clean", lambda: setattr(batches, "size", 10) or {})
    later = Batches(40, lambda text: None)
    attacks_of(tmp_path / "work", Watch(), later).keep("clean", dict)
    assert later.size == 10


def test_another_test_begins_anew(tmp_path: Path) -> None:
    def once(number: int, **changes: Any) -> Any:
        batches = Batches(9, lambda text: None)
        return attacks_of(tmp_path / "work", Watch(), batches, **changes).keep("pgd", lambda: {"n": number})["n"]

    assert [once(1), once(2), once(3, checkpoint="b" * 64), once(4, seed=1), once(5)] == [1, 1, 3, 4, 1]


def test_what_decides_a_test() -> None:
    """Whatever decides its numbers, but not which of AutoAttack's attacks follow."""
    given = {"protocol": PROTOCOL, "dataset": DATASET, "seed": 0, "checkpoint_digest": "a", "batch": 500}
    first = identity_of_test(**given)
    attack, test = PROTOCOL["attack"], DATASET["test"]
    for change in (
        {"protocol": {**PROTOCOL, "version": 99}},
        {"protocol": {**PROTOCOL, "attack": {**attack, "eps_255": 4.0}}},
        {"protocol": {**PROTOCOL, "attack": {**attack, "precision": "tf32"}}},
        {"dataset": {**DATASET, "test": {**test, "sha256": "other"}}},
        {"dataset": {**DATASET, "corruptions": {"folder": "other"}}},
        {"seed": 1},
        {"checkpoint_digest": "b"},
        {"batch": 250},
    ):
        assert identity_of_test(**{**given, **change}) != first
    standard = {**PROTOCOL, "attack": {**attack, "autoattack": "standard"}}
    assert identity_of_test(**{**given, "protocol": standard}) == first


def test_of_two_results_the_first_is_kept(tmp_path: Path) -> None:
    batches = Batches(9, lambda text: None)
    mine, theirs = (attacks_of(tmp_path / "work", Watch(), batches) for _ in range(2))

    def slow() -> dict[str, Any]:
        theirs.keep("pgd", lambda: {"n": 1})
        return {"n": 2}

    assert mine.keep("pgd", slow) == {"n": 1}
    assert mine.seconds == theirs.seconds


def one(folder: Path) -> Path:
    attacks_of(folder, Watch(), Batches(9, lambda text: None)).keep("pgd", lambda: {"n": torch.arange(3)})
    (path,) = folder.iterdir()
    return path


def again(folder: Path) -> None:
    attacks_of(folder, Watch(), Batches(9, lambda text: None)).keep("pgd", lambda: {"n": 0})


@pytest.mark.parametrize("keep", [0, 100, 0.9])
def test_a_damaged_result_is_reported_and_never_replaced(tmp_path: Path, keep: float) -> None:
    path = one(tmp_path / "work")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises(ResultsError, match=f"{path} is no whole attack .*; remove it, and this attack is repeated"):
        again(tmp_path / "work")
    path.write_bytes(whole.replace(torch.arange(3).numpy().tobytes(), torch.arange(1, 4).numpy().tobytes()))
    changed = path.read_bytes()
    assert changed != whole
    with pytest.raises(ResultsError, match=f"{path} is (damaged: its content does not|no whole attack)"):
        again(tmp_path / "work")
    assert path.read_bytes() == changed


@pytest.mark.parametrize(
    "change", [{"found": 3}, {"batch": 0}, {"batch": -1}, {"seconds": -1.0}, {"seconds": float("nan")}, {"identity": 1}]
)
def test_a_result_with_impossible_values_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = one(tmp_path / "work")
    content = {"format": FORMAT, "identity": IDENTITY, "found": {}, "batch": 9, "seconds": 1.0}
    path.write_bytes(to_bytes({**content, **change}))
    with pytest.raises(ResultsError, match=f"{path} is no whole attack"):
        again(tmp_path / "work")
    path.write_bytes(to_bytes(content))
    again(tmp_path / "work")


def test_a_result_of_another_test_under_this_name_is_refused(tmp_path: Path) -> None:
    path = one(tmp_path / "work")
    content = {"format": FORMAT, "identity": {**IDENTITY, "seed": 1}, "found": {}, "batch": 9, "seconds": 1.0}
    path.write_bytes(to_bytes(content))
    with pytest.raises(ResultsError, match=f"{path} is of another test \\(seed was 1, is 0\\); remove it"):
        again(tmp_path / "work")
    path.write_bytes(to_bytes({**content, "format": "datagen-attack-0"}))
    with pytest.raises(ResultsError, match=f"{path} is no attack of this version"):
        again(tmp_path / "work")


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(finished_attacks, "write_first", full)
    with pytest.raises(WriteError, match="No space left on device; the same command goes on after the attacks before"):
        one(tmp_path / "work")
