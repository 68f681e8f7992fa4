import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nasbench_ar
from nasbench_ar import NARES, TableError, library
from nasbench_ar.__main__ import main
from tests.nasbench_ar.conftest import write_toy
from tests.nasbench_ar.release.synthetic_release import make_record, write_jsonl


def test_home_follows_the_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.home() == home
    monkeypatch.setenv(library.HOME_VARIABLE, "~/tables")
    assert library.home() == Path.home() / "tables"
    monkeypatch.setenv(library.HOME_VARIABLE, "")
    assert library.home().name == "nasbench-ar"
    monkeypatch.delenv(library.HOME_VARIABLE)
    assert library.home().name == "nasbench-ar"


def test_without_an_import_the_embedded_table_is_taken_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    oracle = nasbench_ar.load()
    assert oracle.name == "nares-figures"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"nasbench-ar: table nares-figures: {oracle.title}\n"
    assert "not the authors' release" in captured.err
    nasbench_ar.load(quiet=True)
    assert capsys.readouterr().err == ""


def test_an_imported_release_goes_first(home: Path) -> None:
    write_toy(home / "tables" / "nares")
    assert nasbench_ar.load(quiet=True).table.folder == home / "tables" / "nares"
    assert nasbench_ar.load("nares-figures", quiet=True).table.folder != home / "tables" / "nares"


def test_a_damaged_release_is_not_passed_over(home: Path) -> None:
    folder = home / "tables" / "nares"
    write_toy(folder)
    (folder / "meta.json").unlink()
    with pytest.raises(TableError, match=r"no meta\.json"):
        nasbench_ar.load()


def test_by_name_and_by_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toy(home / "tables" / "mine")
    write_toy(home / "tables" / "nares-figures")
    write_toy(tmp_path / "elsewhere")
    assert sorted(library.installed()) == ["digits-729", "mine", "nares-figures"]
    assert nasbench_ar.open_table("mine").folder == home / "tables" / "mine"
    assert nasbench_ar.open_table("nares-figures").rows == 15625  # nothing hides an embedded one
    assert nasbench_ar.open_table(tmp_path / "elsewhere").rows == 16
    assert nasbench_ar.open_table(str(tmp_path / "elsewhere")).rows == 16
    monkeypatch.setenv("HOME", str(tmp_path))
    assert nasbench_ar.open_table("~/elsewhere").rows == 16


def test_embedded_names_are_taken() -> None:
    with pytest.raises(TableError, match="name of an embedded table"):
        library.imported_folder("nares-figures")


def test_half_written_tables_are_not_listed(home: Path) -> None:
    write_toy(home / "tables" / ".mine.0123.partial")
    assert list(library.installed()) == ["digits-729", "nares-figures"]


def test_unknown_tables() -> None:
    told = {
        "mine": r"no table 'mine': .*installed name \(digits-729, nares-figures\)$",
        "nares": r"no table 'nares': .*imported by: python -m nasbench_ar import nares\.txz",
        "~nobody-of-that-name/x": "no table '~nobody-of-that-name/x'",
    }
    for name, message in told.items():
        with pytest.raises(TableError, match=message):
            nasbench_ar.open_table(name)
    with pytest.raises(TableError, match=r"^table=5: expected a name or a folder$"):
        nasbench_ar.open_table(5)  # type: ignore[arg-type]
    for name in ("é" * 300, "x" * 10_000, "a\0b", "a\nb"):
        with pytest.raises(TableError, match="neither a folder nor an installed name") as caught:
            nasbench_ar.open_table(name)
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/x", ".hidden", "a b", "a\n", "x" * 101, "a\\b", "C:"])
def test_names_that_could_lead_astray(name: str) -> None:
    with pytest.raises(TableError, match="cannot name a table"):
        library.imported_folder(name)


def refusing_below(folder: Path, call: Callable[..., Any]) -> Callable[..., Any]:
    def refusing(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        if isinstance(path, (str, os.PathLike)) and f"{path}/".startswith(f"{folder}/"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return call(path, *args, **kwargs)

    return refusing


@pytest.fixture(params=["other user's", "name too long", "a file"])
def closed_home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ("x" * 300 if request.param == "name too long" else "closed")
    monkeypatch.setenv(library.HOME_VARIABLE, str(folder))
    library._say_home_is_closed.cache_clear()
    if request.param == "a file":
        folder.touch()
    if request.param == "other user's":
        for name in ("stat", "lstat", "listdir", "scandir", "mkdir"):  # root may enter any folder
            monkeypatch.setattr(os, name, refusing_below(folder, getattr(os, name)))
    return folder


def test_embedded_tables_go_on_without_the_home_and_say_so(
    closed_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nasbench_ar.load(quiet=True).name == "nares-figures"
    assert sorted(library.installed()) == ["digits-729", "nares-figures"]
    assert nasbench_ar.load("digits-729", quiet=True).name == "digits-729"
    said = capsys.readouterr().err
    assert said.startswith(f"nasbench-ar: warning: imported tables are out of reach ({closed_home / 'tables'}: ")
    assert said.endswith(f"only embedded ones are at hand; set {library.HOME_VARIABLE} to a folder of your own\n")
    assert len(said.splitlines()) == 1


def test_commands_on_embedded_tables_work_without_the_home(
    closed_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", "digits-729"]) == 0
    assert main(["info"]) == 0
    assert main(["query", "WRN-34-10", "macs"]) == 0
    source = write_jsonl(tmp_path / "cifar10.jsonl", [make_record(NARES.from_arch_id(1), epochs=2)])
    capsys.readouterr()
    assert main(["import", str(source)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: cannot write a table at {closed_home / 'tables' / 'nares'}: ")
    assert len(said.splitlines()) == 1


def test_an_imported_table_that_is_closed_is_not_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toy(home / "tables" / "nares")
    (home / "tables" / "stray").write_text("no table")
    for name in ("read_bytes", "stat"):
        monkeypatch.setattr(Path, name, refusing_below(home / "tables" / "nares" / "meta.json", getattr(Path, name)))
    assert "nares" in library.installed()
    assert "stray" not in library.installed()
    for name in (None, "nares"):
        with pytest.raises(TableError, match=r"cannot read .*meta\.json: Permission denied"):
            nasbench_ar.open_table(name)
