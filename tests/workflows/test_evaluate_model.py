"""A model compared with the truth, on scenes and on records."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

import geodeforest as gd
from geodeforest.errors import (
    LabelMismatch,
    OptionError,
    OutputExists,
    OutputUnwritable,
    RecordError,
)
from geodeforest.testing import CORNER, UTM_21S, ThresholdPredictor, make_scene, small_spec
from geodeforest.workflows.build_records import build_records
from geodeforest.workflows.evaluate_model import are_records, evaluate, pairs_of
from geodeforest.workflows.evaluation_page import page

MODEL = ThresholdPredictor(spec=small_spec(chip=32, halo=4))
HEIGHT, WIDTH = 70, 90


def world(folder, name, seed):
    """A noisy scene with blocks bright in red, and labels that agree mostly; some unlabelled."""
    noise = np.random.default_rng(seed)
    bright = np.kron(noise.random((7, 9)) < 0.3, np.ones((10, 10), bool))
    values = np.full((3, HEIGHT, WIDTH), 40, np.uint8)
    values[0][bright] = 200
    truth = np.roll(bright, 1, axis=1).astype(np.uint8)
    truth[noise.random(truth.shape) < 0.02] ^= 1
    truth[:5, :5] = 255
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[60:, 80:] = False
    scene = make_scene(folder / f"{name}.tif", values, valid=valid)
    labels = make_scene(folder / f"{name}_labels.tif", truth, nodata=255)
    return scene, labels, truth, bright, valid


@pytest.fixture
def scenes(tmp_path):
    return [world(tmp_path, name, seed) for seed, name in enumerate(("one", "two", "three"))]


@pytest.fixture
def pairs(scenes):
    return [(scene, labels) for scene, labels, *_ in scenes]


def test_the_confusion_matrix_is_that_of_the_pixels(scenes, pairs):
    found = evaluate(pairs, model=MODEL)
    for scene, _, truth, bright, valid in scenes:
        known = (truth != 255) & valid
        counts = [[np.sum(known & (truth == t) & (bright == f)) for f in (0, 1)] for t in (0, 1)]
        assert found.groups[scene.stem].confusion.tolist() == counts
    assert found.total.confusion.sum() == sum(t.confusion.sum() for t in found.groups.values())


def test_labelled_pixels_that_were_not_observed_are_told(pairs):
    assert evaluate(pairs, model=MODEL).to_dict()["not_assessed_px"] == 3 * 100


def test_figures_follow_from_the_pooled_counts(pairs):
    found = evaluate(pairs, model=MODEL)
    (tn, fp), (fn, tp) = found.total.confusion
    figures = found.figures["classes"]["deforestation"]
    assert figures["iou"] == round(tp / (tp + fp + fn), 4)
    assert figures["f1"] == round(2 * tp / (2 * tp + fp + fn), 4)
    assert found.accuracy == (tp + tn) / (tp + tn + fp + fn)


def test_chips_and_memory_change_nothing(pairs):
    some = evaluate(pairs, model=MODEL).to_dict()
    other = evaluate(pairs, model=MODEL, chip=64, overlap=16, threads=1).to_dict()
    for facts in (some, other):
        del facts["settings"]
    assert some == other


def test_polygons_are_labels_too(tmp_path, pairs):
    scene, _ = pairs[0]
    west, north = CORNER
    box = shapely.box(west + 200, north - 300, west + 600, north - 100)
    frame = geopandas.GeoDataFrame({"kind": ["cut"]}, geometry=[box], crs=UTM_21S)
    frame.to_crs(4326).to_file(tmp_path / "cuts.gpkg")
    found = evaluate(
        [(scene, tmp_path / "cuts.gpkg")],
        model=MODEL,
        label_field="kind",
        class_map={"cut": 1},
        background=0,
    )
    assert found.total.confusion.sum(axis=1)[1] == 20 * 40


def test_scenes_of_one_group_are_pooled(pairs):
    found = evaluate(pairs, model=MODEL, groups=("a", "b", "a"))
    alone = evaluate(pairs, model=MODEL)
    assert list(found.groups) == ["a", "b"]
    assert (
        found.groups["a"].confusion
        == alone.groups["one"].confusion + alone.groups["three"].confusion
    ).all()


def test_a_higher_threshold_finds_less(pairs):
    class Halfway(ThresholdPredictor):
        def predict(self, chips, scene_level=None):
            return super().predict(chips) * 0.4 + 0.3

    model = Halfway(spec=MODEL.spec)
    found, less = (evaluate(pairs, model=model, threshold=t) for t in (0.6, 0.9))
    assert found.total.confusion[:, 1].sum() > 0
    assert less.total.confusion[:, 1].sum() == 0


def test_confusion_maps_show_each_pixel(scenes, pairs, tmp_path):
    evaluate(pairs, model=MODEL, maps=tmp_path / "maps")
    _, _, truth, bright, valid = scenes[0]
    expected = np.where(truth == 1, np.where(bright, 1, 3), np.where(bright, 2, 0))
    expected[(truth == 255) | ~valid] = 255
    with rasterio.open(tmp_path / "maps" / "one_confusion.tif") as dataset:
        assert (dataset.read(1) == expected).all()
        assert dataset.nodata == 255
        assert len({dataset.colormap(1)[code] for code in (0, 1, 2, 3, 255)}) == 5
        assert dataset.tags()["CLASS_2"] == "false positive"
        assert dataset.tags()["GEODEFOREST_SCENE"] == "one.tif"


def test_the_report_is_what_the_evaluation_says(pairs, tmp_path):
    found = evaluate(pairs, model=MODEL, report=tmp_path / "found.json")
    assert json.loads((tmp_path / "found.json").read_text()) == found.to_dict()


def test_the_same_data_give_the_same_bytes(pairs, tmp_path):
    for name in ("a", "b"):
        evaluate(
            pairs,
            model=MODEL,
            report=tmp_path / f"{name}.json",
            html=tmp_path / f"{name}.html",
            maps=tmp_path / name,
        )
    for one, other in (("a.json", "b.json"), ("a.html", "b.html")):
        assert (tmp_path / one).read_bytes() == (tmp_path / other).read_bytes()
    maps = [(tmp_path / name / "one_confusion.tif").read_bytes() for name in ("a", "b")]
    assert maps[0] == maps[1]


class Checker(HTMLParser):
    """Tags in order, and every attribute."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.values = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value or "" for _, value in attrs]


