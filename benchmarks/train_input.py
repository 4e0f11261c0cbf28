"""Does training wait for its input? The pipeline alone against the step alone, in examples/s.

    python benchmarks/train_input.py
    python benchmarks/train_input.py --architecture unet --uncached

Made-up 8-bit colour records of 512 px are written, then read back as a training reads them:
unpacked, decoded, shuffled, cropped to 256 px and changed as the built-in model's recipe
changes them. The step gets one batch over and over. Both have all cores to themselves; the
ratio says how many times faster than the step its input could come.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIDE, CROP = 512, 256


def write(folder: Path, count: int) -> Path:
    """Records of smooth noise, which packs about as well as a scene."""
    from geodeforest.core.pixels import BandScale
    from geodeforest.core.spec import CLASSES, SceneInput
    from geodeforest.nn.example import Record
    from geodeforest.nn.index import RecordFormat, SetFacts
    from geodeforest.nn.shards import ShardWriter

    form = RecordFormat("uint8", SIDE, SIDE, ("red", "green", "blue"), CLASSES[:2], levels=3)
    rng = np.random.default_rng(0)
    with ShardWriter(folder / "records", form) as writer:
        for number in range(count):
            hills = rng.normal(80, 30, (SIDE // 16, SIDE // 16, 3)).repeat(16, 0).repeat(16, 1)
            image = (hills + rng.normal(0, 4, form.shape)).clip(0, 255).astype(np.uint8)
            writer.add(
                Record(
                    image=image,
                    labels=(image[..., 0] > 90).astype(np.uint8),
                    valid=np.ones((SIDE, SIDE), bool),
                    scene=f"scene-{number}",
                    group=f"g{number}",
                    crs="EPSG:32635",
                    transform=(10.0, 0.0, 5e5, 0.0, -10.0, 5e6),
                    scene_level=np.full(3, 0.1, np.float32),
                )
            )
        writer.commit(SetFacts(BandScale(0, 255), (SceneInput("dark", 2),)))
    return folder / "records"


def per_second(next_batch: Callable[[], object], batch: int, seconds: float) -> float:
    """Examples per second, after a warm-up."""
    for _ in range(3):
        next_batch()
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        next_batch()
        done += batch
    return done / (time.perf_counter() - begin)


@click.command()
@click.option("--architecture", default="light")
@click.option("--batch", default=8)
@click.option("--records", "count", default=24)
@click.option("--uncached", is_flag=True, help="Decode each epoch again, as of a large set.")
@click.option("--seconds", default=10.0)
def main(architecture: str, batch: int, count: int, uncached: bool, seconds: float) -> None:
    """Print examples per second of both, and their ratio."""
    import tensorflow as tf

    from geodeforest.core.spec import SceneInput
    from geodeforest.nn import pipeline
    from geodeforest.nn.augment import Augmentation, OwnLevel, Recolour
    from geodeforest.nn.losses import LOSSES
    from geodeforest.nn.records import dataset, open_records
    from geodeforest.nn.schedule import optimizer
    from geodeforest.nn.steps import Learner
    from geodeforest.nn.unet import build_unet

    changes = Augmentation(
        crop=CROP,
        haze=0.03,
        strong_haze=0.24,
        strong_haze_share=0.3,
        relief=0.4,
        exposure=0.25,
        contrast=0.2,
        level_error=0.01,
        own_level=OwnLevel(0.3, (SceneInput("dark", 2),), bare_share=0.5, bare_lighter=0.03),
        recolour=(Recolour(class_index=1, low=(0.15, 0.7, 0.3), high=(0.9, 1.5, 1.0)),),
    )
    if uncached:
        pipeline.CACHE_BYTES = 0
    with tempfile.TemporaryDirectory() as folder:
        found = open_records(write(Path(folder), count))
        feed = pipeline.Feed(found.index.facts.scale, found.format.class_ids, batch, 0)
        batches = iter(pipeline.training_batches(dataset(found), feed, changes, count=count))
        example = next(batches)
        fed = per_second(batches.__next__, batch, seconds)
        del batches
    model = build_unet(bands=3, classes=2, architecture=architecture, scene_inputs=1)
    adam = optimizer(1000, 3e-3, 1e-2)
    adam.build(model.trainable_variables)
    step = tf.function(Learner(model, adam, LOSSES["cross-entropy"], batch).train_step)
    stepped = per_second(lambda: float(step(*example)), batch, seconds)
    click.echo(
        f"{architecture}, batch {batch} of {CROP} px, {'uncached' if uncached else 'cached'}: "
        f"input {fed:.0f} examples/s, step {stepped:.0f} examples/s, ratio {fed / stepped:.1f}"
    )


if __name__ == "__main__":
    main()
