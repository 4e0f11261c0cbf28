"""The folder of a training's state, on this machine or in an object store such as ``gs://``.

Knows how a file gets there whole or not at all; nothing of what the files say. All of it
goes through ``tf.io.gfile``, so one address is as good as another.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from geodeforest.errors import OutputUnwritable
from geodeforest.nn.addresses import join

BEGUN, BEST, LOG = "options.json", "best.weights.h5", "log.csv"
CHECKPOINTS, BOARD = "checkpoints", "tensorboard"

_SCRATCH = ".scratch"
_OWN = {BEGUN, BEST, LOG, CHECKPOINTS, BOARD}
_NUMBER = re.compile(r"-(\d+)\.index$")


class StateFolder:
    """A directory or the address of one. Nothing is made until something is written."""

    def __init__(self, address: str | Path) -> None:
        self.address = str(address)

    def __str__(self) -> str:
        return self.address

    def path(self, name: str) -> str:
        """The address of a file in it."""
        return join(self.address, name)

    def exists(self) -> bool:
        """Whether there is such a folder."""
        return bool(tf.io.gfile.isdir(self.address))

    def read(self, name: str) -> str | None:
        """The text of a file; None without one."""
        if not tf.io.gfile.exists(self.path(name)):
            return None
        with tf.io.gfile.GFile(self.path(name), "rb") as file:
            return bytes(file.read()).decode("utf-8", "replace")

    def write(self, name: str, text: str) -> None:
        """Write a text in place of the former one, whole or not at all.

        Raises:
            OutputUnwritable: it cannot be written.
        """
        with self.writing():
            tf.io.gfile.makedirs(self.address)
            with tf.io.gfile.GFile(self.path(name + _SCRATCH), "wb") as file:
                file.write(text.encode())
            self._take(name)

    def keep(self, name: str, make: Callable[[Path], None]) -> None:
        """Let ``make`` write a file on this machine, and put it in place as ``write`` does.

        Raises:
            OutputUnwritable: it cannot be written.
        """
        with self.writing(), tempfile.TemporaryDirectory() as local:
            tf.io.gfile.makedirs(self.address)
            make(Path(local, name))
            copy = self.path(name + _SCRATCH)
            tf.io.gfile.copy(str(Path(local, name)), copy, overwrite=True)
            self._take(name)

    @contextlib.contextmanager
    def fetched(self, name: str) -> Iterator[Path | None]:
        """A copy of a file on this machine; None without one."""
        with tempfile.TemporaryDirectory() as local:
            if not tf.io.gfile.exists(self.path(name)):
                yield None
                return
            tf.io.gfile.copy(self.path(name), str(Path(local, name)))
            yield Path(local, name)

    def checkpoints(self) -> list[str]:
        """The checkpoints that were finished, oldest first: those with an index.

        TensorFlow keeps a list of them in a file, with which all would be lost.
        """
        found = tf.io.gfile.glob(join(self.path(CHECKPOINTS), "ckpt-*.index"))
        numbers = {int(n[1]): path for path in found if (n := _NUMBER.search(path))}
        return [numbers[n].removesuffix(".index") for n in sorted(numbers)]

    def checkpoint(self, step: int) -> str:
        """The address of the checkpoint of a step."""
        return join(self.path(CHECKPOINTS), f"ckpt-{step}")

    def prune(self) -> None:
        """Remove all checkpoints but the last two: one may turn out to be damaged.

        Raises:
            OutputUnwritable: one cannot be removed.
        """
        with self.writing():
            for path in self.checkpoints()[:-2]:
                # The index last, so that what a kill leaves is found again.
                for part in sorted(tf.io.gfile.glob(f"{path}.*")):
                    tf.io.gfile.remove(part)

    def clear(self) -> None:
        """Remove what a former training left.

        Raises:
            OutputUnwritable: the folder holds other things too, or cannot be removed.
        """
        with self.writing():
            if not self.exists():
                return
            inside = {name.rstrip("/") for name in tf.io.gfile.listdir(self.address)}
            if foreign := sorted(n for n in inside if n.removesuffix(_SCRATCH) not in _OWN):
                why = f"holds {foreign[0]}, which no training left there"
                raise OutputUnwritable(self, why, "name another directory")
            tf.io.gfile.rmtree(self.address)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn what the disk or TensorFlow's writers say inside into one line.

        Raises:
            OutputUnwritable: for whatever of that is raised inside.
        """
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            if isinstance(error, OutputUnwritable):
                raise
            why = f"cannot be written ({brief(error)})"
            raise OutputUnwritable(self, why, "free some space or write elsewhere") from error

    def _take(self, name: str) -> None:
        # A store without renames copies, which takes the place of the old one as a whole too.
        tf.io.gfile.rename(self.path(name + _SCRATCH), self.path(name), overwrite=True)


def brief(error: Exception) -> str:
    """The first line of what an error says."""
    words = getattr(error, "strerror", None) or str(error)
    return (words.splitlines() or [type(error).__name__])[0][:120]
