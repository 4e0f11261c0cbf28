"""Which bands of a raster are read, in which order.

Knows names, colours and numbers of bands; nothing of pixels, files or models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from geodeforest.errors import BandMissing, OptionError, SceneUnreadable

# Sentinel-2's band numbers in words (ESA, Sentinel-2 User Handbook, table of spectral
# bands), with and without the zero. Landsat 8 and 9 agree on bands 2 to 4; of Landsat 4 to 7
# ``geo.landsat`` tells the meaning.
_SENTINEL2 = {
    "b01": "coastal",
    "b02": "blue",
    "b03": "green",
    "b04": "red",
    "b05": "rededge1",
    "b06": "rededge2",
    "b07": "rededge3",
    "b08": "nir",
    "b8a": "nir08",
    "b09": "nir09",
    "b10": "cirrus",
    "b11": "swir16",
    "b12": "swir22",
}
_ALIASES = {
    **_SENTINEL2,
    **{f"b{key[2:]}": name for key, name in _SENTINEL2.items() if key.startswith("b0")},
    "near infrared": "nir",
    "near-infrared": "nir",
}
SPECTRAL = frozenset(_SENTINEL2.values())
# B4, SR_B4, Band 4, B04_10m: the ways of writing a band's number.
_NUMBERED = re.compile(r"(?:sr_|toa_)?b(?:and)?[ _-]?(\d{1,2}a?)(?:_\d+m)?")
# The same, or a colour, as a word among others in a file's name.
_WORD = re.compile(
    r"(?:^|[_.\- ])((?:sr_|toa_)?b\d{1,2}a?|red|green|blue|nir)(?=$|[_.\- ](?!edge))", re.IGNORECASE
)
_COLOURS = frozenset({"red", "green", "blue", "nir"})


@dataclass(frozen=True, slots=True)
class Band:
    """One band of a raster: its 1-based index and what the file says of it.

    ``colour`` is GDAL's colour interpretation in lower case. ``nodata`` is None where
    none is declared or the band's dtype cannot hold it. The file says that a number times
    ``gain`` plus ``offset`` is what was measured. ``meaning`` is the
    spectral band in words where a product tells: Landsat 7's B4 is not red.
    """

    index: int
    description: str | None
    colour: str
    nodata: float | None
    gain: float = 1.0
    offset: float = 0.0
    meaning: str | None = None

    @property
    def word(self) -> str:
        """What it is, in comparable form; empty where nothing tells."""
        return self.meaning or canonical(self.description or "")

    @property
    def name(self) -> str:
        """Its description, else its colour, else its index."""
        if self.description:
            return self.description
        return self.colour if self.colour in _COLOURS else str(self.index)


def canonical(name: str) -> str:
    """A band name in comparable form: lower case, known aliases in words.

    Only what stands before a comma, semicolon or bracket counts, so that
    "B4, central wavelength 665 nm" is red.
    """
    word = name.casefold()
    for mark in ",;([":
        word = word.partition(mark)[0]
    word = word.strip()
    word = band_number(word) or word
    return _ALIASES.get(word, word)


def band_number(name: str) -> str | None:
    """The number in a band's name, such as "b4" of SR_B4 or B04_10m; None without one."""
    found = _NUMBERED.fullmatch(name.casefold())
    return None if found is None else f"b{found[1].removeprefix('0')}"


def band_word(name: str) -> str | None:
    """What in a file's name, such as T21LXK_20200701T140051_B04_10m, says which band it is."""
    found = _WORD.findall(name)
    return found[-1] if found else None


