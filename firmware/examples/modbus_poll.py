"""Polls the registers of Modbus RTU slaves and sends what they say. Copy it as app.py.

modbus.py goes beside it. config.json says who is asked, for example:

{"app": {"uart": 1, "tx": 17, "rx": 16, "enable": 4, "baud": 9600, "parity": "even", "every": 60,
 "poll": [{"name": "voltage", "unit": 1, "address": 0, "kind": "u16", "scale": 0.1},
          {"name": "energy", "unit": 1, "address": 40, "kind": "f32", "function": 4}]}}

enable is the pin that turns an RS-485 driver from listening to sending. A message is
{"voltage": 230.1, "energy": 17.5}; what could not be read is missing, and named in "errors".
"""

import time

import machine
import modbus

_ANSWER = 500  # milliseconds until a slave begins to answer
_PAUSE = 50  # milliseconds of silence that end a frame; Windows gateways pause that long
_TRIES = 3


class Bus:
    """A serial line with slaves on it."""

    def __init__(self, settings: dict):
        """settings: "app" of config.json."""
        pins = {name: settings[name] for name in ("tx", "rx") if name in settings}
        parity = {"none": None, "even": 0, "odd": 1}[settings.get("parity", "even")]
        self._uart = machine.UART(
            settings.get("uart", 1), settings.get("baud", 9600), bits=8, parity=parity,
            stop=1 if parity is not None else 2, timeout=_ANSWER, timeout_char=_PAUSE, **pins,
        )  # fmt: skip
        self._enable = None
        if "enable" in settings:
            self._enable = machine.Pin(settings["enable"], machine.Pin.OUT, value=0)

    def read(self, unit: int, function: int, address: int, count: int) -> list:
        """Return count values from address on. Raises modbus.ModbusError."""
        request = modbus.read_request(unit, function, address, count)
        size = modbus.answer_size(function, count)
        tries = _TRIES
        while True:
            tries -= 1
            try:
                return modbus.values(self._ask(request, size), unit, function, count)
            except modbus.ModbusError as error:
                if error.code or not tries:  # it did understand, or it is in vain
                    raise

    def _ask(self, request: bytes, size: int) -> bytes:
        for _ in range(_TRIES):  # what came too late, or is noise; some lines are never silent
            time.sleep_ms(_PAUSE)
            self._uart.read(self._uart.any())
        if self._enable:
            self._enable.value(1)
        self._uart.write(request)
        self._uart.flush()
        if self._enable:
            self._enable.value(0)
        # an exception is the shortest answer
        frame = self._uart.read(5) or b""
        if size > 5 and len(frame) == 5 and not frame[1] & 0x80:
            frame += self._uart.read(size - 5) or b""
        return frame


def read(bus: Bus, item: dict):
    """Return the value of an item of the configuration. Raises modbus.ModbusError."""
    kind = item.get("kind", "u16")
    function = item.get("function", modbus.HOLDING)
    unit, address = item["unit"], item["address"]
    if function <= modbus.INPUTS:
        return bus.read(unit, function, address, 1)[0]
    found = bus.read(unit, function, address, modbus.KINDS[kind][1])
    return modbus.number(found, kind, item.get("swapped", False)) * item.get("scale", 1)


def run(device):
    """Poll for ever."""
    settings = device.settings.app
    bus = Bus(settings)
    while True:
        message, errors = {}, {}
        for item in settings["poll"]:
            try:
                message[item["name"]] = read(bus, item)
            except modbus.ModbusError as error:
                errors[item["name"]] = str(error)
            device.wait(0)  # silent slaves take long, and the connection wants to be kept
        if errors:
            message["errors"] = errors
        device.send(message)
        device.wait(settings.get("every", 60))
