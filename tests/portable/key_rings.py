# The key ring: whose turn it is after which answer of the service, and what is kept of it.
from keystead.failure import Failure
from keystead.key_ring import KeyRing
from keystead.record import FactoryRecord
from keystead.sas import sas_token

MAC = b"\xa1\xb2\xc3\xd4\xe5\xf6"
KEYS = [bytes([65 + number]) * 32 for number in range(6)]
NAMES = {sas_token("r", key, 9, "p"): "ABCDEF"[number] for number, key in enumerate(KEYS)}
A, B, C, D, E, F = KEYS
RECORD = FactoryRecord(MAC, "0ne1", "sn-1", A, B)
ONE_KEY = FactoryRecord(MAC, "0ne1", "sn-1", A)


def turn(ring):
    return NAMES[ring.token("r", 9, "p")]


def turns(ring, count):
    """Whose turn it is as refusal follows refusal; "+" where the next one need not wait."""
    text = turn(ring)
    for _ in range(count):
        text += "+" if ring.refused() else " "
        text += turn(ring)
    return text


def again(ring, record=RECORD):
    """The ring after a reset."""
    return KeyRing(record, ring.pack())


def rotated(record=RECORD):
    ring = KeyRing(record)
    ring.propose(C, D)
    ring.confirm()
    return ring


print("fresh", turn(KeyRing(RECORD)), turn(KeyRing(RECORD, b"")), turn(KeyRing(ONE_KEY)))
print("refused", turns(KeyRing(RECORD), 4))
print("one key refused", turns(KeyRing(ONE_KEY), 3))
ring = KeyRing(RECORD)
print("works as before:", "news" if ring.works() else "no news")
ring.refused()
print("after a reset it is still", turn(again(ring)), "which is news:", again(ring).works())
print("works, again, kept:", [ring.works(), ring.works(), again(ring).works()])
print("refused from there", turns(again(ring), 2))

ring = KeyRing(RECORD)
print("proposed", ring.propose(C, D), ring.trying, turn(ring), [ring.works()])
print("refused", turns(ring, 4), ring.trying)
print("and from there", turns(ring, 5))
ring = KeyRing(RECORD)
ring.propose(C)
print("proposed alone, refused", turns(ring, 6))
ring = KeyRing(RECORD)
ring.propose(C, D)
trail = ""
while ring.trying:
    trail += turn(ring)
    ring.refused()
    ring = again(ring)
print("refused, with a reset each time", trail, "then", turn(ring))
print("given up, and late it works after all", turns(ring, 2), ring.works(), turns(again(ring), 4))

ring = rotated()
print("confirmed", ring.trying, turn(ring), turn(again(ring)), [ring.works()])
print("refused", turns(ring, 6))
other = KeyRing(FactoryRecord(MAC, "0ne1", "sn-1", E, F), rotated().pack())
print("another record's", turns(other, 2))
ring = KeyRing(ONE_KEY)
ring.propose(C, D)
ring.refused()
ring.confirm()
print("its second key works", turns(again(ring, ONE_KEY), 3))
ring = rotated()
ring.propose(E, F)
ring.abandon()
print("abandoned", ring.trying, turns(ring, 6))
ring.propose(E, F)
print("proposed again", turn(ring), turns(again(ring), 4))
ring = rotated()
ring.propose(E, F)
ring.confirm()
print("twice", turns(again(ring), 4))
ring.propose(A, B)
ring.confirm()
print("and back", turn(again(ring)))

ring = rotated()
print("in place already", ring.propose(C, D), KeyRing(RECORD).propose(A, B), ring.trying)
before = ring.pack()
for primary, secondary in (
    (b"", b""),
    (b"x" * 15, b""),
    (C, b"x" * 15),
    (b"x" * 65, D),
    (C, b"x" * 65),
):
    try:
        ring.propose(primary, secondary)
        print("taken: False")
    except Failure as failure:
        print(failure, ring.pack() == before)
for size in (16, 64):
    print("of", size, KeyRing(RECORD).propose(bytes(size), bytes(size)))
longest = FactoryRecord(MAC, "0ne1", "sn-1", b"x" * 64)
ring = KeyRing(longest)
ring.propose(b"y" * 64, b"z" * 64)
ring.confirm()
ring.propose(b"u" * 64, b"v" * 64)
print("longest", len(ring.pack()), KeyRing(longest, ring.pack()).pack() == ring.pack())

ring = rotated()
ring.propose(E, F)
whole = ring.pack()
print("cut", {turn(KeyRing(RECORD, whole[:size])) for size in range(len(whole))})
print("with a key on trial that worked", turn(KeyRing(RECORD, whole[:5] + b"\4" + whole[6:])))
whole = rotated().pack()
print("of another version", turn(KeyRing(RECORD, b"\x02" + whole[1:])))
for place, what in (
    (5, b"\x03"),
    (5, b"\x04"),
    (6, b"\x03"),
    (6, b"\x04"),
    (6, b"\x06"),
    (7, b"\x01"),
):
    print(
        "with", what, "at", place, turn(KeyRing(RECORD, whole[:place] + what + whole[place + 1 :]))
    )

print("records differ:", RECORD.crc() != ONE_KEY.crc(), "%08x" % RECORD.crc())
shown = [repr(ring), str(ring), repr(RECORD), str(RECORD)]
try:
    ring.propose(b"secret")
except Failure as failure:
    shown.extend((repr(failure), str(failure)))
text = " ".join(shown)
print("shown:", [word for word in ("AAAA", "uuuu", "zzzz", "secret") if word in text])
