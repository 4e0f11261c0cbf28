"""Opens rasters, and says what a file is that is not one.

Knows file formats by their first bytes and the side-cars that GDAL follows. Nothing of
bands, CRS or pixels. A name alone is never trusted: a ``.tif`` may be text that sends GDAL
to other files or to the network. Only what the user calls by its address is fetched.
"""

from __future__ import annotations

import os
import re
import stat
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError  # what GDAL raises past rasterio's own errors
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geodeforest.core.addresses import is_remote, redacted, shown
from geodeforest.core.options import OpenRules
from geodeforest.errors import SceneNotFound, SceneUnreadable
from geodeforest.geo.archives import ZIP_ERRORS, ZipMember, members_beside, read_member
from geodeforest.geo.headers import check_header
from geodeforest.geo.lone_files import TIFF_MAGIC, check_lone_tiff
from geodeforest.geo.remote import open_remote, remote_error
from geodeforest.geo.tiff_chain import check_chain
from geodeforest.geo.vrt import open_vrt

# SystemError: rasterio's "Unknown GDAL Error", where GDAL fails and gives no reason.
# UnicodeDecodeError: where it gives one that quotes bytes of the file.
GDAL_ERRORS = (RasterioError, CPLE_BaseError, SystemError, UnicodeDecodeError)
"""What reading and writing with rasterio can raise."""

SCENE_DRIVERS = ("GTiff", "JP2OpenJPEG")
LABEL_DRIVERS = (*SCENE_DRIVERS, "PNG")

_MAGIC = {
    "GTiff": TIFF_MAGIC,
    "JP2OpenJPEG": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
}
_NOT_RASTERS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the raster itself", "run git lfs pull"),
    (b"<!doctype html", "is an HTML page", "download the raster again, perhaps after logging in"),
    (b"<html", "is an HTML page", "download the raster again, perhaps after logging in"),
    (
        b"<vrtdataset",
        "is VRT text, which may point anywhere",
        "make a GeoTIFF of it first, or pass --allow-vrt if it only puts plain rasters together",
    ),
    (b"\x89png", "is a PNG image, which has no georeference", "give the GeoTIFF it was made from"),
    (b"\xff\xd8\xff", "is a JPEG image, which has no georeference", "give the GeoTIFF instead"),
    (b"pk\x03\x04", "is a zip archive", "unpack it first"),
    (b"\x1f\x8b", "is a gzip archive", "unpack it first"),
    (b"\x89hdf", "is an HDF5 or netCDF file", "convert it to GeoTIFF first"),
)
# Filters of warnings belong to the whole process, and scenes are opened side by side.
_filtering = threading.RLock()

# GDAL's virtual file systems, inline XML and any scheme; one letter is a Windows drive.
_ADDRESS = re.compile(r"\s*(/vsi|<|[A-Za-z][A-Za-z0-9+._-]+:)")
_VRT = (b"<vrtdataset", b"<?xml")
_CODEC = re.compile(r"missing codec (?:of code )?(\w+)")
_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^/:]+/)+")
_HEAD_BYTES = 64
_SIDE_CARS = (".msk", ".ovr", ".aux.xml")
_AUX_XML_LIMIT = 2**24
_AUX_XML_POINTERS = (b"OVERVIEW_FILE", b"SourceFilename", b"/vsi")


RULES = OpenRules()
"""What may be opened where nothing else is said."""


def open_raster(
    path: str | os.PathLike[str],
    drivers: tuple[str, ...] = SCENE_DRIVERS,
    rules: OpenRules = RULES,
) -> rasterio.DatasetReader:
    """Open a raster of one of the given GDAL drivers for reading; at an address, a GeoTIFF.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: the path is no plain one, or the file is not such a raster.
        SceneTooLarge: it has more pixels than the rules allow.
    """
    name = os.fspath(path)
    remote = is_remote(name)
    if rules.untrusted:
        if not remote:
            _refuse_name(name)
        check_lone_tiff(name, rules)
    dataset = _fetched(name) if remote else _local(path, drivers, rules)
    try:
        check_header(dataset, shown(name), rules)
        if dataset.driver == "GTiff" and not (remote or isinstance(path, ZipMember)):
            check_chain(Path(path))
    except BaseException:
        dataset.close()
        raise
    return dataset


def gdal_version() -> str:
    """The version of the GDAL that reads and writes rasters."""
    return str(rasterio.__gdal_version__)


def _fetched(address: str) -> rasterio.DatasetReader:
    try:
        with _filtering, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return open_remote(address)
    except GDAL_ERRORS as error:
        # Not "from error": GDAL's own words hold the address, secrets and all.
        raise remote_error(address, cause(error)) from None


