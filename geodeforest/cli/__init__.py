"""The command line: which commands there are, and how each ends.

Commands live in modules of their own, loaded when they are called, so that ``--help``
answers at once. Knows exit codes, the one line an error becomes and the progress bar;
nothing of scenes or models. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import click

from geodeforest import __version__
from geodeforest.cli import options
from geodeforest.errors import (
    BudgetExceeded,
    GeodeforestError,
    GeodeforestWarning,
    OutputUnwritable,
)

if TYPE_CHECKING:
    from geodeforest.core.ports import Progress

COMMANDS = {
    "chip": ("geodeforest.cli.chip", "Cut a scene into georeferenced chips."),
    "evaluate": ("geodeforest.cli.evaluate", "Compare what a model finds with the truth."),
    "model": ("geodeforest.cli.model", "List, show, verify, import and export models."),
    "plan": ("geodeforest.cli.plan", "Say what a scan of a scene would read, need and refuse."),
    "polygonize": ("geodeforest.cli.polygonize", "Make polygons of a class map."),
    "records": ("geodeforest.cli.records", "Build, describe and verify training records."),
    "scan": ("geodeforest.cli.scan", "Find deforestation in scenes and write it as polygons."),
    "train": ("geodeforest.cli.train", "Train a model on records."),
    "verify": ("geodeforest.cli.verify", "Compare the files of a scan with its run record."),
}
"""Each command's module, which holds it as ``command``, and its line in ``--help``."""

STOPPED = {
    int(signal.SIGINT): ("interrupted", 130),
    int(signal.SIGTERM): ("terminated", 143),
}
"""The signals that end a process, what that is called, and the exit code."""

AGAIN, GO_ON = "run the same command again", {"train": "run it again with --resume"}
"""What an interrupted command says, unless it goes on in a way of its own."""

_ARGUMENTS = "geodeforest.arguments"

_PATIENCE_S = 1.0
"""Interrupts that come so soon after the first are of one key that was held, or sent twice."""

# What is said when there is no memory for a library, a thread, or what a function returns.
_NO_MEMORY = ("failed to map segment", "can't start new thread", "cannot allocate memory")
_NO_MEMORY_IN_C = "returned NULL without setting an exception"

_came: list[int] = []  # those that came since the command began


def given_arguments(context: click.Context) -> tuple[str, ...]:
    """What stood behind the program's name on the command line."""
    return tuple(context.meta[_ARGUMENTS])


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
    if sys.stdout is None:  # closed before the start: click would say nothing
        raise OutputUnwritable("stdout", "it is closed", "the result was not printed")
    try:
        click.echo(text)
    except OSError as error:
        _give_up_stdout()
        why = error.strerror or "it cannot be written"
        raise OutputUnwritable("stdout", why, "the result was not fully printed") from error


def say(message: str) -> None:
    """Tell the user something on stderr, in one line."""
    with suppress(OSError):  # with stderr gone, the exit code still tells
        click.echo(one_line(f"geodeforest: {message}"), err=True)


def shows_progress(*, show: bool | None = None, quiet: bool = False) -> bool:
    """Whether someone watches: on a terminal, unless ``show`` or ``quiet`` say otherwise."""
    return sys.stderr is not None and not quiet and (sys.stderr.isatty() if show is None else show)


