"""Addresses of remote files as text: which they are, and what of them may be told.

A user's name, password or token can stand in an address. None of it may reach a message, a
name or a record. Opens nothing.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_REMOTE = re.compile(r"(?:https?|s3)://", re.IGNORECASE)
_BETWEEN = re.compile(rf",(?=\s*{_REMOTE.pattern})", re.IGNORECASE)
# GDAL names what it reads over HTTP by options and the percent-encoded address.
_GDAL_NAME = re.compile(r"/?vsicurl\?[^\s:,'\"]*")
_ADDRESS = re.compile(r"(?P<scheme>\w{2,}:/+)(?:[^/\s@'\"]*@)?(?P<rest>[^\s?#'\"]*)[^\s'\"]*")


def is_remote(text: str) -> bool:
    """Whether a name is the address of a file on a server."""
    return _REMOTE.match(text.strip()) is not None


def split_remote(text: str) -> tuple[str, ...]:
    """Addresses with commas in between; a comma within an address is part of it."""
    return tuple(address.strip() for address in _BETWEEN.split(text))


def shown(text: str) -> str:
    """An address without user, password, query and fragment; any other name as it is."""
    return _ADDRESS.sub(r"\g<scheme>\g<rest>", text.strip()) if is_remote(text) else text


def redacted(message: str) -> str:
    """A message with the secret parts of all addresses in it left out."""
    plain = _GDAL_NAME.sub("the file", message)
    return _ADDRESS.sub(r"\g<scheme>\g<rest>", plain)


def file_name(address: str) -> str:
    """The last part of an address' path, as a file would be called."""
    path = unquote(urlsplit(shown(address)).path)
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]
