"""Sentinel-2 products: ``.SAFE`` folders and zips, and single files that come from one.

Knows ESA's folder layout, file names and metadata elements (Sentinel-2 Products Specification
Document). Opens no raster.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

from geodeforest.core.reflectance import ProductMask
from geodeforest.errors import SceneUnreadable
from geodeforest.geo.bands import canonical
from geodeforest.geo.product_files import DiskFolder, Folder, xml_root
from geodeforest.geo.products import Label, Listing, Member
from geodeforest.geo.profile import iso_date

METADATA = ("MTD_MSIL1C.xml", "MTD_MSIL2A.xml")

HIDDEN_CLASSES = (0, 1, 3, 8, 9, 10)
"""Of the scene classification: no data, saturated, cloud shadow, cloud of medium and of high
probability, cirrus (Level-2A Algorithm Theoretical Basis Document 2.10, table of scene classes).
"""

REFLECTANCE_OFFSET = -0.1
"""What baseline 04.00 and later adds to stored / 10,000 to get reflectance."""

_TEN_METRES = ("B02", "B03", "B04", "B08")
_FILE = re.compile(r"(?:L2A_)?T\d{2}[A-Z]{3}_(\d{8})T\d{6}_(B(?:\d\d|8A)|TCI)(_\d\dm)?")
_TCI_TOP = {"l1c": 0.3558, "l2a": 0.2}
"""The reflectance that 255 stands for in a true-colour image, by level (ESA's user guide)."""
_LEVELS_UP = 5
"""A 10 m band lies this many folders below its product at most."""


def list_product(folder: Folder) -> Listing | None:
    """The 10 m bands of a product, or its true-colour image where it has nothing else.

    None where the folder holds no Sentinel-2 product.

    Raises:
        SceneUnreadable: it has several granules, no 10 m bands, or damaged metadata.
    """
    found = [name for name in METADATA if folder.find(name)]
    if not found:
        return None
    level = found[0][-7:-4].lower()
    every = (folder.find(f"GRANULE/*/IMG_DATA/{below}") for below in ("*", "*/*"))
    granules = sorted({name.split("/")[1] for names in every for name in names})
    if len(granules) != 1:
        raise SceneUnreadable(
            folder.path,
            f"holds {len(granules)} granules, not one",
            "download the product again" if not granules else "give the files of one of them",
        )
    place = f"GRANULE/{granules[0]}/IMG_DATA" + "/R10m" * (level == "l2a")
    facts = _Facts(xml_root(folder, found[0]), level, found[0])
    images = {name: folder.find(f"{place}/*_{name}*.jp2") for name in (*_TEN_METRES, "TCI")}
    members = tuple(
        Member(folder.raster(images[name][0]), (facts.label(name),))
        for name in _TEN_METRES
        if images[name]
    )
    mask = _mask(folder, granules[0], level)
    if members:
        return facts.listing(members, mask)
    if images["TCI"]:
        return _true_colour(folder.raster(images["TCI"][0]), level, facts.date, mask)
    why = f"has no 10 m bands in {place}"
    raise SceneUnreadable(folder.path, why, "download the product again")


def list_files(paths: tuple[str, ...]) -> Listing | None:
    """Files of one product by their names, such as T21LXK_20200701T140051_B04_10m.jp2.

    The metadata of the ``.SAFE`` folder around them count, if there is one. None where the
    names are not those of Sentinel-2 files.
    """
    names = [_FILE.fullmatch(Path(path).stem) for path in paths]
    if not all(names):
        return None
    known = [name for name in names if name is not None]
    bands = [name[2] for name in known]
    folder = _product_around(Path(paths[0]))
    level = "l2a" if known[0][3] else "l1c"
    mask = None
    facts = None
    if folder is not None:
        found = next(name for name in METADATA if folder.find(name))
        level = found[-7:-4].lower()
        facts = _Facts(xml_root(folder, found), level, found)
        mask = _mask(folder, Path(paths[0]).absolute().relative_to(folder.root).parts[1], level)
    date = iso_date(known[0][1]) if facts is None else facts.date
    if bands == ["TCI"]:
        return _true_colour(paths[0], level, date, mask)
    if "TCI" in bands:
        return None
    members = tuple(
        Member(path, (_bare_label(name) if facts is None else facts.label(name),))
        for path, name in zip(paths, bands, strict=True)
    )
    if facts is None:
        return Listing(f"sentinel-2-{level}", members, date=date)
    return facts.listing(members, mask)


def _bare_label(name: str) -> Label:
    return Label(name, canonical(name), nodata=0)


class _Facts:
    """What a product's main metadata file says."""

    def __init__(self, root: ElementTree.Element, level: str, name: str) -> None:
        self.level, self.name = level, name
        self.baseline = root.findtext(".//PROCESSING_BASELINE")
        start = root.findtext(".//PRODUCT_START_TIME") or root.findtext(".//DATATAKE_SENSING_START")
        self.date = iso_date(start or "")
        element = "QUANTIFICATION_VALUE" if level == "l1c" else "BOA_QUANTIFICATION_VALUE"
        # Level 2A before baseline 02.00 had an element L2A_BOA_QUANTIFICATION_VALUE.
        self._units = _number(root.findtext(f".//{element}") or root.findtext(f".//L2A_{element}"))
        offset = "RADIO_ADD_OFFSET" if level == "l1c" else "BOA_ADD_OFFSET"
        self._offsets = {
            str(each.get("band_id")): _number(each.text) or 0.0
            for each in root.iterfind(f".//{offset}")
        }
        self._nodata = next(
            (
                _number(each.findtext("SPECIAL_VALUE_INDEX"))
                for each in root.iterfind(".//Special_Values")
                if each.findtext("SPECIAL_VALUE_TEXT") == "NODATA"
            ),
            0.0,
        )

    def label(self, name: str) -> Label:
        """What it says of a band."""
        if not self._units:
            return Label(name, canonical(name), self._nodata)
        offset = self._offsets.get(_band_id(name), 0.0)
        return Label(name, canonical(name), self._nodata, 1 / self._units, offset / self._units)

    def listing(self, members: tuple[Member, ...], mask: ProductMask | None) -> Listing:
        """The product."""
        kind = f"sentinel-2-{self.level}"
        return Listing(kind, members, self.name, self.baseline, self.date, mask)


def _true_colour(
    path: str | os.PathLike[str], level: str, date: str | None, mask: ProductMask | None
) -> Listing:
    # Zero means no data in all bands together: in a single one it is dark water.
    gain = _TCI_TOP[level] / 255
    labels = tuple(Label(name, name, gain=gain) for name in ("red", "green", "blue"))
    told_by = f"true-colour image of level {level[1:].upper()}"
    members = (Member(path, labels),)
    return Listing(
        "sentinel-2-tci", members, told_by, date=date, mask=mask, blank=0, stored=("uint8",)
    )


def _mask(folder: Folder, granule: str, level: str) -> ProductMask | None:
    if level == "l2a":
        found = folder.find(f"GRANULE/{granule}/IMG_DATA/R20m/*_SCL_20m.jp2")
        if found:
            return ProductMask(folder.raster(found[0]), HIDDEN_CLASSES, (), "SCL")
        return None
    # Since baseline 04.00 a raster: opaque cloud, cirrus and snow, each 1 where there is any.
    found = folder.find(f"GRANULE/{granule}/QI_DATA/MSK_CLASSI_B00.jp2")
    if found:
        return ProductMask(folder.raster(found[0]), (1,), (), "MSK_CLASSI", bands=(1, 2))
    return None


def _product_around(path: Path) -> DiskFolder | None:
    for parent in path.absolute().parents[:_LEVELS_UP]:
        if any((parent / name).is_file() for name in METADATA):
            return DiskFolder(parent)
    return None


def _band_id(name: str) -> str:
    """The number by which the metadata name a band: from 0, B8A after B08."""
    if name == "B8A":
        return "8"
    number = int(name[1:])
    return str(number - 1 if number <= 8 else number)


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
