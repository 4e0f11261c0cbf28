"""The loop of the seed system's notebooks on a scene: chips side by side, ``model.predict``.

    python keras_loop.py SCENE MODEL_DIR [--overlap 0] [--batch 8]

With an overlap each chip gives its middle, so that the same loop can be compared with others.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import windows

from geodeforest.nn.export import load_keras


def main() -> None:
    """Scan the scene, or time some chips in each set-up."""
    chosen = windows.arguments(__doc__)
    model = load_keras(chosen.model)
    level = np.array([float(word) for word in chosen.level.split(",") if word], np.float32)
    image, profile = windows.read_whole(chosen.scene)
    if chosen.trial:
        rows = {b: windows.tried(_scores(model, level), image, chosen.chip, b) for b in (1, 4)}
        windows.tell(how="", batch=min(rows, key=rows.__getitem__))
        return
    started = time.perf_counter()
    scores = scanned(model, level, image, chosen)
    windows.write(scores.argmax(0).astype(np.uint8), scores[1], profile)
    windows.tell(work_seconds=time.perf_counter() - started)


def scanned(model: keras.Model, level: np.ndarray, image: np.ndarray, chosen: object) -> np.ndarray:
    """Scores (classes, rows, cols): of each chip what is nearer to its middle than to others'."""
    chip, margin, (_, height, width) = chosen.chip, chosen.overlap // 2, image.shape
    scores = np.zeros((2, height, width), np.float32)
    score = _scores(model, level)
    places = [
        (row, col)
        for row in windows.starts(height, chip, chosen.overlap)
        for col in windows.starts(width, chip, chosen.overlap)
    ]
    for first in range(0, len(places), chosen.batch):
        some = places[first : first + chosen.batch]
        chips = np.stack([image[:, r : r + chip, c : c + chip] for r, c in some])
        for (row, col), found in zip(some, score(chips), strict=True):
            top, left = margin if row else 0, margin if col else 0
            here = found[:, top:, left:]
            scores[:, row + top : row + chip, col + left : col + chip] = here
    return scores


def _scores(model: keras.Model, level: np.ndarray) -> windows.Scores:
    def score(chips: np.ndarray) -> np.ndarray:
        fed = [np.ascontiguousarray(chips.transpose(0, 2, 3, 1))]
        if level.size:
            fed.append(np.repeat(level[None], len(chips), 0))
        found = model.predict(fed if level.size else fed[0], batch_size=len(chips), verbose=0)
        return found.transpose(0, 3, 1, 2)

    return score


if __name__ == "__main__":
    main()
