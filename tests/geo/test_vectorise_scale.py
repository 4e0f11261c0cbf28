"""Memory of vectorising at the size of a country's mosaic."""

import subprocess
import sys

LARGE = """
import numpy as np
from affine import Affine
from rasterio.crs import CRS
from geodeforest.core.options import VectorOptions
from geodeforest.core.simplify import PixelMetric
from geodeforest.geo.polygons import PolygonContext
from geodeforest.geo.vectorise import Vectoriser

side, cell = 20_000, 48
context = PolygonContext(
    transform=Affine(10, 0, 5e5, 0, -10, 9.4e6), crs=CRS.from_epsg(32721), width=side,
    scene="s", model="m", date=None, baseline=None, class_names={}, confidence=None,
    min_area_ha=0, has_scores=False,
)
work = Vectoriser(context, {1}, VectorOptions(min_area=0), PixelMetric(10, 10), side)
row, col = np.ogrid[:cell, :side]
ragged = ((row - 20) ** 2 + (col % cell - 20) ** 2 < 250 + (col * 7919 % 97)).astype(np.uint8)
ragged[:, ::9973] = 1  # clearings that run through the whole scene
count = 0
for top in range(0, side, cell):
    count += len(work.feed(ragged[: side - top]).features)
count += len(work.finish().features)
with open("/proc/self/status") as status:
    print(count, next(int(line.split()[1]) for line in status if line.startswith("VmHWM")))
"""


def test_two_hundred_thousand_regions_of_a_large_scene_fit_in_memory():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    regions, peak_kb = map(int, done.stdout.split())
    assert regions > 200_000
    assert peak_kb < 1.5 * 2**20
