"""Products by their folders, names and metadata: bands, calibration, dates, masks."""

import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from products import (
    LANDSAT_7,
    LANDSAT_8,
    PLANET,
    TILE,
    make_item,
    make_landsat,
    make_planet,
    make_safe,
    metadata,
    plane,
    write_jp2,
    zipped,
)
from range_server import serving

from geodeforest.core.grid import Window
from geodeforest.errors import BandMissing, OptionError, SceneUnreadable
from geodeforest.geo.opening import open_raster
from geodeforest.geo.scene import open_scene
from geodeforest.geo.sun import sun_degrees
from geodeforest.testing import make_scene

RGB = ("red", "green", "blue")


def read_all(scene):
    return scene.read(Window(0, 0, scene.height, scene.width))


def numbers(source, **choice):
    """The first pixel of each band read, over ten."""
    with open_scene(source, **choice) as scene:
        return [int(number) // 10 for number in read_all(scene).values[:, 0, 0]]


def product(source, **choice):
    with open_scene(source, **{"wanted": RGB, **choice}) as scene:
        return scene.profile.product


# --- Sentinel-2 -------------------------------------------------------------------------------


@pytest.fixture(params=["folder", "zip", "zip without its folder", "metadata file"])
def named(request, tmp_path):
    """The ways of naming the same product."""

    def name(level="2A", **about):
        root = make_safe(tmp_path, level, **about)
        if request.param == "metadata file":
            return root / f"MTD_MSIL{level}.xml"
        if request.param == "folder":
            return root
        if request.param == "zip":
            return zipped(root)
        archive = tmp_path / "product.ZIP"
        with zipfile.ZipFile(archive, "w") as file:
            for path in root.rglob("*"):
                file.write(path, path.relative_to(root).as_posix())
        return archive

    return name


@pytest.mark.parametrize("level", ["1C", "2A"])
def test_the_ten_metre_bands_of_a_safe_product(named, level):
    path = named(level)
    assert numbers(path) == [2, 3, 4, 8]
    assert numbers(path, wanted=RGB) == [4, 3, 2]
    assert numbers(path, wanted=("nir", "B04")) == [8, 4]
    assert numbers(path, bands="B08,B04,B03") == [8, 4, 3]
    assert numbers(path, bands=[1, 4]) == [2, 8]


def test_a_safe_product_tells_its_kind_baseline_and_date(named):
    found = product(named("2A", baseline="05.10"))
    assert (found.kind, found.baseline, found.date) == ("sentinel-2-l2a", "05.10", "2022-07-01")


@pytest.mark.parametrize("level", ["1C", "2A"])
def test_each_band_has_its_own_offset(tmp_path, level):
    found = product(
        make_safe(tmp_path, level, quantification=5000), wanted=("B08", "B02")
    ).calibration
    assert found.gain == (1 / 5000, 1 / 5000)
    assert found.offset == pytest.approx((-1007 / 5000, -1001 / 5000))
    assert found.source == f"MTD_MSIL{level}.xml"


@pytest.mark.parametrize("level", ["1C", "2A"])
def test_before_baseline_04_there_is_no_offset(tmp_path, level):
    found = product(make_safe(tmp_path, level, baseline="02.14", offsets=False))
    assert found.calibration.offset == (0, 0, 0)


def test_zero_in_one_band_is_no_data(tmp_path):
    bands = {name: plane(500) for name in ("B02", "B03", "B04")}
    bands["B03"][3, 5] = 0
    with open_scene(make_safe(tmp_path, bands=bands), wanted=RGB) as scene:
        assert np.argwhere(~read_all(scene).valid).tolist() == [[3, 5]]


def test_a_safe_product_without_a_band_says_so(tmp_path):
    root = make_safe(tmp_path, bands={"B04": plane(1), "B03": plane(1)})
    with pytest.raises(BandMissing, match=r"one band blue but the scene has 2 bands \(B03, B04\)"):
        product(root)


def test_a_safe_product_without_ten_metre_bands_is_refused(tmp_path):
    with pytest.raises(SceneUnreadable, match=r"has no 10 m bands in GRANULE/.*/R10m"):
        product(make_safe(tmp_path, bands={"SCL": plane(1)}, tci=None))


def test_several_granules_are_refused(tmp_path):
    root = make_safe(tmp_path)
    write_jp2(root / "GRANULE/L2A_T21MXP_A026256_20220701T140052/IMG_DATA/x.jp2", plane(1))
    with pytest.raises(SceneUnreadable, match="holds 2 granules, not one"):
        product(root)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "MTD_MSIL2A.xml: is no XML"),
        ("<a><b></a>", "MTD_MSIL2A.xml: is no XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "defines entities"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_damaged_metadata_are_refused(tmp_path, text, what, encoding):
    root = make_safe(tmp_path)
    (root / "MTD_MSIL2A.xml").write_text(text, encoding)
    with pytest.raises(SceneUnreadable, match=what):
        product(root)


def test_metadata_without_a_quantification_leave_the_numbers_alone(tmp_path):
    root = make_safe(tmp_path)
    text = metadata("2A").replace("BOA_QUANTIFICATION_VALUE", "X")
    (root / "MTD_MSIL2A.xml").write_text(text)
    assert product(root).calibration is None


def test_the_scene_classification_is_the_mask_of_level_2a(named):
    mask = product(named("2A", scl=plane(4, 12, 16, np.uint8))).mask
    assert (mask.name, mask.hidden_bits) == ("SCL", ())
    assert set(mask.hidden_values) == {0, 1, 3, 8, 9, 10}
    with open_raster(mask.path) as dataset:
        assert (dataset.read(1) == 4).all()


def test_the_classification_mask_is_that_of_level_1c(named):
    classi = np.stack([plane(i, 4, 6, np.uint8) for i in (0, 1, 0)])
    mask = product(named("1C", classi=classi)).mask
    assert (mask.name, mask.hidden_values, mask.bands) == ("MSK_CLASSI", (1,), (1, 2))
    with open_raster(mask.path) as dataset:
        np.testing.assert_array_equal(dataset.read(), classi)


@pytest.mark.parametrize("suffix", [".aux.xml", ".msk", ".ovr"])
def test_side_cars_in_an_archive_are_not_followed(tmp_path, suffix):
    root = make_safe(tmp_path)
    band = next(root.glob("GRANULE/*/IMG_DATA/R10m/*_B03_10m.jp2"))
    band.with_name(band.name + suffix).write_text("<PAMDataset/>")
    with pytest.raises(SceneUnreadable, match=r"is a side-car in an archive"):
        product(zipped(root))


@pytest.mark.parametrize("units", ["-10000", "1e999", "nan"])
def test_metadata_that_make_no_reflectance_are_refused(tmp_path, units):
    with pytest.raises(SceneUnreadable, match=r"MTD_MSIL2A.xml: tells gain .* no reflectance"):
        product(make_safe(tmp_path, quantification=units))


def test_a_product_without_a_mask_has_none(tmp_path):
    assert product(make_safe(tmp_path)).mask is None


@pytest.mark.parametrize(("level", "top"), [("1C", 0.3558), ("2A", 0.2)])
def test_a_true_colour_image_alone_is_that_of_its_level(tmp_path, level, top):
    ending = {"1C": "", "2A": "_10m"}[level]
    tci = np.stack([plane(10 * i, dtype=np.uint8) for i in (4, 3, 2)])
    path = write_jp2(tmp_path / f"{TILE}_TCI{ending}.jp2", tci)
    assert numbers(path, wanted=RGB) == [4, 3, 2]
    found = product(path)
    assert (found.kind, found.date) == ("sentinel-2-tci", "2022-07-01")
    assert found.calibration.gain == pytest.approx((top / 255,) * 3)


def test_a_true_colour_image_stands_in_for_missing_bands(tmp_path):
    tci = np.stack([plane(10 * i, dtype=np.uint8) for i in (4, 3, 2)])
    assert numbers(make_safe(tmp_path, bands={}, tci=tci), wanted=RGB) == [4, 3, 2]


def test_zero_in_one_band_of_a_true_colour_image_is_dark_water(tmp_path):
    tci = np.full((3, 24, 32), 9, np.uint8)
    tci[0, 1, 1] = 0
    tci[:, 2, 2] = 0
    path = write_jp2(tmp_path / f"{TILE}_TCI_10m.jp2", tci)
    with open_scene(path, wanted=RGB) as scene:
        assert np.argwhere(~read_all(scene).valid).tolist() == [[2, 2]]


def test_files_inside_a_safe_folder_know_their_product(tmp_path):
    root = make_safe(tmp_path, scl=plane(4, 12, 16, np.uint8), tci=np.ones((3, 24, 32), np.uint8))
    images = next(root.glob("GRANULE/*/IMG_DATA/R10m"))
    listed = ",".join(str(images / f"{TILE}_{band}_10m.jp2") for band in ("B02", "B03", "B04"))
    found = product(listed)
    assert numbers(listed, wanted=RGB) == [4, 3, 2]
    assert (found.kind, found.mask.name) == ("sentinel-2-l2a", "SCL")
    assert found.calibration.offset[0] == pytest.approx(-0.1003)
    assert product(images / f"{TILE}_TCI_10m.jp2").mask.name == "SCL"


def test_files_that_left_their_safe_folder_keep_their_kind(tmp_path):
    for band in (2, 3, 4):
        write_jp2(tmp_path / f"{TILE}_B0{band}.jp2", plane(10 * band))
    listed = ",".join(str(tmp_path / f"{TILE}_B0{band}.jp2") for band in (2, 3, 4))
    found = product(listed)
    assert (found.kind, found.calibration, found.date) == ("sentinel-2-l1c", None, "2022-07-01")


def test_a_zip_without_a_product_says_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("photo.txt", "x")
    with pytest.raises(SceneUnreadable, match="zip archive without a Sentinel-2 or Landsat"):
        product(tmp_path / "a.zip")


def test_what_is_damaged_in_a_zip_is_named(tmp_path):
    root = make_safe(tmp_path)
    band = next(root.glob("GRANULE/*/IMG_DATA/R10m/*_B03_10m.jp2"))
    band.write_bytes(b"no image")
    with pytest.raises(SceneUnreadable, match=r"\.zip/S2A.*B03_10m\.jp2: is not a"):
        product(zipped(root))


@pytest.mark.parametrize("name", ["/vsizip/a.zip/b.tif", "/vsizip/{a.zip}/b.tif", "zip+a.zip!b"])
def test_no_name_that_a_user_types_reaches_into_a_zip(name):
    with pytest.raises((SceneUnreadable, FileNotFoundError)):
        product(name)


# --- Landsat ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "order"), [(LANDSAT_8, [4, 3, 2]), (LANDSAT_7, [3, 2, 1])])
@pytest.mark.parametrize("level", ["L1TP", "L2SP"])
def test_red_is_what_the_spacecraft_calls_it(tmp_path, name, order, level):
    root = make_landsat(tmp_path, name, level)
    assert numbers(root, wanted=RGB) == order
    assert product(root).kind == f"landsat-c2-{level[:2].lower()}"


def test_a_band_that_the_user_numbers_is_the_products_own(tmp_path):
    root = make_landsat(tmp_path, LANDSAT_7)
    for names in ("B4,B3,B2", "SR_B4,sr_b3,Band 2"):
        assert numbers(root, bands=names) == [4, 3, 2]
    assert numbers(root, bands="red,nir") == [3, 4]


@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_surface_reflectance_has_the_numbers_of_its_own_group(tmp_path, form):
    root = make_landsat(tmp_path, form=form)
    metadata_file = next(root.glob("*_MTL.*"))
    for path in (root, metadata_file):
        found = product(path).calibration
        assert found.gain == pytest.approx((2.75e-5,) * 3)
        assert found.offset == pytest.approx((-0.2,) * 3)
        assert found.source == metadata_file.name


@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_level_1_is_divided_by_the_suns_height(tmp_path, form):
    found = product(make_landsat(tmp_path, level="L1TP", form=form, sun=30)).calibration
    assert found.gain == pytest.approx((8e-5, 6e-5, 4e-5))
    assert found.offset == pytest.approx((-0.2,) * 3)


def test_files_side_by_side_find_the_metadata_beside_them(tmp_path):
    root = make_landsat(tmp_path, qa=plane(0))
    listed = ",".join(str(next(root.glob(f"*_SR_B{n}.TIF"))) for n in (2, 3, 4))
    found = product(listed)
    assert numbers(listed, wanted=RGB) == [4, 3, 2]
    assert (found.kind, found.mask.name, found.date) == ("landsat-c2-l2", "QA_PIXEL", "2020-05-18")


def test_fill_cloud_and_shadow_bits_are_hidden(tmp_path):
    mask = product(make_landsat(tmp_path, qa=plane(1))).mask
    assert (mask.hidden_bits, mask.hidden_values) == ((0, 1, 2, 3, 4), ())


def test_surface_reflectance_needs_no_metadata(tmp_path):
    root = make_landsat(tmp_path, form=None)
    listed = ",".join(str(next(root.glob(f"*_SR_B{n}.TIF"))) for n in (4, 3, 2))
    assert product(listed).calibration.gain == pytest.approx((2.75e-5,) * 3)


def test_level_1_without_metadata_takes_the_sun_from_date_and_place(tmp_path):
    root = make_landsat(tmp_path, level="L1TP", form=None)
    listed = ",".join(str(next(root.glob(f"*_B{n}.TIF"))) for n in (4, 3, 2))
    found = product(listed).calibration
    height = math.sin(math.radians(sun_degrees(-6.33, "2020-05-18")))
    assert found.gain == pytest.approx((2e-5 / height,) * 3, rel=1e-3)
    assert "sun 53 degrees high" in found.source


def test_a_stack_that_bears_a_products_name(tmp_path):
    values = np.stack([plane(10 * n) for n in (2, 3, 4)])
    path = make_scene(tmp_path / f"{LANDSAT_8.format(level='L2SP')}.TIF", values)
    assert numbers(path, wanted=RGB) == [2, 3, 4]  # nothing tells which is which
    assert product(path).calibration.gain == pytest.approx((2.75e-5,) * 3)


def test_the_descriptions_of_a_stack_are_its_spacecrafts(tmp_path):
    values = np.stack([plane(10 * n) for n in (4, 3, 2, 1)])
    names = ["SR_B4", "SR_B3", "SR_B2", "SR_B1"]
    path = make_scene(tmp_path / f"{LANDSAT_7.format(level='L2SP')}.tif", values, names=names)
    assert numbers(path, wanted=RGB) == [3, 2, 1]


def test_a_converted_stack_has_no_calibration_of_its_name(tmp_path):
    values = np.stack([plane(10 * n, dtype=np.uint8) for n in (4, 3, 2)])
    path = make_scene(tmp_path / f"{LANDSAT_8.format(level='L2SP')}.tif", values)
    assert product(path).calibration is None


def test_two_landsat_products_in_one_folder_are_refused(tmp_path):
    root = make_landsat(tmp_path)
    (root / f"{LANDSAT_7.format(level='L2SP')}_MTL.txt").write_text("END")
    with pytest.raises(SceneUnreadable, match="holds 2 Landsat products"):
        product(root)


def test_a_landsat_folder_without_bands_is_refused(tmp_path):
    root = make_landsat(tmp_path)
    for path in root.glob("*.TIF"):
        path.unlink()
    with pytest.raises(SceneUnreadable, match=r"has no files LC08.*_SR_B"):
        product(root)


# --- Planet -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bands", "order"),
    [
        ("AnalyticMS_SR", 4, [3, 2, 1]),
        ("AnalyticMS_SR_harmonized_clip", 4, [3, 2, 1]),
        ("AnalyticMS_SR_8b_harmonized_clip_file_format", 8, [6, 4, 2]),
        ("ortho_analytic_4b_sr", 4, [3, 2, 1]),
        ("BGRN_SR_clip", 4, [3, 2, 1]),
    ],
)
def test_planet_begins_with_blue(tmp_path, name, bands, order):
    path = make_planet(tmp_path, name, bands=bands)
    found = product(path)
    assert numbers(path, wanted=RGB) == order
    assert (found.kind, found.date) == ("planet-sr", "2023-05-11")
    assert found.calibration.gain == (1e-4,) * 3


