"""YAML as the files of races have it: no aliases, every key once, and whole numbers in decimal."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from nasbench_ar.errors import ResultsError, shown


class _Loader(yaml.SafeLoader):
    """Reads no aliases: a few lines of them stand for more than any memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias = shown(self.peek_event().anchor)[1:-1]  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"it has an alias, *{alias}, which no command writes")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                known, line = lines.get((key.tag, key.value)), key.start_mark.line + 1
                if known is not None:
                    raise yaml.YAMLError(f"{shown(key.value)} is there twice, in lines {known} and {line}; keep one")
                lines[key.tag, key.value] = line
        return super().construct_mapping(node, deep)

    def construct_decimal(self, node: yaml.ScalarNode) -> int:
        """YAML takes 010 for 8 and 1:30 for 90."""
        text = str(self.construct_scalar(node))
        if not re.fullmatch(r"[-+]?(0|[1-9][0-9_]*)", text):
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"{shown(text)} in line {line}: expected a decimal number without leading zeros")
        return int(self.construct_yaml_int(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_decimal)


class _Dumper(yaml.SafeDumper):
    """Writes no aliases where two entries are the same object."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def from_yaml(text: str | bytes) -> Any:
    """What a text of YAML says; YAMLError for none, and for what these files do not have."""
    return yaml.load(text, Loader=_Loader)


def read_yaml(path: Path) -> Any:
    """What a file of YAML says; ResultsError for what cannot be read, but FileNotFoundError."""
    try:
        return from_yaml(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
    except MemoryError:
        raise
    except Exception as error:
        raise ResultsError(f"cannot read {path}: {' '.join(str(error).split())[:300]}") from error


def as_yaml(config: Mapping[str, Any]) -> bytes:
    return yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True).encode()
