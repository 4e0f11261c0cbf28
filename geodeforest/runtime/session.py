"""A checked graph becomes a session of ONNX Runtime, on the processor or on a GPU.

Knows settings and devices of the runtime; nothing of chips or specs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort

from geodeforest.core.options import Device
from geodeforest.errors import MissingExtra, ModelError, OptionError, brief

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

# The same algorithm for the same sizes: the default times them, and which one wins may change.
# Numbers stay float32 where the GPU would cut them to ten bits by itself.
_CUDA_SETTINGS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}

_FATAL = 4  # ONNX Runtime's severity; all else comes back as exceptions


def open_session(content: bytes, path: Path, device: Device = "cpu") -> ort.InferenceSession:
    """The session of a graph; ``path`` stands for it in errors.

    Raises:
        MissingExtra: a GPU is asked for, and this ONNX Runtime knows none.
        OptionError: a GPU is asked for and cannot be used.
        ModelError: ONNX Runtime refuses the graph.
    """
    providers = wanted_providers(device)
    try:
        session = ort.InferenceSession(content, session_options(device), providers=providers)
    except Exception as error:  # its exceptions share no base class
        why = f"ONNX Runtime refuses it ({brief(error)})"
        raise ModelError(path, why, "export the model again") from error
    if device == "gpu":
        # It goes on with the processor, in silence, where the driver or a library is missing.
        if CUDA not in session.get_providers():
            raise OptionError(
                "device gpu: ONNX Runtime cannot use a GPU here; check the driver and CUDA's "
                "libraries, or choose cpu"
            )
        session.disable_fallback()
    return session


def wanted_providers(device: Device) -> list[Any]:
    """The providers to ask ONNX Runtime for, best first.

    Raises:
        MissingExtra: a GPU is asked for, and this ONNX Runtime knows none.
    """
    if device == "cpu":
        return [CPU]
    if CUDA not in ort.get_available_providers():
        raise MissingExtra("--device gpu", "onnx-gpu")
    return [(CUDA, _CUDA_SETTINGS), CPU]


def session_options(device: Device) -> ort.SessionOptions:
    """One thread a run, so that a chip's scores are the same bits however many there are."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _FATAL
    options.use_deterministic_compute = device == "gpu"
    # With patterns a run's numbers lie in one block, laid out by the first run of a shape. Taken
    # one by one they cost up to two fifths more time, and without an arena always some.
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = True
    return options


def run_options(*, gives_back: bool) -> ort.RunOptions:
    """The settings of a run; with ``gives_back`` the memory it took is free after it.

    That suits the first run of a shape: it takes memory piece by piece, and later ones one block.
    """
    options = ort.RunOptions()
    if gives_back:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def lacks_arena(error: Exception) -> bool:
    """Whether a run failed since this build of ONNX Runtime has no memory to give back."""
    return "arena based allocator" in str(error)
