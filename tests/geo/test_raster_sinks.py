"""Rows go in, a Cloud Optimized GeoTIFF comes out, whole or not at all."""

import os
import tracemalloc

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geodeforest.core.spec import ClassDef
from geodeforest.errors import OutputUnwritable
from geodeforest.geo import raster_sinks
from geodeforest.geo.files import OutputSet
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.raster_sinks import ROLE_COLOURS, ClassMapSink, ScoreMapSink
from geodeforest.testing import CORNER

CLASSES = (ClassDef(0, "forest", "forest"), ClassDef(1, "clearing", "deforestation"))
PLACE = Affine(10, 0, CORNER[0], 0, -10, CORNER[1])
TAGS = {"MODEL": "small 1", "THRESHOLD": "0.5"}


def grid(height, width, transform=PLACE):
    return SceneProfile(
        name="scene.tif", path="scene.tif", height=height, width=width, transform=transform,
        crs=rasterio.CRS.from_epsg(32721), dtype="uint8", bands=("red",), gsd_m=10.0, date=None,
        block=(512, 512),
    )  # fmt: skip


def class_sink(path, profile):
    return ClassMapSink(path, profile, CLASSES, TAGS)


def score_sink(path, profile):
    return ScoreMapSink(path, profile, TAGS)


def noise(height, width, high=251, seed=0):
    rows = np.random.default_rng(seed).integers(0, high, (height, width), np.uint8)
    rows[:1, :1] = 255
    return rows


def write(make, path, rows, step=100, transform=PLACE):
    with make(path, grid(*rows.shape, transform)) as sink:
        for top in range(0, len(rows), step):
            sink.write(rows[top : top + step])
    return path


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.sampled_from([1, 2, 511, 512, 513, 1024, 1100]),
    width=st.sampled_from([1, 3, 511, 513]),
    cuts=st.lists(st.integers(0, 1100), max_size=5),
)
def test_rows_of_any_height_read_back_as_written(tmp_path, height, width, cuts):
    rows = noise(height, width)
    with score_sink(tmp_path / "s.tif", grid(height, width)) as sink:
        for part in np.split(rows, sorted(min(cut, height) for cut in cuts)):
            sink.write(part)
    with rasterio.open(tmp_path / "s.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), rows)


@pytest.mark.parametrize("make", [class_sink, score_sink])
def test_a_map_lies_where_the_scene_lies(tmp_path, make):
    with rasterio.open(write(make, tmp_path / "m.tif", noise(40, 30))) as dataset:
        assert dataset.transform == PLACE
        assert dataset.crs == rasterio.CRS.from_epsg(32721)
        assert dataset.nodata == 255
        assert dataset.dtypes == ("uint8",)


def test_a_rotated_grid_stays_rotated(tmp_path):
    turned = PLACE @ Affine.rotation(30)
    path = write(score_sink, tmp_path / "m.tif", noise(20, 20), transform=turned)
    with rasterio.open(path) as dataset:
        assert dataset.transform.almost_equals(turned, precision=1e-6)


@pytest.mark.parametrize("make", [class_sink, score_sink])
def test_a_map_is_cloud_optimized(tmp_path, make):
    cogeo = pytest.importorskip("rio_cogeo", reason="rio-cogeo is not installed")
    path = write(make, tmp_path / "m.tif", noise(1300, 1100))
    valid, errors, warnings = cogeo.cog_validate(path, strict=True, quiet=True)
    assert (valid, errors, warnings) == (True, [], [])


@pytest.mark.parametrize("make", [class_sink, score_sink])
def test_a_map_has_blocks_overviews_and_plain_compression(tmp_path, make):
    with rasterio.open(write(make, tmp_path / "m.tif", noise(1300, 1100))) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.overviews(1) == [2, 4]
        assert dataset.compression.name == "deflate"


def test_overviews_of_classes_hold_classes_only(tmp_path):
    rows = np.where(noise(1100, 1100, high=2) == 1, np.uint8(7), np.uint8(0))
    path = write(class_sink, tmp_path / "c.tif", rows)
    with rasterio.open(path, overview_level=0) as dataset:
        assert set(np.unique(dataset.read(1))) == {0, 7}


def test_overviews_of_scores_leave_out_what_was_not_assessed(tmp_path):
    rows = np.full((1024, 1024), 100, np.uint8)
    rows[:, ::2] = 255
    path = write(score_sink, tmp_path / "s.tif", rows)
    with rasterio.open(path, overview_level=0) as dataset:
        assert set(np.unique(dataset.read(1))) == {100}


def test_classes_have_colours_and_names(tmp_path):
    with rasterio.open(write(class_sink, tmp_path / "c.tif", noise(8, 8, high=2))) as dataset:
        colours = dataset.colormap(1)
        assert colours[0] == (*ROLE_COLOURS["forest"], 255)
        assert colours[1] == (*ROLE_COLOURS["deforestation"], 255)
        assert colours[255][3] == 0
        assert dataset.descriptions == ("class: 0 forest, 1 clearing, 255 not assessed",)
        assert dataset.tags()["CLASS_1"] == "clearing"


def test_scores_are_read_as_0_to_1(tmp_path):
    with rasterio.open(write(score_sink, tmp_path / "s.tif", noise(8, 8))) as dataset:
        assert dataset.scales == (1 / 250,)
        assert dataset.offsets == (0.0,)
        assert dataset.descriptions == ("score of deforestation",)


@pytest.mark.parametrize("make", [class_sink, score_sink])
def test_provenance_is_in_the_tags(tmp_path, make):
    with rasterio.open(write(make, tmp_path / "m.tif", noise(8, 8))) as dataset:
        assert dataset.tags().items() >= TAGS.items()


@pytest.mark.parametrize("make", [class_sink, score_sink])
def test_equal_rows_give_equal_bytes(tmp_path, make):
    rows = noise(1100, 700)
    (tmp_path / "elsewhere").mkdir()
    one = write(make, tmp_path / "one.tif", rows, step=37)
    two = write(make, tmp_path / "elsewhere" / "two.tif", rows, step=700)
    assert one.read_bytes() == two.read_bytes()


def test_only_the_map_stays(tmp_path):
    write(score_sink, tmp_path / "s.tif", noise(8, 8))
    assert [path.name for path in tmp_path.iterdir()] == ["s.tif"]


def interrupted(path):
    with score_sink(path, grid(600, 20)) as sink:
        sink.write(noise(550, 20))
        raise KeyboardInterrupt


def test_an_interrupt_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "s.tif")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "rows",
    [np.zeros((1, 6), np.uint8), np.zeros((1, 5), np.int64), np.zeros((9, 5), np.uint8)],
    ids=["width", "dtype", "height"],
)
def test_rows_that_do_not_fit_are_a_bug(tmp_path, rows):
    with (
        pytest.raises(ValueError, match=r"rows are|row 9 of"),
        score_sink(tmp_path / "s.tif", grid(8, 5)) as sink,
    ):
        sink.write(rows)


