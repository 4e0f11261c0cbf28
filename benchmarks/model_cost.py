"""Time per 512 x 512 chip of networks in ONNX Runtime: ours, the seed's and published ones.

    python benchmarks/model_cost.py [--runs 5] [--picture docs/pictures/accuracy-time.png]

Every network has weights at random, since arithmetic does not depend on them; all run alone
on one thread, by turns. Shapes are this project's own reading of the published descriptions:
U-Net and Attention U-Net with 16 to 256 filters (Ronneberger et al. 2015; Oktay et al. 2018),
FCN32 on VGG16 (Long et al. 2015), SegNet's decoder on ResNet50 (Badrinarayanan et al. 2017;
He et al. 2016). The picture sets quoted accuracies against the measured times; those are of
John and Zhang 2022 (doi 10.1016/j.jag.2022.102685) on 15 other scenes of the same record, ours
is of folds of the 30 training scenes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

SIDE, BASELINE = 512, "U-Net 16-256"

QUOTED = {
    BASELINE: 0.9473,
    "Attention U-Net 16-256": 0.9526,
    "ResNet50-SegNet": 0.9470,
    "FCN32-VGG16": 0.8978,
}
"""Accuracy by John and Zhang 2022, table of the 15 test scenes."""


class Drawing:
    """An ONNX graph of convolutions with random weights, in (n, channels, rows, cols)."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []
        self.channels = {"chips": 3}
        self._rng = np.random.default_rng(0)

    def add(self, op: str, *inputs: str, channels: int, **attributes: object) -> str:
        """One node; returns the name of its output."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        self.channels[name] = channels
        return name

    def constant(self, array: np.ndarray) -> str:
        """Weights, by name."""
        name = f"w{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(array, name))
        return name

    def conv(
        self, x: str, channels: int, kernel: int = 3, stride: int = 1, act: str = "Relu"
    ) -> str:
        """A convolution of the same size (before its stride), and its activation."""
        before, pad = self.channels[x], (kernel - 1) // 2
        shape = (channels, before, kernel, kernel)
        weights = self._rng.normal(0, (2 / (before * kernel**2)) ** 0.5, shape).astype(np.float32)
        pads = [pad, pad, kernel - 1 - pad, kernel - 1 - pad]
        y = self.add(
            "Conv",
            x,
            self.constant(weights),
            channels=channels,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=pads,
        )
        return self.add(act, y, channels=channels) if act else y

    def pool(self, x: str) -> str:
        """The greatest of 2 x 2."""
        return self.add(
            "MaxPool", x, channels=self.channels[x], kernel_shape=[2, 2], strides=[2, 2]
        )

    def up(self, x: str, by: int = 2) -> str:
        """Larger by repetition."""
        scales = self.constant(np.array([1, 1, by, by], np.float32))
        return self.add(
            "Resize",
            x,
            "",
            scales,
            channels=self.channels[x],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def join(self, *parts: str) -> str:
        """Side by side in channels."""
        return self.add("Concat", *parts, channels=sum(self.channels[p] for p in parts), axis=1)

    def model(self, x: str, classes: int = 2) -> bytes:
        """The finished network, with a softmax of so many classes."""
        x = self.add("Softmax", self.conv(x, classes, 1, act=""), channels=classes, axis=1)
        shapes = [("chips", 3), (x, classes)]
        chips, scores = (
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, c, SIDE, SIDE])
            for name, c in shapes
        )
        graph = helper.make_graph(self.nodes, "net", [chips], [scores], self.arrays)
        opset = [helper.make_opsetid("", 17)]
        made = helper.make_model(graph, ir_version=8, opset_imports=opset)
        return bytes(made.SerializeToString())


def unet(attention: bool) -> bytes:
    """U-Net 16-32-64-128-256; with additive attention gates on its skips or without."""
    g, x, skips = Drawing(), "chips", []
    for depth, filters in enumerate((16, 32, 64, 128, 256)):
        x = g.pool(x) if depth else x
        x = g.conv(g.conv(x, filters), filters)
        skips.append(x)
    for skip in skips[-2::-1]:
        filters = g.channels[skip]
        up = g.conv(g.up(x), filters, 2)
        if attention:
            both = g.add(
                "Add",
                g.conv(skip, filters // 2, 1, act=""),
                g.conv(up, filters // 2, 1, act=""),
                channels=filters // 2,
            )
            gate = g.conv(g.add("Relu", both, channels=filters // 2), 1, 1, act="Sigmoid")
            skip = g.add("Mul", skip, gate, channels=filters)
        x = g.conv(g.conv(g.join(skip, up), filters), filters)
    return g.model(x)


def fcn32() -> bytes:
    """FCN32 on VGG16: thirteen convolutions, two wide ones, one large step up."""
    g, x = Drawing(), "chips"
    for filters, times in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(times):
            x = g.conv(x, filters)
        x = g.pool(x)
    x = g.conv(g.conv(x, 4096, 7), 4096, 1)
    return g.model(g.up(g.conv(x, 2, 1, act=""), 32))


def segnet() -> bytes:
    """SegNet's decoder on ResNet50's first four stages, scores at half the size."""
    g = Drawing()
    x = g.pool(g.conv("chips", 64, 7, 2))
    for stage, (filters, times) in enumerate(((64, 3), (128, 4), (256, 6))):
        for block in range(times):
            stride = 2 if stage and not block else 1
            y = g.conv(g.conv(x, filters, 1, stride), filters)
            y = g.conv(y, 4 * filters, 1, act="")
            short = g.conv(x, 4 * filters, 1, stride, act="") if not block else x
            added = g.add("Add", y, short, channels=4 * filters)
            x = g.add("Relu", added, channels=4 * filters)
    x = g.conv(x, 512)
    for filters in (256, 128, 64):
        x = g.conv(g.up(x), filters)
    return g.model(g.up(x))


def ours(name: str) -> bytes:
    """A shape of this project's, as it is exported."""
    from geodeforest.nn.to_onnx import to_onnx
    from geodeforest.nn.unet import build_unet

    levels = 1 if name == "light" else 0
    model = build_unet(bands=3, classes=2, architecture=name, scene_inputs=levels)
    return bytes(to_onnx(model).SerializeToString())


