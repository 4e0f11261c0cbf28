"""Builds the plugin of QGIS as a zip: ``python qgis/build_plugin.py [FOLDER]``, or into ``dist/``.

The same sources give the same bytes, on any machine.
"""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from geodeforest import __version__

HERE = Path(__file__).resolve().parent
PLUGIN = "geodeforest_provider"
SUFFIXES = (".py", ".svg", ".txt")


def build(folder: Path) -> Path:
    """Write the zip of this version into a folder; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{PLUGIN}-{__version__}.zip"
    with ZipFile(path, "w") as archive:
        for name, content in sorted(members().items()):
            # Not compressed, as zlib's bytes differ by version; the earliest time a zip can hold.
            member = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o100644 << 16
            archive.writestr(member, content)
    return path


def members() -> dict[str, str]:
    """The text of each file of the plugin, by its name in the zip."""
    texts = {
        f"{PLUGIN}/{path.name}": path.read_text("utf-8")
        for path in (HERE / PLUGIN).iterdir()
        if path.suffix in SUFFIXES
    }
    metadata = f"{PLUGIN}/metadata.txt"
    texts[metadata] = texts[metadata].replace("{version}", __version__)
    return {**texts, f"{PLUGIN}/LICENSE": (HERE.parent / "LICENSE").read_text("utf-8")}


if __name__ == "__main__":
    sys.stdout.write(f"{build(Path(*sys.argv[1:2] or [HERE.parent / 'dist']))}\n")
