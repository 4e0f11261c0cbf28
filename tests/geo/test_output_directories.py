"""Directories as outputs: whole or not at all, and nothing is deleted that is not their own."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from output_folders import failing, fill, names

from geodeforest.errors import OptionError, OutputExists, OutputUnwritable
from geodeforest.geo.files import DirectoryOutput, OutputSet, unwritable


def test_a_directory_appears_at_the_end(tmp_path):
    output = tmp_path / "chips"
    with DirectoryOutput(output) as directory:
        (directory / "a.tif").write_text("new")
        assert directory.name == "chips"
        assert not output.exists()
    assert names(tmp_path) == ["chips"]
    assert (output / "a.tif").read_text() == "new"


def test_an_error_leaves_no_directory(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(DirectoryOutput(tmp_path / "chips"), then=failing(KeyboardInterrupt))
    assert names(tmp_path) == []


def test_an_empty_directory_is_taken(tmp_path):
    (tmp_path / "chips").mkdir()
    fill(DirectoryOutput(tmp_path / "chips"))
    assert names(tmp_path / "chips") == ["a.tif"]


def test_a_directory_with_files_is_refused(tmp_path):
    fill(DirectoryOutput(tmp_path / "chips"))
    with pytest.raises(OutputExists):
        DirectoryOutput(tmp_path / "chips")


def test_a_directory_is_replaced_when_asked(tmp_path):
    fill(DirectoryOutput(tmp_path / "chips"), "old.tif")
    fill(DirectoryOutput(tmp_path / "chips", overwrite=True))
    assert names(tmp_path / "chips") == ["a.tif"]
    assert names(tmp_path) == ["chips"]


@pytest.mark.parametrize("stranger", ["holiday.jpg", "folder"])
def test_what_is_not_its_own_is_never_deleted(tmp_path, stranger):
    fill(DirectoryOutput(tmp_path / "chips"))
    if stranger == "folder":
        (tmp_path / "chips" / "folder").mkdir()
    else:
        (tmp_path / "chips" / stranger).write_text("sun")
    with pytest.raises(OutputUnwritable, match=f"holds {stranger}"):
        DirectoryOutput(tmp_path / "chips", overwrite=True, holds=("*.tif",))
    assert names(tmp_path / "chips") == sorted(["a.tif", stranger])


def test_a_directory_that_holds_an_input_is_refused(tmp_path):
    fill(DirectoryOutput(tmp_path / "chips"))
    with pytest.raises(OptionError, match="holds the input"):
        DirectoryOutput(tmp_path / "chips", True, inputs=[tmp_path / "chips" / "a.tif"])


def test_the_old_directory_comes_back(tmp_path, fail_at):
    fill(DirectoryOutput(tmp_path / "chips"), "old.tif")
    fail_at(2)
    with pytest.raises(OutputUnwritable):
        fill(DirectoryOutput(tmp_path / "chips", overwrite=True))
    assert names(tmp_path) == ["chips"]
    assert names(tmp_path / "chips") == ["old.tif"]


def test_a_file_is_not_a_directory(tmp_path):
    (tmp_path / "chips").write_text("x")
    with pytest.raises(OutputUnwritable, match="not a directory"):
        DirectoryOutput(tmp_path / "chips", overwrite=True)


def test_the_current_directory_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for path in (".", "..", tmp_path):
        with pytest.raises(OptionError, match="current directory"):
            DirectoryOutput(path, overwrite=True)


def test_relative_names_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(DirectoryOutput("chips"))
    with OutputSet(["x.json"]) as outputs:
        assert not outputs.scratch("x.json").is_absolute()
        outputs.scratch("x.json").write_text("new")
    assert names(Path()) == ["chips", "x.json"]


def test_a_directory_without_a_parent_is_refused(tmp_path):
    with pytest.raises(OutputUnwritable, match="there is no directory"):
        DirectoryOutput(tmp_path / "none" / "chips")


def test_a_directory_that_is_not_there_yet_asks_the_disk_too(tmp_path, monkeypatch):
    def disk_usage(path):
        os.stat(path)
        return SimpleNamespace(free=4096)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    error = RuntimeError("TIFFWriteDirectoryTagData:IO error writing tag data")
    assert "the disk is full" in str(unwritable(tmp_path / "chips" / "a.tif", error))
