"""The machine that a figure was measured on: its fingerprint, its cores."""

import os
import platform
from pathlib import Path

import numpy as np


def fingerprint():
    """What tells two machines' figures apart, a dict; nothing that names the machine."""
    return {
        "processor": _processor(),
        "cpu_count": os.cpu_count(),
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _processor():
    """The processor's name, from the place that each kind of machine keeps it in."""
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def _text(path):
    """A small file's text, None where it can't be read."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def cores_for(threads):
    """The cores to pin a process of so many threads to.

    The last ones: the first core is where Linux serves most interrupts.

    Args:
        threads: How many threads a call may use.

    Returns:
        tuple of int, sorted; None where the system can't pin or has too few cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    available = sorted(os.sched_getaffinity(0))
    return tuple(available[-threads:]) if len(available) >= threads else None
