import errno
import gzip
import hashlib
import io
import json
import lzma
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import nasbench_ar
from nasbench_ar import NARES, Oracle, SearchSpace, Table, TableError, table_folder
from nasbench_ar.metrics import CORRUPTIONS, CURVES, METRICS
from nasbench_ar.release import archive
from nasbench_ar.release import record as release_record
from nasbench_ar.release.importer import BEST_EPOCH_FLAG, CW_LOSS_FLAG, import_release
from nasbench_ar.system import files
from tests.nasbench_ar.conftest import FULL, raising
from tests.nasbench_ar.release.synthetic_release import (
    PACKINGS,
    as_lines,
    make_record,
    write_jsonl,
    write_packed,
    write_tar,
)

EPOCHS = 8
Record = dict[str, Any]
Change = Callable[[Record], Any]


def record(arch_id: int = 1, seeds: tuple[int, ...] = (0,)) -> Record:
    return make_record(NARES.from_arch_id(arch_id), seeds=seeds, epochs=EPOCHS)


def lines(count: int = 3) -> bytes:
    return b"".join(as_lines(record(k) for k in range(1, count + 1)))


def bring(path: Path, **options: Any) -> Table:
    return import_release(path, progress=False, **options)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "cifar10.jsonl"


def nothing_left(home: Path) -> bool:
    return not home.exists() or [p for p in home.rglob("*") if p.is_file()] == []


