"""Modbus RTU as bytes: what a master sends, and what an answer means.

Owns frames and their check; reads no serial line and waits for nothing. Runs on MicroPython and
CPython. Source: "MODBUS over Serial Line" V1.02 and "MODBUS Application Protocol" V1.1b3.
"""

import struct

COILS, INPUTS, HOLDING, INPUT_REGISTERS = range(1, 5)  # functions that read

_WRITE_REGISTER = 6
_EXCEPTIONS = {
    1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "device failure",
    5: "it needs more time", 6: "busy", 8: "memory parity", 10: "gateway has no path",
    11: "gateway's target is silent",
}  # fmt: skip
# name in a configuration -> (struct's letter, registers)
KINDS = {"u16": ("H", 1), "s16": ("h", 1), "u32": ("I", 2), "s32": ("i", 2), "f32": ("f", 2)}


class ModbusError(Exception):
    """A slave refused, or what came is no answer to what was asked. code: the exception's, or 0.

    It can be told in one line: the text says what was wrong.
    """

    def __init__(self, text: str, code: int = 0):
        super().__init__(text)
        self.code = code


def crc(data: bytes) -> int:
    """Return Modbus's CRC-16 of data."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


# {unit} {function} {data} {CRC-16, low byte first}
def _framed(body: bytes) -> bytes:
    return body + struct.pack("<H", crc(body))


# {unit} {function} {address: 2} {count: 2}, big-endian
def read_request(unit: int, function: int, address: int, count: int) -> bytes:
    """Return the frame that asks for count coils, inputs or registers from address on."""
    if not 0 < unit < 248 or function not in range(1, 5) or not 0 <= address <= 0xFFFF:
        raise ValueError("unit 1 to 247, function 1 to 4, address 0 to 65535")
    if not 0 < count <= (125 if function > INPUTS else 2000):
        raise ValueError("at most 125 registers or 2000 bits")
    return _framed(struct.pack(">BBHH", unit, function, address, count))


def write_request(unit: int, address: int, value: int) -> bytes:
    """Return the frame that sets one holding register; the right answer is the same frame."""
    return _framed(struct.pack(">BBHH", unit, _WRITE_REGISTER, address, value & 0xFFFF))


def answer_size(function: int, count: int) -> int:
    """Return how many bytes the answer to a reading has; an exception has 5."""
    return 5 + (2 * count if function > INPUTS else (count + 7) // 8)


# {unit} {function} {size of data} {data}, or {unit} {function | 0x80} {exception}
def values(frame: bytes, unit: int, function: int, count: int) -> list:
    """Return what an answer says: count registers, or bits as 0 and 1. Raises ModbusError."""
    if len(frame) < 5:
        raise ModbusError("%d bytes only" % len(frame) if frame else "no answer")
    if _framed(frame[:-2]) != frame:
        raise ModbusError("CRC-16 does not match")
    if frame[0] != unit or frame[1] & 0x7F != function:
        raise ModbusError("an answer to something else")
    if frame[1] & 0x80:
        raise ModbusError(_EXCEPTIONS.get(frame[2], "exception %d" % frame[2]), frame[2])
    if len(frame) != answer_size(function, count) or frame[2] != len(frame) - 5:
        raise ModbusError("an answer of another size")
    if function > INPUTS:
        return list(struct.unpack(">%dH" % count, frame[3:-2]))
    return [frame[3 + bit // 8] >> bit % 8 & 1 for bit in range(count)]


def number(registers: list, kind: str, swapped: bool = False):
    """Return the number in registers: a kind of KINDS; swapped: the low word comes first."""
    letter, count = KINDS[kind]
    words = registers[:count]
    if swapped:
        words = words[::-1]
    return struct.unpack(">" + letter, struct.pack(">%dH" % count, *words))[0]
