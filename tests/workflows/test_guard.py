"""What a process for strangers' files lacks, and what becomes of its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pyogrio
import pytest
from rasterio.env import Env

from geodeforest.errors import OptionError, ReaderLost
from geodeforest.workflows import guard

KEPT = {"GTiff", "COG", "MEM", "Memory", "GeoJSON", "GPKG", "FlatGeobuf"}
ROOT = Path(guard.__file__).parents[2]

posix = pytest.mark.skipif(os.name != "posix", reason="processes are confined on POSIX systems")
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has this")


def run(program, cwd=None, **environment):
    """What a program says that runs by itself."""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        timeout=120,
    )


def confined(program):
    return run(f"from geodeforest.workflows import confine\nconfine.confine(64)\n{program}")


def test_every_driver_of_the_libraries_at_hand_is_known():
    with Env() as environment:
        raster = set(environment.drivers())
    known = set(guard.SKIPPED) | KEPT
    assert raster - known == set()
    assert set(pyogrio.list_drivers()) - known == set()
    assert KEPT & set(guard.SKIPPED) == set()


def test_what_is_left_of_the_drivers_is_what_is_needed():
    program = """
import json, pyogrio
from rasterio.env import Env
with Env() as environment:
    print(json.dumps([sorted(environment.drivers()), sorted(pyogrio.list_drivers())]))
"""
    done = run(program, **guard.guarded_environment(os.environ))
    raster, vector = map(set, json.loads(done.stdout))
    assert {"GTiff", "COG", "GPKG"} <= raster <= KEPT
    assert {"GeoJSON", "GPKG", "FlatGeobuf"} <= vector <= KEPT
    assert done.stderr == ""  # not even a word about drivers that were not there


def test_settings_and_keys_of_the_caller_stay_behind():
    given = {
        "AWS_SECRET_ACCESS_KEY": "secret",
        "GDAL_HTTP_USERPWD": "ann:secret",
        "GDAL_VRT_ENABLE_PYTHON": "YES",
        "GDAL_DATA": "there",
        "HOME": "here",
    }
    found = guard.guarded_environment(given)
    assert "secret" not in str(found)
    assert found["GDAL_VRT_ENABLE_PYTHON"] == "NO"
    assert (found["GDAL_DATA"], found["HOME"]) == ("there", "here")


@posix
def test_memory_files_and_cores_are_limited():
    done = confined("""
import errno, json, os, resource, tempfile
found = []
try:
    bytearray(2**31)
except MemoryError:
    found.append("memory")
try:
    kept = [open(os.devnull) for _ in range(300)]
except OSError as error:
    found.append(errno.errorcode[error.errno])
    kept = []
with tempfile.TemporaryFile() as file:
    try:
        file.truncate(2**31)
    except OSError as error:
        found.append(errno.errorcode[error.errno])
    confine.allow_work(10, 2**23)
    file.truncate(2**31)
print(json.dumps([*found, resource.getrlimit(resource.RLIMIT_CORE)[0]]))
""")
    assert json.loads(done.stdout) == ["memory", "EMFILE", "EFBIG", 0], done.stderr


@posix
def test_what_takes_too_long_ends_and_the_time_follows_from_the_chips():
    done = confined("""
import resource
first = resource.getrlimit(resource.RLIMIT_CPU)[0]
confine.allow_work(100, 0)
print(resource.getrlimit(resource.RLIMIT_CPU)[0] - first, flush=True)
confine._SECONDS = 1
confine.allow_work(0, 0)
while True:
    pass
""")
    assert int(done.stdout) in range(3000, 3003)
    assert done.returncode == -signal.SIGXCPU


@linux
def test_there_is_no_network_and_no_way_to_new_rights():
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = confined(f"""
import socket
from pathlib import Path
status = Path("/proc/self/status").read_text()
print("NoNewPrivs:\\t1" in status)
try:
    socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), timeout=5)
    print("connected")
except OSError:
    print("alone")
""")
    rights, network = done.stdout.split()
    assert rights == "True"
    if network == "connected":
        pytest.skip("this machine lets no process leave its network")


@linux
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may")
def test_another_user_keeps_name_and_files_without_the_network():
    if subprocess.run(["setpriv", "--reuid=65534", "unshare", "-rn", "true"]).returncode:
        pytest.skip("users may not make namespaces here")
    program = """
import ctypes, os, resource
from geodeforest.workflows.confine import confine
os.setgid(65534), os.setuid(65534)
confine(64)
open("file", "w").close()
print(os.getuid(), os.getgid(), os.stat("file").st_uid)
"""
    with tempfile.TemporaryDirectory() as own:  # in a folder that others may pass
        os.chown(own, 65534, 65534)
        done = run(program, cwd=own)
    assert done.stdout.split() == ["65534"] * 3, done.stderr


def test_a_process_that_is_not_confined_is_left_alone():
    done = run("""
import resource
from geodeforest.workflows.confine import allow_work, is_confined
before = resource.getrlimit(resource.RLIMIT_CPU)
allow_work(1, 1)
print(is_confined(), before == resource.getrlimit(resource.RLIMIT_CPU))
""")
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("code", "becomes"), [(0, 0), (3, 3), (-signal.SIGINT, 130), (-signal.SIGTERM, 143)]
)
def test_codes_and_signals_that_were_passed_on_stay(code, becomes):
    assert guard.ending(code, ["a.tif"]) == becomes


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (11, "SIGSEGV"),
        (9, "SIGKILL"),
        (6, "SIGABRT"),
        (24, "processor time .* .SIGXCPU"),
        (63, "63"),
    ],
)
def test_other_signals_are_a_lost_reader(number, what):
    with pytest.raises(ReaderLost, match=rf"^a.tif, b.tif: .*{what}.*; ") as caught:
        guard.ending(-number, ["a.tif", "b.tif"])
    assert caught.value.exit_code == 8


def test_of_many_files_some_are_named():
    with pytest.raises(ReaderLost, match=r"^a, b, c, \.\.\.: "):
        guard.ending(-11, ["a", "b", "c", "d"])


def test_where_processes_cannot_be_confined_it_is_refused(monkeypatch):
    monkeypatch.setattr(guard.os, "name", "nt")
    with pytest.raises(OptionError, match="cannot confine"):
        guard.run_aside(["scan", "a.tif"], ["a.tif"], 1024)


def test_nothing_is_imported_that_only_posix_has():
    done = run("""
import sys
for name in ("resource", "fcntl", "pwd", "termios", "_posixsubprocess"):
    sys.modules[name] = None
from geodeforest.workflows import confine
source = open(confine.__file__).read() + open(confine.__file__.replace("confine", "guard")).read()
print("import resource" in source)
""")
    assert done.stdout.strip() == "True", done.stderr
