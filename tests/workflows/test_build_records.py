from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from geodeforest.core.pixels import BandScale
from geodeforest.core.reflectance import Reading
from geodeforest.core.spec import Ceiling, SceneInput
from geodeforest.errors import LabelMismatch, MissingExtra, OptionError, OutputExists, RecordError
from geodeforest.geo.scene import open_scene
from geodeforest.nn.records import check_records, dataset, open_records, read_records
from geodeforest.scanning import radiometry
from geodeforest.testing import small_spec
from geodeforest.workflows import extras
from geodeforest.workflows.build_options import BuildChoices, BuildOptions
from geodeforest.workflows.build_records import build_records

PLACE = Affine(10, 0, 600_000, 0, -10, 9_000_000)
RGB = ("red", "green", "blue")


def write(path: Path, values: np.ndarray, place=PLACE, nodata=None, names=None) -> Path:
    bands = values if values.ndim == 3 else values[np.newaxis]
    count, height, width = bands.shape
    with rasterio.open(
        path, "w", "GTiff", width, height, count, CRS.from_epsg(32721), place, bands.dtype, nodata
    ) as file:
        file.write(bands)
        if names:
            file.descriptions = names
    return path


def make_pair(folder: Path, name="s", size=(20, 30), dtype="uint8", **more):
    random = np.random.default_rng(len(name))
    scene = random.integers(1, 200, (3, *size)).astype(dtype)
    labels = random.integers(0, 2, size, np.uint8)
    return (
        write(folder / f"{name}.tif", scene, **{"names": RGB, **more}),
        write(folder / f"{name}_labels.tif", labels, more.get("place", PLACE)),
    )


def values_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def build(pairs, folder: Path, **options):
    index = build_records(pairs, folder / "set", BuildOptions(**{"chip": 16, **options}))
    return index, list(read_records(folder / "set"))


