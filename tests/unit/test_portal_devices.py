"""The portal's list of devices and a device's own page, without a browser."""

import html
import json

import pytest

from host_tools.emulator.events import Connected, Telemetry
from host_tools.emulator.portal.desk import url
from host_tools.emulator.records import Registration
from tests.unit.portal_bench import GROUP, HUB, KEYS, NOW, OF, OTHER_HUB, registered, text_of


def test_devices_are_listed_fifty_a_page(visitor):
    for number in range(120):
        visitor.hub.create(f"dev-{number:04}", NOW, KEYS)
    first = visitor.read(f"/devices?hub={HUB}&q=dev")
    assert first.count('<th scope="row">') == 50
    assert "1\u201350 of 120" in html.unescape(first)
    last = visitor.read(f"/devices?hub={HUB}&q=dev&page=3")
    assert last.count('<th scope="row">') == 20
    assert "dev-0119" in last
    assert 'rel="next"' not in last


def test_devices_are_filtered(visitor):
    visitor.hub.create("sn-2", NOW, KEYS, enabled=False)
    assert "sn-1" not in visitor.read(f"/devices?hub={HUB}&status=disabled")
    assert "sn-2" not in visitor.read(f"/devices?hub={HUB}&status=enabled")
    assert "No device is like that" in visitor.read(f"/devices?hub={HUB}&connection=connected")
    assert "sn-2" in visitor.read(f"/devices?hub={HUB}&q=N-2")


def test_an_empty_hub_tells_the_next_command(visitor):
    text = text_of(visitor.read(f"/devices?hub={OTHER_HUB}"))
    assert "keystead boot --id-scope 0ne00002193" in text
    assert "--cloud localhost:8883" in text


@pytest.mark.parametrize("name", ["..", ".", "a%2f?b=c", "a'b\"".replace('"', ""), "50%", "=;$@!"])
def test_a_device_with_an_odd_name_has_its_pages(name, visitor):
    visitor.done(f"/devices/new/create?hub={HUB}", device_id=name)
    link = url("/device", hub=HUB, id=name)
    assert html.escape(link, quote=False) in visitor.read(f"/devices?hub={HUB}")
    assert html.escape(name, quote=False).replace("'", "&#39;") in visitor.read(
        link.removeprefix("/portal")
    )


def test_a_device_made_by_hand_must_be_new_and_well_named(visitor):
    visitor.refused(f"/devices/new/create?hub={HUB}", 409, device_id="sn-1")
    visitor.refused(f"/devices/new/create?hub={HUB}", 400, device_id="a b")


def test_telemetry_and_what_happened_are_remembered_from_the_start(visitor):
    body = json.dumps({"t": 21.5}).encode()
    visitor.cloud.tell(Telemetry(NOW, HUB, "sn-1", body, "alarm=low&bare"))
    visitor.cloud.tell(Connected(NOW, HUB, "sn-1", "2021-04-12"))
    said = text_of(visitor.read(f"/device{OF}"))
    assert "{&#34;t&#34;: 21.5} alarm=low bare" in said
    assert f"connected to {HUB}" in said
    assert f"sn-1 connected to {HUB}" in text_of(visitor.read("/"))


def test_an_identity_is_deleted(visitor):
    assert "sn-1 is deleted" in visitor.done(f"/device/access/delete{OF}")
    visitor.read(f"/device{OF}", 404)


def test_a_device_that_moved_says_where_to(visitor):
    registered(visitor)
    there = Registration("sn-1", "sn-1", OTHER_HUB, GROUP, "deviceDataMigrated", "e", NOW, NOW)
    visitor.cloud.dps._records.put(there)
    visitor.hub.delete("sn-1", NOW)
    assert f"DPS moved it to {OTHER_HUB}" in visitor.read(f"/device{OF}", 404)


def test_connections_are_shown_packet_by_packet(visitor):
    visitor.cloud.traces.on = True
    for number in range(2):
        trace = visitor.cloud.traces.open(f"127.0.0.1:{number}", NOW)
        trace.admitted(HUB, "sn-1")
        trace.sent(b"\x40\x02\x00\x07", NOW + number)
    trace.ended("it said goodbye", NOW + 2)
    said = text_of(visitor.read(f"/device/trace{OF}"))
    assert "accepted from 127.0.0.1:1" in said
    assert "to the device PUBACK id 7" in said
    assert "ended: it said goodbye" in said
    assert "accepted from 127.0.0.1:0" in visitor.read(f"/device/trace{OF}&connection=1")
    assert "no longer traced" in visitor.done(f"/device/trace/switch{OF}", on="no")
    assert not visitor.cloud.traces.on
