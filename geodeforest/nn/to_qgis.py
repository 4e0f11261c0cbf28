"""A model's ONNX graph as two plug-ins of QGIS feed and read it. Needs no TensorFlow.

Deepness and GeoDeep cut a raster of 8-bit red, green and blue into square tiles, divide by
255 and give the network one float32 tensor (1, 3, rows, cols); they take the class of the
highest score out of (1, classes, rows, cols), and their settings out of the metadata,
where each value is JSON. The graph between the two ends stays as it is.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from geodeforest.core.spec import ModelSpec
from geodeforest.errors import ModelError, brief

BANDS = 3
DTYPE = "uint8"
INPUT, OUTPUT = "tile", "class_scores"

_OPSETS, _IR_VERSION = range(13, 18), 8  # what ONNX Runtime 1.17 reads, which Deepness asks for
_TOLERANCE = 1e-4


def qgis_edition(
    content: bytes, spec: ModelSpec, tile: int, level: NDArray[np.float32] | None, path: object
) -> bytes:
    """The graph for tiles of ``tile`` px, with the normalisation inside; the same bytes each time.

    ``level`` (1, inputs * bands) takes the place of the scene's own statistics, which a
    tile does not tell. ``path`` names the model in errors.

    Raises:
        ModelError: the model cannot be fed so, or the result differs from it.
    """
    _check_fit(spec, path)
    model = onnx.load_from_string(content)
    if model.opset_import[0].version not in _OPSETS or model.ir_version > _IR_VERSION:
        why = "its opset or IR version is not one that the plug-ins read"
        raise ModelError(path, why, "export the model again with geodeforest")
    _replace_ends(model.graph, spec, tile, level)
    _describe(model, spec, tile, level)
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString(deterministic=True)
    _compare(content, written, (spec, tile, level), path)
    return written


def _check_fit(spec: ModelSpec, path: object) -> None:
    remedy = "use geodeforest's own plug-in for QGIS"
    if len(spec.bands) != BANDS:
        why = f"the plug-ins feed {BANDS} bands and it takes {len(spec.bands)}"
        raise ModelError(path, why, remedy)
    if DTYPE not in spec.scale:
        raise ModelError(path, "it has no scale for 8-bit numbers, which the plug-ins feed", remedy)


def _replace_ends(
    graph: onnx.GraphProto, spec: ModelSpec, tile: int, level: NDArray[np.float32] | None
) -> None:
    """From the tile to ``chips`` before the graph, and from ``scores`` behind it."""
    scaled, head = _scaling(graph, spec)
    head.append(helper.make_node("Transpose", [scaled], ["chips"], perm=[0, 2, 3, 1]))
    body = list(graph.node)
    tail = helper.make_node("Transpose", ["scores"], [OUTPUT], perm=[0, 3, 1, 2])
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend([*head, *body, tail])
    if level is not None:
        graph.initializer.append(numpy_helper.from_array(level, "scene_level"))
    for ends, name, channels in (
        (graph.input, INPUT, BANDS),
        (graph.output, OUTPUT, len(spec.classes)),
    ):
        size = [1, channels, tile, tile]
        ends.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, size))


def _scaling(graph: onnx.GraphProto, spec: ModelSpec) -> tuple[str, list[onnx.NodeProto]]:
    """What turns stored / 255 into 0..1 of the model's scale, and the name of the result."""
    scale = spec.scale[DTYPE]
    low, span = (np.broadcast_to(np.array(n, np.float64), BANDS) for n in (scale.low, scale.span))
    if (low == 0).all() and (span == 255).all():
        return INPUT, []
    constants = {"qgis/gain": 255 / span, "qgis/offset": low / span}
    for name, numbers in constants.items():
        array = numbers.astype(np.float32).reshape(1, BANDS, 1, 1)
        graph.initializer.append(numpy_helper.from_array(array, name))
    for name, bound in (("qgis/zero", 0), ("qgis/one", 1)):
        graph.initializer.append(numpy_helper.from_array(np.array(bound, np.float32), name))
    return "qgis/scaled", [
        helper.make_node("Mul", [INPUT, "qgis/gain"], ["qgis/gained"]),
        helper.make_node("Sub", ["qgis/gained", "qgis/offset"], ["qgis/moved"]),
        helper.make_node("Clip", ["qgis/moved", "qgis/zero", "qgis/one"], ["qgis/scaled"]),
    ]


def _describe(
    model: onnx.ModelProto, spec: ModelSpec, tile: int, level: NDArray[np.float32] | None
) -> None:
    """Keys of Deepness and GeoDeep first, then what people want to know."""
    facts: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(i): c.name for i, c in enumerate(spec.classes)},
        "tile_size": tile,
        "tiles_size": tile,
        "tiles_overlap": math.ceil(100 * min(spec.overlap, tile // 2) / tile),
        "standardization_mean": [0.0] * BANDS,
        "standardization_std": [1.0] * BANDS,
        "seg_thresh": spec.threshold,
        "seg_small_segment": 0,
        "name": spec.name,
        "version": spec.version,
        "bands": spec.bands,
        "licence": spec.licence,
    }
    if spec.gsd_m is not None:
        facts["resolution"] = round(100 * spec.gsd_m, 6)  # centimetres
    text = f"{spec.name} {spec.version} for Deepness and GeoDeep: 8-bit {', '.join(spec.bands)}"
    if level is not None:
        facts["scene_level"] = [round(float(number), 6) for number in level[0]]
        names = ", ".join(i.name for i in spec.scene_inputs)
        text += (
            f". The scene's level ({names}) is not measured: {facts['scene_level']} stands for it"
        )
    del model.metadata_props[:]
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    model.doc_string = f"{text}."


def _compare(
    source: bytes,
    written: bytes,
    fed: tuple[ModelSpec, int, NDArray[np.float32] | None],
    path: object,
) -> None:
    """Run both graphs on one tile of noise, each fed in its own way."""
    spec, tile, level = fed
    stored = np.random.default_rng(0).integers(0, 256, (BANDS, tile, tile), np.uint8)
    feed = {"chips": spec.scale[DTYPE](stored).transpose(1, 2, 0)[np.newaxis]}
    if level is not None:
        feed["scene_level"] = level
    expected = _run(source, feed, path).transpose(0, 3, 1, 2)
    share: NDArray[np.float32] = stored[np.newaxis].astype(np.float32) / np.float32(255)
    found = _run(written, {INPUT: share}, path)
    furthest = float(np.abs(found - expected).max())
    if not furthest <= _TOLERANCE:
        why = f"its edition for QGIS differs from it by {furthest:.2g}"
        raise ModelError(path, why, "report the model; nothing was written")


def _run(content: bytes, feed: dict[str, NDArray[np.float32]], path: object) -> NDArray[np.float32]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, feed)[0], np.float32)
    except Exception as error:  # its exceptions share no base class
        raise ModelError(path, f"it does not run ({brief(error)})", "export it again") from error