def test_the_page_needs_nothing_beside_it(pairs, tmp_path):
    evaluate(pairs, model=MODEL, html=tmp_path / "found.html")
    text = (tmp_path / "found.html").read_text("utf-8")
    seen = Checker(text)
    assert not {"script", "link", "img", "iframe"} & set(seen.tags)
    assert not re.search(r"https?:|url\(|@import", text)
    assert seen.tags.count("circle") == 2


def test_a_name_is_no_markup(pairs):
    facts = evaluate(pairs[:1], model=MODEL).to_dict()
    facts["groups"]["<script>alert(1)</script>"] = facts["groups"].pop("one")
    assert "script" not in Checker(page(facts)).tags


def test_one_scene_has_no_intervals_but_a_page(pairs, tmp_path):
    found = evaluate(pairs[:1], model=MODEL, html=tmp_path / "one.html")
    assert found.intervals["accuracy"] is None
    assert f"<td>{found.figures['accuracy']:.4f}</td>" in (tmp_path / "one.html").read_text()


def test_records_give_what_their_scenes_give(pairs, tmp_path):
    build_records(pairs, tmp_path / "records", chip=96, band_names=MODEL.spec.bands)
    found = evaluate(tmp_path / "records", model=MODEL)
    scenes = evaluate(pairs, model=MODEL)
    for name in scenes.groups:
        assert (found.groups[name].confusion == scenes.groups[name].confusion).all()
        assert (found.groups[name].boundary == scenes.groups[name].boundary).all()
        assert (found.groups[name].objects == scenes.groups[name].objects).all()


@pytest.mark.parametrize(
    "option", [{"chip": 64}, {"background": 0}, {"maps": "maps"}, {"bands": (1, 2, 3)}]
)
def test_what_is_for_scenes_is_refused_for_records(option, tmp_path):
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(OptionError, match="is for scenes"):
        evaluate(tmp_path, model=MODEL, **option)


def test_what_the_data_are_is_seen_by_their_names_and_content(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "part.tfrec").touch()
    (tmp_path / "S2A.SAFE").mkdir()
    assert are_records([tmp_path / "set", "a.tfrecord", "gs://bucket/set"])
    assert not are_records([tmp_path / "S2A.SAFE"])
    assert pairs_of(["a.tif", "b.png"]) == pairs_of([["a.tif", "b.png"]]) == [("a.tif", "b.png")]
    assert pairs_of(tmp_path / "set") == []


@pytest.mark.parametrize("data", [["a.tif"], [], ["a.tif", "b.png", "c.tif"]])
def test_a_scene_without_labels_is_refused(data):
    with pytest.raises(OptionError, match="labels"):
        evaluate(data, model=MODEL)


def test_labels_of_another_grid_are_refused_and_nothing_is_left(pairs, tmp_path):
    other = make_scene(tmp_path / "other.tif", np.zeros((9, 9), np.uint8))
    with pytest.raises(LabelMismatch):
        evaluate(
            [(pairs[0][0], other)], model=MODEL, maps=tmp_path / "maps", report=tmp_path / "r.json"
        )
    assert not (tmp_path / "maps").exists()
    assert not (tmp_path / "r.json").exists()


def test_labels_that_are_all_unknown_are_refused(pairs, tmp_path):
    blank = make_scene(tmp_path / "blank.tif", np.full((HEIGHT, WIDTH), 255, np.uint8), nodata=255)
    with pytest.raises(RecordError, match="no labelled pixel"):
        evaluate([(pairs[0][0], blank)], model=MODEL)


def test_an_output_that_exists_is_kept(pairs, tmp_path):
    (tmp_path / "found.json").write_text("mine")
    with pytest.raises(OutputExists):
        evaluate(pairs[:1], model=MODEL, report=tmp_path / "found.json")
    evaluate(pairs[:1], model=MODEL, report=tmp_path / "found.json", overwrite=True)
    assert (tmp_path / "found.json").read_text() != "mine"


def test_a_folder_for_maps_without_a_parent_is_refused(pairs, tmp_path):
    with pytest.raises(OutputUnwritable):
        evaluate(pairs[:1], model=MODEL, maps=tmp_path / "no" / "maps")


@pytest.mark.parametrize(
    "wrong",
    [{"report": "a.txt"}, {"html": "a.json"}, {"groups": ("a",)}, {"draws": 0}, {"tolerance": -1}],
)
def test_choices_that_make_no_sense_are_refused(pairs, wrong):
    with pytest.raises(OptionError):
        evaluate(pairs, model=MODEL, **wrong)


def test_scenes_need_no_tensorflow(pairs):
    code = """if True:
        import sys
        sys.modules["tensorflow"] = sys.modules["keras"] = None
        import geodeforest as gd
        print(gd.evaluate(sys.argv[1:]).total.classes.pixels)
    """
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, pairs[0])], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == HEIGHT * WIDTH - 25 - 100


def test_it_is_a_public_name():
    assert gd.evaluate is evaluate
