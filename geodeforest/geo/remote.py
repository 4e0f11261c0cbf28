"""Opens Cloud Optimized GeoTIFFs on servers, of which GDAL fetches the parts that are read.

Which address goes to GDAL in which form, and what a server's answer means to a user. Settings
are made while a file is opened, and stay with it alone. No folder is listed and no side-car
looked for.
"""

from __future__ import annotations

import re
from http.client import HTTPException
from ipaddress import ip_address
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

import rasterio

from geodeforest.core.addresses import shown
from geodeforest.errors import SceneNotFound, SceneUnreadable
from geodeforest.geo.fingerprints import Fingerprint

# GDAL's own words: https://gdal.org/user/virtual_file_systems.html. A server that is silent
# for half a minute is gone; one that is busy is asked again after 0.5, 1 and 2 seconds.
_WHILE_OPENING = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_LOW_SPEED_TIME": 30,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1,
    # Else GDAL believes in what a file was, or was not, for as long as the process lives.
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl?:/vsis3/",
}
_SECONDS = 10
_STATUS = re.compile(r"HTTP response code: (\d+)")
_BUCKET_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_NO_SIGN_REQUEST=YES if public"


def open_remote(address: str) -> rasterio.DatasetReader:
    """Open the GeoTIFF at an address for reading.

    Raises:
        SceneUnreadable: the address is not one that is read.
        RasterioError: there is no such file, or it is no GeoTIFF; see ``remote_error``.
    """
    name = _gdal_name(address.strip())
    with rasterio.Env(**_WHILE_OPENING):
        return rasterio.open(name, driver="GTiff")


def remote_error(address: str, why: str) -> SceneNotFound | SceneUnreadable:
    """What to tell of a remote file that GDAL could not open for the reason ``why``."""
    name, bucket = shown(address), address.lower().startswith("s3:")
    status = _STATUS.search(why)
    code = 0 if status is None else int(status[1])
    if code in (404, 410) or "does not exist" in why:
        return SceneNotFound(name)
    if code in (401, 403) or "credential" in why.lower():
        remedy = f"set {_BUCKET_KEYS}" if bucket else "check the address; it may have expired"
        return SceneUnreadable(name, f"the server grants no access ({why})", remedy)
    if code:
        return SceneUnreadable(name, f"the server answers HTTP {code}", "try again later")
    if "not recognized" in why:
        return SceneUnreadable(
            name,
            "the server sent no part of a GeoTIFF: a page perhaps, or it sends whole files only",
            "open the address in a browser, and download the file",
        )
    return SceneUnreadable(name, f"cannot be fetched ({why})", "check the address and the network")


def remote_fingerprint(address: str) -> Fingerprint:
    """What a server says of a file: size, ETag, time of change, as far as it says anything.

    One byte is fetched, since many a signed address allows nothing but reading. Of ``s3://``
    nothing is known.
    """
    name = shown(address)
    if not address.lower().startswith(("https://", "http://")):
        return Fingerprint(name)
    request = Request(address, headers={"Range": "bytes=0-0"})
    try:
        with urlopen(request, timeout=_SECONDS) as answer:
            told = answer.headers
    except (OSError, ValueError, HTTPException):
        return Fingerprint(name)
    size = str(told.get("Content-Range", "")).rpartition("/")[2]
    return Fingerprint(
        name,
        int(size) if size.isascii() and size.isdecimal() else None,
        etag=told.get("ETag"),
        modified=told.get("Last-Modified"),
    )


def _gdal_name(address: str) -> str:
    parts = urlsplit(address)
    if not address.isprintable() or not parts.netloc or not parts.path.strip("/"):
        raise SceneUnreadable(
            shown(address), "is not the address of a file", "give it with server and path"
        )
    if parts.scheme == "s3":
        return f"/vsis3/{parts.netloc}{parts.path}"
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise SceneUnreadable(
            shown(address),
            "is not encrypted: anyone on the way could change the scene",
            "give its https:// address, or download it",
        )
    return f"/vsicurl?list_dir=no&empty_dir=yes&url={quote(address, safe='')}"


def _is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