def test_colours_that_planets_writer_guessed_do_not_count(tmp_path):
    path = make_planet(tmp_path, colours=["red", "green", "blue", "alpha"])
    assert numbers(path, wanted=RGB) == [3, 2, 1]
    assert numbers(path, wanted=("nir",)) == [4]


def test_planets_radiance_has_a_coefficient_for_each_band(tmp_path):
    path = make_planet(tmp_path, "AnalyticMS_clip", coefficients=(1e-5, 2e-5, 3e-5, 4e-5))
    found = product(path)
    assert found.kind == "planet-toa"
    assert found.calibration.gain == (3e-5, 2e-5, 1e-5)


def test_planets_radiance_without_metadata_is_not_calibrated(tmp_path):
    assert product(make_planet(tmp_path, "AnalyticMS")).calibration is None


def test_planets_own_descriptions_go_before_its_name(tmp_path):
    names = ["red", "green", "blue", "nir"]
    path = make_planet(tmp_path, names=names)
    assert numbers(path, wanted=RGB) == [1, 2, 3]
    assert product(path) is None


def test_planets_usable_data_mask_is_found(tmp_path):
    mask = product(make_planet(tmp_path, udm2=np.ones((8, 24, 32), np.uint8))).mask
    assert (mask.name, mask.hidden_values, mask.bands) == ("UDM2", (0,), (1,))
    assert Path(mask.path).name == f"{PLANET}_udm2_clip.tif"


