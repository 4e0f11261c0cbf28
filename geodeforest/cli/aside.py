"""Commands on files of strangers: handed to a process of its own, and begun in that process."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from geodeforest.cli import CommandLine, given_arguments
from geodeforest.cli import main as command_line

MEMORY_MB = 1024
"""For commands that have no plan of their memory."""


def go_aside(files: Sequence[str], memory: int = MEMORY_MB) -> None:
    """End as a confined process ends that runs the same command; return in that process.

    Raises:
        OptionError: the operating system has no such limits.
        ReaderLost: a signal or a limit ended the process.
    """
    from geodeforest.workflows.confine import is_confined

    if is_confined():
        return
    from geodeforest.workflows.guard import run_aside

    context = click.get_current_context()
    context.exit(run_aside(given_arguments(context), files, memory))


def main() -> None:
    """What that process does: give up its rights, then run the command."""
    from geodeforest.workflows.confine import confine

    confine(int(sys.argv.pop(1)))
    command: CommandLine = command_line
    command.main(sys.argv[1:])
