"""States of a training on disk: whole or not there, checked by content, loaded without pickled code.

A checkpoint is what `torch.save` writes of a dictionary with

    identity   what decides the numbers: architecture, seed, protocol, training data
    epoch      the last finished one
    network    state of the network
    optimiser  state of the optimiser, where training may go on from here
    scaler     of the loss, with fp16, beside the optimiser
    average    of the network, with ema, beside the optimiser; elsewhere `network` is the average
    history    curve -> values after epochs 0..epoch
    seconds    spent so far
    digest     SHA-256 over all of it
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from datagen.store.identity import differences
from nasbench_ar.errors import ResultsError, WriteError, one_line, shown
from nasbench_ar.system import checked_json as checked
from nasbench_ar.system.files import write_atomically

FORMAT = "datagen-checkpoint-1"


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write atomically: after an error the old checkpoint is untouched."""
    content = to_bytes({"format": FORMAT, **state})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise WriteError(
            f"cannot write {path}: {error.strerror or error}; the same command goes on from the last checkpoint"
        ) from error


class CheckpointWriter:
    """Writes checkpoints one after the other; in the `background`, from a copy, while the training goes on.

    An error in the background is raised by the next call, or on leaving.
    """

    def __init__(self, *, background: bool = False) -> None:
        self._pool = ThreadPoolExecutor(1, "checkpoints") if background else None
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.wait()
        finally:
            if self._pool is not None:
                self._pool.shutdown()

    def save(self, states: Mapping[Path, Mapping[str, Any]]) -> None:
        """Write the states in their order, after all that came before."""
        self.wait()
        if self._pool is None:
            _save_all(states)
        else:
            self._under_way = self._pool.submit(_save_all, _copied(states, {}))

    def wait(self) -> None:
        """Until everything is written."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()


def _save_all(states: Mapping[Path, Mapping[str, Any]]) -> None:
    for path, state in states.items():
        save_checkpoint(path, state)


def _copied(value: Any, copies: dict[int, Tensor]) -> Any:
    """With tensors on the processor that nobody else changes, a copy of each however often it occurs."""
    if isinstance(value, Tensor):
        if id(value) not in copies:
            copies[id(value)] = value.detach().to("cpu", copy=True)
        return copies[id(value)]
    if isinstance(value, Mapping):
        return {name: _copied(item, copies) for name, item in value.items()}
    return [_copied(item, copies) for item in value] if isinstance(value, list) else value


def load_checkpoint(path: Path, identity: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; it must be of `identity`, if given."""
    content = read_tensors(path, FORMAT, "checkpoint", _check, "remove it to train from the start, or restore it")
    if identity is not None and (found := differences(content["identity"], identity)):
        raise ResultsError(f"{path} is of another training ({'; '.join(found)}); remove it or use another store=")
    return content


def to_bytes(content: Mapping[str, Any]) -> bytes:
    """What `torch.save` writes of plain data and tensors, with their digest."""
    content = {name: value for name, value in content.items() if name != "digest"}  # of what was read and changed
    buffer = io.BytesIO()
    torch.save({**content, "digest": _digest(content)}, buffer)
    return buffer.getvalue()


def read_tensors(
    path: Path, form: str, what: str, check: Callable[[Mapping[str, Any]], None], remedy: str
) -> dict[str, Any]:
    """Read what `to_bytes` packed, onto the CPU; `what` names it in messages, `remedy` mends a damaged one."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        with warnings.catch_warnings():  # PyTorch warns of forms that it would no longer write
            warnings.simplefilter("ignore")
            content = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # its unpickler and archive reader may raise anything on garbage
        raise ResultsError(f"{path} is no whole {what} ({one_line(error)}); {remedy}") from error
    if not isinstance(content, dict) or content.get("format") != form:
        raise ResultsError(f"{path} is no {what} of this version; {remedy}")
    digest = content.pop("digest", None)
    if not _matches(content, digest):
        raise ResultsError(f"{path} is damaged: its content does not match its digest; {remedy}")
    try:
        check(content)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {one_line(error)}"
        raise ResultsError(f"{path} is no whole {what} ({problem}); {remedy}") from error
    return {**content, "digest": digest}


def _matches(content: Mapping[str, Any], stated: object) -> bool:
    try:
        return _digest(content) == stated
    except (TypeError, ValueError, RuntimeError, RecursionError):  # what has no digest was never saved
        return False


def _check(content: Mapping[str, Any]) -> None:
    epoch, history, network = checked.count(content["epoch"]), content["history"], content["network"]
    if checked.number(content["seconds"]) < 0:
        raise ValueError(f"seconds={content['seconds']}")
    if not all(isinstance(part, Mapping) for part in (content["identity"], history, network)):
        raise TypeError("identity, history or network has no names")
    json.dumps(content["identity"])  # plain data: a tensor cannot be compared with what is wanted
    for name, curve in history.items():
        if not isinstance(curve, list) or len(list(map(checked.number, curve))) != epoch + 1:
            raise ValueError(f"{shown(name)} has not one value for each of {epoch + 1} epochs")
    for name, value in network.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{shown(name)} of the network is {shown(value)}, no tensor")


def _digest(content: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, value in _leaves(content, ""):
        digest.update(name.encode() + b"\0")
        if isinstance(value, Tensor):
            digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(json.dumps(value).encode())
    return digest.hexdigest()


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from _leaves(value[key], f"{where}/{key}")
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping | Tensor | list | tuple) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{where}/{number}")
    else:
        yield where, value
