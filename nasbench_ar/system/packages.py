"""The packages beside this one: the commands they have, and whether Python finds ours."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from nasbench_ar.errors import ConfigError, shown
from nasbench_ar.system.command import carry_out
from nasbench_ar.system.versions import ROOT

OURS = ("searchers", "experiments", "datagen")


def commands(package: str) -> dict[str, str]:
    """Module -> first line of its docstring, for every module of a package that is run by `python -m`."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts != (package, "__main__") and '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8"):
            found[".".join(parts).removesuffix(".__main__")] = title(path)
    return dict(sorted(found.items()))


def title(path: Path) -> str:
    """First line of a source file's docstring, which is there under `-OO` too."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def columns(lines: Mapping[str, str]) -> str:
    width = max(map(len, lines))
    return "\n".join(f"  {name:{width}}  {text}" for name, text in lines.items())


def describe(package: str) -> str:
    """What `python -m experiments` or `python -m datagen` prints."""
    here = title(ROOT / package / "__init__.py")
    listed = columns({f"python -m {name}": text for name, text in commands(package).items()})
    return f"{here}\n\n{listed}\n\n--help after any of them tells its arguments; docs/ has more."


def listing(text: Callable[[], str]) -> int:
    """Carry out `python -m` with a package alone: print what there is; returns the exit code."""

    def work(words: list[str]) -> None:
        if others := [word for word in words if word not in ("-h", "--help")]:
            raise ConfigError(f"{shown(others[0])}: expected no words; this lists what there is")
        print(text())

    return carry_out(work)


def hidden(package: str) -> str | None:
    """One line if Python finds another folder under a package's name, such as one of the user's own."""
    found = importlib.util.find_spec(package) if package not in sys.modules else sys.modules[package].__spec__
    places = [Path(place).resolve() for place in (found.submodule_search_locations or [] if found else [])]
    ours = ROOT / package
    if ours in places or not ours.is_dir() or found is None:
        return None
    at = places[0] if places else found.origin
    return (
        f"{at} hides the package {package} of this toolkit, which is at {ours}: work in another folder, rename yours, "
        "or start Python with -P, which does not look for packages in the working folder"
    )


def check_not_hidden(package: str) -> None:
    """Refuse another package of the same name; under `python -m` that ends the program."""
    if (line := hidden(package)) is None:
        return
    if sys.argv[0] == "-m":  # Python is still looking for the module to run, where nobody catches an error
        sys.exit(f"error: {line}")
    raise ConfigError(line)
