"""Networks of every shape, small enough to be drawn at random and exported in no time."""

from __future__ import annotations

import keras
import numpy as np

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import Architecture, ClassDef, ConfidenceRule, ModelSpec, SceneInput
from geodeforest.nn.unet import build_unet

CARD = "# A card\n"

SHAPES = {
    "conv": Architecture((4, 6, 8)),
    "separable": Architecture((4, 6, 8), block="separable", up="bilinear", stem=2),
    "transposed": Architecture((4, 6), up="transpose", up_kernel=3, norm=False),
    "transposed-thin": Architecture((4, 6), up="transpose", up_kernel=1, stem=2),
    "separable-transposed": Architecture((4, 6), block="separable", up="transpose"),
    "separable-dense": Architecture((4, 5, 6), block="separable", dense=True, dropout=0.1),
    "dense": Architecture((4, 5, 6, 7), dense=True, norm=False, dropout=0.2),
    "dense-transposed": Architecture((4, 5, 6), dense=True, up="transpose"),
    "bilinear": Architecture((2, 3, 4), up="bilinear", up_kernel=3),
    "flat": Architecture((4,)),
}


def spec_of(shape: Architecture, scene_inputs: int = 0) -> ModelSpec:
    return ModelSpec(
        name="tiny",
        version="2.1",
        bands=("red", "green", "blue"),
        scale={"uint8": BandScale(0, 255)},
        gsd_m=10.0,
        chip=48,
        halo=8,
        classes=(ClassDef(0, "forest", "forest"), ClassDef(1, "deforestation", "deforestation")),
        threshold=0.5,
        confidence=ConfidenceRule(0.6, 0.8),
        architecture=shape,
        scene_inputs=tuple(SceneInput(f"p{i}", i) for i in range(scene_inputs)),
    )


def trained(spec: ModelSpec, seed: int = 1) -> keras.Model:
    """A network whose every weight is drawn, batch normalisation and biases too."""
    model = build_unet(
        bands=len(spec.bands),
        classes=len(spec.classes),
        architecture=spec.architecture,
        scene_inputs=len(spec.scene_inputs),
    )
    draw = np.random.default_rng(seed)
    ranges = {"gamma": (0.5, 1.5), "moving_variance": (0.5, 1.5), "kernel": (-0.4, 0.4)}
    for weight in model.weights:
        low, high = ranges.get(weight.name, (-0.2, 0.2))
        weight.assign(draw.uniform(low, high, weight.shape))
    return model
