"""What can be wrong with an NVS partition, its entries or a call: one line, and ESP-IDF's code.

The codes are those of nvs.h (ESP_ERR_NVS_BASE 0x1100), which MicroPython puts into its OSError:
OSError(-4354, 'ESP_ERR_NVS_NOT_FOUND').
"""

from host_tools.errors import CommandError


class NvsError(CommandError):
    """An entry can not be stored, an image can not be read, or a call can not be done.

    code and name are ESP-IDF's for the same thing, 0 and "" where it has none.
    """

    code = 0
    name = ""


class NotFound(NvsError):
    """There is no such key of this kind."""

    code = 0x1102
    name = "ESP_ERR_NVS_NOT_FOUND"


class NotEnoughSpace(NvsError):
    """The partition is too small for what it should hold."""

    code = 0x1105
    name = "ESP_ERR_NVS_NOT_ENOUGH_SPACE"


class InvalidName(NvsError):
    """A namespace or key has characters that NVS does not take, or none."""

    code = 0x1106
    name = "ESP_ERR_NVS_INVALID_NAME"


class KeyTooLong(NvsError):
    """A namespace or key has more than 15 characters."""

    code = 0x1109
    name = "ESP_ERR_NVS_KEY_TOO_LONG"


class NoFreePages(NvsError):
    """No page is left for collecting garbage: a live NVS needs one at any time."""

    code = 0x110D
    name = "ESP_ERR_NVS_NO_FREE_PAGES"


class ValueTooLong(NvsError):
    """A value is longer than NVS stores."""

    code = 0x110E
    name = "ESP_ERR_NVS_VALUE_TOO_LONG"
