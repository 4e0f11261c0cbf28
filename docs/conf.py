"""Settings of the documentation: MyST pages and names read from the package, built offline."""

from __future__ import annotations

from collections.abc import Iterator

import click
from sphinx.application import Sphinx

from geodeforest import __version__
from geodeforest.cli import main

project = "geodeforest"
author = "The geodeforest developers"
copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False

html_theme = "pydata_sphinx_theme"
html_title = "geodeforest"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}

HELP_PAGE = "cli"
HELP_WIDTH = 88


def setup(app: Sphinx) -> None:
    """Write every command's own help on its page, anew in every build."""
    app.connect("env-get-outdated", lambda *_: [HELP_PAGE])
    app.connect("source-read", add_help)


def add_help(_: Sphinx, page: str, source: list[str]) -> None:
    """Append the sections of all commands to the source of the help page."""
    if page == HELP_PAGE:
        source[0] += "".join(help_sections(main, "geodeforest"))


def help_sections(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[str]:
    """A section of Markdown for a command, and for each command of a group."""
    context = click.Context(command, parent, name, terminal_width=HELP_WIDTH)
    yield f"\n## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None:
                yield from help_sections(found, below, context)
