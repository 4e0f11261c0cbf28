"""Blocks that cannot be read, anywhere in a scene: nothing near them is said to be known.

The oracle is dull: a pixel counts as read if no broken block lies within the halo of the model.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass

import geopandas
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

import geodeforest as gd
from geodeforest.errors import PartlyUnread, SceneUnreadable
from geodeforest.testing import ThresholdPredictor, make_scene, small_spec

SEED, HALO = 255, small_spec().halo


@dataclass(frozen=True)
class Case:
    """A scene and what is wrong with it."""

    height: int
    width: int
    block: int
    broken: frozenset[int]
    layout: str
    overlap: int
    hides: bool
    cut: bool

    @property
    def across(self) -> int:
        return -(-self.width // self.block)

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Rows and columns of the broken blocks."""
        count = self.across * -(-self.height // self.block)
        return [divmod(number % count, self.across) for number in sorted(self.broken)]


SIDES = st.sampled_from([17, 64, 65, 100, 150])
CASES = st.builds(
    Case,
    height=SIDES,
    width=SIDES,
    block=st.sampled_from([16, 32, 64]),
    broken=st.frozensets(st.integers(0, 99), max_size=4),
    layout=st.sampled_from(["pixel", "band"]),
    overlap=st.sampled_from([0, 8, 16]),
    hides=st.booleans(),
    cut=st.booleans(),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unread")


def broken_scene(folder, case):
    """The scene of a case, with sound overviews; its values, and what of it was observed."""
    rng = np.random.default_rng(case.height * 1000 + case.width)
    values = rng.integers(1, 256, (3, case.height, case.width), np.uint8)
    observed = rng.random((case.height, case.width)) > 0.05 if case.hides else None
    if observed is not None:
        values[:, ~observed] = 0
    path = make_scene(
        folder / "scene.tif",
        values,
        nodata=0,
        tiled=True,
        blockxsize=case.block,
        blockysize=case.block,
        compress="deflate",
        interleave=case.layout,
    )
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
    seen = np.ones((case.height, case.width), bool) if observed is None else observed
    return path, values, seen


def spoil(path, case):
    """Make broken blocks such that they cannot be decoded, in one band at least."""
    places = []
    with rasterio.open(path) as dataset:
        for row, col in case.blocks:
            band = 1 + (row + col) % 3 if case.layout == "band" else 1
            name = f"{col}_{row}"
            offset, size = (
                int(dataset.get_tag_item(f"BLOCK_{what}_{name}", "TIFF", bidx=band))
                for what in ("OFFSET", "SIZE")
            )
            places.append((offset, size))
    with path.open("r+b") as file:
        for offset, size in places:
            file.seek(offset)
            file.write(b"\xff" * size)


def near_broken(case):
    """What lies in a broken block, or within the halo of one."""
    near = np.zeros((case.height, case.width), bool)
    for row, col in case.blocks:
        top, left = row * case.block, col * case.block
        near[
            max(0, top - HALO) : top + case.block + HALO,
            max(0, left - HALO) : left + case.block + HALO,
        ] = True
    return near


@settings(max_examples=30)
@given(case=CASES)
def test_whatever_cannot_be_read_is_not_assessed_in_every_output(folder, case):
    path, values, seen = broken_scene(folder, case)
    spoil(path, case)
    near, outside, options = near_broken(case), np.zeros_like(seen), {}
    if case.cut:  # only the western half is of interest
        outside[:, case.width // 2 :] = True
        options["aoi"] = make_scene(folder / "aoi.tif", (~outside).astype(np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = gd.scan(
            path,
            on_error="skip",
            overlap=case.overlap,
            model=ThresholdPredictor(),
            output=folder / "p.gpkg",
            classes=folder / "c.tif",
            scores=folder / "x.tif",
            report=folder / "r.json",
            min_area=0,
            simplify=0,
            overwrite=True,
            **options,
        )
    unknown = (near | ~seen) & ~outside
    with rasterio.open(folder / "c.tif") as classes, rasterio.open(folder / "x.tif") as scores:
        ids, transform = classes.read(1), classes.transform
        assert np.array_equal(ids == 255, unknown | outside)
        assert np.array_equal(scores.read(1) == 255, unknown | outside)
    assert np.array_equal(ids[ids != 255], (values[0] > 127)[ids != 255])
    counts = json.loads((folder / "r.json").read_text())["counts"]
    assert counts["assessed_px"] == (~unknown & ~outside).sum()
    assert counts["not_assessed_px"] == unknown.sum()
    assert counts["failed_px"] == (near & ~outside).sum()
    assert counts["outside_px"] == outside.sum()
    assert report.exit_code == (4 if (near & ~outside).any() else 0)
    layer = geopandas.read_file(folder / "p.gpkg", layer="not_assessed")
    told = np.zeros(ids.shape, np.uint8)
    if len(layer):
        told = rasterize(layer.geometry, ids.shape, transform=transform, dtype="uint8")
    assert np.array_equal(told == 1, unknown)


@settings(max_examples=10)
@given(case=CASES.filter(lambda case: case.broken and not case.cut))
def test_by_default_any_broken_block_ends_the_scan(folder, case):
    """A decimated read of the same file succeeds: from overviews, which are sound."""
    path, _, _ = broken_scene(folder, case)
    spoil(path, case)
    with rasterio.open(path) as dataset:
        assert dataset.read(out_shape=(3, -(-case.height // 4), -(-case.width // 4))).any()
    named = {f"block {row},{col} " for row, col in case.blocks}
    with pytest.raises(SceneUnreadable) as caught:
        gd.scan(path, model=ThresholdPredictor(), overlap=case.overlap)
    assert any(name in str(caught.value) for name in named)


def test_partly_unread_is_said(folder):
    case = Case(100, 100, 32, frozenset([5]), "pixel", 8, hides=False, cut=False)
    path, _, _ = broken_scene(folder, case)
    spoil(path, case)
    with pytest.warns(PartlyUnread, match="were not assessed because blocks cannot be read"):
        gd.scan(path, model=ThresholdPredictor(), on_error="skip")
