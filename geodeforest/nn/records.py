"""Reading sets of training records: checked first, then eagerly or as a ``tf.data`` pipeline.

Knows files and what their index promises. TensorFlow sees a file only after its framing
was found whole, and records are never dropped in silence.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeAlias

import tensorflow as tf

from geodeforest.core.pixels import BandScale
from geodeforest.errors import OptionError, RecordError
from geodeforest.nn.addresses import (
    Hashed,
    is_file,
    join,
    list_names,
    name_of,
    open_binary,
    parent_of,
    read_text,
    stem_of,
)
from geodeforest.nn.example import Decoded, Kind, Record, decode
from geodeforest.nn.features import Features
from geodeforest.nn.framing import is_gzip, read_frames
from geodeforest.nn.index import (
    INDEX_LIMIT,
    INDEX_NAME,
    RecordFormat,
    RecordIndex,
    SetFacts,
    Shard,
    Tally,
    class_pixels,
    default_scale,
)

__all__ = [
    "Record",
    "RecordSet",
    "check_records",
    "dataset",
    "index_of",
    "open_records",
    "read_records",
]

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""Directories of records, or shards."""

_REBUILD = "build the records again"
_CYCLE = 16
"""Shards that are read in turn; more would only hold more files open."""


@dataclass(frozen=True, slots=True)
class RecordSet:
    """Shards whose framing is whole, and their index: the one on disk or one made by reading.

    ``scenes`` are the names of each group's scenes, as the records have them.
    """

    files: tuple[str, ...]
    index: RecordIndex
    kind: Kind
    scenes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def format(self) -> RecordFormat:
        """What all records have in common."""
        return self.index.format


def open_records(paths: Paths) -> RecordSet:
    """Find the shards of directories, or take those given, and check that they are whole.

    With an ``index.json`` the shards' sizes, hashes, framing and record counts are
    checked against it; without one every record is read. A path may also be an address
    that TensorFlow can open, such as ``gs://bucket/records`` (with an index).

    Raises:
        RecordError: missing, damaged, cut short, not training records, or loose shards
            with scene levels or int32 numbers, whose rule only the index tells.
    """
    files, index = _locate(paths)
    if index is not None:
        return RecordSet(files, index, "project", _check_shards(files, index))
    found = _survey(files)
    if found.format.levels or default_scale(found.format.dtype) is None:
        what = "scene levels" if found.format.levels else f"{found.format.dtype} numbers"
        why = f"has {what}, and no {INDEX_NAME} tells their rule"
        raise RecordError(files[0], why, "give the directory that holds the index")
    return found


def index_of(paths: Paths) -> RecordIndex:
    """The index on disk, unchecked, else one made by reading every record.

    Raises:
        RecordError: the index is refused or, without one, a record is.
    """
    files, index = _locate(paths)
    return _survey(files).index if index is None else index


def check_records(paths: Paths) -> RecordSet:
    """Check a set to the last pixel: what ``open_records`` checks, every record, every count.

    Raises:
        RecordError: names the file, the record's number and the key.
    """
    files, index = _locate(paths)
    if index is None:
        return _survey(files)
    scenes = _check_shards(files, index)
    found = _survey(files).index
    for what, promised, seen in (
        ("format", index.format, found.format),
        ("groups", index.tally.groups, found.tally.groups),
        ("class_pixels", index.tally.class_pixels, found.tally.class_pixels),
    ):
        if promised != seen:
            where = join(parent_of(files[0]), INDEX_NAME)
            raise RecordError(where, f"its {what} are not those of the records", _REBUILD)
    return RecordSet(files, index, "project", scenes)


def read_records(paths: Paths) -> Iterator[Record]:
    """Yield every record as numpy arrays, shard by shard.

    Raises:
        RecordError: as ``check_records``, when the record at fault is reached.
    """
    files, index = _locate(paths)
    if index is not None:
        _check_shards(files, index)
    for file in files:
        with open_binary(file) as stream:
            for decoded in _decoded(stream, file):
                yield decoded.record


