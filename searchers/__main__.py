"""The searchers of this package."""

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from nasbench_ar.system.command import docstring
from nasbench_ar.system.packages import columns, listing, title
from searchers import ALL_SEARCHERS
from searchers.fidelity import FIDELITY_SEARCHERS


def _about(registry: Mapping[str, type]) -> str:
    shared = Counter(cls.__module__ for cls in registry.values())
    lines = {}
    for name, cls in registry.items():
        own = docstring(cls).partition("\n")[0] if shared[cls.__module__] > 1 else ""
        lines[name] = own or title(Path(str(sys.modules[cls.__module__].__file__)))
    return columns(lines)


def describe() -> str:
    """The searchers, by the command that takes them."""
    return (
        f"python -m experiments.run searcher=NAME\n\n{_about(ALL_SEARCHERS)}\n\n"
        f"python -m experiments.fidelity searcher=NAME\n\n{_about(FIDELITY_SEARCHERS)}\n\n"
        "--help of these commands and docs/searchers.md and docs/fidelity.md tell their arguments."
    )


if __name__ == "__main__":
    sys.exit(listing(describe))
