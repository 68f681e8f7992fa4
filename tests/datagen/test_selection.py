"""Which architectures a text means."""

from __future__ import annotations

from pathlib import Path

import pytest

from datagen.selection import MOST_SEEDS, select, select_seeds
from nasbench_ar import NARES, ConfigError, SearchSpace, SpaceError

ONE_STAGE = SearchSpace((1, 2), (1, 2), stages=1)


def names(text: str) -> list[str]:
    return [str(architecture) for architecture in select(text, NARES)]


def test_architectures_and_names() -> None:
    assert names("5-10-5-10-5-10") == ["5-10-5-10-5-10"]
    assert names("WRN-70-16, 4-8-4-8-4-8,WRN-34-10") == ["11-16-11-16-11-16", "4-8-4-8-4-8", "5-10-5-10-5-10"]


def test_vectors_as_reports_print_them(tmp_path: Path) -> None:
    vector, same = "[5 14 11 16 11 12]", "[5, 14,11,16, 11,12]"
    assert names(vector) == names(same) == ["5-14-11-16-11-12"]
    assert names(f"WRN-34-10,{same},1,{vector}") == ["5-10-5-10-5-10", "5-14-11-16-11-12", "4-8-4-8-4-8"]
    (tmp_path / "list.txt").write_text(f"{vector}  # the best\n[4, 8, 4, 8, 4, 8]\n")
    assert names(str(tmp_path / "list.txt")) == ["5-14-11-16-11-12", "4-8-4-8-4-8"]


def test_a_list_in_brackets_is_a_list() -> None:
    assert names("[1,2,3]") == names("1-3")
    assert names("[1-2,3,4,5,6,7]") == names("1-7")
    assert names("[1-2, WRN-34-10]") == [*names("1-2"), "5-10-5-10-5-10"]


def test_numbers_and_ranges() -> None:
    assert names("1") == ["4-8-4-8-4-8"]
    assert names("15625") == ["11-16-11-16-11-16"]
    assert [NARES.arch_id(architecture) for architecture in select("3-6,1", NARES)] == [3, 4, 5, 6, 1]
    every = select("all", NARES)
    assert len(every) == 15_625
    assert [NARES.arch_id(architecture) for architecture in every[:3]] == [1, 2, 3]


def test_each_once() -> None:
    assert names("1,4-8-4-8-4-8,1-2") == [names("1")[0], names("2")[0]]


def test_a_mark_of_the_encoding_is_no_architecture(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("17\n", encoding="utf-8-sig")  # as Windows writes it
    assert names(str(tmp_path / "list.txt")) == names("17")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# mine\n5-10-5-10-5-10  # WRN-34-10\n\n1-2\n")
    assert names(str(path)) == ["5-10-5-10-5-10", *names("1-2")]


def test_with_one_stage_two_numbers_are_an_architecture() -> None:
    assert [str(architecture) for architecture in select("2-1", ONE_STAGE)] == ["2-1"]
    assert len(select("4", ONE_STAGE)) == 1


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("0", ConfigError, "arch_ids run from 1 to 15625"),
        ("5-3", ConfigError, "the smaller one first"),
        ("1-15626", ConfigError, "arch_ids run from 1 to 15625"),
        ("[5 14 11 16 11 13]", SpaceError, "W3=13 is not one of"),
        ("[]", ConfigError, "names no architecture"),
        ("[5,10,5,10,5]", ConfigError, "a list of arch_ids has each once, and a vector 6 entries"),
        (",", ConfigError, "names no architecture"),
        ("nowhere.txt", ConfigError, "no such file, and no such architecture"),
        ("some/where", ConfigError, "no such file"),
        ("5-10-5-10-5-11", SpaceError, "5-10-5-10-5-11"),
        ("resnet", SpaceError, "not an architecture: 'resnet'"),
        ("a" * 300, SpaceError, "not an architecture: 'aaa"),
    ],
)
def test_wrong_texts(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        select(text, NARES)


def test_wrong_files(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("5-10-5-10-5-99\n")
    with pytest.raises(SpaceError, match=r"\(in .*bad.txt\)"):
        select(str(tmp_path / "bad.txt"), NARES)
    (tmp_path / "self.txt").write_text(f"{tmp_path / 'self.txt'}\n")
    with pytest.raises(ConfigError, match="no such file"):
        select(str(tmp_path / "self.txt"), NARES)
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        select(str(tmp_path / "bytes.txt"), NARES)
    (tmp_path / "range.txt").write_text("99999\n")
    with pytest.raises(ConfigError, match=r"arch_ids run from 1 to 15625.*\(in .*range.txt\)"):
        select(str(tmp_path / "range.txt"), NARES)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ConfigError, match="names no architecture"):
        select(str(tmp_path / "empty.txt"), NARES)


def test_seeds() -> None:
    assert select_seeds("7") == [7]
    assert select_seeds("5, 0-2,1-1,0") == [0, 1, 2, 5]
    assert select_seeds(f"1-{MOST_SEEDS}") == list(range(1, MOST_SEEDS + 1))


@pytest.mark.parametrize("text", ["", "2-1", "a", "-1", "0,", f"0-{MOST_SEEDS}"])
def test_wrong_seeds(text: str) -> None:
    with pytest.raises(ConfigError, match=r"seeds=.*expected numbers and ranges such as 0,2-4, the smaller number"):
        select_seeds(text)
