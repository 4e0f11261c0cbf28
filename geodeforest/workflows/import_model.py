"""Weights of the seed system become a model directory that ``scan`` can use.

Knows what the weights cannot say: bands, classes, scale and pixel size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, get_args

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import CLASSES, ClassDef, ConfidenceRule, ModelSpec, Role
from geodeforest.errors import ModelError, OptionError, SpecError
from geodeforest.geo.files import DirectoryOutput
from geodeforest.runtime.model_dir import check_bounds, file_kind
from geodeforest.workflows.extras import need_training
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.model_card import model_card

if TYPE_CHECKING:
    from geodeforest.nn.seed_network import Concat, SeedNetwork

MODEL_FILES = ("model.json", "model.onnx", "model.weights.h5", "MODEL_CARD.md")

_CHIP, _HALO = 512, 64  # of the seed's chips; of a training's model
_DTYPES = ("uint8", "uint16", "int16", "int32", "float32", "float64")
_SEED_BANDS = ("red", "green", "blue")
_NOTES = """\
The weights come from `{file}`, as Keras 2 saved them. What they scored before was not measured
again, and the confidence classes are a rule of thumb."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What weights cannot say; the defaults are the seed system's.

    ``concat`` is the order in which the network joins what was upsampled and the skip (None:
    that of the seed's code). ``bands`` and ``classes`` (name to role) are in the network's
    order; None names three as the seed did. Stored numbers ``scale`` of the data type
    ``dtype`` become 0 and 1. ``gsd`` is the pixel size in metres, None where unknown.

    Raises:
        OptionError: a number or a role out of range.
    """

    concat: Concat | None = None
    bands: Sequence[str] | None = None
    classes: Mapping[str, Role] | None = None
    scale: tuple[float, float] = (0, 255)
    dtype: str = "uint8"
    gsd: float | None = None
    threshold: float = 0.5
    name: str | None = None
    licence: str = ""

    def __post_init__(self) -> None:
        if self.concat not in (None, "up-first", "skip-first"):
            raise OptionError(f"concat {self.concat!r} is unknown; choose up-first or skip-first")
        if self.gsd is not None and not self.gsd > 0:
            raise OptionError(f"gsd {self.gsd} must be metres above 0")
        if not 0 < self.threshold <= 1:
            raise OptionError(f"threshold {self.threshold} must be above 0 and at most 1")
        BandScale(*self.scale)
        if self.dtype not in _DTYPES:
            raise OptionError(f"dtype {self.dtype!r} is unknown; choose {', '.join(_DTYPES)}")
        if unknown := set((self.classes or {}).values()) - set(get_args(Role)):
            known = ", ".join(get_args(Role))
            raise OptionError(f"role {min(unknown)!r} is unknown; choose {known}")


class ImportChoices(TypedDict, total=False):
    """The fields of ``ImportOptions`` as keywords."""

    concat: Concat | None
    bands: Sequence[str] | None
    classes: Mapping[str, Role] | None
    scale: tuple[float, float]
    dtype: str
    gsd: float | None
    threshold: float
    name: str | None
    licence: str


def import_model(
    weights: str | PathLike[str],
    output: str | PathLike[str],
    options: ImportOptions | None = None,
    *,
    overwrite: bool = False,
    **chosen: Unpack[ImportChoices],
) -> ModelSpec:
    """Make a model directory of weights that Keras 2 saved of one of the seed's networks.

    The network is recognised by the shapes of its weights, whatever its filters and depth;
    no code and no configuration in the file is looked at.

    Args:
        weights: what ``save_weights("x.h5")`` or ``save("x.h5")`` wrote.
        output: the model directory to write.
        options: what the weights cannot say, as a value.
        overwrite: replace a model directory.
        chosen: the same as ``options`` in keywords, which go before ``options``.

    Raises:
        MissingExtra: TensorFlow is not installed.
        OptionError: an option out of range, or names missing that the network needs.
        ModelError: the file is refused, or is not one of the seed's networks.
        OutputExists: ``output`` holds something, and ``overwrite`` is False.
        OutputUnwritable: ``output`` cannot be written.
    """
    options, source = replace(options or ImportOptions(), **chosen), Path(weights)
    need_training("importing a model")
    from geodeforest.nn.export import export_model
    from geodeforest.nn.keras2 import look_first, saved_convs
    from geodeforest.nn.seed_network import recognise

    directory = DirectoryOutput(output, overwrite, holds=MODEL_FILES, inputs=[weights])
    _check_kind(source)
    look_first(source)
    with saved_convs(source) as convs:
        network = recognise(convs)
        spec = _spec(network, options, source, Path(output))
        model = network.load(convs, options.concat)
    with directory as work:
        export_model(model, spec, work, model_card(spec, _NOTES.format(file=source.name)))
        return load_model(work).spec


def _check_kind(path: Path) -> None:
    if not path.is_file():
        raise ModelError(path, "there is no such file", "name a .h5 file of weights")
    if (kind := file_kind(path)) != "HDF5 weights":
        raise ModelError(path, f"not Keras weights (found: {kind})", "name a .h5 file of weights")


def _spec(network: SeedNetwork, options: ImportOptions, source: Path, output: Path) -> ModelSpec:
    shape = network.architecture
    chip = max(_CHIP // shape.multiple, 1) * shape.multiple
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        spec = ModelSpec(
            name=options.name or output.absolute().name,
            version="1",
            bands=_bands(network.bands, options.bands),
            scale={options.dtype: BandScale(*options.scale)},
            gsd_m=options.gsd,
            chip=chip,
            halo=min(_HALO, chip // 4),
            classes=_classes(network.classes, options.classes),
            threshold=options.threshold,
            confidence=ConfidenceRule(medium=0.75, high=0.9),
            architecture=shape,
            licence=options.licence,
            training={
                "imported": source.name,
                "sha256": digest,
                "concat": options.concat or network.concat,
            },
        )
        check_bounds(spec)
    except SpecError as error:
        raise OptionError(f"the model's {error.why}; choose another") from error
    return spec


def _bands(number: int, named: Sequence[str] | None) -> tuple[str, ...]:
    if named is None and number == len(_SEED_BANDS):
        return _SEED_BANDS
    if named is None or len(named) != number:
        raise OptionError(f"the network takes {number} bands; name them with --bands")
    return tuple(named)


def _classes(number: int, named: Mapping[str, Role] | None) -> tuple[ClassDef, ...]:
    if named is None and number == len(CLASSES):
        return CLASSES
    if named is None or len(named) != number:
        raise OptionError(
            f"the network tells {number} classes; name them and their roles with --classes"
        )
    return tuple(ClassDef(i, name, role) for i, (name, role) in enumerate(named.items()))
