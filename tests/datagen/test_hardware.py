"""Devices and precisions: chosen, refused in one line, described."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from datagen.hardware import (
    choice_of_kernels,
    choose_compile,
    choose_device,
    choose_devices,
    choose_precision,
    common_precision,
    describe_code,
    describe_hardware,
    device_name,
    driver_version,
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
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0) if device.index else (7, 0))
    old, gpu = gpu, torch.device("cuda:1")  # the second card is asked, not the current one
    assert choose_precision("auto", gpu, automatic="bf16") == "bf16"
    assert choose_precision("auto", gpu, automatic="tf32") == "tf32"
    assert choose_precision("tf32", gpu, automatic="bf16") == "tf32"
    assert choose_precision("auto", old, automatic="bf16") == "fp16"
    assert choose_precision("auto", old, automatic="tf32") == "float32"
    assert choose_precision("tf32", old, automatic="bf16") == "float32"
    assert choose_precision("fp16", old, automatic="bf16") == choose_precision("fp16", CPU, automatic="bf16") == "fp16"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    with pytest.raises(ConfigError, match="Old GPU has no bfloat16; use train.precision=fp16, or float32"):
        choose_precision("bf16", old, automatic="bf16")
    assert common_precision("train", "fp16", [old, gpu], automatic="bf16") == "fp16"
    for order in ([old, gpu], [gpu, old]):
        with pytest.raises(ConfigError, match="train.precision=auto: it would be .* name one that all can"):
            common_precision("train", "auto", order, automatic="bf16")


@pytest.mark.parametrize(
    ("kind", "capability", "triton", "deterministic", "chosen", "reason"),
    [
        ("cuda", (7, 0), True, False, True, ""),
        ("cuda", (9, 0), True, False, True, ""),
        ("cuda", (9, 0), True, True, False, "deterministic=true"),
        ("cuda", (6, 1), True, False, False, "Triton does not support Old GPU"),
        ("cuda", (9, 0), False, False, False, "Triton is not installed"),
        ("cuda", (6, 1), False, True, False, "deterministic=true"),
        ("cpu", None, True, False, False, ""),
        ("cpu", None, False, True, False, ""),
    ],
)
def test_compiling(
    kind: str,
    capability: tuple[int, int],
    triton: bool,
    deterministic: bool,
    chosen: bool,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if triton else None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    device = torch.device(kind)
    assert choose_compile(None, device, deterministic=deterministic) == (chosen, reason)
    assert choose_compile(False, device, deterministic=deterministic) == (False, "")
    if kind == "cuda" and not (triton and capability >= (7, 0)):
        with pytest.raises(ConfigError, match="compile=true: Triton .*; leave compile= out, or say compile=false"):
            choose_compile(True, device, deterministic=deterministic)
    else:
        assert choose_compile(True, device, deterministic=deterministic) == (True, "")


NEW = hasattr(torch.backends.cudnn, "conv")


def switches() -> dict[str, object]:
    """Both kinds of PyTorch's switches, None where one cannot be read."""
    found: dict[str, object] = {}
    for name, backend in (("cudnn", torch.backends.cudnn), ("matmul", torch.backends.cuda.matmul)):
        try:
            found[name] = backend.allow_tf32
        except RuntimeError:
            found[name] = None
    for name in ("conv", "rnn") if NEW else ():
        found[f"new {name}"] = getattr(torch.backends.cudnn, name).fp32_precision
    return found | ({"new matmul": torch.backends.cuda.matmul.fp32_precision} if NEW else {})


@pytest.fixture(params=["as they are", "old", "all", "apart"])
def process(request: pytest.FixtureRequest) -> Iterator[None]:
    """A process that has set some of them before."""
    if request.param in ("all", "apart") and not NEW:
        pytest.skip("this PyTorch has the older switches only")
    if request.param == "old":
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = False, True
    elif request.param == "all":
        torch.backends.fp32_precision = "tf32"
    elif request.param == "apart":
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        torch.backends.cuda.matmul.fp32_precision = "tf32"
    yield
    if NEW:
        torch.backends.fp32_precision = "none"
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, False


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("tf32", True), ("bf16", True), ("fp16", True)])
def test_float32_rule_holds_inside_only(precision: str, allowed: bool) -> None:
    before = switches()
    with float32_rule(precision):
        found = switches()
        assert (found["cudnn"], found["matmul"]) == (allowed, False), "convolutions only"
        if NEW:
            assert (found["new conv"], found["new matmul"]) == ("tf32" if allowed else "ieee", "ieee")
        with float32_rule("float32"):
            assert switches()["cudnn"] is False
        assert switches() == found
    assert switches() == before


def test_descriptions() -> None:
    assert device_name(CPU).startswith("CPU ")
    reset_peak_memory(CPU)
    memory = peak_memory_mib(CPU)
    assert memory is None or memory > 50
    facts = describe_hardware(CPU)
    assert facts["device"] == "cpu"
    assert facts["threads"] >= 1
    assert (facts["driver"], facts["gpus"], facts["cudnn"], facts["deterministic"]) == (None, None, None, False)
    code = describe_code()
    assert {"python", "torch", "pyautoattack", "numpy", "nasbench-ar"} <= set(code["versions"])


def test_a_gpu_is_described_with_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.backends.cudnn.m, "version", lambda: 91002)
    facts = describe_hardware(torch.device("cuda:1"))
    assert (facts["name"], facts["gpus"], facts["cudnn"], facts["cuda"]) == ("GPU 1", 4, 91002, torch.version.cuda)
    assert facts["cudnn_benchmark"] is facts["cudnn_deterministic"] is False


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.129.03  Release Build  (user@host)",
    ],
)
def test_the_driver(line: str, tmp_path: Path) -> None:
    (tmp_path / "version").write_text(f"{line}\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n")
    assert driver_version(tmp_path / "version") == "535.129.03"
    (tmp_path / "version").write_text("something else")
    assert driver_version(tmp_path / "version") is driver_version(tmp_path / "absent") is None


@pytest.mark.parametrize("before", [False, True])
def test_kernels_are_chosen_inside_only(before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", before)
    for device in (CPU, torch.device("cuda", 1)):
        with choice_of_kernels(device, deterministic=False):
            facts = describe_hardware(CPU)
            assert (facts["deterministic"], facts["cudnn_benchmark"]) == (False, device != CPU)
        assert torch.backends.cudnn.benchmark == before
    with choice_of_kernels(torch.device("cuda", 1), deterministic=True):
        facts = describe_hardware(CPU)
        assert (facts["deterministic"], facts["cudnn_benchmark"]) == (True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark == before
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
