"""The device of a run: chosen, checked and described."""

from __future__ import annotations

import gc
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from nasbench_ar.errors import ConfigError
from nasbench_ar.system.versions import cpu_model, git_commit, versions

AMPERE = (8, 0)  # compute capability of the first cards with bfloat16 and TF32
VOLTA = (7, 0)  # and of the first that Triton, with which PyTorch compiles for CUDA, supports
_LIBRARIES = ("numpy", "torch", "torchvision", "pyautoattack", "scikit-learn")


def choose_devices(wanted: str) -> tuple[torch.device, ...]:
    """Those that trainings may take: with `all` every GPU that this process sees, else one."""
    if wanted != "all":
        return (choose_device(wanted, expected="auto, all, cpu, cuda or cuda:<number>"),)
    _require_cuda(wanted)
    return tuple(torch.device("cuda", number) for number in range(torch.cuda.device_count()))


def choose_device(wanted: str, *, expected: str = "auto, cpu, cuda or cuda:<number>") -> torch.device:
    """`auto` takes CUDA where it is usable, else the processor."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index not in (None, 0)):
        raise ConfigError(f"device={wanted}: expected {expected}")
    if device.type == "cuda":
        _require_cuda(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device={wanted}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")
    return device


def _require_cuda(wanted: str) -> None:
    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        why = "no usable NVIDIA device was found" if built else "this PyTorch was built without CUDA"
        raise ConfigError(f"device={wanted}: {why}; use device=cpu or device=auto")


def choose_precision(wanted: str, device: torch.device, *, automatic: str) -> str:
    """`auto` becomes float32 on a processor, `automatic` on CUDA; cards before Ampere have fp16 and float32 only."""
    if device.type == "cpu":
        return "float32" if wanted in ("auto", "tf32") else wanted
    modern = torch.cuda.get_device_capability(device) >= AMPERE
    if wanted == "bf16" and not modern:
        raise ConfigError(
            f"precision bf16: {device_name(device)} has no bfloat16; use train.precision=fp16, or float32 (also for "
            "attack.precision)"
        )
    wanted = automatic if wanted == "auto" else wanted
    return wanted if modern else {"bf16": "fp16", "tf32": "float32"}.get(wanted, wanted)


def common_precision(key: str, wanted: str, devices: Sequence[torch.device], *, automatic: str) -> str:
    """`choose_precision` on all of them: the entries of a store are of one protocol."""
    found = {choose_precision(wanted, device, automatic=automatic): device for device in devices}
    if len(found) > 1:
        each = " and ".join(f"{precision} on {device_name(device)}" for precision, device in found.items())
        raise ConfigError(f"{key}.precision={wanted}: it would be {each}; name one that all can, or choose some GPUs")
    return next(iter(found))


def choose_compile(wanted: bool | None, device: torch.device, *, deterministic: bool) -> tuple[bool, str]:
    """Whether blocks are compiled; `None` compiles on CUDA where it can, and the text says why it does not there."""
    if wanted is False or device.type == "cpu":
        return bool(wanted), ""
    why = ""
    if importlib.util.find_spec("triton") is None:
        why = "Triton is not installed"
    elif torch.cuda.get_device_capability(device) < VOLTA:
        why = f"Triton does not support {device_name(device)}"
    if wanted and why:
        raise ConfigError(f"compile=true: {why}; leave compile= out, or say compile=false")
    if wanted is None and deterministic:  # kernels are chosen by their measured time, which differs between runs
        why = "deterministic=true"
    return not why, why


def device_name(device: torch.device) -> str:
    """Model of the GPU or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU {cpu_model()}"


def release_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def reset_peak_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_mib(device: torch.device) -> float | None:
    """Most memory taken since the reset on CUDA, or by this process since its start; None where unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:  # not Linux
        pass
    return None


@contextmanager
def choice_of_kernels(device: torch.device, *, deterministic: bool) -> Iterator[None]:
    """On CUDA, let cuDNN try which kernels are fastest for each shape.

    With `deterministic`, it computes the same bits in every run on the same card; an operation that cannot is an error.
    """
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    before, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it, read at its first call
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = device.type == "cuda" and not deterministic
    try:
        yield
    finally:
        if deterministic:  # the call imports much, which must not happen while an interrupt is under way
            torch.use_deterministic_algorithms(before, warn_only=warns)
        torch.backends.cudnn.benchmark = benchmark


def driver_version(path: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """Version of NVIDIA's kernel module; None where unknown."""
    try:
        found = re.search(r"Module.*?\s(\d+\.[\d.]+)\s", path.read_text(encoding="utf-8"))
    except OSError:  # not Linux, or hidden in a container
        return None
    return found.group(1) if found else None


def _cuda_facts() -> dict[str, Any]:
    return {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "driver": driver_version(),
        "gpus": torch.cuda.device_count(),
    }


def describe_code() -> dict[str, Any]:
    return {"git_commit": git_commit(), "versions": versions(_LIBRARIES)}


def describe_hardware(device: torch.device) -> dict[str, Any]:
    return {
        "device": str(device),
        "name": device_name(device),
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **(_cuda_facts() if device.type == "cuda" else dict.fromkeys(("cuda", "cudnn", "driver", "gpus"))),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "byteorder": sys.byteorder,
    }
