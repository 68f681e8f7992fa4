"""A submission on disk: `entry.yaml` and `runs.parquet` in a folder.

It may come from anybody: nothing in it is executed or unpickled, and every size is checked before it is read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.config import target_of
from experiments.races.plain_yaml import as_yaml, read_yaml
from experiments.races.race import Race, with_budget
from experiments.races.suite import load_suite
from experiments.races.track import Track
from nasbench_ar import ResultsError
from nasbench_ar.errors import one_line, shown
from nasbench_ar.system.extras import require
from nasbench_ar.system.files import make_folder, write_file
from nasbench_ar.table_writer import NAME, NAME_RULE
from searchers import ALL_SEARCHERS, FOR_VECTORS, Bananas, GaussianProcess, hyperparameters
from searchers.fidelity import FIDELITY_SEARCHERS

FORMAT = 1
ENTRY = "entry.yaml"
RUNS = "runs.parquet"
SUBMISSIONS = "submissions"  # folder of a checkout that holds them all
LEAST_RUNS, LEAST_SLOW_RUNS, MOST_RUNS = 100, 25, 1000
SLOW = 1.0  # processor seconds; a run that takes longer counts as slow
MOST_TEXT = 64 << 10  # bytes of entry.yaml
MOST_BYTES = 64 << 20  # of runs.parquet
_LEVEL = 19  # of the compression
_LONGEST = 200  # characters of a line


@dataclass(frozen=True)
class Entry:
    """What `entry.yaml` says.

    Attributes:
        track: name and content of the track's file, defaults included.
        fingerprint: all that decides a run's result, as in `config.yaml`.
        cpu_seconds: processor time of a run, the mean.
        tuned_on: names of the tables that the searcher's arguments were chosen on.
    """

    entry: str
    track: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    computed_by: tuple[Mapping[str, Any], ...]
    cpu_seconds: float
    tuned_on: tuple[str, ...]
    contact: str

    @property
    def race(self) -> Race:
        return Race.of_config({"table_folder": "", "fingerprint": self.fingerprint})

    @property
    def least_runs(self) -> int:
        """How many runs it must have: fewer where they are slow."""
        return LEAST_SLOW_RUNS if self.cpu_seconds > SLOW else LEAST_RUNS

    @property
    def default(self) -> type | None:
        """The toolkit's searcher that ran, if it did with its own arguments."""
        return default_of(self.race)

    @property
    def commits(self) -> tuple[str, ...]:
        found = (str(code.get("git_commit") or f"release {_release(code)}") for code in self.computed_by)
        return tuple(dict.fromkeys(found))


def default_of(race: Race) -> type | None:
    """The toolkit's searcher of a race, if it has its own arguments there."""
    for cls in (*ALL_SEARCHERS.values(), *FOR_VECTORS.values(), *FIDELITY_SEARCHERS.values()):
        if target_of(cls) == race.searcher and dict(race.arguments) == with_budget(
            hyperparameters(cls), cls, race.queries
        ):
            return cls
    return None


def tuned_tables(searcher: type | None) -> tuple[str, ...]:
    """Tables that the defaults of a searcher of the toolkit were chosen on (docs/searchers.md, docs/suite.md)."""
    if searcher in (Bananas, GaussianProcess):
        return tuple(task.table for task in load_suite() if task.use == "tuning")
    return ()


def track_content(track: Track) -> dict[str, Any]:
    """What a track's file decides, defaults included."""
    return {key: value for key, value in asdict(track).items() if key != "about"}


