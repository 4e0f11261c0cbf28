"""Every error geodeforest raises on purpose, each with the exit code of its kind.

An error keeps its facts as attributes and composes its own sentence: what is
wrong, with which file, what to do. Whatever is not a ``GeodeforestError`` is a bug.
"""

from __future__ import annotations

from typing import ClassVar


def brief(error: BaseException) -> str:
    """What an error of another package says, as a part of one line of ours."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return "".join(c if c.isprintable() else "?" for c in line)


class GeodeforestError(Exception):
    """Root of all errors; ``exit_code`` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class OptionError(GeodeforestError, ValueError):
    """An argument is out of range or contradicts another."""

    exit_code: ClassVar[int] = 2


class MissingExtra(GeodeforestError, ImportError):
    """A package outside the core installation is needed."""

    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, extra: str) -> None:
        self.what, self.extra = what, extra
        super().__init__(
            f'{what} needs packages that are not installed; run: pip install "geodeforest[{extra}]"'
        )


class SceneError(GeodeforestError):
    """The scene (or its labels) cannot be used."""

    exit_code: ClassVar[int] = 3


class SceneNotFound(SceneError, FileNotFoundError):
    """There is no such file."""

    def __init__(self, path: object) -> None:
        self.path = path
        super().__init__(f"{path}: there is no such file; check the path")


class SceneUnreadable(SceneError, OSError):
    """The file is not a raster, is cut short, or a block of it is corrupt."""

    def __init__(self, path: object, why: str, remedy: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}; {remedy}")


class InputChanged(SceneError):
    """A file was written to, replaced or removed while it was read."""

    def __init__(self, path: object) -> None:
        self.path = path
        super().__init__(
            f"{path}: changed during the scan, so nothing was written; "
            "scan again when no one writes to it"
        )


class SceneTooLarge(SceneError):
    """The scene has more pixels than ``--max-pixels`` allows."""

    exit_code: ClassVar[int] = 8

    def __init__(self, path: object, height: int, width: int, limit: int) -> None:
        self.path, self.pixels, self.limit = path, height * width, limit
        super().__init__(
            f"{path}: the scene has {height} x {width} = {self.pixels} pixels but --max-pixels "
            f"allows {limit}; pass --max-pixels {self.pixels} if that is its true size"
        )


class NotGeoreferenced(SceneError):
    """Without CRS and geotransform no polygon can be placed."""

    def __init__(self, path: object, missing: str, remedy: str) -> None:
        self.path, self.missing = path, missing
        super().__init__(f"{path}: the raster has no {missing}; {remedy}")


class BandMissing(SceneError):
    """The scene lacks a band that the model needs."""

    def __init__(self, path: object, wanted: str, present: str) -> None:
        self.path, self.wanted, self.present = path, wanted, present
        super().__init__(
            f"{path}: the model needs {wanted} but the scene has {present}; "
            "name the bands with --bands"
        )


class GsdMismatch(SceneError):
    """The scene's pixels are too coarse or too fine for the model."""

    def __init__(self, path: object, why: str, remedy: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}; {remedy}")


class LimitUnusable(SceneError):
    """A mask, an area of interest or a baseline cannot be laid over the scene."""

    def __init__(self, path: object, why: str, remedy: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}; {remedy}")


class LabelMismatch(SceneError):
    """Labels do not fit the scene: another CRS, size or unknown classes."""

    exit_code: ClassVar[int] = 7

    def __init__(self, path: object, why: str, remedy: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}; {remedy}")


class OutputError(GeodeforestError):
    """A result cannot be written."""

    exit_code: ClassVar[int] = 5


class OutputExists(OutputError, FileExistsError):
    """The output is there already and may not be replaced."""

    def __init__(self, path: object) -> None:
        self.path = path
        super().__init__(f"{path}: the output exists; pass --overwrite to replace it")


class OutputLocked(OutputError):
    """Another process is writing the output."""

    exit_code: ClassVar[int] = 75

    def __init__(self, path: object) -> None:
        self.path = path
        super().__init__(
            f"{path}: the output is locked by another scan; wait for its end or name another file"
        )


class OutputUnwritable(OutputError, OSError):
    """The output's directory is missing, read-only or full."""

    def __init__(self, path: object, why: str, remedy: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}; {remedy}")


