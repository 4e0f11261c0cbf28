"""How the shared options are written and read."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from geodeforest.cli import options


def read(option, *args):
    """What a command gets of one option; a string is a refusal."""
    seen = {}

    @click.command()
    @option
    def command(**given):
        seen.update(given)

    result = CliRunner().invoke(command, list(args))
    return seen if result.exit_code == 0 else result.stderr


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        (options.bands, "bands", None),
        (options.scale, "scale", None),
        (options.chip, "chip", None),
        (options.overlap, "overlap", None),
        (options.threads, "threads", None),
        (options.memory, "memory", 1024),
        (options.overwrite, "overwrite", False),
        (options.allow_vrt, "allow_vrt", False),
        (options.max_pixels, "max_pixels", 40_000_000_000),
        (options.quiet, "quiet", False),
        (options.progress, "progress", None),
        (options.json, "as_json", False),
    ],
)
def test_what_an_option_is_when_nothing_is_said(option, name, value):
    assert read(option) == {name: value}


@pytest.mark.parametrize(
    ("text", "bands"), [("3,2,1", ("3", "2", "1")), ("B04, B03 ,red", ("B04", "B03", "red"))]
)
def test_bands_are_a_list_with_commas(text, bands):
    assert read(options.bands, "--bands", text) == {"bands": bands}


@pytest.mark.parametrize("text", ["", "1,,2", "0,1,2", "1,"])
def test_bands_that_name_nothing_are_refused(text):
    assert "--bands" in read(options.bands, "--bands", text)


@pytest.mark.parametrize(
    ("text", "scale"),
    [("0,3558", (0, 3558)), ("-1e3, 2.5", (-1000, 2.5)), ("0,0.3558", (0, 0.3558))],
)
def test_scale_is_two_numbers(text, scale):
    assert read(options.scale, "--scale", text) == {"scale": scale}


@pytest.mark.parametrize("text", ["1", "1,2,3", "a,b", "2,1", "1,1", "0,inf", "nan,1", ""])
def test_a_scale_without_a_range_is_refused(text):
    assert "--scale" in read(options.scale, "--scale", text)


@pytest.mark.parametrize(
    ("option", "args"),
    [
        (options.chip, ("--chip", "0")),
        (options.overlap, ("--overlap", "-1")),
        (options.threads, ("--threads", "0")),
        (options.memory, ("--memory", "0")),
        (options.max_pixels, ("--max-pixels", "0")),
    ],
)
def test_numbers_out_of_range_are_refused_at_the_door(option, args):
    assert args[0] in read(option, *args)


def test_progress_can_be_asked_for_and_forbidden():
    assert read(options.progress, "--progress") == {"progress": True}
    assert read(options.progress, "--no-progress") == {"progress": False}


def test_debug_does_not_reach_the_command():
    assert read(options.debug, "--debug") == {}
