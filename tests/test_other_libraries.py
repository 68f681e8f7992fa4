"""What docs/other-libraries.md tells a user to type, and the packages for OptunaHub's registry."""

import importlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import nasbench_ar
from nasbench_ar import ConfigError, Oracle
from nasbench_ar.library import HOME_VARIABLE
from searchers import SEARCHERS, create, search
from tests.datagen.test_robustbench import evaluation
from tests.processes import ROOT
from tests.test_how_tos import blocks

REGISTRY = ROOT / "examples/optunahub"
CODES = [
    code
    for language, code, _ in blocks((ROOT / "docs/other-libraries.md").read_text(encoding="utf-8"))
    if language == "python"
]
LIBRARY = re.compile(r"^(?:from|import) (optunahub|optuna|nevergrad|pymoo|syne_tune|ConfigSpace)\b", re.MULTILINE)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Syne Tune's, of pandas
@pytest.mark.parametrize("number", range(len(CODES)))
def test_every_script_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = CODES[number]
    for library in LIBRARY.findall(code) + ["ConfigSpace"] * ("configspace" in code):
        pytest.importorskip(library)
    if "syne_tune" in code:
        pytest.importorskip("syne_tune.blackbox_repository")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))  # where Syne Tune leaves its reports
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REGISTRY, tmp_path / "examples/optunahub")
    evaluation(tmp_path / "theirs.json")
    namespace: dict[str, Any] = {"nasbench_ar": nasbench_ar}
    if "optuna" in code:
        namespace["optuna"] = importlib.import_module("optuna")
    exec(compile(code, "other-libraries.md", "exec"), namespace)
    if "theirs" in code:
        assert json.loads((tmp_path / "theirs_WRN-34-10.json").read_text())["architecture"] == "WideResNet-34-10"
    if "pymoo" in code:
        assert namespace["problem"].session.spent == 200
    if "syne_tune" in code:
        assert namespace["best"]


@pytest.fixture
def hub() -> Any:
    optuna = pytest.importorskip("optuna")
    optunahub = pytest.importorskip("optunahub")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return lambda package: optunahub.load_local_module(package, registry_root=str(REGISTRY))


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Oracle:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return nasbench_ar.load("digits-729")


@pytest.mark.parametrize("name", ["local_search", "regularized_evolution", "random_search"])
def test_the_sampler_proposes_what_the_searcher_does(hub: Any, digits: Oracle, name: str) -> None:
    import optuna

    problem = hub("benchmarks/nares").Problem(table="digits-729")
    sampler = hub("samplers/nares").SearcherSampler(name, space=digits.space, seed=4)
    study = optuna.create_study(directions=problem.directions, sampler=sampler)
    study.optimize(problem, n_trials=60)
    session = digits.session(budget=60)
    search(create(name, session.space, 4), session)
    proposed = dict.fromkeys(digits.space.from_entries(trial.params) for trial in study.trials)
    assert list(proposed) == list(session.history)[: len(proposed)]
    assert len(proposed) > 50
    assert [trial.value for trial in study.trials] == [
        digits.query(digits.space.from_entries(trial.params), "val_pgd_acc") for trial in study.trials
    ]


def test_losses_failures_and_the_trials_of_others(hub: Any, digits: Oracle) -> None:
    import optuna

    sampler = hub("samplers/nares").SearcherSampler("local_search", space=digits.space)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    problem = hub("benchmarks/nares").Problem(["val_loss"], table="digits-729")
    assert [side.name for side in problem.directions] == ["MINIMIZE"]
    names = digits.space.entry_names
    known, failed = digits.space.from_index(5), digits.space.from_index(6)
    for architecture, state in ((known, "COMPLETE"), (failed, "FAIL"), (known, "FAIL")):
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(zip(names, architecture, strict=True)),
                distributions=problem.search_space,
                value=3.5 if state == "COMPLETE" else None,
                state=optuna.trial.TrialState[state],
            )
        )
    study.ask(problem.search_space)
    assert sampler._searcher.history == {known: -3.5, failed: -4.5}


def test_several_objectives_and_limits(hub: Any, digits: Oracle) -> None:
    import optuna

    problem = hub("benchmarks/nares").Problem(
        ["val_pgd_acc", "macs"], table="digits-729", constraints="macs<=2e5,val_clean_acc>=90"
    )
    study = optuna.create_study(directions=problem.directions, sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(problem, n_trials=3)
    for trial in study.trials:
        architecture = digits.space.from_entries(trial.params)
        assert trial.values == [digits.query(architecture, "val_pgd_acc"), digits.space.macs(architecture)]
        assert problem.evaluate_constraints(trial.params) == {
            "macs<=200000": digits.space.macs(architecture) - 2e5,
            "val_clean_acc>=90": 90 - digits.query(architecture, "val_clean_acc"),
        }
    refusing = optuna.create_study(directions=problem.directions, sampler=hub("samplers/nares").SearcherSampler())
    with pytest.raises(ConfigError, match="this study has 2 objectives and Bananas takes one"):
        refusing.optimize(problem, n_trials=1)


def test_what_the_benchmark_and_the_sampler_refuse(hub: Any, digits: Oracle) -> None:
    import optuna

    with pytest.raises(nasbench_ar.MetricError, match="may not guide a search"):
        hub("benchmarks/nares").Problem(["test_pgd_acc"], table="digits-729")
    partial = hub("benchmarks/nares").Problem(["val_pgd_acc"], table="nares-figures")
    partial.metric_names = ["test_pgd_acc"]
    lacking = partial.oracle.space.parse("WRN-34-10")
    with pytest.raises(optuna.TrialPruned, match="has no test_pgd_acc for 5-10-5-10-5-10"):
        partial.evaluate(dict(zip(partial.oracle.space.entry_names, lacking, strict=True)))
    study = optuna.create_study(sampler=hub("samplers/nares").SearcherSampler(space=digits.space))
    with pytest.raises(ConfigError, match=r"parameter 'x' with FloatDistribution.* expected categorical D1, W1"):
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)


@pytest.mark.parametrize("kind", ["benchmark", "sampler"])
def test_the_registry_finds_what_it_asks_for(kind: str) -> None:
    folder = REGISTRY / f"{kind}s/nares"
    header = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert set(header) == {"author", "title", "description", "tags", "optuna_versions", "license"}
    assert kind in header["tags"]
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (folder / "requirements.txt").read_text() == "nasbench-ar[optuna]\n"
    assert set(SEARCHERS) <= set(re.findall(r"\w+", (REGISTRY / "samplers/nares/README.md").read_text()))
