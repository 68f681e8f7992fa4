"""Archives of arrays that are damaged, or made to do harm."""

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nasbench_ar.system import files
from nasbench_ar.system.npz import read_npz


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.npz"


def npy(shape: str, content: bytes = b"\x00" * 8, *, descr: str = "'<f8'", version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + content


def pack(path: Path, *members: tuple[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)


def test_all_that_savez_writes(path: Path) -> None:
    arrays = {
        "grid": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "none": np.empty((0, 4), dtype=np.int32),
        "text": np.str_("why it ended"),
        "number": np.int64(7),
        "deep/name": np.array([True]),
    }
    np.savez(path, **arrays)
    found = read_npz(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.asarray(array).dtype


@pytest.mark.parametrize(
    "content",
    [
        npy("(10**12,)"),
        npy("(1000000000000,)"),
        npy("(-1, -1)"),
        npy("(0, 100000000000000000000)", b"\x00"),
        npy("(0, -1)", b""),
        npy("(-1, -8)", descr="'|u1'"),
        npy("(2,)"),
        npy("()", b""),
        npy("(1,)", descr="'|O'"),
        npy("(1,)", descr="'nonsense'"),
        npy("(1,)", descr="[('a', "),
        npy("(1,)", version=b"\x03\x00"),
        npy("(((", b""),
        b"\x93NUMPY",
        b"no array",
        b"",
    ],
)
def test_headers_that_say_what_is_not_there(path: Path, content: bytes) -> None:
    pack(path, ("a.npy", content))
    with pytest.raises(ValueError, match=r"\S") as caught:
        read_npz(path)
    assert len(str(caught.value).splitlines()) == 1


def test_two_of_one_name(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        pack(path, ("a.npy", npy("(1,)")), ("a.npy", npy("(1,)")))
    with pytest.raises(ValueError, match="same name"):
        read_npz(path)


def _encrypted(content: bytes) -> bytes:
    start = content.index(b"PK\x01\x02")
    return content[: start + 8] + b"\x01" + content[start + 9 :]


def _overlapping(content: bytes) -> bytes:
    """The directory names the one member three times."""
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    directory = content[start:end] * 3
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 3, 3, len(directory), start, 0)
    return content[:start] + directory + tail


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-30], "not a zip file"),
        (lambda content: content.replace(struct.pack("<d", 1.5), struct.pack("<d", 2.5)), "Bad CRC"),
        (_encrypted, "encrypted"),
        (_overlapping, "its members overlap"),
        (lambda content: b"", "not a zip file"),
    ],
)
def test_damaged_archives(path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.full(2**17, 1.5))
    path.write_bytes(damage(buffer.getvalue()))
    with pytest.raises(ValueError, match=message):
        read_npz(path)


def test_compressed_archives_where_they_may_be(path: Path) -> None:
    arrays = {"a": np.zeros(2**20), "b": np.arange(3)}
    np.savez_compressed(path, **arrays)
    with pytest.raises(ValueError, match="'a.npy' is compressed"):
        read_npz(path)
    found = read_npz(path, compressed=True)
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    assert read_npz(path, compressed=True, only=lambda name: name == "b").keys() == {"b"}


def test_sizes_that_the_directory_only_claims(path: Path) -> None:
    for method, size, message in (
        (zipfile.ZIP_DEFLATED, 2**31, "from 176 bytes to 2,147,483,648, more than the 67,108,864 allowed"),
        (zipfile.ZIP_DEFLATED, 2**20, "does not hold float64 \\(1,\\), as its header says"),
        (zipfile.ZIP_STORED, 2**20, "'a.npy' has two sizes"),
    ):
        with zipfile.ZipFile(path, "w", method) as pack:
            pack.writestr("a.npy", npy("(1,)"))
        content = path.read_bytes()
        start = content.index(b"PK\x01\x02") + 24
        path.write_bytes(content[:start] + struct.pack("<I", size) + content[start + 4 :])
        with pytest.raises(ValueError, match=message):
            read_npz(path, compressed=True)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("size", [0, 1, 2**17])
def test_checksums_are_compared_to_the_end(path: Path, save: Callable[..., None], size: int) -> None:
    save(path, a=np.arange(size))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 16] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="Bad CRC"):
        read_npz(path, compressed=True)


def test_a_member_that_ends_beyond_the_file(path: Path) -> None:
    array = npy("(100,)", b"", descr="'|u1'")
    pack(path, ("a.npy", array))
    content = path.read_bytes()
    start = content.index(b"PK\x01\x02") + 20
    path.write_bytes(content[:start] + struct.pack("<II", len(array) + 100, len(array) + 100) + content[start + 8 :])
    with pytest.raises(ValueError, match="^EOFError$"):  # it has no text of its own
        read_npz(path)


def peak_memory(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_zeros_that_would_fill_the_memory_are_refused_unread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(path, a=np.zeros(2**20), b=np.zeros(2**20))
    assert read_npz(path, compressed=True)["b"].shape == (2**20,)
    monkeypatch.setattr(files, "MOST_UNPACKED", 2**20)
    size = path.stat().st_size

    def refused() -> None:
        with pytest.raises(
            ValueError, match=f"from {size:,} bytes to 16,777,[0-9]*, more than the {100 * size:,} allowed"
        ):
            read_npz(path, compressed=True)

    assert peak_memory(refused) < 2**20
    assert read_npz(path, compressed=True, only=lambda name: name == "c") == {}


def test_an_array_is_in_memory_once(path: Path) -> None:
    for save in (np.savez, np.savez_compressed):
        save(path, a=np.random.default_rng(0).random(2**20))
        assert peak_memory(lambda: read_npz(path, compressed=True)) < 1.5 * 2**23


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_npz(path)
