"""Damaged result folders of multi-fidelity search, drawn at random and by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from experiments.races.machines import Trace
from experiments.races.race import told_by
from experiments.races.store import CONFIG
from experiments.races.trace_store import TraceStore
from experiments.results.traces import Results, read_all_results, read_results
from nasbench_ar import Architecture, Oracle, ResultsError
from tests.experiments.conftest import changed_arrays
from tests.experiments.fidelity.conftest import FOUR, scripted_oracle
from tests.fuzzing import ArrayDamage, Damages, Files, Reader, array_damage, byte_damage, document_damage, to_json

CONFIGS = Reader("fidelity: config.yaml, values", ResultsError)
BYTES = Reader("fidelity: stored runs, bytes", ResultsError)
ARRAYS = Reader("fidelity: stored runs, other arrays", ResultsError)

RUN = "runs/seed-000002.npz"
CURVES = {Architecture(1, 1): [10.0, 20.0, 30.0], Architecture(2, 2): [20.0, 30.0, 40.0]}


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    return scripted_oracle(tmp_path_factory.mktemp("fuzz") / "scripted", CURVES, dict.fromkeys(CURVES, 3.0))


def trace(seed: int, **change: Any) -> Trace:
    """Two trainings, one after the other."""
    steps = np.array([1.0, 3.0])
    both = np.array([FOUR.index("1-1"), FOUR.index("2-2")], dtype=np.int32)
    facts: dict[str, Any] = {"arch_index": both, "epoch": np.array([0, 1], dtype=np.int32), "incumbent": both}
    times = {"began": np.array([0.0, 1.0]), "ended": steps, "spent": steps}
    return Trace(**{"seed": seed, **facts, **times, "repeats": 1, **change})


def stored(folder: Path, oracle: Oracle) -> TraceStore:
    """A result folder of two runs."""
    store = TraceStore(folder)
    facts: dict[str, Any] = {"table": oracle.name, "objective": "val_pgd_acc", "table_seed": "mean"}
    facts |= {"budget": 6, "unit": "epochs", "workers": 1}
    marks = facts | {"table_hash": oracle.table.content_hash, "searcher": {"_target_": "a.B"}}
    config = facts | {"name": "asha", "table_folder": str(oracle.table.folder), "fingerprint": marks}
    config |= told_by(oracle.fidelity_session("val_pgd_acc", budget=6, unit="epochs"))
    store.claim(config).close()
    for seed in (2, 5):
        store.save(trace(seed))
    return store


@pytest.fixture(scope="module")
def files(oracle: Oracle) -> Files:
    store = stored(oracle.table.folder.with_name("asha"), oracle)
    (store.folder / CONFIG).write_bytes(to_json(store.read_config()))  # which is YAML too, and read faster
    return Files(store.folder, CONFIG, RUN)


def asked(folder: Path) -> Results:
    """All that the reports take from it."""
    results = read_results(folder)
    results.true_scores("spent", np.array([0.0, results.budget]))
    results.curve("ended")
    _ = (results.started(), results.finished(), results.clock(), results.optimum)
    return results


def are_sound(results: Results) -> None:
    for trace in results.traces:
        assert set(trace.arch_index.tolist()) <= set(range(FOUR.product_size))
        assert set(trace.incumbent.tolist()) <= set(trace.arch_index.tolist())
        assert ((trace.epoch >= 0) & (trace.epoch < 3)).all()
        assert (np.diff(trace.ended) >= 0).all()
        assert (np.diff(trace.spent) > 0).all()
    assert (results.started() >= 1).all()
    assert (results.finished() <= 3).all()


@CONFIGS.fuzz(change=document_damage(values=st.sampled_from(["macs", "gpu_days", "val_loss", "queries", 3, 7, 1.5])))
def test_any_values_for_a_config(files: Files, change: Damages) -> None:
    content = to_json(change(json.loads(files[CONFIG])), depth=400)
    files.write({CONFIG: content.replace(b"NaN", b".nan").replace(b"Infinity", b".inf")})
    CONFIGS.check(lambda: asked(files.folder), are_sound, names=files.folder)


@BYTES.fuzz(change=byte_damage())
def test_any_bytes_for_a_run(files: Files, change: Damages) -> None:
    files.write({RUN: change(files[RUN])})
    BYTES.check(lambda: asked(files.folder), are_sound, names=files.folder)


_NAMES = ("arch_index", "epoch", "began", "ended", "spent", "incumbent", "repeats", "why", "fingerprint", "other")


@ARRAYS.fuzz(
    name=st.sampled_from(_NAMES),
    change=array_damage(),
    absent=st.sampled_from([None] * 8 + ["epoch", "spent", "why", "fingerprint"]),
)
def test_any_other_arrays_for_a_run(files: Files, name: str, change: ArrayDamage, absent: str | None) -> None:
    files.write({RUN: changed_arrays(files[RUN], name, change, absent)})
    ARRAYS.check(lambda: asked(files.folder), are_sound, names=files.folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ended": np.array([1.0, 0.5])}, "a training begins after its end"),
        ({"began": np.array([-1.0, 0.0])}, "or before the search"),
        ({"spent": np.array([2.0, 1.0])}, "not in the order in which they ended"),
        ({"spent": np.array([1.0, np.nan])}, "a training begins after its end"),
        ({"epoch": np.array([0, -1], dtype=np.int32)}, "an epoch is negative"),
        ({"epoch": np.array([0, 3], dtype=np.int32)}, "has trainings that table scripted has not"),
        (
            {name: np.array([0, 4], dtype=np.int32) for name in ("arch_index", "incumbent")},
            "has trainings that table scripted has not",
        ),
        ({"incumbent": np.array([0, 2], dtype=np.int32)}, "an incumbent was never trained"),
        ({"incumbent": np.array([0], dtype=np.int32)}, r"incumbent is int32 \(1,\)"),
        ({"repeats": -1}, "repeats is no number of at least 0"),
        ({"why": "two\nlines"}, "why is no line of text"),
    ],
)
def test_courses_that_cannot_be(oracle: Oracle, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    store = stored(tmp_path / "asha", oracle)
    store.save(trace(2, **change))
    with pytest.raises(ResultsError, match=message):
        read_results(store.folder)


@pytest.mark.parametrize(
    ("key", "value"), [("epochs", 4), ("cost", "GPU-days, measured"), ("curve", None), ("architectures", 3)]
)
def test_what_the_table_says_otherwise(key: str, value: object, oracle: Oracle, tmp_path: Path) -> None:
    store = stored(tmp_path / "asha", oracle)
    (store.folder / CONFIG).write_bytes(to_json(store.read_config() | {key: value}))
    with pytest.raises(ResultsError, match=f"says that {key} is {value!r}, table scripted that it is"):
        read_results(store.folder)


def test_folders_of_one_name_are_told_apart_and_each_is_given_once(oracle: Oracle, tmp_path: Path) -> None:
    folders = [stored(tmp_path / parent / "asha", oracle).folder for parent in ("eta2", "eta3")]
    assert [results.name for results in read_all_results(folders)] == ["eta2/asha", "eta3/asha"]
    with pytest.raises(ResultsError, match=r"eta2/asha is given twice; give each result folder once"):
        read_all_results([*folders, tmp_path / "eta3/../eta2/asha"])


def test_no_run_is_left_out_that_is_not_whole_or_of_another_configuration(oracle: Oracle, tmp_path: Path) -> None:
    store = stored(tmp_path / "asha", oracle)
    path = tmp_path / "asha" / RUN
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert store.finished() == [5]
    with pytest.raises(ResultsError, match=r"seed-000002\.npz is damaged"):
        read_results(store.folder)
    path.write_bytes((tmp_path / "asha/runs/seed-000005.npz").read_bytes())
    with pytest.raises(ResultsError, match=r"seed-000002\.npz holds the run of another seed"):
        read_results(store.folder)
    path.write_bytes(whole)
    assert [t.seed for t in read_results(store.folder).traces] == [2, 5]
    config = store.read_config()
    config["budget"] = config["fingerprint"]["budget"] = 7
    (store.folder / CONFIG).write_bytes(to_json(config))
    with pytest.raises(ResultsError, match=r"seed-000002\.npz was computed under another configuration"):
        read_results(store.folder)
    with pytest.raises(ResultsError, match="has become another configuration's"):
        store.save(trace(3))
