"""Make a submission to the leaderboard of an entry in a track.

    python -m experiments.track name=macs-10g searcher=bananas
    python -m experiments.submit results/nares-figures/track-macs-10g/bananas contact=me@example.org

It goes to `<out>/<track>/<entry>/`: `entry.yaml` says what was run, `runs.parquet` every
query.  What the leaderboard would refuse is refused here.

  contact=                     a line that is printed beside the entry
  tuned_on=                    tables that the searcher's arguments were chosen on, as a,b, or
                               none; known for the searchers of the toolkit as they come
  out=submissions              folder to write to
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.races.checks import stored_race
from experiments.races.race import Race
from experiments.races.store import RunStore
from experiments.races.suite import load_suite
from experiments.races.track import load_track
from experiments.results.read import read
from experiments.results.traces import read_results
from experiments.results.track import PREFIX
from experiments.submissions import queries, trainings
from experiments.submissions.check import check, race_of
from experiments.submissions.entry import (
    ENTRY,
    RUNS,
    SUBMISSIONS,
    Entry,
    default_of,
    track_content,
    tuned_tables,
    write_entry,
)
from nasbench_ar import ConfigError, ResultsError, load
from nasbench_ar.errors import shown
from nasbench_ar.library import installed
from nasbench_ar.system.command import run_command
from nasbench_ar.system.extras import require
from nasbench_ar.system.key_values import parse_words

DEFAULTS = {"contact": "", "tuned_on": "", "out": SUBMISSIONS}
NONE = "none"


def submit(folder: Path, *, contact: str, tuned_on: str, out: Path) -> Path:
    """Write and check the submission of a result folder `<out>/<table>/track-<name>/<entry>`; returns its folder."""
    name = folder.resolve().parent.name
    if not name.startswith(PREFIX):
        raise ConfigError(f"{folder} is no entry of a track; expected <out>/<table>/{PREFIX}<name>/<entry>")
    track = load_track(name.removeprefix(PREFIX))
    race, config = stored_race(folder, fidelity=track.fidelity)
    tables = _tuned_on(tuned_on, race)
    race_of(folder, race.fingerprint, track, load(track.table, quiet=True))
    if track.fidelity:
        columns = trainings.columns_of(read_results(folder).traces)
    else:
        columns = queries.columns_of(read(folder).runs, track.queries)
    seconds = RunStore(folder).cpu_seconds(np.unique(columns["seed"]).tolist())
    if np.isnan(seconds).any():
        raise ResultsError(
            f"{folder}: {np.isnan(seconds).sum()} of {len(seconds)} runs do not say the processor time that they took; "
            "run them anew, by another entry="
        )
    entry = Entry(
        entry=folder.resolve().name,
        track=track_content(track),
        fingerprint=race.fingerprint,
        computed_by=tuple(config.get("computed_by", ())),
        cpu_seconds=round(float(seconds.mean()), 4),
        tuned_on=tables,
        contact=contact,
    )
    target = out / track.name / entry.entry
    write_entry(target, entry, columns)
    try:
        check(target, reruns=0)
    except ResultsError:
        for part in (ENTRY, RUNS):
            (target / part).unlink()
        raise
    return target


def _tuned_on(given: str, race: Race) -> tuple[str, ...]:
    if given:
        tables = () if given == NONE else tuple(filter(None, map(str.strip, given.split(","))))
        known = {*installed(), *(task.table for task in load_suite())}
        for name in tables:
            if name not in known and (meant := difflib.get_close_matches(name, known, n=1)):
                raise ConfigError(f"tuned_on: there is no table {shown(name)}; did you mean {meant[0]}?")
        return tables
    if found := default_of(race):
        return tuned_tables(found)
    raise ConfigError(f"tuned_on= is missing: tables that the searcher's arguments were chosen on, as a,b, or {NONE}")


def main(arguments: Sequence[str]) -> None:
    require("python -m experiments.submit", "pyarrow")
    folders = [word for word in arguments if "=" not in word]
    words = parse_words([word for word in arguments if "=" in word], DEFAULTS)
    if len(folders) != 1:
        raise ConfigError(
            f"expected one result folder, given were {len(folders)}: results/<table>/{PREFIX}<name>/<entry>"
        )
    if not words["contact"].isprintable():
        raise ConfigError(f"contact={shown(words['contact'])}: expected one line of text")
    target = submit(Path(folders[0]), contact=words["contact"], tuned_on=words["tuned_on"], out=Path(words["out"]))
    size = sum((target / part).stat().st_size for part in (ENTRY, RUNS))
    print(f"{target}: {ENTRY} {RUNS}, {size / 1000:.0f} kB; python -m experiments.leaderboard check {target}")


if __name__ == "__main__":
    sys.exit(run_command(main))
