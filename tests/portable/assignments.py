# The assignment as it is kept: back as it was, or not at all.
import binascii

from keystead import assignment

OWNER = 0xCAFE0123
HUB = "test-docs-hub.azure-devices.net"

blob = assignment.pack(HUB, "sn-007", 1794300000, OWNER)
print(len(blob), binascii.hexlify(blob).decode())
print("kept", assignment.unpack(blob, OWNER))
print("another record's", assignment.unpack(blob, OWNER ^ 1))
print("none", assignment.unpack(None, OWNER), assignment.unpack(b"", OWNER))
print("another version's", assignment.unpack(b"\x02" + blob[1:], OWNER))
print("cut", {assignment.unpack(blob[:size], OWNER) for size in range(len(blob))})
print("a name more", assignment.unpack(blob + b"\x01x", OWNER))
print("a name without a letter", assignment.unpack(blob[:-7] + b"\x00", OWNER))
print("not UTF-8", assignment.unpack(blob[:-1] + b"\xff", OWNER))
wide = assignment.pack("h\u00fc", "d" * 255, 0xFFFFFFFF, 0)
print("wide", [len(str(part)) for part in assignment.unpack(wide, 0)])
print("refused", assignment.pack("", "d", 1, 1), assignment.pack("h", "", 1, 1))
print("refused", assignment.pack("h" * 256, "d", 1, 1), assignment.pack("h", "\u00fc" * 128, 1, 1))
