"""Open scenes: what is read, which pixels are real, and what is refused."""

import os

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint

from geodeforest.core.grid import Window
from geodeforest.errors import (
    BandMissing,
    NotGeoreferenced,
    OptionError,
    SceneNotFound,
    SceneUnreadable,
)
from geodeforest.geo.bands import canonical
from geodeforest.geo.opening import LABEL_DRIVERS, open_raster
from geodeforest.geo.parts import to_rasterio
from geodeforest.geo.profile import ground_sample_distance, image_date
from geodeforest.geo.scene import Raster, open_scene
from geodeforest.testing import CORNER

RGB = ("red", "green", "blue")
WEST, NORTH = CORNER
PLACE = Affine(10, 0, WEST, 0, -10, NORTH)
EARTH = rasterio.CRS.from_epsg(32721)


def planes(count, rows=6, cols=8, dtype="uint8"):
    """Bands that hold their own number times ten, so that order shows."""
    return np.stack([np.full((rows, cols), 10 * (i + 1)) for i in range(count)]).astype(dtype)


def read_all(scene):
    return scene.read(Window(0, 0, scene.height, scene.width))


def order(path, **choice):
    with open_scene(path, **choice) as scene:
        return [int(number) // 10 for number in read_all(scene).values[:, 0, 0]]


def valid_of(path, **choice):
    with open_scene(path, **choice) as scene:
        return read_all(scene).valid


# --- pixels -----------------------------------------------------------------------------------


def test_a_window_is_read_rows_first(make_scene):
    values = np.arange(48, dtype=np.uint16).reshape(1, 6, 8)
    with open_scene(make_scene(values)) as scene:
        part = scene.read(Window(row=1, col=4, height=3, width=2))
    np.testing.assert_array_equal(part.values[0], values[0, 1:4, 4:6])
    assert part.valid.all()


def test_rasterio_is_told_columns_first():
    told = to_rasterio(Window(row=1, col=2, height=3, width=4))
    assert (told.col_off, told.row_off, told.width, told.height) == (2, 1, 4, 3)


@pytest.mark.parametrize("window", [Window(-1, 0, 2, 2), Window(5, 0, 2, 2), Window(0, 7, 1, 2)])
def test_a_window_must_lie_inside(make_scene, window):
    with open_scene(make_scene(planes(1))) as scene, pytest.raises(ValueError, match="leaves"):
        scene.read(window)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float32", "float64"]
)
def test_stored_numbers_keep_their_dtype(make_scene, dtype):
    with open_scene(make_scene(planes(2, dtype=dtype))) as scene:
        assert scene.profile.dtype == dtype
        assert read_all(scene).values.dtype == dtype


def test_a_dataset_that_was_open_stays_open(make_scene):
    with rasterio.open(make_scene(planes(3))) as dataset:
        with open_scene(dataset) as scene:
            assert scene.profile.name == "scene.tif"
        assert not dataset.closed


def test_a_file_is_closed_at_the_end(make_scene):
    with open_scene(make_scene(planes(1))) as scene:
        pass
    with pytest.raises(SceneUnreadable):
        scene.read(Window(0, 0, 1, 1))


# --- which pixels are real --------------------------------------------------------------------


def test_all_pixels_are_real_where_nothing_says_otherwise(make_scene):
    assert valid_of(make_scene(np.zeros((3, 4, 5), np.uint8))).all()


def test_one_band_of_nodata_is_enough(make_scene):
    values = planes(3)
    values[1, 2, 3] = 255
    valid = valid_of(make_scene(values, nodata=255))
    assert not valid[2, 3]
    assert valid.sum() == valid.size - 1


def test_nodata_in_a_band_that_is_not_read_does_not_count(make_scene):
    values = planes(3)
    values[2, 0, 0] = 255
    assert valid_of(make_scene(values, nodata=255), bands=[1, 2]).all()


@pytest.mark.parametrize("nodata", [None, np.nan, -9999, np.inf, 1e39])
def test_numbers_that_are_not_finite_are_never_real(make_scene, nodata):
    values = planes(2, dtype="float32")
    values[0, 0, 0], values[1, 0, 1], values[0, 0, 2] = np.nan, np.inf, -np.inf
    valid = valid_of(make_scene(values, nodata=nodata if nodata != 1e39 else None))
    assert not valid[0, :3].any()
    assert valid.sum() == valid.size - 3


