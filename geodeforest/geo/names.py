"""What a user calls a scene: one path, or several with commas; and the stem of its outputs.

Knows names and whether a path is there. Opens nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from geodeforest.core.addresses import file_name, is_remote, shown, split_remote

_PRODUCT_ENDINGS = (".safe", ".zip")
_SENTINEL2_METADATA = re.compile(r"MTD_MSIL(1C|2A)\.xml")
_LANDSAT_METADATA = re.compile(r"_MTL\.(txt|json|xml)$")
_SEPARATOR = re.compile(r"[_.\- ]")


def split_names(text: str) -> tuple[str, ...]:
    """The files that a scene's name stands for, such as "B04.tif,B03.tif,B02.tif".

    A path that exists is taken whole, commas and all.
    """
    if is_remote(text):
        return split_remote(text)
    if "," not in text or Path(text).exists():
        return (text,)
    names = tuple(name.strip() for name in text.split(","))
    return names if all(names) else (text,)


def scene_name(names: Sequence[str]) -> str:
    """What a scene of these files is called: the file name of one, else ``common_stem``.

    A product's metadata file stands for the product.
    """
    return _standing(Path(names[0])).name if len(names) == 1 else common_stem(names)


def scene_stem(source: str | os.PathLike[str]) -> str:
    """What ``{scene}`` in an output's name becomes.

    The name without its ending; of a ``.SAFE.zip`` without both. A product's metadata file
    stands for the product. Of several files what ``common_stem`` tells.
    """
    names = split_names(os.fspath(source))
    if len(names) > 1:
        return common_stem(names)
    path = _standing(Path(file_name(names[0]) if is_remote(names[0]) else names[0]))
    if path.suffix.lower() not in _PRODUCT_ENDINGS:
        return path.stem
    while path.suffix.lower() in _PRODUCT_ENDINGS:
        path = path.with_suffix("")
    return path.name


def _standing(path: Path) -> Path:
    if _SENTINEL2_METADATA.fullmatch(path.name):
        return path.absolute().parent
    return path.with_name(_LANDSAT_METADATA.sub(".tif", path.name)) if path.name else path


def common_stem(names: Sequence[str]) -> str:
    """What the names of several files have in common at their beginning.

    Cut before a separator, so that T21LXK_B04.tif and T21LXK_B03.tif are "T21LXK". Where
    they have nothing in common, their stems with "_" in between.
    """
    stems = [Path(shown(name)).stem for name in names]
    words = [_SEPARATOR.split(stem) for stem in stems]
    shared = 0
    for column in zip(*words, strict=False):
        if len(set(column)) > 1:
            break
        shared += 1
    length = len("_".join(words[0][:shared]))
    return stems[0][:length] if shared else "_".join(stems)
