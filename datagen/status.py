"""How far a store is: done, running, failed, missing, how fast, and until when.

    python -m datagen.status store=entries
    python -m datagen.status store=entries archs=1-100 seeds=0,1 json=true

Keys: `store`; `archs` as in `datagen.run`, and `seeds` (both: what commands of `datagen.run`
asked for, and whatever else the store has anything of; `archs=all` counts the whole space);
`lease` (seconds, as the workers have it); `json` (false: tables for people).  Nothing is
written but, for a moment, an empty file in `claims/`, whose time is the file server's.

Entries are counted by their names and the times of their files, and not read; workers
may go on meanwhile.  Estimates weigh every training by the MACs of its network.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from datagen.selection import select_seeds
from datagen.store.failures import Failure, utc_time
from datagen.store.folder import LEASE_SECONDS, EntryStore
from datagen.workers.progress import HOUR_SECONDS, Rate, Running, Status, look
from nasbench_ar.errors import ConfigError, quotable
from nasbench_ar.system.command import run_command
from nasbench_ar.system.key_values import parse_words

DEFAULTS = {"store": "entries", "archs": "", "seeds": "", "lease": str(LEASE_SECONDS), "json": False}
MOST_LINES = 20


def as_json(status: Status) -> dict[str, Any]:
    """Plain data for programs; times are UTC."""
    return {
        "store": status.store,
        "profile": status.profile,
        "protocol_sha256": status.protocol_sha256,
        "time": utc_time(status.now),
        "counts": {str(seed): count for seed, count in status.counts.items()},
        "running": [
            {
                "arch": one.arch,
                "seed": one.seed,
                "epoch": one.epoch,
                "epochs": one.epochs,
                "host": one.holder.host,
                "pid": one.holder.pid,
                "device": one.holder.device,
                "since": utc_time(one.holder.began),
                "last_sign_of_life_seconds": round(one.holder.age, 1),
            }
            for one in status.running
        ],
        "failed": [asdict(one) for one in status.failed],
        "last_hour": _rate_json(status.last_hour),
        "overall": _rate_json(status.overall),
        "pace": _rate_json(status.pace),
        "remaining_macs": status.remaining_macs,
        "estimated_end": None if status.ends is None else utc_time(status.ends),
    }


def _rate_json(rate: Rate) -> dict[str, float]:
    return {"trainings": rate.trainings, "macs": rate.macs, "seconds": round(rate.seconds, 1)}


def as_text(status: Status) -> str:
    """Tables for people; times are local."""
    lines = [f"{status.store}: profile {status.profile}, protocol {status.protocol_sha256[:12]}", ""]
    columns = ("asked", "done", "running", "failed", "missing")
    lines.append("".join(["seed".rjust(6), *(name.rjust(9) for name in columns)]))
    for seed, count in status.counts.items():
        begun = f"  ({count['begun']} of the missing begun)" if count["begun"] else ""
        lines.append("".join([str(seed).rjust(6), *(str(count[name]).rjust(9) for name in columns), begun]))
    if status.running:
        lines += ["", "running"]
        lines += _shortened([_running_line(one) for one in status.running])
    if status.failed:
        lines += ["", "failed"]
        lines += _shortened([_failed_line(one) for one in status.failed])
    lines.append("")
    for title, rate in (("last hour", status.last_hour), ("overall", status.overall)):
        if rate.trainings and rate.seconds:
            lines.append(f"{title + ':':10} {_many(rate)} in {_span(rate.seconds)}")
    if status.ends is not None:
        end = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.ends))
        left = _span(status.ends - status.now)
        hourly = f"{status.pace.trainings / status.pace.seconds * HOUR_SECONDS:.3g} an hour"
        basis = f"{_many(status.pace)} in {_span(status.pace.seconds)}, {hourly}"
        lines.append(f"estimated end: {end}, in {left}, weighted by MACs ({basis})")
    elif status.remaining_macs:
        lines.append("estimated end: unknown until an epoch or a training is done")
    elif any(count["asked"] for count in status.counts.values()):
        lines.append("nothing is missing")
    else:
        lines.append("nothing was asked for yet")
    if status.space is not None:
        lines.append(f"counted is what was asked for; archs=all counts all {status.space} architectures of the space")
    return "\n".join(lines)


def _many(rate: Rate) -> str:
    return f"{rate.trainings} training{'' if rate.trainings == 1 else 's'}"


def _running_line(one: Running) -> str:
    stored = "before its first checkpoint"
    if one.epoch is not None:
        stored = f"epoch {one.epoch} ({one.epoch + 1} of {one.epochs}) stored"
    return f"  {one.arch} seed {one.seed}: {stored}; {one.holder}; last sign of life {one.holder.age:.0f} s ago"


def _failed_line(one: Failure) -> str:
    broken = f", interruptions {one.interruptions}" if one.interruptions else ""
    return f"  {one.arch} seed {one.seed}: failed attempts {one.attempts}{broken}; {one.last_error}"


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], f"  and {more} more: json=true lists them"] if more > 0 else lines


def _span(seconds: float) -> str:
    hours = seconds / HOUR_SECONDS
    return f"{seconds / 60:.0f} min" if hours < 2 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def describe(words: Sequence[str]) -> str:
    given = parse_words(words, DEFAULTS)
    try:
        lease = float(given["lease"])
    except ValueError:
        lease = 0.0
    if not 0 < lease < math.inf:
        raise ConfigError(f"lease={quotable(given['lease'])}: expected a number of seconds above 0")
    store = EntryStore(given["store"], lease)
    status = look(store, given["archs"] or None, select_seeds(given["seeds"]) if given["seeds"] else None)
    return json.dumps(as_json(status), indent=1) if given["json"] else as_text(status)


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(describe, arguments)


if __name__ == "__main__":
    sys.exit(main())
