"""The project's texts speak of the project alone, and stand on any machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

THIRD_PARTY = ("LICENSE", "data/sample/licences/")
"""Texts that others wrote."""

BANNED = {
    "a path of one machine": r"(?<![\w.~<])/(?:home|root|work|Users|tmp)/",
    "a folder beside the project": r"\.\./(?:shared|work)\b",
    "a working paper": r"\b(?:contract|ecosystem|faults|peers|seed|style)\.md\b",
    "a ticket": r"\bissues?\b",
    "how the work was organised": r"\b(?:this|last|next|previous|earlier) (?:session|task|sprint)\b"
    r"|\bthe lead\b|\bco-?workers?\b|\bas (?:asked|requested|instructed)\b",
    "an unfinished thing": r"\b(?:TODO|FIXME|XXX|HACK)\b|\bfor now\b|\blorem ipsum\b",
}


def project_texts() -> list[str]:
    """Paths of the project's own text files, relative to its root."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the texts are listed by git, and this is not a checkout")
    own = Path(__file__).relative_to(ROOT).as_posix()
    names = sorted(set(done.stdout.split("\0")) - {"", own})
    return [n for n in names if not n.startswith(THIRD_PARTY) and text_of(ROOT / n) is not None]


def text_of(path: Path) -> str | None:
    """The text of a file, or None if it is binary or gone."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def slips(text: str) -> list[str]:
    """Every place in ``text`` that speaks of something else than the project."""
    return [
        f"{number}: {kind}: {found.group()!r}"
        for number, line in enumerate(text.splitlines(), 1)
        for kind, pattern in BANNED.items()
        for found in re.finditer(pattern, line, re.IGNORECASE)
    ]


def test_texts_speak_of_the_project_alone():
    found = {name: slips(text_of(ROOT / name) or "") for name in project_texts()}
    assert {name: slip for name, slip in found.items() if slip} == {}


def test_there_are_texts_to_read():
    assert {"setup.cfg", "geodeforest/__init__.py", "docs/design.md"} <= set(project_texts())


@pytest.mark.parametrize(
    "text",
    [
        "run it in /home/ann/geodeforest",
        "see ../shared/data",
        "named in contract.md",
        "fixes issue 12",
        "as found in the last session",
        "TODO: later",
        "good enough for now",
    ],
)
def test_a_slip_is_seen(text):
    assert len(slips(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "one single-threaded session run per chip",
        "https://example.org/home/page",
        "a segmentation task",
        "the tissue of the leaf",
    ],
)
def test_plain_words_are_left_alone(text):
    assert slips(text) == []
