"""The words of a command: `key=value`, read into a dataclass whose fields are the keys.

    runs=100 out=results table=null train.lr_drops=[0.5,0.75] searcher.temperature=1e-3

A field's type says what its key takes. Text is taken as it stands, without quotes around
it. Where a key takes anything, a value is what it looks like: true or false, null, a
number, a list or a mapping in brackets, and text otherwise. The last word for a key counts.
"""

from __future__ import annotations

import difflib
import inspect
import math
import os
import re
import textwrap
import types
import typing
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from nasbench_ar.errors import ConfigError, first_line, one_line, shown
from nasbench_ar.system.command import docstring

MOST = 10**9  # numbers that the small commands take
Schema = TypeVar("Schema")
Default = TypeVar("Default")

_INTEGER = re.compile(r"[-+]?\d+(_\d+)*", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\d+(_\d+)*\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|nan)", re.ASCII | re.IGNORECASE)
_SCALARS = {"true": True, "false": False, "null": None}
_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def split_words(words: Iterable[str]) -> list[tuple[str, str]]:
    out = []
    for word in words:
        key, mark, value = word.partition("=")
        if not mark or not key or key.startswith("-"):
            raise ConfigError(f"{shown(word)}: expected key=value, as runs=3; --help lists the keys")
        out.append((key, value))
    return out


def take_words(
    words: Iterable[str], own: Mapping[str, Default], fixed: Collection[str] = (), why: str = ""
) -> tuple[dict[str, str | Default], list[str]]:
    """The text of a command's own keys, the last one counting, and the words that are left for another reader.

    `fixed` are keys that nobody may give, `why` says what to do instead.
    """
    found: dict[str, str | Default] = {**own}
    rest = []
    for word in words:
        [(key, text)] = split_words([word])
        if key in own:
            found[key] = text
        elif key in fixed:
            raise ConfigError(f"{shown(word)}: {why}")
        else:
            rest.append(word)
    return found, rest