def test_every_value_arrives(source: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [record(k) for k in (5, 1, 15625)]
    table = bring(write_jsonl(source, records))
    table.verify()
    assert table.folder == home / "tables" / "nares"
    assert capsys.readouterr() == ("", "")
    oracle = nasbench_ar.load(quiet=True)
    assert oracle.table.folder == table.folder
    computed = {"macs", "params", "training_time_gpu_days", "best_epoch", "test_corrupt_acc"}
    assert set(oracle.metrics) == computed | {m.name for m in METRICS.values() if m.release_key or m.curve}
    assert table.epochs == EPOCHS
    for entry in records:
        architecture, run, test = list(entry["arch"].values()), entry["train"][0], entry["test_best"][0]
        best = run["best_epoch"]
        for name, key in CURVES.items():
            assert oracle.curve(architecture, name).tolist() == run[key]
            assert oracle.query(architecture, name) == run[key][best]
        for name, metric in METRICS.items():
            if metric.release_key:
                assert oracle.query(architecture, name) == test[metric.release_key]
        for attack, key in (("clean", "val_acc"), ("pgd", "pgd"), ("cw", "cw")):
            assert oracle.query(architecture, f"val_best_{attack}_acc") == max(run[key])
        assert oracle.query(architecture, "best_epoch") == best
        assert oracle.query(architecture, "training_time_gpu_days") == run["training_time"]
        cells = [test["corruptions"][c][str(s)]["acc"] for c in CORRUPTIONS for s in range(1, 6)]
        assert oracle.query(architecture, "test_corrupt_acc") == pytest.approx(sum(cells) / 95, rel=1e-12)
        training = oracle.record(architecture)["trainings"][0]
        assert training["corruptions"] == test["corruptions"]
        assert (training["gpu_type"], training["timestamp"]) == (run["gpu_type"], run["timestamp"])


def test_meta_says_where_it_comes_from(source: Path) -> None:
    table = bring(write_jsonl(source, [record(1)]))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert table.title == f"imported from cifar10.jsonl, a file in the NARes release's format, sha256 {digest[:12]}"
    assert table.meta["source"] == {"file": "cifar10.jsonl", "sha256": digest, "records": 1}
    assert table.default_objective == "val_pgd_acc"
    assert table.meta["notes"] == ["Partial: 1 of 15625 architectures."]
    assert "github.com/zhichao-lu" in table.meta["licence"]
    other = bring(source, name="trial")
    assert other.title.startswith("imported from cifar10.jsonl")
    assert other.content_hash == table.content_hash


def test_other_folder_and_replacing(source: Path, tmp_path: Path) -> None:
    write_jsonl(source, [record(1)])
    first = bring(source, folder=tmp_path / "here")
    with pytest.raises(TableError, match="exists already"):
        bring(source, folder=tmp_path / "here")
    write_jsonl(source, [record(2)])
    assert bring(source, folder=tmp_path / "here", replace=True).content_hash != first.content_hash
    with pytest.raises(TableError, match="cannot name a table"):
        bring(source, name="../x")


def test_other_spaces(source: Path) -> None:
    space = SearchSpace((1, 2), (1, 2), stages=2)
    write_jsonl(source, [make_record(a, epochs=3, space=space) for a in space])
    table = bring(source, space=space)
    assert table.space == space
    assert table.meta["notes"] == []
    assert Oracle(table).available("val_pgd_acc").all()
    with pytest.raises(TableError, match=r"line 1: arch has the keys .*; expected D1, W1, D2, W2, D3, W3"):
        bring(source, name="other")


@pytest.mark.parametrize("kind", PACKINGS)
def test_the_content_decides_not_the_name_of_the_file(kind: str, tmp_path: Path, source: Path) -> None:
    expected = bring(write_packed(source, lines(), "plain"), name="expected")
    packed = write_packed(tmp_path / "download", lines(), kind)
    table = bring(packed)
    assert table.content_hash == expected.content_hash
    assert table.meta["source"]["sha256"] == hashlib.sha256(packed.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", PACKINGS)
def test_cut_short_anywhere(kind: str, tmp_path: Path, home: Path) -> None:
    whole = write_packed(tmp_path / "whole", lines(2), kind).read_bytes()
    if kind == "w:":  # behind the last record there is only padding, whose loss does no harm
        whole = whole[: whole.rindex(b"}")]
    part = tmp_path / "part"
    for share in (0.02, 0.3, 0.6, 0.97):
        part.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(TableError, match=r"(cut|whole tar archive).*nothing was imported"):
            bring(part)
        assert nothing_left(home)


def test_checksums_are_compared_although_they_come_after_the_last_record(tmp_path: Path) -> None:
    loose = write_tar(tmp_path / "x.tar", [("cifar10.jsonl", lines(1))], mode="w:").read_bytes()
    packed = bytearray(gzip.compress(loose + bytes(4_000_000)))  # more than the reader looks ahead
    (tmp_path / "good").write_bytes(packed)
    assert bring(tmp_path / "good").meta["source"]["sha256"] == hashlib.sha256(packed).hexdigest()
    packed[-8] ^= 1
    (tmp_path / "bad").write_bytes(packed)
    with pytest.raises(TableError, match=r"compressed data are damaged or cut short .*CRC"):
        bring(tmp_path / "bad", name="other")


def test_blank_lines_and_a_missing_last_newline(source: Path) -> None:
    source.write_bytes(b"\n" + lines(1) + b"  \n\n" + lines(2).splitlines()[1])
    assert bring(source).rows == 2
    source.write_bytes(b"\n" + lines(1) + b"  \n\n{}")
    with pytest.raises(TableError, match="line 5: the record has no field 'arch'"):
        bring(source, replace=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "neither JSON lines"),
        (b"hello", "neither JSON lines, beginning with '{', nor a whole tar archive"),
        (b"[1]\n", "neither JSON lines"),
        (b"PK\x03\x04" + bytes(2000), "neither JSON lines"),
        (bytes(10240), "archive without cifar10.jsonl; it holds nothing"),
        (gzip.compress(b"", mtime=0), "empty"),
        (b"\x1f\x8bgarbage", "compressed data are damaged"),
        (b"\xfd7zXZ\x00garbage" * 9, "compressed data are damaged"),
        (b"{\n", "line 1: not valid JSON"),
        (b'{"a": NaN}\n', "line 1: not valid JSON"),
        (b'{"a":' * 5000, "line 1: not valid JSON .*cut short"),
        (b"{\xff}", "line 1: not valid JSON"),
    ],
)
def test_other_files(content: bytes, message: str, source: Path, home: Path) -> None:
    source.write_bytes(content)
    with pytest.raises(TableError, match=message) as caught:
        bring(source)
    assert str(source) in str(caught.value)
    assert nothing_left(home)


def test_places_without_a_file(tmp_path: Path) -> None:
    for place, message in (("absent", "absent: cannot be read: No such file or directory"), ("", "Is a directory")):
        with pytest.raises(TableError, match=message):
            bring(tmp_path / place)


