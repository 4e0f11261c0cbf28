"""Sentinel-2 products by folder, archive or metadata: bands, offsets and masks."""

import zipfile

import numpy as np
import pytest
from products import TILE, make_safe, metadata, plane, write_jp2, zipped
from read_scenes import RGB, numbers, product, read_all

from geodeforest.errors import BandMissing, SceneUnreadable
from geodeforest.geo.opening import open_raster
from geodeforest.geo.scene import open_scene


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
