"""Files made to lead elsewhere: what a scan of them opens and connects to, by the system's word.

strace tells every file that the program or a library opens, or tries to. Whatever is not
the program's own has to be one of the files that were named.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geodeforest import testing

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")

ROOT = Path(testing.__file__).parents[1]

# The program, what it is made of, and what any program asks its system.
OWN = (
    *map(os.path.realpath, (sys.prefix, sys.base_prefix)),
    *(sys.prefix, sys.base_prefix, str(ROOT)),
    *("/proc", "/sys", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"),
    *("/usr/share/locale", "/usr/share/zoneinfo", "/usr/share/proj", "/usr/local/share/proj"),
    *("/usr/bin", "/bin", "/usr/local/bin", "/usr/share/locale-langpack"),
    *("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/dev/null", "/dev/urandom"),
    *("/etc/nsswitch.conf", "/etc/passwd", "/etc/os-release", "/etc/ssl/openssl.cnf"),
)
SETTINGS = ("/gdalrc", "/gdalplugins")  # GDAL's own, of the user and of the machine

CALL = re.compile(r'\bopen(?:at2?)?\((?:\w+<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')

VRT = """<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32721</SRS>
<GeoTransform>600000, 10, 0, 9300000, 0, -10</GeoTransform>{}</VRTDataset>"""
BAND = """<VRTRasterBand dataType="Byte" band="{0}"><SimpleSource>
<SourceFilename relativeToVRT="{2}">{1}</SourceFilename><SourceBand>{0}</SourceBand>
</SimpleSource></VRTRasterBand>"""
RAW = """<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">
<SourceFilename relativeToVRT="0">{}</SourceFilename></VRTRasterBand>"""
WMS = """<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}/${x}/${y}</ServerUrl>
</Service><DataWindow><SizeX>64</SizeX><SizeY>64</SizeY></DataWindow></GDAL_WMS>"""
AUX = """<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{}</MDI></Metadata>
</PAMDataset>"""
PIPELINE = {"type": "gdal_streamed_alg", "relative_paths_relative_to_this_file": False}
NOWHERE = "/vsicurl/http://127.0.0.1:9/a.tif"


def vrt(source, relative=0):
    return VRT.format("".join(BAND.format(band, source, relative) for band in (1, 2, 3)))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder of files that lead to a second one, and what is passed to scan for each."""
    root = tmp_path_factory.mktemp("world")
    secret, given = root / "secret", root / "given"
    secret.mkdir(), given.mkdir()
    values = np.zeros((3, 64, 64), np.uint8)
    other = testing.make_scene(secret / "other.tif", values)
    polygons = secret / "other.json"
    polygons.write_text('{"type": "FeatureCollection", "features": []}')
    (secret / "note.txt").write_text("x" * 5000)
    shutil.make_archive(str(secret / "other"), "zip", secret, "other.tif")

    def text(name, content):
        (given / name).write_text(content)
        return (f"given/{name}",)

    def scene(name, side_car=None, content=""):
        testing.make_scene(given / name, values)
        if side_car is not None:
            text(name + side_car, content)
        return (f"given/{name}",)

    scene("plain.tif")
    (given / "link.tif").symlink_to(other)
    os.mkfifo(given / "pipe.tif")
    database = sqlite3.connect(given / "tables.gpkg")
    database.executescript("CREATE TABLE a (b); PRAGMA application_id = 0;")
    database.close()
    pipeline = {**PIPELINE, "command_line": f"gdal vector pipeline ! read {polygons}"}
    remote = {**PIPELINE, "command_line": "gdal vector pipeline ! read http://127.0.0.1:9/a.json"}
    over = ("given/plain.tif", "--scale", "0,255")
    items = {
        "absolute": text("absolute.tif", vrt(other)),
        "relative": text("relative.tif", vrt("../secret/other.tif", 1)),
        "raw": text("raw.tif", VRT.format(RAW.format(secret / "note.txt"))),
        "served": text("served.tif", vrt(NOWHERE)),
        "wms": text("wms.tif", WMS),
        "mask": scene("mask.tif", ".msk", vrt(other)),
        "mask served": scene("served_mask.tif", ".msk", vrt(NOWHERE)),
        "overviews": scene("overviews.tif", ".ovr", vrt(NOWHERE)),
        "notes": scene("notes.tif", ".aux.xml", AUX.format(NOWHERE)),
        "notes of another": scene("notes2.tif", ".aux.xml", AUX.format(other)),
        "directory": (f"GTIFF_DIR:1:{other}",),
        "vrt address": (f"vrt://{other}",),
        "inline": (vrt(other),),
        "curl": (NOWHERE,),
        "zip": (f"/vsizip/{secret}/other.zip/other.tif",),
        "stdin": ("/vsistdin/",),
        "subfile": (f"/vsisubfile/0_100,{other}",),
        "driver": (f"COG:{other}",),
        "pipe": ("given/pipe.tif",),
        "pipeline": (*over, "--aoi", *text("pipeline.json", json.dumps(pipeline))),
        "pipeline served": (*over, "--baseline", *text("remote.geojson", json.dumps(remote))),
        "polygons": (*over, "--aoi", *text("ogr.json", f"<OGRVRTDataSource>{polygons}")),
        "mask by option": (*over, "--mask", *text("clouds.tif", vrt(other))),
        "database": (*over, "--baseline", "given/tables.gpkg"),
    }
    return root, items


