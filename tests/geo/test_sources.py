"""What a user names as a scene: lists of files, datasets and the bands they turn out to have."""

import numpy as np
import pytest
import rasterio

from geodeforest.core.grid import Window
from geodeforest.errors import OptionError, SceneNotFound, SceneUnreadable
from geodeforest.geo.bands import band_word, canonical
from geodeforest.geo.names import scene_stem, split_names
from geodeforest.geo.scene import open_scene
from geodeforest.testing import make_scene

RGB = ("red", "green", "blue")
LANDSAT = "LC08_L2SP_224078_20200518_20200820_02_T1"


def plane(path, number, *, rows=6, cols=8, dtype="uint16", **facts):
    return make_scene(path, np.full((rows, cols), number, dtype), **facts)


def read_all(scene):
    return scene.read(Window(0, 0, scene.height, scene.width))


def numbers(source, **choice):
    with open_scene(source, **choice) as scene:
        return [int(number) for number in read_all(scene).values[:, 0, 0]]


@pytest.fixture
def side_by_side(tmp_path):
    """Four files of one scene, whose pixels hold their band's number."""
    return {
        band: str(plane(tmp_path / f"T21LXK_20200701T140051_B0{band}_10m.tif", band))
        for band in (2, 3, 4, 8)
    }


# --- several files of one scene ---------------------------------------------------------------


@pytest.mark.parametrize("order", [(4, 3, 2), (2, 3, 4), (8, 4, 2, 3)])
def test_files_side_by_side_are_found_by_the_band_in_their_name(side_by_side, order):
    listed = ",".join(side_by_side[band] for band in order)
    assert numbers(listed, wanted=RGB) == [4, 3, 2]


def test_bands_of_several_files_are_numbered_through(side_by_side, tmp_path):
    values = np.stack([np.full((6, 8), number, np.uint16) for number in (50, 60)])
    pair = make_scene(tmp_path / "pair.tif", values)
    listed = f"{side_by_side[4]},{pair},{side_by_side[2]}"
    assert numbers(listed) == [4, 50, 60, 2]
    assert numbers(listed, bands=[4, 3, 1]) == [2, 60, 4]


def test_files_that_say_nothing_are_taken_in_their_order(tmp_path):
    files = [str(plane(tmp_path / f"{name}.tif", i)) for i, name in enumerate("xyz")]
    assert numbers(",".join(files), wanted=RGB) == [0, 1, 2]


def test_a_description_in_the_file_goes_before_its_name(tmp_path):
    files = [
        str(plane(tmp_path / "B02.tif", 4, names=["red"])),
        str(plane(tmp_path / "B03.tif", 3, names=["green"])),
        str(plane(tmp_path / "B04.tif", 2, names=["blue"])),
    ]
    assert numbers(",".join(files), wanted=RGB) == [4, 3, 2]


def test_what_one_file_did_not_observe_is_not_observed(tmp_path):
    red = np.ones((6, 8), np.uint16)
    red[0, 0] = 0
    blue = np.ones((6, 8), np.uint16)
    blue[5, 7] = 9
    seen = np.ones((6, 8), bool)
    seen[2, 3] = False
    files = [
        str(make_scene(tmp_path / "B04.tif", red, nodata=0)),
        str(make_scene(tmp_path / "B03.tif", np.ones((6, 8), np.uint16), valid=seen)),
        str(make_scene(tmp_path / "B02.tif", blue, nodata=9)),
    ]
    with open_scene(",".join(files), wanted=RGB) as scene:
        valid = read_all(scene).valid
    expected = np.ones((6, 8), bool)
    expected[0, 0] = expected[2, 3] = expected[5, 7] = False
    np.testing.assert_array_equal(valid, expected)


def test_what_a_file_nobody_reads_did_not_observe_does_not_count(side_by_side, tmp_path):
    empty = plane(tmp_path / "B05.tif", 0, nodata=0)
    listed = ",".join([*side_by_side.values(), str(empty)])
    with open_scene(listed, wanted=RGB) as scene:
        assert read_all(scene).valid.all()


