"""The sun's height by place and time."""

import pytest

from geodeforest.geo.sun import sun_degrees


@pytest.mark.parametrize(
    ("lat", "day", "hour", "degrees"),
    [
        (0, "2021-03-21", 12, 90),
        (23.45, "2021-06-21", 12, 90),
        (0, "2021-03-21", 9, 45),
        (-25.34, "2020-05-18", 12, 45.3),
    ],
)
def test_the_suns_height(lat, day, hour, degrees):
    assert sun_degrees(lat, day, hour) == pytest.approx(degrees, abs=0.7)
