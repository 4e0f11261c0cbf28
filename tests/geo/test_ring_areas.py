"""Areas of rings are those that pyproj finds, edge by edge."""

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.geo import ring_areas
from geodeforest.geo.ring_areas import ring_square_metres

WGS84 = pyproj.Geod(ellps="WGS84")
MOON = pyproj.Geod(a=1_737_400, b=1_737_400)


def ring(lon, lat, metres, corners, seed, geod=WGS84):
    """A star of so many corners around a place, closed."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.random(corners)) * 360
    away = metres * (0.2 + 0.8 * rng.random(corners))
    east, north, _ = geod.fwd(np.full(corners, lon), np.full(corners, lat), angle, away)
    return np.append(east, east[0]), np.append(north, north[0])


def measured(*rings, geod=WGS84):
    lon, lat = (np.concatenate(values) for values in zip(*rings, strict=True))
    return ring_square_metres(lon, lat, np.cumsum([len(lon) for lon, _ in rings]), geod)


def truth(found, geod=WGS84):
    return abs(geod.polygon_area_perimeter(*found)[0])


@given(
    st.floats(-179, 179),
    st.floats(-88, 88),
    st.sampled_from([5.0, 100.0, 800.0]),
    st.integers(3, 40),
    st.integers(0, 2**32 - 1),
)
def test_short_edges_are_true_to_a_square_centimetre(lon, lat, metres, corners, seed):
    found = ring(lon, lat, metres, corners, seed)
    assert measured(found) == pytest.approx([truth(found)], abs=1e-4, rel=0)


@pytest.mark.parametrize("lat", [0, 45, -80])
def test_a_large_ring_of_short_edges_is_true_to_its_last_digits(lat):
    found = ring(12, lat, 40_000, 2_000, 1)
    step = np.linspace(0, 1, 400, endpoint=False)
    dense = [np.append((v[:-1, None] + step * np.diff(v)[:, None]).ravel(), v[-1]) for v in found]
    assert measured(dense) == pytest.approx([truth(dense)], rel=1e-10)


def test_without_the_bend_of_its_edges_a_ring_would_be_off(monkeypatch):
    found = ring(0, 60, 900, 3, 5)
    chords = np.radians(found[0]), np.radians(found[1])
    plain = abs(np.trapezoid(ring_areas._to_equator(np.sin(chords[1]), WGS84), chords[0]))
    assert abs(plain - truth(found)) > 1e-2 > 100 * abs(measured(found)[0] - truth(found))


def test_long_edges_are_left_to_pyproj():
    found = ring(10, 50, 300_000, 5, 3)
    assert measured(found).tolist() == [truth(found)]


def test_the_antimeridian_and_the_poles_are_left_to_pyproj():
    across = np.array([179.999, -179.999, -179.999, 179.999, 179.999]), np.array([0, 0, 1, 1, 0.0])
    polar = np.array([0, 90, 180, 270, 0.0]), np.full(5, 89.99)
    assert measured(across, polar).tolist() == [truth(across), truth(polar)]


def test_rings_do_not_depend_on_their_neighbours():
    rings = [ring(lon, lat, 200, 9, lon) for lon, lat in ((3, 4), (90, -70), (8, 51))]
    assert measured(*rings).tolist() == [measured(one).item() for one in rings]


def test_either_way_round_a_ring_has_the_same_area():
    lon, lat = ring(30, 40, 500, 12, 2)
    assert measured((lon[::-1], lat[::-1])) == pytest.approx(measured((lon, lat)), rel=1e-12)


def test_a_sphere_has_areas_too():
    found = ring(5, 30, 60, 8, 4, geod=MOON)
    assert measured(found, geod=MOON) == pytest.approx([truth(found, MOON)], abs=1e-4)


def test_what_is_not_finite_has_no_area():
    lon, lat = ring(1, 2, 100, 5, 0)
    lon[2] = np.inf
    whole = ring(1, 2, 100, 5, 0)
    found = measured((lon, lat), whole)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(truth(whole))


def test_no_rings_have_no_areas():
    assert ring_square_metres(np.empty(0), np.empty(0), np.empty(0, int), WGS84).shape == (0,)
