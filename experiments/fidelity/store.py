"""Stored runs of multi-fidelity search, one file a run: `experiments.store`, with other arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from experiments.fidelity.runner import Trace
from experiments.store import RunStore
from nasbench_ar.errors import ResultsError

_ARRAYS = ("arch_index", "epoch", "began", "ended", "spent", "incumbent")


class TraceStore(RunStore):
    """One result folder.

    Raises:
        ResultsError: whenever the folder cannot be read or written.
    """

    def save_trace(self, trace: Trace) -> None:
        """Store one run, atomically."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {f.name: np.asarray(getattr(trace, f.name)) for f in fields(trace)}
        np.savez(buffer, **arrays)
        self.write(f"runs/{self._path(trace.seed).name}", buffer.getvalue())

    def traces(self, seeds: Iterable[int]) -> list[Trace]:
        """Read stored runs, ascending by seed."""
        return [self._read_trace(seed) for seed in sorted(seeds)]

    def _read_trace(self, seed: int) -> Trace:
        path = self._path(seed)
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as pack:
                arrays = {name: pack[name] for name in _ARRAYS}
                return Trace(seed=seed, **arrays, repeats=int(pack["repeats"]), why=str(pack["why"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ResultsError(f"{path} is damaged ({error}); remove it and run the command again") from error
