"""``geodeforest model``: what there is, what it says, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper, numpy_helper

from geodeforest.cli import main
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import Architecture, ClassDef, ConfidenceRule, ModelFile, ModelSpec
from geodeforest.runtime import model_dir

SPEC = ModelSpec(
    name="tiny",
    version="1.2",
    bands=("red", "green"),
    scale={"uint8": BandScale(0, 255), "uint16": BandScale(0, 3558)},
    gsd_m=10.0,
    chip=64,
    halo=0,
    classes=(ClassDef(0, "forest", "forest"), ClassDef(1, "deforestation", "deforestation")),
    threshold=0.55,
    confidence=ConfidenceRule(0.6, 0.8),
    architecture=Architecture((4,)),
    licence="CC-BY-4.0",
    training={"scenes": ["a", "b"]},
    metrics={
        "command": "make it",
        "mean_iou": 0.8,
        "confidence_precision": {"low": 0.7, "medium": 0.9, "high": None},
    },
)


def one_convolution() -> bytes:
    """The smallest network: each pixel's bands, weighed."""

    def value(name, channels):
        dims = ["n", "rows", "cols", channels]
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)

    nodes = [
        helper.make_node("Transpose", ["chips"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "kernel", "bias"], ["y"]),
        helper.make_node("Transpose", ["y"], ["z"], perm=[0, 2, 3, 1]),
        helper.make_node("Softmax", ["z"], ["scores"], axis=-1),
    ]
    tensors = {"kernel": np.ones((2, 2, 1, 1), np.float32), "bias": np.zeros(2, np.float32)}
    made = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "tiny", [value("chips", 2)], [value("scores", 2)], made)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, ir_version=8, opset_imports=opset).SerializeToString()


def write_model(directory, spec=SPEC):
    directory.mkdir(parents=True)
    content = one_convolution()
    (directory / "model.onnx").write_bytes(content)
    file = ModelFile(hashlib.sha256(content).hexdigest(), len(content))
    text = replace(spec, files={"model.onnx": file}).to_json()
    (directory / "model.json").write_text(text, "utf-8")
    return directory


