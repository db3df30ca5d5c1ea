# The factory record: packed, read back, and refused when it can not be trusted.
import binascii

from keystead.failure import Failure
from keystead.key_ring import KeyRing
from keystead.record import FactoryRecord, unpack

MAC = b"\xa1\xb2\xc3\xd4\xe5\xf6"
KEY = bytes(range(32))


def attempt(name, blob, mac=MAC):
    try:
        print(name, unpack(blob, mac))
    except Failure as failure:
        print(name, failure)


def crc(body):
    return body + binascii.crc32(body).to_bytes(4, "little")


record = FactoryRecord(MAC, "0ne00002193", "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6", KEY)
blob = record.pack()
print(len(blob), binascii.hexlify(blob).decode())
attempt("whole", blob)
attempt("with flash behind it", blob + b"\xff" * 9)
attempt("absent", b"")
attempt("cut in its head", blob[:11])
attempt("cut in its body", blob[:-1])
attempt("another board", blob, b"\xa1\xb2\xc3\xd4\xe5\xf7")
attempt("newer", crc(blob[:2] + b"\x02" + blob[3:-4]))
attempt("not a record", b"XX" + blob[2:])
attempt("four texts", crc(blob[:4] + (len(blob) - 1).to_bytes(2, "little") + blob[6:-5]))
attempt("not UTF-8", crc(blob[:13] + b"\xff" + blob[14:-4]))
refused = 0
for bit in range(len(blob) * 8):
    flipped = bytearray(blob)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        unpack(bytes(flipped), MAC)
        print("accepted with bit", bit, "flipped")
    except Failure:
        refused += 1
print("flipped bits refused:", refused, "of", len(blob) * 8)
for size in (0, 15, 16, 64, 65):
    try:
        again = unpack(FactoryRecord(MAC, "s", "r", bytes(size)).pack(), MAC)
        print("key of", size, KeyRing(again).token("a/b", 1767225600, "registration"))
    except Failure as failure:
        print("key of", size, failure)
both = unpack(
    FactoryRecord(MAC, "s", "r", KEY, bytes(reversed(KEY)), "bench.local:18883").pack(), MAC
)
print(both.endpoint, both)
