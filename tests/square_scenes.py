"""A dark scene with one bright rectangle: one clearing, as the fakes see it."""

import numpy as np

from geodeforest.testing import make_scene


def scene_with_square(path, **profile):
    values = np.zeros((3, 150, 200), np.uint8)
    values[:, 50:100, 60:120] = 200
    return make_scene(path, values, **profile)
