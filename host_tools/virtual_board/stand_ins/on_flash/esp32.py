"""esp32.NVS, as on the chip: i32 and blobs, its error codes, on the NVS partition in flash."""

from _host import ask

_nothing = bytearray(1)


def _ask(letter, text, answer=_nothing):
    size = ask(letter, len(answer), text, answer)
    if size < 0:
        name = bytearray(40)
        raise OSError(size, bytes(name[: ask("N", size, b"", name)]).decode())
    return size


class NVS:
    def __init__(self, namespace):
        self._name = namespace + "\0"
        _ask("n", self._name.encode())

    def _text(self, key):
        return (self._name + key + "\0").encode()

    def get_blob(self, key, buffer):
        return _ask("b", self._text(key), buffer)

    def set_blob(self, key, value):
        _ask("B", self._text(key) + bytes(value))

    def get_i32(self, key):
        number = bytearray(4)
        _ask("i", self._text(key), number)
        value = int.from_bytes(number, "little")
        return value - (1 << 32) if value >> 31 else value

    def set_i32(self, key, value):
        if not -(1 << 31) <= value < 1 << 31:
            raise OverflowError("overflow converting long int to machine word")
        _ask("J", self._text(key) + (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def erase_key(self, key):
        _ask("e", self._text(key))

    def commit(self):
        _ask("c", self._name.encode())