def dataset(records: RecordSet, groups: Collection[str] | None = None) -> Any:
    """The set as a ``tf.data.Dataset`` of single records with static shapes, in fixed order.

    Elements are dicts: ``image`` (rows, cols, bands) in the stored dtype, ``labels``
    (rows, cols) uint8 class ids with 255 = ignored, ``valid`` (rows, cols) bool,
    ``scene_level`` (levels,) float32 and ``group`` (a string). With ``groups`` only the
    records of these are given, and the others are not decoded.

    Raises:
        OptionError: a group that the set does not have.
    """
    if unknown := sorted(set(groups or ()) - set(records.index.tally.groups)):
        raise OptionError(f"the records have no group {', '.join(unknown)}")
    shards = tf.data.Dataset.from_tensor_slices(
        (
            list(records.files),
            [stem_of(file) for file in records.files],
            ["GZIP" if _is_gzip(file) else "" for file in records.files],
        )
    )
    seed = records.kind == "seed"
    examples = shards.interleave(
        lambda path, stem, packing: tf.data.TFRecordDataset(path, packing).map(
            lambda example: (example, stem if seed else _group_of(example))
        ),
        cycle_length=min(len(records.files), _CYCLE),
        block_length=1,
    )
    if groups is not None:
        wanted = tf.constant(sorted(groups), tf.string)
        examples = examples.filter(lambda _, group: tf.reduce_any(group == wanted))
    parse = _parse_seed if seed else _parse_project
    return examples.map(
        lambda example, group: {**parse(example, records.format), "group": group},
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _group_of(example: Any) -> Any:
    spec = {"group": tf.io.FixedLenFeature((), tf.string)}
    return tf.io.parse_single_example(example, spec)["group"]


def _parse_project(example: Any, form: RecordFormat) -> dict[str, Any]:
    texts = ("image", "encoding", "mask", "valid")
    spec: dict[str, Any] = {key: tf.io.FixedLenFeature((), tf.string) for key in texts}
    spec["scene_level"] = tf.io.FixedLenSequenceFeature((), tf.float32, allow_missing=True)
    found = tf.io.parse_single_example(example, spec)
    rows, cols, bands = form.shape
    dtype = tf.as_dtype(form.dtype)

    def from_raw() -> Any:
        return tf.reshape(tf.io.decode_raw(found["image"], dtype), form.shape)

    def from_png() -> Any:
        pixels = tf.io.decode_png(found["image"], channels=bands, dtype=dtype)
        return tf.ensure_shape(pixels, form.shape)

    is_png = found["encoding"] == b"png"
    image = tf.cond(is_png, from_png, from_raw) if form.png else from_raw()
    labels, valid = (
        tf.ensure_shape(tf.io.decode_png(found[key], channels=1), (rows, cols, 1))[..., 0]
        for key in ("mask", "valid")
    )
    return {
        "image": tf.ensure_shape(image, form.shape),
        "labels": labels,
        "valid": tf.cast(valid, tf.bool),
        "scene_level": tf.ensure_shape(found["scene_level"], (form.levels,)),
    }


def _parse_seed(example: Any, form: RecordFormat) -> dict[str, Any]:
    spec = {key: tf.io.FixedLenFeature((), tf.string) for key in ("image", "mask")}
    found = tf.io.parse_single_example(example, spec)
    rows, cols, bands = form.shape
    one_hot = tf.reshape(
        tf.io.decode_raw(found["mask"], tf.float32), (rows, cols, len(form.classes))
    )
    pixels = tf.io.decode_png(found["image"], channels=bands)
    return {
        "image": tf.ensure_shape(pixels, form.shape),
        "labels": tf.cast(tf.argmax(one_hot, axis=-1), tf.uint8),
        "valid": tf.ones((rows, cols), tf.bool),
        "scene_level": tf.zeros((0,), tf.float32),
    }


def _locate(paths: Paths) -> tuple[tuple[str, ...], RecordIndex | None]:
    """The shards of all paths, and the index on disk that covers them all, if there is one."""
    names = [str(paths)] if isinstance(paths, str | os.PathLike) else [str(p) for p in paths]
    if not names:
        raise RecordError("records", "no shard was given", "name a directory of records")
    files: list[str] = []
    indexes: list[RecordIndex] = []
    for name in names:
        index_path = join(name, INDEX_NAME)
        if is_file(index_path):
            index = RecordIndex.from_json(read_text(index_path, INDEX_LIMIT), index_path)
            indexes.append(index)
            files += [join(name, shard.name) for shard in index.shards]
        else:
            files += _shards_at(name)
    if len(indexes) != len(names):
        return tuple(files), None
    for name, index in zip(names, indexes, strict=True):
        if not index.fits(indexes[0]):
            why = f"has another format, scale or scene inputs than {names[0]}"
            raise RecordError(name, why, "train on sets that were built alike")
    return tuple(files), RecordIndex.joined(indexes)


def _check_shards(files: Sequence[str], index: RecordIndex) -> dict[str, frozenset[str]]:
    """Check shards against their index, each read once; gives the scenes of each group."""
    scenes: dict[str, set[str]] = {}
    groups: Counter[str] = Counter()
    for file, shard in zip(files, index.shards, strict=True):
        count = 0
        with open_binary(file) as opened:
            stream = Hashed(opened)
            for count, (_, payload) in enumerate(read_frames(stream, file), start=1):
                features = Features(payload, file, count - 1)
                group = features.text("group")
                groups[group] += 1
                scenes.setdefault(group, set()).add(features.text("scene"))
        if (stream.size, stream.sha256) != (shard.bytes, shard.sha256):
            why = f"is not the shard of its index: {stream.size} bytes, {shard.bytes} expected"
            if stream.size == shard.bytes:
                why = "is not the shard of its index: another SHA-256"
            raise RecordError(file, why, "fetch or build the file again")
        if count != shard.records:
            why = f"holds {count} records, {shard.records} expected"
            raise RecordError(file, why, _REBUILD)
    if groups != Counter(index.tally.groups):
        where = join(parent_of(files[0]), INDEX_NAME)
        raise RecordError(where, "its groups are not those of the records", _REBUILD)
    return {group: frozenset(names) for group, names in scenes.items()}


def _survey(files: tuple[str, ...]) -> RecordSet:
    """Read every record, and make the index that fits what was seen."""
    first: Decoded | None = None
    groups: Counter[str] = Counter()
    scenes: dict[str, set[str]] = {}
    pixels: Counter[int] = Counter()
    shards = []
    for file in files:
        count = 0
        with open_binary(file) as opened:
            stream = Hashed(opened)
            for count, decoded in enumerate(_decoded(stream, file), start=1):
                first = first or decoded
                if (decoded.format, decoded.kind) != (first.format, first.kind):
                    why = "has another dtype, shape, bands or classes than the first record"
                    raise RecordError(file, why, "keep one format per set", index=count - 1)
                groups[decoded.record.group] += 1
                scenes.setdefault(decoded.record.group, set()).add(decoded.record.scene)
                pixels.update(class_pixels(decoded.record.labels))
        if not stream.size:
            raise RecordError(file, "is empty", "fetch or build the file again")
        shards.append(Shard(name_of(file), count, stream.size, stream.sha256))
    if first is None:
        raise RecordError(files[0], "holds no record", _REBUILD)
    # Loose shards do not tell their scale.
    facts = SetFacts(default_scale(first.format.dtype) or BandScale(0, 1))
    index = RecordIndex(first.format, facts, tuple(shards), Tally(groups, pixels))
    named = {group: frozenset(names) for group, names in scenes.items()}
    return RecordSet(files, index, first.kind, named)


def _decoded(stream: BinaryIO | Hashed, file: str) -> Iterator[Decoded]:
    for index, (_, payload) in enumerate(read_frames(stream, file)):
        yield decode(payload, file, index, stem=stem_of(file))


def _shards_at(name: str) -> list[str]:
    names = list_names(name)
    if names is None:
        return [name]
    found = sorted(join(name, entry) for entry in names if ".tfrec" in entry)
    if not found:
        why = f"holds neither {INDEX_NAME} nor a .tfrecord file"
        raise RecordError(name, why, "name a directory of records")
    return found


def _is_gzip(file: str) -> bool:
    with open_binary(file) as stream:
        return is_gzip(stream)