@contextmanager
def progress(label: str, *, show: bool | None = None, quiet: bool = False) -> Iterator[Progress]:
    """Yield a function of (done, total) that moves a bar with the time left on stderr.

    Without ``show`` the bar appears on a terminal only; with ``quiet`` never.
    """
    if not shows_progress(show=show, quiet=quiet):
        yield lambda done, total: _heed_signals()
        return
    from tqdm import tqdm

    look = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left]"
    with tqdm(desc=one_line(label), total=0, bar_format=look, dynamic_ncols=True) as bar:

        def advance(done: int, total: int) -> None:
            _heed_signals()
            bar.total = total
            bar.update(done - bar.n)

        yield advance


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what libraries in C write on stderr by themselves from the user; not with ``--debug``.

    libtiff does so on a full disk, past GDAL's handlers, and would spoil the one line; Python,
    where rasterio's handler stumbles over a message of GDAL that is not UTF-8.
    """
    if options.debugging(click.get_current_context()):
        yield
        return
    kept, nowhere, ours = os.dup(2), os.open(os.devnull, os.O_WRONLY), sys.stderr
    with ExitStack() as stack:
        for hook in ("excepthook", "unraisablehook"):  # Cython calls both, and goes on
            stack.callback(setattr, sys, hook, getattr(sys, hook))
            setattr(sys, hook, lambda *_: None)
        stack.callback(os.close, nowhere)
        stack.callback(os.close, kept)
        if ours is sys.__stderr__ and ours is not None:  # a test's own is no descriptor
            ours.flush()
            sys.stderr = stack.enter_context(open(os.dup(2), "w", 1, ours.encoding, ours.errors))
            stack.callback(setattr, sys, "stderr", ours)
        stack.callback(os.dup2, kept, 2)
        os.dup2(nowhere, 2)
        yield


class CommandLine(click.Group):
    """A group that loads a command when it is called, and turns its errors into exit codes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the arguments as they were, too."""
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

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
        with _warnings_as_lines(ctx), _signals_unwind() as came:
            try:
                return super().invoke(ctx)
            except click.exceptions.Exit:
                raise
            except BaseException as error:
                ending = _ending(error, came, GO_ON.get(ctx.invoked_subcommand or "", AGAIN))
                if ending is None:
                    raise
                if options.debugging(ctx):
                    click.echo(_traceback(error), err=True, nl=False)
                message, code = ending
                say(message)
                ctx.exit(code)

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
        _occupy_descriptors()
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
            say(f"error: {error.format_message()}")
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(STOPPED[signal.SIGINT][1])
        # Without standalone mode click returns the code of ctx.exit(), or what the command did.
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    name="geodeforest",
    cls=CommandLine,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Find deforestation in satellite scenes, and train the models that do."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)


@contextmanager
def _signals_unwind() -> Iterator[list[int]]:
    """Make the signals that end a process unwind it, so that nothing half-written stays.

    Yields a list of those that came.
    """
    from geodeforest.workflows.signals import handling

    _came.clear()
    patient_until = 0.0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal patient_until
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
        _came.append(number)
        if len(_came) == 1:  # a later one would break off the unwinding, and leave litter
            patient_until = time.monotonic() + _PATIENCE_S
            raise KeyboardInterrupt
        if time.monotonic() > patient_until:  # what is unwound hangs, and who waits has enough
            os._exit(STOPPED[max(_came)][1])

    with handling(STOPPED, stop) as former:
        try:
            yield _came
        finally:
            if _came and former:  # the process is about to end, and Python takes its time for that
                former[signal.SIGINT] = signal.SIG_IGN


def _heed_signals() -> None:
    # What a handler raises is lost where Python happens to be in a callback, as in an import.
    if _came:
        raise KeyboardInterrupt


def _traceback(error: BaseException) -> str:
    # What libraries say of an address may hold a password, and tracebacks get sent around.
    from geodeforest.core.addresses import redacted

    return redacted("".join(traceback.format_exception(error)))


def _ending(error: BaseException, came: Sequence[int], go_on: str) -> tuple[str, int] | None:
    """What to say of an error, and the exit code; None for a bug."""
    if came or isinstance(error, KeyboardInterrupt):
        # Code in C may have made another error of it. Of two that came while it ran, Python
        # hears the smaller number first, whichever was sent first: SIGTERM has the word.
        word, code = STOPPED[max(came, default=int(signal.SIGINT))]
        return "; ".join([word, *(_hints(error) or [go_on])]), code
    if isinstance(error, GeodeforestError):
        return "; ".join([f"error: {error}", *_hints(error)]), error.exit_code
    if _is_memory(error):
        why = "error: the memory is used up; try fewer --threads"
        return "; ".join([why, *_hints(error)]), BudgetExceeded.exit_code
    if isinstance(error, BrokenPipeError):
        _give_up_stdout()
        return "error: stdout: its reader went away", OutputUnwritable.exit_code
    return None


def _hints(error: BaseException) -> list[str]:
    """What the library added to an error: how to go on from what it left."""
    return list(getattr(error, "__notes__", ()))


def _is_memory(error: BaseException) -> bool:
    """Whether an error comes of memory that is used up."""
    if isinstance(error, SystemError) and _NO_MEMORY_IN_C in str(error):
        return _is_memory_limited()
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


def _is_memory_limited() -> bool:
    if sys.platform == "win32":
        return False
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


@contextmanager
def _warnings_as_lines(ctx: click.Context) -> Iterator[None]:
    """Say our own warnings in a line each; those of libraries only with ``--debug``."""
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
                say(f"warning: {message}")
            elif options.debugging(ctx):
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def _report_usage(error: click.UsageError) -> int:
    what = " ".join(error.format_message().split()).rstrip(".")
    where = error.ctx.command_path if error.ctx else "geodeforest"
    say(f"error: {what}; see {where} --help")
    return error.exit_code


def _occupy_descriptors() -> None:
    """Open what was closed of stdin, stdout and stderr on nothing.

    Else an output file would get the number of stderr, and with it what libraries write there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _give_up_stdout() -> None:
    """Point stdout at nothing, so that Python's own flush at the end does not fail again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
