"""What the program takes of memory beside the pixels, by the packages that a scan loads.

Knows numbers that were measured (``benchmarks/plan_truth.py``); loads nothing.
"""

from __future__ import annotations

from collections.abc import Collection

PROGRAM_BYTES = 140 * 2**20
"""Interpreter, numpy, GDAL, shapely, pyproj and ONNX Runtime at work: what every scan loads."""

_LOADED_BYTES = {
    "geopandas": 15 * 2**20,
    "pyarrow": 55 * 2**20,
    "pyarrow.parquet": 25 * 2**20,
    "pyogrio": 50 * 2**20,
    "tensorflow": 620 * 2**20,
}
"""Packages at work, without what those named before them load too; pandas comes with each."""


def program_bytes(loads: Collection[str] = ()) -> int:
    """The memory of a program that also loads these packages."""
    return PROGRAM_BYTES + sum(size for name, size in _LOADED_BYTES.items() if name in loads)
