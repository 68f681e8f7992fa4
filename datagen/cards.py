"""How fast GPUs are by NVIDIA's data sheets: dense TFLOP/s of 16-bit matrix products, of TF32 and of float32."""

from __future__ import annotations

import re

TFLOPS = {  # the first name that fits counts
    "h100-pcie": (756.0, 378.0, 51.0),
    "h100-nvl": (835.0, 417.0, 60.0),
    "h100": (989.0, 494.0, 67.0),  # SXM
    "h200-nvl": (835.0, 417.0, 60.0),
    "h200": (989.0, 494.0, 67.0),
    "a100": (312.0, 156.0, 19.5),
}
COLUMNS = {"bf16": 0, "fp16": 0, "tf32": 1, "float32": 2}


def peak_tflops(name: str, precision: str) -> float | None:
    """Of a GPU by PyTorch's name of it, at a precision of `COLUMNS`; None where unknown, as for a slice of a card."""
    if re.search(r"\bMIG\b", name):
        return None
    for card, peaks in TFLOPS.items():
        if re.search(rf"\b{card.replace('-', ' ')}\b", name, re.IGNORECASE):
            return peaks[COLUMNS[precision]]
    return None