# --- STAC -------------------------------------------------------------------------------------


def assets(folder, **about):
    """Three single-band assets in the words of STAC 1.0, in no helpful order."""
    made = {}
    for name, word, number in (("B02", "blue", 2), ("B04", "red", 4), ("B03", "green", 3)):
        make_scene(folder / f"{name}.tif", plane(10 * number))
        made[word] = {
            "href": f"./{name}.tif",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "roles": ["data", "reflectance"],
            "eo:bands": [{"name": name, "common_name": word}],
            "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": -0.1, **about}],
        }
    return made


def test_assets_are_found_by_common_name(tmp_path):
    item = make_item(tmp_path, assets(tmp_path), platform="sentinel-2a")
    found = product(item)
    assert numbers(item, wanted=RGB) == [4, 3, 2]
    assert (found.kind, found.date) == ("sentinel-2-l2a", "2022-07-01")
    assert found.calibration.offset == (-0.1,) * 3
    assert found.calibration.source == "item.json"


def test_bands_in_the_words_of_stac_1_1(tmp_path):
    told = {
        key: {
            "href": asset["href"],
            "type": asset["type"],
            "bands": [
                {
                    "name": asset["eo:bands"][0]["name"],
                    "eo:common_name": key,
                    "nodata": 0,
                    "raster:scale": 0.0001,
                    "raster:offset": 0,
                }
            ],
        }
        for key, asset in assets(tmp_path).items()
    }
    item = make_item(tmp_path, told, constellation="sentinel-2")
    assert numbers(item, wanted=RGB) == [4, 3, 2]
    assert product(item).calibration.offset == (0, 0, 0)


