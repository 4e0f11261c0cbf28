"""One training record, and its way into a ``tf.train.Example`` and back.

Knows the project's schema and the seed's, which are told apart by their features.
Nothing of files: a message carries the path it is given.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from geodeforest.core.spec import CLASSES, ClassDef
from geodeforest.errors import GeodeforestError, RecordError
from geodeforest.nn.features import REBUILD, Features
from geodeforest.nn.framing import MAX_RECORD_BYTES
from geodeforest.nn.index import DTYPES, IGNORED, RecordFormat, class_pixels

Kind = Literal["project", "seed"]

SEED_FORMAT = RecordFormat("uint8", 512, 512, ("red", "green", "blue"), CLASSES)
"""The seed's records: an RGB PNG and a one-hot float32 mask, all of one size."""

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_PNG_LEVEL = 4
"""Files as small as at the default level 6, in a quarter of the time (Sentinel-2 colour chips)."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A chip with its truth.

    ``image`` (rows, cols, bands) holds stored numbers; ``labels`` (rows, cols) uint8 class
    ids, 255 = ignored; ``valid`` (rows, cols) is False where nothing was observed.
    ``transform`` are the chip's six affine numbers a..f in units of ``crs`` (WKT or an
    authority code, empty where unknown). ``scene_level`` (scene inputs x bands,) is in 0..1.
    """

    image: NDArray[np.generic]
    labels: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    scene: str
    group: str
    crs: str
    transform: tuple[float, ...]
    scene_level: NDArray[np.float32]


class Decoded(NamedTuple):
    """A record, and what it says of the set it belongs to."""

    record: Record
    format: RecordFormat
    kind: Kind


