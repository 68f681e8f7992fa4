"""The paper's trainings."""

from __future__ import annotations

from dataclasses import asdict

from datagen.config import AttackConfig, TrainConfig
from datagen.planning.workload import Images

PAPER = Images(50_000, 2_000, 10_000, 950_000, 32, 3, 10)


def paper_load() -> tuple[dict[str, object], dict[str, object]]:
    return asdict(TrainConfig()), asdict(AttackConfig())
