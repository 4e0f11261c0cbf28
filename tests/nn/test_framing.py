from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodeforest.errors import RecordError
from geodeforest.nn import framing
from geodeforest.nn.crc import crc32c, masked_crc32c
from geodeforest.nn.framing import frame, read_frames

PAYLOADS = [b"first", b"", b"third" * 100]


def bitwise_crc32c(data: bytes) -> int:
    """The dull way: one bit after the other."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def header(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked_crc32c(packed))


def read(data: bytes) -> list[bytes]:
    return [payload for _, payload in read_frames(io.BytesIO(data), "set/a.tfrecord")]


def refusal(data: bytes) -> str:
    with pytest.raises(RecordError) as caught:
        read(data)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_crc_gives_the_values_of_rfc_3720(data, crc):
    assert crc32c(data) == crc


@given(st.integers(0, 3000), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_crc_in_lanes_equals_crc_bit_by_bit(length, seed):
    data = (seed.to_bytes(8, "little") * (length // 8 + 1))[:length]
    assert crc32c(data) == bitwise_crc32c(data)


def test_tensorflow_reads_what_frame_writes(tmp_path):
    import tensorflow as tf

    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"".join(frame(payload) for payload in PAYLOADS))
    found = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert found == PAYLOADS


@given(st.lists(st.binary(max_size=600), max_size=6), st.booleans())
@settings(max_examples=50, deadline=None)
def test_reading_gives_back_what_was_framed(payloads, packed):
    data = b"".join(frame(payload) for payload in payloads)
    assert read(gzip.compress(data) if packed else data) == payloads


def test_offsets_are_where_the_records_begin():
    data = b"".join(frame(payload) for payload in PAYLOADS)
    offsets = [offset for offset, _ in read_frames(io.BytesIO(data), "a")]
    assert offsets == [0, 21, 37]


@given(st.integers(0, 10_000), st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_any_flipped_bit_is_found(place, bit):
    data = bytearray(b"".join(frame(payload) for payload in PAYLOADS))
    data[place % len(data)] ^= 1 << bit
    assert refusal(bytes(data)).startswith("set/a.tfrecord: ")


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=80, deadline=None)
def test_a_cut_is_found_unless_it_is_between_two_records(cut, packed):
    whole = b"".join(frame(payload) for payload in PAYLOADS)
    whole = gzip.compress(whole) if packed else whole
    boundaries = {0} if packed else {0, 21, 37}
    data = whole[: cut % len(whole)]
    if len(data) in boundaries:
        assert read(data) == PAYLOADS[: sorted(boundaries).index(len(data))]
    else:
        refusal(data)


def test_the_message_tells_file_record_offset_and_remedy():
    data = frame(b"first") + frame(b"second")[:-1] + b"\0"
    assert refusal(data) == (
        "set/a.tfrecord: record 1: at byte 21 has a wrong payload checksum; "
        "fetch or build the file again"
    )


@pytest.mark.parametrize("packed", [False, True])
def test_a_crafted_length_with_a_right_checksum_is_refused_before_memory_is_taken(packed):
    data = frame(b"first") + header(2**40) + b"tail"
    tracemalloc.start()
    message = refusal(gzip.compress(data) if packed else data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "record 1: at byte 21 claims 1099511627776 bytes" in message
    assert peak < 2**23


def test_a_gzip_that_grows_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(framing, "BOMB_BYTES", 2**16)
    bomb = gzip.compress(b"".join(frame(bytes(2**14)) for _ in range(200)))
    assert "of gzip" in refusal(bomb)


def test_a_long_gzip_of_ordinary_ratio_is_read(monkeypatch):
    import random

    monkeypatch.setattr(framing, "BOMB_BYTES", 2**10)
    payload = random.Random(1).randbytes(2**12)
    assert read(gzip.compress(frame(payload))) == [payload]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"some text that is long enough", "is not a TFRecord file"),
        (b"short", "is cut short in its header"),
        (gzip.compress(b"text in a gzip file, say a tar"), "is not a TFRecord file"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer"),
    ],
)
def test_what_is_not_a_tfrecord_is_named(data, what):
    assert what in refusal(data)


def test_an_empty_file_holds_no_record():
    assert read(b"") == []


def test_framing_loads_no_tensorflow():
    program = "import sys, geodeforest.nn.framing; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
