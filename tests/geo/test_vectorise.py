"""From rows of class ids to features, in one pass."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geodeforest.core.options import VectorOptions
from geodeforest.core.simplify import PixelMetric
from geodeforest.geo.polygons import PolygonContext
from geodeforest.geo.vectorise import Vectoriser

METRIC = PixelMetric(10, 10)


def context(width, min_area=0.0, **changes):
    facts = {
        "transform": Affine(10, 0, 500_000, 0, -10, 9_300_000),
        "crs": CRS.from_epsg(32721),
        "width": width,
        "scene": "s.tif",
        "model": None,
        "date": None,
        "baseline": None,
        "class_names": {1: "clearing"},
        "confidence": None,
        "min_area_ha": min_area,
        "has_scores": False,
    }
    return PolygonContext(**{**facts, **changes})


def vectorised(classes, options=None, height=None, targets=(1,), not_assessed=False, **changes):
    """Features, polygons of what was not assessed, and the tally."""
    options = options or VectorOptions(0)
    worker = Vectoriser(
        context(classes.shape[1], options.min_area, **changes),
        targets,
        options,
        METRIC,
        len(classes),
        not_assessed=not_assessed,
    )
    height = height or len(classes)
    parts = [worker.feed(classes[top : top + height]) for top in range(0, len(classes), height)]
    parts.append(worker.finish())
    found, unseen = ([f for part in parts for f in part[i]] for i in (0, 1))
    return found, unseen, worker.tally


def random_map(seed=1, shape=(60, 50)):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, (shape[0] // 5, shape[1] // 5)).repeat(5, 0).repeat(5, 1)
    noise = rng.random(shape) < 0.08
    classes[noise] = rng.choice([0, 1, 2, 255], noise.sum())
    return classes.astype(np.uint8)


OPTIONS = [
    VectorOptions(0),
    VectorOptions(0, simplify=0),
    VectorOptions(0, simplify=30),
    VectorOptions(0, smooth=True),
    VectorOptions(0.3),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("height", [1, 7, 32])
def test_features_do_not_depend_on_how_rows_are_fed(options, height):
    classes = random_map()
    whole, parts = (vectorised(classes, options, rows) for rows in (None, height))
    assert parts[0] == whole[0]
    assert parts[2].features == whole[2].features
    assert parts[2].outlined_px == pytest.approx(whole[2].outlined_px, rel=1e-12)
    assert parts[2].hectares == pytest.approx(whole[2].hectares, rel=1e-12)
    assert parts[2].features > 3


def test_rows_that_are_fed_at_once_are_outlined_at_once():
    """Outlining costs as much for few regions as for many."""
    classes, options = random_map(), VectorOptions(0)
    worker = Vectoriser(context(50), (1,), options, METRIC, len(classes))
    assert worker.feed(classes).features == []
    assert worker.finish().features == vectorised(classes)[0]


def test_what_ends_comes_with_the_next_rows():
    classes = random_map(shape=(60, 50))
    worker = Vectoriser(context(50), (1,), VectorOptions(0), METRIC, len(classes))
    assert worker.feed(classes[:40]).features == []
    assert len(worker.feed(classes[40:50]).features) > 3


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_features_are_the_same_with_and_without_the_not_assessed(options):
    classes = random_map(2)
    with_them, without = (vectorised(classes, options, not_assessed=some) for some in (True, False))
    assert with_them[0] == without[0]
    assert with_them[2] == without[2]
    assert without[1] == []
    assert sum(f.pixels for f in with_them[1]) == (classes == 255).sum()


def test_the_not_assessed_is_never_too_small_and_counts_nowhere():
    classes = np.zeros((20, 20), np.uint8)
    classes[5, 5] = 255
    found, unseen, tally = vectorised(classes, VectorOptions(10), not_assessed=True)
    assert [f.pixels for f in unseen] == [1]
    assert found == []
    assert (tally.features, tally.dropped, tally.pixels) == (0, 0, 0)


def test_the_tally_counts_what_came_and_what_was_dropped():
    classes = np.zeros((20, 30), np.uint8)
    classes[2:12, 2:12] = 1
    classes[15, 20] = 1
    found, _, tally = vectorised(classes, VectorOptions(0.5, simplify=0))
    assert (tally.features, tally.dropped, tally.pixels) == (1, 1, 100)
    assert tally.hectares == found[0].area_ha == pytest.approx(1, rel=2e-3)
    assert tally.area_change == 0


def test_the_area_change_is_that_of_the_polygons_kept():
    classes = random_map(3)
    found, _, tally = vectorised(classes, VectorOptions(0.2, simplify=40))
    outlined = sum(shapely.area(f.geometry) for f in found) / 100
    assert tally.outlined_px == pytest.approx(outlined)
    assert tally.area_change == pytest.approx(outlined / sum(f.pixels for f in found) - 1)
    assert tally.area_change != 0


def test_without_polygons_nothing_changed():
    _, _, tally = vectorised(np.zeros((3, 3), np.uint8))
    assert tally.area_change == 0


def test_what_is_not_on_earth_spoils_no_sum():
    classes = np.zeros((3, 12), np.uint8)
    classes[1, [1, 10]] = 1
    # In degrees past the pole the second has no area.
    found, _, tally = vectorised(
        classes, transform=Affine(0, 1, 0, 10, 0, 0), crs=CRS.from_epsg(4326)
    )
    assert [np.isfinite(f.area_ha) for f in found].count(True) >= 1
    assert np.isfinite(tally.hectares)


def test_classes_go_by_their_names_or_numbers():
    classes = np.array([[1, 2]], np.uint8)
    found, _, _ = vectorised(classes, targets=range(255))
    assert [f.class_name for f in found] == ["clearing", "2"]


class Patient(Vectoriser):
    """Gives no region up before it is measured."""

    def _possible_from(self, height):
        return 0


@pytest.mark.parametrize("shape", [{}, {"simplify": 0}, {"simplify": 40}, {"smooth": True}])
@given(seed=st.integers(0, 1000), min_area=st.floats(0, 0.3))
@settings(max_examples=25)
def test_no_region_is_given_up_that_could_have_reached_the_minimum(shape, seed, min_area):
    rng = np.random.default_rng(seed)
    classes = np.kron(rng.integers(0, 2, (9, 9)), np.ones((3, 3), int)).astype(np.uint8)
    classes ^= (rng.random(classes.shape) < 0.05).astype(np.uint8)
    found = []
    for kind in (Vectoriser, Patient):
        worker = kind(
            context(27, min_area), {1}, VectorOptions(min_area, **shape), METRIC, len(classes)
        )
        features = worker.feed(classes).features + worker.finish().features
        found.append(([feature.id for feature in features], worker.tally.dropped))
    assert found[0] == found[1]


@pytest.mark.parametrize("shape", [{"simplify": 0}, {"smooth": True}, {}])
def test_no_region_is_given_up_where_pixels_differ_greatly(shape):
    """Web Mercator from 56 S to 71 N: pixels at the equator are nine times as large as others."""
    classes = np.zeros((800, 40), np.uint8)
    classes[5:785].reshape(65, 12, 40)[:, :8, 4:36] = 1
    transform = Affine(24_000, 0, 0, 0, -24_000, 11_442_000)
    grid = {"transform": transform, "crs": CRS.from_epsg(3857)}
    areas = [f.area_ha for f in vectorised(classes, VectorOptions(0, **shape), **grid)[0]]
    least = max(areas) * 0.98
    found = vectorised(classes, VectorOptions(least, **shape), **grid)[0]
    assert len(found) == sum(area >= least for area in areas) > 0
