"""The seed system's two networks, recognised by the shapes of their weights and rebuilt.

Published: ``build_unet`` without batch normalisation, two 3 x 3 convolutions a level,
upsampling by 2 and a 2 x 2 convolution (or a transposed one), skips joined as [upsampled,
skip]. Later: every deep level also carried up to all finer ones (``dense``), joined as
[skip, upsampled, deeper ones]. Both have a bias everywhere, ReLUs and a softmax. A ReLU
after a ReLU changes nothing, so that the published network has two of them here and there
needs no word of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np
from numpy.typing import NDArray

from geodeforest.core.spec import Architecture
from geodeforest.nn.keras2 import SavedConv, Shape
from geodeforest.nn.unet import build_unet

Concat = Literal["up-first", "skip-first"]


@dataclass(frozen=True, slots=True)
class SeedNetwork:
    """What the shapes tell; ``places`` gives each of our convolutions its number in the file."""

    architecture: Architecture
    bands: int
    classes: int
    places: Mapping[str, int]

    @property
    def concat(self) -> Concat:
        """The order in which the seed's own code joins a skip and what was upsampled."""
        return "skip-first" if self.architecture.dense else "up-first"

    def load(self, convs: Sequence[SavedConv], concat: Concat | None = None) -> keras.Model:
        """The network of ``build_unet`` with the file's weights.

        Ours joins [skip, upsampled, deeper ones]. Where the source joins the other way
        round, the kernels that read it have their input channels changed over, which is
        the same sum in another order.

        Raises:
            ValueError: a weight is not finite.
        """
        swap = (concat or self.concat) == "up-first"
        model = build_unet(bands=self.bands, classes=self.classes, architecture=self.architecture)
        for name, place in self.places.items():
            kernel, bias = convs[place].read()
            if swap and _reads_a_join(name):
                kernel = _changed_over(kernel)
            model.get_layer(name).set_weights([kernel, bias])
        return model


def recognise(convs: Sequence[SavedConv]) -> SeedNetwork:
    """Find which of the two networks, of any depth and width, the convolutions make.

    Raises:
        ValueError: neither.
    """
    shapes = [conv.shape for conv in convs]
    network = next(_candidates(shapes), None)
    if network is None:
        told = ", ".join(" x ".join(map(str, shape)) for shape in shapes[:3])
        raise ValueError(
            f"its {len(shapes)} convolutions ({told}, ...) are not those of the seed's networks"
        )
    if network.classes < 2:
        raise ValueError("it gives one number per pixel, not a score for each of two classes")
    for name, place in network.places.items():
        turned = network.architecture.up == "transpose" and name.startswith("up")
        if convs[place].bias.shape != (shapes[place][2 if turned else 3],):
            raise ValueError(f"its layer {convs[place].name!r} has a bias that does not fit")
    return network


def kernels(shape: Architecture, bands: int, classes: int) -> dict[str, Shape]:
    """Each convolution's kernel in ``build_unet``, without norm or stem, along the data's way."""
    filters, last = shape.filters, len(shape.filters) - 1
    found: dict[str, Shape] = {}
    for depth, width in enumerate(filters):
        found[f"down{depth}_0"] = (3, 3, filters[depth - 1] if depth else bands, width)
        found[f"down{depth}_1"] = (3, 3, width, width)
        for step in range(depth if shape.dense else 0):
            found[f"raise{depth}_{step}"] = (3, 3, width, width)
    for depth in reversed(range(last)):
        width, below, side = filters[depth], filters[depth + 1], shape.up_kernel
        turned = shape.up == "transpose"
        deeper = sum(filters[depth + 1 :]) if shape.dense else 0
        found[f"up{depth}"] = (side, side, *((width, below) if turned else (below, width)))
        found[f"out{depth}_0"] = (3, 3, 2 * width + deeper, width)
        found[f"out{depth}_1"] = (3, 3, width, width)
    return found | {"logits": (1, 1, filters[0], classes)}


def _candidates(shapes: Sequence[Shape]) -> Iterator[SeedNetwork]:
    """Networks whose kernels are those of the file; at most one has them all."""
    for levels, dense in _depths(len(shapes)):
        filters, side = tuple(shape[3] for shape in shapes[: 2 * levels : 2]), 2
        if dense:  # other layers lie between, but each level begins before the next one
            filters = tuple(dict.fromkeys(n for *_, m, n in shapes if m == n))
        elif levels > 1:
            side = shapes[2 * levels][0]
        if side not in range(1, 8) or len(filters) != levels:
            continue
        for up in ("nearest", "transpose"):
            shape = Architecture(filters, up=up, up_kernel=side, norm=False, dense=dense)
            wanted = kernels(shape, shapes[0][2], shapes[-1][3])
            places = _dense_places(wanted, shapes) if dense else _places(wanted, shapes)
            if places is not None:
                yield SeedNetwork(shape, shapes[0][2], shapes[-1][3], places)


def _depths(convolutions: int) -> Iterator[tuple[int, bool]]:
    """How many levels a plain and a dense network of so many convolutions has."""
    for levels in range(1, convolutions):
        plain = 2 * levels + 3 * (levels - 1) + 1
        if plain == convolutions:
            yield levels, False
        if levels > 1 and plain + levels * (levels - 1) // 2 == convolutions:
            yield levels, True


def _places(wanted: Mapping[str, Shape], shapes: Sequence[Shape]) -> dict[str, int] | None:
    """A plain network is one chain, so the file's order is that of the data's way."""
    same = list(wanted.values()) == list(shapes)
    return {name: place for place, name in enumerate(wanted)} if same else None


def _dense_places(wanted: Mapping[str, Shape], shapes: Sequence[Shape]) -> dict[str, int] | None:
    """Where branches lie side by side Keras orders layers by their distance to the output.

    So places are found by shape. Three kinds of layer of a level share one: the first in
    the file is ``down_1``, which feeds the others; the next after ``out_0`` is ``out_1``,
    which follows it; the rest are the steps up, each fed by the one before. That holds in
    the order of creation, too, whether the steps are made on the way down or when needed.
    """
    if Counter(wanted.values()) != Counter(shapes):
        return None
    free: dict[Shape, list[int]] = {}
    for place, shape in enumerate(shapes):
        free.setdefault(shape, []).append(place)
    places: dict[str, int] = {}
    for name in sorted(wanted, key=_turn):
        left = free[wanted[name]]
        after = places[f"{name[:-1]}0"] if _turn(name) == 1 else -1
        later = [place for place in left if place > after]
        if not later:
            return None
        places[name] = later[0]
        left.remove(later[0])
    return places


def _turn(name: str) -> int:
    """When a layer takes its place: the steps up take what is left."""
    if name.startswith("raise"):
        return 2
    return 1 if name.startswith("out") and name.endswith("_1") else 0


def _reads_a_join(name: str) -> bool:
    return name.startswith("out") and name.endswith("_0")


def _changed_over(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """A kernel for [upsampled, skip, deeper ones] as one for [skip, upsampled, deeper ones]."""
    width = kernel.shape[3]
    up, skip, deeper = np.split(kernel, [width, 2 * width], axis=2)
    return np.concatenate([skip, up, deeper], axis=2)