def test_a_window_of_several_files_is_that_of_each(tmp_path):
    values = np.random.default_rng(4).integers(0, 999, (3, 40, 50)).astype(np.uint16)
    files = [str(make_scene(tmp_path / f"{name}.tif", values[i])) for i, name in enumerate(RGB)]
    with open_scene(",".join(files)) as scene:
        part = scene.read(Window(7, 3, 20, 31))
    np.testing.assert_array_equal(part.values, values[:, 7:27, 3:34])


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"rows": 7}, "does not lie on the grid of B04.tif"),
        ({"gsd_m": 20}, "does not lie on the grid of B04.tif"),
        ({"crs": "EPSG:32722"}, "does not lie on the grid of B04.tif"),
        ({"dtype": "uint8"}, "stores uint8 and B04.tif uint16"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path, other, what):
    files = [plane(tmp_path / "B04.tif", 4), plane(tmp_path / "B03.tif", 3, **other)]
    with pytest.raises(SceneUnreadable, match=f"B03.tif: {what}"):
        numbers(",".join(map(str, files)))


def test_a_path_that_is_there_is_taken_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plane(tmp_path / "B04.tif", 4)
    plane(tmp_path / "B04.tif,B03.tif", 9)
    assert numbers("B04.tif,B03.tif") == [9]


def test_the_file_of_a_list_that_is_missing_is_named(side_by_side, tmp_path):
    missing = tmp_path / "B12.tif"
    with pytest.raises(SceneNotFound, match=r"B12.tif: there is no such file"):
        numbers(f"{side_by_side[4]},{missing}")


def test_datasets_and_paths_may_be_listed(side_by_side):
    with rasterio.open(side_by_side[4]) as red, rasterio.open(side_by_side[2]) as blue:
        assert numbers([red, side_by_side[3], blue], wanted=RGB) == [4, 3, 2]
        assert not red.closed


def test_an_empty_list_is_not_a_scene():
    with pytest.raises(OptionError, match="no file is named"):
        numbers([])


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a/scene.tif", "scene"),
        ("my.scene.tif", "my.scene"),
        ("a/T21LXK_B04.tif,a/T21LXK_B03.tif,a/T21LXK_B02.tif", "T21LXK"),
        ("T21-x-B04_10m.jp2, T21-x-B03_10m.jp2", "T21-x"),
        ("B04.tif,B03.tif,B02.tif", "B04_B03_B02"),
        ("S2A_MSIL2A_20200701T140051.SAFE", "S2A_MSIL2A_20200701T140051"),
        ("S2A_MSIL2A_20200701T140051.SAFE/", "S2A_MSIL2A_20200701T140051"),
        ("S2A_MSIL2A_20200701T140051.zip", "S2A_MSIL2A_20200701T140051"),
        ("S2A_MSIL2A_20200701T140051.SAFE.zip", "S2A_MSIL2A_20200701T140051"),
        ("LC08_L2SP_224078_20200518_20200820_02_T1_MTL.txt", LANDSAT),
        (f"{LANDSAT}_SR_B4.TIF,{LANDSAT}_SR_B3.TIF", f"{LANDSAT}_SR"),
        ("S2B_MSIL1C_20200701T140051.SAFE/MTD_MSIL1C.xml", "S2B_MSIL1C_20200701T140051"),
    ],
)
def test_outputs_are_named_after_what_all_files_share(name, stem):
    assert scene_stem(name) == stem


@pytest.mark.parametrize("text", ["a.tif", "a.tif,", ",a.tif", "a.tif,,b.tif"])
def test_a_name_with_nothing_beside_a_comma_is_one_name(text):
    assert split_names(text) == (text,)


@pytest.mark.parametrize(
    ("name", "band"),
    [
        ("T21LXK_20200701T140051_B04_10m", "B04"),
        ("T21LXK_20200701T140051_B8A", "B8A"),
        ("LC08_L2SP_224078_20200518_20200820_02_T1_SR_B4", "SR_B4"),
        ("scene-red", "red"),
        ("B04", "B04"),
        ("amazon", None),
        ("scene_red_edge", None),
        ("B104", None),
        ("predicted", None),
    ],
)
def test_a_file_name_tells_its_band(name, band):
    assert band_word(name) == band


@pytest.mark.parametrize(
    "name", ["B4", "b04", "SR_B4", "Band 4", "band_4", "B04_10m", "B4 (665 nm)", "Red"]
)
def test_the_ways_of_writing_red(name):
    assert canonical(name) == "red"


@pytest.mark.parametrize("name", ["red edge", "B14", "bandit 4", "SR_B", "infrared"])
def test_what_is_not_red(name):
    assert canonical(name) != "red"
