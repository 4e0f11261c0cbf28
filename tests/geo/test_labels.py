"""Labels that are rasters, and the rule by which numbers become classes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from labelled_scenes import BARE, PLACE, UTM, Scene, read, refusal
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from geodeforest.core.grid import Window
from geodeforest.errors import OptionError, SceneNotFound, SceneUnreadable
from geodeforest.geo.labels import LabelRule, open_labels


def write_raster(path: Path, values: np.ndarray, place=PLACE, crs=UTM, nodata=None, palette=False):
    bands = values if values.ndim == 3 else values[np.newaxis]
    profile = {
        "count": len(bands), "height": bands.shape[1], "width": bands.shape[2],
        "dtype": bands.dtype, "nodata": nodata,
    }  # fmt: skip
    if path.suffix == ".png":
        profile |= {"driver": "PNG"}
    else:
        profile |= {"driver": "GTiff", "transform": place, "crs": crs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as file:
            file.write(bands)
            if palette:
                file.write_colormap(1, {i: (i, 0, 0, 255) for i in range(4)})
    return path


def some_labels(shape=(8, 10)) -> np.ndarray:
    return np.random.default_rng(3).choice(np.array([0, 1, 2, 255], np.uint8), shape)


# Rules


@pytest.mark.parametrize("rule", [{"class_map": {1: 3}}, {"background": 3}])
def test_a_class_that_does_not_exist_is_refused(rule):
    with pytest.raises(OptionError, match="class id 3"):
        LabelRule(**rule)


@pytest.mark.parametrize("value", [1, 1.0, "1", " 1 ", "DEFORESTATION", np.int64(1)])
def test_a_class_may_be_written_as_number_or_name(value):
    from geodeforest.geo.label_rule import canonical

    assert LabelRule().ids[canonical(value)] == 1


# Rasters


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_a_raster_of_ids_is_read_as_it_is(tmp_path, dtype):
    path = write_raster(tmp_path / "a.tif", some_labels().astype(dtype))
    np.testing.assert_array_equal(read(path), some_labels())


def test_a_window_is_the_part_of_the_whole(tmp_path):
    path = write_raster(tmp_path / "a.tif", some_labels())
    np.testing.assert_array_equal(read(path, window=Window(2, 3, 4, 5)), some_labels()[2:6, 3:8])


def test_values_are_mapped_to_classes(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.repeat([[1, 2, 7, 255]], 8, 0).astype(np.uint8))
    found = read(path, Scene(width=4), Window(0, 0, 8, 4), class_map={1: 0, 2: 1, "7": 255})
    np.testing.assert_array_equal(found[0], [0, 1, 255, 255])


def test_counting_sees_every_pixel_once(tmp_path):
    labels = np.tile(some_labels(), (200, 1))
    path = write_raster(tmp_path / "a.tif", labels)
    with open_labels(path, Scene(height=1600), LabelRule()) as found:
        assert found.count() == {i: int((labels == i).sum()) for i in (0, 1, 2, 255)}


def test_nodata_is_ignored(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.tile(np.uint8([0, 1]), (8, 5)), nodata=0)
    np.testing.assert_array_equal(read(path), np.tile([255, 1], (8, 5)))


def test_a_value_that_is_both_class_and_nodata_is_refused(tmp_path):
    path = write_raster(tmp_path / "a.tif", some_labels(), nodata=0)
    assert "declares 0 as nodata" in refusal(path, class_map={0: 0, 1: 1, 2: 2})


def test_masked_and_nan_pixels_are_ignored(tmp_path):
    values = np.ones((8, 10), np.float32)
    values[0, 0] = np.nan
    path = write_raster(tmp_path / "a.tif", values)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        mask = np.ones((8, 10), bool)
        mask[7, 9] = False
        file.write_mask(mask)
    expected = np.ones((8, 10))
    expected[0, 0] = expected[7, 9] = 255
    np.testing.assert_array_equal(read(path), expected)


def test_unknown_classes_are_all_listed_with_their_pixels(tmp_path):
    values = np.zeros((8, 10), np.uint16)
    values[0, :3], values[7, :2] = 7, 900
    path = write_raster(tmp_path / "a.tif", values)
    message = refusal(path)
    assert message.startswith(": holds unknown classes: 7 (3), 900 (2) px; ")
    assert "--class-map VALUE=CLASS" in message


def test_a_fraction_is_an_unknown_class(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.full((8, 10), 0.5, np.float32))
    assert "0.5 (80) px" in refusal(path)


def test_a_palette_png_gives_its_numbers(tmp_path):
    values = np.tile(np.uint8([1, 2]), (8, 5))
    path = write_raster(tmp_path / "a.png", values, palette=True)
    np.testing.assert_array_equal(read(path, class_map={1: 0, 2: 1}), values - 1)


def test_a_png_of_another_size_is_refused(tmp_path):
    path = write_raster(tmp_path / "a.png", some_labels((8, 13)))
    assert "has 8 x 13 pixels and the scene 8 x 10" in refusal(path)


def test_a_larger_png_is_cut_when_asked(tmp_path):
    path = write_raster(tmp_path / "a.png", some_labels((9, 13)))
    np.testing.assert_array_equal(read(path, crop=True), some_labels((9, 13))[:8, :10])


def test_a_smaller_png_is_refused_even_then(tmp_path):
    path = write_raster(tmp_path / "a.png", some_labels((8, 9)))
    assert "has 8 x 9 pixels" in refusal(path, crop=True)


def test_crop_does_not_move_what_has_a_place(tmp_path):
    path = write_raster(tmp_path / "a.tif", some_labels((8, 13)))
    assert "has 8 x 13 pixels" in refusal(path, crop=True)


def test_labels_in_another_crs_are_refused_with_the_way_out(tmp_path):
    path = write_raster(tmp_path / "a.tif", some_labels(), crs=CRS.from_epsg(32722))
    assert refusal(path) == (
        ": is in EPSG:32722 and the scene in EPSG:32721; warp them to the scene's grid: "
        "rio warp LABELS OUT.tif --like SCENE --src-nodata 255 --dst-nodata 255"
    )


@pytest.mark.parametrize("shift", [(1, 0), (0, 1), (0.3, 0)])
def test_labels_on_a_shifted_grid_are_refused(tmp_path, shift):
    place = Affine(10, 0, 600_000 + 10 * shift[0], 0, -10, 9_000_000 + 10 * shift[1])
    path = write_raster(tmp_path / "a.tif", some_labels(), place)
    assert "on another grid" in refusal(path)


def test_a_hair_of_difference_between_programs_is_one_grid(tmp_path):
    place = Affine(10 + 1e-9, 0, 600_000.001, 0, -10, 9_000_000)
    path = write_raster(tmp_path / "a.tif", some_labels(), place)
    np.testing.assert_array_equal(read(path), some_labels())


def test_a_picture_of_classes_is_refused(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.zeros((3, 8, 10), np.uint8))
    assert "has 3 bands" in refusal(path)


def test_placed_labels_do_not_fit_a_scene_without_place(tmp_path):
    path = write_raster(tmp_path / "a.tif", some_labels())
    assert "the scene in no CRS" in refusal(path, BARE)


# Files that are no labels


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SceneNotFound):
        read(tmp_path / "no.tif")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b"<OGRVRTDataSource/>", "neither a raster nor a file of labels"),
        (b"", "neither a raster nor a file of labels"),
        (b'{"type": "FeatureCollection", "feat', "cannot be read as polygons"),
        (b"II*\0 and nothing else", "cannot be opened"),
    ],
)
def test_what_is_no_label_file_is_told(tmp_path, content, what):
    path = tmp_path / "a.geojson"
    path.write_bytes(content)
    with pytest.raises(SceneUnreadable, match=what):
        read(path, field="kind")