def test_an_asset_may_hold_several_bands(tmp_path):
    make_scene(tmp_path / "all.tif", np.stack([plane(10 * n) for n in (2, 3, 4, 8)]))
    bands = [{"name": n, "common_name": n} for n in ("blue", "green", "red", "nir")]
    item = make_item(tmp_path, {"image": {"href": "all.tif", "eo:bands": bands}})
    assert numbers(item, wanted=RGB) == [4, 3, 2]


def test_an_offset_that_the_catalogue_took_off_is_not_taken_off_again(tmp_path):
    flags = {"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.10"}
    item = make_item(tmp_path, assets(tmp_path), platform="sentinel-2a", **flags)
    assert product(item).calibration.offset == (0, 0, 0)
    assert product(item).baseline == "05.10"


@pytest.mark.parametrize(("baseline", "offset"), [("03.01", 0), ("04.00", -0.1)])
def test_the_baseline_tells_the_offset_where_nothing_else_does(tmp_path, baseline, offset):
    told = {key: {**a, "raster:bands": None} for key, a in assets(tmp_path).items()}
    properties = {"platform": "sentinel-2b", "s2:processing_baseline": baseline}
    found = product(make_item(tmp_path, told, **properties)).calibration
    assert (found.gain, found.offset) == ((1e-4,) * 3, (offset,) * 3)


