"""Opening: CONNECT by the stock umqtt.simple and SUBSCRIBE by ourselves, on a stream of ours.

Owns the way from an end point to a client that may publish. Loaded to connect, forgotten once
connected.
"""

import struct

from umqtt import simple

from keystead.failure import Failure
from rim.dial import open_stream
from rim.mqtt import LIMIT, Client

_PORT = 8883
_DIALLING = 20_000  # milliseconds for TCP, all addresses together


class _Opened:
    """What connect() takes for the socket module: it hands out the stream that is open."""

    def __init__(self, stream):
        self._stream = stream

    def getaddrinfo(self, host, port, *rest):
        return ((None,),)

    def socket(self, *rest):
        return self._stream


def opened(endpoint, context, name, user, token, keepalive, on_message, feed, service, filters,
           anew=True):  # fmt: skip
    """Return a Client that endpoint, "host" or "host:port", else 8883, has let in.

    context: a tls.SSLContext; service: "dps" or "hub", a refusal is the Failure of that name;
    filters: to subscribe to; anew: even if the service kept the session, and the subscriptions,
    of this device; the rest as Client takes it. Raises Failure.
    """
    host, _, port = endpoint.partition(":")
    stream = open_stream(host, int(port) if port.isdigit() else _PORT, context, _DIALLING)
    try:
        client = Client(stream, name, user, token, keepalive, on_message, feed)
        feed()
        # at a hub, clean session 1 would throw away messages queued for this device
        kept = _connect(client, service, service == "dps")
        feed()
        if anew or not kept:
            _subscribe(client, filters)
            feed()
        return client
    except BaseException:
        stream.close()
        raise


def _connect(client, service: str, clean_session: bool) -> int:
    # the stock connect() makes a blocking socket without time-out: hand it ours instead
    module, simple.socket = simple.socket, _Opened(client.stream)  # type: ignore[attr-defined]
    try:
        client.stream.start(LIMIT, "the TLS hand-shake and CONNACK")
        return client.connect(clean_session)
    except simple.MQTTException as error:
        code = error.args[0]
        reason = "-unavailable" if code == 3 else "-refused"
        raise Failure(service + reason, "CONNACK %d" % code, code)
    except AssertionError:
        raise client.garbled("no CONNACK")
    finally:
        simple.socket = module  # type: ignore[attr-defined]


# SUBSCRIBE: 0x82 {remaining length} {packet ID} {filter length, filter, QoS}...
# SUBACK: 0x90 {remaining length} {packet ID} {granted QoS or 0x80}...
def _subscribe(client, filters) -> None:
    stream = client.stream
    stream.start(LIMIT, "SUBACK")
    body = b"".join([struct.pack("!H", len(one)) + one.encode() + b"\1" for one in filters])
    client.pid = client.pid % 65535 + 1
    stream.put(0x82)
    client.put_size(2 + len(body))
    client.put_word(client.pid)
    stream.write(body)
    while client.wait_msg() != 0x90:
        pass
    if client.size() != 2 + len(filters) or client.word() != client.pid:
        raise client.garbled("SUBACK")
    if max(stream.read(len(filters))) > 1:
        raise client.garbled("SUBSCRIBE refused")
