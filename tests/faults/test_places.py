"""Places where nothing can be written, or where something is already: refused before inference."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from faults.worlds import World, check_words, is_root

NEVER = {"hook": [1, "never"]}
"""The model ends the process with another code if a single chip reaches it."""


def refused(world, ended, code, says):
    assert ended.code == code, ended
    assert says in ended.err
    world.check(ended, (code,))


def test_the_model_that_must_not_be_asked_can_tell(worlds):
    assert worlds("p.geojson").run(**NEVER).code == 99


def test_a_directory_that_is_not_there(worlds):
    world = worlds("p.geojson")
    ended = world.run("--classes", "none/c.tif", **NEVER)
    refused(world, ended, 5, "none/c.tif: there is no directory none; create it first")


def test_a_file_where_a_directory_should_be(worlds):
    world = worlds("p.geojson")
    (world.out / "file").write_text("mine")
    ended = world.run("--classes", "file/c.tif", **NEVER)
    assert (ended.code, (world.out / "file").read_text()) == (5, "mine")
    check_words(ended)


def test_a_directory_where_a_file_should_be(worlds):
    world = worlds("p.geojson")
    (world.out / "c.tif").mkdir()
    ended = world.run("--classes", "c.tif", "--overwrite", **NEVER)
    refused(world, ended, 5, "c.tif: is a directory")


@pytest.mark.skipif(not is_root(), reason="only root mounts disks")
def test_a_disk_that_is_read_only(worlds, disk):
    world = worlds("p.geojson")
    try:
        disk(world.out, 2**20)
        subprocess.run(["mount", "-o", "remount,ro", str(world.out)], check=True)
        ended = world.run(**NEVER)
        refused(world, ended, 5, "p.geojson: the file system is read-only")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(world.out)], check=False)


def test_a_directory_that_may_not_be_changed(worlds):
    world = worlds("p.geojson")
    if not is_root() or shutil.which("chattr") is None:
        pytest.skip("chattr needs root, and is not everywhere")
    if subprocess.run(["chattr", "+i", str(world.out)], capture_output=True).returncode:
        pytest.skip("this file system has no such flag")
    try:
        ended = world.run(**NEVER)
    finally:
        subprocess.run(["chattr", "-i", str(world.out)], check=True)
    refused(world, ended, 5, "p.geojson: the operation is not permitted")


@pytest.mark.skipif(not is_root(), reason="root becomes another user, whom it locks out")
def test_a_directory_of_someone_else(server):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # pytest's own folders let nobody else in
        world = World(server, Path(folder) / "world", ["scan", "../scene.tif", "-q", "-o", "p.fgb"])
        ended = world.run(user=65534, **NEVER)
        refused(world, ended, 5, "p.fgb: permission is denied")


@pytest.mark.parametrize(
    ("does", "says"),
    [("rm -rf ../out", "p.geojson: "), ("mv ../out ../elsewhere", "p.geojson: ")],
)
def test_a_directory_that_vanishes_in_mid_scan(worlds, does, says):
    world = worlds("p.geojson")
    try:
        ended = world.run("-o", "../out/p.gpkg", hook=[3, does])
    finally:
        shutil.rmtree(world.folder / "elsewhere", ignore_errors=True)
        world.out.mkdir(exist_ok=True)
    check_words(ended)
    assert ended.code == 5
    assert world.files() == {}


# --- what is there already --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["p.geojson", "c.tif", "r.json"])
def test_an_output_that_exists_is_left_alone(worlds, name):
    world = worlds("everything")
    (world.out / name).write_bytes(b"mine")
    ended = world.run(**NEVER)
    world.before = {name: b"mine"}
    refused(world, ended, 5, f"{name}: the output exists; pass --overwrite to replace it")


@pytest.mark.parametrize("option", ["-o", "--classes", "--scores"])
@pytest.mark.parametrize("kind", ["same", "symlink", "hard link"])
def test_the_input_is_no_output(worlds, option, kind):
    world = worlds("p.geojson")
    named = "link.gpkg" if option == "-o" else "link.tif"
    if kind == "same":
        if option == "-o":
            pytest.skip("a scene is no .gpkg here")
        named = "../scene.tif"
    elif kind == "symlink":
        (world.out / named).symlink_to("../scene.tif")
    else:
        os.link(world.scene, world.out / named)
    ended = world.run(option, named, "--overwrite", **NEVER)
    assert ended.code == 2
    assert f"{named}: the output is the input; give another output" in ended.err
    (world.out / named).unlink() if named.startswith("link") else None
    world.check(ended, (2,))


def test_an_output_that_is_a_link_is_replaced_and_what_it_points_to_stays(worlds):
    """Writing through it would write outside of the directory that was named."""
    world = worlds("p.geojson")
    precious = world.folder / "precious"
    precious.write_text("mine")
    (world.out / "p.geojson").symlink_to(precious)
    world.check(world.run("--overwrite"), ())
    assert not (world.out / "p.geojson").is_symlink()
    assert precious.read_text() == "mine"


def test_scratch_that_someone_made_a_link_is_not_followed(worlds):
    world = worlds("p.geojson")
    elsewhere = world.folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "p.geojson").write_text("mine")
    (world.out / ".p.geojson.gdf-scratch").symlink_to(elsewhere)
    ended = world.run()
    assert (ended.code, ended.err) == (0, "")
    world.same(world.files())
    assert {path.name: path.read_text() for path in elsewhere.iterdir()} == {"p.geojson": "mine"}


@pytest.mark.skipif(not is_root(), reason="only root owns other users' files")
def test_scratch_of_someone_else_is_neither_used_nor_swept(worlds):
    world = worlds("p.geojson")
    scratch = world.out / ".p.geojson.gdf-scratch"
    scratch.mkdir()
    (scratch / "p.geojson").symlink_to("../../precious")
    os.chown(scratch, 65534, 65534)
    ended = world.run()
    assert (ended.code, ended.err) == (0, "")
    world.same(world.files())
    assert not (world.folder / "precious").is_file() or (
        (world.folder / "precious").read_text() == "mine"
    )
    assert [path.name for path in scratch.iterdir()] == ["p.geojson"]
