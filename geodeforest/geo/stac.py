"""STAC items: the assets that hold spectral bands, by common name.

Knows the item's JSON of STAC 1.0 (``eo:bands``, ``raster:bands``) and 1.1 (``bands``), and the
fields in which the large catalogues tell of Sentinel-2 and Landsat. Opens no raster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from geodeforest.core.reflectance import ProductMask
from geodeforest.errors import SceneUnreadable
from geodeforest.geo import landsat, sentinel2
from geodeforest.geo.bands import SPECTRAL, canonical
from geodeforest.geo.product_files import DiskFolder, json_object
from geodeforest.geo.products import Label, Listing, Member
from geodeforest.geo.profile import iso_date

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_RASTER = re.compile(r"image/(?:tiff|jp2|vnd\.stac\.geotiff)")
_ENDINGS = (".tif", ".tiff", ".jp2")
_BANDS = ("bands", "eo:bands")
_SHARED = ("nodata", "raster:scale", "raster:offset")
_PICTURES = frozenset({"thumbnail", "overview", "visual"})
_MASKS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "SCL": (sentinel2.HIDDEN_CLASSES, ()),
    "QA_PIXEL": ((), landsat.HIDDEN_BITS),
}


def list_item(path: Path) -> Listing:
    """The bands of an item; its true-colour image where it has nothing else.

    Raises:
        SceneUnreadable: no item, or one without spectral bands.
    """
    item = json_object(DiskFolder(path.parent), path.name)
    assets = item.get("assets")
    if item.get("type") != "Feature" or not isinstance(assets, dict):
        why = "is JSON, but no STAC item"
        raise SceneUnreadable(path, why, "give a raster, or an item with assets")
    told = item.get("properties")
    reader = _Item(path.parent, told if isinstance(told, dict) else {}, str(item.get("id", "")))
    known = [(key, asset) for key, asset in assets.items() if isinstance(asset, dict)]
    data = [(key, asset) for key, asset in known if not _is_picture(key, asset)]
    members = _once(reader.members(data)) or _once(reader.members(known))
    if not members:
        why = "has no asset that names a spectral band"
        raise SceneUnreadable(path, why, "give the files of its bands, such as B04.tif,B03.tif")
    return Listing(
        reader.kind,
        members,
        path.name,
        reader.baseline,
        reader.date,
        reader.mask(known),
        stored=("uint16", "int16"),
    )


class _Item:
    """What the properties of an item say of all of its assets."""

    def __init__(self, folder: Path, properties: Mapping[str, Any], item_id: str) -> None:
        self._folder, self._told = folder, properties
        self.date = iso_date(str(properties.get("datetime") or properties.get("start_datetime")))
        baseline = properties.get("s2:processing_baseline")
        self.baseline = None if baseline is None else str(baseline)
        self.kind = self._kind(item_id)

    def _kind(self, item_id: str) -> str:
        words = " ".join(
            str(self._told.get(key, "")).lower()
            for key in ("constellation", "platform", "s2:product_type", "processing:level")
        )
        if "landsat" in words:
            level = str(self._told.get("landsat:correction", ""))[:2].lower() or "l2"
            return f"landsat-c2-{level}"
        if "sentinel-2" in words or item_id.startswith(("S2A", "S2B", "S2C")):
            level_1 = "l1c" in f"{words} {item_id}".lower() or "msi1c" in words
            return "sentinel-2-l1c" if level_1 else "sentinel-2-l2a"
        return "stac"

    def members(self, assets: list[tuple[str, dict[str, Any]]]) -> Iterator[Member]:
        """The assets all of whose bands are known, and at least one spectral."""
        for key, asset in assets:
            labels = [self._label(key, band) for band in _bands(asset)]
            if labels and _is_raster(asset) and any(label.meaning for label in labels):
                yield Member(self._place(str(asset.get("href", ""))), tuple(labels))

    def mask(self, assets: list[tuple[str, dict[str, Any]]]) -> ProductMask | None:
        """The scene classification or quality band, if there is one."""
        for key, asset in assets:
            if (known := _MASKS.get(key.upper())) is not None and _is_raster(asset):
                return ProductMask(self._place(str(asset.get("href", ""))), *known, key.upper())
        return None

    def _label(self, key: str, band: Mapping[str, Any]) -> Label:
        name = str(band.get("name") or key)
        words = (band.get("eo:common_name"), band.get("common_name"), name, key)
        meaning = next((w for word in words if (w := canonical(str(word))) in SPECTRAL), None)
        gain, offset = self._calibration(band)
        return Label(name, meaning, _number(band.get("nodata")), gain, offset)

    def _calibration(self, band: Mapping[str, Any]) -> tuple[float | None, float]:
        scale = _number(band.get("raster:scale", band.get("scale")))
        offset = _number(band.get("raster:offset", band.get("offset"))) or 0.0
        if self.kind.startswith("sentinel-2"):
            if scale is None:
                scale = 1e-4
                offset = sentinel2.REFLECTANCE_OFFSET if (self.baseline or "") >= "04.00" else 0.0
            # One catalogue took the offset off its pixels and left it in its metadata.
            return scale, 0.0 if self._told.get("earthsearch:boa_offset_applied") else offset
        if self.kind == "landsat-c2-l2" and scale is None:
            return landsat.SURFACE
        return scale, offset

    def _place(self, href: str) -> str:
        if href.lower().startswith("file:"):
            return unquote(urlsplit(href).path)
        return href if _SCHEME.match(href) else str(self._folder / href)


def _bands(asset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is told of each band, in either version's words."""
    listed = next((b for key in _BANDS if isinstance(b := asset.get(key), list) and b), [])
    more = asset.get("raster:bands")
    bands = [dict(band) for band in listed if isinstance(band, dict)]
    if isinstance(more, list) and len(more) == len(bands):
        bands = [
            {**(facts if isinstance(facts, dict) else {}), **band}
            for facts, band in zip(more, bands, strict=True)
        ]
    shared = {
        key: asset[key] for key in ("nodata", "raster:scale", "raster:offset") if key in asset
    }
    return [{**shared, **band} for band in bands]


def _is_raster(asset: Mapping[str, Any]) -> bool:
    path = urlsplit(str(asset.get("href", ""))).path.lower()
    return bool(_RASTER.match(str(asset.get("type", "")))) or path.endswith(_ENDINGS)


def _is_picture(key: str, asset: Mapping[str, Any]) -> bool:
    roles = asset.get("roles")
    named = {key.lower(), *(map(str, roles) if isinstance(roles, list) else ())}
    return bool(named & _PICTURES)


def _once(members: Iterator[Member]) -> tuple[Member, ...]:
    """Without assets that hold again what one before them holds, in another format or size."""
    kept: list[Member] = []
    seen: set[str] = set()
    for member in members:
        words = {label.meaning or label.name for label in member.labels}
        if not words <= seen:
            kept.append(member)
        seen |= words
    return tuple(kept)


def _number(told: Any) -> float | None:
    try:
        return None if told is None else float(told)
    except (TypeError, ValueError):
        return None
