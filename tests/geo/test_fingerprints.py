"""Hashes of files and arrays, and files that may not change."""

import hashlib
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.errors import InputChanged
from geodeforest.geo import fingerprints
from geodeforest.geo.fingerprints import (
    WatchedFiles,
    array_fingerprint,
    file_fingerprint,
    local_files,
)


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "a.tif").write_bytes(content)
    found = file_fingerprint(tmp_path / "a.tif")
    assert (found.name, found.bytes) == ("a.tif", 3_000_000)
    assert found.sha256 == hashlib.sha256(content).hexdigest()


@given(st.integers(0, 2**32 - 1), st.sampled_from(["u1", ">u2", "f4", "f2"]), st.integers(1, 99))
def test_an_array_is_hashed_in_parts_as_it_would_be_whole(seed, dtype, at_once):
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 200, (2, 7, 9)).astype(dtype)[:, ::-1, ::2]
    valid = rng.random((7, 5)) > 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprints, "_HASHED_PX", at_once)
        found = array_fingerprint("array", array, 0, valid)
    told = f"{array.dtype.str} {array.shape} 0".encode()
    assert found.sha256 == hashlib.sha256(told + array.tobytes() + valid.tobytes()).hexdigest()


def test_the_same_numbers_in_another_shape_or_type_are_another_array():
    ones = np.ones((1, 4, 6), np.uint8)
    kinds = [ones, ones.reshape(1, 6, 4), ones.view(np.int8)]
    assert len({array_fingerprint("array", array).sha256 for array in kinds}) == 3


def test_a_lazy_array_is_not_computed_for_its_hash():
    class Lazy:
        def __array__(self, *_, **__):
            raise AssertionError("computed")

    assert array_fingerprint("array", Lazy()).sha256 is None


def test_what_is_read_from_beside_a_file_belongs_to_it(tmp_path):
    names = ["a.tif", "a.tif.aux.xml", "a.tif.msk", "a.tfw", "p.shp", "p.dbf", "p.shx", "b.tif"]
    for name in names:
        (tmp_path / name).touch()
    assert {f.name for f in local_files(tmp_path / "a.tif")} == {*names[:4]}
    assert {f.name for f in local_files(tmp_path / "p.shp")} == {*names[4:7]}


def test_of_what_lies_in_an_archive_the_archive_counts(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/b.jp2", b"x")
    assert local_files(f"{tmp_path}/a.zip/in/b.jp2") == [tmp_path / "a.zip"]


@pytest.mark.parametrize("name", ["https://example.org/a.tif", "/vsimem/a.tif", "none.tif", ""])
def test_what_is_on_no_disk_has_no_files(name):
    assert local_files(name) == []


def _same_size(path):
    path.write_bytes(b"y" * path.stat().st_size)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def _replaced(path):
    kept = path.stat()
    path.with_suffix(".new").write_bytes(b"y" * kept.st_size)
    os.utime(path.with_suffix(".new"), ns=(kept.st_atime_ns, kept.st_mtime_ns))
    path.with_suffix(".new").replace(path)


def _longer(path):
    kept = path.stat()
    path.write_bytes(b"y" * (kept.st_size + 1))
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


@pytest.mark.parametrize("change", [_same_size, _replaced, _longer, os.unlink])
def test_each_kind_of_change_is_seen(tmp_path, change):
    path = tmp_path / "a.tif"
    path.write_bytes(b"one")
    watched = WatchedFiles()
    watched.add([path])
    watched.check()
    change(path)
    with pytest.raises(InputChanged, match=r"a\.tif: changed during the scan"):
        watched.check()
