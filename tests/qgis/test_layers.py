"""What QGIS makes of the files: layers, areas, styles and a map."""

import numpy as np
import pytest
from PIL import Image
from rasterio import Affine

import geodeforest as gd
from geodeforest.testing import ThresholdPredictor, make_scene

FORMATS = (".geojson", ".gpkg", ".fgb")
GRIDS = {
    "EPSG:32721": {"gsd_m": 10},
    "EPSG:4326": {"transform": Affine(1e-4, 0, -55, 0, -1e-4, -9)},
    "EPSG:3857": {"transform": Affine(10, 0, -6_100_000, 0, -10, -1_000_000)},
}


LEVELS = [20, 20, 20, 20, 20, 170, 200, 255]


class Graded(ThresholdPredictor):
    """The first band as the score."""

    def predict(self, chips, scene_level=None):
        return np.stack([1 - chips[..., 0], chips[..., 0]], axis=-1)


def patches(seed):
    """A scene of smooth patches, dark and bright, with a corner without data."""
    coarse = np.random.default_rng(seed).choice(LEVELS, (14, 16))
    values = np.asarray(Image.fromarray(coarse.astype(np.uint8)).resize((420, 360), Image.BICUBIC))
    values = values.clip(1)
    values[290:, 340:] = 20
    values[305:345, 355:400] = 140  # a faint one, of low confidence
    values[:40, :50] = 0
    return np.stack([values] * 3)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """The files of the scenes' polygons by ending, and their reports, by CRS."""
    folder, found = tmp_path_factory.mktemp("scanned"), {}
    for seed, (crs, grid) in enumerate(GRIDS.items()):
        scene = make_scene(folder / f"{seed}.tif", patches(seed), nodata=0, crs=crs, **grid)
        files = {suffix: scene.with_suffix(suffix) for suffix in FORMATS}
        # GeoJSON's seven decimals move corners by half a centimetre: 1e-4 of a small area.
        report = gd.scan(scene, model=Graded(), output=list(files.values()), min_area=4)
        found[crs] = files, report
    return found


@pytest.fixture(scope="module")
def layers(qgis, scanned):
    """What QGIS sees in each file, and in the second layer of each GeoPackage."""
    paths = [str(path) for files, _ in scanned.values() for path in files.values()]
    paths += [f"{path}|layername=not_assessed" for path in paths if path.endswith(".gpkg")]
    return dict(zip(paths, qgis.ask("layers", *paths), strict=True))


@pytest.mark.parametrize("crs", GRIDS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_layer_is_valid_and_whole_and_in_its_place(layers, scanned, crs, suffix):
    files, report = scanned[crs]
    layer = layers[str(files[suffix])]
    assert layer["valid"]
    assert layer["crs"] == ("EPSG:4326" if suffix == ".geojson" else crs)
    assert layer["count"] == report.polygon_count > 5
    # In a FlatGeobuf neighbours lie side by side, for its index.
    assert sorted(layer["ids"]) == sorted(report.polygons["id"])


@pytest.mark.parametrize("crs", GRIDS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_the_geometry_checkers_find_nothing(layers, scanned, crs, suffix):
    files, report = scanned[crs]
    layer = layers[str(files[suffix])]
    assert layer["faults"] == 0
    assert layer["checked"] == [report.polygon_count, 0, 0]


@pytest.mark.parametrize("crs", GRIDS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_areas_are_those_that_qgis_measures_on_the_ellipsoid(layers, scanned, crs, suffix):
    for ours, theirs in layers[str(scanned[crs][0][suffix])]["areas"]:
        assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("suffix", FORMATS[1:])
def test_polygons_come_in_the_colours_of_their_confidence(layers, scanned, suffix):
    files, report = scanned["EPSG:32721"]
    style = layers[str(files[suffix])]["style"]
    assert (style["type"], style["attribute"]) == ("categorizedSymbol", "confidence")
    assert style["values"] == ["low", "medium", "high"]
    for value, label in zip(style["values"], style["labels"], strict=True):
        assert f"{value} confidence" in label
    assert set(report.polygons["confidence"]) == set(style["values"])


def test_the_second_layer_shows_what_was_not_assessed(layers, scanned):
    files, report = scanned["EPSG:32721"]
    layer = layers[f"{files['.gpkg']}|layername=not_assessed"]
    assert layer["valid"]
    assert layer["crs"] == "EPSG:32721"
    assert layer["count"] == 1
    assert layer["areas"][0][0] == pytest.approx(layer["areas"][0][1], rel=1e-4)
    assert layer["areas"][0][0] == pytest.approx(report.not_assessed_px / 100, rel=2e-3)
    assert layer["style"]["labels"] == ["not assessed: nothing is known of the forest here"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_scan_that_finds_nothing_is_an_empty_layer(qgis, tmp_path, suffix):
    scene = make_scene(tmp_path / "s.tif", np.ones((3, 64, 64), np.uint8))
    gd.scan(scene, model=ThresholdPredictor(), output=tmp_path / f"none{suffix}")
    [layer] = qgis.ask("layers", tmp_path / f"none{suffix}")
    assert layer["valid"]
    assert layer["count"] == 0
    if suffix != ".geojson":  # which has no place for a CRS
        assert layer["crs"] == "EPSG:32721"


def test_the_map_shows_the_polygons_over_the_scene(qgis, scanned, tmp_path):
    files, report = scanned["EPSG:32721"]
    scene = files[".gpkg"].with_suffix(".tif")
    pictures = []
    for polygons in ("", files[".gpkg"]):
        path = tmp_path / f"{len(pictures)}.png"
        assert qgis.ask("render", scene, polygons, path) == {"saved": True}
        pictures.append(np.asarray(Image.open(path).convert("RGB"), int))
    bare, covered = pictures
    assert bare.std() > 5
    changed = (abs(covered - bare).max(axis=-1) > 10).mean()
    share = report.polygons["pixels"].sum() / report.scene_px
    # The picture is a square, the scene a rectangle of 360 x 420 px in it.
    assert changed == pytest.approx(share * 360 / 420, abs=0.05)
