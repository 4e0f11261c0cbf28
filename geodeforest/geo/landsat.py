"""Landsat products: a folder, its MTL file, or files named like those in it.

Knows USGS's file names, metadata groups and bands by spacecraft (Landsat Collection 2 Level 1
and Level 2 Data Format Control Books, LSDS-1822, LSDS-1618, LSDS-1619). Opens no raster.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geodeforest.core.reflectance import ProductMask
from geodeforest.errors import SceneUnreadable
from geodeforest.geo.bands import Band, band_number
from geodeforest.geo.product_files import DiskFolder, Folder, json_object, xml_root
from geodeforest.geo.products import Label, Listing, Member
from geodeforest.geo.profile import iso_date

METADATA = ("*_MTL.txt", "*_MTL.json", "*_MTL.xml")

HIDDEN_BITS = (0, 1, 2, 3, 4)
"""Of QA_PIXEL: fill, dilated cloud, cirrus, cloud and cloud shadow (Landsat 8-9 Collection 2
Level 2 Science Product Guide, table of the pixel quality band).
"""

_OLI = {"1": "coastal", "2": "blue", "3": "green", "4": "red", "5": "nir", "6": "swir16"}
_TM = {"1": "blue", "2": "green", "3": "red", "4": "nir", "5": "swir16", "7": "swir22"}
_MSS = {"1": "green", "2": "red", "3": "nir08", "4": "nir"}
_EARLY_MSS = {str(int(number) + 3): word for number, word in _MSS.items()}
_BANDS: Mapping[str, Mapping[str, str]] = {
    "LC08": {**_OLI, "7": "swir22"},
    "LC09": {**_OLI, "7": "swir22"},
    "LE07": _TM,
    "LT05": _TM,
    "LT04": _TM,
    "LM05": _MSS,
    "LM04": _MSS,
    "LM03": _EARLY_MSS,
    "LM02": _EARLY_MSS,
    "LM01": _EARLY_MSS,
}
"""What a band's number means, by sensor and spacecraft as file names begin."""

_ID = r"(L[COTEM]0\d)_(L[12][A-Z]{2})_\d{6}_(\d{8})_\d{8}_(0\d)_(?:T1|T2|RT)"
_PRODUCT = re.compile(_ID)
_FILE = re.compile(rf"({_ID})_(?:SR_)?B(\d\d?)")
SURFACE = (2.75e-5, -0.2)
"""Gain and offset that the metadata of every Collection 2 level 2 product tell."""

_OVERHEAD = (2e-5, -0.1)
"""The same of every level 1 product of Landsat 8 and 9, for a sun overhead."""


@dataclass(frozen=True, slots=True)
class ProductId:
    """What a product's name tells; ``level`` is "L1" or "L2", ``collection`` "01" or "02"."""

    sensor: str
    level: str
    date: str | None
    collection: str

    @property
    def kind(self) -> str:
        """Such as "landsat-c2-l1"."""
        return f"landsat-c{int(self.collection)}-{self.level.lower()}"

    def meaning(self, number: str) -> str | None:
        """The spectral band that a band's number stands for."""
        return _BANDS.get("LC" + self.sensor[2:] if self.sensor[1] == "O" else self.sensor, {}).get(
            number
        )


def product_id(name: str) -> ProductId | None:
    """The product that a file's or folder's name begins with."""
    found = _PRODUCT.match(name)
    if found is None:
        return None
    sensor, level, date, collection = found.groups()
    return ProductId(sensor, level[:2], iso_date(date), collection)


def list_product(folder: Folder) -> Listing | None:
    """The reflective 30 m bands of a product; None where the folder holds no Landsat product.

    Raises:
        SceneUnreadable: it holds several, no bands, or damaged metadata.
    """
    metadata = [name for pattern in METADATA for name in folder.find(pattern)]
    if not metadata:
        return None
    stems = {name.rpartition("_MTL.")[0] for name in metadata}
    if len(stems) > 1:
        why = f"holds {len(stems)} Landsat products"
        raise SceneUnreadable(folder.path, why, "give the MTL file of one of them")
    return _product(folder, metadata[0])


def list_metadata(path: Path) -> Listing:
    """The product of an MTL file.

    Raises:
        SceneUnreadable: it holds no bands, or the file is damaged.
    """
    return _product(DiskFolder(path.parent), path.name)


def list_files(paths: tuple[str, ...]) -> Listing | None:
    """Files of one product by their names; the MTL file beside them counts, if there is one.

    None where the names are not those of Landsat bands, or of several products.
    """
    found = [_FILE.fullmatch(Path(path).stem) for path in paths]
    names = [name for name in found if name is not None]
    if len(names) < len(paths) or len({name[1] for name in names}) > 1:
        return None
    stem = names[0][1]
    facts = _facts_beside(Path(paths[0]), stem)
    members = tuple(
        Member(path, (facts.label(name[6], Path(path).stem[len(stem) + 1 :]),))
        for path, name in zip(paths, names, strict=True)
    )
    return facts.listing(members)


def list_stack(path: str, bands: Sequence[Band]) -> Listing | None:
    """A file of several bands that bears a product's name; None where it does not.

    Its numbers are a product's as long as they have not been converted; which band is which
    only its descriptions tell.
    """
    stem = Path(path).stem
    found = _PRODUCT.match(stem)
    if found is None:
        return None
    facts = _facts_beside(Path(path), found[0])
    labels = tuple(
        facts.label((band_number(band.description or "") or "b")[1:], band.description or "")
        for band in bands
    )
    return facts.listing((Member(path, labels),))


