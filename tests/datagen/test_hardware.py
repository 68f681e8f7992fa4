"""Devices and precisions: chosen, refused in one line, described."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from datagen.hardware import (
    choose_device,
    choose_devices,
    choose_precision,
    describe_code,
    describe_hardware,
    device_name,
    peak_memory_mib,
    reset_peak_memory,
)
from datagen.network.classifier import float32_rule
from nasbench_ar import ConfigError

CPU = torch.device("cpu")


def test_auto_takes_what_there_is() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == CPU


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "cuda:3"])
def test_cuda_without_cuda(wanted: str) -> None:
    with pytest.raises(ConfigError, match=f"device={wanted}: .*; use device=cpu or device=auto"):
        choose_device(wanted)


@pytest.mark.parametrize("wanted", ["gpu", "mps", "cpu:1", "cuda:x", "meta", ""])
def test_wrong_devices(wanted: str) -> None:
    with pytest.raises(ConfigError, match=f"device={wanted}: expected auto, cpu, cuda or cuda:<number>"):
        choose_device(wanted)


def test_a_cuda_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert choose_device("auto") == torch.device("cuda")
    with pytest.raises(ConfigError, match="device=cuda:2: there are 2 CUDA devices, counted from 0"):
        choose_device("cuda:2")


def test_all_takes_every_gpu_that_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert choose_devices("all") == tuple(torch.device("cuda", number) for number in range(3))
    assert choose_devices("cuda:2") == (torch.device("cuda:2"),)
    assert choose_devices("cpu") == (CPU,)
    with pytest.raises(ConfigError, match="device=gpus: expected auto, all, cpu, cuda or cuda:<number>"):
        choose_devices("gpus")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device=all: .*; use device=cpu or device=auto"):
        choose_devices("all")


def test_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    assert choose_precision("auto", CPU, automatic="bf16") == "float32"
    assert choose_precision("bf16", CPU, automatic="tf32") == "bf16"
    assert choose_precision("tf32", CPU, automatic="bf16") == "float32"
    majors = {0: 9, 1: 7}

    def properties(device: torch.device) -> SimpleNamespace:
        return SimpleNamespace(major=majors[device.index or 0])

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    assert choose_precision("auto", gpu, automatic="bf16") == "bf16"
    assert choose_precision("auto", gpu, automatic="tf32") == "tf32"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    with pytest.raises(ConfigError, match="Old GPU has no bfloat16; use train.precision=tf32 or float32"):
        choose_precision("auto", torch.device("cuda", 1), automatic="bf16")


@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("tf32", True), ("bf16", True)])
def test_float32_rule_holds_inside_only(precision: str, allowed: bool) -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with float32_rule(precision):
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (allowed, allowed)
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


def test_descriptions() -> None:
    assert device_name(CPU).startswith("CPU ")
    reset_peak_memory(CPU)
    memory = peak_memory_mib(CPU)
    assert memory is None or memory > 50
    facts = describe_hardware(CPU)
    assert facts["device"] == "cpu"
    assert facts["threads"] >= 1
    code = describe_code()
    assert {"python", "torch", "pyautoattack", "numpy", "nasbench-ar"} <= set(code["versions"])
