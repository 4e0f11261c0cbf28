"""Scans of which only some pixels count, and their sums."""

import pytest

import geodeforest as gd
from geodeforest.testing import ThresholdPredictor, make_scene


def scan(scene, **options):
    options = {"model": ThresholdPredictor(), "min_area": 0, "classes": True, **options}
    return gd.scan(scene, **options)


def assert_adds_up(report, assessed, outside):
    """The report's pixels are those of a dull count, and its hectares in proportion."""
    counts = report.to_dict()["counts"]
    assert counts["scene_px"] == assessed.size
    assert counts["outside_px"] == report.outside_px == outside.sum()
    assert counts["assessed_px"] == report.assessed_px == (assessed & ~outside).sum()
    assert counts["not_assessed_px"] == report.not_assessed_px == (~assessed & ~outside).sum()
    total = report.assessed_ha + report.not_assessed_ha + report.outside_ha
    assert total == pytest.approx(assessed.size * 0.01, rel=2e-3)
    assert report.outside_ha == pytest.approx(total * outside.mean(), rel=1e-3)


def tiled(path, values, **options):
    return make_scene(
        path, values, tiled=True, blockxsize=32, blockysize=32, compress="deflate", **options
    )
