"""Check a GPU, or a processor, in minutes: parity with float64, memory, speed, resume, two processes on a store.

    python -m datagen.check
    python -m datagen.check device=cuda:1 train.precision=fp16 deterministic=true > check.md

It prints a Markdown table for a report.  Images are noise, and handwritten digits for the two
processes; no file is needed and nothing is kept.  Its own key is

  arch=                    WRN-34-10, or 4-8-4-8-4-8 on a processor

The others are keys of `datagen.run`: `device`, `seed`, `threads`, `compile`,
`channels_last`, `deterministic`, `overhead_gb`, `train.loss`, `train.precision`,
`train.batch`, which is 128 or 32 on a processor, and `space.unit_channels`, 16 or 1.  A
processor takes one thread unless `threads` says more.

Exit codes: 0; 1 when a check failed; 2 for anything the user can mend.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datagen.config import parse_command_line
from nasbench_ar.system.command import run_command
from nasbench_ar.system.key_values import check_keys, parse_words

if TYPE_CHECKING:
    from datagen.device_checks import Row, Setup

OWN_KEYS: dict[str, Any] = {"arch": ""}
OF_RUN = (
    *("device", "seed", "threads", "compile", "channels_last", "deterministic", "overhead_gb"),
    *("train.batch", "train.loss", "train.precision", "space.unit_channels"),
)
SIZES = {"cuda": ("5-10-5-10-5-10", 16, 128), "cpu": ("4-8-4-8-4-8", 1, 32)}  # architecture, channels at width 1, batch
RESULTS = {True: "ok", False: "FAILED", None: ""}


def prepare(words: Sequence[str]) -> Setup:
    """Read the words, and choose device, precision and network."""
    from datagen.device_checks import Setup
    from datagen.hardware import choose_device

    mine = [word for word in words if word.partition("=")[0] in OWN_KEYS]
    rest = [word for word in words if word not in mine]
    own = parse_words(mine, OWN_KEYS)
    given = [word.partition("=")[0] for word in rest]
    check_keys(given, [*OWN_KEYS, *OF_RUN])
    config = parse_command_line(["archs=all", *rest])
    kind = choose_device(config.device).type
    name, channels, batch = SIZES[kind]
    if kind == "cpu" and "threads" not in given:  # more of them only wait for each other on a busy machine
        config.threads = 1
    if "space.unit_channels" not in given:
        config.space.unit_channels = channels
    if "train.batch" not in given:
        config.train.batch = batch
    space = config.space.for_images(size=32, channels=3, classes=10)
    return Setup.of(config, space, space.parse(own["arch"] or name))


def header(setup: Setup) -> str:
    """What was checked, where, and with which versions."""
    from datagen.hardware import describe_code, describe_hardware, device_name

    hardware, code, config = describe_hardware(setup.device), describe_code(), setup.config
    versions = {**code["versions"], **{key: hardware[key] for key in ("cuda", "cudnn", "driver") if hardware[key]}}
    how = {"train.precision": setup.precision, "train.batch": config.train.batch, "train.loss": config.train.loss}
    how |= {"channels_last": setup.channels_last, "compile": setup.compiled, "deterministic": config.deterministic}
    macs = setup.space.macs(setup.architecture)
    return "\n".join(
        [
            f"datagen.check on {device_name(setup.device)}, {hardware['threads']} threads, {hardware['system']}",
            f"arch={setup.architecture} space.unit_channels={setup.space.unit_channels} ({macs:,} MACs) "
            + " ".join(f"{key}={str(value).lower()}" for key, value in how.items()),
            f"commit {code['git_commit'] or 'unknown'}; {', '.join(f'{k} {v}' for k, v in versions.items())}",
        ]
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown; the last column says which checks passed."""
    cells: list[tuple[str, ...]] = [("check", "measured", "expected", "result"), ("---",) * 4]
    cells += [(row.check, row.measured, row.expected, RESULTS[row.passed]) for row in rows]
    return "\n".join(f"| {' | '.join(text.replace('|', '/') for text in line)} |" for line in cells)


def check(words: list[str]) -> int:
    setup = prepare(words)

    import torch

    from datagen.device_checks import carry_out
    from datagen.hardware import choice_of_kernels

    if setup.config.threads is not None:
        torch.set_num_threads(setup.config.threads)
    print(f"{header(setup)}\n", flush=True)
    with choice_of_kernels(setup.device, deterministic=setup.config.deterministic):
        rows = carry_out(setup)
    print(table(rows))
    failed = sum(row.passed is False for row in rows)
    print(f"\n{failed} of {sum(row.passed is not None for row in rows)} checks failed" if failed else "\nall passed")
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command(check, arguments)


if __name__ == "__main__":
    sys.exit(main())
