# keystead.ntp and keystead.http_date: answers as servers send them, and as none should.
import struct

from keystead import http_date, ntp
from keystead.failure import Failure

NONCE = b"\x01\x02\x03\x04\x05\x06\x07\x08"
FLOOR = 1_767_225_600  # 2026-01-01
SINCE_1900 = 2_208_988_800


def answer(unix, fraction=0, first=0x24, stratum=2, kiss=b"GPS\0", nonce=NONCE):
    seconds = (unix + SINCE_1900) % (1 << 32)
    head = struct.pack("!BBBBII4s", first, stratum, 6, 0xEC, 0, 0, kiss)
    return head + bytes(8) + nonce + bytes(8) + struct.pack("!II", seconds, fraction)


def tell(name, packet, floor=FLOOR, late=0):
    try:
        print(name, ntp.read(packet, NONCE, floor, late))
    except Failure as failure:
        print(name, failure, failure.retry_after)


print(ntp.question(NONCE))
tell("to the second", answer(FLOOR + 7))
tell("half a second later", answer(FLOOR + 7, 1 << 31))
tell("almost half", answer(FLOOR + 7, (1 << 31) - (1 << 22)))
tell("2 s on its way", answer(FLOOR + 7), late=2048)
tell("version 3", answer(FLOOR + 7, first=0x1C))
tell("a leap second ahead", answer(FLOOR + 7, first=0x64))
tell("an authentic one", answer(FLOOR + 7) + bytes(20))
tell("a memoryview", memoryview(answer(FLOOR + 7)))
tell("the floor itself", answer(FLOOR))
tell("a second before it", answer(FLOOR - 1))
tell("15 years", answer(FLOOR + ntp.LATEST))
tell("15 years and a second", answer(FLOOR + ntp.LATEST + 1))
# the first era ends on 2036-02-07 at 06:28:16
for unix in (2085978495, 2085978496, 2085978497, 2240000000):
    tell("era", answer(unix, 1))
tell("the second 0 of an era", answer(2085978496, 1), 2085978490)
tell("long after", answer(4294967295), 4294967000)
tell("the end of the second era", answer(6380945791), 6380945700)

tell("no time", answer(-SINCE_1900))
tell("not synchronised", answer(FLOOR + 7, first=0xE4))
tell("stratum 16", answer(FLOOR + 7, stratum=16))
tell("stratum 15", answer(FLOOR + 7, stratum=15))
for kiss in (b"RATE", b"DENY", b"RSTR", b"INIT", b"\xff\0\0\0"):
    tell("kiss", answer(FLOOR + 7, stratum=0, first=0xE4, kiss=kiss))

tell("another's answer", answer(FLOOR + 7, nonce=bytes(8)))
tell("a forged kiss", answer(FLOOR + 7, stratum=0, kiss=b"DENY", nonce=bytes(8)))
for first in (0x23, 0x25, 0x26, 0x2C, 0x14, 0x04):
    tell("mode or version", answer(FLOOR + 7, first=first))
tell("short", answer(FLOOR + 7)[:47])
tell("empty", b"")

for line in (
    "Date: Sun, 06 Nov 1994 08:49:37 GMT",
    "date:Sun, 06 Nov 1994 08:49:37 GMT",
    "DATE: \tSun, 06 Nov 1994 08:49:37 GMT \r\n",
    "Date: Thu, 01 Jan 1970 00:00:01 GMT",
    "Date: Sun, 22 Nov 2026 13:00:00 GMT",
    "Date: Thu, 29 Feb 2024 23:59:59 GMT",
    "Date: Fri, 01 Mar 2024 00:00:00 GMT",
    "Date: Sun, 28 Feb 2100 12:00:00 GMT",
    "Date: Mon, 01 Mar 2100 12:00:00 GMT",
    "Date: Sat, 31 Dec 2016 23:59:60 GMT",
    "Date: Fri, 31 Dec 9999 23:59:59 GMT",
):
    print(line.strip(), http_date.read(line.encode()))
for line in (
    "Date: Mon, 06 Nov 1994 08:49:37 GMT",
    "Date: Sunday, 06-Nov-94 08:49:37 GMT",
    "Date: Sun Nov  6 08:49:37 1994",
    "Date: Sun, 06 Nov 1994 08:49:37 +0000",
    "Date: Sun, 06 Nov 1994 08:49:37 UTC",
    "Date: Sun, 06 nov 1994 08:49:37 GMT",
    "Date: Sun, 06 anF 1994 08:49:37 GMT",
    "Date: Sun,  6 Nov 1994 08:49:37 GMT",
    "Date: Sun, 06 Nov 1994 -8:49:37 GMT",
    "Date: Sun, 06 Nov 1994 99:49:37 GMT",
    "Date: Sun, 06 Nov 1994 08:49:37 GMT GMT",
    "Date: Wed, 31 Dec 1969 23:59:59 GMT",
    "Date: Thu, 01 Jan 0000 00:00:00 GMT",
    "Date:",
    "Expires: Sun, 06 Nov 1994 08:49:37 GMT",
    "X-Date: Sun, 06 Nov 1994 08:49:37 GMT",
    "",
):
    print(repr(line), http_date.read(line.encode()) == 0)
print(http_date.read(b"Date: Sun, \xb26 Nov 1994 08:49:37 GMT") == 0)
