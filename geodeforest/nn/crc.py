"""CRC-32C (Castagnoli), the checksum of TFRecord files, quick enough to check every byte.

Pure numpy; knows nothing of files.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # reflected; RFC 3720, appendix B.4, has test vectors
_LANE_BITS = 7  # 128-byte lanes: long enough to pay for the joins, short enough for small records


def masked_crc32c(data: bytes) -> int:
    """CRC-32C rotated and offset, as TFRecord stores it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of the data.

    Long data is cut into lanes of 128 bytes that run side by side in numpy. A CRC is
    linear: with a start of zero, leading zeros change nothing and
    ``crc(a + b) = shift(crc(a), len(b)) ^ crc(b)``, so the lanes are joined pairwise.
    """
    if len(data) < 2 << _LANE_BITS:
        return _crc32c_bytewise(data)
    lanes = -(-len(data) >> _LANE_BITS)
    padded = np.zeros(lanes << _LANE_BITS, np.uint8)
    padded[-len(data) :] = np.frombuffer(data, np.uint8)
    padded[-len(data) :][:4] ^= 0xFF  # the CRC's start value, moved into the data
    words = np.ascontiguousarray(padded.view("<u2").reshape(lanes, -1).T)
    state, table = np.zeros(lanes, np.uint32), _two_byte_table()
    for word in words:
        state ^= word
        state = (state >> np.uint32(16)) ^ table[state & np.uint32(0xFFFF)]
    bits = _LANE_BITS
    while state.size > 1:
        if state.size % 2:
            state = np.concatenate([np.zeros(1, np.uint32), state])
        state = _apply(_shift(bits), state[0::2]) ^ state[1::2]
        bits += 1
    return int(state[0]) ^ 0xFFFFFFFF


def _crc32c_bytewise(data: bytes) -> int:
    table, crc = _byte_list(), 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@cache
def _byte_table() -> NDArray[np.uint32]:
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = (crc >> np.uint32(1)) ^ np.where(crc & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return crc


@cache
def _byte_list() -> list[int]:
    return [int(entry) for entry in _byte_table()]


@cache
def _two_byte_table() -> NDArray[np.uint32]:
    crc = np.arange(2**16, dtype=np.uint32)
    for _ in range(2):
        crc = (crc >> np.uint32(8)) ^ _byte_table()[crc & np.uint32(0xFF)]
    return crc


@cache
def _shift(bits: int) -> NDArray[np.uint32]:
    """What ``2**bits`` zero bytes make of a CRC, per byte of the CRC: shape (4, 256)."""
    if bits:
        half = _shift(bits - 1)
        return _apply(half, half)
    places = np.array([[0], [8], [16], [24]], np.uint32)
    crc: NDArray[np.uint32] = np.arange(256, dtype=np.uint32) << places
    moved: NDArray[np.uint32] = (crc >> np.uint32(8)) ^ _byte_table()[crc & np.uint32(0xFF)]
    return moved


def _apply(shift: NDArray[np.uint32], crc: NDArray[np.uint32]) -> NDArray[np.uint32]:
    b0, b1, b2, b3 = ((crc >> np.uint32(8 * k)) & np.uint32(0xFF) for k in range(4))
    shifted: NDArray[np.uint32] = shift[0][b0] ^ shift[1][b1] ^ shift[2][b2] ^ shift[3][b3]
    return shifted
