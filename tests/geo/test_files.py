"""Outputs appear whole or not at all, and scratch goes with its process."""

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from output_folders import failing, fill, names

from geodeforest.errors import (
    OptionError,
    OutputExists,
    OutputLocked,
    OutputUnwritable,
    SceneUnreadable,
)
from geodeforest.geo import files
from geodeforest.geo.files import DirectoryOutput, OutputSet, final_name, unwritable
from geodeforest.geo.scratch import make_scratch


def write_all(outputs, paths, text="new"):
    for path in paths:
        outputs.scratch(path).write_text(text)


def run(paths, *, then=lambda: None, **options):
    """Writes all outputs, then does something else before they are committed."""
    with OutputSet(paths, **options) as outputs:
        write_all(outputs, paths)
        then()


@pytest.fixture
def paths(tmp_path):
    return [tmp_path / "a.tif", tmp_path / "b.geojson", tmp_path / "c.json"]


# --- scratch ----------------------------------------------------------------------------------


def test_one_at_a_time_writes_an_output(tmp_path, paths):
    with OutputSet(paths[:2]) as outputs:
        with pytest.raises(OutputLocked, match=r"b\.geojson: the output is locked by another"):
            OutputSet(paths[1:]).__enter__()
        write_all(outputs, paths[:2])
    assert names(tmp_path) == ["a.tif", "b.geojson"]
    run(paths, overwrite=True)


def test_a_directory_is_locked_too(tmp_path):
    chips = tmp_path / "chips"
    with DirectoryOutput(chips), pytest.raises(OutputLocked):
        DirectoryOutput(chips).__enter__()


def leave_behind(final, *left):
    """What a process that was killed leaves: its scratch, and a lock that nobody holds."""
    scratch = make_scratch(final)
    for name in left:
        (scratch.path / name).write_text(name)
    scratch.lock.close()


def test_what_a_dead_process_left_is_swept(tmp_path, paths):
    leave_behind(paths[0], "a.tif", "a.tif.tiles.tif")
    with OutputSet(paths[:1]) as outputs:
        assert names(outputs.scratch(paths[0]).parent) == [".in-use"]
        write_all(outputs, paths[:1])
    assert names(tmp_path) == ["a.tif"]


def test_an_old_file_that_a_dead_process_was_about_to_replace_comes_back(tmp_path, paths):
    leave_behind(paths[0], "previous")
    with pytest.raises(ValueError, match="no"):
        run(paths[:1], overwrite=True, then=failing(ValueError("no")))
    assert names(tmp_path) == ["a.tif"]
    assert paths[0].read_text() == "previous"


def test_scratch_that_is_a_link_is_neither_swept_nor_used(tmp_path, paths):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("mine")
    (tmp_path / ".a.tif.gdf-scratch").symlink_to(elsewhere)
    run(paths[:1])
    assert paths[0].read_text() == "new"
    assert names(elsewhere) == ["mine"]


def test_outputs_are_written_where_there_are_no_locks(tmp_path, paths, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="locks are another module's here")

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with OutputSet(paths[:1], overwrite=True) as outputs:
        run(paths[:1])  # in a scratch directory of its own
        write_all(outputs, paths[:1], "newer")
    assert names(tmp_path) == ["a.tif"]
    assert paths[0].read_text() == "newer"


# --- files ------------------------------------------------------------------------------------


def test_outputs_appear_under_their_names_and_nothing_stays_behind(tmp_path, paths):
    run(paths)
    assert names(tmp_path) == ["a.tif", "b.geojson", "c.json"]
    assert {path.read_text() for path in paths} == {"new"}


def test_scratch_lies_beside_the_output_under_the_same_name(tmp_path, paths):
    with OutputSet(paths) as outputs:
        scratch = outputs.scratch(paths[0])
        assert scratch.name == "a.tif"
        assert scratch.parent.parent == tmp_path
        assert scratch.parent.name.startswith(".a.tif.gdf-")
        assert final_name(scratch) == paths[0]
        write_all(outputs, paths)


def test_final_names_stay_free_until_the_end(paths):
    with OutputSet(paths) as outputs:
        write_all(outputs, paths)
        assert not any(path.exists() for path in paths)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_nothing(tmp_path, paths, error):
    with pytest.raises(error):
        run(paths, then=failing(error))
    assert names(tmp_path) == []


