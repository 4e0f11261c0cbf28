"""STAC items: assets by what they are, here or on a server."""

from pathlib import Path

import numpy as np
import pytest
from products import make_item, make_safe, plane
from range_server import serving
from read_scenes import RGB, numbers, product

from geodeforest.errors import OptionError, SceneUnreadable
from geodeforest.geo.scene import open_scene
from geodeforest.testing import make_scene


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
