"""An evaluation as one page of HTML that needs nothing beside it. Knows its plain values only.

Built as a tree of elements, so that whatever a name holds is text and no markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; color: #222; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { padding: 0.25rem 0.75rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; }
svg text { font: 11px system-ui, sans-serif; fill: #444; }
"""

# Should markup ever get in, a browser runs and fetches nothing.
_ALLOWED = "default-src 'none'; style-src 'unsafe-inline'"

_SIDE, _MARGIN = 260, 40
_CLASS_FIGURES = ("iou", "f1", "precision", "recall", "boundary_f1")


def page(found: Mapping[str, Any]) -> str:
    """The page of what ``Evaluation.to_dict`` gives."""
    root = Element("html", lang="en")
    head = SubElement(root, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy"}, content=_ALLOWED)
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    title = f"Evaluation of {found['model']}"
    SubElement(head, "title").text = title
    SubElement(head, "style").text = _STYLE
    body = SubElement(root, "body")
    SubElement(body, "h1").text = title
    SubElement(body, "p").text = _summary(found)
    _figures(body, found)
    _confusion(body, found["confusion"])
    _reliability(body, found)
    _confidence(body, found["confidence"])
    _groups(body, found["groups"])
    _settings(body, found["settings"])
    return "<!DOCTYPE html>\n" + ElementTree.tostring(root, encoding="unicode", method="html")


def _summary(found: Mapping[str, Any]) -> str:
    objects, groups = found["objects"], len(found["groups"])
    return (
        f"{found['pixels']:,} labelled pixels in {groups} group{'s' * (groups != 1)}, "
        f"{found['not_assessed_px']:,} more were not assessed. {objects['found']:,} objects "
        f"were found and {objects['true']:,} are true; {objects['matched']:,} match. "
        "In brackets: 95\N{NO-BREAK SPACE}% intervals, bootstrapped over groups."
    )


def _figures(body: Element, found: Mapping[str, Any]) -> None:
    figures, intervals = found["figures"], found["intervals_95"]
    SubElement(body, "h2").text = "Figures of the pooled counts"
    rows = [
        [name, _within(figures[key], intervals[key])]
        for name, key in (
            ("accuracy", "accuracy"),
            ("mean IoU", "mean_iou"),
            ("expected calibration error", "ece"),
        )
    ]
    rows += [
        [f"objects, {key}", _within(figures["objects"][key], intervals["objects"][key])]
        for key in ("precision", "recall", "f1")
    ]
    rows.append(["accuracy of the median group", _within(found["median_group"]["accuracy"], None)])
    _table(body, ["figure", "value"], rows)
    by_class = [
        [name, *(_within(shares[k], intervals["classes"][name][k]) for k in _CLASS_FIGURES)]
        for name, shares in figures["classes"].items()
    ]
    _table(body, ["class", "IoU", "F1", "precision", "recall", "boundary F1"], by_class)


def _confusion(body: Element, confusion: Mapping[str, Any]) -> None:
    SubElement(body, "h2").text = "Pixels by truth (rows) and what was found (columns)"
    names = confusion["classes"]
    rows = [
        [name, *(f"{count:,}" for count in counts)]
        for name, counts in zip(names, confusion["counts"], strict=True)
    ]
    _table(body, ["truth", *names], rows)


def _reliability(body: Element, found: Mapping[str, Any]) -> None:
    SubElement(body, "h2").text = "Reliability of the scores"
    SubElement(body, "p").text = (
        "Of pixels with a score, the share that is deforestation. On the diagonal scores mean "
        "what they say; the area of a dot follows its pixels."
    )
    body.append(_diagram(found["reliability"]))


def _diagram(bins: Sequence[Mapping[str, Any]]) -> Element:
    whole = _SIDE + 2 * _MARGIN
    svg = Element(
        "svg",
        width=str(whole),
        height=str(whole),
        viewBox=f"0 0 {whole} {whole}",
        role="img",
    )
    SubElement(svg, "title").text = "reliability diagram"
    _line(svg, (0, 0), (1, 1), "#bbb")
    _line(svg, (0, 0), (1, 0), "#444")
    _line(svg, (0, 0), (0, 1), "#444")
    for tick in (0, 0.5, 1):
        _text(svg, (tick, -0.07), f"{tick:g}")
        _text(svg, (-0.07, tick - 0.015), f"{tick:g}")
    _text(svg, (0.5, -0.13), "score")
    _text(svg, (0.02, 1.05), "share that is true")
    most = max((one["pixels"] for one in bins), default=0)
    for one in bins:
        if one["pixels"]:
            x, y = _place(one["mean_score"], one["true_share"])
            radius = 2 + 10 * (one["pixels"] / most) ** 0.5
            dot = SubElement(svg, "circle", cx=x, cy=y, r=f"{radius:.1f}", fill="#4575b4")
            dot.set("fill-opacity", "0.6")
            SubElement(dot, "title").text = (
                f"score {one['from']:g} to {one['to']:g}: {one['pixels']:,} px, "
                f"{one['true_share']:.1%} true"
            )
    return svg


def _place(x: float, y: float) -> tuple[str, str]:
    return f"{_MARGIN + x * _SIDE:.1f}", f"{_MARGIN + (1 - y) * _SIDE:.1f}"


def _line(svg: Element, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    (x1, y1), (x2, y2) = _place(*start), _place(*end)
    SubElement(svg, "line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour)


def _text(svg: Element, at: tuple[float, float], words: str) -> None:
    x, y = _place(*at)
    anchor = {"text-anchor": "start" if len(words) > 8 else "middle"}
    SubElement(svg, "text", anchor, x=x, y=y).text = words


def _confidence(body: Element, confidence: Mapping[str, Any]) -> None:
    SubElement(body, "h2").text = "Found objects by confidence"
    rows = [
        [name, f"{one['polygons']:,}", f"{one['pixels']:,}", _share(one["precision"])]
        for name, one in confidence.items()
    ]
    _table(body, ["confidence", "objects", "pixels", "share of the pixels that is true"], rows)


def _groups(body: Element, groups: Mapping[str, Any]) -> None:
    SubElement(body, "h2").text = "Groups, the least accurate first"
    worst = sorted(groups.items(), key=lambda item: (item[1]["accuracy"] or 0, item[0]))
    rows = [
        [
            name,
            f"{one['pixels']:,}",
            *(_share(one[key]) for key in ("accuracy", "mean_iou", "ece")),
            _share(one["objects"]["f1"]),
        ]
        for name, one in worst
    ]
    _table(body, ["group", "pixels", "accuracy", "mean IoU", "ECE", "object F1"], rows)


def _settings(body: Element, settings: Mapping[str, Any]) -> None:
    SubElement(body, "h2").text = "Settings"
    chosen = [[name, str(value)] for name, value in settings.items() if value is not None]
    _table(body, ["option", "value"], chosen)


def _table(body: Element, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = SubElement(SubElement(body, "div", {"class": "scroll"}), "table")
    for tag, cells in (("th", head), *(("td", row) for row in rows)):
        row = SubElement(table, "tr")
        for cell in cells:
            SubElement(row, tag).text = cell


def _within(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None or interval is None:
        return _share(value)
    return f"{_share(value)} ({_share(interval[0])} to {_share(interval[1])})"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