def test_an_error_leaves_the_old_files(tmp_path, paths):
    paths[0].write_text("old")
    with pytest.raises(ValueError, match="no"):
        run(paths, overwrite=True, then=failing(ValueError("no")))
    assert names(tmp_path) == ["a.tif"]
    assert paths[0].read_text() == "old"


def test_old_files_are_replaced_when_asked(tmp_path, paths):
    paths[1].write_text("old")
    run(paths, overwrite=True)
    assert paths[1].read_text() == "new"
    assert names(tmp_path) == ["a.tif", "b.geojson", "c.json"]


def test_an_existing_output_is_refused_before_any_work(tmp_path, paths):
    paths[2].write_text("old")
    with pytest.raises(OutputExists, match=r"c\.json: the output exists; pass --overwrite"):
        OutputSet(paths)
    assert names(tmp_path) == ["c.json"]


def test_a_dangling_link_exists_too(paths):
    paths[0].symlink_to("nowhere")
    with pytest.raises(OutputExists):
        OutputSet(paths)


def test_an_output_that_appears_meanwhile_is_kept(tmp_path, paths):
    with pytest.raises(OutputExists):
        run(paths, then=lambda: paths[1].write_text("another program's"))
    assert names(tmp_path) == ["b.geojson"]
    assert paths[1].read_text() == "another program's"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_rename_that_fails_puts_everything_back(tmp_path, paths, fail_at, number):
    paths[0].write_text("old")
    fail_at(number)
    with pytest.raises(OutputUnwritable, match="Input/output error"):
        run(paths, overwrite=True)
    assert names(tmp_path) == ["a.tif"]
    assert paths[0].read_text() == "old"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_old_files_come_back_where_there_are_no_hard_links(
    tmp_path, paths, fail_at, monkeypatch, number
):
    def no_links(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(files.os, "link", no_links)
    for path in paths[:2]:
        path.write_text("old")
    fail_at(number)
    with pytest.raises(OutputUnwritable):
        run(paths, overwrite=True)
    assert names(tmp_path) == ["a.tif", "b.geojson"]
    assert {path.read_text() for path in paths[:2]} == {"old"}


def test_an_interrupt_between_renames_puts_everything_back(tmp_path, paths, fail_at):
    fail_at(3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(paths)
    assert names(tmp_path) == []


def test_an_output_that_was_not_written_is_an_error(tmp_path, paths):
    with pytest.raises(OutputUnwritable, match=r"c\.json"), OutputSet(paths) as outputs:
        write_all(outputs, paths[:2])
    assert names(tmp_path) == []


def test_a_missing_directory_is_named_before_any_work(tmp_path):
    with pytest.raises(OutputUnwritable, match=r"x\.tif: there is no directory .*; create it"):
        OutputSet([tmp_path / "none" / "x.tif"])


def test_a_directory_is_not_a_file(tmp_path):
    with pytest.raises(OutputUnwritable, match="is a directory"):
        OutputSet([tmp_path], overwrite=True)


def test_a_directory_that_cannot_be_written_leaves_no_scratch(tmp_path, paths, monkeypatch):
    real = Path.mkdir

    def mkdir(path, *mode):
        if path.name.startswith(".b"):
            raise OSError(errno.EROFS, "Read-only file system")
        real(path, *mode)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(OutputUnwritable, match=r"b\.geojson: the file system is read-only"):
        OutputSet(paths).__enter__()
    assert names(tmp_path) == []


def test_two_outputs_may_not_share_a_name(tmp_path):
    with pytest.raises(OptionError, match="two outputs"):
        OutputSet([tmp_path / "a.tif", tmp_path / "." / ".." / tmp_path.name / "a.tif"])


@pytest.mark.parametrize("kind", ["same", "symlink", "hard link"])
def test_the_input_is_never_an_output(tmp_path, kind):
    scene, output = tmp_path / "scene.tif", tmp_path / "out.tif"
    scene.write_text("pixels")
    if kind == "same":
        output = tmp_path / "." / "scene.tif"
    elif kind == "symlink":
        output.symlink_to(scene)
    else:
        os.link(scene, output)
    with pytest.raises(OptionError, match="the output is the input"):
        OutputSet([output], overwrite=True, inputs=[scene])
    assert scene.read_text() == "pixels"


def test_inputs_that_are_no_files_do_not_matter(paths):
    OutputSet(paths, inputs=["https://example.org/x.tif", "none.tif", None, object()])


@pytest.mark.parametrize(
    ("inside", "stays"), [((), False), ((".in-use",), False), ((".in-use", "journal"), True)]
)
def test_scratch_that_was_being_taken_away_goes_with_the_refusal(tmp_path, paths, inside, stays):
    """Its user was killed when all was done: the outputs are there, and so the next run ends."""
    scratch = paths[0].with_name(f".{paths[0].name}.gdf-scratch")
    scratch.mkdir()
    for name in inside:
        (scratch / name).write_text("" if name == ".in-use" else "rows")
    paths[1].write_text("done")
    with pytest.raises(OutputExists):
        OutputSet(paths)
    assert scratch.exists() == stays
    assert not stays or sorted(each.name for each in scratch.iterdir()) == sorted(inside)


def test_scratch_in_use_stays_where_an_output_exists(paths):
    with OutputSet(paths[:1]) as outputs:
        outputs.scratch(paths[0]).write_text("new")
        paths[1].write_text("of someone else")
        with pytest.raises(OutputExists):
            OutputSet(paths)
    assert paths[0].read_text() == "new"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_full_disk_inside_the_block_names_the_output(tmp_path, paths, number):
    with pytest.raises(OutputUnwritable) as caught, OutputSet(paths) as outputs:
        raise OSError(number, os.strerror(number), str(outputs.scratch(paths[1])))
    assert caught.value.path == paths[1]
    assert names(tmp_path) == []


def test_errors_of_the_input_pass_through(paths):
    with pytest.raises(SceneUnreadable), OutputSet(paths):
        raise SceneUnreadable("scene.tif", "is cut short", "copy it again")


def test_gdals_errors_ask_the_disk_for_the_reason(tmp_path, monkeypatch):
    error = RuntimeError("TIFFAppendToStrip: Write error at scanline 0")
    assert "Write error at scanline 0); check" in str(unwritable(tmp_path / "x.tif", error))
    full = SimpleNamespace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    told = "x.tif: the disk is full, with 0.0 MB free; free some space"
    assert told in str(unwritable(tmp_path / "x.tif", error))


def test_the_reason_is_at_the_end_of_the_chain(tmp_path):
    outer = RuntimeError("see previous exception")
    outer.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert "the disk quota is used up" in str(unwritable(tmp_path / "x.tif", outer))


def test_a_device_is_never_replaced(tmp_path):
    (tmp_path / "x.tif").symlink_to(os.devnull)
    with pytest.raises(OutputUnwritable, match=r"x\.tif: is not a regular file"):
        OutputSet([tmp_path / "x.tif"], overwrite=True)


def test_two_names_of_one_file_are_no_two_outputs(tmp_path):
    (tmp_path / "a.tif").write_text("old")
    os.link(tmp_path / "a.tif", tmp_path / "b.tif")
    with pytest.raises(OptionError, match="two outputs"):
        OutputSet([tmp_path / "a.tif", tmp_path / "b.tif"], overwrite=True)


def test_a_name_that_is_too_long_is_an_error_of_the_output(tmp_path):
    long = tmp_path / ("n" * 300)
    for path in (long, long / "x.tif"):
        with pytest.raises(OutputUnwritable, match="the name is too long; give a shorter one"):
            OutputSet([path])
    with pytest.raises(OutputUnwritable, match="the name is too long; give a shorter one"):
        fill(DirectoryOutput(long))


def test_a_directory_that_may_not_be_listed_is_an_error_of_the_output(tmp_path, monkeypatch):
    def forbidden(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "chips").mkdir()
    monkeypatch.setattr(Path, "iterdir", forbidden)
    with pytest.raises(OutputUnwritable, match="chips: permission is denied"):
        DirectoryOutput(tmp_path / "chips")


def test_a_signal_in_mid_removal_leaves_no_scratch(tmp_path, paths, monkeypatch):
    real, calls = Path.unlink, []

    def unlink(path, **options):
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        real(path, **options)

    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(KeyboardInterrupt):
        run(paths[:1], then=failing(ValueError("no")))
    assert names(tmp_path) == []
