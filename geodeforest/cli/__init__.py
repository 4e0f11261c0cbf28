"""The command line: which commands there are, and how each ends.

Commands live in modules of their own, loaded when they are called, so that ``--help``
answers at once. Knows exit codes, the one line an error becomes and the progress bar;
nothing of scenes or models. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from geodeforest import __version__
from geodeforest.cli import options
from geodeforest.errors import GeodeforestError, GeodeforestWarning, OutputUnwritable

if TYPE_CHECKING:
    from geodeforest.core.ports import Progress

COMMANDS = {
    "chip": ("geodeforest.cli.chip", "Cut a scene into georeferenced chips."),
    "model": ("geodeforest.cli.model", "List, show and verify models."),
    "records": ("geodeforest.cli.records", "Build, describe and verify training records."),
    "scan": ("geodeforest.cli.scan", "Find deforestation in scenes and write it as polygons."),
    "train": ("geodeforest.cli.train", "Train a model on records."),
}
"""Each command's module, which holds it as ``command``, and its line in ``--help``."""

INTERRUPTED = 130
TERMINATED = 143


def one_line(message: str) -> str:
    """The message with newlines and control characters written as escapes.

    File names are the user's, or a stranger's: what they hold must not steer a terminal.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in message
    )


def emit(text: str) -> None:
    """Print a result on stdout, whole.

    Raises:
        OutputUnwritable: stdout is closed, or the disk behind it is full.
    """
    try:
        click.echo(text)
    except OSError as error:
        _give_up_stdout()
        why = error.strerror or "it cannot be written"
        raise OutputUnwritable("stdout", why, "the result was not fully printed") from error


@contextmanager
def progress(label: str, *, show: bool | None = None, quiet: bool = False) -> Iterator[Progress]:
    """Yield a function of (done, total) that moves a bar with the time left on stderr.

    Without ``show`` the bar appears on a terminal only; with ``quiet`` never.
    """
    if quiet or not (sys.stderr.isatty() if show is None else show):
        yield lambda done, total: None
        return
    from tqdm import tqdm

    look = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left]"
    with tqdm(desc=one_line(label), total=0, bar_format=look, dynamic_ncols=True) as bar:

        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield advance


class CommandLine(click.Group):
    """A group that loads a command when it is called, and turns its errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the table, loaded or not."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = import_module(module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error raised on purpose becomes one line and its exit code."""
        with _warnings_as_lines(), _sigterm_unwinds():
            try:
                return super().invoke(ctx)
            except GeodeforestError as error:
                if options.debugging(ctx):
                    raise
                _end(ctx, f"error: {error}", error.exit_code)
            except BrokenPipeError:
                _give_up_stdout()
                _end(ctx, "error: stdout: its reader went away", OutputUnwritable.exit_code)
            except KeyboardInterrupt:
                _end(ctx, "interrupted; run the same command again", INTERRUPTED)
            except _Terminated:
                _end(ctx, "terminated; run the same command again", TERMINATED)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Parse and run; a usage error is one line too.

        A command ends with another code than 0 by ``ctx.exit(code)``.
        """
        run = partial(
            super().main, args, prog_name or self.name, complete_var, standalone_mode=False, **extra
        )
        if not standalone_mode:
            return run()
        try:
            code: Any = run()
        except click.UsageError as error:
            sys.exit(_report_usage(error))
        except click.ClickException as error:
            _say(f"error: {error.format_message()}")
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(INTERRUPTED)
        # Without standalone mode click returns the code of ctx.exit(), or what the command did.
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    name="geodeforest",
    cls=CommandLine,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Find deforestation in satellite scenes, and train the models that do."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)


class _Terminated(BaseException):
    """SIGTERM came; unwinding removes what is half-written."""


def _terminate(number: int, _: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    raise _Terminated


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set a handler
        return
    former = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always", GeodeforestWarning)
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, GeodeforestWarning):
                _say(f"warning: {message}")
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def _end(ctx: click.Context, message: str, code: int) -> NoReturn:
    _say(message)
    ctx.exit(code)


def _report_usage(error: click.UsageError) -> int:
    what = " ".join(error.format_message().split()).rstrip(".")
    where = error.ctx.command_path if error.ctx else "geodeforest"
    _say(f"error: {what}; see {where} --help")
    return error.exit_code


def _say(message: str) -> None:
    with suppress(OSError):  # with stderr gone, the exit code still tells
        click.echo(one_line(f"geodeforest: {message}"), err=True)


def _give_up_stdout() -> None:
    """Point stdout at nothing, so that Python's own flush at the end does not fail again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
