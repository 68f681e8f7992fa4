"""Which architectures and seeds a command means: names, ranges of numbers, lists and files."""

from __future__ import annotations

import re
from pathlib import Path

from nasbench_ar import Architecture, SearchSpace
from nasbench_ar.errors import ConfigError, SpaceError, quotable, shown
from nasbench_ar.system.key_values import read_list

MOST_SEEDS = 10_000  # in one range
_COMMA = re.compile(r",(?![^\[]*\])")  # not within brackets
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def select(text: str, space: SearchSpace) -> list[Architecture]:
    """Architectures in the order given, each once.

    `text` is `all` (by arch_id), or a comma list of architectures such as `5-10-5-10-5-10`,
    `[5 10 5 10 5 10]` or `WRN-34-10`, arch_ids such as `17` or `1-100`, and files with one
    of these a line (`#` begins a comment).
    """
    chosen: dict[Architecture, None] = {}
    for part in _parts(text, space):
        chosen |= dict.fromkeys(_part(part, space))
    if not chosen:
        raise ConfigError(f"archs={shown(text, 200)} names no architecture")
    return list(chosen)


def select_seeds(text: str) -> list[int]:
    """Seeds ascending, each once, from a comma list of numbers and ranges such as `0,2-4`."""
    chosen: set[int] = set()
    for part in text.split(","):
        numbers = _RANGE.fullmatch(part.strip())
        first, last = (int(numbers[1]), int(numbers[2] or numbers[1])) if numbers else (1, 0)
        if not 0 <= last - first < MOST_SEEDS:
            raise ConfigError(
                f"seeds={quotable(text)}: expected numbers and ranges such as 0,2-4, the smaller number first, up to 9 "
                f"digits, {MOST_SEEDS:,} a range"
            )
        chosen.update(range(first, last + 1))
    return sorted(chosen)


def _parts(text: str, space: SearchSpace) -> list[str]:
    """Commas of a vector in brackets separate no parts; other brackets are around a list."""
    parts: list[str] = []
    for part in map(str.strip, _COMMA.split(text)):
        numbers = part[1:-1].replace(",", " ").split()
        decimal = all(map(str.isdecimal, numbers))
        vector = len(numbers) == space.dimensions and decimal
        listed = part.startswith("[") and part.endswith("]") and not vector
        if listed and decimal and len(set(numbers)) < len(numbers):  # which only entries of a vector do
            raise ConfigError(
                f"archs={quotable(part)}: a list of arch_ids has each once, and a vector {space.dimensions} entries"
            )
        parts += map(str.strip, part[1:-1].split(",")) if listed else [part]
    return [part for part in parts if part]


def _part(part: str, space: SearchSpace, *, within: Path | None = None) -> list[Architecture]:
    if part.lower() == "all":
        return [space.from_arch_id(k + 1) for k in range(space.product_size)]
    if (numbers := _RANGE.fullmatch(part)) and space.dimensions != part.count("-") + 1:
        first, last = int(numbers[1]), int(numbers[2] or numbers[1])
        if not 1 <= first <= last <= space.product_size:
            where = f" (in {within})" if within else ""
            raise ConfigError(
                f"archs={quotable(part)}: arch_ids run from 1 to {space.product_size}, the smaller one first{where}"
            )
        return [space.from_arch_id(k) for k in range(first, last + 1)]
    try:
        return [space.parse(part)]
    except SpaceError as error:
        path = Path(part)
        if within is not None or not _is_file(path):
            if path.suffix or len(path.parts) > 1:
                where = f" (in {within})" if within else ""
                raise ConfigError(
                    f"archs={quotable(part)}: there is no such file, and no such architecture{where}"
                ) from None
            raise SpaceError(f"{error}" + (f" (in {within})" if within else "")) from None
        return _file(path, space)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no name that a file may have
        return False


def _file(path: Path, space: SearchSpace) -> list[Architecture]:
    return [architecture for name in read_list("archs", path) for architecture in _part(name, space, within=path)]
