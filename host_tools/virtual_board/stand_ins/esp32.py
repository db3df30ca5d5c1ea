"""esp32.NVS, as on the chip: i32 and blobs only, its error codes, nothing kept until commit()."""

import os

import chip

_NOT_FOUND = (-4354, "ESP_ERR_NVS_NOT_FOUND")
_INVALID_LENGTH = (-4364, "ESP_ERR_NVS_INVALID_LENGTH")
_KEY_TOO_LONG = (-4361, "ESP_ERR_NVS_KEY_TOO_LONG")


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

    def get_blob(self, key, buffer):
        blob = self._read(self._path(key, ".blob"))
        if len(blob) > len(buffer):
            raise OSError(*_INVALID_LENGTH)
        buffer[: len(blob)] = blob
        return len(blob)

    def set_blob(self, key, value):
        self._pending[self._path(key, ".blob")] = bytes(value)

    def get_i32(self, key):
        return int(self._read(self._path(key, ".i32")))

    def set_i32(self, key, value):
        self._pending[self._path(key, ".i32")] = str(value).encode()

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
        try:
            os.mkdir(self._folder)
        except OSError:  # it is there
            pass
        for path, value in self._pending.items():
            with open(path + ".new", "wb") as file:
                file.write(value)
            os.rename(path + ".new", path)
        self._pending = {}
