"""Code that is killed at a step of its own choosing, in a process of its own."""

import subprocess
import sys

# Counts calls that change what is on the disk; the one after so many is never made.
_COUNTED = """
import os, signal, sys
from pathlib import Path
import numpy as np
folder, after, steps = Path(sys.argv[1]), int(sys.argv[2]), 0
def step(call):
    def counted(*given, **options):
        global steps
        steps += 1
        if steps > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **options)
    return counted
for module, names in ((os, ("fsync", "rename", "replace", "unlink", "rmdir")), (np, ("savez",))):
    for name in names:
        setattr(module, name, step(getattr(module, name)))
"""


def run(code, folder, after):
    """Runs `code`, which may use `folder`, and kills it after so many steps.

    Returns:
        int, its exit status: 0 where it came to its end before.
    """
    command = [sys.executable, "-c", _COUNTED + code, str(folder), str(after)]
    return subprocess.run(command).returncode