def test_the_lowest_float_is_nodata_too(make_scene):
    values = planes(1, dtype="float32")
    values[0, 0, 0] = np.finfo(np.float32).min
    assert not valid_of(make_scene(values, nodata=float(np.finfo(np.float32).min)))[0, 0]


def test_nodata_that_the_dtype_cannot_hold_fits_no_pixel():
    scene = Raster(np.zeros((1, 2, 2), np.uint8), PLACE, EARTH, nodata=-9999)
    assert valid_of(scene).all()


@pytest.mark.parametrize("kind", ["mask", "side-car", "alpha", "nodata", "nan"])
def test_every_way_to_say_no_data_gives_the_same_mask(make_scene, tmp_path, kind):
    expected = np.random.default_rng(3).random((6, 8)) > 0.3
    values, options = planes(3), {}
    if kind == "mask":
        options["valid"] = expected
    elif kind == "alpha":
        values = np.concatenate([values, np.where(expected, 255, 0)[None].astype(np.uint8)])
        options["colours"] = [*RGB, "alpha"]
    elif kind == "nodata":
        values[:, ~expected] = 0
        options["nodata"] = 0
    elif kind == "nan":
        values = values.astype(np.float32)
        values[0, ~expected] = np.nan
    path = make_scene(values, **options)
    if kind == "side-car":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
            dataset.write_mask(expected)
        assert path.with_name("scene.tif.msk").exists()
    np.testing.assert_array_equal(valid_of(path), expected)


def test_alpha_counts_beside_a_nodata_value(make_scene):
    values = planes(4)
    values[0, 0, 0], values[3, 0, 1] = 0, 0
    valid = valid_of(make_scene(values, nodata=0, colours=[*RGB, "alpha"]))
    assert not valid[0, :2].any()
    assert valid.sum() == valid.size - 2


def test_a_mask_counts_beside_a_nodata_value(make_scene):
    values, mask = planes(3), np.ones((6, 8), bool)
    values[0, 0, 0], mask[0, 1] = 0, False
    valid = valid_of(make_scene(values, nodata=0, valid=mask))
    assert not valid[0, :2].any()
    assert valid.sum() == valid.size - 2


def test_a_plain_scene_needs_no_mask(make_scene):
    class Watched:
        def __init__(self, dataset):
            self._dataset = dataset

        def __getattr__(self, name):
            assert not name.startswith("read_mask"), "a mask was read"
            return getattr(self._dataset, name)

    with rasterio.open(make_scene(planes(3))) as dataset, open_scene(dataset) as scene:
        scene._dataset = Watched(dataset)
        assert read_all(scene).valid.all()


# --- bands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("blue", "green", "red", "nir"),
        ("B02", "B03", "B04", "B08"),
        ("b2", "B3", "b4", "b8"),
        ("B2, central wavelength 490 nm", "B3, 560 nm", "B4 (665 nm)", "B8; 842 nm"),
    ],
)
def test_bands_are_found_by_description(make_scene, names):
    assert order(make_scene(planes(4), names=names), wanted=RGB) == [3, 2, 1]


def test_bands_without_names_are_found_by_colour(make_scene):
    path = make_scene(planes(3), colours=("blue", "green", "red"))
    assert order(path, wanted=RGB) == [3, 2, 1]


def test_bands_that_say_nothing_are_taken_in_order(make_scene):
    assert order(make_scene(planes(4)), wanted=RGB) == [1, 2, 3]


def test_names_in_another_alphabet_are_like_none(make_scene):
    path = make_scene(planes(3), names=("azul", "verde", "vermelho (não)"))
    content = path.read_bytes()
    assert content.count("não".encode()) == 1
    path.write_bytes(content.replace("não".encode(), b"n\xe3o "))
    assert order(path) == [1, 2, 3]


def test_names_that_mean_nothing_are_like_none(make_scene):
    path = make_scene(planes(3), names=("Layer_1", "Layer_2", "Layer_3"))
    assert order(path, wanted=RGB) == [1, 2, 3]


@pytest.mark.parametrize(
    "bands", [[3, 1], ["3", "1"], ["B04", "b02"], ["red", "blue"], "red,1", ["B4", "BLUE"]]
)
def test_the_user_names_bands_by_index_or_description(make_scene, bands):
    path = make_scene(planes(3), names=("B02", "B03", "B04"))
    assert order(path, bands=bands, wanted=("x", "y")) == [3, 1]


