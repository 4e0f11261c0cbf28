"""What the network's arithmetic costs, and what each way to make it quicker gives.

    python benchmarks/arithmetic.py [--runs 15] [SCENE...]

Every variant of the built-in model runs on one thread, all by turns in a random order; what
counts is the median of the processor's time, per pixel, so that other work on the machine
takes little part. Scores are compared with those of the model as it ships, on the middle
512 x 512 px of each SCENE (default: the repository's samples, mirrored), as class pixels that
differ at 0.5. OpenVINO is tried where it is installed; it is no part of geodeforest.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import onnx
import onnxruntime as ort

from geodeforest.nn import to_onnx as writer
from geodeforest.nn.export import load_keras
from geodeforest.runtime.model_dir import model_directory
from geodeforest.runtime.session import CPU, session_options

CHIP = 512
WINDOWS = ((512, 1024), (512, 1536), (768, 768), (1024, 1024))

Feed = dict[str, np.ndarray]
Run = Callable[[Feed], np.ndarray]


@click.command()
@click.option("--runs", default=15, show_default=True, help="Runs of each; the median counts.")
@click.argument("scenes", nargs=-1, type=click.Path(path_type=Path))
def main(runs: int, scenes: tuple[Path, ...]) -> None:
    """Print the processor's time of each variant, its share, and how many pixels turn."""
    feeds = [fed(path, CHIP, CHIP) for path in scenes or samples()]
    with tempfile.TemporaryDirectory() as work:
        variants = dict(graphs_and_settings()) | dict(other_numbers(Path(work), feeds))
        seconds = measured({name: (run, feeds[0]) for name, run in variants.items()}, runs)
        shipped = variants["as shipped"]
        click.echo("variant                        ms/chip  share  class pixels that differ")
        for name, run in variants.items():
            differ = np.mean([(_classes(run(f)) != _classes(shipped(f))).mean() for f in feeds])
            share = seconds[name] / seconds["as shipped"]
            click.echo(f"{name:28s} {1e3 * seconds[name]:9.1f} {share:6.2f} {differ:12.4%}")
    click.echo("\nwindow       ns/px  ns per useful px (overlap 128)  share")
    for line in windows(runs):
        click.echo(line)


def samples() -> list[Path]:
    """The sample scenes of the repository."""
    return sorted((Path(__file__).parents[1] / "data" / "sample").glob("*.tif"))


def fed(path: Path, rows: int, cols: int) -> Feed:
    """What the network gets of a scene: its middle, and its scene inputs."""
    import rasterio

    import geodeforest as gd

    with rasterio.open(path) as file:
        stored = file.read([3, 2, 1] if file.count > 3 else [1, 2, 3])
        raster = gd.Raster(stored, file.transform, file.crs)
    options = gd.scan(raster, resample=False).record["options"]
    low, high = options["scale"]
    after = [(0, max(0, rows - stored.shape[1])), (0, max(0, cols - stored.shape[2]))]
    image = np.pad((stored - low) / (high - low), [(0, 0), *after], mode="symmetric")
    chips = image[:, :rows, :cols].clip(0, 1).transpose(1, 2, 0)[np.newaxis].astype(np.float32)
    level = np.float32(options["scene_level"]).reshape(1, -1)
    return {"chips": np.ascontiguousarray(chips), "scene_level": level}


def graphs_and_settings() -> Iterator[tuple[str, Run]]:
    """The same numbers, written or run in another way."""
    home = model_directory()
    content = (home / "model.onnx").read_bytes()
    yield "as shipped", session(content)
    model = load_keras(home)
    with patch.object(writer, "sum_joins", lambda graph: None):
        yield "maps joined", session(written(model))
        with patch.object(writer, "_logistic", _softmax_of_pairs):
            yield "maps joined, softmax", session(written(model))
    with patch.object(writer, "_logistic", _softmax_of_pairs):
        yield "softmax", session(written(model))
    yield "sizes fixed", session(content, sizes=(CHIP, CHIP))
    yield "no spinning", session(content, **{"session.intra_op.allow_spinning": "0"})
    yield "no memory patterns", session(content, pattern=False)
    yield "no arena", session(content, arena=False)
    yield "two chips a run", batched(session(content), 2)
    yield "inputs and outputs bound", bound(content)


def _softmax_of_pairs(graph: Any, logits: str) -> str:
    last = graph.add("Transpose", [logits], "logits_nhwc", perm=[0, 2, 3, 1])
    return graph.add("Softmax", [last], "scores", axis=-1)


def written(model: Any) -> bytes:
    """The network as ONNX, by the writer as it is now."""
    return bytes(writer.to_onnx(model).SerializeToString())


