"""The odd rasters of other projects: the files, what should become of each, and what does.

The manifest beside the files says what should become of each. It was made by rule from a
look at the files; where another outcome is right, ``BETTER`` says why.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from geodeforest.workflows.guard import guarded_environment

CORPUS = Path(__file__).resolve().parents[1].parent / "shared" / "odd_tiffs"
WORKER = Path(__file__).parent / "geo" / "corpus_worker.py"

# What the one line says -> what became of the file. Code 8 is a limit that an option raises.
SAYS = {
    r"no geotransform|no CRS;|no usable geotransform": "REFUSE_NOGEOREF",
    r"no CRS that can be placed on Earth|no CRS on Earth": "REFUSE_LOCAL_CRS",
    r"is a palette image": "REFUSE_PALETTE",
    r"holds complex\w* numbers": "REFUSE_DTYPE",
    r"is VRT text": "REFUSE_DRIVER",
    r"its header declares|--max-pixels|--memory": "REFUSE_SIZE",
    r"cannot be opened|header is damaged|Git LFS pointer|is compressed with": "REFUSE_OPEN",
    r"cannot be read \(": "BLOCK_ERROR",
}

# What the manifest expects -> what else fulfils it.
SAME = {
    "BLOCK_ERROR_ALL": {"BLOCK_ERROR"},
    "BLOCK_ERROR_PARTIAL": {"BLOCK_ERROR"},
    "REFUSE_SIZE_OR_WINDOWED": {"REFUSE_SIZE", "OK", "OK_ALL_NODATA"},
}

# (expected, became, part of the path) -> why that is better. Each has to be of use.
BETTER = {
    ("BLOCK_ERROR", "REFUSE_NOGEOREF", ""): (
        "without a place on Earth it is refused by its header, before a pixel is read"
    ),
    ("REFUSE_SIZE_OR_WINDOWED", "REFUSE_NOGEOREF", ""): (
        "likewise: its size can wait, its blocks are small"
    ),
    ("BLOCK_ERROR", "REFUSE_OPEN", ""): (
        "the chain of directories is broken, so a mask may be lost, and what was not observed "
        "would count; the header says so before any pixel does"
    ),
    ("REFUSE_NOGEOREF", "REFUSE_OPEN", ""): "likewise; one that bites its tail is broken too",
    ("REFUSE_NOGEOREF", "REFUSE_PALETTE", ""): (
        "both are true; a georeference would not make brightness of colour numbers"
    ),
    ("REFUSE_OPEN", "REFUSE_PALETTE", "libtiff-uninit-mem2.tif"): (
        "GDAL opens it; only the probe did not know its compression"
    ),
    ("OK", "REFUSE_PALETTE", ""): "a palette is never used as reflectance",
    ("REFUSE_OPEN", "REFUSE_NOGEOREF", ""): (
        "the probe did not know the name of the compression; GDAL reads it, so what is missing "
        "is the place"
    ),
    ("REFUSE_OPEN", "REFUSE_DRIVER", ""): "VRT text is known by its first bytes and not opened",
    ("OK", "OK_ALL_NODATA", "red_square.tif"): (
        "its nodata is 0 in any band, and pure red is 0 in green and blue: one band of nodata is "
        "enough not to be assessed"
    ),
    ("OK", "REFUSE_LOCAL_CRS", "cog_hirise_mars.tif"): (
        "Mars has no longitudes on Earth, which GeoJSON needs; as .gpkg it is scanned"
    ),
    ("OK", "REFUSE_LOCAL_CRS", "epsg4326_geotiff1_1.tif"): (
        "latitude 3,751,320: metres that call themselves degrees"
    ),
}


def manifest():
    if not (CORPUS / "MANIFEST.tsv").exists():
        return []
    with (CORPUS / "MANIFEST.tsv").open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table, delimiter="\t"))


FILES = {row["file"]: row for row in manifest()}


def outcome(found):
    if found["code"] == 0:
        return "OK" if found["counts"]["assessed_px"] else "OK_ALL_NODATA"
    error = found["said"][-1] if found["said"] else ""
    return next((what for words, what in SAYS.items() if re.search(words, error)), error)


def fulfils(expected, became):
    return became == expected or became in SAME.get(expected, ())


def reason(expected, became, file):
    """The row of ``BETTER`` that speaks of this, None where there is none."""
    rows = (
        row for row in BETTER if expected.startswith(row[0]) and row[1] == became and row[2] in file
    )
    return next(rows, None)


def worker(paths, scratch, *extra):
    """What the worker finds of each file of ``paths`` (file: where it lies).

    Where the worker dies, the file says so, and another goes on.
    """
    found, waiting = {}, dict(enumerate(paths))
    environment = {**os.environ, "PYTHONPATH": str(WORKER.parents[2])}
    if "--untrusted" in extra:
        environment = guarded_environment(environment)
    while waiting:
        lines = [
            f"{number}\t{3 if int(FILES[file]['bands'] or 1) >= 3 else 1}\t{paths[file]}\n"
            for number, file in waiting.items()
        ]
        done = subprocess.run(
            [sys.executable, str(WORKER), *extra],
            input="".join(lines),
            capture_output=True,
            text=True,
            cwd=scratch,
            env=environment,
            timeout=600,
        )
        for line in done.stdout.splitlines():
            one = json.loads(line)
            found[waiting.pop(one["number"])] = one
        if waiting:  # it died at the first that is missing
            file = waiting.pop(min(waiting))
            found[file] = {"code": done.returncode, "said": ["it died"], "left": []}
    return found


PLACE = (
    "<PAMDataset><SRS>EPSG:32721</SRS>"
    "<GeoTransform>500000, 10, 0, 9300000, 0, -10</GeoTransform></PAMDataset>"
)
PLACELESS = [
    file
    for file, row in FILES.items()
    if row["expected_geodeforest"].startswith(("BLOCK", "REFUSE_NOGEOREF"))
    and row["gcps"] == "0"  # which hide the side-car's place from GDAL
]


def placed_copy(file, path):
    """A copy of one of the files, with a place in a side-car."""
    path.write_bytes((CORPUS / file).read_bytes())
    Path(f"{path}.aux.xml").write_text(PLACE)
    return path
