"""Damaged result folders of races, read by all that make reports of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from experiments.page.stored import read_races
from experiments.races.store import CONFIG, Runs, RunStore
from experiments.results.fronts import fronts_of
from experiments.results.read import read, read_all, refuse_special
from nasbench_ar import Oracle, ResultsError, Table
from tests.experiments.conftest import SPACE, changed_arrays, store_runs
from tests.fuzzing import ArrayDamage, Damages, Files, Reader, array_damage, byte_damage, document_damage, to_json

CONFIG_BYTES = Reader("results: config.yaml, bytes", ResultsError)
CONFIG_VALUES = Reader("results: config.yaml, values", ResultsError)
GOING_ON = Reader("results: config.yaml, to go on from", ResultsError)
FRONTS = Reader("results: config.yaml of several objectives", ResultsError)
RUN_BYTES = Reader("results: stored runs, bytes", ResultsError)
RUN_ARRAYS = Reader("results: stored runs, other arrays", ResultsError)

RUN = "runs/seed-000003.npz"


def stored(table: Table, objective: str, **more: Any) -> Files:
    folder = table.folder.with_name("out") / objective.replace(",", "+") / "mine"
    store_runs(folder, table, {3: [0, 5, 80], 1: [2, 3]}, objective=objective, **more)
    config = RunStore(folder).read_config() | {"computed_by": [{"git_commit": "abc", "versions": {"numpy": "2.0"}}]}
    config["searcher"]["size"] = 5
    (folder / CONFIG).write_bytes(to_json(config))  # which is YAML too, and read faster
    return Files(folder, CONFIG, RUN)


@pytest.fixture(scope="module")
def files(table: Table) -> Files:
    return stored(table, "val_pgd_acc")


@pytest.fixture(scope="module")
def files_of_fronts(table: Table) -> Files:
    return stored(table, "val_pgd_acc,macs", constraint="macs<=1e12")


def are_runs(runs: Runs, oracle: Oracle) -> None:
    """Of the table, and with the table's values."""
    column = oracle.column("val_pgd_acc").astype(np.float32)
    for index, scores in zip(runs.arch_index, runs.scores, strict=True):
        queried = index >= 0
        assert queried[0]
        assert all(SPACE.has_index(k) for k in index[queried].tolist())
        np.testing.assert_array_equal(scores[queried], column[index[queried]])
        assert np.isnan(scores[~queried]).all()
    assert all(k in index for k, index in zip(runs.reported.tolist(), runs.arch_index, strict=True))
    assert (runs.repeats >= 0).all()
    assert all(why.isprintable() for why in runs.ended)


def as_yaml(document: Any) -> bytes:
    return to_json(document, depth=400).replace(b"NaN", b".nan").replace(b"Infinity", b".inf")


def ask(folder: Path, table: Table) -> list[Any]:
    """Everything that reads results of races; what is left out of the report is refused by the others."""
    races, _ = read_races(folder.parent, Oracle(table))
    refuse_special([folder])
    stored = read_all([folder])
    return [*(experiment.runs for race in races for experiment in race.experiments), stored[0].runs]


def holds(table: Table) -> Callable[[list[Any]], None]:
    def check(found: list[Any]) -> None:
        for runs in found:
            are_runs(runs, Oracle(table))

    return check


@CONFIG_BYTES.fuzz(change=byte_damage(most=2))
def test_any_bytes_for_a_config(files: Files, table: Table, change: Damages) -> None:
    files.write({CONFIG: change(files[CONFIG])})
    CONFIG_BYTES.check(lambda: ask(files.folder, table), holds(table), names=files.folder.parent)


_VALUES = st.sampled_from(
    ["val_loss", "macs", "best_epoch", "val_pgd_acc,macs", "macs<=5", "run", "budget", "constraint", "noise", "images"]
)


@CONFIG_VALUES.fuzz(change=document_damage(values=_VALUES))
def test_any_values_for_a_config(files: Files, table: Table, change: Damages) -> None:
    files.write({CONFIG: as_yaml(change(json.loads(files[CONFIG])))})
    CONFIG_VALUES.check(lambda: ask(files.folder, table), holds(table), names=files.folder.parent)


@GOING_ON.fuzz(change=document_damage(values=_VALUES, most=2))
def test_any_config_to_go_on_from(files: Files, change: Damages) -> None:
    whole = json.loads(files[CONFIG])
    files.write({CONFIG: as_yaml(change(whole))})
    store = RunStore(files.folder)

    def read() -> dict[str, Any]:
        with store.claim(whole):
            store.begin(whole, {"git_commit": "def"})
        return store.read_config()

    def goes_on(config: dict[str, Any]) -> None:
        assert config["fingerprint"] == whole["fingerprint"]
        assert config["computed_by"][-1] == {"git_commit": "def"}

    GOING_ON.check(read, goes_on, names=files.folder)


@FRONTS.fuzz(change=document_damage(values=_VALUES))
def test_any_config_of_several_objectives(files_of_fronts: Files, table: Table, change: Damages) -> None:
    files = files_of_fronts
    files.write({CONFIG: as_yaml(change(json.loads(files[CONFIG])))})

    def sound(fronts: Any) -> None:
        assert ((fronts.volumes >= 0) & (fronts.volumes <= 1 + 1e-9)).all()
        assert (np.diff(fronts.volumes, axis=1) >= 0).all()

    FRONTS.check(lambda: fronts_of(read(files.folder, Oracle(table))), sound, names=files.folder)


@RUN_BYTES.fuzz(change=byte_damage())
def test_any_bytes_for_a_run(files: Files, table: Table, change: Damages) -> None:
    files.write({RUN: change(files[RUN])})
    RUN_BYTES.check(lambda: ask(files.folder, table), holds(table), names=files.folder)


@RUN_ARRAYS.fuzz(
    name=st.sampled_from(["arch_index", "scores", "incumbent", "repeats", "ended", "fingerprint", "other"]),
    change=array_damage(),
    absent=st.sampled_from([None] * 8 + ["scores", "incumbent", "ended", "fingerprint"]),
)
def test_any_other_arrays_for_a_run(
    files: Files, table: Table, name: str, change: ArrayDamage, absent: str | None
) -> None:
    files.write({RUN: changed_arrays(files[RUN], name, change, absent)})
    RUN_ARRAYS.check(lambda: ask(files.folder, table), holds(table), names=files.folder)
