"""Opens VRT files that only put together plain local rasters.

A VRT can read any file or address, run code, and name a file in a dozen places. So what GDAL
gets is not the file but a text made anew of the elements that are known here, in which each
source is an absolute path that was opened as a raster by itself before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import rasterio

from geodeforest.core.addresses import is_remote, redacted
from geodeforest.errors import SceneUnreadable

_LIMIT_BYTES = 2**24

# https://gdal.org/drivers/raster/vrt.html: mosaics, stacks, crops, nodata, linear scales and
# masks. Not here: warping, kernels, raw bands, pixel functions, and options of drivers.
_ELEMENTS = """
    VRTDataset SRS GeoTransform GCPList GCP Metadata MDI BlockXSize BlockYSize MaskBand
    VRTRasterBand Description NoDataValue HideNoDataValue UnitType Offset Scale ColorInterp
    ColorTable Entry CategoryNames Category Histograms HistItem HistMin HistMax BucketCount
    IncludeOutOfRange Approximate HistCounts SimpleSource ComplexSource SourceFilename
    SourceBand SourceProperties SrcRect DstRect NODATA UseMaskBand ScaleOffset ScaleRatio LUT
    ColorTableComponent
"""
_PLAIN = frozenset(_ELEMENTS.split())
_PLAIN_BAND = "VRTSourcedRasterBand"


def open_vrt(path: Path, check_source: Callable[[Path], None]) -> rasterio.DatasetReader:
    """Open a VRT for reading. ``check_source`` refuses a source that is no plain raster.

    Raises:
        SceneUnreadable: it holds more than plain local sources, or is no VRT.
        SceneError: a source is missing or refused.
        RasterioError: GDAL cannot make sense of it.
    """
    tree = _parsed(path)
    checked: set[Path] = set()
    # Metadata in a domain can name files, such as OVERVIEW_FILE; none of it is needed.
    for element in tree.iter():
        for child in [one for one in element if one.tag == "Metadata" and one.get("domain")]:
            element.remove(child)
    for element in tree.iter():
        _refuse_unknown(element, path)
        if element.tag == "SourceFilename":
            source = _source(element, path)
            if source not in checked:
                check_source(source)
                checked.add(source)
            element.attrib.clear()
            element.set("relativeToVRT", "0")
            element.text = str(source)
    return rasterio.open(ElementTree.tostring(tree, encoding="unicode"), driver="VRT")


def _parsed(path: Path) -> ElementTree.Element:
    if path.stat().st_size > _LIMIT_BYTES:
        raise _refused(path, f"is a VRT of over {_LIMIT_BYTES // 2**20} MB")
    text = path.read_bytes()
    if b"<!" in text:  # entities, which can grow without bounds; comments are no loss
        raise _refused(path, "is a VRT with declarations or comments")
    try:
        tree = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # an unknown encoding
        raise _refused(path, f"is XML that cannot be read ({error})") from error
    if tree.tag != "VRTDataset":
        raise _refused(path, "is XML but not VRT")
    return tree


def _refuse_unknown(element: ElementTree.Element, path: Path) -> None:
    kind = element.get("subClass")
    if element.tag not in _PLAIN:
        raise _refused(path, f"is a VRT with <{element.tag[:40]}>, which is not read")
    if kind is not None and kind != _PLAIN_BAND:
        raise _refused(path, f"is a VRT with a {kind[:40]}, which is not read")


def _source(element: ElementTree.Element, path: Path) -> Path:
    name = element.text or ""
    if is_remote(name):
        raise _refused(path, f"is a VRT with the remote source {redacted(name)}")
    relative = element.get("relativeToVRT", "0") == "1"
    return (path.parent if relative else Path()).absolute() / name


def _refused(path: Path, what: str) -> SceneUnreadable:
    return SceneUnreadable(
        path, what, "make a GeoTIFF of it first, for example with rio convert IN OUT.tif"
    )