NETWORKS: Mapping[str, Callable[[], bytes]] = {
    "built-in (light)": lambda: ours("light"),
    BASELINE: lambda: unet(attention=False),
    "Attention U-Net 16-256": lambda: unet(attention=True),
    "ResNet50-SegNet": segnet,
    "FCN32-VGG16": fcn32,
    "seed 32-2048": lambda: ours("seed-unet"),
    "seed, dense": lambda: ours("seed-dense"),
}


@click.command()
@click.option("--runs", default=5, show_default=True, help="Runs of each; the quickest counts.")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw accuracy against time.")
def main(runs: int, picture: Path | None) -> None:
    """Print seconds per chip, and the share of the plain U-Net's."""
    seconds = measured(runs)
    for name, each in seconds.items():
        click.echo(f"{name:24s} {each:8.3f} s/chip  {each / seconds[BASELINE]:7.3f} x {BASELINE}")
    if picture is not None:
        draw(seconds, picture)


def measured(runs: int) -> dict[str, float]:
    """The quickest of so many runs of each network, all by turns on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: ort.InferenceSession(build(), options, providers=["CPUExecutionProvider"])
        for name, build in NETWORKS.items()
    }
    best = dict.fromkeys(sessions, float("inf"))
    for _ in range(runs):
        for name, session in sessions.items():
            feeds = {i.name: _input(i.shape) for i in session.get_inputs()}
            started = time.perf_counter()
            session.run(None, feeds)
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def _input(shape: list[int | str]) -> np.ndarray:
    # Ours leave sizes free, the others name them.
    if len(shape) == 2:
        return np.full((1, shape[1]), 0.1, np.float32)
    sides = [1, *(SIDE if isinstance(s, str) or s is None else s for s in shape[1:])]
    return np.random.default_rng(0).random(sides, np.float32)


def draw(seconds: Mapping[str, float], picture: Path) -> None:
    """Accuracy against time: ours and the published."""
    import matplotlib.pyplot as plt

    home = Path(__file__).parents[1] / "geodeforest" / "models" / "amazon-s2-rgb" / "model.json"
    accuracy = {
        "built-in (light)": json.loads(home.read_text())["metrics"]["accuracy"],
        **QUOTED,
    }
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, value in accuracy.items():
        own = name not in QUOTED
        axes.plot(seconds[name], value, "o" if own else "s", color="C2" if own else "0.4")
        beside = (6, -12) if name == BASELINE else (6, 5)
        axes.annotate(name, (seconds[name], value), textcoords="offset points", xytext=beside)
    for name in ("seed 32-2048", "seed, dense"):
        axes.axvline(seconds[name], color="0.8", linewidth=1, zorder=0)
        axes.annotate(name, (seconds[name], 0.9), rotation=90, color="0.4", ha="right")
    axes.set_xscale("log")
    axes.set_ylim(0.89, 0.97)
    axes.set_xlim(min(seconds.values()) / 1.5, max(seconds.values()) * 1.6)
    axes.set_xlabel("seconds per 512 x 512 chip, one thread (measured)")
    axes.set_ylabel("accuracy (ours: 5 folds; others: quoted)")
    figure.savefig(picture, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
