"""How commands end: exit codes, the one line on stderr, and what stops them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from contextlib import suppress
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from geodeforest import __version__, cli
from geodeforest.cli import options
from geodeforest.errors import NothingAssessed, OptionError, OutputExists, SceneNotFound


@pytest.fixture(autouse=True)
def signals_as_before():
    """A command that was interrupted leaves the process deaf, since it is about to end."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run(monkeypatch):
    """Runs ``geodeforest fake ARGS`` with a body of the test's own."""

    def invoke(body, *args):
        @click.command()
        @options.quiet
        @options.debug
        @click.pass_context
        def command(context, quiet):
            body(context)

        monkeypatch.setitem(sys.modules, "fake_command", SimpleNamespace(command=command))
        monkeypatch.setitem(cli.COMMANDS, "fake", ("fake_command", "A command of a test."))
        return CliRunner().invoke(cli.main, ["fake", *args])

    return invoke


def raising(error):
    def body(_):
        raise error

    return body


def test_a_command_that_returns_ends_with_0_and_says_nothing(run):
    result = run(lambda _: None)
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize("code", [0, 4])
def test_a_command_may_end_with_a_code_of_its_own(run, code):
    assert run(lambda context: context.exit(code)).exit_code == code


def test_what_a_command_returns_is_not_an_exit_code(run):
    assert run(lambda _: "3 polygons").exit_code == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [(SceneNotFound("a.tif"), 3), (OutputExists("b.geojson"), 5), (OptionError("chip 7"), 2)],
)
def test_an_intended_error_is_one_line_and_its_exit_code(run, error, code):
    result = run(raising(error))
    assert result.exit_code == code
    assert result.stderr == f"geodeforest: error: {error}\n"
    assert result.stdout == ""


def test_a_file_name_cannot_steer_the_terminal(run):
    result = run(raising(SceneNotFound("a\n\x1b[2J\udcff.tif")))
    assert result.stderr.count("\n") == 1
    assert r"a\n\x1b[2J\udcff.tif: there is no such file" in result.stderr


def test_debug_shows_where_an_error_came_from(run):
    error = SceneNotFound("a.tif")
    result = run(raising(error), "--debug")
    assert result.exit_code == 3
    trace, last = result.stderr.rstrip("\n").rsplit("\n", 1)
    assert trace.startswith("Traceback")
    assert "in body" in trace
    assert last == f"geodeforest: error: {error}"


def test_a_bug_keeps_its_traceback(run):
    bug = ZeroDivisionError("a bug")
    assert run(raising(bug)).exception is bug


def test_an_interrupt_ends_with_130(run):
    result = run(raising(KeyboardInterrupt()))
    assert result.exit_code == 130
    assert result.stderr == "geodeforest: interrupted; run the same command again\n"


def test_sigterm_unwinds_and_ends_with_143(run):
    unwound = []

    def body(_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            unwound.append(True)

    before = signal.getsignal(signal.SIGTERM)
    result = run(body)
    assert (result.exit_code, unwound) == (143, [True])
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.fixture
def interruptible():
    """SIGINT comes, which is ignored in what a shell runs in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize(
    ("later", "code", "word"),
    [
        ((signal.SIGINT,) * 3, 130, "interrupted"),
        ((signal.SIGINT, signal.SIGTERM), 143, "terminated"),
    ],
)
@pytest.mark.usefixtures("interruptible")
def test_more_signals_do_not_break_off_the_unwinding(run, later, code, word):
    unwound = []

    def body(_):
        # Raised in this thread: the system may hand a signal to any other, and that takes time.
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            for number in later:
                signal.raise_signal(number)
            unwound.append(True)

    result = run(body)
    assert (result.exit_code, unwound) == (code, [True])
    assert result.stderr == f"geodeforest: {word}; run the same command again\n"


@pytest.mark.parametrize("words", [[], ["scan"], ["records", "build"], ["model", "show"]])
def test_help_may_be_asked_for_in_short(words):
    short, long = (CliRunner().invoke(cli.main, [*words, name]) for name in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.output == long.output


def test_a_warning_of_ours_is_one_line_each_time(run):
    def body(_):
        for _ in range(2):
            warnings.warn("a.tif: nothing\nto see", NothingAssessed, stacklevel=1)

    result = run(body)
    assert result.exit_code == 0
    assert result.stderr == "geodeforest: warning: a.tif: nothing\\nto see\n" * 2


def test_a_wrong_option_is_one_line_that_names_the_help(run):
    result = run(lambda _: None, "--colour")
    assert result.exit_code == 2
    assert result.stderr.startswith("geodeforest: error: No such option")
    assert result.stderr.endswith("; see geodeforest fake --help\n")
    assert result.stderr.count("\n") == 1


def test_an_unknown_command_is_one_line():
    result = CliRunner().invoke(cli.main, ["scam"])
    assert result.exit_code == 2
    assert result.stderr.endswith("'scam'; see geodeforest --help\n")


def test_no_command_shows_the_help_on_stderr():
    result = CliRunner().invoke(cli.main, [])
    assert (result.exit_code, result.stdout) == (2, "")
    assert all(name in result.stderr for name in cli.COMMANDS)


@pytest.mark.parametrize("group", ["records", "model"])
def test_a_group_without_a_command_is_one_line(group):
    result = CliRunner().invoke(cli.main, [group])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"geodeforest: error: Missing command; see geodeforest {group} --help\n"


def test_the_version_is_the_packages():
    assert CliRunner().invoke(cli.main, ["--version"]).stdout == f"geodeforest {__version__}\n"


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_the_table_of_commands_names_real_ones(name):
    command = cli.main.get_command(click.Context(cli.main), name)
    assert isinstance(command, click.Command)
    assert command.help


def test_an_interrupt_that_became_another_error_is_still_one(run):
    def body(_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            raise RuntimeError("said a library in C") from None

    result = run(body)
    assert result.exit_code == 143
    assert result.stderr == "geodeforest: terminated; run the same command again\n"


@pytest.mark.parametrize("show", [True, False])
def test_a_signal_that_got_lost_ends_the_command_at_the_next_step(run, show):
    went_on = []

    def body(_):
        with cli.progress("scan", show=show) as advance:
            with suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
            advance(1, 2)
            went_on.append(True)

    result = run(body)
    assert (result.exit_code, went_on) == (143, [])
    assert result.stderr.endswith("geodeforest: terminated; run the same command again\n")


def test_a_signal_of_a_former_command_does_not_end_the_next(run):
    run(lambda _: os.kill(os.getpid(), signal.SIGTERM))

    def body(_):
        with cli.progress("scan") as advance:
            advance(1, 1)

    assert run(body).exit_code == 0


def test_a_signal_that_was_ignored_stays_ignored(run):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result = run(lambda _: os.kill(os.getpid(), signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.exit_code, result.output) == (0, "")


def test_commands_run_outside_the_main_thread_too(run):
    ended = []
    thread = threading.Thread(target=lambda: ended.append(run(lambda _: None).exit_code))
    thread.start()
    thread.join()
    assert ended == [0]


def test_memory_that_is_used_up_is_one_line(run):
    result = run(raising(MemoryError()))
    assert result.exit_code == 8
    assert result.stderr == "geodeforest: error: the memory is used up; try fewer --threads\n"
