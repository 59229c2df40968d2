"""A chart's SVG file made fit to stand inside a page: ids of its own, nothing that runs or loads (pure)."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from bench.errors import UsageError

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
# What draws; script, style, foreignObject, animation and metadata do not pass.
DRAWN = frozenset(
    (
        "svg", "g", "defs", "use", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan",
        "clipPath", "mask", "pattern", "marker", "linearGradient", "radialGradient", "stop", "image",
    )
)  # fmt: skip
REFERENCE = re.compile(r"url\(\s*['\"]?#([^)'\"\s]+)['\"]?\s*\)")
PICTURE = re.compile(r"data:image/(png|jpeg);base64,")
LOADING = re.compile(r"url\(\s*['\"]?[^#'\"\s]|@import|expression\(|javascript:", re.IGNORECASE)


def inline_svg(text: str, prefix: str, label: str) -> str:
    """The `<svg>` element of a file's `text` for HTML, every id and reference to one led by `prefix`.

    Only what draws stays; width and height go, the viewBox stays, so that the page sets the size. Raises
    UsageError for what is no SVG.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise UsageError(f"{label}: is no SVG: {error}; draw it again with: fiftyx chart DIR") from error
    if root.tag != f"{SVG}svg" or "viewBox" not in root.attrib:
        raise UsageError(f"{label}: is no SVG with a viewBox; draw it again with: fiftyx chart DIR")
    view = root.attrib["viewBox"]
    clean = _drawn(root, prefix)
    for name in ("width", "height", "version"):
        clean.attrib.pop(name, None)
    clean.attrib.update(viewBox=view, role="img", **{"aria-label": label})
    return ElementTree.tostring(clean, encoding="unicode", short_empty_elements=False)


def _drawn(element: ElementTree.Element, prefix: str) -> ElementTree.Element:
    """A copy without namespaces, which HTML does not write, of all that draws."""
    made = ElementTree.Element(element.tag.removeprefix(SVG), dict(_attributes(element, prefix)))
    made.text, made.tail = element.text, element.tail
    for child in element:
        if isinstance(child.tag, str) and child.tag.startswith(SVG) and child.tag.removeprefix(SVG) in DRAWN:
            made.append(_drawn(child, prefix))
    return made


def _attributes(element: ElementTree.Element, prefix: str) -> list[tuple[str, str]]:
    kept = []
    for name, value in element.attrib.items():
        if name == "id":
            kept.append((name, prefix + value))
        elif name in ("href", HREF):
            if value.startswith("#"):
                kept.append(("href", f"#{prefix}{value[1:]}"))
            elif PICTURE.match(value):
                kept.append(("href", value))
        elif not name.startswith(("on", "{")) and not LOADING.search(value):
            kept.append((name, REFERENCE.sub(rf"url(#{prefix}\1)", value)))
    return kept
