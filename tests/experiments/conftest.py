"""A small table, and the commands called as a user calls them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from numpy.typing import NDArray

from experiments.plots import style
from experiments.races.fingerprint import mark_of
from experiments.races.race import Race
from experiments.races.store import MARK, Runs, RunStore
from experiments.races.track import load_track
from experiments.track import carry_out, configuration
from nasbench_ar import METRICS, Oracle, SearchSpace, Table, TableWriter, load
from nasbench_ar.library import HOME_VARIABLE
from nasbench_ar.system.command import run_command
from searchers.trajectory import Trajectory
from tests.fuzzing import ArrayDamage

matplotlib.use("Agg")

SPACE = SearchSpace(depth_choices=(1, 2, 3), width_choices=(1, 2, 4), stages=2)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return folder


@pytest.fixture
def real_pictures() -> None:
    """For tests that look at a picture: it is laid out and drawn, which takes most of a command's time."""


@pytest.fixture(autouse=True)
def _quick_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_pictures" in request.fixturenames:
        return
    monkeypatch.setattr(style, "LAYOUT", None)
    for canvas, name, start in ((FigureCanvasPdf, "print_pdf", b"%PDF-"), (FigureCanvasAgg, "print_png", b"\x89PNG")):
        monkeypatch.setattr(canvas, name, lambda self, stream, start=start, **_: stream.write(start))


def table_writer(
    folder: Path,
    name: str,
    differs: dict[str, str] | None = None,
    space: SearchSpace = SPACE,
    objective: str = "val_pgd_acc",
) -> TableWriter:
    """A writer of made-up numbers on a small space."""
    return TableWriter(
        folder,
        name=name,
        title="made-up numbers",
        provenance="made up",
        space=space,
        default_objective=objective,
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


def raced(track: str, *words: str, entry: str | None = None) -> Path:
    """Runs of a searcher on a track, on one process; returns the track's folder."""
    found = load_track(track)
    return carry_out(found, configuration(found, ["jobs=1", *words], entry), load(found.table, quiet=True))


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
        objective: what guided them; the first of several gives the scores.
        changes: to the fingerprint.
    """
    store = RunStore(folder)
    told = {
        "table": table.name,
        "objective": objective,
        "table_seed": "mean",
        "queries": max(map(len, queried.values())),
    }
    told |= {"searcher": {"_target_": "searchers.random_search.RandomSearch"}, **changes}
    fingerprint = told | {"table_hash": table.content_hash} | changes
    config = told | {"name": folder.name, "table_folder": str(table.folder), "allow_test_objective": False}
    store.claim(config | {"fingerprint": fingerprint}, overwrite=True).close()
    first = objective.partition(",")[0]
    column = np.asarray(Oracle(table).column(first), dtype=np.float32)
    for seed, indices in queried.items():
        scores = column[list(indices)]
        store.save(trajectory(seed, indices, scores if METRICS[first].maximize else -scores, scores, reported))
    return folder


def sign_runs(folder: Path) -> None:
    """Let stored runs be of a `config.yaml` that was edited since."""
    mark = mark_of(RunStore(folder).read_config()["fingerprint"])
    for path in (folder / "runs").iterdir():
        with np.load(path) as pack:
            arrays = dict(pack)
        np.savez(path, **arrays | {MARK: np.str_(mark)})


def changed_arrays(pack: bytes, name: str, change: ArrayDamage, absent: str | None) -> bytes:
    """A stored run with one array changed or added, and perhaps another one left out."""
    with np.load(io.BytesIO(pack)) as whole:
        arrays = dict(whole)
    arrays[name] = change(arrays.get(name, np.zeros(2)))
    buffer = io.BytesIO()
    np.savez(buffer, **{key: array for key, array in arrays.items() if key != absent})
    return buffer.getvalue()


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """For reading only."""
    return write_table(tmp_path_factory.mktemp("table") / "small")


@pytest.fixture
def results(table: Table, tmp_path: Path) -> Path:
    """Stored runs of a searcher, its own folder's name."""
    store_runs(tmp_path / "small/random_search", table, {0: [5, 80, 2], 1: [3, 4, 7]})
    return tmp_path / "small"


class Command:
    """Call a command's main as a user does: (exit code, standard output, standard error)."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, main: Callable[[list[str]], None], *words: object) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = run_command(main, [str(word) for word in words])
        return code, *self.capsys.readouterr()

    def passes(self, main: Callable[[list[str]], None], *words: object) -> tuple[str, str]:
        """What it prints: (standard output, standard error)."""
        code, out, err = self(main, *words)
        assert code == 0, err
        return out, err

    def fails(self, main: Callable[[list[str]], None], *words: object) -> str:
        """Its error, which is the last line and the only one of its kind."""
        code, _, err = self(main, *words)
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert (code, len(errors), err.splitlines()[-1:]) == (2, 1, errors), err
        assert "Traceback" not in err
        return errors[0]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def judged_values(oracle: Oracle, race: Race, runs: Runs, judge: str) -> list[float]:
    """What each run is worth to the judge of a track: its recommendation, or else its best query that has a value."""
    column, maximize = oracle.column(judge), oracle.metric(race.objective).maximize
    out = []
    for asked, scores, recommended in zip(runs.arch_index, runs.scores, runs.incumbent, strict=True):
        best_first = np.argsort((-scores if maximize else scores)[: race.queries], kind="stable")
        candidates = [recommended[race.queries - 1], *asked[best_first]]
        out.append(next((float(column[one]) for one in candidates if not np.isnan(column[one])), np.nan))
    return out
