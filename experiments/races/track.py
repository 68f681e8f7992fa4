"""Tracks: races that name all that decides who is better, each in a small file.

    about: The most robust network of at most 10 billion MACs.
    table: nares-figures
    constraint: macs<=10e9
    queries: 500
    judge: test_pgd_acc

Those of the toolkit lie in `experiments/tracks/`; any other file of that form is a track too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from experiments.races.config import FIDELITY_RACES, RACES, Front, check_images
from experiments.races.plain_yaml import from_yaml
from nasbench_ar import ConfigError, Grid, SearchSpace
from nasbench_ar.constraints import read_limits
from nasbench_ar.errors import first_line, shown
from nasbench_ar.system.key_values import check_keys, checked_value, known_keys
from searchers import ALL_SEARCHERS, BASELINES, FOR_VECTORS, SEARCHERS, VectorSearcher

OBJECTIVE = "objective"
HYPERVOLUME = "hypervolume"
RULES = ("observed", "model", "space")  # for what a run recommends (`results.recommendation`)
LEAST = 10  # scores that a model needs; a run with fewer recommends the best observed
ENDING = ".yaml"
# What a track leaves to who runs it.
OPEN = ("searcher", "table", "runs", "seed", "jobs", "engine", "dask", "out", "overwrite", "quiet", "foot")


@dataclass(frozen=True)
class Track:
    """A race of its own; fields that races have are those of `RunConfig` or `FidelityConfig`, with their defaults.

    Attributes:
        judge: metric of what runs recommend, `objective`, or `hypervolume` for several objectives.
        recommend: rule that says what a run recommends: observed, model or space.
        fidelity: whether epochs are bought along learning curves.
    """

    name: str
    about: str
    table: str
    judge: str = OBJECTIVE
    recommend: str = "observed"
    fidelity: bool = False
    objective: str | None = None
    queries: int = 500
    constraint: str | None = None
    noise: str = "none"
    images: int | None = None
    budget: float | None = None
    unit: str = "epochs"
    workers: int = 1

    @property
    def several(self) -> bool:
        """Whether there are several objectives."""
        return "," in (self.objective or "")

    @property
    def front(self) -> Front:
        """The keys that a command on this track takes, and the searchers that can take part."""
        base = FIDELITY_RACES if self.fidelity else RACES
        return replace(base, hidden=tuple(key for key in known_keys(base.schema) if key not in OPEN))

    @property
    def settings(self) -> dict[str, Any]:
        """What the track says of its races."""
        names = ("objective", "budget", "unit", "workers") if self.fidelity else ("objective", "queries", "constraint")
        more = () if self.fidelity else ("noise", "images")
        return {name: getattr(self, name) for name in (*names, *more)}

    def searchers_in(self, space: Grid) -> tuple[str, ...]:
        """Those that take part without being named; without search only where costs are known."""
        if self.fidelity:
            return tuple(FIDELITY_RACES.searchers)
        if self.several:
            return tuple(n for n, cls in ALL_SEARCHERS.items() if cls in FOR_VECTORS or issubclass(cls, VectorSearcher))
        return (*SEARCHERS, *(BASELINES if isinstance(space, SearchSpace) else ()))


def tracks() -> list[str]:
    """Names of the toolkit's tracks."""
    return [path.name.removesuffix(ENDING) for path in _files()]


def load_track(name: str) -> Track:
    """A track by its name, or by the path of its file."""
    if not name.endswith(ENDING):
        for path in _files():
            if path.name == name + ENDING:
                return _read(name, path.read_text())
        raise ConfigError(
            f"name={shown(name)}: there is no such track; {', '.join(tracks())}, all, or a file *{ENDING}"
        )
    try:
        return _read(Path(name).stem, Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read track {shown(name)}: {first_line(error)}") from error


def _files() -> list[Any]:
    folder = resources.files("experiments") / "tracks"
    return sorted((path for path in folder.iterdir() if path.name.endswith(ENDING)), key=lambda path: str(path.name))


def _read(name: str, text: str) -> Track:
    try:
        content = from_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"track {name}: {first_line(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"track {name}: expected lines of key: value, as `queries: 500`")
    try:
        keys = [key for key in known_keys(Track) if key != "name"]
        check_keys(map(str, content), keys)
        if lacking := [key for key in ("about", "table") if key not in content]:
            raise ConfigError(f"{lacking[0]} is missing")
        track = Track(name=name, **{key: checked_value(Track, key, value) for key, value in content.items()})
        _check(track, content)
    except ConfigError as error:
        raise ConfigError(f"track {name}: {error}") from error
    return track


def _check(track: Track, content: Mapping[str, Any]) -> None:
    """What a race itself does not refuse."""
    for key in content:
        fits = key in ("about", "table", "judge", "fidelity", *track.settings) or (
            key == "recommend" and not (track.fidelity or track.several)
        )
        if not fits:
            raise ConfigError(f"{key} is not for {'learning curves' if track.fidelity else 'this kind of track'}")
    if track.several != (track.judge == HYPERVOLUME):
        raise ConfigError(f"judge: {track.judge}: hypervolume judges several objectives, and nothing else does")
    if track.recommend not in RULES:
        raise ConfigError(f"recommend: {track.recommend}: expected one of {', '.join(RULES)}")
    if track.recommend != RULES[0] and track.queries < LEAST:
        raise ConfigError(
            f"recommend: {track.recommend}: a model needs {LEAST} scores, and queries: {track.queries}; "
            f"give {LEAST} queries or more, or recommend: {RULES[0]}"
        )
    if track.noise == "query":
        raise ConfigError("noise: query: expected none or run; with run, all searchers of a seed see the same")
    check_images(track.images, track.noise)
    read_limits(track.constraint)  # the table knows its metrics
