# rim.mqtt on a stream that a test fills: bytes of every kind give a packet or a named failure.
import random
import sys

from keystead.catalogue import entry
from keystead.failure import Failure
from rim.mqtt import Client
from rim.opening import _subscribe as subscribe


class Stream:
    """What rim.stream.Stream is to its client, with a bytes object for a network."""

    def __init__(self, incoming):
        self.incoming = incoming
        self.sent = bytearray()
        self.is_open = True

    def start(self, limit, what):
        pass

    def left(self):
        return 1

    def put(self, byte):
        self.sent.append(byte)

    def write(self, data, size=-1):
        self.sent.extend(data if size < 0 else memoryview(data)[:size])

    def flush(self):
        pass

    def readinto(self, buffer, size):
        if len(self.incoming) < size:
            raise Failure("connection-lost")
        buffer[:size] = self.incoming[:size]
        self.incoming = self.incoming[size:]

    def read(self, size):
        data = bytearray(size)
        self.readinto(data, size)
        return data

    def setblocking(self, flag):
        pass

    def close(self):
        self.is_open = False


def client(incoming, received=None):
    stream = Stream(incoming)
    take = lambda *message: received.append(message)  # noqa: E731
    made = Client(stream, "d", "u", "p", 60, take, lambda: None)
    made.sock = stream
    return made, stream


def brief(value):
    text = str(value)
    return text if len(text) < 100 else "%s... %d characters" % (text[:40], len(text))


def attempt(name, incoming, work):
    received = []
    made, stream = client(incoming, received)
    try:
        print(name, work(made), brief(received), brief(bytes(stream.sent)), stream.incoming)
    except Failure as failure:
        print(name, failure, bytes(stream.sent))


attempt("message at QoS 0", b"\x30\x05\x00\x01tab", lambda c: c.wait_msg())
attempt("message at QoS 1", b"\x32\x07\x00\x01t\x12\x34ab", lambda c: c.wait_msg())
attempt("again, marked so", b"\x3a\x07\x00\x01t\x12\x34ab", lambda c: c.wait_msg())
attempt("message without text", b"\x30\x02\x00\x00", lambda c: c.wait_msg())
attempt("PINGRESP", b"\xd0\x00", lambda c: c.wait_msg())
attempt("PINGRESP with a body", b"\xd0\x01\x00", lambda c: c.wait_msg())
attempt("late PUBACK", b"\x40\x02\x0d\x09\xd0\x00", lambda c: c.wait_msg())
attempt("topic behind the end", b"\x30\x04\x00\x09ab", lambda c: c.wait_msg())
attempt("no room for a number", b"\x32\x03\x00\x01t", lambda c: c.wait_msg())
attempt("length of five bytes", b"\x30\xff\xff\xff\xff\x01", lambda c: c.wait_msg())
attempt("largest message", b"\x30\x80\x20\x00\x01t" + bytes(4093), lambda c: c.wait_msg() and 0)
attempt("one byte more", b"\x30\x81\x20\x00\x01t" + bytes(4094), lambda c: c.wait_msg())
attempt("publish", b"\x40\x02\x00\x01", lambda c: c.publish(b"t", b"ab", qos=1))
attempt("another's PUBACK first", b"\x40\x02\x00\x09\x40\x02\x00\x01",
        lambda c: c.publish(b"t", b"ab", qos=1))  # fmt: skip
attempt("a message before the PUBACK", b"\x30\x05\x00\x01tab\x40\x02\x00\x01",
        lambda c: c.publish(b"t", b"ab", qos=1))  # fmt: skip
attempt("long", b"", lambda c: c.publish(b"t", bytes(200)))
attempt("SUBACK", b"\x90\x03\x00\x01\x01", lambda c: subscribe(c, ("a/#",)))
attempt("SUBSCRIBE refused", b"\x90\x03\x00\x01\x80", lambda c: subscribe(c, ("a/#",)))
attempt("another's SUBACK", b"\x90\x03\x00\x02\x01", lambda c: subscribe(c, ("a/#",)))


def wrap(made):
    made.pid = 65535
    made.publish(b"t", b"", qos=1)
    return made.pid


attempt("packet number after the last", b"\x40\x02\x00\x01", wrap)

random.seed(20261122)
kinds = {}
for _ in range(3000):
    size = random.getrandbits(5)
    noise = bytes(
        [random.choice((0x20, 0x30, 0x32, 0x34, 0x40, 0x90, 0xD0, random.getrandbits(8)))]
    )
    noise += bytes([random.getrandbits(8) for _ in range(size)])
    made, stream = client(noise, [])
    try:
        while True:
            made.wait_msg()
            if stream.incoming[:1] == b"\x90":
                break
    except Failure as failure:
        entry(failure.reason)
        kinds[failure.reason] = kinds.get(failure.reason, 0) + 1
print(sorted(kinds), sum(kinds.values()) > 2500)
sys.exit(0)