def test_without_a_wish_all_bands_but_alpha_are_read(make_scene):
    path = make_scene(planes(4), colours=[*RGB, "alpha"])
    assert order(path) == [1, 2, 3]


def test_alpha_is_not_taken_for_a_missing_band(make_scene):
    path = make_scene(planes(2), colours=("gray", "alpha"))
    with pytest.raises(BandMissing):
        order(path, wanted=("gray", "nir"))


@pytest.mark.parametrize(
    ("names", "missing"),
    [(("nir", "red", "green"), "blue"), (("B08", "B11", "B12"), "red"), (RGB[:2] * 2, "red")],
)
def test_a_file_that_names_its_bands_is_believed(make_scene, names, missing):
    with pytest.raises(BandMissing, match=f"one band {missing}.*--bands"):
        order(make_scene(planes(len(names)), names=names), wanted=RGB)


def test_too_few_bands_are_refused(make_scene):
    with pytest.raises(BandMissing, match=r"3 bands \(red, green, blue\).*has 1 band"):
        order(make_scene(planes(1)), wanted=RGB)


@pytest.mark.parametrize("bands", [["4"], ["0"], ["swir"], [], [4]])
def test_a_band_that_is_not_there_is_refused(make_scene, bands):
    with pytest.raises(OptionError):
        order(make_scene(planes(3)), bands=bands)


def test_a_name_that_no_band_has_is_refused_with_those_that_there_are(make_scene):
    path = make_scene(planes(4), names=(*RGB, ""))
    with pytest.raises(OptionError) as caught:
        order(path, bands="foo,bar,baz", wanted=RGB)
    assert str(caught.value) == (
        f"{path}: --bands names foo, which the scene lacks; it has 1 red, 2 green, 3 blue, 4"
    )


def test_as_many_bands_are_named_as_wanted(make_scene):
    says = r"--bands names 2 bands; the model needs 3 \(red, green, blue\)"
    with pytest.raises(OptionError, match=says):
        order(make_scene(planes(3)), bands=[1, 2], wanted=RGB)


def test_alpha_cannot_be_asked_for(make_scene):
    with pytest.raises(OptionError, match="alpha"):
        order(make_scene(planes(4), colours=[*RGB, "alpha"]), bands=[4])


def test_bands_go_by_description_then_colour_then_index(make_scene):
    path = make_scene(planes(3), names=("first", "", ""), colours=("gray", "nir", "undefined"))
    with open_scene(path) as scene:
        assert scene.profile.bands == ("first", "nir", "3")


def test_a_palette_is_not_brightness(make_scene):
    path = make_scene(planes(1), photometric="PALETTE", colours=("palette",))
    with pytest.raises(SceneUnreadable, match=r"palette.*-expand rgb"):
        order(path)


def test_a_palette_is_not_asked_for_more_bands(make_scene):
    path = make_scene(planes(1), photometric="PALETTE", colours=("palette",))
    with pytest.raises(SceneUnreadable, match=r"palette.*-expand rgb"):
        order(path, wanted=RGB)


def test_a_palette_is_read_where_numbers_are_classes(make_scene):
    path = make_scene(planes(1), photometric="PALETTE", colours=("palette",))
    assert order(path, palette=True) == [1]


@pytest.mark.parametrize(("name", "plain"), [("B08", "nir"), ("b8a", "nir08"), (" Red ", "red")])
def test_aliases_are_written_in_words(name, plain):
    assert canonical(name) == plain


# --- profile ----------------------------------------------------------------------------------


def test_a_profile_says_what_the_file_says(make_scene):
    path = make_scene(planes(2, 6, 8, "uint16"), names=("a", "b"), tiled=True, blockxsize=16,
                      blockysize=32)  # fmt: skip
    with open_scene(path, bands=["b"]) as scene:
        profile = scene.profile
    assert (profile.name, profile.path) == ("scene.tif", str(path))
    assert (profile.height, profile.width, profile.block) == (6, 8, (32, 16))
    assert (profile.transform, profile.crs, profile.bands) == (PLACE, EARTH, ("b",))
    assert profile.is_north_up
    assert profile.date is None


