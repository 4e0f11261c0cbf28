"""Whole scenes whose numbers were altered: which are flagged, and how they are read.

Scenes: the project's samples, and those that the built-in model's record holds where they
are at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from products import make_safe

from geodeforest.core.options import ScanOptions
from geodeforest.core.reflectance import Calibration, Numbers, Product, read_numbers
from geodeforest.scanning import radiometry
from geodeforest.testing import ArraySource
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.plan_scene import plan_scene
from geodeforest.workflows.scan_targets import Targets

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "data" / "sample").rglob("*.tif"))
AMAZON = sorted((ROOT.parent / "shared" / "data" / "amazon_s2_rgb").rglob("*.tiff"))

TRUE_COLOUR = 3558 / 255


def rgb(path):
    with rasterio.open(path) as dataset:
        whole = dataset.read([3, 2, 1] if dataset.count == 4 else [1, 2, 3])
    return whole[:, ::2, ::2]  # levels are the same, in a quarter of the time


SCENES = [rgb(path) for path in (*SAMPLES, *AMAZON)]


def reflectance(scene):
    """x 10,000, in floats."""
    return np.rint(scene * TRUE_COLOUR) if scene.dtype == np.uint8 else scene.astype(float)


def in_bytes(scene):
    return np.clip(np.rint(reflectance(scene) / TRUE_COLOUR), 0, 255)


def product(offset):
    return Product("sentinel-2-l2a", calibration=Calibration((1e-4,) * 3, (offset,) * 3, "its XML"))


def tags(gain, offset):
    return Calibration((gain,) * 3, (offset,) * 3, "the scale and offset tags")


def known(scene, dtype, **said):
    return scene.astype(dtype), Numbers(dtype, **said)


Altered = Callable[[np.ndarray], tuple[np.ndarray, Numbers]]

LEFT_ALONE: dict[str, Altered] = {
    "as it is": lambda s: known(s, s.dtype.name),
    "8-bit": lambda s: known(in_bytes(s), "uint8"),
    "x 10,000": lambda s: known(reflectance(s), "uint16"),
    "0..1": lambda s: known(reflectance(s) / 1e4, "float64"),
    "baseline 02": lambda s: known(reflectance(s), "uint16", product=product(0)),
    "baseline 05": lambda s: known(reflectance(s) + 1000, "uint16", product=product(-0.1)),
    "tags": lambda s: known(reflectance(s) * 3 + 40, "int32", tags=tags(1e-4 / 3, -4e-3 / 3)),
}
READ_RIGHTLY: dict[str, tuple[str, Altered]] = {
    "+ 1000": ("1000..4558", lambda s: known(reflectance(s) + 1000, "uint16")),
    "+ 1000 against metadata": (
        "1000..4558",
        lambda s: known(reflectance(s) + 1000, "uint16", product=product(0)),
    ),
    "- 1000 in metadata only": (
        "0..3558",
        lambda s: known(reflectance(s), "uint16", product=product(-0.1)),
    ),
    "+ 0.1": ("0.1..0.4558", lambda s: known(reflectance(s) / 1e4 + 0.1, "float32")),
    "percent": ("0..35.58", lambda s: known(reflectance(s) / 100, "float32")),
    "x 10,000 in floats": ("0..3558", lambda s: known(reflectance(s), "float32")),
    "8-bit in floats": ("0..255", lambda s: known(in_bytes(s), "float32")),
    "8-bit in 16 bits": ("0..255", lambda s: known(in_bytes(s), "uint16")),
    "tags applied before": (
        "0..0.3558",
        lambda s: known(reflectance(s) / 1e4, "float32", tags=tags(1e-4, 0)),
    ),
}
FLAGGED: dict[str, Altered] = {
    "x 16": lambda s: known((reflectance(s) * 16).clip(0, 65535), "uint16"),
    "/ 16": lambda s: known(reflectance(s) // 16, "uint16"),
    "x 257": lambda s: known(in_bytes(s) * 257, "uint16"),
    "8-bit / 6": lambda s: known(in_bytes(s) // 6, "uint8"),
    "blue, green, red": lambda s: known(s[::-1], s.dtype.name),
    "red, blue, green": lambda s: known(s[[0, 2, 1]], s.dtype.name),
    "green, blue, red": lambda s: known(s[[1, 2, 0]], s.dtype.name),
    "blue, red, green": lambda s: known(s[[2, 0, 1]], s.dtype.name),
}


@pytest.fixture(scope="module")
def spec():
    return load_model().spec


def readings(spec, alter):
    """The scale that is followed, and what is said, of each altered scene."""
    for scene in SCENES:
        values, numbers = alter(scene)
        how = radiometry(ArraySource(values), spec, read_numbers(numbers, spec.scale, None))
        yield str(how.scale), how.doubts


@pytest.mark.parametrize("alter", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_right_numbers_raise_no_warning(spec, alter):
    assert [said for _, said in readings(spec, alter) if said] == []


@pytest.mark.parametrize(("scale", "alter"), READ_RIGHTLY.values(), ids=READ_RIGHTLY)
def test_what_the_numbers_show_is_followed_and_said(spec, scale, alter):
    for found, said in readings(spec, alter):
        assert found == scale
        assert said


@pytest.mark.parametrize("alter", FLAGGED.values(), ids=FLAGGED)
def test_what_cannot_be_right_is_flagged(spec, alter):
    found = [bool(said) for _, said in readings(spec, alter)]
    assert all(found)


def test_red_and_green_in_each_others_place_are_mostly_flagged(spec):
    """Ground without forest does not tell them apart."""
    swapped = readings(spec, lambda s: known(s[[1, 0, 2]], s.dtype.name))
    found = [bool(said) for _, said in swapped]
    assert sum(found) >= len(found) - 1


@pytest.mark.parametrize(
    ("baseline", "offsets", "added", "said"),
    [
        ("02.14", False, 0, None),
        ("05.10", True, 1000, None),
        ("05.10", True, 0, "corrected already"),
        ("02.14", False, 1000, "tells nothing"),
    ],
    ids=["old", "new", "corrected by the provider", "metadata of another time"],
)
def test_a_product_is_read_rightly_whatever_its_metadata_say(
    tmp_path, baseline, offsets, added, said
):
    """Band by band the offsets of the metadata differ by a few units, as they may."""
    with rasterio.open(SAMPLES[-1]) as sample:
        bands = {name: sample.read(i) for i, name in enumerate(("B02", "B03", "B04"), 1)}
    moved = {name: values + np.uint16(added) for name, values in bands.items()}
    product = make_safe(tmp_path, bands=moved, baseline=baseline, offsets=offsets)
    plan = plan_scene(product, ScanOptions(), load_model, Targets())
    low, high = (np.broadcast_to(end, 3) for end in plan.facts["options"]["scale"])
    np.testing.assert_allclose((low, high), (np.full(3, added), np.full(3, added + 3558)), atol=5)
    assert [said in warning for warning in plan.warnings] == [True] * (said is not None)


@pytest.mark.parametrize("path", [*SAMPLES, *AMAZON[::15]], ids=lambda path: path.stem)
def test_a_plan_of_a_real_scene_has_no_warnings(path):
    assert plan_scene(path, ScanOptions(), load_model, Targets()).warnings == []
