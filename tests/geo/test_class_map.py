"""Class maps: what they say of themselves, and their rows."""

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

from geodeforest.core.spec import ConfidenceRule
from geodeforest.errors import NotGeoreferenced, OptionError, SceneNotFound, SceneUnreadable
from geodeforest.geo.class_map import map_tags, open_class_map
from geodeforest.geo.raster_sinks import ClassMapSink, ScoreMapSink
from geodeforest.geo.scene import Raster, open_scene
from geodeforest.testing import make_scene, small_spec

PLACE = (rasterio.Affine(10, 0, 500_000, 0, -10, 9_300_000), "EPSG:32721")


def opened(array, scores=None, **facts):
    def raster(values):
        return Raster(np.asarray(values)[np.newaxis], *PLACE, **facts)

    return open_class_map(raster(array), None if scores is None else raster(scores))


def read(array, scores=None, **facts):
    with opened(array, scores, **facts) as classes:
        parts = list(classes.rows())
    return [
        None if any(p is None for p in some) else np.concatenate(some)
        for some in zip(*parts, strict=True)
    ]


@pytest.fixture
def maps(make_scene, tmp_path):
    """The maps that a scan would write."""
    spec, classes = small_spec(), np.eye(20, 30, dtype=np.uint8)
    scene = make_scene(np.zeros((3, 20, 30), np.uint8), tags={"ACQUISITION_DATE": "2024-07-06"})
    with open_scene(scene) as source:
        profile = source.profile
    tags = map_tags(spec, profile, None)
    paths = tmp_path / "classes.tif", tmp_path / "scores.tif"
    with ClassMapSink(paths[0], profile, spec.classes, tags) as sink:
        sink.write(classes)
    with ScoreMapSink(paths[1], profile, tags) as sink:
        sink.write(classes * 200)
    return paths


def test_a_map_of_a_scan_says_of_what_and_by_which_model_it_is(maps):
    with open_class_map(*maps) as classes:
        assert classes.origin == "scene.tif"
        assert classes.model == "small 1"
        assert classes.names == {0: "forest", 1: "deforestation"}
        assert classes.profile.date == "2024-07-06"
        assert classes.confidence == ConfidenceRule(0.6, 0.8)
        (ids, scores), *others = classes.rows()
    assert not others
    assert np.array_equal(ids, np.eye(20, 30))
    assert np.array_equal(scores, 200 * np.eye(20, 30))


def test_without_scores_there_is_no_confidence(maps):
    with open_class_map(maps[0]) as classes:
        assert classes.confidence is None


def test_a_bare_map_stands_for_itself(make_scene):
    with open_class_map(make_scene(np.ones((4, 5), np.uint8), "bare.tif")) as classes:
        assert (classes.origin, classes.model, classes.names) == ("bare.tif", None, {})
        assert classes.targets(()) == {1}


@pytest.mark.parametrize("rule", ["", "0.7", "high", "0.9 0.2", "0.1 0.2 0.3", "nan nan"])
def test_a_broken_rule_of_confidence_is_no_rule(make_scene, rule):
    classes = np.ones((4, 5), np.uint8)
    path = make_scene(classes, tags={"GEODEFOREST_CONFIDENCE": rule})
    with open_class_map(path, make_scene(classes, "scores.tif")) as found:
        assert found.confidence is None


@pytest.mark.parametrize(("told", "means"), [("3", 3), ("", 1), ("-1", 1), ("300", 1), ("two", 1)])
def test_the_map_tells_which_class_is_deforestation(make_scene, told, means):
    path = make_scene(np.ones((4, 5), np.uint8), tags={"GEODEFOREST_DEFORESTATION": told})
    with open_class_map(path) as classes:
        assert classes.targets([]) == {means}


def test_a_name_that_is_a_number_goes_before_the_number(make_scene):
    path = make_scene(np.ones((4, 5), np.uint8), tags={"CLASS_3": "7", "CLASS_x": "no"})
    with open_class_map(path) as classes:
        assert classes.targets(["7"]) == {3}
        assert classes.targets(["3", 8]) == {3, 8}
        assert classes.targets(["all", "3"]) == set(range(255))


def test_two_classes_of_one_name_are_both_meant(make_scene):
    path = make_scene(np.ones((4, 5), np.uint8), tags={"CLASS_3": "water", "CLASS_4": "water"})
    with open_class_map(path) as classes:
        assert classes.targets(["water"]) == {3, 4}


