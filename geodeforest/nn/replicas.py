"""All copies of the network that take a step together, on this machine and on others.

Knows a strategy and its workers; nothing of networks and files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from geodeforest.nn.workers import share_of


class Replicas:
    """The copies of a strategy.

    ``share`` is this program's part of each batch, ``here`` the device of this program: with
    a remote TPU the default one is another machine's, which would get the files.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        self.share, self.here = share_of(strategy), "/job:localhost"
        if self.share.of > 1:
            task = strategy.cluster_resolver
            self.here = f"/job:{task.task_type}/task:{task.task_id}"
        self._total = self.summed(lambda number: number * 1)

    def spread(self, batches: tf.data.Dataset) -> Any:
        """Batches, which hold this program's share, cut for its replicas."""
        if self.share.of == 1:
            return self._strategy.experimental_distribute_dataset(batches)
        here = self._strategy.num_replicas_in_sync // self.share.of
        size = batches.element_spec[0].shape[0] // here
        each = batches.rebatch(size, drop_remainder=True) if here > 1 else batches
        return self._strategy.distribute_datasets_from_function(lambda _: each)

    def summed(self, one: Callable[..., tf.Tensor]) -> Callable[[tuple[Any, ...]], tf.Tensor]:
        """Compile a step of one replica to one of all: takes a batch, gives the sum."""

        def part(*args: tf.Tensor) -> tf.Tensor:
            # Inside the step, since `strategy.reduce` reaches no other worker from a graph.
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, one(*args))

        @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no stubs
        def all_of_them(batch: tuple[Any, ...]) -> tf.Tensor:
            parts = self._strategy.run(part, args=batch)
            return self._strategy.experimental_local_results(parts)[0]

        return all_of_them  # type: ignore[no-any-return]

    def agree(self, number: int) -> bool:
        """Wait for all workers; whether they come with the same number."""
        if self.share.of == 1:
            return True
        total = int(self._total((tf.constant(number, tf.int64),)))
        return total == number * int(self._strategy.num_replicas_in_sync)
