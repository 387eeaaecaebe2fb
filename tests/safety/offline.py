"""Run a command to which the network is denied: it is killed when it asks for it.

    python -m tests.safety.offline -m benchmarks artifacts/edge

The kernel (seccomp) does it, for the command and for every process that it starts, so that
native code can't escape it: no process gets an internet socket, and the question ends it.
Two kinds are refused and no more, since libraries ask for them to look at this machine alone:
TCP over IPv6 (urllib3, which TensorFlow imports: is there any?) and UDP over IPv4 without
flags (libuuid: what is the network card's address?). The resolver asks for another kind.
"""

import ctypes
import errno
import os
import platform
import signal
import socket
import struct
import sys

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38  # <linux/prctl.h>
_FILTER_MODE = 2
# Number of the system call `socket`, by machine.
_SOCKET = {"x86_64": 41, "aarch64": 198}
IS_POSSIBLE = sys.platform == "linux" and platform.machine() in _SOCKET
KILLED = -signal.SIGSYS

# Of a classic BPF program: load a word of `struct seccomp_data`, jump if equal, return.
_LOAD, _AND, _IF_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_NUMBER_AT, _FAMILY_AT, _TYPE_AT, _TYPES = 0, 16, 24, 0xF
_KILL_PROCESS, _REFUSE, _ALLOW = 0x80000000, 0x00050000 | errno.EAFNOSUPPORT, 0x7FFF0000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def deny() -> None:
    """Denies the network to this process and to all that it starts, for good."""
    instructions = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            # Two numbers after a test: how many instructions it leaves out if it holds, if not.
            (_LOAD, 0, 0, _NUMBER_AT),
            (_IF_EQUAL, 0, 10, _SOCKET[platform.machine()]),
            (_LOAD, 0, 0, _FAMILY_AT),
            (_IF_EQUAL, 4, 0, socket.AF_INET),
            (_IF_EQUAL, 0, 7, socket.AF_INET6),
            (_LOAD, 0, 0, _TYPE_AT),
            (_AND, 0, 0, _TYPES),
            (_IF_EQUAL, 3, 2, socket.SOCK_STREAM),
            (_LOAD, 0, 0, _TYPE_AT),
            (_IF_EQUAL, 1, 0, socket.SOCK_DGRAM),
            (_RETURN, 0, 0, _KILL_PROCESS),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = _Program(len(instructions) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "the network can't be denied")


if __name__ == "__main__":
    deny()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
