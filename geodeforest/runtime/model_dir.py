"""Where models live and whether their files are what their spec says. Loads no network.

A model directory holds ``model.json`` and the files it names with sha256 and size. Other
files are never read, and nothing in it is ever unpickled or run as code.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from os import PathLike
from pathlib import Path

from geodeforest.core.spec import ModelFile, ModelSpec
from geodeforest.errors import ModelError, SpecError, WeightsError

DEFAULT_MODEL = "amazon-s2-rgb"
SPEC_FILE = "model.json"
ONNX_FILE = "model.onnx"
WEIGHTS_FILE = "model.weights.h5"

_BUILTIN = Path(__file__).parent.parent / "models"
_SPEC_LIMIT_BYTES = 4 * 2**20
_FILE_LIMIT_BYTES = 2**30
_FILES_LIMIT = 32
_PARAMETERS_LIMIT = 200_000_000
_CHIP_LIMIT = 8192
_MULTIPLE_LIMIT = 512
_HDF5 = b"\x89HDF"
_MAGIC = {
    b"\x80": "a pickle",
    b"PK": "a zip or .keras archive",
    _HDF5: "HDF5 weights",
    b"version https://git-lfs": "a Git LFS pointer, run git lfs pull",
}
_START_BYTES = 32
_ONNX_START = b"\x08"  # the field `ir_version`, which writers of protobuf put first
_WHOLE = "get the model directory again, whole"
_WORDS_LIMIT = 300  # of an error: a name in a spec may be as long as the spec


def builtin_names() -> list[str]:
    """The names of the models that come with the package, sorted."""
    return sorted(found.parent.name for found in _BUILTIN.glob(f"*/{SPEC_FILE}"))


def model_directory(model: str | PathLike[str] | None = None) -> Path:
    """The directory of a built-in model's name or a path; None is the default model.

    A built-in name wins over a directory of the same name; write ``./name`` for that one.

    Raises:
        ModelError: neither a built-in model nor a directory.
    """
    wanted = DEFAULT_MODEL if model is None else model
    if isinstance(wanted, str) and wanted in builtin_names():
        return _BUILTIN / wanted
    directory = Path(wanted)
    try:
        is_directory, is_file = directory.is_dir(), directory.is_file()
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
        raise ModelError(wanted, why, "check its permissions") from error
    if model is not None and is_directory:
        return directory
    if is_file:
        kind = file_kind(directory)
        remedy = f"name the directory that holds {SPEC_FILE}"
        if kind == _MAGIC[_HDF5]:
            remedy = "make one of the seed system's weights with: geodeforest model import"
        raise ModelError(wanted, f"not a model directory (found: {kind})", remedy)
    known = ", ".join(builtin_names()) or "none"
    raise ModelError(
        wanted, "there is no such model", f"name a model directory or a built-in model ({known})"
    )


def file_kind(path: Path) -> str:
    """What a file is by its first bytes, in words; it must be a regular one."""
    try:
        with path.open("rb") as file:
            return _kind(file.read(_START_BYTES))
    except OSError:
        return "an unreadable file"


def _kind(start: bytes) -> str:
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "a file")


def read_spec(directory: Path) -> ModelSpec:
    """Read and check ``model.json``.

    Raises:
        SpecError: not JSON, a field missing or wrong, or a size out of bounds.
        ModelError: missing, too large or unreadable.
    """
    path = directory / SPEC_FILE
    if (directory / "saved_model.pb").exists() and not path.exists():
        why = "not a model directory (found: a TensorFlow SavedModel)"
        raise ModelError(directory, why, f"name the directory that holds {SPEC_FILE}")
    content = _read(path, _SPEC_LIMIT_BYTES)
    try:
        spec = ModelSpec.from_json(content.decode("utf-8"))
        check_bounds(spec)
        return spec
    except SpecError as error:
        why = str(error.why).removeprefix(f"field `{error.field}` ")
        raise SpecError(error.field, _short(why), path) from error
    except (UnicodeDecodeError, RecursionError, OverflowError) as error:
        why = f"the text is not a spec ({type(error).__name__})"
        raise ModelError(path, why, "export the model again") from error


def check_bounds(spec: ModelSpec) -> None:
    """Bounds that keep a hostile spec from asking for absurd memory or garbling a terminal.

    Raises:
        SpecError: the spec is beyond them.
    """
    if spec.multiple > _MULTIPLE_LIMIT:
        raise SpecError("architecture", f"has a multiple of more than {_MULTIPLE_LIMIT} px")
    if spec.architecture.least_parameters(len(spec.bands)) > _PARAMETERS_LIMIT:
        raise SpecError("architecture", f"has more than {_PARAMETERS_LIMIT:,} parameters")
    if spec.chip > _CHIP_LIMIT:
        raise SpecError("chip", f"is {spec.chip}, more than {_CHIP_LIMIT} px")
    if spec.gsd_m is not None and not (spec.gsd_m > 0 and math.isfinite(spec.gsd_m)):
        raise SpecError("gsd_m", f"is {spec.gsd_m}, not metres above 0")
    if len(spec.files) > _FILES_LIMIT:
        raise SpecError("files", f"names {len(spec.files)} files, more than {_FILES_LIMIT}")
    _check_words("name", [spec.name])
    _check_words("version", [spec.version])
    _check_words("bands", spec.bands)
    _check_words("classes", [c.name for c in spec.classes])
    _check_words("scene_inputs", [i.name for i in spec.scene_inputs])
    for scale in spec.scale.values():
        for number in scale.numbers:
            if not (isinstance(number, int | float) and math.isfinite(number)):
                raise SpecError("scale", f"has {number!r}, not a finite number")


def _check_words(field: str, words: Iterable[str]) -> None:
    for word in words:
        if not (0 < len(word) <= 255 and word.isprintable()):
            raise SpecError(field, f"has {word[:40]!r}, not 1 to 255 printable characters")


def verify_files(directory: Path, spec: ModelSpec) -> None:
    """Compare every file that the spec names with its sha256 and size; holds none.

    Raises:
        WeightsError: a file is missing, differs, has a name that is a path, or the network
            (``model.onnx``, ``model.weights.h5``) is there without being named.
    """
    for name in spec.files:
        with _opened_verified(directory, spec, name) as (file, vouched):
            _compare(hashlib.file_digest(file, "sha256").hexdigest(), vouched, directory / name)
    for name in (ONNX_FILE, WEIGHTS_FILE):
        if name not in spec.files and (directory / name).exists():
            raise WeightsError(
                directory / name, f"{SPEC_FILE} does not vouch for it", "export the model again"
            )


def read_verified(directory: Path, spec: ModelSpec, name: str) -> bytes:
    """The content of one file that the spec names, once its sha256 and size are right.

    What is returned is what was hashed, whatever becomes of the file meanwhile.

    Raises:
        WeightsError: not named in the spec, missing, or not the file the spec means.
    """
    with _opened_verified(directory, spec, name) as (file, vouched):
        content = file.read(vouched.bytes + 1)
        _compare(hashlib.sha256(content).hexdigest(), vouched, directory / name)
        return content


@contextmanager
def _opened_verified(
    directory: Path, spec: ModelSpec, name: str
) -> Iterator[tuple[BufferedReader, ModelFile]]:
    """One file that the spec names, of the size it should have, and what the spec says of it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise WeightsError(directory / SPEC_FILE, f"it names the file {name[:80]!r}", _WHOLE)
    path, vouched = directory / name, spec.files.get(name)
    if vouched is None:
        raise WeightsError(directory / SPEC_FILE, f"it does not name {name[:80]}", _WHOLE)
    try:
        with _opened(path, _FILE_LIMIT_BYTES) as file:
            size = os.fstat(file.fileno()).st_size
            if size != vouched.bytes:
                why = f"it has {size:,} bytes, not {_short(str(vouched.bytes))} as {SPEC_FILE} says"
                raise WeightsError(path, why, _WHOLE)
            start = file.read(_START_BYTES)
            if name == ONNX_FILE and not start.startswith(_ONNX_START):
                raise WeightsError(path, f"not an ONNX file (found: {_kind(start)})", _WHOLE)
            file.seek(0)
            yield file, vouched
    except ModelError as error:
        raise WeightsError(path, error.why, _WHOLE) from error


