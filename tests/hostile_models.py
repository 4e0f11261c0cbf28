"""Models made to harm, or merely broken, as what ``--model`` may be given.

``MODELS`` maps what is wrong to a function that makes it in an empty folder and returns the
path. Whatever carries code would leave a file named ``MARKER`` behind if it were run.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import onnx
from hostile_networks import (
    control_flow,
    external_data,
    foreign_domain,
    graph,
    infinite_weights,
    long_names,
    much_work,
    nan_weights,
    no_softmax,
    not_an_image_model,
    other_shapes,
    sizes,
    three_classes,
    twice_the_same_name,
    two_bands,
)

MARKER = "code_was_run"

SPEC = {
    "schema": 1,
    "name": "tiny",
    "version": "1",
    "bands": ["grey"],
    "scale": {"uint8": {"low": 0, "high": 255}},
    "gsd_m": None,
    "chip": 64,
    "halo": 0,
    "classes": [
        {"id": 0, "name": "forest", "role": "forest"},
        {"id": 1, "name": "deforestation", "role": "deforestation"},
    ],
    "threshold": 0.5,
    "confidence": {"medium": 0.6, "high": 0.8},
    "architecture": {"filters": [4]},
    "scene_inputs": [],
    "licence": "",
    "training": {},
    "metrics": {},
}


def write(home: Path, content: bytes | onnx.ModelProto | None = None, **fields: object) -> Path:
    """A model directory whose spec vouches for its network; ``fields`` replace the spec's."""
    home.mkdir()
    content = graph() if content is None else content
    data = content if isinstance(content, bytes) else content.SerializeToString()
    (home / "model.onnx").write_bytes(data)
    facts = {**SPEC, "files": {"model.onnx": vouch(data)}, **fields}
    (home / "model.json").write_text(json.dumps(facts), "utf-8")
    return home


def vouch(data: bytes) -> dict[str, object]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


class Bomb:
    """Leaves the marker when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {MARKER}",)


PICKLE = pickle.dumps(Bomb())


def keras_archive(config: object = None, **members: bytes) -> bytes:
    """What ``model.save("x.keras")`` writes, with this configuration."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        if config is not None:
            text = config if isinstance(config, str) else json.dumps(config)
            archive.writestr("config.json", text)
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def layer(class_name: str, module: str, **config: object) -> dict[str, object]:
    one = {"class_name": class_name, "module": module, "config": config}
    return {"class_name": "Sequential", "module": "keras", "config": {"layers": [one]}}


RUNS = f"touch {MARKER}"
LAMBDA = layer("Lambda", "keras.layers", function={"class_name": "__lambda__", "config": RUNS})
EXEC = layer("exec", "builtins", arguments=[f"open({MARKER!r}, 'w')"])
POPEN = layer("Popen", "subprocess", args=["touch", MARKER])
TFSM = layer("TFSMLayer", "keras.layers", filepath="saved")
UNSAFE = layer("enable_unsafe_deserialization", "keras.config")


def a_file(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def a_spec(text: str | bytes) -> Callable[[Path], Path]:
    """A model directory with this text for ``model.json``."""

    def make(folder: Path) -> Path:
        home = write(folder / "model")
        data = text if isinstance(text, bytes) else text.encode()
        (home / "model.json").write_bytes(data)
        return home

    return make


def edited(edit: Callable[[str], str]) -> Callable[[Path], Path]:
    """A good model directory but for what this makes of the text of its spec."""

    def make(folder: Path) -> Path:
        home = write(folder / "model")
        text = (home / "model.json").read_text("utf-8")
        made = edit(text)
        if made == text:
            raise ValueError("nothing was edited")
        (home / "model.json").write_text(made, "utf-8")
        return home

    return make


def spec_with(**fields: object) -> Callable[[Path], Path]:
    return lambda folder: write(folder / "model", **fields)


def a_network(content: bytes | Callable[[], bytes | onnx.ModelProto]) -> Callable[[Path], Path]:
    """A model directory that vouches for this network."""

    def make(folder: Path) -> Path:
        return write(folder / "model", content if isinstance(content, bytes) else content())

    return make


def changed(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A good model directory to which this was done afterwards."""

    def make(folder: Path) -> Path:
        home = write(folder / "model")
        change(home)
        return home

    return make


def instead(name: str, place: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A good model directory with something else under one of its names."""

    def make(folder: Path) -> Path:
        home = write(folder / "model")
        (home / name).rename(folder / name)
        place(home / name)
        return home

    return make


def much_work_in(folder: Path) -> Path:
    architecture = {"filters": [1] * 8}
    return write(folder / "model", much_work(), architecture=architecture, chip=128)


def many_bands(folder: Path) -> Path:
    """A chip for the check alone would take 8 GB."""
    bands, architecture = [f"b{n}" for n in range(2000)], {"filters": [1] * 10}
    return write(folder / "model", graph(2000), bands=bands, architecture=architecture, chip=512)


def sparse(size: int) -> Callable[[Path], None]:
    return lambda path: (path.touch(), os.truncate(path, size))


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))


