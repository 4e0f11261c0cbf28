"""``geodeforest chip``, and the chips that it writes."""

import json

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geodeforest.cli.chip import command
from geodeforest.core.grid import Window
from geodeforest.errors import LabelMismatch, OptionError, OutputExists, SceneNotFound
from geodeforest.geo.scene import Raster, open_scene
from geodeforest.testing import CORNER
from geodeforest.workflows.cut_chips import chips, cut_chips

WEST, NORTH = CORNER
PLACE = rasterio.Affine(10, 0, WEST, 0, -10, NORTH)


def noise(bands, rows, cols, dtype="uint16"):
    return np.random.default_rng(0).integers(1, 120, (bands, rows, cols)).astype(dtype)


def chip(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def assemble(directory, shape, dtype):
    """The scene's values and valid pixels, from its chips."""
    values, valid = np.zeros(shape, dtype), np.zeros(shape[1:], bool)
    for path in directory.iterdir():
        row, col = (int(word[1:]) for word in path.stem.split("_")[-2:])
        with open_scene(path, palette=True) as piece:
            window = Window(row, col, piece.height, piece.width)
            pixels = piece.read(Window(0, 0, piece.height, piece.width))
        values[:, window.rows, window.cols] = pixels.values
        valid[window.rows, window.cols] = pixels.valid
    return values, valid


# --- the command ------------------------------------------------------------------------------


def test_chips_are_written_and_one_line_says_so(make_scene, tmp_path):
    scene, out = make_scene(noise(1, 40, 50)), tmp_path / "chips"
    result = chip(scene, "-o", out, "--chip", 32)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"4 chips of scene.tif -> {out}\n"
    assert names(out) == [f"scene_r{r:05}_c{c:05}.tif" for r in (0, 8) for c in (0, 18)]


def test_json_is_one_object(make_scene, tmp_path):
    result = chip(make_scene(noise(1, 9, 9)), "-o", tmp_path / "chips", "--json")
    assert json.loads(result.stdout) == {
        "scene": "scene.tif",
        "directory": str(tmp_path / "chips"),
        "chip": 512,
        "overlap": 0,
        "chips": 1,
        "label_chips": 0,
    }


def test_neighbours_overlap_when_asked(make_scene, tmp_path):
    chip(make_scene(noise(1, 20, 30)), "-o", tmp_path / "c", "--chip", 20, "--overlap", 10)
    assert names(tmp_path / "c") == ["scene_r00000_c00000.tif", "scene_r00000_c00010.tif"]


def test_an_existing_directory_is_refused(make_scene, tmp_path):
    scene, out = make_scene(noise(1, 9, 9)), tmp_path / "chips"
    chip(scene, "-o", out)
    assert isinstance(chip(scene, "-o", out).exception, OutputExists)


def test_an_existing_directory_is_replaced_when_asked(make_scene, tmp_path):
    scene, out = make_scene(noise(1, 9, 9)), tmp_path / "chips"
    chip(scene, "-o", out, "--chip", 4)
    assert chip(scene, "-o", out, "--overwrite").exit_code == 0
    assert names(out) == ["scene_r00000_c00000.tif"]


def test_a_directory_of_scenes_is_never_replaced(make_scene, tmp_path):
    (tmp_path / "scenes").mkdir()
    scene = make_scene(noise(1, 9, 9), name="scenes/a.tif")
    result = chip(scene, "-o", tmp_path / "scenes", "--overwrite")
    assert isinstance(result.exception, OptionError)
    assert names(tmp_path / "scenes") == ["a.tif"]


def test_a_missing_scene_leaves_no_directory(tmp_path):
    result = chip(tmp_path / "none.tif", "-o", tmp_path / "chips")
    assert isinstance(result.exception, SceneNotFound)
    assert names(tmp_path) == []


def test_an_overlap_as_large_as_the_chip_is_refused(make_scene, tmp_path):
    scene = make_scene(noise(1, 9, 9))
    result = chip(scene, "-o", tmp_path / "chips", "--chip", 8, "--overlap", 8)
    assert isinstance(result.exception, OptionError)
    assert names(tmp_path) == ["scene.tif"]


# --- the files --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("bands", [1, 3, 4, 5])
def test_chips_hold_the_scenes_numbers(make_scene, tmp_path, dtype, bands):
    values = noise(bands, 40, 50, dtype)
    cut_chips(make_scene(values), tmp_path / "chips", chip=32)
    found, valid = assemble(tmp_path / "chips", values.shape, dtype)
    np.testing.assert_array_equal(found, values)
    assert valid.all()


@pytest.mark.parametrize(
    ("names", "colours"),
    [
        (("B04", "B03", "B02"), ("red", "green", "blue")),
        (("", "NDVI", ""), ("gray", "undefined", "undefined")),
        (("a", "b", "c", "d"), ("red", "green", "blue", "nir")),
        (("a", "b", "c", "d"), ("red", "green", "blue", "undefined")),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_chips_keep_names_and_colours(make_scene, tmp_path, names, colours, dtype):
    scene = make_scene(noise(len(names), 9, 9, dtype), names=names, colours=colours)
    cut_chips(scene, tmp_path / "chips")
    with rasterio.open(tmp_path / "chips" / "scene_r00000_c00000.tif") as dataset:
        assert tuple(name or "" for name in dataset.descriptions) == names
        assert tuple(colour.name for colour in dataset.colorinterp) == colours
        assert dataset.compression.name == "deflate"
        assert dataset.profile["tiled"]


@pytest.mark.parametrize("nodata", [0, np.nan, -9999.0])
def test_chips_keep_the_nodata_value(make_scene, tmp_path, nodata):
    values = noise(2, 40, 40, "float32")
    values[0, 3, 4] = nodata
    cut_chips(make_scene(values, nodata=nodata), tmp_path / "chips", chip=32)
    for path in (tmp_path / "chips").iterdir():
        with rasterio.open(path) as dataset:
            assert dataset.nodata == pytest.approx(nodata, nan_ok=True)
    valid = assemble(tmp_path / "chips", values.shape, "float32")[1]
    assert not valid[3, 4]
    assert valid.sum() == valid.size - 1


@pytest.mark.parametrize("kind", ["mask", "alpha", "nodata and mask", "nan"])
def test_chips_keep_what_is_not_real(make_scene, tmp_path, kind):
    expected = np.random.default_rng(1).random((40, 50)) > 0.2
    values, options = noise(3, 40, 50, "float32" if kind == "nan" else "uint8"), {}
    if kind == "alpha":
        values = np.concatenate([values, np.where(expected, 255, 0)[None].astype(np.uint8)])
        options["colours"] = ("red", "green", "blue", "alpha")
    elif kind == "nan":
        values[1, ~expected] = np.nan
    else:
        options["valid"] = expected
        options["nodata"] = 0 if "nodata" in kind else None
    cut_chips(make_scene(values, **options), tmp_path / "chips", chip=32)
    found, valid = assemble(tmp_path / "chips", (3, 40, 50), values.dtype)
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(found[:, expected], values[:3, expected])


def test_chips_lie_where_their_pixels_lie(make_scene, tmp_path):
    cut_chips(make_scene(noise(1, 40, 50)), tmp_path / "chips", chip=32)
    with rasterio.open(tmp_path / "chips" / "scene_r00008_c00018.tif") as dataset:
        assert dataset.transform == rasterio.Affine(10, 0, WEST + 180, 0, -10, NORTH - 80)
        assert dataset.crs == rasterio.CRS.from_epsg(32721)


def test_chips_know_their_scene_and_date(make_scene, tmp_path):
    cut_chips(make_scene(noise(1, 9, 9), tags={"DATE_ACQUIRED": "2021-07-03"}), tmp_path / "c")
    with rasterio.open(tmp_path / "c" / "scene_r00000_c00000.tif") as dataset:
        assert dataset.tags()["SCENE"] == "scene.tif"
    with open_scene(tmp_path / "c" / "scene_r00000_c00000.tif") as piece:
        assert piece.profile.date == "2021-07-03"


def test_chips_of_an_array_are_named_after_it(tmp_path):
    report = cut_chips(Raster(noise(2, 9, 9), PLACE, "EPSG:32721"), tmp_path / "chips")
    assert report.chips == 1
    assert names(tmp_path / "chips") == ["array_r00000_c00000.tif"]


# --- labels -----------------------------------------------------------------------------------


def test_label_chips_lie_beside_the_chips(make_scene, tmp_path):
    truth = np.random.default_rng(2).integers(0, 3, (40, 50)).astype(np.uint8)
    truth[0, 0] = 255
    scene, labels = make_scene(noise(3, 40, 50)), make_scene(truth, name="truth.tif")
    result = chip(scene, "-o", tmp_path / "chips", "--labels", labels, "--chip", 32)
    assert "4 chips with labels" in result.stdout
    assert len(names(tmp_path / "chips")) == 8
    with (
        rasterio.open(tmp_path / "chips" / "scene_r00008_c00018_labels.tif") as piece,
        rasterio.open(tmp_path / "chips" / "scene_r00008_c00018.tif") as pixels,
    ):
        np.testing.assert_array_equal(piece.read(1), truth[8:, 18:])
        assert piece.transform == pixels.transform
        assert piece.nodata == 255


def test_labels_on_another_grid_leave_nothing(make_scene, tmp_path):
    scene = make_scene(noise(3, 40, 50))
    labels = make_scene(np.zeros((10, 10), np.uint8), name="truth.tif")
    result = chip(scene, "-o", tmp_path / "chips", "--labels", labels)
    assert isinstance(result.exception, LabelMismatch)
    assert names(tmp_path) == ["scene.tif", "truth.tif"]


# --- in memory --------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.data())
def test_chips_in_memory_cover_the_scene_without_padding(rows, cols, side, data):
    overlap = data.draw(st.integers(0, side - 1))
    values, seen = noise(2, rows, cols), np.zeros((rows, cols), bool)
    for piece in chips(Raster(values, PLACE, "EPSG:32721"), side, overlap):
        window = piece.window
        np.testing.assert_array_equal(piece.values, values[:, window.rows, window.cols])
        assert piece.valid.shape == piece.values.shape[1:]
        assert (piece.transform.c, piece.transform.f) == (
            WEST + 10 * window.col,
            NORTH - 10 * window.row,
        )
        seen[window.rows, window.cols] = True
    assert seen.all()


def test_chips_in_memory_say_what_is_real(make_scene):
    values = noise(2, 8, 8)
    values[1, 7, 7] = 0
    pieces = list(chips(make_scene(values, nodata=0), 4))
    assert [piece.valid.all() for piece in pieces] == [True, True, True, False]
