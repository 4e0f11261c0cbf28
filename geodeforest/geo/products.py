"""A product before a raster is opened: files, the bands in them, and what metadata say of them.

Values that the readers of each kind of product fill; they open nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from geodeforest.core.reflectance import Calibration, Product, ProductMask
from geodeforest.errors import OptionError, SceneUnreadable
from geodeforest.geo.bands import Band

_LEAST_SUN_DEGREES = 10
"""Below this, an error of minutes in the time of day changes reflectance too much."""


@dataclass(frozen=True, slots=True)
class Label:
    """What metadata say of one band.

    ``name`` is the product's own, such as "SR_B4"; ``meaning`` the spectral band in words, such
    as "red". Reflectance = stored number * ``gain`` + ``offset``; None is unknown.
    """

    name: str
    meaning: str | None = None
    nodata: float | None = None
    gain: float | None = None
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Member:
    """A raster of a product, as ``open_raster`` takes it, with a label for each of its bands."""

    path: str | os.PathLike[str]
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A product as its folder and metadata tell.

    ``told_by`` says where gains and offsets come from. Where ``blank`` is a number, pixels that
    have it in all bands together were not observed. The calibration is true of files that
    hold numbers as ``stored``; converted ones may keep their names. Where ``overhead`` is set,
    it gives reflectance under a sun overhead, still to be divided by the sine of its height.
    """

    kind: str
    members: tuple[Member, ...]
    told_by: str = ""
    baseline: str | None = None
    date: str | None = None
    mask: ProductMask | None = None
    blank: float | None = None
    stored: tuple[str, ...] = ("uint16",)
    overhead: bool = False

    @property
    def labels(self) -> tuple[Label, ...]:
        """Those of all bands, in order."""
        return tuple(label for member in self.members for label in member.labels)

    def _calibration(self, gains: tuple[float, ...], offsets: tuple[float, ...]) -> Calibration:
        try:
            return Calibration(gains, offsets, self.told_by)
        except OptionError as error:
            why = f"tells gain {gains} and offset {offsets}, which make no reflectance"
            raise SceneUnreadable(self.told_by, why, "download it again") from error

    def _under_the_sun(
        self, overhead: Calibration, sun_degrees: Callable[[str], float | None]
    ) -> Calibration | None:
        degrees = None if self.date is None else sun_degrees(self.date)
        if degrees is None or degrees < _LEAST_SUN_DEGREES:
            return None
        height = math.sin(math.radians(degrees))
        return Calibration(
            tuple(gain / height for gain in overhead.gain),
            tuple(offset / height for offset in overhead.offset),
            f"{overhead.source}, the sun {degrees:.0f} degrees high by date and place",
        )

    def bands(self) -> tuple[Band, ...]:
        """All bands, counted through from 1."""
        return tuple(
            Band(index, label.name, "undefined", label.nodata, meaning=label.meaning)
            for index, label in enumerate(self.labels, 1)
        )

    def product(
        self, chosen: Sequence[Band], dtype: str, sun_degrees: Callable[[str], float | None]
    ) -> Product:
        """What is known of the product, with the calibration of the ``chosen`` bands.

        ``sun_degrees`` gives the sun's height over the scene on a date.

        Raises:
            SceneUnreadable: the metadata tell numbers that make no reflectance.
        """
        labels = [self.labels[band.index - 1] for band in chosen]
        gains = tuple(label.gain for label in labels if label.gain is not None)
        offsets = tuple(label.offset for label in labels)
        calibration = None
        if len(gains) == len(labels) and dtype in self.stored:
            calibration = self._calibration(gains, offsets)
        if self.overhead and calibration is not None:
            calibration = self._under_the_sun(calibration, sun_degrees)
        return Product(self.kind, self.baseline, calibration, self.date, self.mask)
