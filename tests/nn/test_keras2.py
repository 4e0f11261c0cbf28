"""What a weights file from elsewhere may hold, and that nothing else of it is read."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import seed_networks as seed

from geodeforest.errors import WeightsError
from geodeforest.nn import hdf5, keras2
from geodeforest.nn.keras2 import look_first, saved_convs

LAYERS = [(np.full((3, 3, 2, 4), n, np.float32), np.full(4, n, np.float32)) for n in range(3)]
KERNEL = "conv2d_1/conv2d_1/kernel:0"


@pytest.fixture
def path(tmp_path) -> Path:
    return seed.write_h5(tmp_path / "x.h5", LAYERS)


def read(path):
    with saved_convs(path) as convs:
        return [(conv.name, *conv.read()) for conv in convs]


def refusal(path) -> str:
    with pytest.raises(WeightsError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def as_text(names) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def same(found):
    assert [name for name, *_ in found] == ["conv2d", "conv2d_1", "conv2d_2"]
    for (_, *arrays), expected in zip(found, LAYERS, strict=True):
        for array, wanted in zip(arrays, expected, strict=True):
            np.testing.assert_array_equal(array, wanted)


def test_kernels_and_biases_come_in_the_files_order(path):
    same(read(path))


def test_a_whole_model_is_read_below_its_weights(tmp_path):
    same(read(seed.write_h5(tmp_path / "x.h5", LAYERS, under="model_weights")))


def test_a_long_list_of_names_comes_in_parts(path):
    with h5py.File(path, "r+") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:3], names[3:]
    same(read(path))


@pytest.mark.parametrize("texts", [np.bytes_, h5py.string_dtype()], ids=["fixed", "free"])
def test_names_of_either_kind_of_text_are_read(path, texts):
    with h5py.File(path, "r+") as file:
        for group in (file, *file.values()):
            for name in {"layer_names", "weight_names"} & set(group.attrs):
                if len(names := as_text(group.attrs[name])):
                    group.attrs[name] = np.array(names, texts)
    same(read(path))


def linked_out(file):
    file[KERNEL] = h5py.ExternalLink("/etc/hostname", "/")


def linked_within(file):
    file[KERNEL] = h5py.SoftLink("/conv2d/conv2d/kernel:0")


def a_group(file):
    file.create_group(KERNEL)


def bytes_elsewhere(file):
    file.create_dataset(KERNEL, (3, 3, 2, 4), "f4", external=[("/etc/hostname", 0, 288)])


def virtual(file):
    layout = h5py.VirtualLayout((3, 3, 2, 4), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (3, 3, 2, 4))
    file.create_virtual_dataset(KERNEL, layout)


def packed(file):
    file.create_dataset(KERNEL, (3, 3, 1000, 4000), "f4", compression="gzip")


def never_written(file):
    file.create_dataset(KERNEL, (3, 3, 2**20, 2**20), "f4")


def words(file):
    file[KERNEL] = np.full((3, 3, 2, 4), b"word")


def doubles(file):
    file[KERNEL] = np.zeros((3, 3, 2, 4))


def a_vector(file):
    file[KERNEL] = np.zeros(4, np.float32)


def missing(file):
    pass


@pytest.mark.parametrize(
    "replaced",
    [
        *(linked_out, linked_within, a_group, bytes_elsewhere, virtual, packed),
        *(never_written, words, doubles, a_vector, missing),
    ],
)
def test_a_weight_that_is_not_a_plain_array_of_the_file_is_refused(path, replaced):
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        replaced(file)
    assert "cannot be imported: " in refusal(path)


@pytest.mark.parametrize("link", [h5py.ExternalLink("y.h5", "/"), h5py.SoftLink("/conv2d")])
@pytest.mark.parametrize("name", ["conv2d_1", "conv2d_1/conv2d_1", "model_weights"])
def test_a_link_on_the_way_to_a_weight_is_refused(path, name, link):
    seed.write_h5(path.parent / "y.h5", LAYERS)
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        file[name] = link
    assert "is missing or a link" in refusal(path)


def test_what_is_not_named_is_never_read(path):
    with h5py.File(path, "r+") as file:
        file["more"] = h5py.ExternalLink("/etc/hostname", "/")
        file.create_dataset("bomb", (2**40,), "f4", chunks=(1024,))
        file.attrs["model_config"] = '{"class_name": "Lambda"}'
    same(read(path))


@pytest.mark.parametrize(
    "names", [["conv2d/conv2d"], ["."], [""], ["conv2d"] * 2, ["/"], ["gone"], [b"\xff"], [1, 2], 7]
)
def test_names_that_name_no_layer_are_refused(path, names):
    with h5py.File(path, "r+") as file:
        file.attrs["layer_names"] = names
    refusal(path)


def test_a_file_without_a_list_of_layers_is_refused(path):
    with h5py.File(path, "r+") as file:
        del file.attrs["layer_names"]
    assert "has no layer_names" in refusal(path)


@pytest.mark.parametrize("parts", [1, 5])
def test_too_many_layers_are_refused(path, parts, monkeypatch):
    monkeypatch.setattr(hdf5, "ENTRIES_LIMIT", 6)
    with h5py.File(path, "r+") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        for part, some in enumerate(np.array_split(names, parts)):
            file.attrs["layer_names" if parts == 1 else f"layer_names{part}"] = some
    assert "7 layer_names, more than 6" in refusal(path)


def test_one_array_under_many_names_is_no_large_network(path):
    with h5py.File(path, "r+") as file:
        for number in range(200):
            file[f"more{number}"] = file["conv2d"]
        names = [*as_text(file.attrs["layer_names"]), *(f"more{n}" for n in range(200))]
        file.attrs["layer_names"] = names
    assert "parameters, more than it can hold" in refusal(path)


def test_too_many_parameters_are_refused(path, monkeypatch):
    monkeypatch.setattr(keras2, "PARAMETERS_LIMIT", 200)
    assert "228 parameters" in refusal(path)


def test_a_file_that_is_too_large_is_not_opened(path, monkeypatch):
    monkeypatch.setattr(keras2, "FILE_LIMIT_BYTES", 1000)
    monkeypatch.setattr(h5py, "File", lambda *_: pytest.fail("it was opened"))
    assert "more than 1,000 bytes" in refusal(path)


@pytest.mark.parametrize("length", [0, 8, 100, 1500, -1000, -1])
def test_a_file_that_is_cut_short_is_refused_or_whole(path, length):
    content = path.read_bytes()
    path.write_bytes(content[:length])
    refusal(path)


@pytest.mark.parametrize("start", [b"\x80\x05pickle", b"PK\x03\x04", b"text", b"\x89HDF\r\n\x1a\n"])
def test_other_files_are_refused(path, start):
    path.write_bytes(start + bytes(3000))
    refusal(path)


def test_a_missing_file_a_directory_and_a_pipe_are_refused(tmp_path):
    refusal(tmp_path / "gone.h5")
    refusal(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.h5")
        assert "not a regular file" in refusal(tmp_path / "pipe.h5")


def test_mistakes_of_the_caller_are_not_blamed_on_the_file(path):
    with pytest.raises(WeightsError, match="my own"), saved_convs(path):
        raise WeightsError("elsewhere", "my own", "do")


def looked_at(path) -> str:
    with pytest.raises(WeightsError) as error:
        look_first(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_first_look_says_nothing_of_a_good_file(path):
    assert look_first(path) is None


def test_a_first_look_tells_what_is_wrong(path):
    with h5py.File(path, "r+") as file:
        del file["conv2d_1"]
    assert "//conv2d_1 is missing or a link" in looked_at(path)


def test_a_file_that_keeps_hdf5_busy_for_ever_is_given_up(path, monkeypatch):
    content = path.read_bytes()
    name = content.index(b"conv2d/kernel:0")  # after its length, in a heap of names
    path.write_bytes(content[: name - 8] + b"\x70" + content[name - 7 :])
    sooner = "from geodeforest.nn import keras2; keras2._LOOK_SECONDS = 3; "
    monkeypatch.setattr(keras2, "_LOOK", sooner + keras2._LOOK)
    assert "the HDF5 library fails at it" in looked_at(path)


@pytest.mark.parametrize("end", ["import os; os.abort()", "import time; time.sleep(60)", "1 / 0"])
def test_a_process_that_does_not_end_well_is_the_files_fault(path, end, monkeypatch):
    monkeypatch.setattr(keras2, "_LOOK", end)
    monkeypatch.setattr(keras2, "_LOOK_SECONDS", 0.5)
    assert "the HDF5 library fails at it" in looked_at(path)
