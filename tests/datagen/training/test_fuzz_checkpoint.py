"""Damaged checkpoints, and those that would have somebody else's code run."""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from datagen.store.identity import differences
from datagen.training import checkpoint
from datagen.training.checkpoint import FORMAT, load_checkpoint, save_checkpoint
from datagen.training.train import MixedCheckpointsError, Training, load_best
from nasbench_ar import ResultsError
from tests.fuzzing import Damages, Files, Reader, byte_damage, document_damage

BYTES = Reader("datagen: checkpoints, bytes", ResultsError)
SIGNED = Reader("datagen: checkpoints, values with the right digest", ResultsError)
FOREIGN = Reader("datagen: checkpoints with foreign classes", ResultsError, both=False)
BEST = Reader("datagen: load_best", ResultsError, MixedCheckpointsError)

IDENTITY = {"architecture": "1-1", "seed": 0, "train": {"lr": 0.1, "lr_drops": [0.75, 0.9]}}
HISTORY = {"val_cw_acc": [1.25, 1 / 3], "train_loss": [2.0, 1.5]}
WHOLE: dict[str, Any] = {
    "identity": IDENTITY,
    "epoch": 1,
    "network": {"a": torch.arange(3.0), "steps": torch.tensor(7)},
    "optimiser": {"state": {0: {"momentum_buffer": torch.ones(3) / 3}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    "history": HISTORY,
    "seconds": 1.5,
}
TRAINING = Training(HISTORY, 0, 1.5)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("fuzz")
    save_checkpoint(folder / "last.pt", WHOLE)
    first = {name: values[:1] for name, values in HISTORY.items()}
    for name, epoch, history in (("best.pt", 0, first), ("epoch-000.pt", 0, first), ("epoch-001.pt", 1, HISTORY)):
        state = {key: value for key, value in WHOLE.items() if key != "optimiser"}
        save_checkpoint(folder / name, {**state, "epoch": epoch, "history": history})
    return Files(folder, "last.pt", "best.pt", "epoch-000.pt", "epoch-001.pt")


def is_whole(state: dict[str, Any]) -> None:
    """Nothing but what was saved."""
    assert {key: state[key] for key in ("identity", "epoch", "history", "seconds")} == {
        key: WHOLE[key] for key in ("identity", "epoch", "history", "seconds")
    }
    assert state["network"].keys() == WHOLE["network"].keys()
    assert all(torch.equal(state["network"][name], tensor) for name, tensor in WHOLE["network"].items())
    buffer = state["optimiser"]["state"][0]["momentum_buffer"]
    assert torch.equal(buffer, WHOLE["optimiser"]["state"][0]["momentum_buffer"])


@BYTES.fuzz(change=byte_damage())
def test_damaged_checkpoints(files: Files, change: Damages) -> None:
    files.write({"last.pt": change(files["last.pt"])})
    path = files.folder / "last.pt"
    BYTES.check(lambda: load_checkpoint(path, IDENTITY), is_whole, names=path)


def saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


_VALUES = st.sampled_from([torch.zeros(2), torch.tensor(float("nan")), b"x", 1j, (1, 2), {1, 2}, torch.float32])


@SIGNED.fuzz(change=document_damage(values=_VALUES))
def test_checkpoints_with_other_values(files: Files, change: Damages) -> None:
    content = change({"format": FORMAT, **WHOLE})
    try:
        digest = checkpoint._digest(content)
    except (TypeError, ValueError, AttributeError, RecursionError):
        digest = "none"
    if isinstance(content, dict):
        content["digest"] = digest
    files.write({"last.pt": saved(content)})
    path = files.folder / "last.pt"

    def holds(state: dict[str, Any]) -> None:
        assert not differences(state["identity"], IDENTITY)
        assert type(state["epoch"]) is int
        assert all(len(curve) == state["epoch"] + 1 for curve in state["history"].values())
        assert all(math.isfinite(value) for curve in state["history"].values() for value in curve)
        assert all(type(tensor) is torch.Tensor for tensor in state["network"].values())
        assert state["seconds"] >= 0

    SIGNED.check(lambda: load_checkpoint(path, IDENTITY), holds, names=path)


class Call:
    """Pickled, it calls a function when it is loaded."""

    def __init__(self, module: str, name: str, argument: str) -> None:
        self.module, self.name, self.argument = module, name, argument

    def pickled(self, protocol: int) -> bytes:
        """The few operations that do it, whatever may be imported here."""
        text = self.argument.encode()
        body = b"c" + f"{self.module}\n{self.name}\n".encode() + b"(X" + len(text).to_bytes(4, "little") + text + b"tR"
        return pickle.PROTO + bytes([protocol]) + body + pickle.STOP


CALLS = st.sampled_from(
    [
        ("os", "mkdir"),
        ("posix", "mkdir"),
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("subprocess", "check_output"),
        ("pathlib", "Path"),
        ("torch", "load"),
        ("datagen.training.train", "discard"),
    ]
)


@FOREIGN.fuzz(call=CALLS, protocol=st.integers(2, 5), form=st.sampled_from(["pickle", "archive", "legacy"]))
def test_code_in_a_checkpoint_never_runs(files: Files, call: tuple[str, str], protocol: int, form: str) -> None:
    marker = files.folder / "was-here"
    module, name = call
    argument = {
        "eval": f"__import__('os').mkdir({str(marker)!r})",
        "exec": f"import os; os.mkdir({str(marker)!r})",
        "system": f"mkdir {marker}",
    }.get(name, str(marker))
    foreign = Call(module, name, argument).pickled(protocol)
    if form == "archive":
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(files["last.pt"])) as whole, zipfile.ZipFile(buffer, "w") as pack:
            for member in whole.infolist():
                pack.writestr(member, foreign if member.filename.endswith("data.pkl") else whole.read(member))
        content = buffer.getvalue()
    else:  # the form of PyTorch before 1.6 begins with a magic number and a version
        head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
        content = (head if form == "legacy" else b"") + foreign
    files.write({"last.pt": content})
    path = files.folder / "last.pt"
    FOREIGN.check(lambda: load_checkpoint(path), names=path)
    assert not FOREIGN.read
    assert not marker.exists()


@BEST.fuzz(
    change=byte_damage(),
    name=st.sampled_from(["best.pt", "epoch-000.pt", "epoch-001.pt"]),
    instead=st.none() | st.sampled_from(["best.pt", "epoch-000.pt", "epoch-001.pt", "last.pt"]),
)
def test_the_best_of_damaged_or_mixed_files(files: Files, change: Damages, name: str, instead: str | None) -> None:
    files.write({name: change(files[name]) if instead is None else files[instead]})

    def holds(best: dict[str, Any]) -> None:
        assert all(torch.equal(best["network"][key], tensor) for key, tensor in WHOLE["network"].items())

    BEST.check(lambda: load_best(files.folder, IDENTITY, TRAINING), holds, names=files.folder)


def test_the_calls_would_do_harm(tmp_path: Path) -> None:
    """Loaded as Python does it, they make a folder: the test above is not about nothing."""
    assert not pickle.loads(Call("os", "mkdir", str(tmp_path / "made")).pickled(4))
    assert (tmp_path / "made").is_dir()
