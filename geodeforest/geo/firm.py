"""Which outlines stay valid in rounded degrees, told from the lengths of their edges alone.

Knows pixels and where they lie; nothing of shapes, which GEOS takes long to look at.

Corners lie on the grid of half pixels, and no outline runs through another's corner (see
``core/simplify.py``). A corner and an edge that does not end there span a whole number of eighths
of a pixel: they are a quarter by the edge's length apart, or more, and so are edges that do not
meet. In degrees ends of edges are rounded, and lines bend. While nothing moves by half of that
distance, edges stay apart, and those that share a corner keep their order around it.

How much lines bend is seen at a few places, which says nothing of a kink between them. So the way
to degrees has to be one that is smooth on all of the map, but at poles: a projection by one
formula, without lobes, and a datum that is shifted without a grid file. That is taken as given of
the operations of PROJ that are listed; of any other way nothing is firm.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyproj
from affine import Affine
from rasterio.crs import CRS

from geodeforest.core.arrays import Floats
from geodeforest.core.trace import Region
from geodeforest.geo.areas import crs_points
from geodeforest.geo.ground import ground_of
from geodeforest.geo.positions import DECIMALS

# Operations by their names in PROJ, as they stand in the definition of a transformation.
_SMOOTH_PROJECTIONS = "aea", "cea", "eqc", "laea", "lcc", "merc", "stere", "tmerc", "utm", "webmerc"
_SMOOTH_STEPS = "cart", "helmert", "longlat", "noop", "pipeline", "pop", "push", "unitconvert"
_SMOOTH = {*_SMOOTH_PROJECTIONS, *_SMOOTH_STEPS}
_OPERATION = re.compile(r"\bproj=(\w+)")

_LONGEST = 64  # pixels
_PLACES = 5  # looked at along rows, and along columns
_MARGIN = 2  # for what lies between them
_UNEVEN = 0.5  # of a pixel, by which pixels may differ; around a pole they turn

# From a place, steps along a row, a column and both diagonals; and the same backwards.
_ROWS, _COLS = _LONGEST * np.array([(0, 1, 1, 1), (1, 0, 1, -1)])


def longest_firm_px(transform: Affine, crs: CRS, height: int, width: int) -> int:
    """Outlines of no longer edges are as valid in rounded degrees as they are in the CRS.

    So for simplified outlines, not for smooth ones. 0 where not even the shortest are.
    """
    to_lonlat = ground_of(crs).to_lonlat
    if not is_smooth(to_lonlat):
        return 0
    row, col = np.meshgrid(np.linspace(0, height, _PLACES), np.linspace(0, width, _PLACES))
    row, col = row.reshape(-1, 1), col.reshape(-1, 1)
    before, here, after = (
        np.stack(to_lonlat.transform(x, y), axis=-1)
        for x, y in (
            crs_points(transform, row + side * _ROWS, col + side * _COLS) for side in (-1, 0, 1)
        )
    )
    if not np.isfinite([before, here, after]).all():
        return 0
    pixels = (after - before)[:, :2] / (2 * _LONGEST)  # of each place, degrees along row and column
    to_px = np.linalg.pinv(pixels)
    if np.abs(pixels @ to_px[len(to_px) // 2] - np.eye(2)).max() > _UNEVEN:
        return 0
    rounding_px = np.linalg.norm(np.abs(to_px).sum(axis=1), axis=1).max() / 2 / 10**DECIMALS
    bend_px = np.linalg.norm((after - 2 * here + before) @ to_px, axis=2).max() / 2
    edge = np.arange(1, _LONGEST + 1)
    # As seen from an edge's beginning: both ends are rounded, and all that it bends counts.
    moved_px = 2 * rounding_px + bend_px * (edge / _LONGEST) ** 2
    return int(edge[2 * _MARGIN * moved_px < 1 / (4 * edge)].max(initial=0))


def is_smooth(to_lonlat: pyproj.Transformer) -> bool:
    """Whether a transformation to degrees is known to have no kink on the map.

    Where PROJ would choose between several by place, its definition names none.
    """
    operations = set(_OPERATION.findall(to_lonlat.definition))
    return bool(operations) and operations <= _SMOOTH


def longest_edges_px(regions: Sequence[Region]) -> Floats:
    """The length of each region's longest edge."""
    rings = [ring for region in regions for ring in region.rings]
    rows, cols = np.diff(np.concatenate(rings), axis=0, append=0).T
    squares = rows**2 + cols**2
    stops = np.cumsum([len(ring) for ring in rings])
    squares[stops - 1] = 0  # no edge leads from ring to ring
    last = np.cumsum([len(region.rings) for region in regions]) - 1
    starts = np.concatenate([[0], stops[last[:-1]]])
    longest: Floats = np.sqrt(np.maximum.reduceat(squares, starts))
    return longest
