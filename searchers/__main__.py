"""The searchers of this package."""

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from nasbench_ar.packages import columns, title
from searchers import ALL_SEARCHERS
from searchers.fidelity import FIDELITY_SEARCHERS


def _about(registry: Mapping[str, type]) -> str:
    shared = Counter(cls.__module__ for cls in registry.values())
    lines = {}
    for name, cls in registry.items():
        own = (cls.__doc__ or "").partition("\n")[0] if shared[cls.__module__] > 1 else ""
        lines[name] = own or title(Path(str(sys.modules[cls.__module__].__file__)))
    return columns(lines)


if __name__ == "__main__":
    print(f"python -m experiments.run searcher=NAME\n\n{_about(ALL_SEARCHERS)}\n")
    print(f"python -m experiments.fidelity searcher=NAME\n\n{_about(FIDELITY_SEARCHERS)}\n")
    print("--help of these commands and docs/searchers.md and docs/fidelity.md tell their arguments.")
