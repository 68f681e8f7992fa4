"""Published speeds of GPUs."""

from __future__ import annotations

import pytest

from datagen.cards import peak_tflops


@pytest.mark.parametrize(
    ("name", "precision", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989),
        ("NVIDIA H100 PCIe", "bf16", 756),
        ("NVIDIA A100-SXM4-80GB", "fp16", 312),
        ("NVIDIA A100-SXM4-80GB", "tf32", 156),
        ("NVIDIA H200", "bf16", 989),
        ("NVIDIA H200 NVL", "bf16", 835),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bf16", None),
        ("NVIDIA RTX A1000", "bf16", None),
        ("CPU something", "bf16", None),
    ],
)
def test_published_peaks(name: str, precision: str, peak: float | None) -> None:
    assert peak_tflops(name, precision) == peak