def test_blank_lines_without_end(source: Path, home: Path) -> None:
    content = lines(1) + b"\n \n" * 5000 + lines(2).splitlines(True)[1]
    source.write_bytes(content)
    assert bring(source).rows == 2
    source.write_bytes(content + b"\n")
    with pytest.raises(TableError, match=r"cifar10\.jsonl: has more than 10,000 blank lines; download the file again"):
        bring(source, name="other")
    assert [path.name for path in (home / "tables").iterdir()] == ["nares"]


@pytest.mark.parametrize("where", ["blank lines", "a member of blank lines", "another member", "behind the archive"])
@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_files_that_unpack_to_far_more_than_numbers(
    where: str, pack: Callable[[bytes], bytes], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_UNPACKED", 1_000_000)
    monkeypatch.setattr(archive, "_MOST_BLANK", 10**9)
    filling = b"\n" * 2_000_000
    members = [("cifar10.jsonl", lines(1) + filling * (where == "a member of blank lines"))]
    if where == "another member":
        members.append(("readme", filling))
    path = tmp_path / "x"
    plain = lines(1) if where == "blank lines" else write_tar(path, members, mode="w").read_bytes()
    path.write_bytes(pack(plain + filling * (where in ("blank lines", "behind the archive"))))
    assert path.stat().st_size < 10_000
    with pytest.raises(TableError, match="x: unpacks to more than 1,000,000 bytes, which the authors' file does not"):
        bring(path)
    assert nothing_left(home)


@pytest.mark.parametrize(
    ("owner", "name", "value", "message"),
    [
        (archive, "_LONGEST_LINE", 1000, "line 1 is longer than"),
        (archive._HashedReader, "readinto", raising(OSError(errno.EIO, os.strerror(errno.EIO))), "Input/output error"),
        (archive._HashedReader, "readinto", raising(ValueError("odd")), r"damaged \(odd\); download the file again"),
        (table_folder._RowFile, "flush", raising(FULL), "No space left on device; nothing was changed there"),
    ],
)
def test_what_stops_halfway(
    owner: Any, name: str, value: Any, message: str, source: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.write_bytes(lines(1))
    monkeypatch.setattr(owner, name, value)
    with pytest.raises(TableError, match=message):
        bring(source)
    assert nothing_left(home)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("cifar10.jsonl", b"")], r"cifar10\.jsonl is empty"),
        ([("cifar10.jsonl", b"\n \n")], "only blank lines"),
        (
            [(f"file{k}", b"") for k in range(7)],
            r"without cifar10\.jsonl; it holds 'file0', .*'file4', \.\.\.; download",
        ),
        (
            [(f"{folder}/cifar10.jsonl", lines(1)) for folder in "ab"],
            r"two files .* 'a/cifar10\.jsonl' and 'b/cifar10\.",
        ),
    ],
)
def test_archives_without_or_with_two(
    members: list[tuple[str, bytes]], message: str, tmp_path: Path, home: Path
) -> None:
    with pytest.raises(TableError, match=message):
        bring(write_tar(tmp_path / "x.txz", members))
    assert nothing_left(home)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("/etc/passwd", tarfile.REGTYPE, "an absolute path"),
        ("C:\\x", tarfile.REGTYPE, "an absolute path"),
        ("\\x", tarfile.REGTYPE, "an absolute path"),
        ("../cifar10.jsonl", tarfile.REGTYPE, r"a path with '\.\.'"),
        ("a/../../x", tarfile.REGTYPE, r"a path with '\.\.'"),
        ("a\\..\\x", tarfile.REGTYPE, r"a path with '\.\.'"),
        ("link", tarfile.SYMTYPE, "a link or device"),
        ("cifar10.jsonl", tarfile.LNKTYPE, "a link or device"),
        ("pipe", tarfile.FIFOTYPE, "a link or device"),
        ("device", tarfile.CHRTYPE, "a link or device"),
    ],
)
def test_archives_that_lead_out(name: str, kind: bytes, message: str, first: bool, tmp_path: Path, home: Path) -> None:
    path = tmp_path / "x.tar"
    good, bad = tarfile.TarInfo("cifar10.jsonl"), tarfile.TarInfo(name)
    good.size = len(lines(1))
    bad.type, bad.linkname = kind, "/etc/passwd"
    with tarfile.open(path, "w") as archive:
        for member in (bad, good) if first else (good, bad):
            archive.addfile(member, io.BytesIO(lines(1)) if member is good else None)
    with pytest.raises(TableError, match=f"{message}, which the authors' archive does not: refused"):
        bring(path)
    assert nothing_left(home)


