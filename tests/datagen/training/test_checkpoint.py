"""Checkpoints come back exactly, and anything else is refused and left alone."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datagen.training import checkpoint
from datagen.training.checkpoint import FORMAT, CheckpointWriter, load_checkpoint, save_checkpoint
from nasbench_ar import ResultsError, WriteError

IDENTITY = {"architecture": "1-1", "seed": 0, "train": {"lr": 0.1, "lr_drops": [0.75, 0.9]}}


def state(**changes: Any) -> dict[str, Any]:
    weights = {"a": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(7), "none": torch.zeros(0)}
    moments = {"state": {0: {"momentum_buffer": torch.ones(2, 3) / 3}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    history = {"val_cw_acc": [1.25, 1 / 3]}
    whole = {"identity": IDENTITY, "epoch": 1, "network": weights, "optimiser": moments, "history": history}
    return {**whole, "seconds": 1.5, **changes}


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new/last.pt"
    save_checkpoint(path, state())
    found = load_checkpoint(path, IDENTITY)
    assert torch.equal(found["network"]["a"], state()["network"]["a"])
    assert torch.equal(found["optimiser"]["state"][0]["momentum_buffer"], torch.ones(2, 3) / 3)
    assert found["history"] == {"val_cw_acc": [1.25, 1 / 3]}
    assert (found["epoch"], found["seconds"], found["identity"]) == (1, 1.5, IDENTITY)
    assert [p.name for p in path.parent.iterdir()] == ["last.pt"]


def test_channels_last_weights_come_back(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    network = {"w": weight.contiguous(memory_format=torch.channels_last)}
    save_checkpoint(tmp_path / "c.pt", state(network=network))
    assert torch.equal(load_checkpoint(tmp_path / "c.pt")["network"]["w"], weight)


def test_what_is_written_in_the_background_is_the_state_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, began, written = threading.Event(), threading.Event(), list[str]()

    def save(path: Path, content: dict[str, Any]) -> None:
        began.set()
        assert gate.wait(60)
        save_checkpoint(path, content)
        written.append(path.name)

    monkeypatch.setattr(checkpoint, "save_checkpoint", save)
    changing, before = state(), state()
    with CheckpointWriter(background=True) as writer:
        writer.save({tmp_path / "last.pt": changing, tmp_path / "best.pt": changing})
        assert began.wait(60)
        changing["network"]["a"].fill_(9)
        changing["optimiser"]["state"][0]["momentum_buffer"].fill_(9)
        changing["history"]["val_cw_acc"].append(9.0)
        gate.set()
        writer.wait()
        assert written == ["last.pt", "best.pt"]
        writer.save({tmp_path / "next.pt": state()})
    assert written[2:] == ["next.pt"], "leaving waits"
    save_checkpoint(tmp_path / "whole.pt", before)
    digest = load_checkpoint(tmp_path / "whole.pt")["digest"]
    assert all(load_checkpoint(tmp_path / name)["digest"] == digest for name in written)


def test_an_error_in_the_background_is_raised_by_what_comes_next(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wrong, right = {tmp_path / "file/last.pt": state()}, {tmp_path / "last.pt": state()}
    with CheckpointWriter(background=True) as writer:
        writer.save(wrong)
        with pytest.raises(WriteError, match="the same command goes on from the last checkpoint"):
            writer.save(right)
        assert not (tmp_path / "last.pt").exists()
        writer.save(right)
    assert (tmp_path / "last.pt").exists()
    with pytest.raises(WriteError), CheckpointWriter(background=True) as writer:
        writer.save(wrong)


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_file(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state())
    whole = path.read_bytes()
    cut = whole[: int(keep * len(whole)) if isinstance(keep, float) else keep]
    path.write_bytes(cut)
    with pytest.raises(
        ResultsError, match=r"last.pt is no whole checkpoint .*remove it to train from the start"
    ) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == cut, "nothing is lost"


def test_a_changed_weight(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state())
    content = torch.load(path, weights_only=True)
    content["network"]["a"][0, 0] += 1
    torch.save(content, path)
    with pytest.raises(ResultsError, match="does not match its digest"):
        load_checkpoint(path)


@pytest.mark.parametrize("change", [lambda w: w.view(torch.int32), lambda w: w.reshape(3, 2), torch.Tensor.flatten])
def test_the_same_bytes_of_another_type_or_shape(tmp_path: Path, change: Callable[..., torch.Tensor]) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state())
    content = torch.load(path, weights_only=True)
    content["network"]["a"] = change(content["network"]["a"]).clone()
    torch.save(content, path)
    with pytest.raises(ResultsError, match="does not match its digest"):
        load_checkpoint(path)


def test_another_name_of_a_weight(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state())
    content = torch.load(path, weights_only=True)
    content["network"]["b"] = content["network"].pop("a")
    torch.save(content, path)
    with pytest.raises(ResultsError, match="does not match its digest"):
        load_checkpoint(path)


def test_the_order_of_names_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state())
    content = torch.load(path, weights_only=True)
    content["network"] = dict(reversed(content["network"].items()))
    torch.save(dict(reversed(content.items())), path)
    assert load_checkpoint(path, IDENTITY)["epoch"] == 1


def test_any_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state())
    whole = path.read_bytes()
    refused = 0
    for position in range(0, len(whole), 41):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            found = load_checkpoint(path, IDENTITY)
        except ResultsError:
            refused += 1
        else:
            assert torch.equal(found["network"]["a"], state()["network"]["a"])
    assert refused > 10


def test_another_training(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.pt", state())
    other = {**IDENTITY, "architecture": "2-1", "train": {"lr": 0.2, "lr_drops": [0.75, 0.9]}}
    with pytest.raises(ResultsError, match="architecture was '1-1', is '2-1'; train.lr was 0.1, is 0.2") as caught:
        load_checkpoint(tmp_path / "c.pt", other)
    assert "lr_drops" not in str(caught.value)


class Code:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('code in a checkpoint was run')",))


@pytest.mark.parametrize("content", [Code(), [1, 2], {"format": "other"}, {"format": FORMAT, "digest": "0"}])
def test_foreign_content(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(ResultsError, match="checkpoint|digest"):
        load_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 0.5}, "0.5 is no whole number"),
        ({"epoch": 2}, "'val_cw_acc' has not one value for each of 3 epochs"),
        ({"epoch": 0}, "'val_cw_acc' has not one value for each of 1 epochs"),
        ({"history": {"val_cw_acc": [1.0, math.inf]}}, "inf is no finite number"),
        ({"network": [1]}, "has no names"),
        ({"network": {"a": 1}}, "'a' of the network is 1, no tensor"),
        ({"seconds": -1.0}, "seconds=-1.0"),
        ({"identity": {**IDENTITY, "seed": torch.zeros(2)}}, "Tensor is not JSON serializable"),
    ],
)
def test_what_no_training_saves(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    save_checkpoint(tmp_path / "c.pt", state(**changes))
    with pytest.raises(ResultsError, match=f"c.pt is no whole checkpoint .*{message}"):
        load_checkpoint(tmp_path / "c.pt", IDENTITY)


def test_content_that_has_no_digest(tmp_path: Path) -> None:
    torch.save({"format": FORMAT, "digest": "0", "network": {1, 2}}, tmp_path / "c.pt")
    # PyTorch 2.4 does not unpack sets at all.
    with pytest.raises(ResultsError, match=r"does not match its digest|no whole checkpoint .*Weights only"):
        load_checkpoint(tmp_path / "c.pt")


def test_unreadable_and_unwritable(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot read .*none.pt"):
        load_checkpoint(tmp_path / "none.pt")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"cannot write .*; the same command goes on"):
        save_checkpoint(tmp_path / "file/c.pt", state())


def test_a_failed_write_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, state())
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ResultsError, match="No space left"):
        save_checkpoint(path, state(epoch=2))
    monkeypatch.undo()
    assert load_checkpoint(path)["epoch"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]
