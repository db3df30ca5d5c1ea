"""Pages: a long list of the DPS service's API, page by page.

Owns the query and the headers around it. Doesn't own what is listed.
Source: "Query" in the DPS REST API, 2021-10-01.
"""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from host_tools.emulator.dps import json_fields
from host_tools.emulator.dps.json_fields import Json, mistake
from host_tools.emulator.rest.dps_calls import House, body_of, shown

_PAGE, _LARGEST_PAGE = 100, 1000
# SELECT * [FROM {anything}], or just *: the service lists all, and there is nothing else to ask
_QUERY = re.compile(r"(?:select\s+\*(?:\s+from\s+\w+)?|\*)?", re.IGNORECASE)
_Item = TypeVar("_Item")


# x-ms-continuation: Base64 of the last name on the page before
async def page_of(
    house: House,
    request: Request,
    item_type: str,
    page: Callable[[str, int], Sequence[_Item]],
    written: Callable[[_Item], Json],
    name: Callable[[_Item], str],
) -> Response:
    """Return one page; page: the items after a name, so many; written: one as it is shown."""
    body = json_fields.fields(json_fields.parse(await body_of(request)), "the body")
    query = json_fields.text(body, "query") or ""
    if not _QUERY.fullmatch(query.strip()):
        raise mistake("The query must be SELECT * FROM enrollments: this DPS knows no conditions.")
    count, after = _count(request), _after(request)
    items = page(after, count + 1)  # one more, to see whether there is a next page
    headers = {"x-ms-item-type": item_type}
    if len(items) > count:
        last = b2a_base64(name(items[count - 1]).encode(), newline=False).decode()
        headers["x-ms-continuation"] = last
    return shown(house, [written(item) for item in items[:count]], headers)


def _count(request: Request) -> int:
    text = request.headers.get("x-ms-max-item-count", "")
    if not text:
        return _PAGE
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise mistake("x-ms-max-item-count must be a number from 1")
    return min(int(text), _LARGEST_PAGE)


def _after(request: Request) -> str:
    try:
        return a2b_base64(request.headers.get("x-ms-continuation", ""), strict_mode=True).decode()
    except ValueError:
        raise mistake("x-ms-continuation is not one of this DPS") from None
