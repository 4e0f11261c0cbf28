"""All that a scan reads: which files and arrays, what they hold, and that they stay so."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from geodeforest.core.addresses import is_remote, shown
from geodeforest.core.options import PathLike, ScanOptions
from geodeforest.errors import InputChanged, SceneUnreadable
from geodeforest.geo import landsat, sentinel2
from geodeforest.geo.fingerprints import (
    Fingerprint,
    WatchedFiles,
    array_fingerprint,
    file_fingerprint,
    local_files,
)
from geodeforest.geo.names import split_names
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.remote import remote_fingerprint
from geodeforest.geo.scene import Raster, Source

_METADATA = (*sentinel2.METADATA, *landsat.METADATA)

_Found: TypeAlias = Path | str | Fingerprint


class RunInputs:
    """The scene and the files laid over it.

    Made before anything is opened, so that a file that is replaced meanwhile is found out, too.
    """

    def __init__(self, source: Source, options: ScanOptions) -> None:
        self._named = _named(source)
        self._sources = source if isinstance(source, list | tuple) else (source,)
        over = {"mask": options.mask, "aoi": options.aoi, "baseline": options.baseline}
        self._over = {role: path for role, path in over.items() if path is not None}
        self._watched = WatchedFiles()
        self._known: dict[Path | str, Fingerprint] = {}
        for path in (*self._named, *self._over.values()):
            self._watched.add(local_files(path))

    def fingerprints(self, profile: SceneProfile) -> list[dict[str, Any]]:
        """Role, name, bytes and SHA-256 of each input of the open scene; reads them once.

        Of a product these are the rasters that are read, its mask, and metadata files at its
        top; of an archive the archive.
        """
        found = list(self._found(profile))
        self._watched.add(file for _, file in found if isinstance(file, Path))
        return [{"role": role, **self._fingerprint(each).facts()} for role, each in found]

    def _fingerprint(self, found: _Found) -> Fingerprint:
        if isinstance(found, Fingerprint):
            return found
        if found not in self._known:
            self._known[found] = (
                _of_file(found) if isinstance(found, Path) else remote_fingerprint(found)
            )
        return self._known[found]

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Refuse files that change inside; also where the change made them unreadable.

        Raises:
            InputChanged: a file is another than it was when this was made.
        """
        try:
            yield
        except SceneUnreadable:
            self._check()
            raise
        self._check()

    def _check(self) -> None:
        self._watched.check()
        for address, before in self._known.items():
            if isinstance(address, Path):
                continue
            now = remote_fingerprint(address)
            if now != before and Fingerprint(before.name) not in (now, before):  # it may be silent
                raise InputChanged(before.name)

    def _found(self, profile: SceneProfile) -> Iterator[tuple[str, _Found]]:
        """What each role is played by: files, addresses, and what is known by name alone."""
        arrays = [each for each in self._sources if _array(each) is not None]
        for each in arrays:
            yield "scene", _of_array(each, profile.name)
        if not arrays:
            metadata = [path for name in self._named for path in _metadata_of(Path(name))]
            yield from _places("scene", (*self._named, *metadata, *profile.files))
        if profile.product is not None and profile.product.mask is not None:
            yield from _places("mask", [profile.product.mask.path])
        for role, path in self._over.items():
            yield from _places(role, [path])


def _named(source: Source) -> list[str]:
    """The paths and addresses in what a user names as a scene."""
    if isinstance(source, str | os.PathLike):
        return list(split_names(os.fspath(source)))
    several = source if isinstance(source, list | tuple) else ()
    return [os.fspath(each) for each in several if isinstance(each, str | os.PathLike)]


def _places(role: str, paths: Iterable[PathLike]) -> Iterator[tuple[str, _Found]]:
    seen: set[object] = set()
    for name in (os.fspath(path) for path in paths):
        files: list[_Found] = [*local_files(name)]
        if is_remote(name):
            files = [name]
        elif not files and not Path(name).is_dir():
            files = [Fingerprint(Path(name).name)]
        for found in files:
            mark: object = found.resolve() if isinstance(found, Path) else found
            mark = shown(found) if isinstance(found, str) else mark  # with and without secrets
            if mark not in seen:
                yield role, found
            seen.add(mark)


def _metadata_of(named: Path) -> list[Path]:
    patterns = _METADATA if named.is_dir() else ()
    return sorted(path for pattern in patterns for path in named.glob(pattern))


def _array(source: Any) -> Any:
    if isinstance(source, Raster):
        return source.array
    return source.data if hasattr(source, "rio") and hasattr(source, "data") else None


def _of_array(source: Any, name: str) -> Fingerprint:
    array = _array(source)
    if isinstance(source, Raster):
        return array_fingerprint(name, array, source.nodata, source.valid)
    return array_fingerprint(name, array if array.ndim == 3 else array[None])


def _of_file(path: Path) -> Fingerprint:
    try:
        return file_fingerprint(path)
    except OSError:  # a bad block: what can be read is scanned, but there is no hash of it
        return Fingerprint(path.name)
