"""The learning rate over a training, and the optimizer that follows it."""

from __future__ import annotations

import keras


def optimizer(steps: int, learning_rate: float, weight_decay: float) -> keras.optimizers.AdamW:
    """AdamW whose rate rises over the first twelfth of ``steps`` and falls as a cosine to 0.

    Loshchilov, Hutter 2017 and 2019 (arXiv 1608.03983, 1711.05101). Biases and the scales
    of normalisation are not decayed.
    """
    warmup = max(1, steps // 12)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=learning_rate, warmup_steps=warmup
    )
    adam = keras.optimizers.AdamW(rate, weight_decay=weight_decay)
    adam.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return adam
