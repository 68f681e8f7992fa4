import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nasbench_ar
from nasbench_ar import NARES
from nasbench_ar.__main__ import _parser, main
from nasbench_ar.release import importer
from tests.nasbench_ar.conftest import raising, write_toy
from tests.nasbench_ar.release.synthetic_release import make_record, write_jsonl
from tests.processes import ROOT, python


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "cifar10.jsonl", [make_record(NARES.from_arch_id(k), epochs=4) for k in (1, 2)])


def test_import_info_query_export(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(source)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("nares: imported from cifar10.jsonl, a file in the NARes release's format, sha256 ")
    assert "2 trainings" in out
    assert "Partial: 2 of 15625" in out
    assert err == ""
    assert main(["import", str(source)]) == 2
    assert "error: " in capsys.readouterr().err
    assert main(["import", str(source), "--replace"]) == 0
    assert main(["import", str(source), "--name", "second"]) == 0
    capsys.readouterr()

    assert main(["info", "nares", "--verify"]) == 0
    out, err = capsys.readouterr()
    for part in (
        "nares: imported from cifar10.jsonl",
        "provenance: Imported from",
        "licence: The numbers belong to",
        "records 2",
        "15625 architectures: 3 stages, depths 4, 5, 7, 9, 11, widths 8, 10, 12, 14, 16",
        "2 architectures, 2 trainings, seeds 0",
        "default objective: val_pgd_acc",
        "test_corrupt_acc             2  Test Corruption [%]",
        "(4 epochs)",
        "corruptions: acc, loss",
        "flags: none",
        "labels: gpu_type, timestamp",
        "note: Partial: 2 of 15625 architectures.",
        "arrays equal their hashes",
    ):
        assert part in " ".join(out.split()) or part in out

    oracle = nasbench_ar.load(quiet=True)
    first = NARES.from_arch_id(1)
    assert main(["query", str(first), "val_pgd_acc"]) == 0
    out, err = capsys.readouterr()
    assert float(out) == oracle.query(first, "val_pgd_acc")
    assert err.startswith("nasbench-ar: table nares")
    assert main(["query", str(first), "val_pgd_acc", "--epoch", "0", "--seed", "0", "--table", "second"]) == 0
    assert float(capsys.readouterr().out) == oracle.query(first, "val_pgd_acc", epoch=0)

    for name, words, head in (
        ("x.jsonl", [], source.read_text()),
        ("x", ["--format", "jsonl"], source.read_text()),
        ("x", ["--format", "csv"], "arch_id,arch,D1"),
        ("x.csv", [], "arch_id,arch,D1"),
        ("x.CSV", ["--by", "architecture"], "arch_id,arch,D1"),
        ("x.CSV", ["--by", "training"], "arch_id,arch,D1"),
    ):
        assert main(["export", "nares", str(tmp_path / name), *words]) == 0
        written = (tmp_path / name).read_text()
        assert written.startswith(head)
        assert (",seed," in written) == ("training" in words)


def test_one_seed_and_one_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = NARES.from_arch_id(1)
    records = write_jsonl(tmp_path / "cifar10.jsonl", [make_record(first, seeds=(0, 3), epochs=8)])
    assert main(["import", str(records)]) == 0
    oracle = nasbench_ar.load(quiet=True)
    capsys.readouterr()
    asked: list[tuple[list[str], float]] = [
        ([], oracle.query(first, "val_pgd_acc")),
        (["--seed", "3"], oracle.query(first, "val_pgd_acc", seed=3)),
        (["--epoch", "2"], oracle.query(first, "val_pgd_acc", epoch=2)),
        (["--seed", "0", "--epoch", "1"], oracle.query(first, "val_pgd_acc", seed=0, epoch=1)),
    ]
    assert len({value for _, value in asked}) == 4
    for words, value in asked:
        assert main(["query", str(first), "val_pgd_acc", *words]) == 0
        assert float(capsys.readouterr().out) == value


def test_every_word_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    parser = _parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    assert list(commands.choices) == ["import", "info", "export", "query"]
    assert [choice.dest for choice in commands._choices_actions if choice.help] == list(commands.choices)
    for name, command in commands.choices.items():
        for action in command._actions:
            assert action.help
            if not action.option_strings:
                assert str(action.metavar) in ("PATH", "TABLE", "OUT", "ARCH", "METRIC")
        with pytest.raises(SystemExit) as caught:
            main([name, "--help"])
        assert caught.value.code == 0
        assert f"usage: python -m nasbench_ar {name} " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Tables of NASBench-AR." in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nasbench-ar {nasbench_ar.__version__}\n"


def test_info_on_all(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_toy(home / "tables" / "toy")
    assert main(["info", "--all"]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("installed tables:\n  ")
    assert f"  toy: {home / 'tables' / 'toy'}\n" in out
    assert "nares-figures: " in out
    assert out.count("(what load() takes)") == 1
    assert "flags: odd (7)" in out
    assert "Val PGD20 (ten steps) [%]" in out


def test_info_fits_a_screen(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out, _ = capsys.readouterr()
    lines = out.splitlines()
    folders = [line for line in lines if "/data/" in line]
    assert len(lines) <= 24
    assert all(len(line) < 80 for line in lines if line not in folders)
    for name in ("digits-729", "nares-figures"):
        oracle = nasbench_ar.load(name, quiet=True)
        assert f"\n{name}: " in f"\n{out}"
        assert f"  folder: {oracle.table.folder}" in folders
        part = out[out.index(f"{name}: ") :].split("\n\n")[0]
        assert set(oracle.metrics) <= set(re.findall("[a-z0-9_]+", part))
    assert out.count("(what load() takes)") == 1
    assert "info --all" in lines[-1]


def test_alone_it_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "usage: python -m nasbench_ar" in out
    assert all(f"\n    {name} " in out for name in ("import", "info", "export", "query"))


def test_info_shows_the_good_tables_beside_a_bad_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_toy(home / "tables" / "toy")
    (table.folder / "scalars" / "val_loss.npy").write_bytes(b"")
    assert main(["info", "--verify"]) == 2
    out, err = capsys.readouterr()
    assert "toy: cannot be used" in out
    assert "default objective: val_best_pgd_acc" in out
    assert err.startswith("error: the table at")
    (home / "tables" / "nares").mkdir()  # not a table, yet load() stumbles over it
    assert main(["info", "--all"]) == 2
    (table.folder / "arch_index.npy").write_bytes(b"")
    assert main(["info"]) == 2


def test_export_says_what_the_format_cannot_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "nares-figures", str(tmp_path / "absent" / "x.jsonl")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *gaps, error = err.splitlines()  # said first, whatever becomes of the file
    assert [line.startswith("nasbench-ar: ") for line in gaps] == [True] * 3
    assert "no field for val_best_clean_acc, val_best_pgd_acc, val_best_cw_acc, low_mode, " in gaps[0]
    assert error.startswith("error: cannot write")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "absent.txz"], "absent.txz: cannot be read: No such file"),
        (["import", "absent.txz", "--name", "../x"], "'../x' cannot name a table"),
        (["info", "absent"], "no table 'absent': neither a folder nor an installed name (digits-729, nares-figures)"),
        (["export", "absent", "x.csv"], "no table 'absent'"),
        (["export", "nares-figures", "x.txt"], "from the name 'x.txt'; end it in .csv, .parquet or .jsonl"),
        (["export", "nares-figures", "x.csv", "--card"], "a card describes a Parquet file, not x.csv: give a name"),
        (
            ["export", "nares-figures", "x.md", "--format", "parquet", "--card"],
            "a card describes a Parquet file, not x.md",
        ),
        (["export", "nares-figures", "absent/x.csv"], "cannot write absent/x.csv"),
        (["query", "5-10", "macs"], "architecture 5-10 has 2 numbers; expected 6"),
        (["query", "WRN-34-10", "val_pgd"], "unknown metric 'val_pgd'"),
        (["query", "WRN-34-10", "val_pgd_acc"], "table nares-figures has no val_pgd_acc"),
        (["query", "WRN-34-10", "macs", "--table", "absent"], "no table 'absent'"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert len(err.splitlines()) <= 2  # `query` says first which table it asks


@pytest.mark.parametrize("arguments", [["nonsense"], ["query", "5-10"], ["export", "a", "b", "--format", "xml"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m nasbench_ar" in capsys.readouterr().err


def test_interrupted(source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importer, "import_release", raising(KeyboardInterrupt()))
    assert main(["import", str(source)]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_as_a_process(source: Path) -> None:
    command = ("-W", "error", "-m", "nasbench_ar")
    good = python(*command, "query", "WRN-34-10", "params")
    assert (good.returncode, good.stdout) == (0, "46160474.0\n")
    bad = python(*command, "import", f"{source}x")
    assert (bad.returncode, bad.stderr) == (2, f"error: {source}x: cannot be read: No such file or directory\n")
    assert python(*command, "--version").stdout == f"nasbench-ar {nasbench_ar.__version__}\n"


def test_a_reader_that_goes_away() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONUNBUFFERED", None)  # what is buffered is what Python would complain about
    command = [sys.executable, "-m", "nasbench_ar", "info"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
    assert process.returncode == 141
    assert complaint == b""
