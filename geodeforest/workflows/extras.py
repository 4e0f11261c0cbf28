"""Packages outside the core installation, and the one sentence when they are missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

from geodeforest.errors import MissingExtra

_TRAIN = ("tensorflow", "keras", "h5py", "onnx")
"""What the extra installs. All of it is asked for at once: the last is needed hours later."""


def need_training(what: str) -> None:
    """Make sure that the extra ``train`` is there, and load TensorFlow without its notes.

    Raises:
        MissingExtra: a part of it is not installed; ``what`` needs it.
    """
    _need(what, *_TRAIN)
    if "tensorflow" in sys.modules:
        return
    # TensorFlow's SQLite makes no spatial indexes, and its names hold for what is loaded later.
    import_module("pyogrio")
    # Its errors reach the user as ours, in one line; the rest is no business of his.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silent_stderr():
        import_module("tensorflow")


def need_onnx(what: str) -> None:
    """Make sure that ONNX graphs can be written; TensorFlow is not loaded.

    Raises:
        MissingExtra: the package is not installed; ``what`` needs it.
    """
    _need(what, "onnx")


def _need(what: str, *packages: str) -> None:
    if any(find_spec(package) is None for package in packages):
        raise MissingExtra(what, "train")


@contextmanager
def _silent_stderr() -> Iterator[None]:
    # The lines come from C++ before any setting is read, so the descriptor itself is turned.
    try:
        kept = os.dup(2)
    except OSError:  # closed: nothing will be seen anyway
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
