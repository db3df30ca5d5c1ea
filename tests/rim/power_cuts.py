# The power goes at every flash write of a key rotation in turn, and leaves behind whatever it may:
# what can be read then always brings the device back to its service.
import esp32

from keystead.key_ring import KeyRing
from keystead.record import FactoryRecord
from keystead.sas import sas_token
from rim import flash

A, B, C, D = (bytes([65 + number]) * 32 for number in range(4))
RECORD = FactoryRecord(b"\xa1\xb2\xc3\xd4\xe5\xf6", "0ne1", "sn-1", A, B)
NAMES = {sas_token("r", key, 9): name for key, name in ((A, "A"), (B, "B"), (C, "C"), (D, "D"))}


class PowerCut(BaseException):
    pass


class NVS:
    """A chip's, whose power goes at one write."""

    kept = {}
    writes = 0
    cut = None  # (number of the write, what it leaves: a function of old and new)

    def __init__(self, namespace):
        self._pending = {}

    def get_blob(self, key, buffer):
        if key not in NVS.kept:
            raise OSError(-4354)
        blob = NVS.kept[key]
        buffer[: len(blob)] = blob
        return len(blob)

    def set_blob(self, key, value):
        self._pending[key] = value

    def commit(self):
        for key, value in self._pending.items():
            NVS.writes += 1
            if NVS.cut and NVS.cut[0] == NVS.writes:
                left = NVS.cut[1](NVS.kept.get(key), value)
                NVS.kept[key] = left
                if left is None:
                    del NVS.kept[key]
                raise PowerCut
            NVS.kept[key] = value


esp32.NVS = NVS


def torn(place):
    """Half of the new, and behind it the old or what erased flash reads as."""
    return lambda old, new: new[:place] + ((old or b"") + b"\xff" * len(new))[place : len(new)]


LEFT = [
    lambda old, new: old,
    lambda old, new: new,
    lambda old, new: None,
    lambda old, new: b"",
    lambda old, new: new[:-1],
]
LEFT.extend(torn(place) for place in range(1, 140, 9))


def keep(ring):
    return flash.save("keys", ring.pack())


def connect(accepted):
    """What rim.connect does with the ring; how many refusals it took."""
    for refusals in range(20):
        ring = KeyRing(RECORD, flash.load("keys"))
        if NAMES[ring.token("r", 9)] in accepted:
            if ring.trying:
                ring.confirm()
                keep(ring)
            elif ring.works():
                keep(ring)
            return refusals
        ring.refused()
        keep(ring)
    raise Exception("never let in by " + accepted)


def rotate():
    ring = KeyRing(RECORD, flash.load("keys"))
    ring.propose(C, D)
    assert keep(ring)


def story(before, after, service):
    """A rotation asked for over a connection, while the service goes from keys to keys.

    service ends with the keys that it takes then: it retires none before the device has said
    that it has the new ones.
    """
    service.append(before)
    connect(before)
    rotate()
    for accepted in after:
        service.append(accepted)
        connect(accepted)


def begin(cut=None):
    NVS.kept = {}
    NVS.writes = 0
    NVS.cut = cut


def settled(accepted):
    """Once let in: the next time at once, and without another write."""
    writes = NVS.writes
    return connect(accepted) == 0 and NVS.writes == writes


def trial(before, after):
    begin()
    story(before, after, [])
    writes = NVS.writes
    worst = 0
    for number in range(1, writes + 1):
        for left in LEFT:
            begin((number, left))
            service = []
            try:
                story(before, after, service)
                print("no cut")
            except PowerCut:
                NVS.cut = None
            worst = max(worst, connect(service[-1]))
            if not settled(service[-1]):
                print("not settled after a cut at write", number)
    print("%s -> %s: %d writes, %d cuts at each, then at most %d refusals"
          % (before, " ".join(after), writes, len(LEFT), worst))  # fmt: skip


trial("AB", ["ABCD"])
trial("AB", ["ACD"])
trial("AB", ["AC"])
trial("AB", ["AD"])
trial("AB", ["CD"])
trial("AB", ["C"])
trial("AB", ["D"])
trial("AB", ["AB"])
trial("AB", ["A"])
trial("B", ["B"])
trial("AB", ["ABCD", "CD"])
trial("AB", ["AB", "CD"])
trial("AB", ["CD", "AB"])

# the power goes again and again, at each write or at every second, and then it stays
for accepted in ("AB", "BC", "BD"):
    for step in (1, 2):
        for left in LEFT[:6]:
            begin()
            for _ in range(12):
                NVS.cut = NVS.writes + step, left
                try:
                    rotate()
                    connect(accepted)
                except PowerCut:
                    pass
            NVS.cut = None
            if connect(accepted) > 8 or not settled(accepted):
                print("not settled after many cuts")

# flash that takes nothing any more
begin()
connect("AB")
NVS.commit = lambda self: (_ for _ in ()).throw(OSError(-4357))
ring = KeyRing(RECORD)
ring.propose(C, D)
print("a rotation that flash does not keep:", keep(ring), NVS.kept, connect("AB"))
