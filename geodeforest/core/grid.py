"""Integer pixel geometry: windows, and the grid of chips that covers a scene.

Rows come first everywhere, ranges are half-open, lengths are in pixels.
Nothing here knows about a CRS, a file or a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from geodeforest.errors import OptionError


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels: top row, left column, height and width."""

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise OptionError(
                f"a window needs at least one pixel, not {self.height} x {self.width}"
            )

    @property
    def rows(self) -> slice:
        """The rows it covers, as a slice of the scene."""
        return slice(self.row, self.row + self.height)

    @property
    def cols(self) -> slice:
        """The columns it covers, as a slice of the scene."""
        return slice(self.col, self.col + self.width)

    def inside(self, other: Window) -> tuple[slice, slice]:
        """Its rows and columns as slices of a window around it."""
        row, col = self.row - other.row, self.col - other.col
        return slice(row, row + self.height), slice(col, col + self.width)

    def within(self, height: int, width: int) -> Window:
        """The part of it inside a scene of ``height`` x ``width`` pixels.

        Raises:
            OptionError: no pixel of it lies inside.
        """
        row, col = max(self.row, 0), max(self.col, 0)
        return Window(
            row,
            col,
            min(self.row + self.height, height) - row,
            min(self.col + self.width, width) - col,
        )


@dataclass(frozen=True, slots=True)
class ChipRow:
    """The chips that share a top row, and the scene rows that are final after them."""

    top: int
    chips: tuple[Window, ...]
    settled: slice


@dataclass(frozen=True, slots=True)
class ChipGrid:
    """Chips of ``chip`` x ``chip`` pixels that cover ``height`` x ``width`` pixels.

    Neighbours share at least ``overlap`` pixels. The last chip of a row or column is
    pulled back to the scene's edge; only where the scene is smaller than a chip does
    a chip reach beyond it.
    """

    height: int
    width: int
    chip: int
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise OptionError(f"a scene needs at least one pixel, not {self.height} x {self.width}")
        if self.chip < 1:
            raise OptionError(f"chip {self.chip} px must be at least 1 px")
        if not 0 <= self.overlap < self.chip:
            raise OptionError(
                f"overlap {self.overlap} px must be at least 0 and less than "
                f"the chip's {self.chip} px"
            )

    def __len__(self) -> int:
        # Counted, not listed: a header may claim any size.
        return self.chip_rows * self.chips_per_row

    @property
    def chip_rows(self) -> int:
        """How many rows of chips there are."""
        return self._along(self.height)

    @property
    def chips_per_row(self) -> int:
        """How many chips share a top row."""
        return self._along(self.width)

    @property
    def most_shared(self) -> int:
        """The most rows that two chip rows share: the last one is pulled back."""
        tops = self.tops()[-2:]
        return self.chip - (tops[-1] - tops[0]) if len(tops) > 1 else 0

    def _along(self, side: int) -> int:
        stride = self.chip - self.overlap
        return -(-max(side - self.chip, 0) // stride) + 1

    def __iter__(self) -> Iterator[Window]:
        """Yield the chips row by row, from north-west to south-east of the pixel grid."""
        for row in self.rows():
            yield from row.chips

    def rows(self) -> Iterator[ChipRow]:
        """Yield the chip rows from the first scene row to the last.

        The ``settled`` rows of all chip rows tile the scene's height in order.
        """
        tops, lefts = self.tops(), self._lefts()
        for top, end in zip(tops, [*tops[1:], self.height], strict=True):
            chips = tuple(Window(top, left, self.chip, self.chip) for left in lefts)
            yield ChipRow(top, chips, settled=slice(top, end))

    def row(self, number: int) -> ChipRow:
        """One of the chip rows, counted from 0."""
        return next(islice(self.rows(), number, None))

    def tops(self) -> list[int]:
        """The first row of each row of chips."""
        return _offsets(self.height, self.chip, self.chip - self.overlap)

    def _lefts(self) -> list[int]:
        return _offsets(self.width, self.chip, self.chip - self.overlap)


def _offsets(length: int, chip: int, stride: int) -> list[int]:
    last = max(length - chip, 0)
    return [*range(0, last, stride), last]


def portions(height: int, width: int, size_px: int) -> Iterator[slice]:
    """Rows of some height and width in even portions of about so many pixels, from the first on."""
    count = min(max(round(height * width / size_px), 1), height)
    for number in range(count):
        yield slice(height * number // count, height * (number + 1) // count)
