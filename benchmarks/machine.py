"""The machine that a figure was measured on: its fingerprint, its cores."""

import dataclasses
import os
import platform
from pathlib import Path

import numpy as np

from mnist_edge.schema import Count, Text


@dataclasses.dataclass(frozen=True)
class Machine:
    """What tells two machines' figures apart, and nothing that names the machine.

    Attributes:
        processor: Its name.
        cpu_count: Number of its processors.
        governor: How Linux sets their frequency; None where not told.
        platform: The operating system.
        python: Version.
        numpy: Version.
    """

    processor: Text
    cpu_count: Count | None
    governor: Text | None
    platform: Text
    python: Text
    numpy: Text


def fingerprint() -> Machine:
    """The machine that this runs on."""
    return Machine(
        processor=_processor(),
        cpu_count=os.cpu_count(),
        governor=_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        platform=platform.platform(),
        python=platform.python_version(),
        numpy=np.__version__,
    )


def _processor() -> str:
    """The processor's name, from the place that each kind of machine keeps it in."""
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def _text(path: str) -> str | None:
    """A small file's text, None where it can't be read."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def cores_for(threads: int) -> tuple[int, ...] | None:
    """The cores to pin a process of so many threads to, sorted.

    The last ones: the first core is where Linux serves most interrupts. None where the system
    can't pin or has too few cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    available = sorted(os.sched_getaffinity(0))
    return tuple(available[-threads:]) if len(available) >= threads else None
