"""The bytes of an ONNX file: whatever is none is refused, soon and in one line."""

from __future__ import annotations

import os
import random
import time

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodeforest.errors import ModelError
from geodeforest.runtime.onnx_graph import GraphFacts, check_graph


def test_a_graph_given_in_two_parts_is_refused(unet):
    # Protobuf readers merge the two; a reader that looked at one only would miss the other.
    twice = unet.SerializeToString() + onnx.ModelProto(graph=unet.graph).SerializeToString()
    with pytest.raises(ModelError, match="graph 2 times"):
        check_graph(twice)


def test_a_huge_file_is_refused_without_being_read(tmp_path):
    path = tmp_path / "model.onnx"
    path.touch()
    os.truncate(path, 2**40)  # sparse: it takes no space on disk
    with pytest.raises(ModelError, match="more than 1,073,741,824 bytes"):
        check_graph(path)


@pytest.mark.parametrize("name", ["missing.onnx", "."])
def test_what_is_no_file_is_refused_by_name(tmp_path, name):
    with pytest.raises(ModelError, match="file"):
        check_graph(tmp_path / name)


def test_millions_of_tiny_fields_end_soon():
    begin = time.perf_counter()
    with pytest.raises(ModelError, match="more than 200000 fields"):
        check_graph(b"\x42\x00" * 20_000_000)
    assert time.perf_counter() - begin < 5


def test_deep_nesting_is_refused_at_its_first_level():
    graph = b""
    for _ in range(5000):
        attribute = _field(6, graph)
        graph = _field(1, _field(5, attribute))  # a graph of one node with that attribute
    with pytest.raises(ModelError, match="a subgraph"):
        check_graph(_field(7, graph))


def _field(number: int, data: bytes) -> bytes:
    size, length = len(data), b""
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x05\x95",  # a pickle's first bytes
        b"PK\x03\x04",
        b"not a model",
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # a length of 2^63 - 1
        b"\x08" + b"\xff" * 11,  # a number that never ends
        b"\x3b\x3c",  # a group, which protobuf gave up long ago
    ],
)
def test_other_bytes_are_refused(content):
    with pytest.raises(ModelError, match=r"^model\.onnx: the graph is refused: "):
        check_graph(content)


def test_every_truncation_is_refused(unet_bytes):
    for end in range(0, len(unet_bytes), 3):
        with pytest.raises(ModelError):
            check_graph(unet_bytes[:end])


def _refused_or_whole(content: bytes) -> bool:
    try:
        return isinstance(check_graph(content), GraphFacts)
    except ModelError:
        return True


@settings(max_examples=25, deadline=None)
@given(draw=st.randoms(use_true_random=False))
def test_flipped_bits_raise_model_errors_only(unet_bytes, draw: random.Random):
    for _ in range(40):
        content = bytearray(unet_bytes)
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        assert _refused_or_whole(bytes(content))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_raise_model_errors_only(content):
    assert _refused_or_whole(content)
