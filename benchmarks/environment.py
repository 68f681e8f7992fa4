"""What a measurement was made on, for the head of every result."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path


def describe(*packages: str) -> str:
    """Hardware and versions, one fact a line.

    Args:
        packages: distributions to name besides NumPy.
    """
    from nasbench_ar.system.versions import cpu_model, versions  # not with this module, whose importers are measured

    found = versions(("numpy", *packages))
    lines = [
        f"cpu: {cpu_model()}, {usable_cpus()} cores usable",
        f"memory: {_memory()}",
        f"system: {platform.system()} {platform.release()}",
        f"python: {platform.python_version()} ({platform.python_implementation()})",
    ]
    lines += [f"{package}: {found.get(package, 'not installed')}" for package in ("numpy", *packages)]
    return "\n".join(lines)


def command_line(module: str) -> str:
    """The command as a reader would type it in the repository's root."""
    return " ".join(["$ python -m", module, *sys.argv[1:]])


def usable_cpus() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory_mib() -> float:
    """Most memory this process has held at once, in MiB."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:  # not Linux
        pass
    # On Linux this would count the parent's memory too, from before the program was started.
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # no POSIX
        return "unknown"
    return f"{size / 2**30:.0f} GiB"
