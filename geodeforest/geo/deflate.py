"""Bytes become DEFLATE, by the quickest way for what they are, and checksums. Knows no pixels.

Intel's ISA-L takes a third of zlib's time for noise, and a tenth for a CRC-32. Where it is not
installed, since it knows no such processor, zlib stands in: files are as good, and their bytes are
others; checksums are the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial

try:
    from isal import isal_zlib
except ImportError:
    _quickly: Callable[[memoryview], bytes] | None = None
    crc32: Callable[..., int] = zlib.crc32
else:
    _quickly, crc32 = partial(isal_zlib.compress, level=1), isal_zlib.crc32


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
    return of_runs(plain) if _quickly is None else _quickly(plain)
