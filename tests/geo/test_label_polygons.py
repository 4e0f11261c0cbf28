"""Labels that are polygons: burnt by pixel centre, with the class in an attribute."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio.raw
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_scenes import BARE, PLACE, SCENE, Scene, read, refusal

from geodeforest.core.grid import Window
from geodeforest.errors import SceneUnreadable
from geodeforest.geo.labels import LabelRule, open_labels
from geodeforest.geo.profile import corner

ROTATED = Affine(8, -6, 600_000, -6, -8, 9_000_000)
SOUTH_UP = Affine(10, 0, 600_000, 0, 10, 9_000_000)


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