@pytest.fixture
def home(tmp_path):
    return write_model(tmp_path / "home")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The folder of built-in models, with two of them."""
    write_model(tmp_path / "shelf" / "tiny")
    write_model(tmp_path / "shelf" / "broad", replace(SPEC, name="broad", gsd_m=None))
    monkeypatch.setattr(model_dir, "_BUILTIN", tmp_path / "shelf")


def run(*args):
    return CliRunner().invoke(main, ["model", *map(str, args)])


def test_list_names_each_builtin_model_in_one_line(shelf):
    assert run("list").stdout == (
        "broad 1.2: 2 bands (red, green), unknown pixel size\n"
        "tiny 1.2: 2 bands (red, green), 10 m\n"
    )


def test_list_as_json_holds_the_specs(shelf):
    assert [spec["name"] for spec in json.loads(run("list", "--json").stdout)] == ["broad", "tiny"]


def test_show_tells_the_facts_one_a_line(shelf):
    lines = run("show", "tiny").stdout.splitlines()
    assert lines[0] == "model: tiny 1.2"
    assert "scale: uint8 0..255, uint16 0..3558" in lines
    assert "classes: 0 forest (forest), 1 deforestation (deforestation)" in lines
    assert "threshold: 0.55" in lines
    assert "training scenes: a, b" in lines
    assert "metric mean_iou: 0.8" in lines
    assert "metric command: make it" in lines
    (confidence,) = (line for line in lines if line.startswith("confidence: "))
    assert confidence.endswith("true, out of fold: low: 0.7, medium: 0.9, high: -")
    assert lines[-1].startswith("file model.onnx: ")


def test_show_as_json_is_the_spec_in_one_object(home):
    facts = json.loads(run("show", home, "--json").stdout)
    assert facts == json.loads((home / "model.json").read_text("utf-8"))


def test_what_a_model_says_of_itself_cannot_steer_a_terminal(tmp_path):
    rude = replace(SPEC, licence="\x1b[2Jfree\nmodel: other", training={"a\rb": "\x07"})
    shown = run("show", write_model(tmp_path / "rude", rude)).stdout
    assert not {"\x1b", "\x07", "\r"} & set(shown)
    assert "licence: \\x1b[2Jfree\\nmodel: other" in shown.splitlines()


def test_verify_runs_every_check(home):
    done = run("verify", home)
    assert (done.exit_code, done.stdout) == (0, "tiny 1.2: 1 files are whole, the network runs\n")


def test_verify_ends_with_6_and_one_line_for_a_changed_file(home):
    content = (home / "model.onnx").read_bytes()
    (home / "model.onnx").write_bytes(content[:-1] + b"?")
    done = run("verify", home)
    assert (done.exit_code, done.stdout) == (6, "")
    assert done.stderr.startswith(f"geodeforest: error: {home / 'model.onnx'}: its sha256 starts")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["show", "verify"])
def test_an_unknown_model_ends_with_6_and_names_the_builtin_ones(shelf, command):
    done = run(command, "no-such-model")
    assert done.exit_code == 6
    assert "no-such-model: there is no such model" in done.stderr
    assert "(broad, tiny)" in done.stderr


def test_help_shows_the_commands():
    text = run("--help").stdout
    assert all(f"\n  {name}" in text for name in ("list", "show", "verify", "import", "export"))


def test_import_hands_over_what_was_chosen(tmp_path, monkeypatch):
    seen = {}

    def import_model(*args, **chosen):
        seen.update(chosen, args=args)
        return replace(SPEC, name="im\nported")

    monkeypatch.setattr("geodeforest.workflows.import_model.import_model", import_model)
    done = run(
        *("import", "x.h5", "-o", tmp_path / "model", "--concat", "skip-first"),
        *("--bands", "red,green", "--classes", "wood=forest, cut=deforestation"),
        *("--scale", "0,10000", "--dtype", "uint16", "--gsd", "10", "--threshold", "0.4"),
        *("--name", "mine", "--licence", "CC0", "--overwrite"),
    )
    assert done.exit_code == 0
    assert done.stdout == f"im\\nported 1.2: filters 4, 2 bands (red, green) -> {tmp_path}/model\n"
    assert seen == {
        "args": (Path("x.h5"), tmp_path / "model"),
        "concat": "skip-first",
        "bands": ("red", "green"),
        "classes": {"wood": "forest", "cut": "deforestation"},
        "scale": (0, 10000),
        "dtype": "uint16",
        "gsd": 10,
        "threshold": 0.4,
        "name": "mine",
        "licence": "CC0",
        "overwrite": True,
    }


def test_import_without_options_leaves_the_seeds_defaults(tmp_path, monkeypatch):
    from geodeforest.workflows.import_model import ImportOptions

    seen = {}

    def import_model(*args, overwrite, **chosen):
        seen.update(chosen)
        return SPEC

    monkeypatch.setattr("geodeforest.workflows.import_model.import_model", import_model)
    assert run("import", "x.h5", "-o", tmp_path / "model").exit_code == 0
    assert ImportOptions(**seen) == ImportOptions()


@pytest.mark.parametrize("text", ["", "wood", "wood=", "=forest", "a=forest,a=other", "a=forest,"])
def test_import_refuses_classes_that_are_no_pairs(text, tmp_path):
    done = run("import", "x.h5", "-o", tmp_path / "model", "--classes", text)
    assert done.exit_code == 2
    assert "--classes" in done.stderr


@pytest.mark.parametrize("content", [b"", b"\x80\x05pickle", b"\x89HDF\r\n\x1a\n" + bytes(4000)])
def test_import_ends_with_6_and_one_line_for_another_file(content, tmp_path):
    (tmp_path / "x.h5").write_bytes(content)
    done = run("import", tmp_path / "x.h5", "-o", tmp_path / "model")
    assert (done.exit_code, done.stdout) == (6, "")
    assert done.stderr.startswith(f"geodeforest: error: {tmp_path / 'x.h5'}: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "model").exists()


def exported(monkeypatch, *args):
    """The call of ``export``, and what it got."""
    from geodeforest.workflows.export_model import Exported

    seen = {}

    def export_model(model, *, output, **chosen):
        seen.update(chosen, model=model, output=output)
        return Exported(output, ("a\x1bb", "c"))

    monkeypatch.setattr("geodeforest.workflows.export_model.export_model", export_model)
    return run("export", "tiny", "--to", "onnx-qgis", "-o", "q.onnx", *args), seen


def test_export_hands_over_what_was_chosen(monkeypatch):
    done, seen = exported(
        monkeypatch, "--chip", "128", "--scene-level", "0.1, 0.2,0", "--overwrite"
    )
    assert done.exit_code == 0
    assert done.stdout == "tiny as onnx-qgis -> q.onnx\n"
    assert done.stderr == "geodeforest: note: a\\x1bb\ngeodeforest: note: c\n"
    assert seen == {
        "model": "tiny",
        "to": "onnx-qgis",
        "output": Path("q.onnx"),
        "chip": 128,
        "scene_level": (0.1, 0.2, 0),
        "overwrite": True,
    }


def test_export_is_silent_when_asked(monkeypatch):
    done, seen = exported(monkeypatch, "-q")
    assert (done.stdout, done.stderr) == ("", "")
    assert (seen["chip"], seen["scene_level"], seen["overwrite"]) == (None, None, False)


def test_export_refuses_levels_that_are_no_numbers(monkeypatch):
    done, _ = exported(monkeypatch, "--scene-level", "dark")
    assert done.exit_code == 2
    assert "--scene-level" in done.stderr


def test_export_ends_with_5_where_the_output_exists(home, tmp_path):
    (tmp_path / "m.onnx").write_text("mine")
    done = run("export", home, "--to", "onnx", "-o", tmp_path / "m.onnx")
    assert done.exit_code == 5
    assert (tmp_path / "m.onnx").read_text() == "mine"


def test_export_ends_with_6_for_a_file_the_model_lacks(home, tmp_path):
    done = run("export", home, "--to", "weights", "-o", tmp_path / "w.h5")
    assert done.exit_code == 6
    assert "it does not name model.weights.h5" in done.stderr
    assert not (tmp_path / "w.h5").exists()
