"""`datagen.check` on a small network: it passes, and each of its checks fails when what it looks at is broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from datagen import check
from datagen import device_checks as checks
from datagen.attack.attacks import Attack
from datagen.device_checks import Row, Setup
from datagen.images.augment import crop_and_flip
from datagen.network.model import as_unit_floats
from datagen.seeds import generator
from nasbench_ar.system.files import write_atomically
from tests.datagen.conftest import Command


@pytest.fixture
def setup() -> Setup:
    found = check.prepare(["device=cpu", "train.batch=8"])
    return replace(found, space=checks.TINY, architecture=checks.TINY.parse("1-2-2-1"))


def passed(rows: list[Row]) -> dict[str, bool | None]:
    return {row.check.partition(",")[0]: row.passed for row in rows}


@pytest.mark.parametrize("loss", ["pgd_at", "trades", "mart"])
def test_the_step_is_that_of_the_loop(setup: Setup, loss: str, tmp_path: Path) -> None:
    """An epoch of one step, to the bit."""
    setup = replace(setup, config=check.prepare(["device=cpu", f"train.loss={loss}"]).config)
    plan, seed = setup.config.train, setup.config.seed
    loop, alone = setup.classifier(), setup.classifier()
    history = checks.run_training(setup, loop, tmp_path, epochs=1, batch=8, images=8)
    split, random = checks.noise_images(8, 8, seed), generator(seed, "epoch", 0)
    order = torch.randperm(8, generator=random)
    augmented = crop_and_flip(split.images[order], random, padding=plan.crop_padding, flip=plan.flip)
    clean, labels = as_unit_floats(augmented), split.labels[order]
    noise = torch.randn(clean.shape, generator=random)
    found = checks.step(alone, plan, clean, checks.attacked(alone, plan, clean, labels, noise), labels)
    assert found["loss"].item() == history["train_loss"][0]
    for name, value in loop.network.state_dict().items():
        torch.testing.assert_close(alone.network.state_dict()[name], value, rtol=0, atol=0)


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_parity(setup: Setup, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = replace(setup, precision=precision)
    assert set(passed(checks.parity(setup)).values()) == {True}
    build = checks.build_optimiser
    monkeypatch.setattr(
        checks, "build_optimiser", lambda network, plan, device: build(network, hasty(network, plan), device)
    )
    assert [name for name, good in passed(checks.parity(setup)).items() if not good] == ["step: change of the weights"]


def hasty(network: torch.nn.Module, plan: checks.TrainConfig) -> checks.TrainConfig:
    """Three times the learning rate on the device alone."""
    return plan if network.get_parameter("linear.weight").dtype == torch.float64 else replace(plan, lr=3 * plan.lr)


def test_an_attack_that_descends_fails(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    perturb = Attack.perturb

    def down(attack: Attack, classifier: checks.Classifier, clean: Tensor, *rest: Tensor) -> Tensor:
        found = perturb(attack, classifier, clean, *rest)
        return found if clean.dtype == torch.float64 else 2 * clean - found

    monkeypatch.setattr(Attack, "perturb", down)
    assert [name for name, good in passed(checks.parity(setup)).items() if not good] == ["attack: gain of the loss"]


def test_memory_and_speed(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "matmul_rate", lambda device, precision: 1e12)
    rows = checks.memory_and_speed(setup)
    assert [row.passed for row in rows] == [None] * 4
    assert rows[0].measured == "not measured"
    on_cuda = replace(setup, device=torch.device("cuda"))
    assert checks._memory(on_cuda, 16, 2000.0).passed is False  # 2.097 GB, where 2 are the overhead
    assert checks._memory(on_cuda, 16, 1900.0).passed is True
    monkeypatch.setattr(checks, "peak_tflops", lambda name, precision: 10.0)
    speeds = {"images_a_second": 1.0, "tflops": 5.0}
    assert [row.measured for row in checks._speed(setup, speeds)][1:] == ["50.0 %", "500.0 % of 1 TFLOP/s"]
    assert checks._speed(setup, speeds | {"tflops": 11.0})[1].passed is False


def test_resume(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [row.passed for row in checks.resume(setup)] == [True]
    load = checks.train.__globals__["load_checkpoint"]

    def forgetful(path: Path, identity: object) -> dict[str, object]:
        state = load(path, identity)
        for kept in state["optimiser"]["state"].values():
            kept["momentum_buffer"].zero_()
        return dict(state)

    monkeypatch.setitem(checks.train.__globals__, "load_checkpoint", forgetful)
    (row,) = checks.resume(setup)
    assert row.passed is False
    assert "tensors differ, most " in row.measured


def test_two_processes(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = checks.two_processes(setup)
    assert row.passed, row
    monkeypatch.setattr(checks, "TWO_WORDS", [*checks.TWO_WORDS, "train.epochs=0"])
    (row,) = checks.two_processes(setup)
    assert row.passed is False
    assert "exit codes 2 and 2; the last line: error: train.epochs=0" in row.measured


def test_the_command(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    row = Row("a|b", "1", "2", True)
    monkeypatch.setattr(
        checks, "CHECKS", {"one": lambda setup: [row], "two": lambda setup: [replace(row, passed=None)]}
    )
    code, out, error = command("device=cpu", "threads=1", main=check.main)
    assert (code, out.splitlines()[-1]) == (0, "all passed")
    assert "| a/b | 1 | 2 | ok |\n| a/b | 1 | 2 |  |\n" in out
    assert error == "datagen: one ...\ndatagen: two ...\n"
    monkeypatch.setitem(checks.CHECKS, "two", lambda setup: write_atomically(Path("no/such/x"), b""))
    code, out, _ = command("device=cpu", "threads=1", main=check.main)
    assert (code, out.splitlines()[-1]) == (1, "1 of 2 checks failed")
    assert "| two | FileNotFoundError: " in out


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("archs=1", "unknown key 'archs'; did you mean arch?"),
        ("arch=5", "not an architecture"),
        ("device=tpu", "device=tpu: expected auto, cpu, cuda"),
        ("train.epochs=3", "unknown key 'train.epochs'"),
        ("train.precision=int8", "train.precision=int8: expected one of"),
    ],
)
def test_wrong_words(word: str, message: str, command: Command) -> None:
    code, out, error = command(word, main=check.main)
    assert (code, out) == (2, "")
    assert message in error
