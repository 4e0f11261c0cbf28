"""What is said of the ways in which a raster hides pixels."""

import numpy as np
import pytest
import rasterio

from geodeforest.geo.mask_kinds import MaskKind
from geodeforest.geo.parts import ArrayPart, DatasetPart, Raster

RGB = ("red", "green", "blue")
ALL = (1, 2, 3)
PLAIN = np.ones((3, 6, 8), np.uint8)


def kinds(path):
    with rasterio.open(path) as dataset:
        return DatasetPart(dataset, str(path)).masks


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        (PLAIN, {}, ()),
        (PLAIN, {"nodata": 0}, ("nodata 0",)),
        (PLAIN, {"nodata": 0, "valid": PLAIN[0]}, ("nodata 0", "internal mask")),
        (PLAIN, {"valid": PLAIN[0]}, ("internal mask",)),
        (PLAIN, {"tags": {"NODATA_VALUES": "0 0 9"}}, ("nodata together 0 0 9",)),
        (PLAIN.astype("float32"), {"nodata": np.nan}, ("nodata nan", "not finite")),
        (PLAIN.astype("float64"), {}, ("not finite",)),
        (np.ones((4, 6, 8), np.uint8), {"colours": [*RGB, "alpha"]}, ("alpha",)),
    ],
)
def test_every_way_is_named_with_its_bands(make_scene, values, options, expected):
    found = kinds(make_scene(values, **options))
    assert tuple(map(str, found)) == expected
    assert all(kind.bands == ALL for kind in found)


def test_a_mask_beside_the_file_is_told_from_one_in_it(make_scene):
    path = make_scene(PLAIN)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.ones((6, 8), bool))
    assert kinds(path) == (MaskKind("external mask", ALL),)


def test_an_array_has_its_own():
    place = rasterio.Affine(10, 0, 5e5, 0, -10, 9e6)
    raster = Raster(PLAIN.astype("float32"), place, "EPSG:32721", nodata=-1, valid=PLAIN[0] > 0)
    assert [str(kind) for kind in ArrayPart(raster, "array").masks] == [
        "nodata -1",
        "not finite",
        "mask array",
    ]