ASIDE = (
    *("absolute", "raw", "wms", "mask served", "overviews", "notes", "directory", "inline"),
    *("curl", "zip", "pipe", "pipeline"),
)


RUN = """
import json, sys
from geodeforest import cli, testing
from geodeforest.workflows import load_model
load_model.load_model = lambda *_: testing.ThresholdPredictor()
found = {}
for name, arguments in json.load(open(sys.argv[1])).items():
    try:
        cli.main(["scan", *arguments, "-o", "out/a.geojson", "--overwrite", "-q"])
    except SystemExit as ending:
        found[name] = ending.code
print(json.dumps(found))
"""


def traced(root, items):
    """Each scan's exit code, what was said; every path that was opened, or tried; connections."""
    (root / "out").mkdir(exist_ok=True)
    (root / "items.json").write_text(json.dumps(items))
    log = root / "strace.log"
    calls = "trace=open,openat,openat2,creat,connect"
    strace = ["strace", "-f", "-y", "--seccomp-bpf", "-s", "4096", "-e", calls, "-o", str(log)]
    done = subprocess.run(
        [*strace, sys.executable, "-c", RUN, "items.json"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    lines = log.read_text(errors="replace").splitlines()
    opened = {os.path.normpath(os.path.join(*found)) for found in CALL.findall("\n".join(lines))}
    connected = [line for line in lines if " connect(" in line]
    return json.loads(done.stdout), done.stderr.splitlines(), opened, connected


def foreign(opened, root):
    """Paths that are neither the program's own nor in the scan's folder."""
    allowed = tuple(f"{place}/" for place in (*OWN, str(root)))
    return {
        path
        for path in opened
        if not f"{path}/".startswith(allowed) and not path.endswith(SETTINGS)
    }


def named(items, root):
    """The files that were named, where side-cars of theirs would lie, and their folder's list."""
    names = {word for words in items.values() for word in words if word.startswith("given/")}
    beside = (".msk", ".ovr", ".aux.xml")
    return {str(root / name) + more for name in names for more in ("", *beside)} | {f"{root}/given"}


def check(items, root, opened, connected):
    assert connected == []
    assert foreign(opened, root) == set()
    inside = {path for path in opened if path.startswith(f"{root}/")}
    # GDAL looks whether the name with the driver in front is a file.
    ours = (f"{root}/out", f"{root}/items.json", f"{root}/GeoJSON:")
    assert {p for p in inside if not p.startswith(ours)} - named(items, root) == set()
    assert str(root / "given/plain.tif") in inside  # so it is known that openings are seen


def check_refused(found, said):
    assert found == dict.fromkeys(found, 3), said
    assert len([line for line in said if line.startswith("geodeforest: error: ")]) == len(found)
    assert [line for line in said if not line.startswith("geodeforest: ")] == []


def test_by_default_nothing_is_opened_but_what_was_named(world):
    root, items = world
    found, said, opened, connected = traced(root, items)
    check_refused(found, said)
    check(items, root, opened, connected)


def test_with_untrusted_nothing_is_opened_but_what_was_named(world):
    root, items = world
    # A process for each takes a while: those that differ from one another in this mode.
    some = {name: (*items[name], "--untrusted") for name in ASIDE}
    some["link"] = ("given/link.tif", "--untrusted")
    some["good"] = ("given/plain.tif", "--scale", "0,255", "--untrusted")
    found, said, opened, connected = traced(root, some)
    assert found.pop("good") == 0
    check_refused(found, said)
    check({**items, "link": some["link"]}, root, opened, connected)
    assert [p for p in opened if p.endswith((".msk", ".ovr", ".aux.xml", "/given"))] == []
