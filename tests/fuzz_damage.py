"""Hypothesis strategies for damage: to the bytes of a file, and to what a JSON or YAML document
or an array says.

A strategy draws a `Damages`, to be called with what is whole; it needs to know nothing
of it beforehand, prints as the list of what it does, and leaves what it is given alone:

    byte_damage()(b"...") -> bytes
    document_damage()({"rows": 3}) -> another document
    array_damage()(np.arange(5)) -> another array
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray


@dataclass(frozen=True)
class Damages:
    """Several damages, applied one after the other."""

    steps: tuple[Callable[[Any], Any], ...]

    def __call__(self, whole: Any) -> Any:
        damaged = copy.deepcopy(whole)
        for step in self.steps:
            damaged = step(damaged)
        return damaged


def _several(step: SearchStrategy[Any], most: int) -> SearchStrategy[Damages]:
    return st.lists(step, min_size=1, max_size=most).map(lambda steps: Damages(tuple(steps)))


_TOKENS = (
    *(b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"null", b"true", b'"', b"\\", b'"\\ud800"', b'"\\u0000"'),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3\x28", b"\r\n", b"\n", b"\x00", b"{", b"}", b"\x1b[31m"),
    *(b"[" * 20_000, b"9" * 400, b"9" * 5000),  # more digits than Python turns into an integer
)
BYTES: dict[str, Callable[[bytes, bytes, bytes, bytes], bytes]] = {  # of what stands before, at and behind the place
    "flip": lambda head, part, tail, token: head + bytes([part[0] ^ (1 << token[0] % 8)]) + part[1:] + tail,
    "cut": lambda head, part, tail, token: head,
    "insert": lambda head, part, tail, token: head + token + part + tail,
    "replace": lambda head, part, tail, token: head + token + tail,
    "delete": lambda head, part, tail, token: head + tail,
    "repeat": lambda head, part, tail, token: head + part + part + tail,
    "blank": lambda head, part, tail, token: head + (b"\x00" if token[0] % 2 else b"\xff") * len(part) + tail,
    "to the end": lambda head, part, tail, token: head + tail + part,
}


@dataclass(frozen=True)
class ByteStep:
    """One damage to bytes, of those in `BYTES`; positions count modulo their number, negative ones from the end."""

    kind: str
    at: int
    length: int
    token: bytes

    def __call__(self, whole: bytes) -> bytes:
        if not whole:
            return self.token
        start = self.at % len(whole)
        end = start + self.length
        return BYTES[self.kind](whole[:start], whole[start:end], whole[end:], self.token)


def byte_damage(*, most: int = 3) -> SearchStrategy[Damages]:
    """One to `most` damages to bytes: flipped, cut, deleted, repeated, moved, overwritten, odd tokens put in."""
    step = st.builds(
        ByteStep,
        kind=st.sampled_from(list(BYTES)),
        at=st.integers(0, 200) | st.integers(-200, -1) | st.integers(0, 2**20),
        length=st.integers(1, 8) | st.integers(1, 2000),
        token=st.sampled_from(_TOKENS) | st.binary(min_size=1, max_size=8),
    )
    return _several(step, most)


DEEP = "\x00a very deep list"  # `to_json` writes it as one
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**9, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400),
    *(0.0, -0.0, 0.5, -1.5, 1e-300, 1e300, float("nan"), float("inf"), float("-inf")),
    *("", " ", "0", "x", "nan", "../x", "/", "a\0b", "a\nb", "\ud800", "é" * 300, "9" * 5000, DEEP),
    *([], {}, [[]], [None], {"": None}, {"x": {"y": []}}, [1, 2, 3]),
)


def odd_values() -> SearchStrategy[Any]:
    """Odd values of every JSON type, those that JSON does not have but Python reads included."""
    return st.sampled_from(_ODD)


@dataclass(frozen=True)
class DocumentStep:
    """One damage to a document, which is changed in place, unless it is replaced altogether.

    Attributes:
        kind: what is done to the place that is found.
        picks: which child to take, level by level (modulo their number), from the root.
        other: a second place, or which of several ways.
        value: to put there.
    """

    kind: str
    picks: tuple[int, ...]
    other: int
    value: Any

    def __call__(self, whole: Any) -> Any:
        parent: Any = None
        key: Any = None
        here = whole
        for pick in self.picks:
            if not (keys := _keys(here)):
                break
            parent, key = here, keys[pick % len(keys)]
            here = parent[key]
        value = copy.deepcopy(self.value)  # a later step may damage it
        if parent is None:
            return value
        name = value if isinstance(value, str) else f"odd{self.other}"
        match self.kind, parent:
            case "replace", _:
                parent[key] = value
            case "near", _:
                parent[key] = _near(here, self.other)
            case "delete", _:
                del parent[key]
            case "swap", _:
                second = _keys(parent)[self.other % len(parent)]
                parent[key], parent[second] = parent[second], parent[key]
            case "add", dict():
                parent[name] = value
            case "rename", dict():
                parent[name] = parent.pop(key)
            case "repeat", dict():
                parent[f"{key}_"] = copy.deepcopy(here)
            case kind, list():
                parent.insert(key, value if kind == "add" else copy.deepcopy(here))
        return whole


def _keys(value: Any) -> list[Any]:
    return list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []


def _near(value: Any, way: int) -> Any:
    """Another value of the same kind, as a slip of the pen would make it."""
    try:
        if isinstance(value, str):
            ways: list[Any] = [value[1:], value + "x", value.upper(), [value]]
        elif isinstance(value, (int, float)):
            ways = [-value, value + 1, value - 1, value * 1000, value / 7, float(value), str(value), [value]]
        else:
            ways = [[value]]
    except (OverflowError, ValueError):  # of a damage before
        return value
    return ways[way % len(ways)]


def document_damage(*, most: int = 3, values: SearchStrategy[Any] | None = None) -> SearchStrategy[Damages]:
    """One to `most` damages to a document of dicts and lists, at any depth.

    Values are replaced by odd ones or by near ones, deleted, repeated and swapped; keys
    are added and renamed.

    Args:
        most: how many at once.
        values: odd ones for this reader, besides the general ones.
    """
    step = st.builds(
        DocumentStep,
        kind=st.sampled_from(("replace", "replace", "near", "near", "delete", "add", "rename", "repeat", "swap")),
        picks=st.lists(st.integers(0, 199), min_size=1, max_size=5).map(tuple),
        other=st.integers(0, 199),
        value=odd_values() if values is None else odd_values() | values,
    )
    return _several(step, most)


_ODD_NUMBERS = (np.nan, np.inf, -np.inf, -1, -0.0, 0, 0.5, 1, 100, 100.01, 1e300, 5e-324, 2.0**31, 2.0**62)
_KINDS = ("<f8", ">f8", "<f4", "<i4", "<i8", "|u1", "|b1", "<U3", "<c16", "<M8[s]", "|V8", "|S2")
_SHAPES: dict[str, Callable[[NDArray[Any]], Any]] = {
    "same": lambda array: array,
    "shorter": lambda array: array[:-1],
    "longer": lambda array: np.concatenate([array, array[:1]]),
    "flat": lambda array: array.reshape(-1),
    "deeper": lambda array: array[..., None],
    "empty": lambda array: array[:0],
    "reversed": lambda array: array[::-1],
    "turned": np.asfortranarray,
    "scalar": lambda array: array.reshape(-1)[0] if array.size else array,
}


@dataclass(frozen=True)
class ArrayDamage:
    """Another array of the same file: odd values, another kind, another shape, or several of these.

    Attributes:
        numbers: (place, value) pairs, the place modulo the size; for arrays of numbers.
        kind: of all values; None to keep it.
        shape: what becomes of the shape.
    """

    numbers: tuple[tuple[int, float], ...]
    kind: str | None
    shape: str

    def __call__(self, whole: NDArray[Any]) -> NDArray[Any]:
        out = np.array(whole, ndmin=1)
        with np.errstate(all="ignore"):
            for place, value in self.numbers:
                if out.size and out.dtype.kind in "fiu":
                    out.flat[place % out.size] = np.array(value).astype(out.dtype)
            if self.kind is not None:
                out = np.zeros(out.shape, dtype=self.kind) if out.dtype.kind == "U" else out.astype(self.kind)
        return _SHAPES[self.shape](out)


def array_damage() -> SearchStrategy[ArrayDamage]:
    """Damage to what an array holds; its file is whole."""
    number = st.tuples(st.integers(0, 2**20), st.sampled_from(_ODD_NUMBERS))
    return st.builds(
        ArrayDamage,
        numbers=st.lists(number, max_size=3).map(tuple),
        kind=st.none() | st.none() | st.sampled_from(_KINDS),
        shape=st.sampled_from(["same", "same", *_SHAPES]),
    )


def to_json(document: Any, depth: int = 20_000) -> bytes:
    """A damaged document as JSON: NaN and infinities as Python writes them, `DEEP` as nested lists."""
    return json.dumps(document).replace(json.dumps(DEEP), "[" * depth + "]" * depth).encode()
