"""Stored runs of multi-fidelity search, one file a run: `experiments.races.store`, with other arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.machines import Trace
from experiments.races.store import RunStore, columns_of, intact, numbers_of, text_of

_ARRAYS: dict[str, type[np.generic]] = {
    "arch_index": np.int32,
    "epoch": np.int32,
    "began": np.float64,
    "ended": np.float64,
    "spent": np.float64,
    "incumbent": np.int32,
}


class TraceStore(RunStore):
    def traces(self, seeds: Iterable[int]) -> list[Trace]:
        """Read stored runs, ascending by seed; refuses files that `load` would."""
        mark = self._mark_here()
        return [self._read_trace(seed, mark) for seed in sorted(seeds)]

    def _read_trace(self, seed: int, mark: str) -> Trace:
        with intact(self._path(seed)):
            pack = self._pack(seed, mark)
            arrays = dict(zip(_ARRAYS, columns_of(pack, **_ARRAYS), strict=True))
            _check_course(arrays)
            [repeats] = numbers_of(pack, repeats=np.int64)
            return Trace(seed=seed, **arrays, repeats=repeats, why=text_of(pack, "why"))


def _check_course(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a course of trainings that no simulation can have taken."""
    began, ended, spent = (arrays[name] for name in ("began", "ended", "spent"))
    if not np.isfinite([began, ended, spent]).all() or (began < 0).any() or (ended <= began).any():
        raise ValueError("a training begins after its end, or before the search")
    if (np.diff(ended) < 0).any() or (np.diff(spent, prepend=0.0) <= 0).any():
        raise ValueError("its trainings are not in the order in which they ended")
    if min(arrays["arch_index"].min(), arrays["epoch"].min()) < 0:
        raise ValueError("an architecture or an epoch is negative")
    if not np.isin(arrays["incumbent"], arrays["arch_index"]).all():
        raise ValueError("an incumbent was never trained")
