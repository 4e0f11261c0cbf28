"""Which pixels become polygons: classes by name, small ones, and what was not assessed."""

from xml.etree import ElementTree

import geopandas
import numpy as np
import pytest
import shapely
from class_maps import GRIDS, burnt, named_map, patches, polygonized, styles

import geodeforest as gd
from geodeforest.core.options import VectorOptions
from geodeforest.errors import OptionError
from geodeforest.testing import ThresholdPredictor, make_scene
from geodeforest.workflows.polygonize_map import polygonize_to


@pytest.mark.parametrize(
    ("only", "classes"),
    [
        ((), {"clearing"}),
        (["water"], {"water"}),
        (["2"], {"water"}),
        (["forest", "2"], {"forest", "water"}),
        (["all"], {"forest", "clearing", "water"}),
        (["7"], set()),
    ],
    ids=str,
)
def test_classes_are_chosen_by_name_or_number(tmp_path, only, classes):
    report = polygonize_to(
        named_map(tmp_path / "m.tif"), (), VectorOptions(0), only=only, keep=True
    )
    assert set(report._frame["class"]) == classes


@pytest.mark.parametrize(
    ("only", "classes"),
    [
        (None, {"1"}),
        (2, {"2"}),
        (np.uint8(2), {"2"}),
        ("0", {"0"}),
        ([0, 2], {"0", "2"}),
        (np.array([0, 2]), {"0", "2"}),
        ({0, "1"}, {"0", "1"}),
        ("all", {"0", "1", "2"}),
    ],
    ids=str,
)
def test_in_python_a_class_or_several_may_be_named(only, classes):
    assert set(polygonized(patches(7), only=only)["class"]) == classes


@pytest.mark.parametrize("only", ["meadow", "255", "-1", 256, "1.5", "", True])
def test_an_unknown_class_is_refused_with_the_known_ones(only):
    with pytest.raises(
        OptionError, match=r"unknown; the map names none by name; an id is 0 to 254"
    ):
        polygonized(patches(7), only=only)


@pytest.mark.parametrize(
    ("names", "only", "shown"),
    [
        (("forest", "clearing", "water"), ["0", "2"], {"forest": "forest", "water": "water"}),
        (("forest", "clearing"), ["1", "2"], {"clearing": "clearing", "2": "class 2"}),
        (
            ("forest", "clearing"),
            ["all"],
            {"forest": "forest", "clearing": "clearing", "": "any other class"},
        ),
    ],
    ids=str,
)
def test_the_style_hides_no_class(tmp_path, names, only, shown):
    classes = named_map(tmp_path / "m.tif", names)
    polygonize_to(classes, [tmp_path / "p.gpkg"], VectorOptions(0), only=only)
    root = ElementTree.fromstring(styles(tmp_path / "p.gpkg")["deforestation"])
    found = {c.get("value"): c.get("label") for c in root.iter("category")}
    assert found == shown


# Small ones


def test_min_area_is_judged_on_the_whole_polygon():
    classes = np.zeros((1_500, 20), np.uint8)
    classes[300:1_200, 5] = 1  # 9 ha in three portions of rows, none of which has 5
    classes[100, 5:10] = 1
    assert polygonized(classes, min_area=5)["pixels"].tolist() == [900]


def test_an_island_of_forest_in_a_clearing_is_filled():
    classes = np.zeros((40, 40), np.uint8)
    classes[5:35, 5:35] = 1
    classes[15:18, 15:18] = 0
    classes[1:3, 1:3] = 1
    before = classes.copy()
    frame = polygonized(classes, min_area=0.5, merge_small=True, simplify=0)
    assert frame["pixels"].tolist() == [900]
    assert not frame.geometry.iloc[0].interiors
    assert np.array_equal(classes, before)


def test_a_scan_fills_the_island_in_its_polygon_but_not_in_its_class_map(tmp_path):
    values = np.zeros((3, 60, 70), np.uint8)
    values[:, 10:50, 10:60] = 200
    values[:, 20:24, 30:34] = 0
    scene = make_scene(tmp_path / "s.tif", values)
    plain, merged = (
        gd.scan(scene, model=ThresholdPredictor(), classes=True, merge_small=some)
        for some in (False, True)
    )
    assert [len(r.polygons.geometry.iloc[0].interiors) for r in (plain, merged)] == [1, 0]
    assert merged.polygons["pixels"].tolist() == [2000]
    assert np.array_equal(merged.class_map(), plain.class_map())
    assert (merged.class_map() == 1).sum() == 1984


@pytest.mark.parametrize("options", [{}, {"simplify": 30}, {"smooth": True}], ids=str)
def test_after_merging_no_polygon_is_dropped_though_its_outline_is_smaller(options):
    classes = (np.indices((140, 140)) // 7).sum(axis=0).astype(np.uint8) % 2  # 49 px each
    classes[::14, ::14] = 0
    frame = polygonized(classes, only="all", min_area=0.5, merge_small=True, **options)
    assert frame["pixels"].sum() == classes.size
    assert shapely.area(frame.geometry.values).sum() == pytest.approx(classes.size * 100)


def test_a_small_polygon_with_no_neighbour_but_the_unobserved_stays_after_merging():
    classes = np.full((20, 20), 255, np.uint8)
    classes[8:10, 8:10] = 1
    frame = polygonized(classes, min_area=0.5, merge_small=True)
    assert frame["pixels"].tolist() == [4]
    assert frame["touches_unobserved"].all()
    assert len(polygonized(classes, min_area=0.5)) == 0


def test_merging_everything_leaves_one_polygon():
    classes = patches(8)
    classes[classes == 255] = 0
    assert len(polygonized(classes, only="all", min_area=1e9, merge_small=True)) == 1


# What was not assessed


@pytest.mark.parametrize("options", [{"simplify": 0.0}, {}], ids=str)
def test_the_layer_of_the_not_assessed_is_exactly_the_pixels_of_255(tmp_path, options):
    classes = patches(9)
    path = tmp_path / "p.gpkg"
    raster = gd.Raster(classes[np.newaxis], *GRIDS["UTM"], nodata=255)
    polygonize_to(raster, [path], VectorOptions(5, **options), only=["all"])
    unseen = geopandas.read_file(path, layer="not_assessed")
    assert unseen["pixels"].sum() == (classes == 255).sum() > 0
    cells = burnt(unseen, classes, values=[1] * len(unseen))
    assert np.array_equal(cells == 1, classes == 255)


def test_what_is_masked_is_not_assessed():
    classes = np.ma.masked_equal(patches(10), 0)
    frame = polygonized(classes, only="all")
    assert set(frame["class"]) == {"1", "2"}
    assert frame["touches_unobserved"].any()


def test_the_nodata_of_a_file_is_not_assessed(tmp_path):
    classes = patches(10)
    found = polygonize_to(
        make_scene(tmp_path / "m.tif", classes, nodata=0),
        [tmp_path / "p.gpkg"],
        VectorOptions(0),
        only=["all"],
    )
    assert found.polygon_count > 0
    unseen = geopandas.read_file(tmp_path / "p.gpkg", layer="not_assessed")
    assert unseen["pixels"].sum() == np.isin(classes, (0, 255)).sum()
