"""What a product says of its numbers: how they become reflectance, and which are hidden.

Values only: whoever reads a product's metadata fills them. Knows no file and no pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from geodeforest.errors import OptionError


@dataclass(frozen=True, slots=True)
class Calibration:
    """Reflectance = stored number * ``gain`` + ``offset``, one of each per band to read.

    ``source`` says in a few words where the numbers come from.
    """

    gain: tuple[float, ...]
    offset: tuple[float, ...]
    source: str

    def __post_init__(self) -> None:
        if not self.gain or len(self.gain) != len(self.offset):
            raise OptionError(f"{self.source}: needs a gain and an offset for each band")
        if not all(map(math.isfinite, self.gain + self.offset)) or min(self.gain) <= 0:
            raise OptionError(
                f"{self.source}: gain {self.gain} and offset {self.offset} must be finite, "
                "and the gain positive"
            )


@dataclass(frozen=True, slots=True)
class ProductMask:
    """A raster that says which pixels are cloud, shadow or otherwise not the ground.

    ``path`` is anything ``open_raster`` takes. A pixel is hidden where its number is one
    of ``hidden_values`` or has one of ``hidden_bits`` (0 is the lowest) set.
    """

    path: str
    hidden_values: tuple[int, ...]
    hidden_bits: tuple[int, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Product:
    """What is known of a scene because it is a product of a known kind.

    ``kind`` is such as "sentinel-2-l2a" or "landsat-c2-l1", ``baseline`` the processing
    baseline such as "05.10", ``date`` the image's ISO 8601 date. None is unknown.
    """

    kind: str
    baseline: str | None = None
    calibration: Calibration | None = None
    date: str | None = None
    mask: ProductMask | None = None
