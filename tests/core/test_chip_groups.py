"""Rows under the chips: how they lie in memory."""

import numpy as np

from geodeforest.core.chip_groups import read_groups
from geodeforest.core.options import ScanOptions, Stored, plan_scan
from geodeforest.testing import ArraySource, small_spec


def test_the_bands_of_each_pixel_lie_side_by_side():
    """Else the way to the network's input takes twice as long."""
    values = np.random.default_rng(0).integers(0, 256, (3, 150, 200), np.uint8)
    stored = Stored(150, 200, 3, 16, tile_cols=16)
    plan = plan_scan(small_spec(), ScanOptions(), stored, 2)
    scene = ArraySource(values, np.ones((150, 200), bool))
    groups = list(read_groups(scene, plan))
    assert len(groups) > 1
    for group in groups:
        for chip in group.chips:
            found = group.under(chip).values
            assert found.strides[0] == 1
            np.testing.assert_array_equal(found, values[:, chip.rows, chip.cols])
