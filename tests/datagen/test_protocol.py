"""The comparison behind docs/protocol.md, with a shorter training."""

from __future__ import annotations

import pytest

from benchmarks import protocol


@pytest.mark.slow
def test_datagen_agrees_with_the_second_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "TRAIN", 64)
    monkeypatch.setattr(protocol, "OTHER", 20)
    monkeypatch.setattr(protocol, "compact", lambda *_: [])  # tests/datagen/attack/test_autoattack.py
    few = ["archs=1-1-1-1-1-1", "profile=digits", "train.batch=32", "train.epochs=2", "space.unit_channels=2"]
    monkeypatch.setattr(protocol, "WORDS", [*few, *protocol.WORDS[-2:]])
    found = protocol.rows()
    assert [row.what for row in found if row.off > row.limit] == []
    (other,) = [row for row in found if "must differ" in row.unit]
    assert other.off > 1e-9
