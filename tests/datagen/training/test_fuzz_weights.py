"""Damaged files of weights, and state dicts with other names, shapes and values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from datagen.network.model import WideResNet, build_network
from datagen.training.weights import load_network, state_dict
from nasbench_ar import ResultsError, SearchSpace
from tests.datagen.training.test_fuzz_checkpoint import saved
from tests.fuzzing import Damages, Files, Reader, byte_damage, document_damage

BYTES = Reader("datagen: files of weights, bytes", ResultsError)
STATES = Reader("datagen: files of weights, state dicts", ResultsError)

NAME = "1-1-2-2"
SPACE = SearchSpace((1, 2), (1, 2), stages=2, unit_channels=2, image_size=8)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("fuzz")
    for names in ("ours", "authors"):
        torch.save(state_dict(build_network(SPACE, NAME, seed=0), names), folder / f"{names}.pth")
    return Files(folder, "ours.pth", "authors.pth")


def is_a_network(network: WideResNet) -> None:
    assert not network.training
    assert str(network.architecture) == NAME
    assert network(torch.rand(2, 3, 8, 8)).shape == (2, 10)


@BYTES.fuzz(change=byte_damage(), name=st.sampled_from(["ours.pth", "authors.pth"]))
def test_damaged_files(files: Files, change: Damages, name: str) -> None:
    files.write({name: change(files[name])})
    BYTES.check(lambda: load_network(files.folder / name, NAME), is_a_network, names=name)


_VALUES = st.sampled_from(
    [torch.zeros(2), torch.zeros(()), torch.tensor(torch.nan), torch.zeros(2, 3, 3, 3, dtype=torch.int64), 1.0, "x"]
)


@STATES.fuzz(change=document_damage(values=_VALUES), name=st.sampled_from(["ours", "authors"]))
def test_other_state_dicts(files: Files, change: Damages, name: str) -> None:
    content: Any = {"state_dict": state_dict(build_network(SPACE, NAME, seed=0), name), "epoch": 3}
    files.write({f"{name}.pth": saved(change(content))})
    STATES.check(lambda: load_network(files.folder / f"{name}.pth", NAME), is_a_network, names=name)
