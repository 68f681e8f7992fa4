"""A training through torch.compile that fails goes on without, to the same bits; backends here need no C++ compiler."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd

from datagen.config import RunConfig
from datagen.store.entry import Entry
from datagen.store.folder import EntryStore
from datagen.training import pipeline
from nasbench_ar.errors import TrainingError
from tests.datagen.conftest import Command

SMALLEST = "1-1-1-1"
Graph = torch.fx.GraphModule


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    torch.compiler.reset()


def failing(after: int) -> Callable[..., object]:
    """A backend that compiles so many graphs."""
    left = iter(range(after))

    def compile_graph(graph: Graph, example: list[torch.Tensor]) -> object:
        if next(left, None) is None:
            raise RuntimeError("Failed to find C compiler.\nmore")
        return graph.forward

    return compile_graph


def no_gradients() -> Callable[..., object]:
    """A backend that fails when the graph of the gradients is first used."""
    backend: Callable[..., object] = aot_autograd(
        fw_compiler=lambda graph, example: graph.forward, bw_compiler=failing(0)
    )
    return backend


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., object]], None]:
    """Lets the default compile on a processor, with a backend."""
    compiler = torch.compile

    def use(backend: Callable[..., object]) -> None:
        monkeypatch.setattr(pipeline, "choose_compile", lambda wanted, device, deterministic: (wanted is not False, ""))
        monkeypatch.setattr(torch, "compile", functools.partial(compiler, backend=backend))

    return use


def made(config: RunConfig, said: list[str]) -> Entry:
    generator = pipeline.Generator.prepare(config)
    architecture = generator.space.parse(SMALLEST)
    generator.store.work_folder(architecture, 0).mkdir(parents=True, exist_ok=True)
    return generator.generate(architecture, 0, say=said.append)


def numbers(entry: Entry) -> dict[str, object]:
    content: dict[str, object] = json.loads(entry.to_bytes())
    return {name: value for name, value in content.items() if name not in ("sha256", "provenance")}


@pytest.mark.parametrize("backend", [*map(failing, (0, 2, 3, 4, 6, 10)), no_gradients()])
def test_it_goes_on_to_the_bits_of_a_training_that_is_not_compiled(
    backend: Callable[..., object], compiling: Callable[..., None], config: RunConfig, tmp_path: Path
) -> None:
    """The third graph is that of a training step, the fourth fails when its first block has counted the batch."""
    plain = made(replace(config, store=str(tmp_path / "plain"), compile=False), [])
    compiling(backend)
    said: list[str] = []
    entry = made(config, said)
    assert numbers(entry) == numbers(plain)
    warnings = [line for line in said if line.startswith("compiling failed")]
    assert len(warnings) == 1
    assert "Failed to find C compiler." in warnings[0]
    assert "\n" not in warnings[0]
    assert "TORCHDYNAMO" not in warnings[0]
    assert (entry.provenance["compiled"], entry.provenance["config"]["compile"]) == (False, None)


def test_a_training_that_compiles_says_so(compiling: Callable[..., None], config: RunConfig) -> None:
    compiling(failing(after=1000))
    said: list[str] = []
    assert made(config, said).provenance["compiled"] is True
    assert not any("compiling" in line for line in said)


def test_where_it_was_asked_for_the_command_ends(
    compiling: Callable[..., None], words: list[str], tmp_path: Path, command: Command
) -> None:
    compiling(failing(0))
    code, out, error = command(*words, "compile=true")
    assert (code, out) == (2, "")
    assert error.count("compile=true failed (") == 1
    assert "leave compile= out, or say compile=false" in error.splitlines()[-1]
    store = EntryStore(tmp_path / "store")
    assert store.failure(store.space().parse(SMALLEST), 0).attempts == 0  # the user can mend it


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: unspecified launch failure"), torch.cuda.OutOfMemoryError("out of memory")]
)
def test_other_errors_stay(
    error: RuntimeError, compiling: Callable[..., None], config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    compiling(failing(after=1000))
    monkeypatch.setattr(pipeline, "assess", broken)
    said: list[str] = []
    with pytest.raises(RuntimeError, match=str(error)):
        made(config, said)
    assert not any("compiling" in line for line in said)


def test_memory_that_runs_out_in_compiled_code_is_no_failure_of_it(
    compiling: Callable[..., None], config: RunConfig
) -> None:
    def full(graph: Graph, example: list[torch.Tensor]) -> Callable[..., object]:
        def run(*given: object) -> object:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

        return run

    compiling(full)
    with pytest.raises(TrainingError, match="out of memory in training with train.batch=16"):
        made(config, [])


def test_the_command_says_why_it_does_not_compile(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(pipeline.Generator.prepare(config).describe()) == 2
    monkeypatch.setattr(pipeline, "choose_compile", lambda *_, **__: (False, "Triton is not installed"))
    assert pipeline.Generator.prepare(config).describe()[2:] == ["not compiled: Triton is not installed"]