def _facts_beside(path: Path, stem: str) -> _Facts:
    folder = DiskFolder(path.parent)
    beside = [name for m in METADATA for name in folder.find(stem + m.removeprefix("*"))]
    return _Facts(folder, beside[0] if beside else None, stem)


def _product(folder: Folder, metadata: str) -> Listing:
    stem = metadata.rpartition("_MTL.")[0]
    facts = _Facts(folder, metadata, stem)
    members = []
    for number in facts.numbers:
        for name in folder.find(f"{stem}_{facts.prefix}B{number}.TIF"):
            band = name.removeprefix(f"{stem}_").removesuffix(".TIF")
            members.append(Member(folder.raster(name), (facts.label(number, band),)))
    if not members:
        why = f"has no files {stem}_{facts.prefix}B*.TIF beside {metadata}"
        raise SceneUnreadable(folder.path, why, "unpack the whole product")
    return facts.listing(tuple(members))


class _Facts:
    """What the name and the metadata file of a product say."""

    def __init__(self, folder: Folder, metadata: str | None, stem: str) -> None:
        self._groups = {} if metadata is None else _groups(folder, metadata)
        self._metadata, self._folder, self._stem = metadata, folder, stem
        known = product_id(stem) or product_id(self._find("LANDSAT_PRODUCT_ID") or "")
        if known is None:
            why = f"names no Landsat product: {stem}"
            raise SceneUnreadable(folder.path, why, "give the files their own names back")
        self.id = known
        oli = known.sensor in ("LC08", "LC09", "LO08", "LO09")
        self.overhead = metadata is None and known.level == "L1" and oli
        self.prefix = "SR_" if known.level == "L2" else ""
        self.numbers = tuple(_BANDS.get("LC08" if known.sensor[1] == "O" else known.sensor, {}))

    def label(self, number: str, name: str) -> Label:
        """What is known of a band."""
        gain, offset = self._calibration(number)
        return Label(name, self.id.meaning(number), 0, gain, offset)

    def listing(self, members: tuple[Member, ...]) -> Listing:
        """The product."""
        level = self.id.level.removeprefix("L")
        told_by = self._metadata or f"Landsat level {level} by the file's name"
        date = iso_date(self._find("DATE_ACQUIRED") or "") or self.id.date
        found = self._folder.find(f"{self._stem}_QA_PIXEL.TIF")
        mask = None
        if found:
            mask = ProductMask(self._folder.raster(found[0]), (), HIDDEN_BITS, "QA_PIXEL")
        stored = ("uint16",) if self._metadata is None else ("uint16", "uint8")
        return Listing(
            self.id.kind,
            members,
            told_by,
            date=date,
            mask=mask,
            stored=stored,
            overhead=self.overhead,
        )

    def _calibration(self, number: str) -> tuple[float | None, float]:
        second = self.id.level == "L2"
        if self._metadata is None:
            return self._usual()
        # Both groups stand in the metadata of level 2, with the same names.
        surface = ("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS",)
        group = surface if second else ("LEVEL1_RADIOMETRIC_RESCALING", "RADIOMETRIC_RESCALING")
        gain = self._number(f"REFLECTANCE_MULT_BAND_{number}", group)
        offset = self._number(f"REFLECTANCE_ADD_BAND_{number}", group)
        if gain is None or offset is None:
            return None, 0.0
        if second:
            return gain, offset
        sun = self._number("SUN_ELEVATION")
        if sun is None or not 0 < sun <= 90:
            return None, 0.0
        # Level 1 is as if the sun stood overhead (LSDS-1822, conversion to TOA reflectance).
        height = math.sin(math.radians(sun))
        return gain / height, offset / height

    def _usual(self) -> tuple[float | None, float]:
        """What holds of all products of the kind."""
        if self.id.level == "L2":
            return SURFACE if self.id.collection == "02" else (None, 0.0)
        return _OVERHEAD if self.overhead else (None, 0.0)

    def _find(self, key: str, groups: tuple[str, ...] = ()) -> str | None:
        for name, group in self._groups.items():
            if key in group and (not groups or name in groups):
                return group[key]
        return None

    def _number(self, key: str, groups: tuple[str, ...] = ()) -> float | None:
        try:
            return float(self._find(key, groups) or "")
        except ValueError:
            return None


def _groups(folder: Folder, name: str) -> dict[str, dict[str, str]]:
    """The metadata by group, from any of the three formats."""
    if name.endswith(".json"):
        found = next(iter(json_object(folder, name).values()), None)
        groups = found.items() if isinstance(found, dict) else ()
        return {
            key: {k: str(v) for k, v in group.items()}
            for key, group in groups
            if isinstance(group, dict)
        }
    if name.endswith(".xml"):
        root = xml_root(folder, name)
        return {group.tag: {each.tag: each.text or "" for each in group} for group in root}
    return _odl_groups(folder.read(name).decode("utf-8", "replace"))


def _odl_groups(text: str) -> dict[str, dict[str, str]]:
    """The groups of Object Description Language, by their innermost names."""
    groups: dict[str, dict[str, str]] = {}
    open_groups: list[str] = []
    for line in text.splitlines():
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            continue
        if key == "GROUP":
            open_groups.append(value)
        elif key == "END_GROUP":
            del open_groups[-1:]
        elif open_groups:
            groups.setdefault(open_groups[-1], {})[key] = value.strip('"')
    return groups
