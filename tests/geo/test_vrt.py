"""VRT files: refused unless allowed, and then only what puts plain local rasters together."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import rasterio.shutil

import geodeforest as gd
from geodeforest.core.grid import Window
from geodeforest.core.options import OpenRules
from geodeforest.errors import SceneError, SceneNotFound, SceneTooLarge, SceneUnreadable
from geodeforest.geo.opening import open_raster
from geodeforest.geo.scene import open_scene
from geodeforest.testing import ConstantPredictor

ALLOWED = OpenRules(allow_vrt=True)
VALUES = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)
PLACE = "<SRS>EPSG:32721</SRS><GeoTransform>500000, 10, 0, 9300000, 0, -10</GeoTransform>"
SOURCE = '<SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename></SimpleSource>'


def vrt(folder, bands, size=(50, 40), more="", attributes=""):
    """A VRT in ``folder``; ``bands`` are the insides of its bands."""
    text = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{number}">{inside}</VRTRasterBand>'
        for number, inside in enumerate(bands, 1)
    )
    path = folder / "scene.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{size[0]}" rasterYSize="{size[1]}"{attributes}>{PLACE}{more}'
        f"{text}</VRTDataset>"
    )
    return path


@pytest.fixture
def sources(make_scene, tmp_path):
    """Three single-band files in a folder beside the VRT."""
    (tmp_path / "bands").mkdir()
    for number, plane in enumerate(VALUES, 1):
        make_scene(plane, name=f"bands/{number}.tif")
    return tmp_path


def stack(folder):
    return vrt(folder, [SOURCE.format(f"bands/{number}.tif") for number in (1, 2, 3)])


def read(path, rules=ALLOWED):
    with open_scene(path, rules=rules) as scene:
        return scene.read(Window(0, 0, scene.height, scene.width)).values


def test_a_vrt_is_refused_unless_it_is_allowed(sources):
    with pytest.raises(SceneUnreadable, match=r"is VRT text.*--allow-vrt"):
        open_raster(stack(sources))


def test_a_stack_of_files_is_read_like_one_file(sources, monkeypatch):
    assert (read(stack(sources)) == VALUES).all()
    monkeypatch.chdir(sources)
    assert (read("scene.vrt") == VALUES).all()


def test_what_gdal_writes_for_a_file_is_read(make_scene, tmp_path):
    names = ("red", "green", "blue")
    scene = make_scene(VALUES, names=names, nodata=7, tags={"ACQUISITION_DATE": "2020-01-02"})
    rasterio.shutil.copy(scene, tmp_path / "copy.vrt", driver="VRT")
    with open_scene(scene) as plain, open_scene(tmp_path / "copy.vrt", rules=ALLOWED) as virtual:
        window = Window(0, 0, 40, 50)
        assert (virtual.read(window).valid == plain.read(window).valid).all()
        assert virtual.profile.bands == names
        assert virtual.profile.date == "2020-01-02"
        assert virtual.profile.path == str(tmp_path / "copy.vrt")


def test_a_declaration_of_xml_may_come_first(sources):
    path = stack(sources)
    path.write_text('<?xml version="1.0" encoding="UTF-8"?>\n' + path.read_text())
    assert (read(path) == VALUES).all()


def test_windows_and_scales_of_a_source_are_kept(sources):
    inside = (
        "<NoDataValue>0</NoDataValue><ComplexSource>"
        '<SourceFilename relativeToVRT="1">bands/1.tif</SourceFilename><SourceBand>1</SourceBand>'
        '<SrcRect xOff="0" yOff="0" xSize="10" ySize="40"/>'
        '<DstRect xOff="40" yOff="0" xSize="10" ySize="40"/>'
        "<ScaleOffset>5</ScaleOffset><ScaleRatio>2</ScaleRatio></ComplexSource>"
    )
    values = read(vrt(sources, [inside]))[0]
    assert (values[:, 40:] == VALUES[0, :, :10] * 2 + 5).all()
    assert not values[:, :40].any()


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        (SOURCE.format("/vsicurl/http://127.0.0.1:9/a.tif"), "address"),
        (SOURCE.format("https://127.0.0.1:9/a.tif"), "remote source"),
        (SOURCE.format("s3://bucket/a.tif"), "remote source"),
        (SOURCE.format("vrt://bands/1.tif"), "address|no such file"),
        (SOURCE.format("GTIFF_DIR:1:bands/1.tif"), "address|no such file"),
        (SOURCE.format("&lt;VRTDataset/>"), "no such file|address"),
        (SOURCE.format("bands"), "is a directory"),
        (SOURCE.format(""), "is a directory"),
        (SOURCE.format("text.txt"), "is not a GeoTIFF"),
        (SOURCE.format("other.vrt"), "is VRT text"),
        (SOURCE.format("bands/9.tif"), "no such file"),
        (SOURCE.format("bands/1.tif").replace("SourceFilename", "sourcefilename"), "not read"),
        (SOURCE.format("bands/1.tif").replace("SimpleSource", "KernelFilteredSource"), "not read"),
        (
            SOURCE.format("bands/1.tif").replace(
                "</Simple", "<OpenOptions><OOI key='a'>b</OOI></OpenOptions></Simple"
            ),
            "OpenOptions",
        ),
        ("<PixelFunctionLanguage>Python</PixelFunctionLanguage>", "PixelFunctionLanguage"),
    ],
)
def test_a_source_must_be_a_plain_local_raster(sources, inside, why, monkeypatch):
    (sources / "text.txt").write_text("something private")
    (sources / "other.vrt").write_text(stack(sources).read_text())
    opened = []
    true_open = rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda *a, **k: opened.append(a) or true_open(*a, **k))
    with pytest.raises(SceneError, match=why):
        open_raster(vrt(sources, [inside]), rules=ALLOWED)
    assert all(str(name).endswith(".tif") for (name,) in opened)


@pytest.mark.parametrize(
    "kind", ["VRTRawRasterBand", "VRTDerivedRasterBand", "VRTWarpedRasterBand", "vrtrawrasterband"]
)
def test_bands_that_compute_or_read_raw_bytes_are_refused(sources, kind):
    path = stack(sources)
    path.write_text(path.read_text().replace('band="1"', f'band="1" subClass="{kind}"'))
    with pytest.raises(SceneUnreadable, match=f"with a {kind}, which is not read"):
        open_raster(path, rules=ALLOWED)


def test_a_warped_dataset_is_refused(sources):
    path = vrt(sources, [], attributes=' subClass="VRTWarpedDataset"')
    with pytest.raises(SceneUnreadable, match="VRTWarpedDataset"):
        open_raster(path, rules=ALLOWED)


def test_metadata_of_a_domain_is_left_out(sources):
    hidden = (
        '<Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/http://127.0.0.1:9/o</MDI>'
        '</Metadata><Metadata domain="xml:a" format="xml"><a/></Metadata>'
    )
    bands = [SOURCE.format(f"bands/{number}.tif") for number in (1, 2, 3)]
    with open_raster(vrt(sources, bands, more=hidden), rules=ALLOWED) as dataset:
        assert dataset.tags(ns="OVERVIEWS") == {}
        assert "vsicurl" not in dataset.name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><VRTDataset/>', "not a GeoTIFF"),
        ('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><VRTDataset/>', "declarations"),
        ('<?xml version="1.0"?><html/>', "XML but not VRT"),
        ("<VRTDataset", "XML that cannot be read"),
        ('<?xml version="1.0" encoding="nonsense"?><VRTDataset/>', "XML that cannot be read"),
        ("<VRTDataset/>", "cannot be opened"),
        ("<vrtdataset/>", "XML but not VRT"),
    ],
)
def test_text_that_is_no_vrt_is_one_line(tmp_path, text, why):
    path = tmp_path / "a.vrt"
    path.write_text(text)
    with pytest.raises(SceneUnreadable, match=why) as refused:
        open_raster(path, rules=ALLOWED)
    assert "\n" not in str(refused.value)


def test_a_vrt_as_large_as_a_country_is_not_read(tmp_path):
    path = tmp_path / "a.vrt"
    path.write_text("<VRTDataset>" + " " * 2**24)
    with pytest.raises(SceneUnreadable, match="over 16 MB"):
        open_raster(path, rules=ALLOWED)


def test_limits_hold_for_a_vrt_and_for_its_sources(sources):
    bands = [SOURCE.format("bands/1.tif")]
    with pytest.raises(SceneTooLarge, match=r"scene\.vrt"):
        open_raster(vrt(sources, bands, size=(300_000, 300_000)), rules=ALLOWED)
    with pytest.raises(SceneTooLarge, match=r"1\.tif"):
        open_raster(vrt(sources, bands, size=(5, 5)), rules=OpenRules(True, max_pixels=1999))


def test_side_cars_of_a_source_are_looked_at(sources):
    (sources / "bands" / "1.tif.msk").write_text("<VRTDataset/>")
    with pytest.raises(SceneUnreadable, match=r"1\.tif\.msk: is a side-car"):
        open_raster(stack(sources), rules=ALLOWED)


def test_a_source_that_is_gone_is_named(sources):
    (sources / "bands" / "2.tif").unlink()
    with pytest.raises(SceneNotFound, match=r"bands/2\.tif"):
        open_raster(stack(sources), rules=ALLOWED)


def test_a_scan_takes_both_options(sources, monkeypatch):
    monkeypatch.chdir(sources)
    stack(sources)
    options = {"model": ConstantPredictor(0.0), "scale": (0, 6000)}
    report = gd.scan("scene.vrt", allow_vrt=True, max_pixels=2000, **options)
    assert report.assessed_px == 2000
    with pytest.raises(SceneTooLarge, match="max-pixels allows 1999"):
        gd.scan("scene.vrt", allow_vrt=True, max_pixels=1999, **options)
    with pytest.raises(SceneUnreadable, match="is VRT text"):
        gd.scan("scene.vrt", **options)
