"""Files in zip archives, read where they are.

Knows zip archives and GDAL's name for what lies in one; nothing of rasters.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# What zipfile raises: also for encrypted members and unknown compressions.
ZIP_ERRORS = (OSError, zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError, EOFError)
"""What reading a zip archive can raise."""


@dataclass(frozen=True, slots=True)
class ZipMember(os.PathLike[str]):
    """A file in an archive: chosen by this program, never by a name that a user typed."""

    archive: str
    name: str

    def __fspath__(self) -> str:
        return f"{self.archive}/{self.name}"

    def __str__(self) -> str:
        return self.__fspath__()

    @property
    def gdal_path(self) -> str:
        """Its path for GDAL; in braces, so that the archive may have any ending."""
        return f"/vsizip/{{{Path(self.archive).absolute()}}}/{self.name}"


def read_member(member: ZipMember, most_bytes: int) -> bytes:
    """The first bytes of a file in an archive.

    Raises:
        OSError, zipfile.BadZipFile, ...: one of ``ZIP_ERRORS``.
    """
    with zipfile.ZipFile(member.archive) as archive, archive.open(member.name) as file:
        return file.read(most_bytes)


def members_beside(member: ZipMember, suffixes: Sequence[str]) -> list[ZipMember]:
    """The files in the archive whose name is that of ``member`` with a suffix appended.

    Raises:
        OSError, zipfile.BadZipFile, ...: one of ``ZIP_ERRORS``.
    """
    wanted = {f"{member.name}{suffix}".casefold() for suffix in suffixes}
    with zipfile.ZipFile(member.archive) as archive:
        found = [name for name in archive.namelist() if name.casefold() in wanted]
    return [ZipMember(member.archive, name) for name in found]
