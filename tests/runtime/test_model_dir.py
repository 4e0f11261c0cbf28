"""A model directory is what its spec says, or it is refused by name."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodeforest.core.spec import ModelSpec
from geodeforest.errors import ModelError, SpecError, WeightsError
from geodeforest.runtime import model_dir
from geodeforest.runtime.model_dir import (
    builtin_names,
    model_directory,
    read_spec,
    read_verified,
    verify_files,
)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Stands for the folder of built-in models, with two of them and a stray folder."""
    for name in ("b-model", "amazon-s2-rgb"):
        (tmp_path / "shelf" / name).mkdir(parents=True)
        (tmp_path / "shelf" / name / "model.json").write_text("{}")
    (tmp_path / "shelf" / "__pycache__").mkdir()
    monkeypatch.setattr(model_dir, "_BUILTIN", tmp_path / "shelf")
    return tmp_path / "shelf"


@pytest.fixture
def home(write_model, unet_bytes, spec):
    return write_model(unet_bytes, spec)


def edit(home, **fields):
    facts = json.loads((home / "model.json").read_text("utf-8"))
    (home / "model.json").write_text(json.dumps({**facts, **fields}), "utf-8")


def test_builtin_names_are_the_folders_with_a_spec(shelf):
    assert builtin_names() == ["amazon-s2-rgb", "b-model"]


def test_no_name_means_the_default_model(shelf):
    assert model_directory() == shelf / "amazon-s2-rgb"


def test_a_name_means_a_builtin_model_even_beside_a_directory(shelf, tmp_path, monkeypatch):
    (tmp_path / "b-model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_directory("b-model") == shelf / "b-model"
    assert model_directory("./b-model").resolve() == tmp_path / "b-model"


@pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path])
def test_a_directory_is_taken_as_it_is(shelf, tmp_path, kind):
    assert model_directory(kind(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["no-such-model", "../shelf/b-model/x", ""])
def test_an_unknown_name_lists_the_builtin_models(shelf, name):
    with pytest.raises(ModelError, match=r"\(amazon-s2-rgb, b-model\)|model\.json"):
        read_spec(model_directory(name))


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x80\x05\x95", "a pickle"),
        (b"PK\x03\x04", "a zip or .keras archive"),
        (b"\x89HDF\r\n", "HDF5 weights"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"hello", "a file"),
    ],
)
def test_a_file_in_place_of_a_directory_is_named_for_what_it_is(shelf, tmp_path, start, kind):
    (tmp_path / "model.bin").write_bytes(start)
    with pytest.raises(ModelError, match=rf"model\.bin: not a model directory \(found: {kind}"):
        model_directory(tmp_path / "model.bin")


def test_a_name_that_no_file_can_have_is_refused(shelf):
    with pytest.raises(ModelError, match=r"it cannot be read \(File name too long\)"):
        model_directory("m" * 300)


def test_a_spec_comes_back_as_it_was_written(home, spec):
    assert replace(read_spec(home), files={}) == spec


def test_errors_of_a_field_name_the_file_and_the_field(home):
    edit(home, threshold=7)
    with pytest.raises(SpecError) as refusal:
        read_spec(home)
    assert str(refusal.value) == (
        f"{home / 'model.json'}: field `threshold` is 7.0, not in 0..1; export the model again"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"schema": 1, "name":' + "[" * 100_000,
        "\udcff",
        '{"schema": 1}',
    ],
)
def test_a_text_that_is_no_spec_is_refused(home, text):
    (home / "model.json").write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(ModelError, match=r"model\.json: "):
        read_spec(home)


@pytest.mark.parametrize(
    "fields",
    [
        {"chip": 1 << 20},
        {"chip": 1e400},
        {"gsd_m": "far"},
        {"name": ""},
        {"name": "\x1b[31mred"},
        {"name": "two\nlines"},
        {"version": "x" * 256},
        {"bands": ["red", "\x07", "blue"]},
        {"bands": 3},
        {"scale": {"uint8": {"low": "a", "high": "b"}}},
        {"scale": {"uint8": {"low": 0, "high": 1e999}}},
        {"architecture": {"filters": [1] * 12}, "chip": 2048},
        {"architecture": {"filters": [1] * 100_000}},
        {"architecture": {"filters": 5}},
        {"classes": []},
        {"files": {"model.onnx": "hash"}},
    ],
)
def test_a_field_out_of_bounds_is_refused(home, fields):
    edit(home, **fields)
    with pytest.raises(ModelError, match=r"model\.json: "):
        read_spec(home)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_value_in_any_field_is_a_spec_or_a_model_error(data, tmp_path_factory, spec_text):
    home = tmp_path_factory.mktemp("spec")
    facts = json.loads(spec_text)
    field = data.draw(st.sampled_from(sorted(facts)))
    (home / "model.json").write_text(json.dumps({**facts, field: data.draw(JSON)}), "utf-8")
    with suppress(ModelError):
        assert isinstance(read_spec(home), ModelSpec)


def test_a_huge_spec_is_refused_without_being_parsed(home):
    with (home / "model.json").open("ab") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(ModelError, match="more than 4,194,304 bytes"):
        read_spec(home)


def test_a_missing_spec_is_refused_by_name(tmp_path):
    with pytest.raises(ModelError, match=r"model\.json: it cannot be read \(No such file"):
        read_spec(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(home, spec):
    (home / "model.onnx").unlink()
    os.mkfifo(home / "model.onnx")
    with pytest.raises(WeightsError, match="not a regular file"):
        verify_files(home, read_spec(home))


def test_whole_files_pass_and_strangers_are_ignored(home):
    (home / "notes.txt").write_text("hello")
    verify_files(home, read_spec(home))


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "remove"])
def test_a_file_that_differs_is_refused_by_name(home, damage):
    path = home / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    changed = {"flip": content, "cut": content[:-1], "grow": content + b"\0"}
    path.unlink()
    if damage in changed:
        path.write_bytes(changed[damage])
    with pytest.raises(WeightsError, match=r"model\.onnx: ") as refusal:
        verify_files(home, read_spec(home))
    assert refusal.value.exit_code == 6


@pytest.mark.parametrize("name", ["model.onnx", "model.weights.h5"])
def test_a_network_that_the_spec_does_not_name_is_refused(home, name):
    (home / "model.onnx").unlink()
    (home / name).write_bytes(b"anything")
    edit(home, files={})
    with pytest.raises(WeightsError, match=rf"{name}: model\.json does not vouch for it"):
        verify_files(home, read_spec(home))


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/b", "", ".hidden", "a\nb"])
def test_a_name_that_leads_out_of_the_directory_is_refused(home, tmp_path, name):
    (tmp_path / "secret").write_bytes(b"")
    entry = {"sha256": hashlib.sha256(b"").hexdigest(), "bytes": 0}
    edit(home, files={name: entry})
    with pytest.raises(WeightsError, match=r"model\.json: it names the file"):
        verify_files(home, read_spec(home))


def test_verified_content_is_the_content(home, unet_bytes):
    assert read_verified(home, read_spec(home), "model.onnx") == unet_bytes


def test_a_file_that_is_not_named_cannot_be_read(home):
    (home / "notes.txt").write_text("hello")
    with pytest.raises(WeightsError, match=r"it does not name notes\.txt"):
        read_verified(home, read_spec(home), "notes.txt")
