"""Scores from ONNX Runtime. Knows arrays and a model directory; no scene.

Each chip is one run on one thread, so a chip's scores are the same bits however many
chips or threads there are.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from geodeforest.core.options import Device
from geodeforest.core.predicting import (
    check_chips,
    check_scores,
    level_of_scene,
    self_test,
    self_test_sides,
)
from geodeforest.core.spec import ModelSpec
from geodeforest.core.threads import Stopped
from geodeforest.errors import ModelError, brief
from geodeforest.runtime.model_dir import ONNX_FILE, read_spec, read_verified, verify_files
from geodeforest.runtime.onnx_graph import GraphFacts, check_graph
from geodeforest.runtime.session import lacks_arena, open_session, run_options

SMALLEST_RUN_VALUES, SMALLEST_RUN_PRODUCTS = 2**25, 2**35
"""What the small chip of the check may hold and multiply: 128 MB, and about two seconds.

The published seed network of 124 million parameters needs a fifth of that.
"""


class OnnxPredictor:
    """A model directory's ``model.onnx``, checked and ready to run.

    ``predict`` may be called from several threads at once.
    """

    def __init__(self, directory: str | Path, device: Device = "cpu") -> None:
        """Check, in this order: spec, hashes, graph, session, one small chip.

        Raises:
            ModelError: any of them is refused.
            MissingExtra: ``device`` is ``gpu``, and this ONNX Runtime knows none.
            OptionError: ``device`` is ``gpu``, and it cannot be used.
        """
        home = Path(directory)
        self.device = device
        self._path = home / ONNX_FILE
        self._spec = read_spec(home)
        verify_files(home, self._spec)
        content = read_verified(home, self._spec, ONNX_FILE)
        self._facts = check_graph(content, self._path)
        _check_fit(self._facts, self._spec, self._path)
        self._session = open_session(content, self._path, device)
        self._runs: dict[int, ort.RunOptions] = {}
        self._shapes: set[tuple[int, ...]] = set()
        self._gives_back = device == "cpu"
        self_test(self, self._path)

    @property
    def spec(self) -> ModelSpec:
        """What the model is."""
        return self._spec

    @property
    def facts(self) -> GraphFacts:
        """What the graph holds; ``values_per_px`` tells the memory of a run."""
        return self._facts

    def predict(
        self,
        chips: NDArray[np.float32],
        scene_level: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Scores (n, rows, cols, classes) of chips (n, rows, cols, bands) scaled to 0..1.

        ``scene_level``, (n, inputs * bands), holds what ``spec.scene_inputs`` names; without it
        the middle of the training scenes' stands in, with a warning.

        Raises:
            OptionError: chips or scene_level do not fit the model.
            ModelError: the run fails or gives scores that are not finite.
            Stopped: the run was broken off by ``stop``.
        """
        scene_level = level_of_scene(self._spec, chips, scene_level)
        check_chips(self._spec, chips, scene_level)
        if len(chips) == 1:
            return self._run(_feed(chips, scene_level))
        scores = np.empty((*chips.shape[:3], len(self._spec.classes)), np.float32)
        for at in range(len(chips)):
            one = slice(at, at + 1)
            level = None if scene_level is None else scene_level[one]
            scores[one] = self._run(_feed(chips[one], level))
        return scores

    def stop(self, threads: Collection[int]) -> None:
        """End the runs of these threads, by their identifiers, after the node that is at work."""
        for thread in threads:
            if (run := self._runs.get(thread)) is not None:
                run.terminate = True

    def _run(self, feed: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        shape = feed["chips"].shape
        gives_back = self._gives_back and shape not in self._shapes
        thread, run = threading.get_ident(), run_options(gives_back=gives_back)
        self._runs[thread] = run
        try:
            (scores,) = self._session.run(["scores"], feed, run)
        except Exception as error:  # its exceptions share no base class
            if gives_back and lacks_arena(error):
                self._gives_back = False
                return self._run(feed)
            if run.terminate:
                raise Stopped from error
            why = f"the network does not run ({brief(error)})"
            raise ModelError(self._path, why, "try a smaller --chip") from error
        finally:
            self._runs.pop(thread, None)
        self._shapes.add(shape)
        found: NDArray[np.float32] = np.asarray(scores, np.float32)
        check_scores(self._spec, self._path, feed["chips"], found)
        return found


def _feed(
    chip: NDArray[np.float32], scene_level: NDArray[np.float32] | None
) -> dict[str, NDArray[np.float32]]:
    """The graph's inputs for one chip (1, rows, cols, bands)."""
    feed = {"chips": np.ascontiguousarray(chip, np.float32)}
    if scene_level is not None:
        feed["scene_level"] = np.ascontiguousarray(scene_level, np.float32)
    return feed


def _check_fit(facts: GraphFacts, spec: ModelSpec, path: Path) -> None:
    """The graph's inputs and output must be those of the spec's bands and classes."""
    bands = len(spec.bands)
    wanted = {"chips": bands}
    if spec.scene_inputs:
        wanted["scene_level"] = bands * len(spec.scene_inputs)
    found = {name: dims[-1] for name, dims in facts.inputs.items()}
    gives = {name: dims[-1] for name, dims in facts.outputs.items()}
    rows, cols = self_test_sides(spec)
    if (
        rows * cols * facts.values_per_px > SMALLEST_RUN_VALUES
        or rows * cols * facts.products_per_px > SMALLEST_RUN_PRODUCTS
    ):
        why = f"even a chip of {rows} x {cols} px is too much work for this graph"
        raise ModelError(path, why, "export a smaller network")
    if found != wanted or gives != {"scores": len(spec.classes)}:
        why = f"the graph takes {found} and gives {gives}, which is not what the spec says"
        raise ModelError(path, why, "export the model again")
