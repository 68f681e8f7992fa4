"""What is written down of the code that made a result."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import numpy
import pytest

import nasbench_ar
from nasbench_ar.system import versions as versions_module
from nasbench_ar.system.versions import git_commit, versions


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that the package seems to lie in."""
    package = tmp_path / "nasbench_ar"
    package.mkdir()
    (package / "__init__.py").touch()
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    monkeypatch.setattr(versions_module, "ROOT", package.parent)
    return tmp_path


def test_commit_and_changes(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert git_commit() == commit
    git(checkout, "tag", "-a", "v1", "-m", "a tag")
    assert git_commit() == commit, "tags have names that others may move"
    (checkout / "nasbench_ar/__init__.py").write_text("changed = True\n")
    assert git_commit() == f"{commit}-dirty"


def test_a_checkout_that_git_cannot_read(checkout: Path) -> None:
    (checkout / ".git/HEAD").unlink()
    assert git_commit() is None


def test_no_checkout_and_no_git(checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(k) or (_ for _ in ()).throw(OSError("no git")))
    assert git_commit() is None
    assert calls == [{"capture_output": True, "text": True, "check": True, "timeout": 10}]
    monkeypatch.setattr(versions_module, "ROOT", tmp_path / "site-packages")
    assert git_commit() is None
    assert len(calls) == 1, "an installed package is no checkout of whatever lies around it"


def test_versions() -> None:
    assert versions(["numpy", "no-such-distribution", "pytest"]) == {
        "python": platform.python_version(),
        "nasbench-ar": nasbench_ar.__version__,
        "numpy": numpy.__version__,
        "pytest": importlib.metadata.version("pytest"),
    }
