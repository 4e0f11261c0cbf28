"""How QGIS shows polygons: a style in QML, with a legend that says what the colours mean.

Knows colours, labels and XML; nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from xml.etree import ElementTree

from geodeforest.core.spec import ConfidenceRule

Colour = tuple[int, int, int]

CONFIDENCE_COLOURS: dict[str, Colour] = {
    "low": (254, 217, 118),
    "medium": (253, 141, 60),
    "high": (215, 48, 39),
}
CLASS_COLOURS: tuple[Colour, ...] = (
    (27, 120, 55),
    (215, 48, 39),
    (69, 117, 180),
    (253, 174, 97),
    (118, 42, 131),
    (140, 81, 10),
    (128, 205, 193),
    (90, 90, 90),
)
_OTHER_CLASSES: Colour = (191, 129, 45)
_UNSEEN: Colour = (128, 128, 128)
_FILL_ALPHA, _LINE_MM = 110, 0.3

_VERSION, _CATEGORIES = "3.22.0", "Symbology"
QML_START = f'<qgis version="{_VERSION}" styleCategories="{_CATEGORIES}">'.encode()
"""How a style of ours begins. QGIS puts a document type before those that it saves itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a legend: the value of the attribute that gets the colour."""

    value: str
    label: str
    colour: Colour


@dataclass(frozen=True, slots=True)
class Legend:
    """Which ``attribute`` the colours go by; a single entry stands for every polygon."""

    attribute: str
    entries: Sequence[Entry]

    def qml(self) -> str:
        """The style as QGIS 3 reads it."""
        root = ElementTree.Element("qgis", version=_VERSION, styleCategories=_CATEGORIES)
        if len(self.entries) == 1:
            renderer = ElementTree.SubElement(root, "renderer-v2", type="RuleRenderer")
            rules = ElementTree.SubElement(renderer, "rules", key="{rules}")
            ElementTree.SubElement(
                rules, "rule", key="{rule}", symbol="0", label=self.entries[0].label
            )
        else:
            renderer = ElementTree.SubElement(
                root, "renderer-v2", type="categorizedSymbol", attr=self.attribute
            )
            categories = ElementTree.SubElement(renderer, "categories")
            for number, entry in enumerate(self.entries):
                ElementTree.SubElement(
                    categories,
                    "category",
                    value=entry.value,
                    label=entry.label,
                    symbol=str(number),
                    render="true",
                )
        symbols = ElementTree.SubElement(renderer, "symbols")
        for number, entry in enumerate(self.entries):
            _add_symbol(symbols, str(number), entry.colour)
        ElementTree.indent(root, " ")
        return ElementTree.tostring(root, encoding="unicode") + "\n"


def confidence_legend(meaning: str, rule: ConfidenceRule) -> Legend:
    """Colours by confidence; ``meaning`` says what the polygons are."""
    spans = {
        "low": f"mean score under {rule.medium:g}",
        "medium": f"mean score {rule.medium:g} to {rule.high:g}",
        "high": f"mean score {rule.high:g} or more",
    }
    return Legend(
        "confidence",
        [
            Entry(name, f"{name} confidence, {spans[name]}: {meaning}", colour)
            for name, colour in CONFIDENCE_COLOURS.items()
        ],
    )


def class_legend(names: Mapping[int, str], *, others: bool) -> Legend:
    """Colours by class; ``names`` by id. With ``others`` there may be classes beside them."""
    entries = [
        Entry(name, f"class {name}" if name == str(number) else name, colour)
        for (number, name), colour in zip(names.items(), cycle(CLASS_COLOURS), strict=False)
    ]
    if others:
        # QGIS takes an empty value for all that has no entry; without it they would be hidden.
        entries.append(Entry("", "any other class" if names else "any class", _OTHER_CLASSES))
    return Legend("class", entries)


NOT_ASSESSED_LEGEND = Legend(
    "id", [Entry("", "not assessed: nothing is known of the forest here", _UNSEEN)]
)


def _add_symbol(symbols: ElementTree.Element, name: str, colour: Colour) -> None:
    symbol = ElementTree.SubElement(symbols, "symbol", type="fill", name=name, alpha="1")
    layer = ElementTree.SubElement(
        symbol, "layer", attrib={"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"}
    )
    red, green, blue = colour
    settings = {
        "color": f"{red},{green},{blue},{_FILL_ALPHA}",
        "outline_color": f"{red},{green},{blue},255",
        "outline_style": "solid",
        "outline_width": str(_LINE_MM),
        "outline_width_unit": "MM",
        "style": "solid",
    }
    options = ElementTree.SubElement(layer, "Option", type="Map")
    for key, value in settings.items():
        ElementTree.SubElement(options, "Option", type="QString", name=key, value=value)
        ElementTree.SubElement(layer, "prop", k=key, v=value)
