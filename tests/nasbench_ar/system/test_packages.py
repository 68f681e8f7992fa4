"""What `python -m` of a package alone tells, and what happens where a user's own folder has its name."""

from pathlib import Path

import pytest

from nasbench_ar import ConfigError
from nasbench_ar.system import packages
from searchers import ALL_SEARCHERS
from searchers.fidelity import FIDELITY_SEARCHERS
from tests.processes import ROOT, python


@pytest.mark.parametrize("package", ["experiments", "datagen"])
def test_a_package_alone_lists_its_commands(package: str) -> None:
    done = python("-m", package)
    assert (done.returncode, done.stderr) == (0, "")
    listed = {line.split()[2]: line for line in done.stdout.splitlines() if line.startswith("  python -m ")}
    runnable = [p for p in (ROOT / package).rglob("*.py") if '__name__ == "__main__"' in p.read_text()]
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__") for p in runnable}
    assert set(listed) == names - {package}
    assert all(len(line.split(maxsplit=3)[3]) > 20 for line in listed.values())


@pytest.mark.parametrize("words", [("-m", "searchers"), ("-OO", "-m", "searchers")])
def test_searchers_alone_lists_the_searchers(words: tuple[str, ...]) -> None:
    done = python(*words)
    assert (done.returncode, done.stderr) == (0, "")
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  "))
    assert list(told) == [*ALL_SEARCHERS, *FIDELITY_SEARCHERS]
    assert "-OO" in words or len(set(told.values())) == len(told), "each has a line of its own"


def test_a_hidden_package_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "searchers").mkdir()
    (tmp_path / "searchers/__init__.py").touch()
    done = python("-m", "experiments.run", "--help", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {tmp_path / 'searchers'} hides the package searchers of this toolkit")
    assert len(done.stderr.splitlines()) == 1
    assert "ConfigError" in python("-c", "import experiments", cwd=tmp_path).stderr
    assert python("-P", "-m", "experiments", cwd=tmp_path).returncode == 0


def test_what_cannot_say_so_itself_is_told_by_nasbench_ar(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/__init__.py").touch()
    done = python("-m", "nasbench_ar", cwd=tmp_path)
    assert done.returncode == 0
    assert f"{tmp_path / 'experiments'} hides the package experiments" in done.stdout
    assert python("-P", "-m", "experiments", cwd=tmp_path).returncode == 0
    assert "hides" not in python("-m", "nasbench_ar").stdout


def test_ours_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [packages.hidden(name) for name in packages.OURS] == [None, None, None]
    monkeypatch.setattr(packages, "hidden", lambda name: f"{name} is hidden")
    with pytest.raises(ConfigError, match="searchers is hidden"):
        packages.check_not_hidden("searchers")
