"""A model's network in the form that another program wants.

Knows which file or directory that is; the model itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.plausible import usual_level
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import OptionError
from geodeforest.geo.files import DirectoryOutput, OutputSet, naming_faults
from geodeforest.runtime.model_dir import (
    ONNX_FILE,
    WEIGHTS_FILE,
    model_directory,
    read_spec,
    read_verified,
    verify_files,
)
from geodeforest.runtime.onnx_graph import check_graph
from geodeforest.workflows.extras import need_onnx, need_training

Form = Literal["onnx", "onnx-qgis", "savedmodel", "weights"]

_COPIED = {"onnx": ONNX_FILE, "weights": WEIGHTS_FILE}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and what its user should know."""

    path: Path
    notes: tuple[str, ...] = ()


def export_model(
    model: str | PathLike[str] | None,
    to: Form,
    output: str | PathLike[str],
    *,
    chip: int | None = None,
    scene_level: Sequence[float] | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a model's network as another program wants it.

    Args:
        model: a built-in model's name or a model directory; None is the default model.
        to: ``onnx`` and ``weights`` are the model's own files, checked and copied.
            ``onnx-qgis`` is for the plug-ins Deepness and GeoDeep of QGIS: one 8-bit tile of
            three bands in, scores out, settings in the metadata. ``savedmodel`` is for
            TensorFlow.
        output: the file to write; for ``savedmodel`` a directory.
        chip: side of a tile in pixels, for ``onnx-qgis`` and ``savedmodel``; None is the
            model's.
        scene_level: for ``onnx-qgis``, numbers 0..1 that stand for the scene's statistics;
            None takes the middle of the training scenes'.
        overwrite: replace what exists.

    Raises:
        ModelError: the model is refused, or cannot be written in this form.
        OptionError: an option does not fit the form or the model.
        MissingExtra: a package that the form needs is not installed.
        OutputExists: ``output`` exists, and ``overwrite`` is False.
        OutputUnwritable: ``output`` cannot be written.
    """
    if to not in get_args(Form):
        raise OptionError(f"form {to!r} is unknown; choose {', '.join(get_args(Form))}")
    home = model_directory(model)
    spec = read_spec(home)
    tile = _tile(spec, to, chip)
    if scene_level is not None and to != "onnx-qgis":
        raise OptionError(f"--scene-level is for onnx-qgis; leave it out for {to}")
    if to == "savedmodel":
        if overwrite:
            raise OptionError("--overwrite is for files; remove the former SavedModel yourself")
        need_training("export to a SavedModel")
        return _saved_model(home, spec, tile, Path(output))
    inputs = [home / name for name in spec.files]
    with OutputSet([output], overwrite=overwrite, inputs=inputs) as outputs:
        if to == "onnx-qgis":
            content, notes = _for_qgis(home, spec, tile, scene_level)
        else:
            content, notes = read_verified(home, spec, _COPIED[to]), ()
        with naming_faults(output):
            outputs.scratch(output).write_bytes(content)
    return Exported(Path(output), notes)


def _tile(spec: ModelSpec, to: Form, chip: int | None) -> int:
    if chip is None:
        return spec.chip
    if to in _COPIED:
        raise OptionError(f"--chip is for onnx-qgis and savedmodel; leave it out for {to}")
    if chip < 1 or chip % spec.multiple:
        raise OptionError(f"chip {chip} must be a multiple of {spec.multiple} px for this model")
    return chip


def _saved_model(home: Path, spec: ModelSpec, chip: int, output: Path) -> Exported:
    from geodeforest.nn.saved_model import write_saved_model

    with DirectoryOutput(output, inputs=[home]) as work, naming_faults(output):
        verify_files(home, spec)
        write_saved_model(home, spec, chip, work)
    return Exported(output)


def _for_qgis(
    home: Path, spec: ModelSpec, tile: int, given: Sequence[float] | None
) -> tuple[bytes, tuple[str, ...]]:
    """The graph, and what the plug-ins cannot do as a scan does it."""
    need_onnx("export to onnx-qgis")
    from geodeforest.nn.to_qgis import qgis_edition

    level = _level(spec, given)
    content, path = read_verified(home, spec, ONNX_FILE), home / ONNX_FILE
    check_graph(content, path)
    notes = []
    if level is not None:
        names = ", ".join(i.name for i in spec.scene_inputs)
        told = ", ".join(f"{number:.4g}" for number in level[0])
        notes.append(
            f"the plug-ins do not measure the scene's level ({names}); {told} stands for it, "
            "so scores differ from a scan's where the scene is hazier or clearer"
        )
    if spec.threshold != 0.5 or len(spec.classes) > 2:
        notes.append(
            f"the threshold {spec.threshold:g} means other things there: GeoDeep takes the class "
            "of the highest score, Deepness the first class where no score reaches it"
        )
    if spec.gsd_m is None:
        notes.append("the model's pixel size is unknown; GeoDeep will take it for 10 cm")
    return qgis_edition(content, spec, tile, level, path), tuple(notes)


def _level(spec: ModelSpec, given: Sequence[float] | None) -> NDArray[np.float32] | None:
    """The constant (1, inputs * bands) that stands for the scene's statistics."""
    wanted = len(spec.scene_inputs) * len(spec.bands)
    if not wanted:
        if given is not None:
            raise OptionError("the model takes no scene_level; leave it out")
        return None
    numbers = usual_level(spec) if given is None else np.array(given, np.float32)
    if numbers is None or numbers.shape != (wanted,) or not _is_share(numbers):
        names = ", ".join(i.name for i in spec.scene_inputs)
        raise OptionError(
            f"the model needs the scene's {names}; pass --scene-level, {wanted} numbers in 0..1"
        )
    return numbers[np.newaxis]


def _is_share(numbers: NDArray[np.float32]) -> bool:
    return bool(np.isfinite(numbers).all() and numbers.min() >= 0 and numbers.max() <= 1)