def write_entry(folder: Path, entry: Entry, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write a submission, of columns that the track's kind of runs has."""
    require("python -m experiments.submit", "pyarrow")
    make_folder(folder)
    content = {"format": FORMAT, **asdict(entry)}
    content |= {"computed_by": list(entry.computed_by), "tuned_on": list(entry.tuned_on)}
    write_file(folder / RUNS, _packed(columns))
    write_file(folder / ENTRY, as_yaml(content))


def _packed(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Parquet, by the shorter of two encodings; a dictionary of architectures pays where runs share most of them."""
    import pandas as pd

    frame, split = pd.DataFrame(dict(columns)), ["arch_index"]
    others = [name for name in frame if name not in split]
    found = []
    for encoding in ({}, {"use_dictionary": others, "use_byte_stream_split": split}):
        buffer = io.BytesIO()
        frame.to_parquet(
            buffer, engine="pyarrow", compression="zstd", compression_level=_LEVEL, index=False, **encoding
        )
        found.append(buffer.getvalue())
    return min(found, key=len)


def read_entry(folder: Path) -> Entry:
    """Read and check the form of `entry.yaml`; ResultsError says what is wrong."""
    path = folder / ENTRY
    if folder.is_dir():
        others = sorted(other.name for other in folder.iterdir() if other.name not in (ENTRY, RUNS))
        if others:
            raise ResultsError(f"{folder} holds {shown(others[0])}; a submission is {ENTRY} and {RUNS}, nothing else")
    content = _small(path, MOST_TEXT) and read_yaml(path)
    if not isinstance(content, dict) or type(content.get("format")) is not int or content["format"] != FORMAT:
        raise ResultsError(f"{path} is no entry of format {FORMAT}; python -m experiments.submit writes one")
    names = ["format", *(field.name for field in fields(Entry))]
    if unknown := [key for key in content if key not in names]:
        raise ResultsError(f"{path}: unknown key {shown(unknown[0])}; expected {', '.join(names)}")
    if lacking := [name for name in names if name not in content]:
        raise ResultsError(f"{path}: {lacking[0]} is missing; expected {', '.join(names)}")
    for name, (fits, expected) in _FORMS.items():
        if not fits(content[name]):
            raise ResultsError(f"{path}: {name} is {shown(content[name])}; expected {expected}")
    values = {name: content[name] for name in names if name != "format"}
    values |= {"computed_by": tuple(content["computed_by"]), "tuned_on": tuple(content["tuned_on"])}
    return Entry(**values)


def read_columns(folder: Path, columns: Mapping[str, str], most: int, why: str) -> dict[str, NDArray[Any]]:
    """Read `runs.parquet`: columns of these names and types, without gaps, of at most as many rows as `why` says."""
    pyarrow = require("python -m experiments.leaderboard", "pyarrow")
    parquet = require("python -m experiments.leaderboard", "pyarrow.parquet")
    path = folder / RUNS
    _small(path, MOST_BYTES)
    try:
        with path.open("rb") as stream:
            file = parquet.ParquetFile(stream)
            found = {field.name: str(field.type) for field in file.schema_arrow}
            if found != dict(columns) or len(file.schema_arrow) != len(columns):
                wanted = ", ".join(f"{name} {kind}" for name, kind in columns.items())
                raise ResultsError(f"{path} has columns {shown(found, 200)}; expected {wanted}, and no other")
            if (rows := file.metadata.num_rows) > most:
                raise ResultsError(f"{path} has {rows:,} rows; {why} have {most:,}")
            table = file.read(use_threads=False)
    except ResultsError:
        raise
    except (OSError, pyarrow.ArrowException, ValueError) as error:
        raise ResultsError(f"{path} is damaged ({one_line(error)})") from error
    for name in columns:
        if table.column(name).null_count:
            raise ResultsError(f"{path}: column {name} has empty cells; every row has a value")
    return {name: table.column(name).to_numpy() for name in columns}


def rows_of_runs(
    folder: Path, seed: NDArray[np.int64], number: NDArray[np.int32], least: int, what: str
) -> NDArray[np.int64]:
    """(runs + 1,) where each run begins: seeds 0, 1, ..., and in each the numbers 1, 2, ... of what it did."""
    seeds, counts = np.unique(seed, return_counts=True)
    if len(missing := np.setdiff1d(np.arange(len(seeds)), seeds)):
        raise ResultsError(f"{folder}: seed {missing[0]} is missing; expected all from 0 to {seeds.max()}")
    if not least <= len(seeds) <= MOST_RUNS:
        raise ResultsError(f"{folder} has {len(seeds)} seeds; expected {least} to {MOST_RUNS}, from 0 on")
    begins = np.concatenate([[0], np.cumsum(counts)])
    in_order = np.arange(len(seed)) - np.repeat(begins[:-1], counts) + 1
    if not np.array_equal(seed, np.repeat(seeds, counts)) or not np.array_equal(number, in_order):
        raise ResultsError(
            f"{folder}: rows are not in order; expected seeds ascending, and {what} from 1 on without a gap in each"
        )
    return begins


def _small(path: Path, most: int) -> bool:
    """Refuse what is no file of at most so many bytes."""
    if not path.is_file():
        raise ResultsError(f"{path.parent} is no submission: there is no {path.name} in it")
    if (size := path.stat().st_size) > most:
        raise ResultsError(f"{path} has {size:,} bytes; expected at most {most:,}")
    return True


def _release(code: Mapping[str, Any]) -> str:
    found = code.get("versions")
    return str(found.get("nasbench-ar", "unknown") if isinstance(found, dict) else "unknown")


def _line(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()


def _text(value: Any) -> bool:
    return _line(value) and bool(value.strip())


def _code(value: Any) -> bool:
    if not (isinstance(value, dict) and _line(value.get("git_commit") or "")):
        return False
    found = value.get("versions", {})
    return isinstance(found, dict) and all(map(_text, found)) and all(map(_text, found.values()))


def _fingerprint(value: Any) -> bool:
    if not isinstance(value, dict) or not all(map(_text, value)):
        return False
    searcher, libraries = value.get("searcher"), value.get("libraries", {})
    return (
        isinstance(searcher, dict)
        and all(map(_text, searcher))
        and all(_text(text) for text in (searcher.get("_target_"), value.get("source"), value.get("version")))
        and all(_text(value.get(key)) for key in ("table", "table_hash", "objective"))
        and "table_seed" in value
        and isinstance(libraries, dict)
        and all(_text(key) and _text(libraries[key]) for key in libraries)
        and isinstance(value.get("constraint", ""), str)
    )


def _name(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


_FORMS = {
    "entry": (_name, f"a name: {NAME_RULE}"),
    "track": (lambda v: isinstance(v, dict) and _text(v.get("name")), "name and content of a track"),
    "fingerprint": (_fingerprint, "the fingerprint of config.yaml"),
    "computed_by": (lambda v: isinstance(v, list) and v and all(map(_code, v)), "commits and versions, at least one"),
    "cpu_seconds": (lambda v: type(v) is float and 0 <= v < math.inf, "processor time of a run, such as 1.5"),
    "tuned_on": (lambda v: isinstance(v, list) and all(map(_text, v)), "a list of names of tables"),
    "contact": (_line, "a line of text"),
}
