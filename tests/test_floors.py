"""The rules of the package's build, read from its source: floors, packages, sizes, bans.

``faults`` is the checker; the first test runs it on the package, the others on made-up
trees, so that it is known to see what it is there for.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Literal

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "geodeforest"

MODULE_LINES = 400
FUNCTION_LINES = 60


When = Literal["load", "call", "never"]
"""An import runs when its module is loaded, when a function is called, or for no one but the
type checker.
"""


@dataclass(frozen=True)
class Floor:
    """What one part of the package may import, besides itself and the standard library.

    ``parts`` and ``packages`` anywhere; ``late`` parts only inside functions. For the type
    checker it may name what those parts may import in turn, and any package.
    """

    parts: frozenset[str]
    packages: frozenset[str]
    late: frozenset[str] = frozenset()


def floor(parts: str, packages: str, late: str = "") -> Floor:
    return Floor(*(frozenset(words.split()) for words in (parts, packages, late)))


FLOORS = {
    "errors": floor("", ""),
    "core": floor("errors", "numpy"),
    "scanning": floor("errors core", "numpy"),
    "geo": floor(
        "errors core", "affine geopandas isal numpy pyarrow pyogrio pyproj rasterio shapely"
    ),
    "runtime": floor("errors core", "numpy onnxruntime"),
    "nn": floor("errors core", "google h5py keras numpy onnx onnxruntime tensorflow"),
    "testing": floor("errors core", "numpy rasterio"),
    "models": floor("", ""),
    "workflows": floor("errors core scanning geo runtime nn", "geopandas numpy"),
    "__init__": floor("errors", "", late="core geo workflows"),
    "cli": floor("errors __init__", "click tqdm", late="core workflows"),
    "__main__": floor("cli", ""),
}


@dataclass(frozen=True)
class Import:
    """A dotted name that a module imports, and when."""

    line: int
    name: str
    when: When


def faults(package: Path) -> list[str]:
    """Every breach of the rules in the modules under ``package``, one line each."""
    return [
        f"{path.relative_to(package).as_posix()}:{line} {what}"
        for path in sorted(package.rglob("*.py"))
        for line, what in module_faults(path, package)
    ]


def module_faults(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    text = path.read_text("utf-8")
    try:
        tree = ast.parse(text, feature_version=(3, 11))
    except SyntaxError as error:
        yield error.lineno or 1, f"is not Python 3.11: {error.msg}"
        return
    yield from import_faults(path.relative_to(package), tree, package.name)
    yield from ban_faults(tree)
    yield from size_faults(tree)
    lines = len(text.splitlines())
    if lines > MODULE_LINES:
        yield 1, f"has {lines} lines, more than {MODULE_LINES}"


def import_faults(where: Path, tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    part = part_of(where)
    if part not in FLOORS:
        yield 1, f"is on no floor: {part!r} has no entry in FLOORS"
        return
    allowed = FLOORS[part]
    for found in imports(tree, (package, *where.with_suffix("").parts)):
        top, *rest = found.name.split(".")
        if top == package:
            if rest == ["__version__"]:
                continue
            other = rest[0] if rest and rest[0] in FLOORS else "__init__"
            if other not in {part} | reach(part, found.when):
                how = " when it is loaded" if other in allowed.late else ""
                yield found.line, f"({part}) imports {found.name}{how}"
        elif top not in sys.stdlib_module_names | allowed.packages and found.when != "never":
            yield found.line, f"({part}) imports the package {top}"


def reach(part: str, when: When) -> frozenset[str]:
    """The parts that ``part`` may import at that time."""
    own = FLOORS[part]
    if when == "load":
        return own.parts
    direct = own.parts | own.late
    return direct if when == "call" else direct.union(*(reach(below, when) for below in direct))


def part_of(where: Path) -> str:
    return where.parts[0] if len(where.parts) > 1 else where.stem


def imports(tree: ast.Module, module: tuple[str, ...]) -> Iterator[Import]:
    """The imports of a module, with relative ones spelled out from the root."""
    for node, when in walk(tree, "load"):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, when) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module[: -node.level] if node.level else ()
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (Import(node.lineno, f"{base}.{alias.name}", when) for alias in node.names)


def walk(node: ast.AST, when: When) -> Iterator[tuple[ast.AST, When]]:
    """All nodes below, and when they run."""
    for child in ast.iter_child_nodes(node):
        yield child, when
        inside = when
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            inside = "never"
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and when == "load":
            inside = "call"
        yield from walk(child, inside)


def ban_faults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield node.lineno, "asserts; raise an error of geodeforest.errors"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
        ):
            yield node.lineno, "prints; return the text to the command line"


def size_faults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = length(node)
            if lines > FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {lines} lines, more than {FUNCTION_LINES}"


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    spared = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
    return function.end_lineno - function.lineno + 1 - spared


def test_the_package_keeps_the_rules():
    assert faults(PACKAGE) == []


def test_the_tests_modules_are_as_short_as_the_packages():
    lengths = {
        path.relative_to(TESTS).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in TESTS.rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


@pytest.fixture
def tree(tmp_path):
    """Writes modules of a made-up package and returns the checker's findings."""

    def check(**modules: str) -> list[str]:
        for name, text in modules.items():
            path = tmp_path / "geodeforest" / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), "utf-8")
        return faults(tmp_path / "geodeforest")

    return check


