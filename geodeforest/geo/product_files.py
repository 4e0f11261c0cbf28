"""The files of a product, in a folder or in a zip archive: their names, small texts, rasters.

Knows how to find and read what lies in a folder of known layout; nothing of products.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from xml.etree import ElementTree

from geodeforest.errors import SceneUnreadable
from geodeforest.geo.archives import ZIP_ERRORS, ZipMember, read_member
from geodeforest.geo.opening import cause

_TEXT_LIMIT = 2**25
"""Metadata of a product hold a megabyte at most; this much is read of them."""


class Folder(Protocol):
    """A folder of files. Names in it are relative, with "/" in between."""

    @property
    def path(self) -> str:
        """What messages call it."""
        ...

    def find(self, pattern: str) -> list[str]:
        """The sorted names that fit a pattern; "*" does not reach past a "/"."""
        ...

    def read(self, name: str) -> bytes:
        """A small file's content.

        Raises:
            SceneUnreadable: it is missing, huge or damaged.
        """
        ...

    def raster(self, name: str) -> str | ZipMember:
        """The file as ``open_raster`` takes it."""
        ...


@dataclass(frozen=True, slots=True)
class DiskFolder:
    """A folder on disk."""

    root: Path

    @property
    def path(self) -> str:
        """What messages call it."""
        return os.fspath(self.root)

    def find(self, pattern: str) -> list[str]:
        """The sorted names that fit a pattern; "*" does not reach past a "/"."""
        try:
            found = [path.relative_to(self.root).as_posix() for path in self.root.glob(pattern)]
        except OSError as error:
            raise _unreadable(self.path, error) from error
        return sorted(found)

    def read(self, name: str) -> bytes:
        """A small file's content.

        Raises:
            SceneUnreadable: it is missing, huge or damaged.
        """
        path = self.root / name
        try:
            with path.open("rb") as file:
                content = file.read(_TEXT_LIMIT + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
        return _bounded(content, path)

    def raster(self, name: str) -> str:
        """The file as ``open_raster`` takes it."""
        return os.fspath(self.root / name)


@dataclass(frozen=True, slots=True)
class ZipFolder:
    """A folder in a zip archive: ``names`` of its files, all of which begin with ``prefix``."""

    archive: Path
    prefix: str
    names: tuple[str, ...]

    @property
    def path(self) -> str:
        """What messages call it."""
        return os.fspath(self.archive)

    def find(self, pattern: str) -> list[str]:
        """The sorted names that fit a pattern; "*" does not reach past a "/"."""
        parts = PurePosixPath(pattern).parts
        return sorted(name for name in self.names if _fits(PurePosixPath(name).parts, parts))

    def read(self, name: str) -> bytes:
        """A small file's content.

        Raises:
            SceneUnreadable: it is missing, huge or damaged.
        """
        member = self.raster(name)
        try:
            content = read_member(member, _TEXT_LIMIT + 1)
        except ZIP_ERRORS as error:
            raise _unreadable(member, error) from error
        return _bounded(content, member)

    def raster(self, name: str) -> ZipMember:
        """The file as ``open_raster`` takes it."""
        return ZipMember(os.fspath(self.archive), self.prefix + name)


def zip_folder(path: Path, marks: tuple[str, ...]) -> ZipFolder | None:
    """The folder in an archive that holds a file fitting one of ``marks``.

    It lies at the top or one folder down. None where there is none.

    Raises:
        SceneUnreadable: the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except ZIP_ERRORS as error:
        why = f"is a damaged zip archive ({cause(error)})"
        raise SceneUnreadable(path, why, "download or copy it again") from error
    for name in sorted(names):
        *folders, last = PurePosixPath(name).parts
        if len(folders) <= 1 and any(fnmatchcase(last, mark) for mark in marks):
            prefix = name.removesuffix(last)
            inside = tuple(n.removeprefix(prefix) for n in names if n.startswith(prefix))
            return ZipFolder(path, prefix, inside)
    return None


def xml_root(folder: Folder, name: str) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        SceneUnreadable: it is missing or no plain XML.
    """
    text = folder.read(name)
    where = f"{folder.path}/{name}"
    plain = text.replace(b"\0", b"")  # in UTF-16 every other byte is zero
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:  # entities can grow without bound
        raise SceneUnreadable(where, "is XML that defines entities", "download it again")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise SceneUnreadable(where, f"is no XML ({error})", "download it again") from error


def json_object(folder: Folder, name: str) -> Mapping[str, Any]:
    """The object in a JSON file.

    Raises:
        SceneUnreadable: it is missing, no JSON or no object.
    """
    where = f"{folder.path}/{name}"
    try:
        found = json.loads(folder.read(name))
    except (ValueError, RecursionError) as error:
        raise SceneUnreadable(where, "is no JSON", "download it again") from error
    if not isinstance(found, dict):
        raise SceneUnreadable(where, "is JSON, but no object", "download it again")
    return found


def _fits(name: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(name) == len(pattern) and all(map(fnmatchcase, name, pattern))


def _bounded(content: bytes, path: object) -> bytes:
    if len(content) > _TEXT_LIMIT:
        raise SceneUnreadable(path, "is far too large for metadata", "download it again")
    return content


def _unreadable(path: object, error: BaseException) -> SceneUnreadable:
    return SceneUnreadable(path, f"cannot be read ({cause(error)})", "download or copy it again")