def select_bands(
    present: Sequence[Band],
    path: object,
    *,
    bands: Sequence[int | str] | str | None = None,
    wanted: Sequence[str] | None = None,
) -> tuple[Band, ...]:
    """The bands to read, in reading order.

    ``bands`` is the user's choice, a sequence or text with commas: 1-based indices or
    descriptions, as many as ``wanted`` names. Without it, ``wanted`` is found by
    description; in a file whose descriptions say nothing, by colour interpretation; else
    the first bands are taken. With neither, all data bands. Alpha is never data.

    Raises:
        BandMissing: too few bands, one not found, or a name that fits several.
        OptionError: ``bands`` names too few or too many, or one that is not there.
    """
    data = [band for band in present if band.colour != "alpha"]
    if bands is not None:
        entries = bands.split(",") if isinstance(bands, str) else bands
        if not entries or (wanted is not None and len(entries) != len(wanted)):
            named = f"{len(entries)} band{'s' * (len(entries) != 1)}"
            needs = "one at least" if wanted is None else f"{len(wanted)} ({', '.join(wanted)})"
            raise OptionError(f"{path}: --bands names {named}; the model needs {needs}")
        chosen = tuple(_named(str(entry).strip(), present, path) for entry in entries)
    elif wanted is None:
        chosen = tuple(data)
    else:
        chosen = _find(wanted, data, path)
    if not chosen:
        raise BandMissing(path, "a band of data", "none")
    return chosen


def refuse_palette(bands: Sequence[Band], path: object) -> None:
    """Refuse numbers of colours where brightness is meant.

    Raises:
        SceneUnreadable: one of the bands has a colour table.
    """
    if any(band.colour == "palette" for band in bands):
        raise SceneUnreadable(
            path,
            "is a palette image: its numbers name colours, not brightness",
            "expand it first, for example with gdal_translate -expand rgb",
        )


def _named(entry: str, present: Sequence[Band], path: object) -> Band:
    if entry.isdecimal():
        found = [band for band in present if band.index == int(entry)]
    else:
        found = _matches(entry, present)
    if len(found) == 1 and found[0].colour != "alpha":
        return found[0]
    why = "which the scene lacks"
    if found:
        why = f"the name of {len(found)} bands" if len(found) > 1 else "the scene's alpha channel"
    raise OptionError(f"{path}: --bands names {entry}, {why}; it has {_numbered(present)}")


def _matches(name: str, present: Sequence[Band]) -> list[Band]:
    """The bands that a user means: by the file's own name or number, else by what they are."""
    for key in (str.casefold, band_number):
        wanted = key(name)
        found = [b for b in present if wanted and b.description and key(b.description) == wanted]
        if found:
            return found
    return _meant(name, present)


def _meant(name: str, present: Sequence[Band]) -> list[Band]:
    """The bands that a model means."""
    exact = [
        b
        for b in present
        if b.meaning is None and (b.description or "").casefold() == name.casefold()
    ]
    return exact or [b for b in present if b.word == canonical(name)]


def _find(wanted: Sequence[str], data: Sequence[Band], path: object) -> tuple[Band, ...]:
    by_name = [_meant(name, data) for name in wanted]
    if any(by_name) or any(b.word in SPECTRAL for b in data):
        # The file says what its bands are: then a band it does not name is not there.
        for name, found in zip(wanted, by_name, strict=True):
            if len(found) != 1:
                have = f"{len(found)} bands of that name" if found else _describe(data)
                raise BandMissing(path, f"one band {name}", have)
        return tuple(found[0] for found in by_name)
    by_colour = [[b for b in data if b.colour == canonical(name)] for name in wanted]
    if all(len(found) == 1 for found in by_colour):
        return tuple(found[0] for found in by_colour)
    if len(data) < len(wanted):
        raise BandMissing(path, _count(wanted), _describe(data))
    return tuple(data[: len(wanted)])


def _count(wanted: Sequence[str]) -> str:
    return f"{len(wanted)} band{'s' * (len(wanted) != 1)} ({', '.join(wanted)})"


def _numbered(present: Sequence[Band]) -> str:
    """All bands as ``--bands`` takes them, such as "1 red, 2 green, 3"."""
    return ", ".join(f"{b.index} {b.name}" * (b.name != str(b.index)) or b.name for b in present)


def _describe(present: Sequence[Band]) -> str:
    return _count([band.name for band in present]) if present else "no data band"
