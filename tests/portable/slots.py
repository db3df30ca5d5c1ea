# Two slots in flash: the newer one that is whole counts, whatever happened to the other.
import binascii

from keystead import slot


def shown(kept):
    return kept and (kept[0], bytes(kept[1]), kept[2])


old = slot.pack(7, b"old value")
new = slot.pack(8, b"the new value")
print(binascii.hexlify(old).decode(), len(old) - len(b"old value") == slot.OVERHEAD)
print("both", shown(slot.newest(old, new)), shown(slot.newest(new, old)))
print("one", shown(slot.newest(old, b"")), shown(slot.newest(b"", old)))
print("none", slot.newest(b"", b""))
print("nothing in it", shown(slot.newest(slot.pack(1, b""), b"")))
long = old[:6] + b"\x0a" + old[7:-4]
long += binascii.crc32(long).to_bytes(4, "little")
print("of another length than it says", slot.newest(long, b""))
print("equal", shown(slot.newest(slot.pack(3, b"a"), slot.pack(3, b"b"))))
for first, second in ((0xFFFFFFFF, 0), (0xFFFFFFFF, 1 << 32), (5, 0x80000004), (5, 0x80000005)):
    kept = slot.newest(slot.pack(first, b"first"), slot.pack(second, b"second"))
    print("%x, %x:" % (first, second), shown(kept))

expected = slot.newest(old, b"")
fell_back = 0
for bit in range(len(new) * 8):
    damaged = bytearray(new)
    damaged[bit // 8] ^= 1 << bit % 8
    fell_back += slot.newest(old, bytes(damaged)) == expected
print("flipped bits seen:", fell_back, "of", len(new) * 8)
fell_back = 0
for size in range(len(new)):
    fell_back += slot.newest(old, new[:size]) == expected
    # what flash looks like where a write has not come by, and where it has torn the old value
    fell_back += slot.newest(old, new[:size] + b"\xff" * (len(new) - size)) == expected
    fell_back += slot.newest(old, new[:size] + old[size:]) == expected
print("torn writes seen:", fell_back, "of", len(new) * 3)
