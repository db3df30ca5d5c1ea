"""Opening: CONNECT and SUBSCRIBE by the stock umqtt.simple, on a stream of ours.

Owns the way from an end point to a client that may publish. Loaded to connect, forgotten once
connected.
"""

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


def open_client(endpoint, context, client_id, user, password, keepalive, on_message, feed):
    """Return a Client with a TCP connection to endpoint, "host" or "host:port", else 8883.

    context: a tls.SSLContext; the rest as Client takes it. Raises Failure.
    """
    host, _, port = endpoint.partition(":")
    stream = open_stream(host, int(port) if port.isdigit() else _PORT, context, _DIALLING)
    try:
        return Client(stream, client_id, user, password, keepalive, on_message, feed)
    except BaseException:
        stream.close()
        raise


def enter(client, clean_session, refused, unavailable) -> None:
    """Connect; a refusal is the Failure named refused, or unavailable for code 3.

    Closes the client if it fails.
    """
    client.feed()
    # the stock connect() makes a blocking socket without time-out: hand it ours instead
    module, simple.socket = simple.socket, _Opened(client.stream)  # type: ignore[attr-defined]
    try:
        client.stream.start(LIMIT, "the TLS hand-shake and CONNACK")
        client.connect(clean_session)
    except simple.MQTTException as error:
        client.stream.close()
        code = error.args[0]
        raise Failure(unavailable if code == 3 else refused, "CONNACK %d" % code, code)
    except AssertionError:
        client.stream.close()
        raise client.garbled("no CONNACK")
    except BaseException:
        client.stream.close()
        raise
    finally:
        simple.socket = module  # type: ignore[attr-defined]
    client.feed()


def subscribe(client, topic, qos=1) -> None:
    """Subscribe and wait for the SUBACK."""
    client.stream.start(LIMIT, "SUBACK")
    client.pid %= 65535
    try:
        client.subscribe(topic.encode(), qos)
    except AssertionError:
        raise client.garbled("SUBACK")
    except simple.MQTTException:
        raise client.garbled("SUBSCRIBE refused")
    client.feed()
