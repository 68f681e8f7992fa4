from pathlib import Path

import pytest

import nasbench_ar
from nasbench_ar import TableError, library
from tests.nasbench_ar.conftest import write_toy


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
    with pytest.raises(TableError, match=r"no table 'mine': .*installed name \(digits-729, nares-figures\)$"):
        nasbench_ar.open_table("mine")
    with pytest.raises(TableError, match=r"no table 'nares': .*imported by: python -m nasbench_ar import nares\.txz"):
        nasbench_ar.open_table("nares")
    with pytest.raises(TableError, match="no table '~nobody-of-that-name/x'"):
        nasbench_ar.open_table("~nobody-of-that-name/x")
    for name in ("é" * 300, "x" * 10_000, "a\0b", "a\nb"):
        with pytest.raises(TableError, match="neither a folder nor an installed name") as caught:
            nasbench_ar.open_table(name)
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/x", ".hidden", "a b", "a\n", "x" * 101, "a\\b", "C:"])
def test_names_that_could_lead_astray(name: str) -> None:
    with pytest.raises(TableError, match="cannot name a table"):
        library.imported_folder(name)