def test_an_unknown_name_is_told_with_those_that_are_known(make_scene):
    path = make_scene(np.ones((4, 5), np.uint8), "m.tif", tags={"CLASS_3": "water"})
    with (
        open_class_map(path) as classes,
        pytest.raises(OptionError, match=r"m\.tif: class 'lake' is unknown; the map names water"),
    ):
        classes.targets(["lake"])


def test_rows_come_whole_and_in_order(make_scene):
    values = np.random.default_rng(1).integers(0, 255, (1_300, 7)).astype(np.uint8)
    for profile in ({"blockysize": 1}, {"blockysize": 200}, {"blockysize": 1_300}):
        with open_class_map(make_scene(values, nodata=255, **profile)) as classes:
            parts = [part for part, _ in classes.rows()]
        assert len(parts) > 1
        assert np.array_equal(np.concatenate(parts), values)


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.int64])
def test_ids_of_any_whole_type_become_bytes(dtype):
    values = np.array([[0, 254, 255]], dtype)
    ids, scores = read(values)
    assert ids.dtype == np.uint8
    assert ids.tolist() == [[0, 254, 255]]
    assert scores is None


def test_what_is_not_valid_is_255_whatever_its_number():
    valid = np.array([[True, False, False]])
    ids, scores = read(np.array([[1, -5, 999]]), np.array([[9, -5, 999]]), valid=valid)
    assert ids.tolist() == [[1, 255, 255]]
    assert scores.tolist() == [[9, 255, 255]]


def test_scores_may_be_floats_or_steps():
    classes = np.array([[0, 1, 1, 255]], np.uint8)
    floats = np.array([[0, 1, 0.5, np.nan]], np.float64)
    _, scores = read(classes, floats)
    assert scores.tolist() == [[0, 250, 125, 255]]
    _, scores = read(classes, np.array([[0, 250, 125, 3]], np.int32))
    assert scores.tolist() == [[0, 250, 125, 3]]


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([[0.5, 1.001]], "1.001.*no score"),
        ([[0.5, -0.1]], "no score"),
        ([[0.5, np.nan]], r"lacks scores that the class map needs \(rows 0 on\)"),
        ([[100, 251]], "holds 251"),
    ],
    ids=str,
)
def test_scores_out_of_range_or_missing_are_refused(scores, says):
    with pytest.raises(SceneUnreadable, match=says):
        read(np.array([[0, 1]], np.uint8), scores)


def test_a_map_of_floats_or_of_several_bands_is_refused(make_scene):
    for values in (np.ones((4, 5), np.float32), np.ones((2, 4, 5), np.uint8)):
        with (
            pytest.raises(SceneUnreadable, match=r"scene\.tif.*no class map"),
            open_class_map(make_scene(values)),
        ):
            pass


def test_what_is_missing_or_has_no_place_is_refused_like_a_scene(make_scene, tmp_path):
    with pytest.raises(SceneNotFound), open_class_map(tmp_path / "none.tif"):
        pass
    bare = make_scene(np.ones((4, 5), np.uint8), crs=None)
    with pytest.raises(NotGeoreferenced), open_class_map(bare):
        pass


@pytest.mark.parametrize(
    "other",
    [
        {"transform": rasterio.Affine(10, 0, 500_001, 0, -10, 9_300_000)},
        {"transform": rasterio.Affine(20, 0, 500_000, 0, -20, 9_300_000)},
        {"crs": CRS.from_epsg(32722)},
    ],
    ids=str,
)
def test_scores_of_another_grid_are_refused(make_scene, other):
    classes = make_scene(np.ones((4, 5), np.uint8), "m.tif")
    scores = make_scene(np.ones((4, 5), np.uint8), "s.tif", **other)
    with (
        pytest.raises(SceneUnreadable, match=r"s\.tif.*does not lie on the grid of m\.tif"),
        open_class_map(classes, scores),
    ):
        pass


def test_a_broken_block_is_an_error_of_the_map(tmp_path):
    path = make_scene(tmp_path / "m.tif", np.eye(900, dtype=np.uint8), compress="DEFLATE")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(SceneUnreadable, match=r"m\.tif"), open_class_map(path) as classes:
        list(classes.rows())