@pytest.mark.parametrize(
    ("epsg", "x", "y", "side", "metres"),
    [
        (32721, 500_000, 9_300_000, 10, 10.004),  # UTM's scale on its meridian is 0.9996
        (4326, -60, 0, 0.0001, 11.095),  # mean of 11.132 along and 11.057 across the equator
        (3857, -6_679_169, 8_399_738, 10, 5.0),  # web mercator at 60 degrees north
        (2264, 2_000_000, 600_000, 10, 3.048),  # US survey feet
        (3031, 0, 2_000_000, 10, 10.02),  # polar: true to scale at 71 degrees south
    ],
)
def test_the_gsd_is_geodesic_in_any_crs(epsg, x, y, side, metres):
    grid = Affine(side, 0, x, 0, -side, y)
    found = ground_sample_distance(grid, rasterio.CRS.from_epsg(epsg), 2, 2)
    assert found == pytest.approx(metres, rel=5e-3)


@given(st.floats(0, 360))
def test_the_gsd_does_not_depend_on_rotation(angle):
    turned = PLACE @ Affine.rotation(angle)
    assert ground_sample_distance(turned, EARTH, 4, 4) == pytest.approx(10.004, rel=1e-3)


def test_sides_of_different_length_are_averaged():
    grid = Affine(10, 0, WEST, 0, -30, NORTH)
    assert ground_sample_distance(grid, EARTH, 1, 1) == pytest.approx(20.008, rel=1e-3)


@pytest.mark.parametrize(
    ("turn", "rotated"),
    [(Affine.identity(), False), (Affine.rotation(5), True), (Affine.shear(3), True)],
)
def test_a_rotated_grid_says_so(make_scene, turn, rotated):
    with open_scene(make_scene(planes(1), transform=PLACE @ turn)) as scene:
        assert scene.profile.rotated is rotated
        assert scene.profile.is_north_up is not rotated


def test_a_south_up_grid_is_not_rotated(make_scene):
    south_up = Affine(10, 0, WEST, 0, 10, NORTH)
    with open_scene(make_scene(planes(1), transform=south_up)) as scene:
        assert not scene.profile.rotated
        assert not scene.profile.is_north_up