def session(
    content: bytes,
    *,
    sizes: tuple[int, int] | None = None,
    pattern: bool = True,
    arena: bool = True,
    **entries: str,
) -> Run:
    """A graph ready to run, with geodeforest's settings but for those given."""
    options = session_options("cpu")
    options.enable_mem_pattern, options.enable_cpu_mem_arena = pattern, arena
    for name, size in {} if sizes is None else {"n": 1, "rows": sizes[0], "cols": sizes[1]}.items():
        options.add_free_dimension_override_by_name(name, size)
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    made = ort.InferenceSession(content, options, providers=[CPU])
    return lambda feed: made.run(["scores"], feed)[0]


def batched(run: Run, chips: int) -> Run:
    """Several chips a run; the time is divided among them by ``measured``."""

    def several(feed: Feed) -> np.ndarray:
        return run({name: np.repeat(array, chips, axis=0) for name, array in feed.items()})

    return several


def bound(content: bytes) -> Run:
    """Memory for inputs and outputs that is held from run to run."""
    made = ort.InferenceSession(content, session_options("cpu"), providers=[CPU])
    binding = made.io_binding()
    scores = np.empty((1, CHIP, CHIP, 2), np.float32)
    binding.bind_ortvalue_output("scores", ort.OrtValue.ortvalue_from_numpy(scores))

    def run(feed: Feed) -> np.ndarray:
        for name, array in feed.items():
            binding.bind_cpu_input(name, array)
        made.run_with_iobinding(binding)
        return binding.get_outputs()[0].numpy()

    return run


def other_numbers(work: Path, feeds: Sequence[Feed]) -> Iterator[tuple[str, Run]]:
    """Fewer bits, or another runtime."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
    from onnxruntime.transformers.float16 import convert_float_to_float16

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(feeds)

        def get_next(self) -> Feed | None:
            return next(self.left, None)

    source = model_directory() / "model.onnx"
    quantize_static(source, work / "static.onnx", Reader(), per_channel=True)
    yield "int8, static", session((work / "static.onnx").read_bytes())
    quantize_dynamic(source, work / "dynamic.onnx")
    yield "int8, dynamic", session((work / "dynamic.onnx").read_bytes())
    half = convert_float_to_float16(onnx.load(source), keep_io_types=True)
    yield "float16", session(half.SerializeToString())
    if find_spec("openvino"):
        yield "OpenVINO, float32", openvino(source, {"INFERENCE_PRECISION_HINT": "f32"})
        yield "OpenVINO, its own choice", openvino(source, {})


def openvino(source: Path, settings: dict[str, str]) -> Run:
    """The same graph in OpenVINO on one thread, sizes fixed."""
    import openvino as ov

    core = ov.Core()
    graph = core.read_model(source)
    graph.reshape({"chips": [1, CHIP, CHIP, 3], "scene_level": [1, 3]})
    one = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, **settings}
    request = core.compile_model(graph, "CPU", one).create_infer_request()
    return lambda feed: request.infer(feed)[0]


def measured(jobs: dict[str, tuple[Run, Feed]], runs: int) -> dict[str, float]:
    """The median of the processor's seconds for a chip, all jobs by turns."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    shuffle = np.random.default_rng(0)
    for number in range(runs + 2):
        for name in shuffle.permutation(list(jobs)):
            run, feed = jobs[name]
            started = time.process_time()
            chips = len(run(feed))
            if number > 1:  # the first ones take up memory
                times[name].append((time.process_time() - started) / chips)
    return {name: float(np.median(each)) for name, each in times.items()}


def windows(runs: int) -> Iterator[str]:
    """Time per pixel of larger windows, and per pixel that a scan keeps of them.

    Each has a session: memory patterns of squares stand in each other's way.
    """
    content = (model_directory() / "model.onnx").read_bytes()
    sizes = {f"{rows} x {cols}": (rows, cols) for rows, cols in ((CHIP, CHIP), *WINDOWS)}
    draw, level = np.random.default_rng(0), np.full((1, 3), 0.1, np.float32)
    feeds = {
        name: {"chips": draw.random((1, *size, 3), np.float32), "scene_level": level}
        for name, size in sizes.items()
    }
    jobs = {name: (session(content), feed) for name, feed in feeds.items()}
    seconds = measured(jobs, runs)
    useful = {name: seconds[name] / (r - 128) / (c - 128) for name, (r, c) in sizes.items()}
    for name, (rows, cols) in sizes.items():
        share = useful[name] / useful[f"{CHIP} x {CHIP}"]
        each = 1e9 * seconds[name] / rows / cols
        yield f"{name:11s} {each:6.1f} {1e9 * useful[name]:10.1f} {share:6.2f}"


def _classes(scores: np.ndarray) -> np.ndarray:
    return scores[0, ..., 1] >= 0.5


if __name__ == "__main__":
    main()
