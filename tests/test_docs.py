"""The documentation shows what there is: commands, options, names and pages that exist."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import geodeforest
from geodeforest.cli import main

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])

FENCED = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
OPTION = re.compile(r"(?<!\S)--?[a-z][\w-]*")
INCLUDE = re.compile(r"^```\{(?:literal)?include\} (\S+)", re.MULTILINE)
PROGRAM = re.compile(r"(?:\S*/)?geodeforest$")


def blocks(text: str, *languages: str) -> list[str]:
    """The content of the code blocks in one of these languages; "" is none."""
    return [code for language, code in FENCED.findall(text) if language in languages]


def prose(text: str) -> str:
    return FENCED.sub("", text)


def calls(line: str) -> Iterator[list[str]]:
    """The arguments of every call of geodeforest in a line of shell."""
    try:
        words = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
        words.whitespace_split = True
        parts: list[list[str]] = [[]]
        for word in words:
            if set(word) <= set(";&|<>"):
                parts.append([])
            else:
                parts[-1].append(word)
    except ValueError:  # an apostrophe: not a line of shell
        return
    for part in parts:
        if part and PROGRAM.match(part[0]):
            yield part[1:]


def shown_calls(text: str) -> list[list[str]]:
    """The calls in code blocks, which are whole."""
    lines = "\n".join(blocks(text, "", "console", "bash", "sh")).replace("\\\n", " ")
    return [call for line in lines.splitlines() for call in calls(line)]


def mentioned_calls(text: str) -> list[list[str]]:
    """The calls between backticks, which may stop short."""
    return [call for code in INLINE.findall(prose(text)) for call in calls(code)]


def parse(arguments: list[str], *, whole: bool) -> None:
    """Parse as the command line would, without running anything.

    Raises:
        click.UsageError: there is no such command or option, or a value does not fit.
    """
    command: click.Command = main
    context = click.Context(main, info_name="geodeforest", **main.context_settings)
    rest = list(arguments)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            raise click.UsageError(f"no command {rest[0]!r}")
        context = click.Context(found, parent=context, info_name=rest.pop(0))
        command = found
    try:
        if whole:
            command.make_context(context.info_name, rest, parent=context.parent)
        else:
            command.make_parser(context).parse_args(rest)
    except click.exceptions.Exit:  # --help and --version end here
        return


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command, **main.context_settings)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


def command_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command, **main.context_settings), name)
        assert found is not None
        command = found
    return command


def every_option() -> set[str]:
    options = {"--help"}
    for path in commands(main):
        for parameter in command_at(path).params:
            if isinstance(parameter, click.Option):
                options |= {*parameter.opts, *parameter.secondary_opts}
    return options


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    headings = (
        heading.replace("`", "").strip().lower() for heading in HEADING.findall(prose(text))
    )
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


each_page = pytest.mark.parametrize("page", PAGES, ids=page_id)


@each_page
def test_shown_commands_parse(page):
    for call in shown_calls(page.read_text("utf-8")):
        parse(call, whole=True)


@each_page
def test_mentioned_commands_exist(page):
    for call in mentioned_calls(page.read_text("utf-8")):
        parse(call, whole=False)


@each_page
def test_mentioned_options_exist(page):
    codes = [c for c in INLINE.findall(prose(page.read_text("utf-8"))) if c.startswith("-")]
    named = {option for code in codes for option in OPTION.findall(code)}
    assert named - every_option() == set()


@each_page
def test_python_parses_and_uses_public_names(page):
    for code in blocks(page.read_text("utf-8"), "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "gd":
                assert node.attr in geodeforest.__all__


@each_page
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    for target in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        goal = page.parent / name if name else page
        assert goal.exists(), target
        assert not anchor or anchor in anchors(goal.read_text("utf-8")), target


@each_page
def test_included_files_exist(page):
    for name in INCLUDE.findall(page.read_text("utf-8")):
        assert (page.parent / name).is_file()


def test_every_page_is_in_the_contents_and_every_entry_is_a_page():
    trees = blocks((DOCS / "index.md").read_text("utf-8"), "{toctree}")
    entries = [line for tree in trees for line in tree.split("\n") if line and line[0] != ":"]
    assert sorted(["index", *entries]) == sorted(page.stem for page in DOCS.glob("*.md"))


def test_the_page_of_commands_holds_the_help_of_every_command():
    pytest.importorskip("sphinx")
    settings = runpy.run_path(str(DOCS / "conf.py"))
    written = "".join(settings["help_sections"](main, "geodeforest"))
    for path in commands(main):
        assert f"\n## {' '.join(('geodeforest', *path))}\n" in written
        for parameter in command_at(path).params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[0] in written


def test_there_is_something_to_check():
    texts = [page.read_text("utf-8") for page in PAGES]
    shown = [call for text in texts for call in shown_calls(text)]
    assert {"scan", "records", "train", "model"} <= {call[0] for call in shown}
    assert sum(len(mentioned_calls(text)) for text in texts) > 3


@pytest.mark.parametrize(
    "line",
    [
        "geodeforest fly scene.tif",
        "geodeforest scan scene.tif --altitude 3",
        "geodeforest scan",
        "geodeforest scan scene.tif --min-area small",
        "geodeforest records mend records",
        "pip install . && .venv/bin/geodeforest scan scene.tif --nope",
    ],
)
def test_a_call_that_would_fail_is_found(line):
    (call,) = shown_calls(f"```\n{line}\n```")
    with pytest.raises(click.UsageError):
        parse(call, whole=True)


def test_a_call_over_several_lines_is_one():
    (call,) = shown_calls("```\ngeodeforest scan a.tif \\\n  -o b.gpkg\n```")
    assert call == ["scan", "a.tif", "-o", "b.gpkg"]


def test_an_anchor_is_made_as_on_github():
    assert anchors("## What is `refused`, and the seed's way\n") == {
        "what-is-refused-and-the-seeds-way"
    }
