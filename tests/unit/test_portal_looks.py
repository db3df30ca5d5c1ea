"""The style sheet: contrast in both colour schemes, and that nothing comes from elsewhere."""

import re
from pathlib import Path

import pytest

from host_tools.emulator.portal.render import FOLDER

CSS = (FOLDER / "static" / "portal.css").read_text()
FILES = sorted([*FOLDER.glob("templates/*"), *FOLDER.glob("static/*")])
# text on ground, and the least contrast: WCAG 2.2, 1.4.3 and 1.4.11
PAIRS = [
    *((text, ground, 4.5) for text in ("text", "quiet", "accent", "good", "bad", "warn")
      for ground in ("ground", "surface", "sunk")),
    ("accent", "tint", 4.5),
    ("text", "tint", 4.5),
    ("text", "bad-tint", 4.5),
    ("on-accent", "accent", 4.5),
    *(("edge", ground, 3) for ground in ("ground", "surface")),
]  # fmt: skip


def colours(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text))


def luminance(colour: str) -> float:
    def linear(part: str) -> float:
        value = int(part, 16) / 255
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(colour[i : i + 2]) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


LIGHT = colours(CSS.split("@media")[0])
DARK = {**LIGHT, **colours(CSS.split("prefers-color-scheme: dark")[1].split("@media")[0])}


def test_contrast_is_counted_as_the_standard_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground", "least"), PAIRS)
def test_text_can_be_read(scheme, text, ground, least):
    assert contrast(scheme[text], scheme[ground]) >= least


def test_dark_is_a_scheme_of_its_own():
    assert set(colours(CSS.split("prefers-color-scheme: dark")[1])) == set(LIGHT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path: Path):
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(src|href|url\(|@import)[=\s\"'(]*(https?:)?//", text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_script_and_no_style_is_within_a_page(path: Path):
    if path.suffix == ".html":
        text = path.read_text()
        assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=", text)
        assert "| safe" not in text
