# Modbus RTU frames: the application protocol's own examples, and what a bad line makes of them.
import sys

sys.path.append("firmware/examples")

import modbus


def heard(name, frame, unit, function, count):
    try:
        print(name, modbus.values(frame, unit, function, count))
    except modbus.ModbusError as error:
        print(name, error, error.code)


def refused(name, *arguments):
    try:
        print(name, modbus.read_request(*arguments))
    except ValueError as error:
        print(name, error)


print("check value", hex(modbus.crc(b"123456789")))
print("read holding", modbus.read_request(17, modbus.HOLDING, 0x6B, 3).hex())
print("read inputs", modbus.read_request(17, modbus.INPUTS, 0xC4, 22).hex())
print("write", modbus.write_request(17, 1, 3).hex(), modbus.write_request(17, 1, -2).hex())
for arguments in ((0, 3, 0, 1), (248, 3, 0, 1), (1, 5, 0, 1), (1, 3, -1, 1), (1, 3, 65536, 1),
                  (1, 3, 0, 0), (1, 3, 0, 126), (1, 1, 0, 2001)):  # fmt: skip
    refused(arguments, *arguments)
print("sizes", modbus.answer_size(3, 125), modbus.answer_size(1, 1), modbus.answer_size(2, 9))

REGISTERS = bytes.fromhex("110306ae415652434049ad")
COILS = bytes.fromhex("110105cd6bb20e1b45e6")
heard("registers", REGISTERS, 17, 3, 3)
heard("coils", COILS, 17, 1, 37)
heard("silence", b"", 17, 3, 3)
heard("noise", b"\x00\xff", 17, 3, 3)
heard("damaged", REGISTERS[:4] + b"\xff" + REGISTERS[5:], 17, 3, 3)
heard("cut off", REGISTERS[:-1], 17, 3, 3)
heard("another unit's", REGISTERS, 16, 3, 3)
heard("another function's", REGISTERS, 17, 4, 3)
heard("another count", REGISTERS, 17, 3, 2)
heard("exception 2", bytes.fromhex("118302c134"), 17, 3, 3)


def exception(code):
    body = bytes([17, 0x83, code])
    value = modbus.crc(body)
    return body + bytes([value & 255, value >> 8])


for code in (1, 6, 11, 99):
    heard("exception", exception(code), 17, 3, 3)

print(modbus.number([0xFFFF], "u16"), modbus.number([0xFFFF], "s16"))
print(modbus.number([0x0001, 0xE240], "u32"), modbus.number([0xE240, 0x0001], "u32", True))
print(modbus.number([0xFFFF, 0xFFFE], "s32"), "%.1f" % modbus.number([0x4366, 0x3333], "f32"))