def test_imports_downward_are_in_order(tree):
    assert tree(core__in__grid="import numpy\nfrom geodeforest.errors import OptionError\n") == []


def test_an_upward_import_is_found(tree):
    found = tree(core__in__grid="from geodeforest.geo import scene\n")
    assert found == ["core/grid.py:1 (core) imports geodeforest.geo.scene"]


def test_a_sideways_import_is_found(tree):
    found = tree(geo__in__scene="import geodeforest.runtime.onnx\n")
    assert found == ["geo/scene.py:1 (geo) imports geodeforest.runtime.onnx"]


@pytest.mark.parametrize("text", ["from ..geo import scene", "from ..geo.scene import Raster"])
def test_a_relative_import_does_not_hide(tree, text):
    assert len(tree(core__in__grid=text)) == 1


def test_a_relative_import_of_a_neighbour_is_in_order(tree):
    assert (
        tree(core__in____init__="from . import grid", core__in__grid="from .pixels import x") == []
    )


def test_the_roots_own_names_are_above_the_floors(tree):
    assert len(tree(geo__in__scene="from geodeforest import scan\n")) == 1


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("core__in__grid", "rasterio"),
        ("geo__in__scene", "tensorflow"),
        ("nn__in__unet", "rasterio"),
        ("runtime__in__onnx", "rasterio"),
        ("workflows__in__network", "tensorflow"),
        ("errors", "numpy"),
    ],
)
def test_a_package_of_another_floor_is_found_in_functions_too(tree, module, package):
    assert len(tree(**{module: f"def late():\n    import {package}.part\n"})) == 1


def test_a_command_loads_workflows_late(tree):
    assert len(tree(cli__in__scan="from geodeforest.workflows.scan_scene import scan\n")) == 1
    late = "def command():\n    from geodeforest.workflows.scan_scene import scan\n"
    assert tree(cli__in__scan=late) == []


def test_an_import_for_the_type_checker_is_late_but_not_upward(tree):
    guarded = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from geodeforest.{} import x\n"
    )
    assert tree(__init__=guarded.format("geo")) == []
    assert len(tree(core__in__grid=guarded.format("geo"))) == 1


def test_an_import_that_is_tried_is_not_late(tree):
    tried = (
        "try:\n    from geodeforest.workflows import scan_scene\nexcept ImportError:\n    pass\n"
    )
    assert len(tree(cli__in__scan=tried)) == 1


def test_the_version_belongs_to_no_floor(tree):
    assert tree(core__in__grid="from geodeforest import __version__\n") == []


def test_a_new_part_has_to_be_given_a_floor(tree):
    assert "no floor" in tree(utils="x = 1\n")[0]


def test_syntax_of_a_later_python_is_found(tree):
    assert "not Python 3.11" in tree(core__in__grid="def first[T](of: list[T]) -> T: ...\n")[0]


@pytest.mark.parametrize("text", ["assert 1 < 2\n", "def f():\n    print('hello')\n"])
def test_assert_and_print_are_found(tree, text):
    assert len(tree(core__in__grid=text)) == 1


def test_a_long_module_is_found(tree):
    assert tree(core__in__grid="x = 1\n" * MODULE_LINES) == []
    assert len(tree(core__in__grid="x = 1\n" * (MODULE_LINES + 1))) == 1


def test_a_long_function_is_found_whatever_its_docstring(tree):
    docstring = '    """Title.\n' + "\n    more\n" * 30 + '    """\n'
    fits = "def f():\n" + docstring + "    x = 1\n" * (FUNCTION_LINES - 1)
    assert tree(core__in__grid=fits) == []
    assert len(tree(core__in__grid=fits + "    x = 1\n")) == 1
