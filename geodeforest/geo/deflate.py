"""Bytes become DEFLATE, by the quickest way for what they are, and checksums. Knows no pixels.

Intel's ISA-L takes a third of zlib's time for noise, and a tenth for a CRC-32. Where it is not
installed, since it knows no such processor, zlib stands in: files are as good, and their bytes are
others; checksums are the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

try:
    from isal import isal_zlib
except ImportError:
    _isal: Any = None
else:
    _isal = isal_zlib

crc32: Callable[..., int] = (_isal or zlib).crc32

_ALONE = 16
"""Bytes that ISA-L gets by themselves: enough for a search, and too few for its fast one."""


def of_runs(plain: memoryview) -> bytes:
    """Bytes of which many are as the one before, such as class ids, in few.

    Only these runs are looked for: matching longer strings takes longer and saves nothing (see
    docs/performance.md).
    """
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return deflate.compress(plain) + deflate.flush()


def quickly(plain: memoryview) -> bytes:
    """Bytes of any kind, in the least time.

    Differences of scores, in which some values are frequent and little else repeats, become as
    short as by any other way.
    """
    return of_runs(plain) if _isal is None else _by_isal(plain)


def _by_isal(plain: memoryview) -> bytes:
    """Equal bytes for equal bytes, which a search that begins fast does not give.

    That one takes an address for the hash of the third byte (``.write_first_byte`` of ISA-L 2.32):
    from run to run, one block in some thousands would differ.
    """
    deflate = _isal.compressobj(1)
    begin = deflate.compress(plain[:_ALONE]) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return b"".join((begin, deflate.compress(plain[_ALONE:]), deflate.flush()))
