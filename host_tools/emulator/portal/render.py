"""Render: templates to text, whole pages and the parts of them that live.

Owns the environment of the templates and how times, names and numbers are written. Everything is
escaped unless a template made it.

A block whose name begins with "live_" is a part that the open page gets anew when it changed; its
context is the page's own, so that both ways show the same.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.nodes import Extends
from markupsafe import Markup

from host_tools.emulator.events import printable
from host_tools.emulator.portal.desk import Attempt, Facts, count_of, url

FOLDER = Path(__file__).parent
_LIVE = "live_"
_HALF = re.compile("[\ud800-\udfff]")
_RECENT = 12 * 3600  # seconds for which the time of day says enough


class Renderer:
    """All templates of the portal."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: tells what is recent."""
        self._environment = environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals.update(url=url, empty=Attempt(), when=lambda at: when(at, clock()))
        environment.filters["stamp"] = lambda text: stamped(text, clock())
        environment.filters.update(
            short=short_host,
            without=without,
            count=count_of,
            pretty=pretty,
            words=printable,
            body=body_text,
        )
        # not imported by the templates: a part that is rendered alone would not see it
        environment.globals["ui"] = environment.get_template("parts.html").module

    def page(self, template: str, facts: Facts) -> str:
        """Return a whole page."""
        return self._environment.get_template(template).render(facts)

    def parts(self, template: str, facts: Facts) -> Iterator[tuple[str, str]]:
        """Give the ID and the HTML of every part that lives."""
        for loaded in self._with_parents(template):
            context = loaded.new_context(facts)
            for name, block in loaded.blocks.items():
                if name.startswith(_LIVE):
                    yield name.replace("_", "-"), "".join(block(context))

    def _with_parents(self, name: str) -> Iterator[Template]:
        while name:
            yield self._environment.get_template(name)
            text = (FOLDER / "templates" / name).read_text(encoding="utf-8")
            parent = self._environment.parse(text).find(Extends)
            name = parent.template.as_const() if parent else ""


# <time datetime="2026-01-31T12:00:00.000Z" title="...">13:00:00</time>, in this machine's zone
def when(at: float, now: float) -> Markup:
    """Return a time as an element; a dash for never."""
    if not at:
        return Markup("\N{EN DASH}")
    moment = datetime.fromtimestamp(at, UTC)
    iso = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = time.strftime(
        "%H:%M:%S" if abs(now - at) < _RECENT else "%Y-%m-%d %H:%M", time.localtime(at)
    )
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(iso, text)


# 2026-01-31T12:00:00.0000000Z
def stamped(text: str, now: float) -> Markup:
    """Return a time of the service's as an element."""
    return when(datetime.fromisoformat(f"{text[:26]}+00:00").timestamp(), now)


# {label}.{label}.{label}
def short_host(host: str) -> str:
    """Return the first label of a host name: hubs differ in it."""
    return host.partition(".")[0]


# {name} {what happened} or {name}: {what happened}
def without(text: str, name: str) -> str:
    """Return text without the name it begins with."""
    rest = text.removeprefix(name) if name else text
    return rest.lstrip(": ") if rest is not text and rest[:1] in (" ", ":") else text


def pretty(value: Any) -> str:
    """Return JSON to read, and to edit."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # half a surrogate pair is JSON and has no UTF-8
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def body_text(body: bytes, longest: int = 2000) -> str:
    """Return a message's body as text to show, without what would not show."""
    text = body[: 4 * longest].decode(errors="replace")
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}"
                    for c in text[:longest])  # fmt: skip
    return shown + ("\N{HORIZONTAL ELLIPSIS}" if len(text) > longest else "")
