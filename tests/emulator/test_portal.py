"""The portal in a real browser: what a person sees and does, with a device at the other end."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.emulator.cloud_fixtures import HUB, LIMIT
from tests.emulator.portal_bench import (
    DESIRED,
    GROUP,
    METHODS,
    OTHER_HUB,
    Cloud,
    chromium,
    running,
    tab,
)

expect.set_options(timeout=1000 * LIMIT)
KEY = re.compile("[A-Za-z0-9+/]{86}==")
PAGES = (
    "/",
    "/enrollments",
    f"/group?name={GROUP}",
    "/group/new",
    "/individual/new",
    "/registrations",
    f"/devices?hub={HUB}",
    f"/devices?hub={OTHER_HUB}",
    f"/devices/new?hub={HUB}",
    *(
        f"/device{tab}?hub={HUB}&id=looked-at"
        for tab in ("", "/twin", "/messages", "/methods", "/access", "/trace")
    ),
    "/faults",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def cloud(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(tmp_path_factory.mktemp("cloud")) as cloud:
        cloud.device("looked-at")
        yield cloud


@pytest.fixture
def page(browser: Browser, cloud: Cloud) -> Iterator[Page]:
    with tab(browser, cloud.portal) as page:
        yield page


def device_page(cloud: Cloud, name: str, path: str = "", hub: str = HUB) -> str:
    return cloud.page(f"/device{path}", hub=hub, id=name)


def never_reloaded(page: Page) -> None:
    """From here on: what changes on the page changes without a reload."""
    page.evaluate("window.untouched = true")


def still_untouched(page: Page) -> bool:
    return page.evaluate("window.untouched === true")


# --- enrollments -----------------------------------------------------------------------------


def test_a_group_is_made_and_its_keys_are_shown_only_on_demand(page: Page, cloud: Cloud):
    page.goto(cloud.page("/enrollments"))
    page.get_by_role("link", name="Add enrollment group").click()
    page.get_by_label("Group name").fill("press-line")
    page.get_by_role("radio", name=re.compile("^Static")).check()
    page.get_by_role("button", name="Add enrollment group").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("press-line")
    assert not KEY.search(page.content())

    page.get_by_role("button", name="Show the keys").click()
    key = page.get_by_label("Primary key", exact=True)
    expect(key).to_have_value(KEY)
    assert key.input_value() != page.get_by_label("Secondary key", exact=True).input_value()
    page.get_by_role("button", name="Hide").click()
    expect(key).to_have_count(0)
    assert not KEY.search(page.content())
    assert not KEY.search(page.url)


def test_a_key_leaves_the_page_by_itself(page: Page, cloud: Cloud):
    page.clock.install(time=0)
    page.goto(cloud.page("/group", name=GROUP))
    page.clock.pause_at(3600)  # seconds; else it goes on by itself, and there is only one to spare
    page.get_by_role("button", name="Show the keys").click()
    key = page.get_by_label("Primary key", exact=True)
    expect(key).to_have_value(KEY)
    page.clock.run_for(29_000)
    expect(key).to_have_count(1)
    page.clock.run_for(2_000)
    expect(key).to_have_count(0)
    expect(page.get_by_role("button", name="Show the keys")).to_be_focused()


def test_a_key_can_be_copied(browser: Browser, cloud: Cloud):
    permissions = ["clipboard-read", "clipboard-write"]
    with tab(browser, cloud.portal, permissions=permissions) as page:
        page.goto(cloud.page("/group", name=GROUP))
        page.get_by_role("button", name="Show the keys").click()
        value = page.get_by_label("Primary key", exact=True).input_value()
        page.get_by_role("button", name="Copy").first.click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == value


def test_a_group_is_disabled_and_enabled(page: Page, cloud: Cloud):
    page.goto(cloud.page("/group", name="north"))
    page.get_by_role("button", name="Disable the group").click()
    expect(page.locator("#live-status .state")).to_have_text("disabled")
    expect(page.locator(".notice").first).to_contain_text("Disabled")
    page.get_by_role("button", name="Enable the group").click()
    expect(page.locator("#live-status .state")).to_have_text("enabled")


# --- devices ---------------------------------------------------------------------------------


def test_a_device_appears_without_a_reload(page: Page, cloud: Cloud):
    page.goto(cloud.page("/devices", hub=HUB, q="newcomer"))
    expect(page.get_by_text("No device is like that.")).to_be_visible()
    never_reloaded(page)
    device = cloud.device("newcomer")
    row = page.get_by_role("row", name="newcomer")
    expect(row).to_contain_text("enabled")
    expect(row).to_contain_text("disconnected")
    with device:
        expect(row.get_by_text("connected", exact=True)).to_be_visible()
    expect(row.get_by_text("disconnected", exact=True)).to_be_visible()
    assert still_untouched(page)


def test_telemetry_is_listed_and_drawn_as_it_comes(page: Page, cloud: Cloud):
    page.goto(device_page(cloud, cloud.device("thermometer").name))
    never_reloaded(page)
    with cloud.device("thermometer") as device:
        device.send({"temperature": 20.5, "door": {"open": True}}, "alarm=low")
        plot = page.get_by_role("img", name=re.compile("^temperature: last 20.5"))
        expect(plot).to_be_visible()
        before = plot.locator("polyline").get_attribute("points")
        device.send({"temperature": 23, "rpm": 1450})
        drawn = page.get_by_role("img", name=re.compile("^temperature: last 23, .*2 values"))
        expect(drawn).to_be_visible()
        assert drawn.locator("polyline").get_attribute("points") != before
    expect(page.get_by_role("img", name=re.compile("^rpm: last 1450"))).to_be_visible()
    rows = page.locator("#live-messages tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text('"rpm": 1450')
    expect(rows.last).to_contain_text("alarm=low")
    assert still_untouched(page)


def test_a_page_that_moves_too_fast_can_be_paused(page: Page, cloud: Cloud):
    with cloud.device("chatterbox") as device:
        page.goto(device_page(cloud, "chatterbox"))
        expect(page.locator("#live-state").get_by_text("connected", exact=True)).to_be_visible()
        page.get_by_role("button", name="Live").click()
        paused = page.get_by_role("button", name="Paused")
        expect(paused).to_have_attribute("aria-pressed", "true")
        device.send({"n": 1})
        expect(page.locator("#live-messages")).to_contain_text("It has sent nothing")
        paused.click()
        expect(page.locator("#live-messages")).to_contain_text('{"n": 1}')


def test_the_twin_is_edited_and_the_device_hears_of_the_difference(page: Page, cloud: Cloud):
    with cloud.device("editable") as device:
        device.subscribe(DESIRED)
        page.goto(device_page(cloud, "editable", "/twin"))
        page.get_by_label("Desired properties").fill('{"interval": 5, "mode": "eco"}')
        page.get_by_label("Tags").fill('{"site": "Ulm"}')
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".notice").first).to_contain_text("The device was told")
        heard = json.loads(device.heard().payload)
        assert (heard["interval"], heard["mode"]) == (5, "eco")
        page.get_by_label("Desired properties").fill('{"interval": 7}')
        page.get_by_role("button", name="Save").click()
        heard = json.loads(device.heard().payload)
        assert (heard["interval"], heard["mode"]) == (7, None)
    expect(page.locator("#live-twin")).to_contain_text('"interval": 7')
    expect(page.get_by_label("Tags")).to_have_value(re.compile("Ulm"))


def test_what_is_no_json_is_told_at_the_field(browser: Browser, cloud: Cloud):
    with tab(browser, cloud.portal, expected="status of 422") as page:
        page.goto(device_page(cloud, "looked-at", "/twin"))
        page.get_by_label("Desired properties").fill('{"interval": }')
        page.get_by_role("button", name="Save").click()
        field = page.get_by_label("Desired properties")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_value('{"interval": }')
        expect(field).to_be_focused()
        expect(page.locator("#desired-error")).to_contain_text("line 1, column 14")


def test_who_edits_what_another_changed_is_told(browser: Browser, page: Page, cloud: Cloud):
    address = device_page(cloud, cloud.device("contended").name, "/twin")
    page.goto(address)
    with tab(browser, cloud.portal, expected="status of 412") as slow:
        slow.goto(address)
        page.get_by_label("Desired properties").fill('{"mine": 1}')
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".notice").first).to_contain_text("Saved")
        slow.get_by_label("Desired properties").fill('{"theirs": 2}')
        slow.get_by_role("button", name="Save").click()
        expect(slow.get_by_role("alert")).to_contain_text("Somebody changed the twin")
        expect(slow.locator("#live-twin")).to_contain_text('"mine": 1')
        expect(slow.get_by_label("Desired properties")).to_have_value('{"theirs": 2}')
        slow.get_by_role("button", name="Save").click()
        expect(slow.locator("#live-twin")).to_contain_text('"theirs": 2')
        expect(slow.locator("#live-twin")).not_to_contain_text('"mine"')


def test_a_message_arrives_with_its_properties(page: Page, cloud: Cloud):
    with cloud.device("listener") as device:
        device.subscribe("devices/listener/messages/devicebound/#")
        page.goto(device_page(cloud, "listener", "/messages"))
        page.get_by_label("Body").fill("switch on\nnow")
        page.get_by_label("Properties").fill("alarm = high & low\nbare")
        page.get_by_label("Content type").fill("text/plain")
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".notice").first).to_contain_text("Sent")
        heard = device.heard()
        assert heard.payload == b"switch on\nnow"
        assert "alarm=high%20%26%20low" in heard.topic
        assert "%24.ct=text%2Fplain" in heard.topic


def test_a_method_is_called_and_its_answer_shown(page: Page, cloud: Cloud):
    with cloud.device("callable") as device:
        device.subscribe(METHODS)
        page.goto(device_page(cloud, "callable", "/methods"))
        page.get_by_label("Method", exact=True).fill("reboot")
        page.get_by_label("Payload").fill('{"delay": 2}')
        page.get_by_role("button", name="Invoke").click()
        expect(page.locator("#live-calls")).to_contain_text("waiting")
        never_reloaded(page)
        call = device.heard()
        assert call.topic.startswith("$iothub/methods/POST/reboot/?$rid=")
        assert json.loads(call.payload) == {"delay": 2}
        device.answer(call, 200, {"rebooting": True})
        expect(page.locator("#live-calls")).to_contain_text('"rebooting": true')
        assert still_untouched(page)


def test_a_method_on_a_device_that_is_away_is_told_why(page: Page, cloud: Cloud):
    page.goto(device_page(cloud, "looked-at", "/methods"))
    page.get_by_label("Method", exact=True).fill("reboot")
    page.get_by_role("button", name="Invoke").click()
    expect(page.locator("#live-calls")).to_contain_text("404103")


def test_disabling_an_identity_drops_its_connection(browser: Browser, page: Page, cloud: Cloud):
    with cloud.device("stolen") as device, tab(browser, cloud.portal) as others:
        others.goto(cloud.page("/devices", hub=HUB, q="stolen"))
        row = others.get_by_role("row", name="stolen")
        expect(row.get_by_text("connected", exact=True)).to_be_visible()
        never_reloaded(others)
        page.goto(device_page(cloud, "stolen", "/access"))
        page.get_by_label("Reason").fill("seen on a market")
        page.get_by_role("button", name="Disable the identity").click()
        assert device.dropped()
        expect(row.get_by_text("disabled", exact=True)).to_be_visible()
        expect(row.get_by_text("disconnected", exact=True)).to_be_visible()
        assert still_untouched(others)
    expect(page.locator("#live-state")).to_contain_text("seen on a market")
    page.get_by_role("button", name="Enable the identity").click()
    with device:
        expect(row_of(page, cloud, "stolen")).to_contain_text("enabled")


def row_of(page: Page, cloud: Cloud, name: str):
    page.goto(cloud.page("/devices", hub=HUB, q=name))
    return page.get_by_role("row", name=name)


def test_one_member_of_a_group_is_blocked_and_unblocked(page: Page, cloud: Cloud):
    device = cloud.device("suspect")
    page.goto(device_page(cloud, "suspect", "/access"))
    page.get_by_role("button", name="Block").click()
    expect(page.locator("#live-standing")).to_contain_text("It is blocked by")
    with pytest.raises(AssertionError, match="disabled"):
        device.register()
    cloud.device("another-member")
    page.get_by_role("button", name="Unblock").click()
    expect(page.locator("#live-standing")).to_contain_text("under the group")
    assert device.register() == HUB


def test_a_device_moves_to_another_hub(page: Page, cloud: Cloud):
    with cloud.device("mover") as device:
        page.goto(device_page(cloud, "mover", "/access"))
        expect(page.locator(".story")).to_contain_text("the twin comes along")
        page.get_by_label("To", exact=True).select_option(OTHER_HUB)
        page.get_by_role("radio", name=re.compile("^This device only")).check()
        page.get_by_role("button", name="Arrange the move").click()
        expect(page.locator("#live-move")).to_contain_text(f"leads to {OTHER_HUB}")
        never_reloaded(page)
        assert device.register() == OTHER_HUB
        assert device.dropped()
    expect(page.locator("#gone")).to_be_visible()
    assert still_untouched(page)
    with device:
        page.goto(device_page(cloud, "mover", hub=OTHER_HUB))
        expect(page.locator("#live-state").get_by_text("connected", exact=True)).to_be_visible()


def test_a_connection_is_seen_packet_by_packet(page: Page, cloud: Cloud):
    device = cloud.device("traced")
    page.goto(device_page(cloud, "traced", "/trace"))
    page.get_by_role("button", name="Trace new connections").click()
    expect(page.get_by_text("No connection of this device was traced yet")).to_be_visible()
    never_reloaded(page)
    with device:
        device.send({"temperature": 21.5})
        line = page.get_by_role("row", name="PUBLISH")
        expect(line).to_contain_text('{"temperature": 21.5}')
        expect(page.locator("#live-connections")).to_contain_text("live")
    expect(page.locator("#live-trace")).to_contain_text("ended")
    assert "SharedAccessSignature" not in page.content()
    assert still_untouched(page)
    page.get_by_role("button", name="Stop tracing").click()
    expect(page.get_by_role("button", name="Trace new connections")).to_be_visible()


def test_a_fault_is_made_and_cleared(page: Page, cloud: Cloud):
    page.goto(cloud.page("/faults"))
    page.get_by_label("In a sentence").fill("the 3000th board gets 429, twice")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("row", name="3000th")).to_be_visible()
    page.get_by_role("button", name="Clear fault").click()
    expect(page.get_by_text("All is well")).to_be_visible()


# --- manners ---------------------------------------------------------------------------------


def test_what_a_device_says_is_text_and_never_a_page(page: Page, cloud: Cloud):
    evil = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>'\"&"
    with cloud.device("evil") as device:
        page.goto(device_page(cloud, "evil"))
        device.send({evil: 1, "text": evil}, "a=%3Cscript%3Ewindow.hacked%3D1%3C%2Fscript%3E")
        expect(page.locator("#live-messages")).to_contain_text("<script>window.hacked=1</script>")
        expect(page.locator("#live-plots figcaption")).to_contain_text("<img src=x")
        page.reload()
        expect(page.locator("#live-messages")).to_contain_text("onerror")
        device.subscribe(METHODS)
        page.goto(device_page(cloud, "evil", "/methods"))
        page.get_by_label("Method", exact=True).fill("m")
        page.get_by_role("button", name="Invoke").click()
        device.answer(device.heard(), 200, {evil: evil})
        expect(page.locator("#live-calls")).to_contain_text("onerror")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0


def test_all_can_be_done_with_the_keyboard(page: Page, cloud: Cloud):
    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "document.activeElement.labels?.[0]?.textContent"
                " ?? document.activeElement.textContent"
            )
            if focused.strip() == name:
                outline = "getComputedStyle(document.activeElement).outlineStyle"
                assert page.evaluate(outline) == "solid", "the focus is not seen"
                return
        raise AssertionError(f"no {name} within 60 steps")

    page.goto(cloud.page("/"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.goto(cloud.page("/"))
    tab_to("Enrollments")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Manage enrollments")
    tab_to("Add enrollment group")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Add enrollment group")
    tab_to("Group name")
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("by-keyboard")
    tab_to("Show the keys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Hide")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Show the keys")).to_be_focused()
    tab_to("Delete the group\u2026")
    page.keyboard.press("Enter")
    tab_to("Delete the group")
    page.keyboard.press("Enter")
    expect(page.locator(".notice").first).to_contain_text("by-keyboard is deleted")


def test_the_focus_stays_when_a_part_is_replaced(page: Page, cloud: Cloud):
    device = cloud.device("focused")
    page.goto(cloud.page("/devices", hub=HUB, q="focused"))
    link = page.get_by_role("link", name="focused")
    link.focus()
    with device:
        row = page.get_by_role("row", name="focused")
        expect(row.get_by_text("connected", exact=True)).to_be_visible()
    expect(link).to_be_focused()


def test_what_is_being_typed_is_not_replaced(page: Page, cloud: Cloud):
    cloud.device("typed")
    page.goto(device_page(cloud, "typed", "/access"))
    expect(page.get_by_role("button", name="Live")).to_be_visible()
    reason = page.get_by_label("Reason")
    reason.fill("half a rea")
    with tab_at(page, device_page(cloud, "typed", "/access")) as other:
        other.get_by_role("button", name="Disable the identity").click()
        expect(other.locator("#live-state .state").first).to_have_text("disabled")
    expect(page.locator("#live-state .state").first).to_have_text("disabled")
    expect(reason).to_have_value("half a rea")
    page.get_by_role("heading", level=1).click()
    expect(page.get_by_role("button", name="Enable the identity")).to_be_visible()


@contextmanager
def tab_at(page: Page, address: str) -> Iterator[Page]:
    """Open another tab of the same browser."""
    other = page.context.new_page()
    other.goto(address)
    yield other
    other.close()
    page.bring_to_front()


def test_a_screen_reader_is_told_of_a_change_and_not_of_every_message(page: Page, cloud: Cloud):
    with cloud.device("quiet") as device:
        page.goto(device_page(cloud, "quiet"))
        for number in range(5):
            device.send({"n": number})
        expect(page.locator("#live-messages tbody tr")).to_have_count(5)
        assert page.locator("#said").text_content() == ""
    expect(page.locator("#said")).to_have_text("quiet is disconnected")


def test_without_javascript_pages_read_and_forms_work(browser: Browser, cloud: Cloud):
    cloud.device("plain")
    with tab(browser, cloud.portal, java_script_enabled=False) as page:
        page.goto(device_page(cloud, "plain", "/messages"))
        expect(page.locator("#live-state")).to_contain_text("disconnected")
        page.get_by_label("Body").fill("later")
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".notice").first).to_contain_text("Kept until the device is back")
        expect(page.locator("#live-queue")).to_contain_text("1 message")
        expect(page.get_by_role("button", name="Live")).to_have_count(0)
        page.goto(cloud.page("/group", name=GROUP))
        response = page.expect_response(lambda answer: answer.request.method == "POST")
        with response as answer:
            page.get_by_role("button", name="Show the keys").click()
        expect(page.get_by_label("Primary key", exact=True)).to_have_value(KEY)
        assert answer.value.headers["refresh"].startswith("30; url=/portal/group?name=")


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_a_telephone(path: str, browser: Browser, cloud: Cloud):
    with tab(browser, cloud.portal, viewport={"width": 360, "height": 780}) as page:
        page.goto(cloud.page(path))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_are_drawn(
    scheme: str, browser: Browser, cloud: Cloud, tmp_path: Path
):
    with tab(browser, cloud.portal, color_scheme=scheme) as page:
        page.goto(device_page(cloud, "looked-at"))
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        red, green, blue = map(int, re.findall("[0-9]+", ground))
        assert (max(red, green, blue) < 64) if scheme == "dark" else (min(red, green, blue) > 192)
        page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
        assert (tmp_path / f"{scheme}.png").stat().st_size > 5000


def test_every_control_has_a_name_and_every_table_its_heads(page: Page, cloud: Cloud):
    for path in PAGES:
        page.goto(cloud.page(path))
        for control in page.locator(
            "button:visible, input:visible, select:visible, textarea"
        ).all():
            name = control.evaluate(
                "e => e.labels?.[0]?.textContent || e.ariaLabel || e.textContent"
            )
            assert name.strip(), f"{path}: {control.evaluate('e => e.outerHTML')}"
        assert page.locator("table:not(:has(thead th[scope=col]))").count() == 0
        assert page.locator("h1").count() == 1


def test_off_loopback_only_the_link_with_the_token_leads_in(browser: Browser, tmp_path: Path):
    with running(tmp_path, "--host", "0.0.0.0", "--show-keys") as cloud:
        local = re.sub("//[^:/]+:", "//localhost:", cloud.portal)
        let_in_by_the_link(browser, local)


def test_a_cloud_stops_at_once_however_many_pages_are_open(browser: Browser, tmp_path: Path):
    with running(tmp_path) as cloud:
        opened = tab(browser, cloud.portal, expected="ERR_CONNECTION|ERR_INCOMPLETE|ERR_CONTENT")
        with opened as page:
            page.goto(cloud.portal)
            expect(page.get_by_role("button", name="Live")).to_be_visible()
            cloud.stop()
            expect(page.get_by_role("button", name="Reconnecting")).to_be_visible()


def let_in_by_the_link(browser: Browser, local: str) -> None:
    with tab(browser, local, expected="status of 401") as page:
        assert "?token=" in local
        answer = page.goto(local.partition("?")[0])
        assert answer.status == 401
        expect(page.get_by_role("heading", level=1)).to_contain_text("those who have its link")
        page.goto(local)
        expect(page.get_by_role("heading", level=1)).to_have_text("Provisioning service")
        assert "token" not in page.url
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
