from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio.raw
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from geodeforest.core.grid import Window
from geodeforest.errors import LabelMismatch, OptionError, SceneNotFound, SceneUnreadable
from geodeforest.geo.labels import LabelRule, open_labels
from geodeforest.geo.profile import corner

UTM = CRS.from_epsg(32721)
PLACE = Affine(10, 0, 600_000, 0, -10, 9_000_000)
ROTATED = Affine(8, -6, 600_000, -6, -8, 9_000_000)
SOUTH_UP = Affine(10, 0, 600_000, 0, 10, 9_000_000)


@dataclass(frozen=True)
class Scene:
    """The grid of a scene: all that labels need to know of it."""

    height: int = 8
    width: int = 10
    transform: Affine = PLACE
    crs: CRS | None = UTM


SCENE = Scene()
BARE = Scene(transform=Affine.identity(), crs=None)
WHOLE = Window(0, 0, 8, 10)


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


def write_polygons(path: Path, shapes: list, values: list, crs="EPSG:32721", **more) -> Path:
    kind = object if isinstance(values[0], str) else type(values[0])
    pyogrio.raw.write(
        path,
        geometry=np.array([None if s is None else shapely.to_wkb(s) for s in shapes], object),
        field_data=[np.array(values, kind)],
        fields=["kind"],
        geometry_type=more.pop("geometry_type", "Unknown"),
        crs=crs,
        **more,
    )
    return path


def cells(row: int, col: int, rows: int, cols: int) -> shapely.Polygon:
    """The outline of whole pixels of the scene."""
    left, top = PLACE.c + 10 * col, PLACE.f - 10 * row
    return shapely.box(left, top - 10 * rows, left + 10 * cols, top)


def read(path: Path, scene=SCENE, window=WHOLE, **rule) -> np.ndarray:
    with open_labels(path, scene, LabelRule(**rule)) as labels:
        return labels.read(window)


def refusal(path: Path, scene=SCENE, **rule) -> str:
    with (
        pytest.raises(LabelMismatch) as caught,
        open_labels(path, scene, LabelRule(**rule)) as labels,
    ):
        labels.count()
    assert caught.value.exit_code == 7
    return str(caught.value).removeprefix(str(path))


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


# Polygons


def test_polygons_are_burnt_where_they_hold_a_pixel_centre(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [cells(1, 2, 3, 4)], [1])
    expected = np.full((8, 10), 255)
    expected[1:4, 2:6] = 1
    np.testing.assert_array_equal(read(path, field="kind"), expected)


@given(
    st.lists(st.tuples(*[st.floats(-2, 12, allow_subnormal=False)] * 6), min_size=1, max_size=3),
    st.integers(0, 5),
    st.integers(0, 5),
    st.sampled_from([PLACE, ROTATED, SOUTH_UP]),
)
@settings(max_examples=40, deadline=None)
def test_a_window_of_burnt_triangles_equals_a_test_of_each_centre(
    tmp_path_factory, triangles, row, col, place
):
    def on_ground(points):
        return [corner(place, row, col) for col, row in points]

    shapes = [
        shape
        for x1, y1, x2, y2, x3, y3 in triangles
        if (shape := shapely.Polygon(on_ground([(x1, y1), (x2, y2), (x3, y3)]))).area > 1
    ]
    if not shapes:
        return
    path = write_polygons(tmp_path_factory.mktemp("p") / "a.fgb", shapes, [1] * len(shapes))
    window = Window(row, col, 3, 4)
    found = read(path, Scene(transform=place), window, field="kind", background=0)
    for r in range(3):
        for c in range(4):
            centre = shapely.Point(on_ground([(col + c + 0.5, row + r + 0.5)])[0])
            if min(shape.boundary.distance(centre) for shape in shapes) > 1e-6:
                assert found[r, c] == any(shape.covers(centre) for shape in shapes)


def test_the_background_is_what_no_polygon_covers(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [cells(0, 0, 8, 5)], [1])
    np.testing.assert_array_equal(
        read(path, field="kind", background=0), np.repeat([[1] * 5 + [0] * 5], 8, 0)
    )


def test_of_overlapping_polygons_the_last_wins(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [cells(0, 0, 8, 6), cells(0, 4, 8, 6)], [0, 1])
    assert read(path, field="kind")[0].tolist() == [0] * 4 + [1] * 6


