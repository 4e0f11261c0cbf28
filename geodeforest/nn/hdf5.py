"""HDF5 files from elsewhere, read with bounds: what lies in the file itself, and nothing else.

Links, data in other files, virtual and packed data are refused, so that no file reads what
its user did not name, and none takes more memory than its own size. Knows no layer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from itertools import count
from typing import Any

import h5py

ENTRIES_LIMIT = 1_000
"""Layers of a file, and weights of a layer; the largest known network has 150 layers."""


LOOK_SECONDS = 30
"""Processor time of a first look; the published network's file takes half a second."""

_LOOK_BYTES = 4 * 2**30  # of addresses, which libraries reserve far more of than they use


def look_first(code: str, argument: str, seconds: float, content: bytes = b"") -> str | None:
    """Let a process of its own read a file, before this one does; what speaks against the file.

    With one wrong byte in a list of names HDF5 (1.14.6) reads for ever, and other damage
    may end the process. Nothing of that reaches this one. ``code`` is Python that gets
    ``argument`` and, on stdin, ``content``; a refusal is its exit code 1 and last line. Returns
    that line, "" where the process ended in any other way, and None where nothing is wrong.
    """
    own = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, argument],
            input=content,
            capture_output=True,
            env={**os.environ, **own},
            timeout=4 * seconds,
        )
    except subprocess.TimeoutExpired:
        return ""
    if not done.returncode:
        return None
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if done.returncode == 1 and lines else ""


def limit_process(seconds: int) -> None:
    """End this process after so much processor time, and let it have 4 GB of addresses."""
    with suppress(ImportError):  # only POSIX has it; elsewhere the clock alone ends it
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (_LOOK_BYTES, _LOOK_BYTES))


def own(group: h5py.Group, name: str, kind: type) -> Any:
    """An entry of ``group`` that is of this ``kind`` and lies in the file itself.

    Raises:
        ValueError: missing, a link, of another kind, or with its bytes elsewhere.
    """
    if "/" in name or name in ("", "."):
        raise ValueError(f"{name[:80]!r} is not the name of an entry")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{name} is missing or a link")
    entry = group[name]
    elsewhere = isinstance(entry, h5py.Dataset) and (entry.external or entry.is_virtual)
    if elsewhere or not isinstance(entry, kind):
        raise ValueError(f"{group.name}/{name} is not a {kind.__name__.lower()} of this file")
    return entry


def own_dataset(group: h5py.Group, path: str) -> h5py.Dataset:
    """The dataset at ``path`` below ``group``, each step of it in the file itself, all stored.

    Raises:
        ValueError: like ``own``; or packed, or not written out.
    """
    *parents, name = path.split("/")
    for parent in parents:
        group = own(group, parent, h5py.Group)
    data = own(group, name, h5py.Dataset)
    if data.chunks is not None or data.id.get_storage_size() != data.nbytes:
        raise ValueError(f"{data.name} is packed or not written out")
    return data


def words(group: h5py.Group, name: str) -> list[str]:
    """A list of names as Keras 2 keeps it: an attribute of texts.

    Long lists are cut into ``name0``, ``name1`` and so on; an empty one has no texts.

    Raises:
        ValueError: missing, of another type, or too long.
    """
    if name in group.attrs:
        return _words(group, name)
    found: list[str] = []
    for number in count():
        if f"{name}{number}" not in group.attrs:
            break
        found += _words(group, f"{name}{number}")
        _check_count(len(found), name)
    if not found:
        raise ValueError(f"{group.name} has no {name}")
    return found


def _words(group: h5py.Group, name: str) -> list[str]:
    kept = group.attrs.get_id(name)
    texts = h5py.check_string_dtype(kept.dtype) is not None
    if len(kept.shape) != 1 or not (texts or kept.shape == (0,)):
        raise ValueError(f"{group.name} has a {name} that is no list of names")
    _check_count(kept.shape[0], name)
    found = group.attrs[name].tolist()
    return [text.decode("utf-8") if isinstance(text, bytes) else str(text) for text in found]


def _check_count(number: int, name: str) -> None:
    if number > ENTRIES_LIMIT:
        raise ValueError(f"it has {number} {name}, more than {ENTRIES_LIMIT}")