def test_pictures_and_doubles_are_not_bands(tmp_path):
    three = [{"name": n, "common_name": n} for n in RGB]
    told = {
        "visual": {"href": "tci.tif", "roles": ["visual"], "eo:bands": three},
        **assets(tmp_path),
        "red-jp2": {"href": "B04.jp2", "eo:bands": [{"name": "B04", "common_name": "red"}]},
        "thumbnail": {"href": "t.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
    }
    assert numbers(make_item(tmp_path, told), wanted=RGB) == [4, 3, 2]


def test_a_picture_is_read_where_there_is_nothing_else(tmp_path):
    make_scene(tmp_path / "tci.tif", np.stack([plane(10 * n, dtype=np.uint8) for n in (4, 3, 2)]))
    three = [{"name": n, "common_name": n} for n in RGB]
    told = {"visual": {"href": "tci.tif", "roles": ["visual"], "eo:bands": three}}
    item = make_item(tmp_path, told, platform="sentinel-2a")
    assert numbers(item, wanted=RGB) == [4, 3, 2]
    assert product(item).calibration is None


def test_the_masks_of_an_item_are_found(tmp_path):
    make_scene(tmp_path / "scl.tif", plane(4, dtype=np.uint8), gsd_m=20)
    told = {**assets(tmp_path), "scl": {"href": "scl.tif", "type": "image/tiff"}}
    mask = product(make_item(tmp_path, told)).mask
    assert (mask.name, Path(mask.path)) == ("SCL", tmp_path / "scl.tif")
    assert 9 in mask.hidden_values


def test_landsat_items_are_calibrated(tmp_path):
    told = {key: {**a, "raster:bands": None} for key, a in assets(tmp_path).items()}
    properties = {"platform": "landsat-8", "landsat:correction": "L2SP"}
    found = product(make_item(tmp_path, told, **properties))
    assert found.kind == "landsat-c2-l2"
    assert found.calibration.offset == pytest.approx((-0.2,) * 3)


def test_assets_may_lie_on_a_server(tmp_path):
    told = assets(tmp_path)
    files = {f"/s2/{name}.tif": (tmp_path / f"{name}.tif").read_bytes() for name in ("B02", "B04")}
    with serving(files) as server:
        for word, name in (("blue", "B02"), ("red", "B04")):
            told[word]["href"] = f"{server.address}/s2/{name}.tif?sig=s3cret"
        item = make_item(tmp_path, told)
        assert numbers(item, wanted=RGB) == [4, 3, 2]
        with open_scene(item, wanted=RGB) as scene:
            assert "s3cret" not in repr(scene.profile)


def test_a_number_that_the_data_type_cannot_hold_is_no_nodata(tmp_path):
    item = make_item(tmp_path, assets(tmp_path, nodata="nan"))
    with open_scene(item, wanted=RGB) as scene:
        assert [band.nodata for band in scene.bands] == [None] * 3


def test_only_the_assets_that_are_read_are_opened(tmp_path):
    told = assets(tmp_path)
    told["nir"] = {**told["red"], "href": "gone.tif", "eo:bands": [{"common_name": "nir"}]}
    assert numbers(make_item(tmp_path, told), wanted=RGB) == [4, 3, 2]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "is no JSON"),
        ("[]", "but no object"),
        ('{"type": "FeatureCollection", "features": []}', "no STAC item"),
        ('{"type": "Feature", "assets": {}}', "no asset that names a spectral band"),
        ('{"type": "Feature", "assets": {"a": 1, "b": {"eo:bands": 3}}}', "no asset that names"),
        ('{"type": "Feature", "properties": [1], "assets": {"a": {"bands": [2]}}}', "no asset"),
    ],
)
def test_json_that_is_no_item_is_refused(tmp_path, text, what):
    path = tmp_path / "item.json"
    path.write_text(text)
    with pytest.raises(SceneUnreadable, match=what):
        product(path)


def test_a_band_that_a_product_lacks_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"--bands names B11, which the scene lacks"):
        product(make_safe(tmp_path), bands="B11,B04,B03")


# --- the sun ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lat", "day", "hour", "degrees"),
    [
        (0, "2021-03-21", 12, 90),
        (23.45, "2021-06-21", 12, 90),
        (0, "2021-03-21", 9, 45),
        (-25.34, "2020-05-18", 12, 45.3),
    ],
)
def test_the_suns_height(lat, day, hour, degrees):
    assert sun_degrees(lat, day, hour) == pytest.approx(degrees, abs=0.7)
