"""Why a training has no entry: one file that counts attempts and interruptions.

    failures/5-10-5-10-5-10-seed0.json
    {"format": "datagen-failure", "format_version": 1, "arch": ..., "seed": 0,
     "attempts": 2, "interruptions": 1,
     "errors": [{"time": "2024-05-06T07:08:09Z", "host": ..., "device": ..., "error": ...}, ...]}

An *attempt* has failed: the training diverged, memory ran out.  An *interruption* is a
worker that died or vanished; it says nothing about the training and counts to no limit.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nasbench_ar.errors import ResultsError, one_line, shown
from nasbench_ar.system import checked_json as checked

FORMAT = "datagen-failure"
FORMAT_VERSION = 1
KEPT_ERRORS = 5
TEXT_LENGTH = 500


@dataclass(frozen=True)
class Failure:
    """What went wrong with one training so far; `errors` are the last ones: time, host, device, error."""

    arch: str
    seed: int
    attempts: int = 0
    interruptions: int = 0
    errors: tuple[dict[str, str], ...] = ()

    @property
    def last_error(self) -> str:
        return self.errors[-1]["error"] if self.errors else ""

    def failed(self, error: str, device: str) -> Failure:
        text = (error.splitlines() or [""])[0][:TEXT_LENGTH]
        now = {"time": utc_time(), "host": socket.gethostname(), "device": device, "error": text}
        return replace(self, attempts=self.attempts + 1, errors=(*self.errors, now)[-KEPT_ERRORS:])

    def interrupted(self) -> Failure:
        return replace(self, interruptions=self.interruptions + 1)

    def to_bytes(self) -> bytes:
        content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}
        return json.dumps(content, indent=1).encode() + b"\n"


def read_failure(path: Path) -> Failure | None:
    """None where there is no file."""
    remedy = "remove it, and the training is tried again"
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path} is damaged: not valid JSON ({error}); {remedy}") from error
    try:
        if content["format"] != FORMAT or content["format_version"] != FORMAT_VERSION:
            found = f"{shown(content['format'])} version {shown(content['format_version'])}"
            raise ResultsError(f"{path} has format {found}; this release reads {FORMAT!r} version {FORMAT_VERSION}")
        return _failure(content)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {one_line(error)}"
        raise ResultsError(f"{path} is no whole failure ({problem}); {remedy}") from error


def _failure(content: dict[str, Any]) -> Failure:
    errors = tuple(
        {name: checked.text(line[name]) for name in ("time", "host", "device", "error")} for line in content["errors"]
    )
    counts = {name: checked.count(content[name]) for name in ("seed", "attempts", "interruptions")}
    return Failure(arch=checked.line(content["arch"]), errors=errors, **counts)


def utc_time(seconds: float | None = None) -> str:
    """`2024-05-06T07:08:09Z`, now or at a time in seconds since 1970."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
