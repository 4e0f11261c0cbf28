"""What a step of training computes and moves: FLOPs and bytes, from XLA's program of it.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --architecture unet --batch 32 --crop 512

FLOPs are those of the convolutions and matrix products of the step, forward, backward and
optimizer: two per multiplication and addition, padding included. Bytes are what the
operations of the program compiled for this CPU read and write, after fusion; another
compiler fuses otherwise, so of a TPU they are only a first guess. Both follow from the
program's text, without running it.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterator
from typing import NamedTuple

import click

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIZES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4}
SIZES |= {"s64": 8, "u64": 8, "f64": 8}

_LINE = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (\(?[^=]*?) ([\w\-]+)\((.*)$")
_SHAPE = re.compile(r"\b(pred|bf16|[suf]\d+)\[([\d,]*)\]")
_NAME = re.compile(r"%([\w.\-]+)")
_FREE = {"parameter", "tuple", "get-tuple-element", "bitcast", "constant"}


class Operation(NamedTuple):
    """An instruction of a program: its shapes, its kind and the rest of its line."""

    name: str
    shape: str
    kind: str
    rest: str


def operations(hlo: str) -> Iterator[Operation]:
    """The instructions of all computations."""
    for line in hlo.splitlines():
        if match := _LINE.match(line):
            yield Operation(*match.groups())


def dims(shape: str) -> list[int]:
    """The sides of the first array in a shape."""
    found = _SHAPE.search(shape)
    return [int(n) for n in found[2].split(",") if n] if found else []


def size_bytes(shape: str) -> int:
    """Bytes of all arrays in a shape."""
    return sum(
        SIZES.get(kind, 4) * math.prod(int(n) for n in sides.split(",") if n)
        for kind, sides in _SHAPE.findall(shape)
    )


def flops(hlo: str) -> int:
    """Two per multiplication and addition of every convolution and matrix product."""
    shapes = {op.name: op.shape for op in operations(hlo)}
    total = 0
    for op in operations(hlo):
        if op.kind not in ("convolution", "dot"):
            continue
        left, right = (dims(shapes[name]) for name in _NAME.findall(op.rest)[:2])
        total += 2 * math.prod(dims(op.shape)) * summed(op, left, right)
    return total


def summed(op: Operation, left: list[int], right: list[int]) -> int:
    """How many products make one number of the result."""
    if op.kind == "dot":
        contracted = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", op.rest)
        return math.prod(left[int(n)] for n in contracted[1].split(",") if n) if contracted else 1
    labels = re.search(r"dim_labels=\w+_(\w+)->", op.rest)
    if labels is None:
        raise ValueError(f"a convolution without labels: {op.rest}")
    return math.prod(n for n, label in zip(right, labels[1], strict=True) if label != "o")


def traffic_bytes(hlo: str) -> int:
    """What the operations of the program's entry read and write."""
    entry = hlo[hlo.index("\nENTRY") :]
    found = list(operations(entry))
    sizes = {op.name: size_bytes(op.shape) for op in found}
    total = 0
    for op in found:
        if op.kind not in _FREE:
            operands = op.rest.split("), ")[0]
            total += sizes[op.name] + sum(sizes.get(n, 0) for n in _NAME.findall(operands))
    return total


@click.command()
@click.option("--architecture", default="light")
@click.option("--batch", default=8)
@click.option("--crop", default=256)
@click.option("--bands", default=3)
@click.option("--repeat", default=5, help="Steps timed on this CPU, of which the best is told.")
def main(architecture: str, batch: int, crop: int, bands: int, repeat: int) -> None:
    """Print FLOPs, bytes and time of a step."""
    import tensorflow as tf

    from geodeforest.nn.losses import LOSSES
    from geodeforest.nn.schedule import optimizer
    from geodeforest.nn.steps import Learner
    from geodeforest.nn.unet import build_unet

    model = build_unet(bands=bands, classes=2, architecture=architecture, scene_inputs=1)
    adam = optimizer(1000, 3e-3, 1e-2)
    adam.build(model.trainable_variables)
    step = Learner(model, adam, LOSSES["cross-entropy"], batch).train_step
    images = tf.random.uniform((batch, crop, crop, bands))
    labels = tf.cast(images[..., 0] > 0.5, tf.uint8)
    example = images, labels, tf.zeros((batch, bands))

    plain = tf.function(step)
    float(plain(*example))
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        float(plain(*example))
        times.append(time.perf_counter() - begin)
    program = tf.function(step, jit_compile=True).experimental_get_compiler_ir(*example)
    count, moved = flops(program(stage="hlo")), traffic_bytes(program(stage="optimized_hlo"))
    click.echo(
        f"{architecture}, batch {batch} of {crop} px, {model.count_params():,} parameters: "
        f"{count / 1e9:.1f} GFLOP, {moved / 1e9:.1f} GB, {count / moved:.0f} FLOP per byte; "
        f"{min(times):.2f} s here without XLA, {count / min(times) / 1e9:.0f} GFLOP/s"
    )


if __name__ == "__main__":
    main()