@pytest.mark.parametrize(
    ("tags", "date"),
    [
        ({"TIFFTAG_DATETIME": "2021:07:03 14:27:29"}, "2021-07-03"),
        ({"DATE_ACQUIRED": "2021-07-03"}, "2021-07-03"),
        ({"sensing_time": "20210703T142729"}, "2021-07-03"),
        ({"SENSING_TIME": "2021-07-03T14:27:29Z", "TIFFTAG_DATETIME": "2024:01:01 00:00:00"},
         "2021-07-03"),
        ({"TIFFTAG_DATETIME": "0000:00:00 00:00:00"}, None),
        ({"ACQUISITION_DATE": "soon", "TIFFTAG_DATETIME": "2021:02:30 00:00:00"}, None),
        ({"DATE_ACQUIRED": "2021-0703"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_image_date_comes_from_the_tags(tags, date):
    assert image_date([tags]) == date


def test_the_image_date_is_read_from_the_file(make_scene):
    with open_scene(make_scene(planes(1), tags={"DATE_ACQUIRED": "2021-07-03"})) as scene:
        assert scene.profile.date == "2021-07-03"


# --- what has no place on Earth ---------------------------------------------------------------


@pytest.mark.parametrize("transform", [Affine.identity(), Affine(1, 0, 0, 0, -1, 0)])
def test_a_scene_without_a_geotransform_is_refused(make_scene, transform):
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        path = make_scene(planes(1), transform=transform)
    with pytest.raises(NotGeoreferenced, match=r"no geotransform; .*rio edit-info"):
        order(path)
    assert order(path, georeferenced=False) == [1]


def test_a_scene_without_a_crs_is_refused(make_scene):
    path = make_scene(planes(1), crs=None)
    with pytest.raises(NotGeoreferenced, match="no CRS"):
        order(path)
    with open_scene(path, georeferenced=False) as scene:
        assert scene.profile.gsd_m is None


@pytest.mark.parametrize("crs", ['LOCAL_CS["site grid",UNIT["metre",1]]', "EPSG:4978"])
def test_a_crs_that_has_no_place_on_the_ground_is_refused(make_scene, crs):
    with pytest.raises(NotGeoreferenced, match="placed on Earth"):
        order(make_scene(planes(1), crs=crs))


def test_ground_control_points_are_not_a_geotransform(make_scene):
    points = [GroundControlPoint(r, c, WEST + c, NORTH - r) for r, c in [(0, 0), (0, 8), (6, 0)]]
    path = make_scene(planes(1), gcps=points)
    with pytest.raises(NotGeoreferenced, match=r"only ground control points.*rio warp"):
        order(path)


def test_pixels_without_an_area_are_refused():
    flat = Raster(planes(1), Affine(10, 0, WEST, 0, 0, NORTH), EARTH)
    with pytest.raises(NotGeoreferenced, match="no area"):
        order(flat)


@pytest.mark.parametrize("place", [(1e30, 0), (10, 1e12), (-10, -1e300), (np.nan, 0)])
def test_pixels_beyond_any_planet_are_refused(place):
    # GEOS gives up on such polygons; found by fuzzing a GeoTIFF.
    side, west = place
    far = Raster(planes(1), Affine(side, 0, west, 0, -10, NORTH), EARTH)
    with pytest.raises(NotGeoreferenced, match="usable geotransform"):
        order(far)


# --- what is not a scene ----------------------------------------------------------------------


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(SceneNotFound, match="no such file"):
        order(tmp_path / "none.tif")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html>", "HTML page"),
        (b"\n<HTML><body>403", "HTML page"),
        (b"<VRTDataset rasterXSize='1'>", "VRT text"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "PNG image"),
        (b"\xff\xd8\xff\xe0", "JPEG image"),
        (b"PK\x03\x04", "zip archive"),
        (b"II*\0" + b"\xff" * 40, "cannot be opened"),
        (b"hello", "not a GeoTIFF or JPEG 2000"),
    ],
)
def test_a_file_that_is_no_raster_is_called_what_it_is(tmp_path, content, what):
    path = tmp_path / "scene.tif"
    path.write_bytes(content)
    with pytest.raises(SceneUnreadable, match=what) as caught:
        order(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_directory_is_not_a_raster(tmp_path):
    with pytest.raises(SceneUnreadable, match="is a directory"):
        order(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(SceneUnreadable, match="not a regular file"):
        order(tmp_path / "pipe.tif")


@pytest.mark.parametrize(
    "address",
    [
        "/vsicurl/http://127.0.0.1:9/x.tif",
        "/vsimem/x.tif",
        "vrt://x.tif",
        "<VRTDataset></VRTDataset>",
        "zip+file://a.zip!x.tif",
        "GTIFF_DIR:1:x.tif",
    ],
)
def test_addresses_never_reach_gdal(address, monkeypatch):
    monkeypatch.setattr(rasterio, "open", lambda *_, **__: pytest.fail("GDAL saw the address"))
    with pytest.raises(SceneUnreadable, match="address"):
        order(address)


def test_a_name_may_look_odd(make_scene):
    assert order(make_scene(planes(1), name="ünï ?&#!%20 [1].tif")) == [1]


def test_a_mask_beside_a_scene_must_be_a_tiff(make_scene):
    path = make_scene(planes(1))
    path.with_name("scene.tif.msk").write_text("<VRTDataset/>")
    with pytest.raises(SceneUnreadable, match=r"scene\.tif\.msk: is a side-car"):
        order(path)


def test_notes_beside_a_scene_may_not_point_elsewhere(make_scene):
    path = make_scene(planes(1))
    notes = '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/x</MDI>'
    path.with_name("scene.tif.aux.xml").write_text(notes + "</Metadata></PAMDataset>")
    with pytest.raises(SceneUnreadable, match="names files"):
        order(path)


def test_notes_that_cannot_be_read_are_named(make_scene):
    path = make_scene(planes(1))
    path.with_name(path.name + ".aux.xml").mkdir()
    with pytest.raises(SceneUnreadable, match=r"aux\.xml: cannot be read \(Is a directory\)"):
        order(path)


def test_a_name_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(SceneUnreadable, match="has a name that is not UTF-8; rename it"):
        order(tmp_path / os.fsdecode(b"caf\xe9.tif"))


def test_jpeg_2000_is_read_whatever_its_name(make_scene):
    values = np.random.default_rng(0).integers(0, 9_000, (3, 40, 50)).astype(np.uint16)
    lossless = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
    path = make_scene(values, name="scene.dat", photometric=None, alpha=None, **lossless)
    with open_scene(path) as scene:
        np.testing.assert_array_equal(read_all(scene).values, values)
        assert scene.profile.crs == EARTH


def test_png_is_read_for_labels_only(tmp_path):
    path, values = tmp_path / "labels.png", planes(1)
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(
            path, "w", driver="PNG", count=1, height=6, width=8, dtype="uint8"
        ) as dataset,
    ):
        dataset.write(values)
    with pytest.raises(SceneUnreadable, match="PNG image"):
        open_raster(path)
    with open_raster(path, LABEL_DRIVERS) as dataset:
        np.testing.assert_array_equal(dataset.read(), values)


def test_complex_numbers_are_refused(make_scene):
    with pytest.raises(SceneUnreadable, match="complex64"):
        order(make_scene(np.zeros((1, 4, 4), np.complex64)))


def test_a_file_cut_short_names_the_window(make_scene):
    noise = np.random.default_rng(0).integers(0, 255, (1, 512, 256), np.uint8)
    path = make_scene(noise, tiled=True, blockxsize=256, blockysize=256)
    path.write_bytes(path.read_bytes()[:100_000])
    with open_scene(path) as scene:
        assert scene.read(Window(0, 0, 256, 256)).valid.all()
        with pytest.raises(SceneUnreadable, match=r"rows 256\.\.511, columns 0\.\.255") as caught:
            scene.read(Window(256, 0, 256, 256))
    assert len(str(caught.value).splitlines()) == 1


# --- scenes in memory -------------------------------------------------------------------------


def test_an_array_is_read_like_a_file(make_scene):
    values = np.random.default_rng(1).integers(0, 9, (3, 6, 8)).astype(np.uint16)
    path, window = make_scene(values, nodata=0), Window(2, 1, 3, 5)
    with (
        open_scene(path, bands=[3, 1]) as filed,
        open_scene(Raster(values, PLACE, "EPSG:32721", nodata=0), bands=[3, 1]) as held,
    ):
        np.testing.assert_array_equal(filed.read(window).values, held.read(window).values)
        np.testing.assert_array_equal(filed.read(window).valid, held.read(window).valid)
        assert filed.profile.gsd_m == held.profile.gsd_m
        assert filed.profile.crs == held.profile.crs


def test_an_array_may_bring_its_own_mask():
    valid = np.eye(6, 8, dtype=bool)
    np.testing.assert_array_equal(valid_of(Raster(planes(2), PLACE, EARTH, valid=valid)), valid)


@pytest.mark.parametrize(
    ("array", "options", "what"),
    [
        (np.zeros((4, 5)), {}, "shape"),
        (np.zeros((0, 4, 5)), {}, "shape"),
        (np.zeros((1, 4, 5), complex), {}, "complex"),
        (np.zeros((1, 4, 5)), {"valid": np.ones((5, 4), bool)}, "valid"),
        (np.zeros((1, 4, 5)), {"crs": "EPSG:0"}, "crs"),
        (np.zeros((3, 4, 5)), {"scales": [1e-4]}, "scales: there are 1; give 3"),
        (np.zeros((1, 4, 5)), {"offsets": [0, 0]}, "offsets: there are 2; give 1"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(array, options, what):
    with pytest.raises(OptionError, match=what):
        Raster(array, PLACE, **{"crs": EARTH, **options})


def test_an_array_needs_a_place_on_earth():
    with pytest.raises(NotGeoreferenced, match=r"array: .* no CRS"):
        order(Raster(planes(1), PLACE, None))


def test_a_file_brings_the_scale_of_each_band_along(make_scene):
    path = make_scene(planes(3))
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-4, 2e-4, 1), (0, -0.1, 5)
    with open_scene(path, bands=(2, 3)) as scene:
        assert [(band.gain, band.offset) for band in scene.bands] == [(2e-4, -0.1), (1, 5)]


@pytest.mark.parametrize("source", [None, 3, np.zeros((1, 2, 2))])
def test_anything_else_is_not_a_scene(source):
    with pytest.raises(OptionError, match="not a scene"):
        order(source)


def test_rows_of_an_array_can_be_read_one_by_one():
    with open_scene(Raster(planes(1), PLACE, EARTH)) as scene:
        assert scene.profile.block == (1, 8)
