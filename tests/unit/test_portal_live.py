"""What an open page is sent, and when its stream ends."""

import asyncio
import json

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Dropped
from host_tools.emulator.portal.live import View, Viewers, message
from host_tools.emulator.portal.memory import Memory


def told(texts) -> list[tuple[str, dict]]:
    found = []
    for text in texts:
        name, data, *_ = text.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_only_parts_that_changed_are_sent():
    shown = {"live-a": "1", "live-b": "1"}
    view = View(lambda: iter(list(shown.items())))
    assert [part["id"] for _, part in told(view.news())] == ["live-a", "live-b"]
    assert list(view.news()) == []
    shown["live-b"] = "2"
    assert told(view.news()) == [("part", {"id": "live-b", "html": "2"})]


def test_a_page_whose_device_is_gone_is_told_so_once():
    def parts():
        raise ServiceError(404001, "Device not found: pump-7")

    view = View(parts)
    assert told(view.news()) == [("gone", {"id": "gone", "html": "Device not found: pump-7"})]
    assert list(view.news()) == []


def test_a_part_is_one_line_whatever_is_in_it():
    text = message("part", {"html": "a\nb\r\n\u2028data: x\n\nevent: y"})
    assert text.count("\n") == 3
    assert text.endswith("\n\n")


def test_an_event_has_open_pages_look_again():
    async def scene():
        memory, shown = Memory(), ["1"]
        viewers = Viewers(memory)
        news = viewers.follow(View(lambda: iter([("live-a", shown[0])])))
        assert (await anext(news)).startswith("retry:")
        assert '"1"' in await anext(news)
        assert viewers.count == 1
        shown[0] = "2"
        memory.take(Dropped(1, "127.0.0.1:9", "TLS"))
        async with asyncio.timeout(60):
            assert '"2"' in await anext(news)
        await news.aclose()
        assert viewers.count == 0

    asyncio.run(scene())


def test_what_changed_without_an_event_is_seen_too():
    async def scene():
        shown = ["1"]
        news = Viewers(Memory()).follow(View(lambda: iter([("live-a", shown[0])])))
        await anext(news)
        await anext(news)
        shown[0] = "2"
        async with asyncio.timeout(60):
            assert '"2"' in await anext(news)
        await news.aclose()

    asyncio.run(scene())


def test_streams_end_when_the_cloud_stops():
    async def scene():
        viewers = Viewers(Memory())
        news = viewers.follow(View(lambda: iter(())))
        await anext(news)
        rest = asyncio.ensure_future(anext(news, None))
        await asyncio.sleep(0)
        viewers.close()
        async with asyncio.timeout(60):
            assert await rest is None

    asyncio.run(scene())
