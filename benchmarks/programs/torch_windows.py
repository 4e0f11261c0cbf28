"""A sliding-window script as many PyTorch projects ship one: whole scene, Hann blend.

    python torch_windows.py SCENE MODEL.onnx [--overlap 128] [--batch 4] [--how channels-last]

The network runs in PyTorch, with the operations and weights of the ONNX file, one by one.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import torch
import windows
from torch import nn
from torch.nn import functional as F

CHANNELS_LAST = "channels-last"


class Network(nn.Module):
    """The graph of an ONNX file whose operations are those of a U-Net."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        model = onnx.load(str(path))
        self.graph = [
            (node.op_type, list(node.input), node.output[0], _attributes(node))
            for node in model.graph.node
        ]
        self.ends = model.graph.input[0].name, model.graph.output[0].name
        self.constants = {
            each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy())
            for each in model.graph.initializer
        }

    def channels_last(self) -> None:
        """Keep the kernels as channels-last convolutions want them."""
        for name, array in self.constants.items():
            if array.dim() == 4:
                self.constants[name] = array.contiguous(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of chips (n, 3, rows, cols)."""
        known = {**self.constants, self.ends[0]: x}
        for op, inputs, output, attributes in self.graph:
            known[output] = _OPERATIONS[op](attributes, *(known.get(name) for name in inputs))
        return known[self.ends[1]]


def _attributes(node: onnx.NodeProto) -> dict:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _conv(a: dict, x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    top, left, bottom, right = a["pads"]
    even = (top, left) == (bottom, right)
    if not even:
        x = F.pad(x, (left, right, top, bottom))
    pad = (top, left) if even else 0
    return F.conv2d(x, kernel, bias, a["strides"], pad, groups=a.get("group", 1))


def _reshape(_: dict, x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    # A zero stands for the size that there is.
    return x.reshape([n or x.shape[place] for place, n in enumerate(shape.tolist())])


def _resize(a: dict, x: torch.Tensor, _: None, scales: torch.Tensor) -> torch.Tensor:
    mode = {b"linear": "bilinear", b"nearest": "nearest"}[a["mode"]]
    aligned = {"align_corners": False} if mode == "bilinear" else {}
    return F.interpolate(x, scale_factor=tuple(scales[2:].tolist()), mode=mode, **aligned)


_OPERATIONS = {
    "Add": lambda a, x, y: x + y,
    "Concat": lambda a, *xs: (
        torch.cat([x.expand(xs[0].shape[0], -1, -1, -1) for x in xs], 1)
        if a["axis"] == 1
        else torch.cat(xs, a["axis"])
    ),
    "Conv": _conv,
    "MaxPool": lambda a, x: F.max_pool2d(x, a["kernel_shape"], a["strides"]),
    "Neg": lambda a, x: -x,
    "Relu": lambda a, x: F.relu(x),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Softmax": lambda a, x: F.softmax(x, a["axis"]),
    "Sub": lambda a, x, y: x - y,
    "Transpose": lambda a, x: x.permute(a["perm"]),
}


def main() -> None:
    """Scan the scene, or time some chips in each set-up."""
    chosen = windows.arguments(__doc__)
    network = Network(chosen.model).eval()
    image, profile = windows.read_whole(chosen.scene)
    if chosen.trial:
        _try(network, image, chosen.chip)
        return
    if chosen.how == CHANNELS_LAST:
        network.channels_last()
    started = time.perf_counter()
    scores = scanned(network, image, chosen)
    windows.write(scores.argmax(0).numpy().astype(np.uint8), scores[1].numpy(), profile)
    windows.tell(work_seconds=time.perf_counter() - started)


def scanned(network: Network, image: np.ndarray, chosen: object) -> torch.Tensor:
    """Mean scores (classes, rows, cols), weighted by a Hann window."""
    chip, (_, height, width) = chosen.chip, image.shape
    hann = torch.hann_window(chip + 2, periodic=False)[1:-1].clamp(min=1e-3)
    weight = hann[:, None] * hann[None]
    total, seen = torch.zeros(2, height, width), torch.zeros(height, width)
    places = [
        (row, col)
        for row in windows.starts(height, chip, chosen.overlap)
        for col in windows.starts(width, chip, chosen.overlap)
    ]
    scene, score = torch.from_numpy(image), _scores(network, chosen.how)
    for first in range(0, len(places), chosen.batch):
        some = places[first : first + chosen.batch]
        chips = torch.stack([scene[:, r : r + chip, c : c + chip] for r, c in some])
        for (row, col), found in zip(some, score(chips), strict=True):
            total[:, row : row + chip, col : col + chip] += found * weight
            seen[row : row + chip, col : col + chip] += weight
    return total / seen


def _scores(network: Network, how: str) -> object:
    def score(chips: torch.Tensor) -> torch.Tensor:
        if how == CHANNELS_LAST:
            chips = chips.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return network(chips)

    return score


def _try(network: Network, image: np.ndarray, chip: int) -> None:
    found = {}
    for how in ("", CHANNELS_LAST):
        if how:
            network.channels_last()
        score = _scores(network, how)
        for batch in (1, 4):
            seconds = windows.tried(lambda x, s=score: s(torch.from_numpy(x)), image, chip, batch)
            found[f"{how}/{batch}"] = seconds
    how, batch = min(found, key=found.__getitem__).split("/")
    windows.tell(how=how, batch=int(batch))


if __name__ == "__main__":
    main()
