"""What an installation from a wheel holds besides Python, and the files of the project that name versions."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from nasbench_ar.version import __version__
from tests.processes import ROOT

PACKAGES = ("nasbench_ar", "searchers", "experiments", "datagen")


def test_a_wheel_holds_the_page_and_the_embedded_table(tmp_path: Path) -> None:
    pytest.importorskip("pip", reason="an environment without pip builds no wheel")
    source = tmp_path / "source"  # setuptools writes beside what it builds
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    done = subprocess.run([*command, "-w", tmp_path, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(source).as_posix()
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    assert "experiments/page/assets/report.html" in wanted
    assert wanted - packed == set()


def test_workflows_run_on_the_oldest_and_newest_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [word.rpartition(" ")[2] for word in project["classifiers"] if re.search(r"Python :: 3\.\d", word)]
    tests, publish = (
        yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))["jobs"]
        for name in ("test", "publish")
    )
    assert project["requires-python"] == f">={named[0]}"
    assert tests["test"]["strategy"]["matrix"]["python"] == [named[0], named[-1]]
    assert ".ci/run" in [step.get("run") for step in tests["test"]["steps"]]
    assert publish["publish"]["permissions"]["id-token"] == "write", "trusted publishing"
    for job in (*tests.values(), *publish.values()):
        for action in filter(None, (step.get("uses") for step in job["steps"])):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), f"{action} may change"


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_issue_forms(form: Path) -> None:
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.stem == "config":
        assert set(content) <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= set(content)
    fields = [field["id"] for field in content["body"] if field["type"] != "markdown"]
    assert len(fields) == len(set(fields)) > 0