class DiskFull(OutputUnwritable):
    """The disk of an output is full; ``needed_bytes`` is what all of the work takes, if known."""

    def __init__(
        self, path: object, free_bytes: int | None, needed_bytes: int | None = None
    ) -> None:
        self.free_bytes, self.needed_bytes = free_bytes, needed_bytes
        why = "the disk is full"
        if free_bytes is not None:
            why += f", with {free_bytes / 2**20:,.1f} MB free"
        if needed_bytes is not None:
            why += f" where the scan needs up to {needed_bytes / 2**20:,.1f} MB beside its polygons"
        super().__init__(path, why, "free some space or write to another disk")


class RunRecordError(GeodeforestError):
    """There is no run record for an output, or a file is none."""

    exit_code: ClassVar[int] = 3

    def __init__(self, path: object, why: str, remedy: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}; {remedy}")


class ModelError(GeodeforestError):
    """The model is refused."""

    exit_code: ClassVar[int] = 6

    def __init__(self, path: object, why: str, remedy: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}; {remedy}")


class SpecError(ModelError):
    """A field of ``model.json`` is missing or wrong."""

    def __init__(self, field: str, why: str, path: object = "model.json") -> None:
        self.field = field
        super().__init__(path, f"field `{field}` {why}", "export the model again")


class WeightsError(ModelError):
    """A file of the model directory is not the one its spec names."""


class RecordError(GeodeforestError):
    """Training data is refused: another schema, cut short, or unknown classes."""

    exit_code: ClassVar[int] = 7

    def __init__(self, path: object, why: str, remedy: str, *, index: int | None = None) -> None:
        self.path, self.why, self.index = path, why, index
        where = f"{path}: " if index is None else f"{path}: record {index}: "
        super().__init__(f"{where}{why}; {remedy}")


class TrainingError(GeodeforestError):
    """Training cannot start or go on (no accelerator, loss not finite)."""

    exit_code: ClassVar[int] = 7


class WorkerLost(GeodeforestError):
    """One of several workers of a training ended, hangs or cannot be reached."""

    exit_code: ClassVar[int] = 8

    def __init__(self, number: int, workers: int, why: str) -> None:
        self.number, self.workers, self.why = number, workers, why
        super().__init__(
            f"worker {number} of {workers}: another worker is lost ({why}); "
            "start all of them again with --resume"
        )


class RecordsBroken(TrainingError):
    """TensorFlow gave up on the records in mid-training."""


class StrategyError(GeodeforestError):
    """The accelerator asked for does not answer."""

    exit_code: ClassVar[int] = 2


class ReaderLost(GeodeforestError):
    """The process that read a stranger's file came to a limit, or crashed."""

    exit_code: ClassVar[int] = 8

    def __init__(self, path: object, signal: str) -> None:
        self.path, self.signal = path, signal
        why = "took more processor time than its size allows"
        if signal != "SIGXCPU":
            why = "is what the process that read it could not survive"
        super().__init__(
            f"{path}: {why} ({signal}); keep away from it: it is damaged, or made to do harm"
        )


class BudgetExceeded(GeodeforestError):
    """The plan needs more memory than allowed."""

    exit_code: ClassVar[int] = 8

    def __init__(self, path: object, needed_bytes: int, budget_bytes: int) -> None:
        self.path, self.needed_bytes, self.budget_bytes = path, needed_bytes, budget_bytes
        needed_mb, budget_mb = -(-needed_bytes // 2**20), budget_bytes // 2**20
        super().__init__(
            f"{path}: the scan needs about {needed_mb} MB but --memory allows {budget_mb}; "
            f"pass --memory {needed_mb} or a smaller --chip"
        )


class GeodeforestWarning(UserWarning):
    """Root of all warnings."""


class ScanResumed(GeodeforestWarning):
    """A scan goes on where an earlier one was broken off, or why it does not."""


class SceneResampled(GeodeforestWarning):
    """The scene's pixels are not of the model's size and were made so."""


class UnlikelyNumbers(GeodeforestWarning):
    """The scene's bands or numbers are not like those that the model was trained on."""


class LevelUntold(GeodeforestWarning):
    """Chips came without the statistics of their scene, which the model wants."""


class SceneLimited(GeodeforestWarning):
    """What is masked, or not, and how a file that limits the scene was read."""


class PartlyUnread(GeodeforestWarning):
    """Part of the scene was not assessed, because blocks of the file cannot be read."""


class NothingAssessed(GeodeforestWarning):
    """No pixel of the scene was observed: an empty result says nothing about the forest."""
