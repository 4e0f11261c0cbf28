"""What a product may say of its numbers."""

import math

import pytest

from geodeforest.core.reflectance import Calibration
from geodeforest.errors import OptionError


@pytest.mark.parametrize(
    ("gain", "offset"),
    [
        ((), ()),
        ((1e-4, 1e-4), (0.0,)),
        ((0.0,), (0.0,)),
        ((-1e-4,), (0.0,)),
        ((math.nan,), (0.0,)),
        ((1e-4,), (math.inf,)),
    ],
)
def test_a_calibration_without_sense_is_refused(gain, offset):
    with pytest.raises(OptionError, match="metadata"):
        Calibration(gain, offset, "metadata")