def test_classes_of_polygons_may_be_words(tmp_path):
    shapes = [cells(0, 0, 8, 4), cells(0, 4, 8, 3), cells(0, 7, 8, 3)]
    path = write_polygons(tmp_path / "a.gpkg", shapes, ["Forest", "d2019", "cloud"])
    found = read(path, field="kind", class_map={"forest": 0, "d2019": 1, "cloud": 255})
    assert found[0].tolist() == [0] * 4 + [1] * 3 + [255] * 3


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".fgb", ".shp"])
def test_polygons_in_another_crs_land_on_the_same_pixels(tmp_path, suffix):
    to_lonlat = pyproj.Transformer.from_crs("EPSG:32721", "EPSG:4326", always_xy=True)
    # Shrunk by a metre, so that the detour over degrees moves no pixel centre.
    shape = shapely.transform(cells(1, 2, 3, 4).buffer(-1), to_lonlat.transform, interleaved=False)
    path = write_polygons(tmp_path / f"a{suffix}", [shape], [1], crs="EPSG:4326")
    expected = np.full((8, 10), 255)
    expected[1:4, 2:6] = 1
    np.testing.assert_array_equal(read(path, field="kind"), expected)


def test_polygons_far_away_leave_the_background(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [cells(5000, 5000, 3, 3)], [1])
    with open_labels(path, SCENE, LabelRule(field="kind")) as labels:
        assert labels.count() == {255: 80}


def test_features_without_geometry_are_skipped(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [None, cells(0, 0, 8, 10)], [7, 1])
    assert (read(path, field="kind") == 1).all()


def test_an_outline_that_crosses_itself_is_taken_by_the_even_odd_rule(tmp_path):
    left, top = PLACE.c, PLACE.f
    bow_tie = shapely.Polygon(
        [(left, top), (left + 80, top - 80), (left + 80, top), (left, top - 80)]
    )
    path = write_polygons(tmp_path / "a.gpkg", [bow_tie], [1])
    found = read(path, field="kind", background=0)
    assert found[4, 0] == found[4, 7] == 1
    assert found[0, 4] == found[7, 4] == 0


def test_unknown_classes_of_polygons_are_listed(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [cells(0, 0, 1, 1)] * 3, ["soy", "soy", "forest"])
    assert "attribute 'kind' holds unknown classes: soy (2) polygons" in refusal(path, field="kind")


@pytest.mark.parametrize("field", [None, "class"])
def test_a_missing_attribute_lists_those_there_are(tmp_path, field):
    path = write_polygons(tmp_path / "a.gpkg", [cells(0, 0, 1, 1)], [1])
    assert "pass --label-field, one of: kind" in refusal(path, field=field)


def test_the_layer_is_the_one_that_has_the_attribute(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [cells(0, 0, 8, 10)], [1], layer="labels")
    pyogrio.raw.write(
        path,
        geometry=np.array([shapely.to_wkb(cells(0, 0, 1, 1))], object),
        field_data=[np.array([5])],
        fields=["other"],
        layer="roads",
        geometry_type="Polygon",
        crs="EPSG:32721",
        append=False,
    )
    assert (read(path, field="kind") == 1).all()


def test_lines_are_refused(tmp_path):
    line = shapely.LineString([(PLACE.c, PLACE.f), (PLACE.c + 50, PLACE.f - 50)])
    path = write_polygons(tmp_path / "a.gpkg", [line], [1])
    assert "holds LineString geometries" in refusal(path, field="kind")


def test_polygons_without_a_crs_are_refused(tmp_path):
    shape = cells(0, 0, 1, 1)
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        path = write_polygons(tmp_path / "a.fgb", [shape], [1], crs=None)
    assert "has no CRS" in refusal(path, field="kind")


def test_polygons_need_a_scene_with_a_place(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [cells(0, 0, 1, 1)], [1])
    assert "the scene has no CRS" in refusal(path, BARE, field="kind")


def test_a_ring_that_is_not_closed_is_no_traceback(tmp_path):
    path = tmp_path / "a.geojson"
    ring = [[-56.1, -9.05], [-56.0, -9.05], [-56.0, -9.0]]
    feature = {
        "type": "Feature",
        "properties": {"kind": 1},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(SceneUnreadable, match="cannot be read as polygons"):
        read(path, field="kind")


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