def test_missing_rows_are_a_bug(tmp_path):
    sink = score_sink(tmp_path / "s.tif", grid(600, 3))
    sink.write(np.zeros((599, 3), np.uint8))
    with pytest.raises(ValueError, match="599 rows of 600"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def lose(path, begin, length):
    """What a disk does that says it took bytes, and did not."""
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(bytes(length))


@pytest.mark.parametrize(
    ("block", "overview", "rows"),
    [
        ("1_0", None, r"rows 0\.\.511 do"),
        ("0_1", None, r"rows 512\.\.599 do"),
        ("0_0", 0, r"of overview 1 do"),
    ],
    ids=["first rows", "last rows", "overview"],
)  # fmt: skip
def test_a_map_that_does_not_read_back_is_refused(tmp_path, monkeypatch, block, overview, rows):
    real = raster_sinks.write_cog

    def lossy(path, *told):
        real(path, *told)
        with rasterio.open(path) as dataset:
            where = dataset.get_tag_item(f"BLOCK_OFFSET_{block}", "TIFF", bidx=1, ovr=overview)
        lose(path, int(where) + 1000, 1)

    monkeypatch.setattr(raster_sinks, "write_cog", lossy)
    with pytest.raises(OutputUnwritable, match=f"{rows} not read back"):
        write(score_sink, tmp_path / "s.tif", noise(600, 600))


def test_a_map_that_is_cut_short_is_refused(tmp_path, monkeypatch):
    real = raster_sinks.write_cog

    def lossy(path, *told):
        real(path, *told)
        os.truncate(path, path.stat().st_size - 1000)

    monkeypatch.setattr(raster_sinks, "write_cog", lossy)
    with pytest.raises(OutputUnwritable, match=r"rows 512\.\.599 do not read back"):
        write(score_sink, tmp_path / "s.tif", noise(600, 600))


@pytest.mark.parametrize("missing", [1, 100, 5_000, 50_000, 300_000, 800_000])
def test_a_full_disk_is_never_silent(tmp_path, missing):
    # Up to about 10 kB less than the file needs, GDAL reports success and the last block is
    # lost: there only reading it back tells.
    resource = pytest.importorskip("resource", reason="this system has no file size limit")
    rows, path = noise(1100, 600), tmp_path / "s.tif"
    limit = write(score_sink, path, rows).stat().st_size - missing
    path.unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OutputUnwritable) as caught, OutputSet([path]) as outputs:
            write(score_sink, outputs.scratch(path), rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.path == path
    assert "disk" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_depend_on_the_height(tmp_path):
    rows = np.zeros((512, 400), np.uint8)
    peaks = []
    for blocks in (2, 12):
        tracemalloc.start()
        with score_sink(tmp_path / f"{blocks}.tif", grid(512 * blocks, 400)) as sink:
            for _ in range(blocks):
                sink.write(rows)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