def _local(
    path: str | os.PathLike[str], drivers: tuple[str, ...], rules: OpenRules
) -> rasterio.DatasetReader:
    if isinstance(path, ZipMember):
        member, driver = path, _driver(path, _head(path), drivers)
        _refuse_side_cars(member)
        return _opened(member, lambda: rasterio.open(member.gdal_path, driver=driver))
    _refuse_name(os.fspath(path))
    file = Path(path)
    _refuse_name(str(file.absolute()))  # "vsizip/" of a process whose folder is the root
    head = _head(file)
    if rules.allow_vrt and head.lstrip().lower().startswith(_VRT):
        plain = OpenRules(max_pixels=rules.max_pixels)
        return _opened(file, lambda: open_vrt(file, lambda source: _check(source, plain)))
    driver = _driver(file, head, drivers)
    _check_side_cars(file)
    return _opened(file, lambda: rasterio.open(file.absolute(), driver=driver))


def _check(path: Path, rules: OpenRules) -> None:
    open_raster(path, rules=rules).close()


def _opened(
    path: Path | ZipMember, opening: Callable[[], rasterio.DatasetReader]
) -> rasterio.DatasetReader:
    try:
        with _filtering, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # is said in an error
            return opening()
    except GDAL_ERRORS as error:
        # GDAL begins with the file's name, and some drivers name its folder too.
        name = Path(path).name
        whole = path.gdal_path if isinstance(path, ZipMember) else str(path.absolute())
        why = cause(error).replace(whole, name).removeprefix(f"{name}: ")
        if (codec := _CODEC.search(why)) is not None:
            raise SceneUnreadable(
                path,
                f"is compressed with {codec[1]}, which the GDAL at hand cannot read",
                "write it again with another compression, such as DEFLATE",
            ) from error
        raise SceneUnreadable(
            path, f"cannot be opened ({why})", "download or copy it again"
        ) from error


def cause(error: BaseException) -> str:
    """The first reason in a chain of errors, as one line.

    Without control characters, secrets and the folders of this machine, which libtiff tells.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, SystemError):
        return "GDAL gives no reason"
    if isinstance(error, UnicodeDecodeError):
        return "a text in it is not UTF-8"
    words = getattr(error, "strerror", None) or str(error)
    line = _FOLDERS.sub("", next(iter(words.splitlines()), "")) or type(error).__name__
    return redacted("".join(c if c.isprintable() else " " for c in line)).rstrip(". ")


def _refuse_name(path: str) -> None:
    if _ADDRESS.match(path):
        raise SceneUnreadable(
            redacted(path.splitlines()[0][:200]),
            "is an address of a kind that is not read",
            "give a path, or an https:// or s3:// address",
        )
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:  # GDAL takes no other names
        raise SceneUnreadable(path, "has a name that is not UTF-8", "rename it") from None


def _driver(path: Path | ZipMember, head: bytes, drivers: tuple[str, ...]) -> str:
    for driver in drivers:
        if head.startswith(_MAGIC[driver]):
            return driver
    for magic, what, remedy in _NOT_RASTERS:
        if head.lstrip().lower().startswith(magic):
            raise SceneUnreadable(path, what, remedy)
    kinds = " or ".join({"GTiff": "GeoTIFF", "JP2OpenJPEG": "JPEG 2000"}.get(d, d) for d in drivers)
    raise SceneUnreadable(path, f"is not a {kinds} file", "convert it to GeoTIFF first")


def _head(path: Path | ZipMember) -> bytes:
    if isinstance(path, ZipMember):
        return _member_head(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise SceneUnreadable(path, "is a directory", "give the path of the raster in it")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
            raise SceneUnreadable(path, "is not a regular file", "copy it to a file first")
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SceneNotFound(path) from error
    except SceneUnreadable:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise SceneUnreadable(
            path, f"cannot be read ({cause(error)})", "check its permissions"
        ) from error
    if not head:
        raise SceneUnreadable(path, "is empty", "download or copy it again")
    return head


def _member_head(member: ZipMember) -> bytes:
    try:
        return read_member(member, _HEAD_BYTES)
    except ZIP_ERRORS as error:
        why = f"cannot be read ({cause(error)})"
        raise SceneUnreadable(member, why, "download or copy the archive again") from error


def _refuse_side_cars(member: ZipMember) -> None:
    # No product has any, and GDAL would follow what they name.
    if found := members_beside(member, _SIDE_CARS):
        raise SceneUnreadable(found[0], "is a side-car in an archive", "unpack the product first")


def _check_side_cars(path: Path) -> None:
    # Masks and statistics beside a raster are real data, and GDAL opens them with any
    # driver: one that is VRT text would fetch what it names.
    for suffix in (".msk", ".ovr"):
        side_car = path.with_name(path.name + suffix)
        if not side_car.exists():
            continue
        if not _head(side_car).startswith(TIFF_MAGIC):
            raise SceneUnreadable(side_car, "is a side-car that is not a TIFF", "remove it")
        check_chain(side_car)
    notes = path.with_name(path.name + ".aux.xml")
    try:
        large = notes.exists() and notes.stat().st_size > _AUX_XML_LIMIT
        text = notes.read_bytes() if notes.exists() and not large else b""
    except OSError as error:
        raise SceneUnreadable(notes, f"cannot be read ({cause(error)})", "remove it") from error
    if large or any(pointer in text for pointer in _AUX_XML_POINTERS):
        raise SceneUnreadable(notes, "is a side-car that is huge or names files", "remove it")
