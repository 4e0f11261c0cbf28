"""How the plugin runs geodeforest, tried without QGIS."""

import os
import sys
import threading
from dataclasses import dataclass, field

import pytest


@pytest.fixture(scope="module")
def program(load):
    return load("geodeforest_provider/program.py")


@dataclass
class Told:
    """A feedback that remembers, and that cancels when it is told ``until``."""

    until: str = "\0"
    said: list = field(default_factory=list)

    def isCanceled(self):
        return any(self.until in text for _, text in self.said)

    def __getattr__(self, name):
        return lambda text: self.said.append((name, str(text)))


def run(program, script, feedback=None):
    feedback = feedback or Told()
    program.run([sys.executable, "-u", "-c", script], feedback)
    said = feedback.said[1:]  # the command comes first
    return list(dict.fromkeys(said))  # a bar may be told twice


def test_options_that_are_not_set_are_left_to_the_program(program):
    values = {"INPUT": "-s.tif", "MIN_AREA": "0.5", "SCALE": "", "SMOOTH": False, "ONLY": "1, 2,"}
    words = program.arguments("polygonize", {**values, "MERGE_SMALL": True}, ("ONLY",))
    assert words[:3] == ["polygonize", "--progress", "--overwrite"]
    assert words[3:-2] == ["--min-area=0.5", "--only=1", "--only=2", "--merge-small"]
    assert words[-2:] == ["--", "-s.tif"]


def test_what_the_program_prints_is_told_by_what_it_is(program):
    script = (
        "import sys; w = sys.stderr.write; print('7 polygons')\n"
        "w('\\rmy scene: 1.tif:   0%|     | 0/2'); w('\\rmy scene: 1.tif:  50%|██   | 1/2\\n')\n"
        "w('geodeforest: warning: no nodata\\ngeodeforest: note: no baseline\\n')"
    )
    assert run(program, script) == [
        ("pushConsoleInfo", "7 polygons"),
        ("setProgress", "0.0"),
        ("setProgress", "50.0"),
        ("pushWarning", "no nodata"),
        ("pushInfo", "no baseline"),
    ]


def test_a_bar_is_told_before_the_next_one_comes(program):
    chunks = iter([b"\rscene:  10%|  | 1/10", b"\rscene:  20%|  | 2/10"])
    assert program.kind_and_text(next(program.split_lines(chunks))) == ("bar", "10")
    assert len(list(chunks)) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7, 12, 21, 99])
def test_lines_are_told_whole_however_they_come_in(program, size):
    text = "\rs:  10%|█ | 1/10\rs: 100%|██| 10/10\r\n7 polygons\nÅland".encode()
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    found = dict.fromkeys(map(program.kind_and_text, program.split_lines(chunks)))
    bars, prints = [("bar", "10"), ("bar", "100")], [("print", "7 polygons"), ("print", "Åland")]
    assert list(found) == bars + prints


def test_an_error_line_becomes_the_error(program):
    script = "print('geodeforest: error: a.tif: no bands; name them'); print('x'); exit(3)"
    with pytest.raises(program.ProgramError, match=r"^a\.tif: no bands; name them$"):
        run(program, script)


def test_a_crash_is_told_with_its_code_and_last_line(program):
    with pytest.raises(program.ProgramError, match=r"ended with code 1: ZeroDivisionError"):
        run(program, "1 / 0")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_a_cancelled_program_is_asked_to_end_and_waited_for(program, tmp_path):
    left = tmp_path / "left"
    script = (
        "import signal, sys, time, pathlib\n"
        f"left = pathlib.Path({str(left)!r}); left.touch()\n"
        "def end(*_): time.sleep(0.3); left.unlink(); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('started'); time.sleep(600)"
    )
    run(program, script, Told(until="started"))
    assert not left.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_a_cancelled_program_that_does_not_end_is_killed(program, monkeypatch):
    monkeypatch.setattr(program, "_GRACE_S", 0.2)
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('started'); time.sleep(600)"
    )
    before = threading.active_count()
    run(program, script, Told(until="started"))
    assert threading.active_count() <= before + 1


def test_the_program_does_not_see_what_qgis_sets_for_itself(program, monkeypatch):
    for name in ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "PROJ_LIB", "PROJ_DATA"):
        monkeypatch.setenv(name, "of QGIS")
    monkeypatch.setenv("AWS_REGION", "of the user")
    found = program.environment()
    assert "of QGIS" not in found.values()
    assert found["AWS_REGION"] == "of the user"


def test_the_setting_goes_before_the_variable_and_the_variable_before_the_path(
    program, monkeypatch, tmp_path
):
    places = {}
    for name in ("set", "variable", "path"):
        (tmp_path / name).mkdir()
        places[name] = tmp_path / name / ("geodeforest.exe" if os.name == "nt" else "geodeforest")
        places[name].touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("GEODEFOREST_EXECUTABLE", str(places["variable"]))
    assert program.find_program(str(places["set"])) == str(places["set"])
    assert program.find_program() == str(places["variable"])
    monkeypatch.delenv("GEODEFOREST_EXECUTABLE")
    assert program.find_program() == str(places["path"])


@pytest.mark.parametrize("setting", ["", "no/such/program"])
def test_a_missing_program_says_where_to_name_it(program, monkeypatch, tmp_path, setting):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("GEODEFOREST_EXECUTABLE", raising=False)
    with pytest.raises(program.ProgramError, match=f"{setting}.*Processing > Providers"):
        program.find_program(setting)