def test_chips_are_the_scene_and_labels_under_their_windows(tmp_path):
    pair = make_pair(tmp_path, size=(32, 48))
    _, records = build([pair], tmp_path, shards=1)
    image, labels = values_of(pair[0]).transpose(1, 2, 0), values_of(pair[1])[0]
    assert len(records) == 6
    for number, record in enumerate(records):
        rows = slice(number // 3 * 16, number // 3 * 16 + 16)
        cols = slice(number % 3 * 16, number % 3 * 16 + 16)
        np.testing.assert_array_equal(record.image, image[rows, cols])
        np.testing.assert_array_equal(record.labels, labels[rows, cols])
        x, y = 600_000 + 10 * cols.start, 9_000_000 - 10 * rows.start
        assert record.transform == (10, 0, x, 0, -10, y)
        assert (record.scene, record.group, record.crs) == ("s.tif", "s", "EPSG:32721")


def test_chips_beyond_a_small_scene_are_reflected_and_ignored(tmp_path):
    pair = make_pair(tmp_path, size=(10, 12))
    _, (record,) = build([pair], tmp_path)
    inside = np.zeros((16, 16), bool)
    inside[:10, :12] = True
    np.testing.assert_array_equal(record.valid, inside)
    assert (record.labels[~inside] == 255).all()
    image = values_of(pair[0]).transpose(1, 2, 0)
    np.testing.assert_array_equal(record.image[10:, :12], image[8:2:-1])


@pytest.mark.filterwarnings("ignore:.*a model needs deforestation")
def test_a_scene_of_one_pixel_is_repeated(tmp_path):
    _, (record,) = build([make_pair(tmp_path, size=(1, 1))], tmp_path)
    assert (record.image == record.image[0, 0]).all()
    assert record.valid.sum() == 1


def with_hole(folder: Path, dtype="int16", nodata=-9999):
    scene, labels = make_pair(folder, size=(16, 16))
    values = values_of(scene).astype(dtype)
    values[1, 3, 4] = nodata
    return write(scene, values, nodata=nodata, names=RGB), labels


def test_what_was_not_observed_is_invalid_and_ignored(tmp_path):
    _, (record,) = build([with_hole(tmp_path)], tmp_path)
    assert not record.valid[3, 4]
    assert record.valid.sum() == 255
    assert record.labels[3, 4] == 255


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", -9999), ("float32", np.nan)])
def test_what_was_not_observed_looks_as_it_will_in_a_scan(tmp_path, dtype, nodata):
    pair, scale = with_hole(tmp_path, dtype, nodata), BandScale(0, 200)
    _, (record,) = build([pair], tmp_path, scale=(0, 200))
    with open_scene(pair[0]) as scene:
        seen = radiometry(scene, small_spec(), Reading(scale, "the test"))
    assert scale(record.image[3, 4]) == pytest.approx(seen.fill, abs=0.5 / 200)
    assert seen.fill.min() > 0.3


def test_padding_reflects_what_stands_in_for_the_unobserved(tmp_path):
    scene, labels = make_pair(tmp_path, size=(10, 16))
    values = values_of(scene)
    values[:, 8] = 0
    write(scene, values, nodata=0, names=RGB)
    _, (record,) = build([(scene, labels)], tmp_path)
    np.testing.assert_array_equal(record.image[10], record.image[8])
    assert (record.image[8] == record.image[8, 0]).all()
    assert record.image[8].min() > 0


def test_a_scene_of_which_nothing_was_observed_is_left_out(tmp_path):
    scene, labels = make_pair(tmp_path)
    write(scene, values_of(scene) * 0, nodata=0, names=RGB)
    assert "s.tif: has no valid pixel; leave" in refused([(scene, labels)], tmp_path)


def test_chips_without_a_label_are_left_out(tmp_path):
    scene, labels = make_pair(tmp_path, size=(16, 32))
    truth = values_of(labels)[0]
    truth[:, :16] = 255
    write(labels, truth)
    index, (record,) = build([(scene, labels)], tmp_path)
    assert index.records == 1
    assert record.transform[2] == 600_160


def test_scene_levels_are_those_of_the_whole_scene_scaled(tmp_path):
    pair = make_pair(tmp_path, size=(32, 32))
    inputs = (SceneInput("dark", 2), SceneInput("median", 50))
    index, records = build([pair], tmp_path, scene_input=inputs, scale=BandScale(0, 200))
    expected = np.percentile(values_of(pair[0]).reshape(3, -1) / 200, [2, 50], axis=1).ravel()
    assert index.format.levels == 6
    for record in records:
        np.testing.assert_allclose(record.scene_level, expected, rtol=1e-5)


def test_the_index_tells_what_the_scenes_were(tmp_path):
    pairs = [make_pair(tmp_path, name, dtype="uint16") for name in ("one", "other")]
    index, _ = build(pairs, tmp_path, val_group="other")
    assert index.format.bands == RGB
    assert index.facts.scale == BandScale(0, 10_000)
    assert index.facts.gsd_m == pytest.approx(10, rel=1e-2)
    assert index.facts.val_groups == ("other",)
    assert index.tally.groups == {"one": 4, "other": 4}
    assert check_records(tmp_path / "set").index == index


def tag(pair, gain, offset=0.0):
    with rasterio.open(pair[0], "r+") as scene:
        scene.scales, scene.offsets = (gain,) * 3, (offset,) * 3
    return pair


def test_scale_tags_make_reflectance_of_the_numbers(tmp_path):
    pair = tag(make_pair(tmp_path, dtype="int32"), 1e-4, -0.1)
    index, _ = build([pair], tmp_path)
    assert index.facts.scale == BandScale(1000, 11_000)
    assert index.facts.reflectance
    assert index.facts.scales("int32")["uint16"] == BandScale(0, 10_000)
    again, _ = build([pair], tmp_path, scale=BandScale(0, 200), overwrite=True)
    assert (again.facts.scale, again.facts.reflectance) == (BandScale(0, 200), False)


def test_scenes_that_are_read_in_different_ways_make_no_set(tmp_path):
    pairs = [make_pair(tmp_path, "one", dtype="uint16"), make_pair(tmp_path, "b", dtype="uint16")]
    tag(pairs[1], 2e-4)
    with pytest.raises(RecordError, match=r"is read by 0\.\.5000 .*one\.tif by 0\.\.10000"):
        build(pairs, tmp_path)


def test_the_index_tells_how_dark_the_scenes_are(tmp_path):
    pairs = [make_pair(tmp_path, name) for name in ("one", "other")]
    index, _ = build(pairs, tmp_path)
    darks = [np.percentile(values_of(s).reshape(3, -1) / 255, 2, axis=1) for s, _ in pairs]
    least, most = index.facts.dark_levels
    np.testing.assert_allclose(least, np.min(darks, axis=0), atol=1e-4)
    np.testing.assert_allclose(most, np.max(darks, axis=0), atol=1e-4)


def test_groups_may_join_scenes(tmp_path):
    pairs = [make_pair(tmp_path, name) for name in ("one", "other")]
    index, _ = build(pairs, tmp_path, groups=("north", "north"))
    assert set(index.tally.groups) == {"north"}


@pytest.mark.parametrize(
    "names", [("l'été", 'a "b"'), ("森林", "лес 2"), ("a,b", "a;b"), ("x\udcff", "y")]
)
def test_groups_of_any_name_can_be_told_apart(tmp_path, names):
    pairs = [make_pair(tmp_path, name) for name in ("one", "other")]
    index, _ = build(pairs, tmp_path, groups=names, shards=3)
    for group in index.tally.groups:
        held = list(dataset(open_records(tmp_path / "set"), [group]))
        assert [r["group"].numpy().decode() for r in held] == [group] * 4


def test_chips_of_one_scene_are_one_group(tmp_path):
    names = ("north_r00000_c00000", "north_r00000_c00512", "north_r123456_c00000", "r00_c00")
    index, _ = build([make_pair(tmp_path, name) for name in names], tmp_path, val_group="north")
    assert index.tally.groups == {"north": 12, "r00_c00": 4}


def test_one_scene_in_two_groups_is_refused(tmp_path):
    scene, labels = make_pair(tmp_path)
    (tmp_path / "link.tif").symlink_to(scene)
    pairs = [(scene, labels), (tmp_path / "link.tif", labels)]
    assert "link.tif: is in two groups" in refused(pairs, tmp_path, OptionError)


def test_options_are_keywords_too(tmp_path):
    pair = make_pair(tmp_path, size=(16, 16))
    index = build_records([pair], tmp_path / "set", chip=8, class_map={0: 1, 1: 2}, scale=(0, 9))
    assert (index.format.height, index.facts.scale) == (8, BandScale(0, 9))
    assert [c.id for c in index.format.classes] == [1, 2]


def test_every_option_is_a_keyword():
    assert set(get_type_hints(BuildChoices)) == {f.name for f in fields(BuildOptions)}


def test_whole_numbers_of_32_bits_need_a_scale(tmp_path):
    pair = make_pair(tmp_path, dtype="int32")
    message = refused([pair], tmp_path, OptionError)
    assert "s.tif: int32 numbers have no usual scale; pass --scale" in message
    index, _ = build([pair], tmp_path, scale=(0, 200))
    assert index.facts.scale == BandScale(0, 200)


def test_classes_are_those_of_the_class_map(tmp_path):
    index, _ = build([make_pair(tmp_path)], tmp_path, class_map={0: 2, 1: 1})
    assert [c.name for c in index.format.classes] == ["deforestation", "other"]


@pytest.mark.filterwarnings("ignore:.*a model needs deforestation")
def test_classes_without_a_map_are_those_present(tmp_path):
    scene, labels = make_pair(tmp_path)
    write(labels, values_of(labels)[0] * 2)
    index, _ = build([(scene, labels)], tmp_path)
    assert [c.id for c in index.format.classes] == [0, 2]


def test_equal_input_gives_equal_bytes(tmp_path):
    pair = make_pair(tmp_path)
    for name in ("one", "other"):
        build_records([pair], tmp_path / name, BuildOptions(chip=16))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_progress_counts_chips(tmp_path):
    told = []
    pairs = [make_pair(tmp_path, name) for name in ("one", "other")]
    options = BuildOptions(chip=16)
    build_records(pairs, tmp_path / "set", options, lambda *counts: told.append(counts))
    assert told == [(i, 8) for i in range(1, 9)]


def test_descriptions_without_meaning_do_not_part_scenes(tmp_path):
    pairs = [make_pair(tmp_path, name, names=(name, "x", "y")) for name in ("one", "other")]
    index, _ = build(pairs, tmp_path)
    assert index.format.bands == RGB


def refused(pairs, folder: Path, error=RecordError, **options) -> str:
    before = sorted(folder.iterdir())
    with pytest.raises(error) as caught:
        build(pairs, folder, **options)
    assert sorted(folder.iterdir()) == before
    return str(caught.value)


def test_bands_in_another_order_part_scenes(tmp_path):
    pairs = [make_pair(tmp_path), make_pair(tmp_path, "bgr", names=("B02", "B03", "B04"))]
    assert "bgr.tif: has bands blue, green, red" in refused(pairs, tmp_path)


def test_another_dtype_parts_scenes(tmp_path):
    pairs = [make_pair(tmp_path), make_pair(tmp_path, "deep", dtype="uint16")]
    assert "deep.tif: stores uint16 and s.tif uint8" in refused(pairs, tmp_path)


def test_another_pixel_size_parts_scenes(tmp_path):
    coarse = make_pair(tmp_path, "coarse", place=Affine(30, 0, 600_000, 0, -30, 9_000_000))
    assert "coarse.tif: has 30 m pixels" in refused([make_pair(tmp_path), coarse], tmp_path)


def test_an_unknown_class_stops_the_work_before_it_begins(tmp_path):
    good, (scene, labels) = make_pair(tmp_path), make_pair(tmp_path, "bad")
    write(labels, values_of(labels)[0] * 9)
    message = refused([good, (scene, labels)], tmp_path, LabelMismatch)
    assert "holds unknown classes: 9 (" in message


def test_labels_that_say_nothing_are_refused(tmp_path):
    scene, labels = make_pair(tmp_path)
    write(labels, np.full((20, 30), 255, np.uint8))
    assert "no pixel is labelled" in refused([(scene, labels)], tmp_path, LabelMismatch)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"val_group": ("nowhere",)}, "no group 'nowhere'"),
        ({"groups": ("a", "b")}, "2 groups for 1 scenes"),
        ({"shards": 0}, "0 shards"),
        ({"overlap": 16}, "overlap"),
        ({"class_map": {1: 77}}, "class id 77"),
        ({"scale": (5, 1)}, "LOW must be less than HIGH"),
    ],
)
def test_options_that_contradict_the_scenes_are_refused(tmp_path, options, what):
    assert what in refused([make_pair(tmp_path)], tmp_path, OptionError, **options)