def saved_model(folder: Path) -> Path:
    home = folder / "saved"
    (home / "variables").mkdir(parents=True)
    (home / "saved_model.pb").write_bytes(b"\x08\x01\x12\x02")
    return home


def huge_yet_vouched(folder: Path) -> Path:
    """Half a gigabyte, most of it holes, of which the spec tells the size rightly."""
    home = write(folder / "model", files={"model.onnx": {"sha256": "0" * 64, "bytes": 2**29}})
    os.truncate(home / "model.onnx", 2**29)
    return home


def a_thousand_files(folder: Path) -> Path:
    names = [f"part{n}.bin" for n in range(1000)]
    home = write(folder / "model", files={name: vouch(b"") for name in names})
    for name in names:
        (home / name).touch()
    return home


def weights_of_half_a_gigabyte(folder: Path) -> Path:
    wrong = {"sha256": "0" * 64, "bytes": 2**29}
    network = graph().SerializeToString()
    files = {"model.onnx": vouch(network), "model.weights.h5": wrong}
    home = write(folder / "model", network, files=files)
    sparse(2**29)(home / "model.weights.h5")
    return home


def flip(home: Path) -> None:
    data = bytearray((home / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (home / "model.onnx").write_bytes(data)


def nested(levels: int) -> Callable[[Path], Path]:
    deep = '{"a": ' * levels + "1" + "}" * levels
    return edited(lambda text: text.replace('"metrics": {}', f'"metrics": {deep}'))


BAD_SPECS = {
    "M1 an empty spec": a_spec(""),
    "M1 a spec of text": a_spec("a model, or so it says"),
    "M1 a spec cut short": edited(lambda text: text[:200]),
    "M1 a spec that is a pickle": a_spec(PICKLE),
    "M1 a spec that is not UTF-8": a_spec(b'{"schema": 1, "name": "\xff"}'),
    "M1 a directory of nothing": changed(lambda home: [p.unlink() for p in home.iterdir()]),
    "M2 a spec that is a list": a_spec("[]"),
    "M2 a spec of another schema": spec_with(schema=2),
    "M2 a spec without bands": spec_with(bands=[]),
    "M3 code for an architecture": spec_with(architecture={**EXEC, "filters": [4]}),
    "M3 a layer for a block": spec_with(architecture={"filters": [4], "block": "Lambda"}),
    "M3 a class of another role": spec_with(
        classes=[{"id": 0, "name": "a", "role": "__import__('os')"}] * 2
    ),
    "M4 a spec of 100 MB": instead("model.json", sparse(100 * 2**20)),
    "M4 a spec of a terabyte": instead("model.json", sparse(2**40)),
    "M4 a spec of four million brackets": a_spec("[" * 4_000_000),
    "M4 a spec of a million empty lists": edited(
        lambda text: text.replace('"metrics": {}', f'"metrics": [{"[]," * 1_300_000}[]]')
    ),
    "M4 a number of four million digits": edited(
        lambda text: text.replace('"chip": 64', f'"chip": {"1" * 4_000_000}')
    ),
    "M4 metrics 500 levels deep": nested(500),
    "M4 metrics 900 levels deep": nested(900),
    "M4 a word of four million letters": spec_with(name="n" * 4_000_000),
    "M4 a role of four million letters": spec_with(
        classes=[{"id": 0, "name": "a", "role": "r" * 4_000_000}]
    ),
    "M5 two billion filters": spec_with(architecture={"filters": [2_000_000_000] * 2}),
    "M5 one level of a billion filters": spec_with(architecture={"filters": [1_000_000_000]}),
    "M5 filters beyond any float": spec_with(architecture={"filters": [10**400]}),
    "M5 a hundred thousand levels": spec_with(architecture={"filters": [1] * 100_000}),
    "M5 a chip of a million pixels": spec_with(chip=2**20),
    "M5 a chip of infinite size": edited(lambda text: text.replace('"chip": 64', '"chip": 1e999')),
    "M5 a pixel size of infinite metres": edited(
        lambda text: text.replace('"gsd_m": null', '"gsd_m": 1e999')
    ),
    "M5 a pixel size that is no number": spec_with(gsd_m=float("nan")),
    "M5 a threshold that is no number": spec_with(threshold=float("nan")),
    "M5 a scale that is no number": spec_with(scale={"uint8": {"low": 0, "high": float("nan")}}),
    "M5 a negative halo": spec_with(halo=-8),
    "M5 a thousand classes": spec_with(
        classes=[{"id": n % 255, "name": str(n), "role": "other"} for n in range(1000)]
    ),
    "M6 a key that occurs twice": edited(lambda text: text.replace('"halo"', '"halo": 8, "halo"')),
    "M6 a spec that is a link": instead(
        "model.json", lambda path: path.symlink_to("../model.json")
    ),
    "M6 a spec that is a link to itself": instead(
        "model.json", lambda path: path.symlink_to("model.json")
    ),
    "M6 a spec that is a link to a device": instead(
        "model.json", lambda path: path.symlink_to("/dev/zero")
    ),
    "M6 a spec that is a pipe": instead("model.json", os.mkfifo),
    "M6 a spec that is a directory": instead("model.json", Path.mkdir),
    "M6 a thousand files": a_thousand_files,
    "M9 a SavedModel": saved_model,
}
"""Those whose spec is wrong: ``model show`` refuses them, too."""

NO_DIRECTORIES = {
    "M1 text": a_file("model", b"a model, or so it says"),
    "M1 an empty file": a_file("model.onnx", b""),
    "M1 a pickle": a_file("model.pkl", PICKLE),
    "M1 a Git LFS pointer": a_file("model.onnx", b"version https://git-lfs.github.com/spec/v1\n"),
    "M2 a .keras without configuration": a_file("x.keras", keras_archive()),
    "M2 a .keras with a broken one": a_file("x.keras", keras_archive("{")),
    "M3 a .keras with a Lambda": a_file("x.keras", keras_archive(LAMBDA)),
    "M3 a .keras that runs exec": a_file("x.keras", keras_archive(EXEC)),
    "M3 a .keras that starts a process": a_file("x.keras", keras_archive(POPEN)),
    "M3 a .keras with a TFSMLayer": a_file("x.keras", keras_archive(TFSM)),
    "M3 a .keras that switches safety off": a_file("x.keras", keras_archive(UNSAFE)),
    "M4 a .keras that is a bomb": a_file(
        "x.keras", keras_archive(SPEC, **{"model.weights.h5": bytes(2**26)})
    ),
    "M6 a .keras with members that lead out": a_file(
        "x.keras", keras_archive(SPEC, **{"../" * 9 + MARKER: b""})
    ),
    "M9 a .h5": a_file("x.h5", b"\x89HDF\r\n\x1a\n" + bytes(2000)),
    "M9 an ONNX file alone": a_file("x.onnx", graph().SerializeToString()),
}
"""Files where a directory is wanted."""

BAD_NETWORKS = {
    "M1 a network of text": a_network(b"a network, or so it says"),
    "M1 an empty network": a_network(b""),
    "M1 a network cut short": a_network(graph().SerializeToString()[:-9]),
    "M1 a network that is a pickle": a_network(PICKLE),
    "M2 a network that is a .keras": a_network(keras_archive(EXEC)),
    "M3 a network with its own operator": a_network(foreign_domain),
    "M3 a network with control flow": a_network(control_flow),
    "M4 a network of half a gigabyte": huge_yet_vouched,
    "M4 a network of a terabyte": instead("model.onnx", sparse(2**40)),
    "M4 weights of half a gigabyte": weights_of_half_a_gigabyte,
    "M4 a network with names of megabytes": a_network(long_names),
    "M5 weights of absurd sizes": a_network(sizes(2**62, 4, 1, 1)),
    "M5 weights of negative sizes": a_network(sizes(-2, -1, 1, 1)),
    "M5 weights with bytes missing": a_network(sizes(3, 1, 1, 1)),
    "M5 a gigabyte for one small chip": much_work_in,
    "M5 two thousand bands": many_bands,
    "M6 a network elsewhere": a_network(external_data("../../secret")),
    "M6 a network in a device": a_network(external_data("/dev/zero")),
    "M6 two weights of one name": a_network(twice_the_same_name),
    "M6 a file that leads out": spec_with(files={"../secret": vouch(b"")}),
    "M6 a file of an absolute path": spec_with(files={"/etc/hostname": vouch(b"")}),
    "M6 a network that is a link": instead(
        "model.onnx", lambda path: path.symlink_to("../model.onnx")
    ),
    "M6 a network that is a link to a device": instead(
        "model.onnx", lambda path: path.symlink_to("/dev/zero")
    ),
    "M6 a network that is a pipe": instead("model.onnx", os.mkfifo),
    "M6 a network that is a socket": instead("model.onnx", a_socket),
    "M6 a network that is a directory": instead("model.onnx", Path.mkdir),
    "M6 a network that no spec names": spec_with(files={}),
    "M8 weights that are not numbers": a_network(nan_weights),
    "M8 infinite weights": a_network(infinite_weights),
    "M8 weights of other shapes": a_network(other_shapes),
    "M8 another number of bands": a_network(two_bands),
    "M8 another number of classes": a_network(three_classes),
    "M8 a network of whole images": a_network(not_an_image_model),
    "M8 a network without a softmax": a_network(no_softmax),
    "M10 a network changed afterwards": changed(flip),
    "M10 a network removed afterwards": changed(lambda home: (home / "model.onnx").unlink()),
}
"""Those whose spec is right: ``model show`` tells what it says, and opens nothing else."""

MODELS = {**NO_DIRECTORIES, **BAD_SPECS, **BAD_NETWORKS}