def encode(record: Record, form: RecordFormat) -> bytes:
    """The record as a serialised ``tf.train.Example``; equal records give equal bytes.

    Raises:
        RecordError: the record does not have the format's shape, dtype, classes or levels.
    """
    check(record, form, record.scene)
    image = record.image
    packed = _png(image) if form.png else image.astype(image.dtype.newbyteorder("<")).tobytes()
    features = {
        "image": _bytes(packed),
        "encoding": _bytes(b"png" if form.png else b"raw"),
        "dtype": _bytes(form.dtype.encode()),
        "mask": _bytes(_png(record.labels[..., np.newaxis])),
        "height": _ints(form.height),
        "width": _ints(form.width),
        "bands": _bytes(*(band.encode() for band in form.bands)),
        "classes": _bytes(*(json.dumps(asdict(c)).encode() for c in form.classes)),
        "scene": _bytes(record.scene.encode()),
        "group": _bytes(record.group.encode()),
        "crs": _bytes(record.crs.encode()),
        # As text: float features have 32 bits, which is metres short in geographic degrees.
        "transform": _bytes(*(repr(float(number)).encode() for number in record.transform)),
        "valid": _bytes(_png(record.valid[..., np.newaxis].astype(np.uint8))),
        "scene_level": _floats(record.scene_level.tolist()),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return cast("bytes", example.SerializeToString(deterministic=True))


def check(record: Record, form: RecordFormat, path: object, index: int | None = None) -> None:
    """Refuse a record that does not fit the format.

    Raises:
        RecordError: another shape, dtype or number of levels, or unknown class ids.
    """

    def refuse(key: str, why: str) -> RecordError:
        return RecordError(path, f"key '{key}' {why}", REBUILD, index=index)

    if record.image.shape != form.shape or record.image.dtype != np.dtype(form.dtype):
        found = f"{record.image.dtype} {record.image.shape}"
        raise refuse("image", f"is {found}, not {form.dtype} {form.shape}")
    for key, array, dtype in (
        ("mask", record.labels, np.uint8),
        ("valid", record.valid, np.bool_),
    ):
        if array.shape != form.shape[:2] or array.dtype != dtype:
            raise refuse(key, f"is {array.dtype} {array.shape}, not {form.shape[:2]}")
    if record.scene_level.shape != (form.levels,) or len(record.transform) != 6:
        raise refuse("scene_level", f"or 'transform' has not {form.levels} and 6 numbers")
    if not np.isfinite(record.scene_level).all():
        raise refuse("scene_level", "holds numbers that are not finite")
    if unknown := unknown_ids(record.labels, form.class_ids):
        raise refuse("mask", f"has unknown class ids {unknown}")


def unknown_ids(labels: NDArray[np.uint8], known: Sequence[int]) -> str:
    """The ids that are neither known nor 255, with their pixels, as words; empty if none."""
    strange = {i: n for i, n in class_pixels(labels).items() if i not in (*known, IGNORED)}
    return ", ".join(f"{i} ({n} px)" for i, n in strange.items())


def decode(payload: bytes, path: object, index: int, *, stem: str) -> Decoded:
    """Read a record of either schema.

    A seed record has no group of its own; it takes ``stem``, its shard's name.

    Raises:
        RecordError: not an Example, a key missing or of another type, bytes too short, or
            unknown class ids; names ``path``, the record's number and the key.
    """
    features = Features(payload, path, index)
    if features.is_seed:
        record, form, kind = _decode_seed(features, f"{stem}:{index}", stem), SEED_FORMAT, "seed"
    else:
        form, kind = _format_of(features), "project"
        record = _decode_project(features, form)
    check(record, form, path, index)
    return Decoded(record, form, cast("Kind", kind))


def _decode_project(features: Features, form: RecordFormat) -> Record:
    rows, cols, bands = form.shape
    dtype = np.dtype(form.dtype)
    match features.text("encoding"):
        case "png":
            image = features.png("image", form.shape, dtype)
        case "raw":
            raw = features.bytes("image", rows * cols * bands * dtype.itemsize)
            image = np.frombuffer(raw, dtype.newbyteorder("<")).reshape(form.shape).astype(dtype)
        case other:
            raise features.refusal("encoding", f"is {other!r}, not png or raw")
    valid = features.png("valid", (rows, cols, 1), np.dtype(np.uint8))[..., 0]
    if valid.max(initial=0) > 1:
        raise features.refusal("valid", "holds other numbers than 0 and 1")
    return Record(
        image=image,
        labels=features.png("mask", (rows, cols, 1), np.dtype(np.uint8))[..., 0].astype(np.uint8),
        valid=valid.astype(np.bool_),
        scene=features.text("scene"),
        group=features.text("group"),
        crs=features.text("crs"),
        transform=_transform_of(features),
        scene_level=np.asarray(features.floats("scene_level"), np.float32),
    )


def _format_of(features: Features) -> RecordFormat:
    dtype = features.text("dtype")
    if dtype not in DTYPES:
        raise features.refusal("dtype", f"is {dtype!r}, not one of {', '.join(DTYPES)}")
    height, width = features.integer("height"), features.integer("width")
    bands = tuple(features.texts("bands"))
    # Judged before a pixel is decoded, so that a crafted size allocates nothing.
    if min(height, width, len(bands)) < 1:
        raise features.refusal("height", f"gives {height} x {width} pixels, {len(bands)} bands")
    if height * width * max(len(bands) * np.dtype(dtype).itemsize, 1) > MAX_RECORD_BYTES:
        raise features.refusal("height", f"gives {height} x {width} pixels, more than allowed")
    try:
        classes = tuple(ClassDef(**json.loads(text)) for text in features.texts("classes"))
    except (ValueError, TypeError, RecursionError, GeodeforestError) as error:
        raise features.refusal("classes", f"cannot be read ({error})") from error
    levels = len(features.floats("scene_level"))
    return RecordFormat(dtype, height, width, bands, classes, levels)


def _transform_of(features: Features) -> tuple[float, ...]:
    texts = features.texts("transform")
    try:
        numbers = tuple(float(text) for text in texts)
    except ValueError as error:
        raise features.refusal("transform", f"is not numbers ({error})") from error
    if len(numbers) != 6 or not np.isfinite(numbers).all():
        raise features.refusal("transform", f"is {texts}, not six finite numbers")
    return numbers


def _decode_seed(features: Features, scene: str, group: str) -> Record:
    form = SEED_FORMAT
    rows, cols, _ = form.shape
    planes = len(form.classes)
    image = features.png("image", form.shape, np.dtype(np.uint8), any_colour=True)
    raw = features.bytes("mask", rows * cols * planes * 4)
    one_hot = np.frombuffer(raw, "<f4").reshape(rows, cols, planes)
    if not (((one_hot == 0) | (one_hot == 1)).all() and (one_hot.sum(axis=2) == 1).all()):
        raise features.refusal("mask", "is not one-hot: each pixel needs one 1 and else 0")
    return Record(
        image=image,
        labels=one_hot.argmax(axis=2).astype(np.uint8),
        valid=np.ones((rows, cols), np.bool_),
        scene=scene,
        group=group,
        crs="",
        transform=_IDENTITY,
        scene_level=np.zeros(0, np.float32),
    )


def _png(pixels: NDArray[np.generic]) -> bytes:
    return cast("bytes", tf.io.encode_png(pixels, compression=_PNG_LEVEL).numpy())


def _bytes(*values: bytes) -> Any:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _ints(*values: int) -> Any:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values: Sequence[float]) -> Any:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
