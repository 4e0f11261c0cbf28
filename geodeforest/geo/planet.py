"""PlanetScope files: analytic images in their own band order, with metadata beside them.

Knows Planet's file names and metadata elements (Planet Imagery Product Specifications).
Opens no raster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from geodeforest.core.reflectance import ProductMask
from geodeforest.geo.bands import SPECTRAL, Band
from geodeforest.geo.product_files import DiskFolder, xml_root
from geodeforest.geo.products import Label, Listing, Member
from geodeforest.geo.profile import iso_date

_ORDERS = {
    4: ("blue", "green", "red", "nir"),
    5: ("blue", "green", "red", "rededge1", "nir"),
    8: ("coastal", "blue", "green_i", "green", "yellow", "red", "rededge1", "nir"),
}
"""What the bands are, by how many there are."""

# 20230511_141718_83_2460_3B_AnalyticMS_SR_8b_harmonized_clip, or from the Orders API
# 20230511_141718_83_2460_3B_ortho_analytic_4b_sr.
_FILE = re.compile(r"((\d{8})_\d{6}_\w+?_[13][AB])_(?:AnalyticMS|BGRN|ortho_analytic)(\w*)")
_SURFACE = re.compile(r"_sr(?![a-z])", re.IGNORECASE)
_SURFACE_UNIT = 1e-4


def list_file(path: str, bands: Sequence[Band]) -> Listing | None:
    """An analytic image by its name; None where it is none, or describes its bands otherwise.

    Surface reflectance is stored x 10,000; for radiance the coefficients come from the
    metadata file beside it. The usable data mask of the same image counts, if it is there.
    """
    name, order = _FILE.fullmatch(Path(path).stem), _ORDERS.get(len(bands))
    if name is None or order is None:
        return None
    words = [band.word for band in bands]
    if not SPECTRAL.isdisjoint(words) and words != list(order):
        return None  # someone chose other bands, or put them in another order
    folder, scene = DiskFolder(Path(path).parent), name[1]
    surface = _SURFACE.search(name[3]) is not None
    gains = dict.fromkeys(range(1, len(order) + 1), _SURFACE_UNIT) if surface else {}
    told_by = "surface reflectance x 10,000, by the file's name"
    for metadata in [] if surface else folder.find(f"{scene}_*metadata*.xml"):
        gains, told_by = _coefficients(folder, metadata), metadata
    labels = tuple(Label(word, word, 0, gains.get(number)) for number, word in enumerate(order, 1))
    return Listing(
        "planet-sr" if surface else "planet-toa",
        (Member(path, labels),),
        told_by,
        date=iso_date(name[2]),
        mask=_mask(folder, scene),
    )


def _mask(folder: DiskFolder, scene: str) -> ProductMask | None:
    # Its first band is 1 where the ground is clear: no snow, shadow, haze or cloud.
    found = [*folder.find(f"{scene}_udm2*.tif"), *folder.find(f"{scene}_ortho_udm2*.tif")]
    return ProductMask(folder.raster(found[0]), (0,), (), "UDM2") if found else None


def _coefficients(folder: DiskFolder, name: str) -> dict[int, float]:
    """Reflectance of one unit of stored radiance, by band number."""
    told = {}
    for each in xml_root(folder, name).iter():
        if each.tag.rpartition("}")[2] == "bandSpecificMetadata":
            facts = {child.tag.rpartition("}")[2]: child.text or "" for child in each}
            try:
                told[int(facts["bandNumber"])] = float(facts["reflectanceCoefficient"])
            except (KeyError, ValueError):
                continue
    return told
