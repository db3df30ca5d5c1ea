"""esp32.NVS, as on the chip: i32 and blobs only, its error codes, nothing kept until commit().

Each write is a line of the file `writes` beside the namespaces: namespace/key and bytes.
"""

import os

import chip
import world

_NOT_FOUND = (-4354, "ESP_ERR_NVS_NOT_FOUND")
_INVALID_LENGTH = (-4364, "ESP_ERR_NVS_INVALID_LENGTH")
_NOT_ENOUGH_SPACE = (-4357, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
_KEY_TOO_LONG = (-4361, "ESP_ERR_NVS_KEY_TOO_LONG")
_ENTRIES = 384  # of 32 bytes; a partition of 0x6000 has 630, and the radio takes its share
_commits = 0


def _entries(size):
    return 2 + -(-size // 32)  # with a head and an index


def _power_off():
    from ffi import open

    open(None).func("i", "raise", "i")(9)


class NVS:
    def __init__(self, namespace):
        self._folder = chip.NVS + "/" + namespace
        self._pending = {}

    def _path(self, key, kind):
        if len(key) > 15:
            raise OSError(*_KEY_TOO_LONG)
        return self._folder + "/" + key + kind

    def _read(self, path):
        if path in self._pending:
            return self._pending[path]
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            raise OSError(*_NOT_FOUND)

    def _put(self, path, value):
        taken = _entries(len(value)) + sum(
            _entries(len(other)) for other in self._pending.values()
        )
        try:
            # those that are to be replaced, too: they stay until the new ones are whole
            for name, *_ in os.ilistdir(self._folder):
                if name[-4:] in ("blob", ".i32"):
                    taken += _entries(os.stat(self._folder + "/" + name)[6])
        except OSError:  # a new namespace
            pass
        if taken > _ENTRIES:
            raise OSError(*_NOT_ENOUGH_SPACE)
        self._pending[path] = value

    def get_blob(self, key, buffer):
        blob = self._read(self._path(key, ".blob"))
        if len(blob) > len(buffer):
            raise OSError(*_INVALID_LENGTH)
        buffer[: len(blob)] = blob
        return len(blob)

    def set_blob(self, key, value):
        self._put(self._path(key, ".blob"), bytes(value))

    def get_i32(self, key):
        return int(self._read(self._path(key, ".i32")))

    def set_i32(self, key, value):
        self._put(self._path(key, ".i32"), str(value).encode())

    def erase_key(self, key):
        for kind in (".blob", ".i32"):
            path = self._path(key, kind)
            try:
                os.remove(path)
            except OSError:
                continue
            return
        raise OSError(*_NOT_FOUND)

    def commit(self):
        global _commits
        _commits += 1
        if _commits == -chip.CUT:
            _power_off()
        try:
            os.mkdir(self._folder)
        except OSError:  # it is there
            pass
        for path, value in self._pending.items():
            world.write(len(value))
            with open(path + ".new", "wb") as file:
                file.write(value)
            os.rename(path + ".new", path)
            with open(chip.NVS + "/writes", "a") as file:
                file.write("%s %d\n" % (path[len(chip.NVS) + 1 :], len(value)))
        self._pending = {}
        if _commits == chip.CUT:
            _power_off()
