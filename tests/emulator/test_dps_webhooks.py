"""Web-hooks called over real sockets: good, bad, slow and silent ones."""

import asyncio
import ssl

import pytest
import trustme

from host_tools.emulator.dps.enrollment import Webhook
from host_tools.emulator.dps.webhook import Allocation, WebhookFailure
from host_tools.emulator.serve.webhook import Webhooks
from host_tools.keys import encode_key
from tests.emulator.cloud_fixtures import HUB, LIMIT, awaited, port_8883, running
from tests.emulator.test_azure_sdk import register
from tests.emulator.web_hook import answering, hanging, said, web_hook
from tests.ports import unheard

OWN_KEY = bytes(range(32))


async def outcome(webhooks, url, body=None):
    """Call a web-hook; return what came of it, which must come once."""
    done = asyncio.get_running_loop().create_future()
    webhooks(Webhook(url), body or {"linkedHubs": [HUB]}, done.set_result)
    async with asyncio.timeout(LIMIT):
        return await done


async def why(url, timeout=LIMIT):
    failure = await outcome(Webhooks(timeout), url)
    assert isinstance(failure, WebhookFailure)
    assert "secret" not in failure.why
    return failure.why


@awaited
async def test_a_web_hook_is_posted_json_and_its_answer_taken():
    async with web_hook(answering(iotHubHostName=HUB, payload={"a": "ü"})) as hook:
        body = {"linkedHubs": [HUB], "x": "ü"}
        assert await outcome(Webhooks(), hook.url, body) == Allocation(HUB, None, {"a": "ü"})
        assert hook.asked == [body]


@awaited
async def test_a_bad_answer_says_its_status():
    async with web_hook(answering(503)) as hook:
        assert await why(hook.url) == "Custom allocation failed with status code: 503"


@awaited
async def test_a_web_hook_that_hangs_is_given_up_and_holds_up_nobody():
    async with web_hook(hanging) as silent, web_hook(answering(iotHubHostName=HUB)) as good:
        patient = Webhooks(2 * LIMIT)
        waiting = [asyncio.create_task(outcome(patient, silent.url)) for _ in range(40)]
        assert await outcome(patient, good.url) == Allocation(HUB)
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        hasty = Webhooks(0.1)
        waiting = [asyncio.create_task(outcome(hasty, silent.url)) for _ in range(40)]
        for failure in await asyncio.gather(*waiting):
            assert failure == WebhookFailure("Custom allocation failed: no answer in 0.1 s")


@awaited
async def test_a_web_hook_that_stops_in_the_middle_is_given_up_too():
    async def stopping(_, writer):
        writer.write(b'HTTP/1.1 200 X\r\n\r\n{"iotHub')
        await writer.drain()
        await asyncio.Event().wait()

    async with web_hook(stopping) as hook:
        assert await why(hook.url, 0.3) == "Custom allocation failed: no answer in 0.3 s"


@awaited
async def test_no_more_is_read_than_an_answer_may_have():
    async def endless(_, writer):
        writer.write(b"HTTP/1.1 200 X\r\n\r\n")
        while True:
            writer.write(b" " * 60_000)
            await writer.drain()

    async with web_hook(endless) as hook:
        assert "an answer of more than 98304 bytes" in await why(hook.url)


@pytest.mark.parametrize("junk", [b"", b"HTTP/1.1 200", b"\x16\x03\x01", said(200, b"no JSON")])
@awaited
async def test_junk_is_a_failure(junk):
    async def reply(_, writer):
        writer.write(junk)

    async with web_hook(reply) as hook:
        assert (await why(hook.url)).startswith("Custom allocation failed")


@awaited
async def test_a_redirect_is_not_followed():
    async def elsewhere(_, writer):
        writer.write(b"HTTP/1.1 307 X\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n")

    async with web_hook(elsewhere) as hook:
        assert "status code: 307" in await why(hook.url)
        assert len(hook.asked) == 1


@awaited
async def test_a_port_where_nobody_listens_is_a_failure():
    with unheard() as port:
        told = await why(f"http://127.0.0.1:{port}/?code=secret")
    assert "can not be called: ConnectError" in told


@awaited
async def test_the_certificate_of_a_web_hook_must_be_of_a_known_ca(tmp_path, monkeypatch):
    ca, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    async with web_hook(answering(iotHubHostName=HUB), context) as hook:
        assert "can not be called: ConnectError" in await why(hook.url)
        ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert await outcome(Webhooks(), hook.url) == Allocation(HUB)


CONFIG = """
[dps]
assigning_replies = 1
retry_after = 1
[[hub]]
name = "{hub}"
[[hub]]
name = "other.azure-devices.net"
[[individual_enrollment]]
registration_id = "bench-1"
primary_key = "{key}"
allocation = "custom"
webhook = "{url}"
"""


async def registered(tmp_path, hook):
    """Return what Azure's SDK makes of a registration, and what the cloud said of it."""
    config = tmp_path / "cloud.toml"
    config.write_text(CONFIG.format(hub=HUB, key=encode_key(OWN_KEY), url=hook.url))
    ca = tmp_path / "ca.pem"
    async with running("--config", config, "--ca-out", ca, "--rest-port", "none") as cloud:
        result = await register(tmp_path, "bench-1", OWN_KEY)
    assert "secret" not in "".join(cloud.said)
    return result, "".join(cloud.said)


@awaited
async def test_azures_sdk_gets_the_hub_that_a_web_hook_chose(tmp_path):
    with port_8883():
        async with web_hook(answering(iotHubHostName="other.azure-devices.net")) as hook:
            result, _ = await registered(tmp_path, hook)
    assert (result["status"], result["assigned_hub"]) == ("assigned", "other.azure-devices.net")
    (asked,) = hook.asked
    assert asked["deviceRuntimeContext"]["payload"] == {"modelId": "dtmi:com:example:Thermostat;1"}
    assert asked["linkedHubs"] == [HUB, "other.azure-devices.net"]


@awaited
async def test_azures_sdk_hears_that_a_web_hook_failed(tmp_path):
    with port_8883():
        async with web_hook(answering(400)) as hook:
            result, said = await registered(tmp_path, hook)
    assert result == {"error": "ClientError", "cause": "ServiceError"}
    assert "Custom allocation failed with status code: 400" in said
