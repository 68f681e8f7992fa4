"""A small table, and the commands called as a user calls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from numpy.typing import NDArray

from experiments.races.store import MARK, RunStore, mark_of
from nasbench_ar import METRICS, Oracle, SearchSpace, Table, TableWriter
from nasbench_ar.library import HOME_VARIABLE
from nasbench_ar.system.command import run_command
from searchers.trajectory import Trajectory

matplotlib.use("Agg")

SPACE = SearchSpace(depth_choices=(1, 2, 3), width_choices=(1, 2, 4), stages=2)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return folder


@pytest.fixture
def real_pdf() -> None:
    """For tests that look at a `.pdf`: it is drawn.  Half the time of these tests would go into its fonts."""


@pytest.fixture(autouse=True)
def _quick_pdf(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: FigureCanvasPdf, stream: BinaryIO, **_: object) -> None:
        stream.write(b"%PDF-")

    if "real_pdf" not in request.fixturenames:
        monkeypatch.setattr(FigureCanvasPdf, "print_pdf", write)


def table_writer(
    folder: Path, name: str, differs: dict[str, str] | None = None, space: SearchSpace = SPACE
) -> TableWriter:
    """A writer of made-up numbers on a small space."""
    return TableWriter(
        folder,
        name=name,
        title="made-up numbers",
        provenance="made up",
        space=space,
        default_objective="val_pgd_acc",
        licence="none",
        source={},
        differs=differs or {},
    )


def write_table(folder: Path, *, absent: tuple[int, ...] = (), shift: float = 0.0) -> Table:
    """81 architectures with an objective, a loss, and test values for two in three."""
    rng = np.random.default_rng(5)
    values = 30 + rng.random(SPACE.size) * 5 + SPACE.vectors().sum(axis=1) / 4 + shift
    with table_writer(folder, "small", {"test_pgd_acc": "ten steps"}) as writer:
        for index in range(SPACE.size):
            if index in absent:
                continue
            value = values[index]
            scalars = {"val_pgd_acc": value, "val_loss": 3 - value / 20, "val_best_pgd_acc": value}
            if index % 3:
                scalars["test_pgd_acc"] = value + 20
            writer.add(SPACE.from_index(index), seed=0, scalars=scalars)
    return Table(folder)


def trajectory(
    seed: int,
    indices: Sequence[int],
    turned: NDArray[np.float32],
    scores: NDArray[np.float32],
    reported: Mapping[int, int] | None = None,
) -> Trajectory:
    """Of a searcher that reports the first of the best, or in the end what is given for its seed."""
    arch_index = np.array(indices, dtype=np.int32)
    incumbent = arch_index[[int(turned[: n + 1].argmax()) for n in range(len(turned))]]
    incumbent[-1] = (reported or {}).get(seed, incumbent[-1])
    return Trajectory(seed, arch_index, scores, incumbent, 0)


def store_runs(
    folder: Path,
    table: Table,
    queried: Mapping[int, Sequence[int]],
    *,
    reported: Mapping[int, int] | None = None,
    objective: str = "val_pgd_acc",
    **changes: object,
) -> Path:
    """A result folder as `experiments.run` leaves it, of runs that are written down by hand.

    Args:
        folder: where.
        table: what the runs were made on.
        queried: seed -> indices in the order of the queries.
        reported: seed -> index in the end, where it is not the first best.
        objective: what guided them.
        changes: to the fingerprint.
    """
    store = RunStore(folder)
    column = np.asarray(Oracle(table).column(objective), dtype=np.float32)
    fingerprint = {
        "table": table.name,
        "table_hash": table.content_hash,
        "objective": objective,
        "table_seed": "mean",
        "queries": max(map(len, queried.values())),
        **changes,
    }
    config = {"name": folder.name, "table_folder": str(table.folder), "fingerprint": fingerprint}
    store.claim(config, overwrite=True).close()
    for seed, indices in queried.items():
        scores = column[list(indices)]
        store.save(trajectory(seed, indices, scores if METRICS[objective].maximize else -scores, scores, reported))
    return folder


def sign_runs(folder: Path) -> None:
    """Let stored runs be of a `config.yaml` that was edited since."""
    mark = mark_of(RunStore(folder).read_config()["fingerprint"])
    for path in (folder / "runs").iterdir():
        with np.load(path) as pack:
            arrays = dict(pack)
        np.savez(path, **arrays | {MARK: np.str_(mark)})


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return write_table(tmp_path / "small")


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Call a command's main: (exit code, standard output, standard error)."""

    def call(main: Callable[[list[str]], None], *words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run_command(main, [str(word) for word in words])
        out = capsys.readouterr()
        return code, out.out, out.err

    return call