def change_run(**values: Any) -> Change:
    return lambda r: r["train"][0].update(values)


def change_test(**values: Any) -> Change:
    return lambda r: r["test_best"][0].update(values)


def change_cell(corruption: str, severity: str, value: Any) -> Change:
    return lambda r: r["test_best"][0]["corruptions"].setdefault(corruption, {}).update({severity: value})


WRONG: list[tuple[Change, str]] = [
    (lambda r: r.pop("arch_id"), "the record has no field 'arch_id', which is required"),
    (lambda r: r.pop("MACs"), "no field 'MACs'"),
    (lambda r: r.pop("Params"), "no field 'Params'"),
    (lambda r: r.pop("train"), "no field 'train'"),
    (lambda r: r.update(arch_id="1"), "arch_id is '1'; expected an integer"),
    (lambda r: r.update(arch_id=True), "arch_id is True; expected an integer"),
    (lambda r: r.update(arch_id=2), "arch_id is 2, but architecture 4-8-4-8-4-8 has the number 1"),
    (lambda r: r.update(arch=[4, 8, 4, 8, 4, 8]), r"arch is \[4, 8, 4, 8, 4, 8\]; expected an object"),
    (lambda r: r["arch"].pop("D2"), r"arch has the keys \['D1', 'D3'.*expected D1, W1, D2"),
    (lambda r: r["arch"].update(D4=1), "arch has the keys"),
    (lambda r: r["arch"].update({"9" * 5000: 1}), r"arch has the keys \['9{190,}\.\.\.; expected D1"),
    (lambda r: r["arch"].update(D1=6), "D1=6 is not one of 4, 5, 7, 9, 11"),
    (lambda r: r["arch"].update(D1=-4), "not an architecture"),
    (lambda r: r["arch"].update(D1=4.0), r"arch\.D1 is 4\.0; expected an integer"),
    (lambda r: r.update(MACs=3362.0), "MACs is 3362.0 millions, but architecture 4-8-4-8-4-8 has 3361.936896"),
    (lambda r: r.update(Params=23.25), "Params is 23.25 millions, but .* has 23.354842"),
    (lambda r: r.update(Params=23354842), "Params is 23354842.0 millions"),
    (lambda r: r.update(Params=None), "Params is None; expected a number"),
    (lambda r: r.update(train={}), "train is {}; expected a list"),
    (lambda r: r.update(train=[]), "train is empty"),
    (lambda r: r.update(train=[5]), r"train\[0\] is 5; expected an object"),
    (lambda r: r["train"][0].pop("seed"), r"train\[0\] has no field 'seed'"),
    (change_run(seed=0.5), r"train\[0\]\.seed is 0\.5; expected an integer"),
    (change_run(seed=2**63), "expected a 64-bit integer"),
    (lambda r: r["train"].append(r["train"][0]), r"train repeats a seed: \[0, 0\]"),
    (lambda r: r["train"][0].pop("best_epoch"), r"train\[0\] has no field 'best_epoch'"),
    (change_run(best_epoch=EPOCHS), r"train\[0\]\.best_epoch is 8; expected 0 to 7"),
    (change_run(best_epoch=-1), "best_epoch is -1"),
    (change_run(best_epoch=1.0), "best_epoch is 1.0; expected an integer"),
    (change_run(training_time=-1), "training_time is -1.0; expected GPU-days, not negative"),
    (change_run(training_time="1"), "training_time is '1'; expected a number"),
    (change_run(gpu_type=5), "gpu_type is 5; expected a short text"),
    (change_run(gpu_type="x" * 201), "expected a short text"),
    (change_run(timestamp="a\nb"), "timestamp is 'a.*expected a short text"),
    (lambda r: r["train"][0].pop("cw_lip"), r"train\[0\] has no field 'cw_lip'"),
    (change_run(pgd=5), r"train\[0\]\.pgd is 5; expected a list"),
    (change_run(pgd=[1.0] * 7), r"train\[0\]\.pgd has 7 values; expected 8"),
    (lambda r: r["train"][0]["pgd"].__setitem__(3, None), r"train\[0\]\.pgd\[3\] is None; expected a number"),
    (lambda r: r["train"][0]["pgd"].__setitem__(3, "5"), r"pgd\[3\] is '5'; expected a number"),
    (lambda r: r["train"][0]["pgd"].__setitem__(3, True), r"pgd\[3\] is True; expected a number"),
    (lambda r: r["train"][0]["pgd"].__setitem__(3, [1]), r"pgd\[3\] is \[1\]; expected a number"),
    (lambda r: r["train"][0]["pgd"].__setitem__(3, 100.5), r"pgd\[3\] is 100\.5; expected a percentage, 0 to 100"),
    (lambda r: r["train"][0]["cw_stable"].__setitem__(0, -1), r"cw_stable\[0\] is -1\.0; expected a percentage"),
    (change_test(seed=4), "test_best has the seed 4, which train has not"),
    (lambda r: r.update(test_best={}), "test_best is {}; expected a list"),
    (lambda r: r.update(test_best=None), "test_best is None; expected a list"),
    (lambda r: r.update(test_best=[5]), r"test_best\[0\] is 5; expected an object"),
    (lambda r: r["test_best"].append({}), "train has 1 objects and test_best 2, of which 0 carry a seed: ambiguous"),
    (change_test(Linf_pgd_acc=None), r"Linf_pgd_acc is None; expected a number \(leave out what is missing\)"),
    (change_test(Linf_pgd_acc=100.01), "Linf_pgd_acc is 100.01; expected a percentage"),
    (change_test(test_loss="x"), "test_loss is 'x'"),
    (change_test(corruptions=[]), r"corruptions is \[\]; expected an object"),
    (change_cell("rain", "1", {}), "corruptions has the key 'rain'; allowed are brightness, contrast"),
    (change_cell("fog", "6", {}), "corruptions.fog has the key '6'; allowed are 1, 2, 3, 4, 5"),
    (lambda r: r["test_best"][0]["corruptions"].update(fog=5), "corruptions.fog is 5; expected an object"),
    (change_cell("fog", "1", 5), "corruptions.fog.1 is 5; expected an object"),
    (change_cell("fog", "1", {"accuracy": 5}), "corruptions.fog.1 has the key 'accuracy'; allowed are acc, loss"),
    (change_cell("fog", "1", {"acc": 101}), "corruptions.fog.1.acc is 101.0; expected a percentage"),
    (change_cell("fog", "1", {"loss": None}), "corruptions.fog.1.loss is None; expected a number"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_wrong_records(change: Change, message: str, source: Path, home: Path) -> None:
    wrong = record(1)
    change(wrong)
    write_jsonl(source, [record(2), wrong])
    with pytest.raises(TableError, match=message) as caught:
        bring(source)
    text = str(caught.value)
    assert text.startswith(f"{source}, line 2: ")
    assert text.endswith("Download the file again or correct the line; nothing was imported")
    assert "\n" not in text
    assert nothing_left(home)


def test_infinite_numbers(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_record.orjson, "loads", json.loads)
    changes = [
        (change_run(cw_loss=[1.0, "INF"] * 4), r"train\[0\]\.cw_loss\[1\] is inf; expected a finite"),
        (change_test(test_loss="INF"), "test_loss is inf; expected a finite number"),
        (change_cell("fog", "2", {"loss": "INF"}), "corruptions.fog.2.loss is inf; expected a finite number"),
        (change_run(training_time="INF"), "training_time is inf; expected a finite number"),
        (lambda r: r.update(MACs="INF"), "MACs is inf; expected a finite number"),
    ]
    for change, message in changes:
        wrong = record(1)
        change(wrong)
        source.write_bytes(orjson.dumps(wrong).replace(b'"INF"', b"1e999"))
        with pytest.raises(TableError, match=f"line 1: .*{message}"):
            bring(source)


def test_curves_of_one_length_in_the_whole_file(source: Path) -> None:
    write_jsonl(source, [record(1), make_record(NARES.from_arch_id(2), epochs=EPOCHS + 1)])
    with pytest.raises(TableError, match=r"line 2: train\[0\]\.train_loss has 9 values; expected 8, as all curves"):
        bring(source)
    empty = record(1)
    change_run(**{key: [] for key in CURVES.values()})(empty)
    with pytest.raises(TableError, match=r"train\[0\]\.train_loss has 0 values; expected at least 1"):
        bring(write_jsonl(source, [empty]))


def test_repeated_trainings(source: Path) -> None:
    write_jsonl(source, [record(1), record(2), record(1)])
    with pytest.raises(TableError, match="line 3: architecture 4-8-4-8-4-8 with seed 0 was on line 1 already"):
        bring(source)
    write_jsonl(source, [record(1), record(1, seeds=(1,))])
    assert Oracle(bring(source)).seeds(NARES.from_arch_id(1)) == (0, 1)


def test_missing_test_values(source: Path) -> None:
    records = [record(k) for k in range(1, 7)]
    del records[0]["test_best"]
    records[1]["test_best"] = []
    del records[2]["test_best"][0]["Linf_aa_acc"]
    del records[3]["test_best"][0]["corruptions"]["fog"]["3"]["acc"]
    del records[4]["test_best"][0]["corruptions"]["snow"]
    table = bring(write_jsonl(source, records))
    oracle = Oracle(table)
    counts = {name: int(oracle.available(name).sum()) for name in oracle.metrics}
    assert [counts[f"{name}_acc"] for name in ("test_pgd", "test_aa", "test_corrupt", "val_pgd")] == [4, 3, 2, 6]
    assert np.isnan(table.corruptions("acc")[3]).sum() == 1
    assert np.isnan(table.corruptions("loss")[3]).sum() == 0
    assert np.isnan(table.corruptions("loss")[4]).sum() == 5
    note = table.meta["notes"][1]
    assert note.startswith("Missing, with the number of trainings out of 6: test_clean_acc (2), ")
    assert "test_aa_acc (3)" in note
    assert "test_corrupt_acc (4)" in note


@pytest.mark.parametrize("null", [False, True])
def test_missing_throughout(null: bool, source: Path) -> None:
    bare = record(1)
    del bare["test_best"]
    for key in ("training_time", "gpu_type", "timestamp"):
        bare["train"][0][key] = None
        if not null:
            del bare["train"][0][key]
    table = bring(write_jsonl(source, [bare]))
    assert table.corruption_kinds == ()
    assert table.label_names == ()
    assert not [name for name in table.scalar_names if name.startswith("test_")]
    assert "training_time_gpu_days (1), gpu_type (1), timestamp (1)" in table.meta["notes"][1]


def test_unknown_fields_are_left_out_and_said(source: Path) -> None:
    odd = record(1)
    odd["comment"] = odd["train"][0]["host"] = odd["test_best"][0]["Linf_new_acc"] = 1
    notes = bring(write_jsonl(source, [odd])).meta["notes"]
    assert "does not know and left out" in notes[-1]
    assert all(f"'{name}' (1)" in notes[-1] for name in ("comment", "host", "Linf_new_acc"))


def test_a_cw_loss_that_is_a_margin_is_said(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = record(1)
    odd["train"][0]["cw_loss"][3] = 0.0648
    table = bring(write_jsonl(source, [odd, record(2)]))
    assert table.curve("val_cw_loss")[0, 3] == 0.0648
    assert table.flag(CW_LOSS_FLAG).tolist() == [True, False]
    said = "1 of 2 trainings have a cw_loss above 0, which the authors' (minus a sum of margins) never is"
    assert said in capsys.readouterr().err
    assert table.meta["notes"][0].startswith(said)
    assert CW_LOSS_FLAG not in bring(write_jsonl(source, [record(1)]), replace=True).flag_names


def test_a_best_epoch_that_is_not_the_first_maximum(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = record(1)
    odd["train"][0]["best_epoch"] = 0
    table = bring(write_jsonl(source, [odd, record(2)]))
    assert table.scalar("best_epoch")[0] == 0
    assert table.scalar("val_pgd_acc")[0] == odd["train"][0]["pgd"][0]
    assert table.flag(BEST_EPOCH_FLAG).tolist() == [True, False]
    warning = capsys.readouterr().err
    assert warning.startswith("nasbench-ar: warning: 1 of 2 trainings name a best_epoch")
    assert table.meta["notes"][0] in warning


def test_bar_on_standard_error(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_release(write_jsonl(source, [record(1)]))
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"importing cifar10\.jsonl: (\S+)/\1 B \[.*\]\n", err), "not a terminal: one line, at the end"
