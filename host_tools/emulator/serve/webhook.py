"""Webhooks: calls the web-hooks of custom allocation, each for so long and no longer.

Owns sockets, time-outs and how many calls go to one web-hook at once: one that hangs holds up
nobody but its own devices. Doesn't own what is asked and answered (dps/webhook.py). Its address
may hold a key, so nothing here repeats it.

TLS is verified against the system's roots, or SSL_CERT_FILE's. No proxy is used, and no redirect
followed: the service does not say that it would.
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Callable

import httpx

from host_tools.emulator.dps.enrollment import Webhook
from host_tools.emulator.dps.json_fields import Json
from host_tools.emulator.dps.webhook import LARGEST, TIMEOUT, Outcome, WebhookFailure, parse

_AT_ONCE = 32  # calls of one web-hook; the others wait for their turn


class Webhooks:
    """Called in the loop that serves; it answers there, later."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        """timeout: seconds for a whole call, without the wait for its turn."""
        self._timeout = timeout
        self._turns: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(_AT_ONCE)
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._context: ssl.SSLContext | None = None

    def __call__(self, webhook: Webhook, body: Json, done: Callable[[Outcome], None]) -> None:
        """Ask webhook; give what it says to done, once."""
        task = asyncio.get_running_loop().create_task(self._ask(webhook, body, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, webhook: Webhook, body: Json, done: Callable[[Outcome], None]) -> None:
        async with self._turns[webhook.url]:
            outcome = await self._outcome(webhook, body)
        done(outcome)

    async def _outcome(self, webhook: Webhook, body: Json) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout):
                return parse(*await self._post(webhook.url, body))
        except TimeoutError:
            return WebhookFailure(f"Custom allocation failed: no answer in {self._timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            why = type(error).__name__  # its words may hold the address
            return WebhookFailure(
                f"Custom allocation failed: the web-hook can not be called: {why}"
            )

    # a client of its own for each call: none has to be closed when the cloud ends
    async def _post(self, url: str, body: Json) -> tuple[int, bytes]:
        if self._context is None:
            self._context = ssl.create_default_context()
        async with (
            httpx.AsyncClient(verify=self._context, trust_env=False, timeout=None) as client,
            client.stream("POST", url, json=body) as response,
        ):
            answer = b""
            async for part in response.aiter_bytes():
                answer += part
                if len(answer) > LARGEST:
                    break
            return response.status_code, answer
