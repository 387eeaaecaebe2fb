"""Describes the machine of a benchmark run, and picks the cores to pin to."""

import dataclasses
import os
import platform
from pathlib import Path

import numpy as np

from mnist_edge.schema import Count, Text


@dataclasses.dataclass(frozen=True)
class Machine:
    """Hardware and software that affect a benchmark; nothing identifies the individual machine.

    Attributes:
        processor: Name of the processor.
        cpu_count: Number of logical processors.
        governor: Linux's CPU frequency governor; None if unknown.
        platform: The operating system.
        python: Python version.
        numpy: NumPy version.
    """

    processor: Text
    cpu_count: Count | None
    governor: Text | None
    platform: Text
    python: Text
    numpy: Text


def fingerprint() -> Machine:
    """Describes the machine that this runs on."""
    return Machine(
        processor=_processor(),
        cpu_count=os.cpu_count(),
        governor=_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        platform=platform.platform(),
        python=platform.python_version(),
        numpy=np.__version__,
    )


def _processor() -> str:
    """Returns the processor's name: from `/proc/cpuinfo`, or else from `platform`."""
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def _text(path: str) -> str | None:
    """Reads a small file; None if it can't be read."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def cores_for(threads: int) -> tuple[int, ...] | None:
    """Returns the cores to pin a process of `threads` threads to, sorted.

    These are the last ones, since Linux handles most interrupts on the first. None if the system
    can't pin processes or has too few cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    available = sorted(os.sched_getaffinity(0))
    return tuple(available[-threads:]) if len(available) >= threads else None