def _compare(found: str, vouched: ModelFile, path: Path) -> None:
    if found != vouched.sha256:
        why = f"its sha256 starts with {found[:12]}, not with {str(vouched.sha256)[:12]!r}"
        raise WeightsError(path, f"{why} as {SPEC_FILE} says", _WHOLE)


def _read(path: Path, limit_bytes: int) -> bytes:
    with _opened(path, limit_bytes) as file:
        return file.read(limit_bytes)


@contextmanager
def _opened(path: Path, limit_bytes: int) -> Iterator[BufferedReader]:
    """A regular file of bounded size; a pipe is not waited for, and a link is not followed.

    Built-in models may be links: some installers make them of all files.
    """
    links = path.parent.parent == _BUILTIN
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if path.is_symlink() and not links:
            raise ModelError(path, "a link, which may lead anywhere", "put the file itself there")
        if path.exists() and not path.is_file():
            raise ModelError(path, "not a regular file", "name a model directory")
        no_links = 0 if links else getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags | no_links), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise ModelError(path, "not a regular file", "name a model directory")
            if facts.st_size > limit_bytes:
                why = f"it has more than {limit_bytes:,} bytes"
                raise ModelError(path, why, "export the model again")
            yield file
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
        raise ModelError(path, why, "check the model directory") from error


def _short(words: str) -> str:
    return words if len(words) <= _WORDS_LIMIT else f"{words[:_WORDS_LIMIT]}..."
