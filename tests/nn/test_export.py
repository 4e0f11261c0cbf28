"""What is exported is the network that was trained, in both its forms, and nothing else runs."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import onnxruntime as ort
import pytest
from tiny_networks import CARD, SHAPES, spec_of, trained

from geodeforest.core.spec import ModelFile, ModelSpec
from geodeforest.errors import ModelError, OptionError, OutputUnwritable, SpecError, WeightsError
from geodeforest.nn import export
from geodeforest.nn.export import export_model, load_keras
from geodeforest.nn.keras_predictor import KerasPredictor
from geodeforest.nn.to_onnx import to_onnx
from geodeforest.runtime.model_dir import read_spec, verify_files


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    return spec_of(SHAPES["separable"], scene_inputs=1)


@pytest.fixture(scope="module")
def network(spec) -> keras.Model:
    return trained(spec)


@pytest.fixture(scope="module")
def exported(spec, network, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("exported")
    export_model(network, spec, home, CARD)
    return home


@pytest.fixture
def home(exported, tmp_path) -> Path:
    """A copy of the exported model, to be damaged."""
    return shutil.copytree(exported, tmp_path / "home")


def vouch(home: Path) -> None:
    """Make ``model.json`` name the weights as they are now."""
    path = home / "model.weights.h5"
    found = ModelFile(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    spec = ModelSpec.from_json((home / "model.json").read_text("utf-8"))
    files = {**spec.files, path.name: found}
    (home / "model.json").write_text(replace(spec, files=files).to_json(), "utf-8")


def edit_architecture(home: Path, **fields) -> None:
    facts = json.loads((home / "model.json").read_text("utf-8"))
    facts["architecture"].update(fields)
    (home / "model.json").write_text(json.dumps(facts), "utf-8")


def test_the_directory_holds_the_four_files_that_its_spec_names(home, spec):
    names = {"model.json", "model.onnx", "model.weights.h5", "MODEL_CARD.md"}
    assert {path.name for path in home.iterdir()} == names
    written = read_spec(home)
    assert set(written.files) == names - {"model.json"}
    assert replace(written, files={}) == spec
    verify_files(home, written)
    assert (home / "MODEL_CARD.md").read_text("utf-8") == CARD


def test_the_result_is_the_spec_as_written(spec, network, tmp_path):
    assert export_model(network, spec, tmp_path, CARD) == read_spec(tmp_path)


def test_the_same_network_gives_the_same_bytes(spec, network, home, tmp_path_factory):
    other = tmp_path_factory.mktemp("again")
    export_model(network, spec, other, CARD)
    for path in home.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes(), path.name


def test_other_programs_can_read_what_the_graph_is(home):
    facts = ort.InferenceSession(home / "model.onnx").get_modelmeta()
    assert facts.producer_name == "geodeforest"
    assert facts.version == 2
    assert "tiny 2.1" in facts.description
    found = {key: json.loads(value) for key, value in facts.custom_metadata_map.items()}
    assert found["bands"] == ["red", "green", "blue"]
    assert found["class_names"] == {"0": "forest", "1": "deforestation"}
    assert found["multiple"] == 8


def test_a_network_trained_in_mixed_precision_is_exported_in_float32(spec, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = trained(spec)
        export_model(model, spec, tmp_path, CARD)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert load_keras(tmp_path).compute_dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_directory_that_is_not_empty_is_left_alone(spec, network, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputUnwritable, match="not an empty directory"):
        export_model(network, spec, tmp_path, CARD)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_missing_directory_is_an_output_error(spec, network, tmp_path):
    with pytest.raises(OutputUnwritable, match="No such file"):
        export_model(network, spec, tmp_path / "nowhere", CARD)


def test_a_network_of_another_spec_is_not_exported(network, tmp_path):
    with pytest.raises(ModelError, match="not those of the spec's architecture"):
        export_model(network, spec_of(SHAPES["conv"]), tmp_path, CARD)
    assert not any(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_not_exported(spec, tmp_path):
    model = trained(spec)
    model.weights[0].assign(np.full(model.weights[0].shape, np.nan))
    with pytest.raises(ModelError, match="not finite"):
        export_model(model, spec, tmp_path, CARD)
    assert not any(tmp_path.iterdir())


def test_a_graph_that_differs_from_keras_is_not_written(spec, network, tmp_path, monkeypatch):
    def wrong(model):
        proto = to_onnx(model)
        tensor = next(t for t in proto.graph.initializer if t.name == "logits/bias")
        changed = np.frombuffer(tensor.raw_data, np.float32) + np.float32(0.01)
        tensor.raw_data = changed.tobytes()
        return proto

    monkeypatch.setattr(export, "to_onnx", wrong)
    with pytest.raises(ModelError, match="its scores differ from Keras' by"):
        export_model(network, spec, tmp_path, CARD)
    assert not any(tmp_path.iterdir())


def test_loading_gives_back_every_weight(network, home):
    for before, after in zip(network.weights, load_keras(home).weights, strict=True):
        np.testing.assert_array_equal(before, after)


def test_weights_that_the_spec_does_not_vouch_for_are_refused(home):
    with (home / "model.weights.h5").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(WeightsError, match=r"not the file that model\.json names"):
        load_keras(home)


def test_weights_that_change_once_they_are_hashed_are_those_that_were(network, home, monkeypatch):
    def then_change(spec, path, size):
        path.write_bytes(b"something else")
        return rebuilt(spec, path, size)

    rebuilt = export._rebuilt
    monkeypatch.setattr(export, "_rebuilt", then_change)
    np.testing.assert_array_equal(load_keras(home).weights[0], network.weights[0])


@pytest.mark.parametrize("name", ["model.json", "model.weights.h5"])
def test_a_missing_file_is_refused_by_name(home, name):
    (home / name).unlink()
    with pytest.raises(WeightsError, match=f"{name}: it cannot be read"):
        load_keras(home)


KERNEL = "layers/conv2d/vars/0"


def linked_out(file: h5py.File, kernel: np.ndarray) -> None:
    file[KERNEL] = h5py.ExternalLink("/etc/hostname", "/")


def linked_within(file: h5py.File, kernel: np.ndarray) -> None:
    file[KERNEL] = h5py.SoftLink("/elsewhere")
    file["elsewhere"] = kernel


def a_group(file: h5py.File, kernel: np.ndarray) -> None:
    file[KERNEL] = file["/"]


def bytes_elsewhere(file: h5py.File, kernel: np.ndarray) -> None:
    file.create_dataset(KERNEL, kernel.shape, "f4", external=[("/etc/hostname", 0, kernel.nbytes)])


def bomb(file: h5py.File, kernel: np.ndarray) -> None:
    file.create_dataset(KERNEL, (2**40,), "f4", chunks=(1024,))


def missing(file: h5py.File, kernel: np.ndarray) -> None:
    pass


def reshaped(file: h5py.File, kernel: np.ndarray) -> None:
    file[KERNEL] = kernel.reshape(-1)


def words(file: h5py.File, kernel: np.ndarray) -> None:
    file[KERNEL] = np.full(kernel.shape, b"word")


@pytest.mark.parametrize(
    "replaced",
    [linked_out, linked_within, a_group, bytes_elsewhere, bomb, missing, reshaped, words],
)
def test_a_weight_that_is_not_in_its_place_is_refused(home, replaced):
    with h5py.File(home / "model.weights.h5", "r+") as file:
        kernel = file[KERNEL][()]
        del file[KERNEL]
        replaced(file, kernel)
    vouch(home)
    with pytest.raises(
        WeightsError, match=r"the weights do not fit .*/vars/0|stem/kernel"
    ) as error:
        load_keras(home)
    assert "\n" not in str(error.value)


def test_what_is_not_a_weight_is_never_read(network, home):
    with h5py.File(home / "model.weights.h5", "r+") as file:
        file["more"] = h5py.ExternalLink("/etc/hostname", "/")
        file.create_dataset("bomb", (2**40,), "f4", chunks=(1024,))
    vouch(home)
    np.testing.assert_array_equal(load_keras(home).weights[0], network.weights[0])


@pytest.mark.parametrize("content", [b"", b"\x80\x05pickle", b"\x89HDF\r\n\x1a\n" + bytes(4000)])
def test_a_file_that_is_no_hdf5_is_refused(home, content):
    (home / "model.weights.h5").write_bytes(content)
    vouch(home)
    with pytest.raises(WeightsError):
        load_keras(home)


def test_huge_filters_are_refused_before_anything_is_built(home, monkeypatch):
    monkeypatch.setattr(export, "build_unet", lambda **_: pytest.fail("it was built"))
    edit_architecture(home, filters=[2_000_000_000, 2_000_000_000, 8])
    with pytest.raises(WeightsError, match="too small for the spec's network"):
        load_keras(home)


@pytest.mark.parametrize("kernel", ["wide", 0, -1, None])
def test_an_architecture_that_cannot_be_built_is_a_spec_error(home, kernel):
    edit_architecture(home, up="transpose", up_kernel=kernel)
    with pytest.raises(SpecError, match=r"`architecture` is wrong \(up_kernel .* in 1..7\)"):
        load_keras(home)


def test_the_keras_engine_refuses_what_the_other_one_refuses(home):
    predictor = KerasPredictor(home)
    assert predictor.spec == read_spec(home)
    with pytest.raises(OptionError, match="multiples of 8 px"):
        predictor.predict(np.zeros((1, 9, 8, 3), np.float32), np.zeros((1, 3), np.float32))
    with pytest.raises(OptionError, match="scene's p0"):
        predictor.predict(np.zeros((1, 8, 8, 3), np.float32))