def check_keys(given: Iterable[str], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ConfigError(f"unknown key {shown(key)}; {hint}valid keys: {', '.join(known)}")


def known_keys(schema: Any) -> list[str]:
    """All keys of a dataclass; those of a dataclass inside it have a dot."""
    out: list[str] = []
    for key, kind in _kinds(schema).items():
        out += [f"{key}.{inner}" for inner in known_keys(kind)] if is_dataclass(kind) else [key]
    return out


def read_words(pairs: Iterable[tuple[str, str]], start: Schema) -> Schema:
    """A copy of `start` with the values of words, split by `split_words`."""
    given = dict(pairs)
    check_keys(given, known_keys(type(start)))
    return with_values(start, {key: value_for(_kind_of(type(start), key), key, text) for key, text in given.items()})


def with_values(start: Schema, values: Mapping[str, Any]) -> Schema:
    """A copy of a dataclass with other values; a dot or a mapping reaches a dataclass inside it."""
    inner: dict[str, dict[str, Any]] = {}
    changed: dict[str, Any] = {}
    for key, value in values.items():
        part, dot, rest = key.partition(".")
        if dot:
            inner.setdefault(part, {})[rest] = value
        elif is_dataclass(getattr(start, part)):
            inner.setdefault(part, {}).update(value)
        else:
            changed[part] = value
    changed |= {part: with_values(getattr(start, part), content) for part, content in inner.items()}
    return replace(start, **changed)  # type: ignore[type-var]


def value_for(kind: Any, key: str, text: str) -> Any:
    """Read `text` as a `kind`: bool, int, float, str, a list of these, one of them or None, or `Any`."""
    kind, null = _without_none(kind)
    if null and text.lower() == "null":
        return None
    if kind is Any:
        return any_value(key, text)
    if kind is str:
        return _unquoted(text)
    value = any_value(key, text)
    if typing.get_origin(kind) is list:
        [item] = typing.get_args(kind)
        if isinstance(value, list) and all(_is(item, element) for element in value):
            return [_converted(item, key, text, element) for element in value]
        raise ConfigError(f"{key}={shown(text)}: expected a list of numbers in brackets, as [1,2]")
    if not _is(kind, value):
        raise ConfigError(f"{key}={shown(text)}: expected {'null or ' if null else ''}{_EXPECTED[kind]}")
    return _converted(kind, key, text, value)


def checked_value(schema: Any, key: str, value: Any) -> Any:
    """Check a value that Python code gives for a key of a dataclass."""
    check_keys([key], known_keys(schema))
    kind, null = _without_none(_kind_of(schema, key))
    if kind is Any or (null and value is None):
        return value
    if not _is(kind, value):
        raise ConfigError(f"{key}={shown(value)}: expected {_EXPECTED[kind]}{' or null' if null else ''}")
    return _converted(kind, key, value, value)


def any_value(key: str, text: str) -> Any:
    """Read a value as what it looks like."""
    if text.lower() in _SCALARS:
        return _SCALARS[text.lower()]
    try:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _NUMBER.fullmatch(text):
            return float(text)
        return _in_brackets(text) if text[:1] in ("[", "{") else _unquoted(text)
    except (ValueError, RecursionError) as error:
        quotes = """; text with brackets stands in quotes, as '"[text]"'""" if text[:1] in ("[", "{") else ""
        raise ConfigError(f"{key}={shown(text, 100)}: {first_line(error, 150)}{quotes}") from error


def whole_numbers(key: str, text: str) -> list[int]:
    """Read a list of counts, as `100,250,500`."""
    words = text.split(",")
    if not all(word.isascii() and word.isdigit() and len(word) < 9 for word in words):
        raise ConfigError(f"{key}={text!r}: expected whole numbers, as {key}=100,250,500")
    return [int(word) for word in words]


def parse_words(
    words: Iterable[str], defaults: Mapping[str, Any], ranges: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, Any]:
    """Read the words of a small command; a default's type says what its key takes, None means true or false."""
    out = dict(defaults)
    for key, text in split_words(words):
        check_keys([key], list(defaults))
        default = defaults[key]
        kind = bool if default is None else type(default)
        if kind in (int, float):
            least, most = (ranges or {}).get(key, (0, MOST))
            out[key] = _in_range(kind, key, text, least, most)
        elif text or default == "":
            out[key] = value_for(kind, key, text)
        else:
            raise ConfigError(f"{key}=: expected {_EXPECTED[kind]}")
    return out


def read_list(key: str, path: str | os.PathLike[str]) -> list[str]:
    """What a file names, one a line; `#` begins a comment."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}={path}: cannot be read as text ({one_line(error)})") from error
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def about(schema: type[Any]) -> dict[str, str]:
    """Field -> what stands under `Attributes:`, of a dataclass and of those that it extends."""
    said = [inspect.cleandoc(docstring(cls)) for cls in reversed(schema.__mro__) if is_dataclass(cls)]
    text = "".join(each.partition("Attributes:")[2] for each in said).replace("`", "")
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", text, re.MULTILINE)
    return {name: " ".join(meaning.split()).rstrip(".") for name, meaning in found}


def describe_keys(values: Any, hidden: Collection[str] = (), prefix: str = "") -> str:
    """The keys for `--help`, a paragraph each, with default and meaning."""
    out, means = "", about(type(values))
    for field in fields(values):
        value = getattr(values, field.name)
        if is_dataclass(value):
            out += describe_keys(value, prefix=f"{field.name}.")
        elif field.name not in hidden:
            out += paragraph(f"{prefix}{field.name}={as_word(value)}", means.get(field.name, ""))
    return out


def paragraph(first: str, text: str) -> str:
    """A line of `--help`, wrapped."""
    return textwrap.fill(text, 100, initial_indent=f"  {first:28} ", subsequent_indent=" " * 31) + "\n"


def as_word(value: object) -> str:
    """A value as a word gives it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"[{','.join(map(as_word, value))}]" if isinstance(value, list) else str(value)


@cache
def _kinds(schema: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(schema)
    return {field.name: hints[field.name] for field in fields(schema)}


def _kind_of(schema: Any, key: str) -> Any:
    part, dot, rest = key.partition(".")
    kind = _kinds(schema)[part]
    return _kind_of(kind, rest) if dot else kind


def _without_none(kind: Any) -> tuple[Any, bool]:
    """A type, and whether None is allowed beside it."""
    if not isinstance(kind, types.UnionType):
        return kind, False
    [other] = (option for option in typing.get_args(kind) if option is not types.NoneType)
    return other, True


def _is(kind: type, value: object) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind


def _converted(kind: Any, key: str, given: object, value: Any) -> Any:
    try:
        return kind(value)
    except OverflowError as error:  # an integer that no float can hold
        raise ConfigError(f"{key}={shown(given)}: {error}") from error


def _in_range(kind: type, key: str, text: str, least: int, most: int) -> Any:
    try:
        number = kind(text) if _NUMBER.fullmatch(text) else math.nan
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise ConfigError(f"{key}={shown(text)}: expected {_EXPECTED[kind]} from {least} to {most}")
    return number


def _unquoted(text: str) -> str:
    mark = text[:1]
    if len(text) < 2 or mark not in ("'", '"') or text[-1] != mark:
        return text
    return text[1:-1].replace(f"\\{mark}", mark)


def _in_brackets(text: str) -> Any:
    """YAML's lists and mappings, but plain scalars follow the rules of this module."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {}  # noqa: RUF012

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("aliases are not understood")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            mapping = super().construct_mapping(node, deep)
            if len(mapping) < len(node.value):
                raise ValueError("a key is there twice; keep one")
            return mapping

    def scalar(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        text = str(loader.construct_scalar(node))
        return any_value("", text) if node.style is None and text[:1] not in ("[", "{") else text

    Loader.add_constructor("tag:yaml.org,2002:str", scalar)
    try:
        return yaml.load(text, Loader=Loader)
    except (yaml.YAMLError, TypeError) as error:  # a list is no key of a mapping
        raise ValueError(str(error)) from error
