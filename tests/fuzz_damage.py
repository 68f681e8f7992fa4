"""Hypothesis strategies for damage: to the bytes of a file, and to what a JSON or YAML document
or an array says.

A strategy draws a `Damages`, to be called with what is whole; it needs to know nothing
of it beforehand, prints as the list of what it does, and is the same whatever it is
applied to:

    byte_damage()(b"...") -> bytes
    document_damage()({"rows": 3}) -> another document; the given one is left alone
    array_damage()(np.arange(5)) -> another array
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

TOKENS = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-1",
    b"0",
    b"9" * 400,
    b"9" * 5000,  # more digits than Python turns into an integer
    b"null",
    b"true",
    b'"',
    b"\\",
    b'"\\ud800"',
    b'"\\u0000"',
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\r\n",
    b"\n",
    b"\x00",
    b"{",
    b"}",
    b"[" * 20_000,
    b"\x1b[31m",
)
DEEP = "\x00a very deep list"  # `to_json` writes it as one

_WHERE = st.integers(0, 200) | st.integers(-200, -1) | st.integers(0, 2**20)
_LENGTH = st.integers(1, 8) | st.integers(1, 2000)


@dataclass(frozen=True)
class Damages:
    """Several damages, applied one after the other."""

    steps: tuple[Callable[[Any], Any], ...]

    def __call__(self, whole: Any) -> Any:
        """What is left of something whole."""
        damaged = copy.deepcopy(whole)
        for step in self.steps:
            damaged = step(damaged)
        return damaged


@dataclass(frozen=True)
class ByteStep:
    """One damage to bytes; positions count modulo their number, negative ones from the end."""

    kind: str
    at: int
    length: int
    to: int
    token: bytes

    def __call__(self, whole: bytes) -> bytes:
        """Bytes with this damage."""
        if not whole:
            return self.token
        start = self.at % len(whole)
        end = start + self.length
        head, part, tail = whole[:start], whole[start:end], whole[end:]
        match self.kind:
            case "flip":
                return head + bytes([part[0] ^ (1 << self.to % 8)]) + whole[start + 1 :]
            case "set":
                return head + bytes([self.to % 256]) + whole[start + 1 :]
            case "cut":
                return head
            case "insert":
                return head + self.token + part + tail
            case "replace":
                return head + self.token + tail
            case "delete":
                return head + tail
            case "repeat":
                return head + part + part + tail
            case "blank":
                return head + (b"\x00" if self.to % 2 else b"\xff") * len(part) + tail
            case "move":
                other = self.to % (len(head + tail) + 1)
                rest = head + tail
                return rest[:other] + part + rest[other:]
        raise AssertionError(self.kind)


def byte_damage(*, most: int = 3) -> SearchStrategy[Damages]:
    """One to `most` damages to bytes: flipped, cut, deleted, repeated, moved, overwritten, odd tokens put in."""
    kinds = ("flip", "set", "cut", "insert", "replace", "delete", "repeat", "blank", "move")
    step = st.builds(
        ByteStep,
        kind=st.sampled_from(kinds),
        at=_WHERE,
        length=_LENGTH,
        to=st.integers(0, 2**16),
        token=st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=8),
    )
    return _several(step, most)


def odd_values() -> SearchStrategy[Any]:
    """Odd values of every JSON type, those that JSON does not have but Python reads included."""
    return st.sampled_from(_ODD)


_ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    10**9,
    2**31,
    2**63,
    -(2**63) - 1,
    10**30,
    10**400,
    0.0,
    -0.0,
    0.5,
    -1.5,
    1e-300,
    1e300,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "0",
    "x",
    "nan",
    "../x",
    "/",
    "a\0b",
    "a\nb",
    "\ud800",
    "é" * 300,
    "9" * 5000,
    DEEP,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"x": {"y": []}},
    [1, 2, 3],
)
_NEAR: tuple[Callable[[Any], Any], ...] = (
    lambda x: -x,
    lambda x: x + 1,
    lambda x: x - 1,
    lambda x: x * 1000,
    lambda x: x / 7,
    float,
    str,
    lambda x: [x],
)


@dataclass(frozen=True)
class DocumentStep:
    """One damage to a document.

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
        """The document with this damage; it is changed in place, unless it is replaced altogether."""
        parent, key = self._place(whole)
        value = copy.deepcopy(self.value)  # a later step may damage it
        if parent is None:
            return value
        keys = _keys(parent)
        second = keys[self.other % len(keys)]
        match self.kind:
            case "replace":
                parent[key] = value
            case "near":
                parent[key] = self._near(parent[key])
            case "delete":
                del parent[key]
            case "add" if isinstance(parent, dict):
                parent[value if isinstance(value, str) else f"odd{self.other}"] = value
            case "add":
                parent.insert(key, value)
            case "rename" if isinstance(parent, dict):
                parent[value if isinstance(value, str) else f"{key}2"] = parent.pop(key)
            case "rename" | "repeat" if isinstance(parent, list):
                parent.insert(key, copy.deepcopy(parent[key]))
            case "repeat":
                parent[f"{key}_"] = copy.deepcopy(parent[key])
            case "swap":
                parent[key], parent[second] = parent[second], parent[key]
        return whole

    def _place(self, whole: Any) -> tuple[Any, Any]:
        """A container and a key of it; (None, None) for the root."""
        parent, key, here = None, None, whole
        for pick in self.picks:
            keys = _keys(here)
            if not keys:
                break
            parent, key = here, keys[pick % len(keys)]
            here = parent[key]
        return parent, key

    def _near(self, value: Any) -> Any:
        """Another value of the same kind, as a slip of the pen would make it."""
        if isinstance(value, str):
            return (value[1:], value + "x", value.upper(), [value])[self.other % 4]
        if isinstance(value, (int, float)):
            try:
                return _NEAR[self.other % len(_NEAR)](value)
            except (OverflowError, ValueError):  # of a damage before
                return value
        return [value]


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
        """The array with this damage; the given one is left alone."""
        out = np.array(whole, ndmin=1)
        with np.errstate(all="ignore"):
            for place, value in self.numbers:
                if out.size and out.dtype.kind in "fiu":
                    out.flat[place % out.size] = np.array(value).astype(out.dtype)
            if self.kind is not None:
                out = np.zeros(out.shape, dtype=self.kind) if out.dtype.kind == "U" else out.astype(self.kind)
        match self.shape:
            case "shorter":
                return out[:-1]
            case "longer":
                return np.concatenate([out, out[:1]])
            case "flat":
                return out.reshape(-1)
            case "deeper":
                return out[..., None]
            case "empty":
                return out[:0]
            case "reversed":
                return out[::-1]
            case "turned":
                return np.asfortranarray(out)
            case "scalar":
                return out.reshape(-1)[0] if out.size else out
        return out


def array_damage() -> SearchStrategy[ArrayDamage]:
    """Damage to what an array holds; its file is whole."""
    shapes = ("same", "same", "same", "shorter", "longer", "flat", "deeper", "empty", "reversed", "turned", "scalar")
    number = st.tuples(st.integers(0, 2**20), st.sampled_from(_ODD_NUMBERS))
    return st.builds(
        ArrayDamage,
        numbers=st.lists(number, max_size=3).map(tuple),
        kind=st.none() | st.none() | st.sampled_from(_KINDS),
        shape=st.sampled_from(shapes),
    )


def _several(step: SearchStrategy[Any], most: int) -> SearchStrategy[Damages]:
    return st.lists(step, min_size=1, max_size=most).map(lambda steps: Damages(tuple(steps)))


def _keys(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value)
    return list(range(len(value))) if isinstance(value, list) else []


def to_json(document: Any, depth: int = 20_000) -> bytes:
    """A damaged document as JSON: NaN and infinities as Python writes them, `DEEP` as nested lists."""
    return json.dumps(document).replace(json.dumps(DEEP), "[" * depth + "]" * depth).encode()
