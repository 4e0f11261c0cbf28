"""A model's scores on records, counted by group."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from geodeforest.core.calibration import bin_scores
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import ClassDef
from geodeforest.core.tally import Measure
from geodeforest.errors import GeodeforestWarning, OptionError, RecordError
from geodeforest.testing import ConstantPredictor, ThresholdPredictor, make_scene, small_spec
from geodeforest.workflows.build_records import build_records
from geodeforest.workflows.score_records import score_records


def scene(folder, name, bright, **options):
    """A scene of 48 x 64 px whose first band is bright in ``bright`` columns, all labelled 0."""
    values = np.full((3, 48, 64), 40, np.uint8)
    values[0, :, :bright] = 200
    truth = np.zeros((48, 64), np.uint8)
    truth[:, :16] = 1
    return make_scene(folder / f"{name}.tif", values, **options), make_scene(
        folder / f"{name}_truth.tif", truth
    )


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Two scenes: one whose bright part is the labelled one, one where too much is bright."""
    folder = tmp_path_factory.mktemp("records")
    pairs = [scene(folder, "right", 16), scene(folder, "wrong", 24)]
    build_records(pairs, folder / "records", chip=64, band_names=("red", "green", "blue"))
    return folder / "records"


def test_classes_are_counted_by_group_and_padding_counts_nowhere(records):
    found = score_records(ThresholdPredictor(), records)
    assert found["right"].confusion.tolist() == [[48 * 48, 0], [0, 48 * 16]]
    assert found["wrong"].confusion.tolist() == [[48 * 40, 48 * 8], [0, 48 * 16]]


def test_scores_are_counted_by_truth(records):
    counts = score_records(ThresholdPredictor(), records)["wrong"].histogram.counts
    assert counts[0, [0, -1]].tolist() == [48 * 40, 48 * 8]
    assert counts[1, [0, -1]].tolist() == [0, 48 * 16]


def test_a_temperature_changes_scores_and_no_class(records):
    model = ConstantPredictor(0.9)
    plain, mild = (
        score_records(model, records, measure=Measure(temperature=t))["right"] for t in (1.0, 3.0)
    )
    assert (plain.confusion == mild.confusion).all()
    level = 1 / (1 + 9 ** (-1 / 3))
    assert bin_scores()[mild.scores[1].argmax()] == pytest.approx(level, abs=0.004)


def test_only_the_groups_asked_for_are_counted(records):
    assert list(score_records(ThresholdPredictor(), records, ["wrong"])) == ["wrong"]


def test_an_unknown_group_is_refused(records):
    with pytest.raises(OptionError, match="no group 'nowhere'; groups: right, wrong"):
        score_records(ThresholdPredictor(), records, ["nowhere"])


def test_records_of_other_bands_are_refused(records):
    model = ThresholdPredictor(spec=small_spec(bands=("red", "green", "nir")))
    with pytest.raises(RecordError, match="the model takes red, green, nir"):
        score_records(model, records)


def test_a_class_that_the_model_does_not_know_is_refused(tmp_path):
    classes = (ClassDef(1, "clearing", "deforestation"), ClassDef(7, "water", "other"))
    pairs = [scene(tmp_path, "one", 16)]
    build_records(
        pairs,
        tmp_path / "records",
        chip=64,
        classes=classes,
        class_map={0: 1, 1: 7},
        band_names=("red", "green", "blue"),
    )
    with pytest.raises(RecordError, match="water, which the model does not know"):
        score_records(ThresholdPredictor(), tmp_path / "records")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"scale": {"uint8": BandScale(0, 100)}}, r"uint8 0\.\.255 as 0\.\.1.*trained on 0\.\.100"),
        ({"gsd_m": 5.0}, r"pixels of 10 m.*trained on 5 m"),
    ],
)
def test_records_unlike_the_models_pixels_are_said(records, other, said):
    model = ThresholdPredictor(spec=replace(small_spec(), **other))
    with pytest.warns(GeodeforestWarning, match=said):
        score_records(model, records)


def test_records_of_reflectance_are_compared_as_reflectance(tmp_path):
    pair = scene(tmp_path, "one", 16)
    with rasterio.open(pair[0], "r+") as dataset:
        dataset.scales = (0.004,) * 3
    build_records([pair], tmp_path / "records", chip=64, band_names=("red", "green", "blue"))
    model = ThresholdPredictor()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score_records(model, tmp_path / "records")
    half = replace(small_spec(), scale={"float32": BandScale(0, 0.5)})
    with pytest.warns(GeodeforestWarning, match="reflectance 0..1 .* trained on 0..0.5"):
        score_records(ThresholdPredictor(spec=half), tmp_path / "records")
