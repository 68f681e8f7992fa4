"""The suite: many tasks, each a race on a table, some to tune on and the others to report on.

The toolkit's is `experiments/suite.yaml`; any file of that form is a suite too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from experiments.races.config import RACES, Front, check_images
from experiments.races.plain_yaml import from_yaml
from nasbench_ar import ConfigError
from nasbench_ar.errors import first_line, shown
from nasbench_ar.system.key_values import check_keys, checked_value, known_keys
from nasbench_ar.table_writer import NAME, NAME_RULE

USES = ("tuning", "report")
OPEN = ("searcher", "runs", "queries", "seed", "jobs", "engine", "dask", "out", "overwrite", "name", "quiet", "foot")


@dataclass(frozen=True)
class Task:
    """One race of a suite; `objective`, `noise` and `images` are those of `RunConfig`.

    Attributes:
        task: name, and that of its result folder.
        family: tasks of one origin, which count as one together.
        use: tuning, when defaults of searchers may be chosen on it, or report.
    """

    task: str
    family: str
    use: str
    table: str
    objective: str | None = None
    noise: str = "none"
    images: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What the task says of its race."""
        return {name: getattr(self, name) for name in ("table", "objective", "noise", "images")}


def front() -> Front:
    """The keys that a command on a suite takes."""
    return replace(RACES, hidden=tuple(key for key in known_keys(RACES.schema) if key not in OPEN))


def load_suite(path: str | None = None) -> list[Task]:
    """The toolkit's tasks, or those of a file."""
    try:
        if path is None:
            text, name = (resources.files("experiments") / "suite.yaml").read_text(encoding="utf-8"), "suite.yaml"
        else:
            text, name = Path(path).read_text(encoding="utf-8"), path
        content = from_yaml(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read the suite {shown(path)}: {first_line(error)}") from error
    if not isinstance(content, list) or not content:
        raise ConfigError(
            f"suite {shown(name)}: expected a list of tasks, as `- {{task: a, family: b, use: report, ...}}`"
        )
    tasks: list[Task] = []
    for number, given in enumerate(content, start=1):
        try:
            tasks.append(_task(given, tasks))
        except ConfigError as error:
            raise ConfigError(f"suite {shown(name)}, task {number}: {error}") from error
    return tasks


def _task(given: object, before: Sequence[Task]) -> Task:
    if not isinstance(given, dict):
        raise ConfigError(f"expected keys and values; given: {shown(given)}")
    check_keys(map(str, given), known_keys(Task))
    if lacking := [key for key in ("task", "family", "use", "table") if key not in given]:
        raise ConfigError(f"{lacking[0]} is missing")
    task = Task(**{key: checked_value(Task, key, value) for key, value in given.items()})
    if not NAME.fullmatch(task.task):
        raise ConfigError(f"task: {shown(task.task)} cannot name a folder; {NAME_RULE}")
    if task.use not in USES:
        raise ConfigError(f"use: {shown(task.use)}: expected {' or '.join(USES)}")
    if task.noise not in ("none", "run"):
        raise ConfigError(f"noise: {shown(task.noise)}: expected none or run")
    check_images(task.images, task.noise)
    if "," in (task.objective or ""):
        raise ConfigError(f"objective: {task.objective}: a task has one objective")
    if task.task in [other.task for other in before]:
        raise ConfigError(f"task: {task.task} is there twice")
    return task
