"""Bands are found by what the user, the file or their colours say."""

import pytest
from read_scenes import RGB, numbers, planes

from geodeforest.errors import BandMissing, OptionError, SceneUnreadable
from geodeforest.geo.bands import canonical
from geodeforest.geo.scene import open_scene


@pytest.mark.parametrize(
    "names",
    [
        ("blue", "green", "red", "nir"),
        ("B02", "B03", "B04", "B08"),
        ("b2", "B3", "b4", "b8"),
        ("B2, central wavelength 490 nm", "B3, 560 nm", "B4 (665 nm)", "B8; 842 nm"),
    ],
)
def test_bands_are_found_by_description(make_scene, names):
    assert numbers(make_scene(planes(4), names=names), wanted=RGB) == [3, 2, 1]


def test_bands_without_names_are_found_by_colour(make_scene):
    path = make_scene(planes(3), colours=("blue", "green", "red"))
    assert numbers(path, wanted=RGB) == [3, 2, 1]


def test_bands_that_say_nothing_are_taken_in_order(make_scene):
    assert numbers(make_scene(planes(4)), wanted=RGB) == [1, 2, 3]


def test_names_in_another_alphabet_are_like_none(make_scene):
    path = make_scene(planes(3), names=("azul", "verde", "vermelho (não)"))
    content = path.read_bytes()
    assert content.count("não".encode()) == 1
    path.write_bytes(content.replace("não".encode(), b"n\xe3o "))
    assert numbers(path) == [1, 2, 3]


def test_names_that_mean_nothing_are_like_none(make_scene):
    path = make_scene(planes(3), names=("Layer_1", "Layer_2", "Layer_3"))
    assert numbers(path, wanted=RGB) == [1, 2, 3]


@pytest.mark.parametrize(
    "bands", [[3, 1], ["3", "1"], ["B04", "b02"], ["red", "blue"], "red,1", ["B4", "BLUE"]]
)
def test_the_user_names_bands_by_index_or_description(make_scene, bands):
    path = make_scene(planes(3), names=("B02", "B03", "B04"))
    assert numbers(path, bands=bands, wanted=("x", "y")) == [3, 1]


def test_without_a_wish_all_bands_but_alpha_are_read(make_scene):
    path = make_scene(planes(4), colours=[*RGB, "alpha"])
    assert numbers(path) == [1, 2, 3]


def test_alpha_is_not_taken_for_a_missing_band(make_scene):
    path = make_scene(planes(2), colours=("gray", "alpha"))
    with pytest.raises(BandMissing):
        numbers(path, wanted=("gray", "nir"))


@pytest.mark.parametrize(
    ("names", "missing"),
    [(("nir", "red", "green"), "blue"), (("B08", "B11", "B12"), "red"), (RGB[:2] * 2, "red")],
)
def test_a_file_that_names_its_bands_is_believed(make_scene, names, missing):
    with pytest.raises(BandMissing, match=f"one band {missing}.*--bands"):
        numbers(make_scene(planes(len(names)), names=names), wanted=RGB)


def test_too_few_bands_are_refused(make_scene):
    with pytest.raises(BandMissing, match=r"3 bands \(red, green, blue\).*has 1 band"):
        numbers(make_scene(planes(1)), wanted=RGB)


@pytest.mark.parametrize("bands", [["4"], ["0"], ["swir"], [], [4]])
def test_a_band_that_is_not_there_is_refused(make_scene, bands):
    with pytest.raises(OptionError):
        numbers(make_scene(planes(3)), bands=bands)


def test_a_name_that_no_band_has_is_refused_with_those_that_there_are(make_scene):
    path = make_scene(planes(4), names=(*RGB, ""))
    with pytest.raises(OptionError) as caught:
        numbers(path, bands="foo,bar,baz", wanted=RGB)
    assert str(caught.value) == (
        f"{path}: --bands names foo, which the scene lacks; it has 1 red, 2 green, 3 blue, 4"
    )


def test_as_many_bands_are_named_as_wanted(make_scene):
    says = r"--bands names 2 bands; the model needs 3 \(red, green, blue\)"
    with pytest.raises(OptionError, match=says):
        numbers(make_scene(planes(3)), bands=[1, 2], wanted=RGB)


def test_alpha_cannot_be_asked_for(make_scene):
    with pytest.raises(OptionError, match="alpha"):
        numbers(make_scene(planes(4), colours=[*RGB, "alpha"]), bands=[4])


def test_bands_go_by_description_then_colour_then_index(make_scene):
    path = make_scene(planes(3), names=("first", "", ""), colours=("gray", "nir", "undefined"))
    with open_scene(path) as scene:
        assert scene.profile.bands == ("first", "nir", "3")


def test_a_palette_is_not_brightness(make_scene):
    path = make_scene(planes(1), photometric="PALETTE", colours=("palette",))
    with pytest.raises(SceneUnreadable, match=r"palette.*-expand rgb"):
        numbers(path)


def test_a_palette_is_not_asked_for_more_bands(make_scene):
    path = make_scene(planes(1), photometric="PALETTE", colours=("palette",))
    with pytest.raises(SceneUnreadable, match=r"palette.*-expand rgb"):
        numbers(path, wanted=RGB)


def test_a_palette_is_read_where_numbers_are_classes(make_scene):
    path = make_scene(planes(1), photometric="PALETTE", colours=("palette",))
    assert numbers(path, palette=True) == [1]


@pytest.mark.parametrize(("name", "plain"), [("B08", "nir"), ("b8a", "nir08"), (" Red ", "red")])
def test_aliases_are_written_in_words(name, plain):
    assert canonical(name) == plain
