"""The MQTT client: the stock umqtt.simple, on our stream.

Owns what the stock class gets wrong on an unattended board: a publish without a limit, packet
numbers that never wrap, packets read in halves, an acknowledgement before anybody looked. CONNECT
is the stock class's own, called by rim.opening, and so is PINGREQ. Works with umqtt.simple 1.3.4
to 1.8.0.
"""

import time

from umqtt import simple

from keystead.failure import Failure

LIMIT = 30_000  # milliseconds for an answer
_LARGEST = 4096  # bytes of an incoming message; a larger one is told without its payload
_ENDLESS = 0x50000  # bytes that no hub sends: 256 KB and what is around them are less


class Client(simple.MQTTClient):
    """A connection to one service.

    Incoming messages go to on_message(topic, payload, packet ID): bytes, bytes (None for more than
    there is room for), and 0 at QoS 0 or what acknowledge() takes when the message is dealt with.
    """

    def __init__(self, stream, client_id, user, password, keepalive, on_message, feed):
        """client_id, user, password: str; keepalive: seconds; feed(): there is progress."""
        super().__init__(client_id.encode(), "", 8883, user.encode(), password.encode(), keepalive)
        self.stream = stream
        self.feed = feed
        self._one = bytearray(2)
        self._acked = 0
        self.inside = False  # a packet: whoever is stopped there leaves the line out of step
        self._pinged = self._heard = time.ticks_ms()
        self.on_message = on_message

    def garbled(self, what):
        """Return the Failure for a server that does not speak MQTT as it should."""
        self.stream.is_open = False  # whatever comes next is out of step
        return Failure("mqtt-garbled", what)

    # PUBLISH: {0x30 | flags} {remaining length} {topic length, topic} [{packet ID}] {payload}
    def publish(self, topic, payload, retain=False, qos=0):
        """Send payload (bytes) on topic (bytes); QoS 1 waits for its PUBACK. Raises Failure."""
        stream = self.stream
        self.inside = True
        stream.start(LIMIT, "PUBACK")
        stream.put(0x30 | qos << 1 | retain)
        self.put_size(2 + len(topic) + len(payload) + (2 if qos else 0))
        self.put_word(len(topic))
        stream.write(topic)
        if qos:
            self.pid = self.pid % 65535 + 1
            self.put_word(self.pid)
        stream.write(payload)
        stream.flush()
        self._acked = 0
        while qos and self._acked != self.pid:
            self.wait_msg()  # on_message must not publish: its PUBACK would overtake this one
        self.inside = False
        if qos:
            self.feed()

    def put_size(self, size):
        """Write a remaining length."""
        while size > 0x7F:
            self.stream.put(size & 0x7F | 0x80)
            size >>= 7
        self.stream.put(size)

    def put_word(self, word):
        """Write a number of two bytes."""
        self.stream.put(word >> 8)
        self.stream.put(word & 0xFF)

    def wait_msg(self, begun=False):
        """Take one packet, whole; return its first byte. Raises Failure.

        begun: that one was taken already. A SUBACK is left for rim.opening to read.
        """
        self.inside = True
        if not begun:
            self.stream.readinto(self._one, 1)
        kind = self._one[0]
        if kind == 0x90:
            return kind
        size = self.size()
        if kind == 0x40 and size == 2:
            self._acked = self.word()
        elif kind & 0xF4 == 0x30:  # PUBLISH at QoS 0 or 1
            self._message(size, kind & 2)
        elif kind == 0xD0 and not size:
            self._heard = time.ticks_ms()
            self.feed()
        else:
            raise self.garbled("packet %02x of %d bytes" % (kind, size))
        self.inside = False
        return kind

    def size(self):
        """Read a remaining length."""
        size = shift = 0
        while shift < 28:
            self.stream.readinto(self._one, 1)
            size |= (self._one[0] & 0x7F) << shift
            if self._one[0] < 0x80:
                return size
            shift += 7
        raise self.garbled("length of more than four bytes")

    def word(self):
        """Read a number of two bytes."""
        self.stream.readinto(self._one, 2)
        return self._one[0] << 8 | self._one[1]

    def _message(self, size, acknowledge):
        if size > _ENDLESS:
            self.stream.is_open = False
            raise Failure("mqtt-oversized", "%d bytes" % size)
        fits = size <= _LARGEST
        topic_size = self.word()
        size -= topic_size + (4 if acknowledge else 2)
        if size < 0 or topic_size > _LARGEST:
            raise self.garbled("a topic longer than its packet")
        topic = self.stream.read(topic_size)
        packet_id = self.word() if acknowledge else 0
        payload = bytes(self.stream.read(size)) if fits else None
        while not fits and size:
            size -= len(self.stream.read(min(size, 256)))
        self.stream.left()  # with one message after the other it never waits, and never looks
        self.on_message(bytes(topic), payload, packet_id)

    # PUBACK: 0x40 2 {packet ID}
    def acknowledge(self, packet_id):
        """Tell the server that a message is dealt with; goes out with the next flush."""
        if packet_id:
            self.stream.put(0x40)
            self.stream.put(2)
            self.put_word(packet_id)

    def idle(self, wait):
        """Take what arrives within wait milliseconds, at most one packet; keep the line alive."""
        self._keep_alive()
        self.stream.start(LIMIT, "the rest of a packet")
        # some records of TLS bring no byte: nobody is to wait for what is behind them
        if self.stream.readable(wait) and self.stream.some(self._one, 1):
            self.wait_msg(True)
            self.stream.flush()

    def _keep_alive(self):
        now = time.ticks_ms()
        half = self.keepalive * 500
        # messages that go on coming do not say that ours arrive
        if time.ticks_diff(now, self._heard) > 3 * half:
            raise Failure("connection-lost", "no PINGRESP")
        if time.ticks_diff(now, self._pinged) > half:
            self._pinged = now
            self.stream.start(LIMIT, "PINGREQ")
            self.ping()
            self.stream.flush()

    def close(self):
        """Say good-bye if the line still works, and close it."""
        try:
            if self.stream.is_open:
                self.stream.start(1000, "DISCONNECT")
                self.stream.write(b"\xe0\0")
                self.stream.flush()
        except Failure:  # the line is gone: nobody to say it to
            pass
        finally:
            self.stream.close()