def test_no_scene_is_refused(tmp_path):
    assert "no scene" in refused([], tmp_path, OptionError)


def test_an_existing_output_is_refused_before_any_scene_is_opened(tmp_path):
    (tmp_path / "set").mkdir()
    refused([("no.tif", "no.png")], tmp_path, OutputExists)


def test_without_tensorflow_the_command_to_install_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    message = refused([make_pair(tmp_path)], tmp_path, MissingExtra)
    assert 'pip install "geodeforest[train]"' in message


def test_records_like_a_model_have_its_bands_classes_scale_and_scene_inputs(tmp_path):
    spec = replace(
        small_spec(),
        scale={"uint16": BandScale(0, 400)},
        scene_inputs=(SceneInput("dark", 5, ceiling=Ceiling(0, 2, 0.1, 0.1)),),
    )
    pair = make_pair(tmp_path, dtype="uint16", names=RGB[::-1])
    index, records = build([pair], tmp_path, like=spec)
    assert (index.format.bands, index.format.classes) == (spec.bands, spec.classes)
    assert (index.facts.scale, index.facts.scene_inputs) == (BandScale(0, 400), spec.scene_inputs)
    scaled = values_of(pair[0])[::-1].reshape(3, -1) / 400
    level = np.percentile(scaled, 5, axis=1)
    level[0] = min(level[0], max(level[2] - 0.1, 0.1))
    np.testing.assert_allclose(records[0].scene_level, level, atol=1e-6)


def test_scene_inputs_besides_those_of_a_model_are_refused(tmp_path):
    with pytest.raises(OptionError, match="leave scene-input out"):
        build([], tmp_path, like=small_spec(), scene_input=(SceneInput("dark", 2),))
