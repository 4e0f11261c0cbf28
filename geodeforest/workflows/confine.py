"""What a process gives up before it reads the files of strangers.

Memory, processor time, file sizes and open files are limited, new rights and the network are
out of reach, as far as the system allows. Loads nothing that reads rasters, and nothing that
only some systems have before it is called.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

BESIDE_BYTES = 512 * 2**20
"""What libraries hold beside the planned memory, or reserve and never touch, measured."""

_LEAST_BYTES = 512 * 2**20  # so that it can still say that a plan does not fit
_THREAD_BYTES = 16 * 2**20  # a stack of 8 MB, and what the allocator keeps for a thread
_ADDRESS_BYTES, _ADDRESS_THREAD_BYTES = 8 * 2**30, 256 * 2**20  # mapped libraries, arenas
_OPEN_FILES = 256

# A chip costs about a second, so these end only what does not end by itself.
_SECONDS, _CHIP_SECONDS = 300, 30

# Each pixel its own polygon would be 300 bytes of GeoJSON for two pixels.
_FILE_BYTES, _PX_BYTES = 2**30, 256

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # <linux/sched.h>
_SET_DEATH_SIGNAL, _NO_NEW_PRIVILEGES, _TERMINATE = 1, 38, 15  # <linux/prctl.h>, <signal.h>

_confined: list[int] = []


def is_confined() -> bool:
    """Whether this process has given up what strangers' files must not have."""
    return bool(_confined)


def confine(memory: int) -> None:
    """Give up all that reading local files in ``memory`` MB does not need, for good."""
    cpus = os.cpu_count() or 1
    data = max(memory * 2**20, _LEAST_BYTES) + BESIDE_BYTES + cpus * _THREAD_BYTES
    _limit("CORE", 0)
    _limit("NOFILE", _OPEN_FILES)
    _limit("DATA", data)
    _limit("AS", data + _ADDRESS_BYTES + cpus * _ADDRESS_THREAD_BYTES)
    if sys.platform == "linux":
        _leave_network()
        _call("prctl", _SET_DEATH_SIGNAL, _TERMINATE, 0, 0, 0)
        _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _confined.append(memory)
    allow_work(0, 0)


def allow_work(chips: int, pixels: int) -> None:
    """Let a confined process have the time and disk that so many chips and pixels may take."""
    if not _confined:
        return
    used = sum(os.times()[:2])
    _limit("CPU", int(used) + _SECONDS + _CHIP_SECONDS * chips)
    _limit("FSIZE", _FILE_BYTES + _PX_BYTES * pixels)


def _limit(name: str, most: int) -> None:
    import resource

    which = getattr(resource, f"RLIMIT_{name}", None)
    if which is None:
        return
    _, hard = resource.getrlimit(which)
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(OSError, ValueError):  # macOS refuses some of them
        resource.setrlimit(which, (soft, hard))


def _leave_network() -> None:
    """Move to a network without any device; where that is not allowed, all stays as it is."""
    if os.geteuid() == 0:  # whose rights over files another user namespace would take away
        _call("unshare", _NEW_NETWORK)
        return
    user, group = os.geteuid(), os.getegid()
    if _call("unshare", _NEW_USER | _NEW_NETWORK):
        for file, line in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with suppress(OSError):
                Path("/proc/self", file).write_text(line)


def _call(name: str, *numbers: int) -> bool:
    """Call a function of the C library that returns 0 where it succeeds."""
    import ctypes

    function: Any = getattr(ctypes.CDLL(None), name, None)
    return function is not None and function(*map(ctypes.c_ulong, numbers)) == 0
