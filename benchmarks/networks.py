"""The networks to measure with: the built-in one, and a plain U-Net of 16 to 256 filters.

Knows models; measures nothing. The plain one's weights are random, since arithmetic does not
depend on them, but for one channel: it carries the red band, smoothed, past all levels to the
scores, so that its map shows the clearings and what follows on it has a usual amount to do.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from scenes import folder

BUILT_IN, PLAIN = "built-in", "U-Net 16-256"

_CARRIED = ("down0_0", "down0_1", "out0_0", "out0_1")
_STEEP, _RANDOM, _SHARE = 20.0, 0.3, 0.27


def model_named(name: str) -> str | None:
    """What ``--model`` takes for one of the networks; None is the default."""
    return None if name == BUILT_IN else str(plain_unet())


def plain_unet() -> Path:
    """The model directory of the plain U-Net, made once; needs TensorFlow then."""
    home = folder() / f"plain-unet-{_graph_version()}"
    if not (home / "model.json").exists():
        _write(home)
    return home


def _graph_version() -> str:
    """What changes with the code that writes a network down."""
    import geodeforest

    code = Path(geodeforest.__file__).parent / "nn"
    texts = (path.read_bytes() for path in (code / "to_onnx.py", code / "unet.py"))
    return hashlib.sha256(b"".join(texts)).hexdigest()[:8]


def qgis_edition(name: str, level: tuple[float, ...] | None) -> Path:
    """The network in one ONNX file for other programs; ``level`` are the scene's statistics."""
    from geodeforest.workflows.export_model import export_model

    path = folder() / ("built-in-qgis.onnx" if name == BUILT_IN else "plain-qgis.onnx")
    export_model(model_named(name), "onnx-qgis", path, scene_level=level, overwrite=True)
    return path


def _write(home: Path) -> None:
    from geodeforest.core.pixels import BandScale
    from geodeforest.core.spec import CLASSES, Architecture, ConfidenceRule, ModelSpec
    from geodeforest.nn.export import export_model
    from geodeforest.nn.unet import build_unet

    shape = Architecture(norm=False)
    model = build_unet(bands=3, classes=2, architecture=shape)
    _set_weights(model)
    spec = ModelSpec(
        name="plain-unet",
        version="1",
        bands=("red", "green", "blue"),
        scale={"uint8": BandScale(0, 255)},
        gsd_m=10.0,
        chip=512,
        halo=64,
        classes=CLASSES[:2],
        threshold=0.5,
        confidence=ConfidenceRule(0.75, 0.9),
        architecture=shape,
    )
    home.mkdir(exist_ok=True)
    for file in home.iterdir():  # what an interrupted run left
        file.unlink()
    export_model(model, spec, home, "Random weights, to measure time with.\n")


def _set_weights(model: object) -> None:
    """The same numbers on every machine."""
    rng = np.random.default_rng(0)
    for layer in model.layers:  # type: ignore[attr-defined]
        if not layer.weights:
            continue
        kernel, bias = layer.get_weights()
        kernel = rng.normal(0, (2 / kernel[..., 0].size) ** 0.5, kernel.shape)
        if layer.name in _CARRIED:
            kernel[..., 0] = 0
            kernel[:, :, 0, 0] = 1 / 9
        if layer.name == "logits":
            kernel = _logits(rng, kernel.shape)
        layer.set_weights([kernel.astype(np.float32), np.zeros_like(bias)])
    _balance(model)


def _logits(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    kernel = np.zeros(shape)
    kernel[..., 1] = rng.normal(0, _RANDOM, shape[:-1])
    kernel[:, :, 0, 1] = 2 * _STEEP
    return kernel


def _balance(model: object) -> None:
    """Move the last bias until about as much is cleared as in the scene."""
    import rasterio
    from scenes import forest

    with rasterio.open(forest(1024, 1024)) as scene:
        chip = scene.read().transpose(1, 2, 0)[np.newaxis].astype(np.float32) / 255
    scores = np.asarray(model(chip))[0]  # type: ignore[operator]
    margin = np.log(scores[..., 1] / scores[..., 0])
    layer = model.get_layer("logits")  # type: ignore[attr-defined]
    kernel, bias = layer.get_weights()
    bias[1] = -np.quantile(margin, 1 - _SHARE)
    layer.set_weights([kernel, bias])
