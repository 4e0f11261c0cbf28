"""Outputs get their names together, whoever does the last of the renames."""

import errno
import os

import pytest

from geodeforest.errors import OutputExists, OutputUnwritable
from geodeforest.geo.commit import CommitList, Renaming
from geodeforest.geo.files import DirectoryOutput, OutputSet, forget
from geodeforest.geo.fingerprints import file_fingerprint
from geodeforest.geo.scratch import LIST

KEY, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def paths(tmp_path):
    return [tmp_path / name for name in ("a.tif", "b.geojson", "c.json")]


def left(paths, done, key=KEY, record=None, replaces=True):
    """What a process leaves that was killed when it had done so many of the renames."""
    files = []
    for number, path in enumerate(paths):
        scratch = path.with_name(f".{path.name}.gdf-scratch")
        scratch.mkdir()
        finished = scratch / path.name
        finished.write_text(f"new {path.name}")
        files.append(Renaming.of(finished, path, file_fingerprint(finished), replaces=replaces))
        if number < done:
            os.replace(finished, path)
    CommitList(tuple(files), key, record or {}).write(paths[0].parent / ".a.tif.gdf-scratch")


def take_up(paths, key=KEY, **options):
    """Take up the work, do it if that is needed, and say what it was told."""
    with OutputSet(paths, home=paths[0], **options) as outputs:
        told = outputs.take_up(key)
        if told is None:
            for path in paths:
                outputs.scratch(path).write_text("again")
    return told


def texts(paths):
    return [path.read_text() if path.exists() else None for path in paths]


def names(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("done", range(4))
def test_renames_that_are_left_are_done(tmp_path, paths, done):
    left(paths, done, record={"counts": 7})
    assert take_up(paths) == {"counts": 7}
    assert texts(paths) == ["new a.tif", "new b.geojson", "new c.json"]
    assert names(tmp_path) == ["a.tif", "b.geojson", "c.json"]


def test_old_files_are_replaced_if_the_killed_process_was_to(paths):
    for path in paths[1:]:
        path.write_text("old")
    left(paths, 1)
    assert take_up(paths, overwrite=True) == {}
    assert texts(paths) == ["new a.tif", "new b.geojson", "new c.json"]


def test_what_someone_put_there_meanwhile_is_not(tmp_path, paths):
    left(paths, 1, replaces=False)
    paths[2].write_text("mine")
    for _ in range(2):
        with pytest.raises(OutputExists, match=r"c\.json"):
            take_up(paths)
        assert texts(paths) == ["new a.tif", None, "mine"]
    paths[2].unlink()
    assert take_up(paths) == {}
    assert texts(paths) == ["new a.tif", "new b.geojson", "new c.json"]


def test_another_work_finishes_the_renames_and_is_in_its_turn_refused(tmp_path, paths):
    left(paths, 1)
    with pytest.raises(OutputExists):
        take_up(paths, OTHER)
    assert texts(paths) == ["new a.tif", "new b.geojson", "new c.json"]
    assert names(tmp_path) == ["a.tif", "b.geojson", "c.json"]
    assert take_up(paths, OTHER, overwrite=True) is None
    assert texts(paths) == ["again"] * 3


def test_where_a_finished_file_is_lost_the_work_is_done_again(tmp_path, paths):
    left(paths, 1)
    (tmp_path / ".c.json.gdf-scratch" / "c.json").unlink()
    assert take_up(paths) is None
    assert texts(paths) == ["again"] * 3


def test_a_file_that_was_changed_since_is_not_its_own(tmp_path, paths):
    left(paths, 1)
    (tmp_path / ".c.json.gdf-scratch" / "c.json").unlink()
    paths[0].write_text("NEW a.tif")
    with pytest.raises(OutputExists, match=r"a\.tif"):
        take_up(paths)
    assert paths[0].read_text() == "NEW a.tif"


def test_work_that_has_no_name_replaces_what_it_had_put_there(paths):
    left(paths, 2, key=None)
    with OutputSet(paths) as outputs:
        for path in paths:
            outputs.scratch(path).write_text("again")
    assert texts(paths) == ["again"] * 3


def test_work_that_has_no_name_replaces_nothing_of_others(paths):
    left(paths, 2)
    with pytest.raises(OutputExists):
        OutputSet(paths).__enter__()
    assert texts(paths) == ["new a.tif", "new b.geojson", "new c.json"]


def test_a_list_that_is_torn_or_altered_is_none(tmp_path, paths):
    left(paths, 0)
    directory = tmp_path / ".a.tif.gdf-scratch"
    content = (directory / LIST).read_bytes()
    assert CommitList.read(directory) is not None
    for at in range(0, len(content), 7):
        (directory / LIST).write_bytes(content[:at])
        assert CommitList.read(directory) is None
        altered = bytearray(content)
        altered[at] ^= 8
        (directory / LIST).write_bytes(altered)
        assert CommitList.read(directory) is None


def test_what_lingers_is_known_until_it_is_forgotten(tmp_path, paths):
    assert take_up(paths, lingers=True) is None
    assert names(tmp_path) == [".a.tif.gdf-scratch", "a.tif", "b.geojson", "c.json"]
    assert take_up(paths, lingers=True) == {}
    forget(paths[0])
    assert names(tmp_path) == ["a.tif", "b.geojson", "c.json"]
    with pytest.raises(OutputExists):
        take_up(paths)


@pytest.fixture
def unflushed(monkeypatch):
    """Lets the flush of one directory fail with an error of the system."""

    def at(directory, number):
        fsync = os.fsync

        def fail(handle):
            if os.path.samestat(os.fstat(handle), os.stat(directory)):
                raise OSError(number, os.strerror(number))
            fsync(handle)

        monkeypatch.setattr(os, "fsync", fail)

    return at


@pytest.mark.parametrize("old", [False, True])
def test_names_that_are_not_flushed_are_given_back(tmp_path, paths, old, unflushed):
    """After the last rename, too: who is told of a failure finds what was there before."""
    for path in paths:
        if old:
            path.write_text("old")
    unflushed(tmp_path, errno.EIO)
    with pytest.raises(OutputUnwritable, match=r"c\.json: cannot be written \(Input/output error"):
        take_up(paths, overwrite=True)
    assert texts(paths) == ["old" if old else None] * 3
    assert names(tmp_path) == sorted(path.name for path in paths if old)


@pytest.mark.parametrize("old", [False, True])
def test_a_directory_whose_name_is_not_flushed_is_taken_back(tmp_path, old, unflushed):
    final = tmp_path / "chips"
    if old:
        final.mkdir()
        (final / "a.tif").write_text("old")
    unflushed(tmp_path, errno.EIO)
    with (
        pytest.raises(OutputUnwritable, match=r"chips: cannot be written"),
        DirectoryOutput(final, overwrite=True) as work,
    ):
        (work / "a.tif").write_text("new")
    assert names(tmp_path) == (["chips"] if old else [])
    assert not old or (final / "a.tif").read_text() == "old"


def test_a_file_system_that_flushes_no_directories_will_do(tmp_path, paths, unflushed):
    unflushed(tmp_path, errno.EINVAL)
    take_up(paths)
    assert texts(paths) == ["again"] * 3


def test_a_rename_that_fails_leaves_no_list(tmp_path, paths, monkeypatch):
    real = os.replace

    def replace(source, target):
        if str(target).endswith("b.geojson"):
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        take_up(paths)
    assert names(tmp_path) == []
