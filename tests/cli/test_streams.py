"""What commands write to: streams that are full, closed, no terminal or a library's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from geodeforest import cli
from geodeforest.errors import OutputUnwritable

PRINTS_MUCH = """
import sys
from types import SimpleNamespace
import click
from geodeforest import cli

@click.command()
def command():
    for _ in range(10_000):
        cli.emit("x" * 100)

sys.modules["fake_command"] = SimpleNamespace(command=command)
cli.COMMANDS["fake"] = ("fake_command", "")
cli.main(["fake"])
"""


def printing_to(stdout):
    done = subprocess.run(
        [sys.executable, "-c", PRINTS_MUCH], stdout=stdout, stderr=subprocess.PIPE, text=True
    )
    return done.returncode, done.stderr


def test_a_reader_that_goes_away_gives_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    code, stderr = printing_to(writer)
    os.close(writer)
    assert code == 5
    assert stderr.startswith("geodeforest: error: stdout: ")
    assert stderr.count("\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_an_output_error():
    with open("/dev/full", "w") as full:
        code, stderr = printing_to(full)
    assert code == 5
    assert stderr.startswith("geodeforest: error: stdout: ")
    assert stderr.count("\n") == 1


def test_the_bar_stays_away_without_a_terminal(capsys):
    with cli.progress("scan") as advance:
        advance(1, 2)
    assert capsys.readouterr() == ("", "")


def test_the_bar_counts_on_stderr_when_asked_for(capsys):
    with cli.progress("scan", show=True) as advance:
        advance(1, 2)
        advance(2, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "scan: 100%" in err
    assert "2/2" in err


def test_quiet_is_stronger_than_progress(capsys):
    with cli.progress("scan", show=True, quiet=True) as advance:
        advance(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_result_needs_a_stdout(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputUnwritable, match="stdout: it is closed"):
        cli.emit("a result")


def test_the_bar_needs_a_stderr(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with cli.progress("scan", show=True) as advance:
        advance(1, 2)


LOUD = """
import os, sys
from types import SimpleNamespace
import click
from geodeforest import cli
from geodeforest.cli import options

@click.command()
@options.debug
def command():
    with cli.quiet_libraries():
        cli.say("inside")
        os.write(2, b"a library\\n")
    cli.say("outside")

sys.modules["fake_command"] = SimpleNamespace(command=command)
cli.COMMANDS["fake"] = ("fake_command", "")
cli.main(["fake", *sys.argv[1:]])
"""


@pytest.mark.parametrize(("args", "heard"), [([], ""), (["--debug"], "a library\n")])
def test_what_libraries_write_themselves_is_for_debugging(args, heard):
    done = subprocess.run([sys.executable, "-c", LOUD, *args], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"geodeforest: inside\n{heard}geodeforest: outside\n"


UNHEARD = """
class Handler:
    def __del__(self):
        b"\\xff".decode()  # as rasterio's does with a message that is not UTF-8

def stumble():
    Handler()
    sys.excepthook(UnicodeError, UnicodeError("of Cython"), None)
"""


@pytest.mark.parametrize(("args", "heard"), [([], False), (["--debug"], True)])
def test_what_no_one_can_catch_is_for_debugging(args, heard):
    program = UNHEARD + LOUD.replace('os.write(2, b"a library\\n")', "stumble()")
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True)
    assert ("UnicodeDecodeError" in done.stderr) == ("of Cython" in done.stderr) == heard
    assert (done.stderr.count("\n") == 2) == (not heard)


CLOSED = """
import os, sys
os.close({number})
sys.{name} = None
from geodeforest import cli
cli._occupy_descriptors()
with open(sys.argv[1], "w") as file:
    sys.exit(file.fileno() < 3)
"""


@pytest.mark.parametrize(("number", "name"), [(0, "stdin"), (1, "stdout"), (2, "stderr")])
def test_no_output_file_takes_the_place_of_a_closed_stream(tmp_path, number, name):
    program = CLOSED.format(number=number, name=name)
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "x")])
    assert done.returncode == 0
