"""DEFLATE that any reader understands, with ISA-L and without."""

import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.geo import deflate

WITHOUT_ISAL = """
import sys
sys.modules["isal"] = None
from geodeforest.geo.deflate import quickly
sys.stdout.buffer.write(quickly(memoryview(sys.stdin.buffer.read())))
"""


def noise(count):
    """Differences of scores: small ones are frequent."""
    return np.random.default_rng(0).normal(0, 9, count).astype(np.int8).tobytes()


@pytest.mark.parametrize("packed", [deflate.of_runs, deflate.quickly])
@given(plain=st.binary(max_size=400), times=st.integers(1, 40))
def test_zlib_reads_what_comes_out(packed, plain, times):
    assert zlib.decompress(packed(memoryview(plain * times))) == plain * times


def test_runs_take_next_to_nothing():
    assert len(deflate.of_runs(memoryview(bytes(2**18)))) < 2**11


def test_noise_takes_what_its_values_are_worth():
    values = np.unique(np.frombuffer(noise(2**18), np.int8), return_counts=True)[1] / 2**18
    bits = -(values * np.log2(values)).sum()
    assert len(deflate.quickly(memoryview(noise(2**18)))) < 1.02 * 2**18 * bits / 8


def test_bytes_become_the_same_whatever_the_thread_and_its_memory():
    """Of these ISA-L alone would pack about ten in more than one way."""
    digits = np.random.default_rng(0).integers(0, 6, (1500, 900), np.uint8)
    with ThreadPoolExecutor(6) as threads:
        found = [
            threads.submit(lambda: [deflate.quickly(one.data) for one in digits]) for _ in range(12)
        ]
    assert len({tuple(each.result()) for each in found}) == 1


def test_without_isal_zlib_stands_in():
    command = [sys.executable, "-c", WITHOUT_ISAL]
    found = subprocess.run(command, input=noise(2**16), stdout=subprocess.PIPE, check=True).stdout
    assert found == deflate.of_runs(memoryview(noise(2**16)))


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_checksums_go_on_from_one_another_as_zlibs_do(first, then):
    assert deflate.crc32(then, deflate.crc32(first)) == zlib.crc32(first + then)
