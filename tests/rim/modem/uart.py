"""machine.UART with a modem at its other end, in place of the stand-in that leads to a tty.

The file that the chip file names for a line says what it answers: {command, or its beginning: list
of answers, the last for ever; null is silence}. What it hears is written behind that, a line each.
"""

import json

import chip

_ANSWERS = {
    "AT": ["OK"],
    "ATH": ["OK"],
    "AT+CPIN?": ["+CPIN: READY\r\n\r\nOK"],
    "AT+CGDCONT=1,": ["OK"],
    "AT+CGATT?": ["+CGATT: 0\r\n\r\nOK", "+CGATT: 1\r\n\r\nOK"],
    "ATD*99#": ["CONNECT 115200"],
    "+++": [None],
    "~": ["~ack~"],  # as PPP is spoken here, see wires.py
}


class UART:
    def __init__(self, number, baudrate, *, tx, rx, rxbuf):
        self._path = chip.UARTS[str(number)]
        with open(self._path) as file:
            self._answers = json.loads(file.readline())
        for command, answers in _ANSWERS.items():
            self._answers.setdefault(command, answers)
        self._out = b""

    def read(self):
        out, self._out = self._out, b""
        return out or None

    def write(self, data):
        command = data.rstrip("\r")
        with open(self._path, "a") as file:
            file.write(command + "\n")
        # the longest that fits: AT is the beginning of all
        fits = [name for name in self._answers if command.startswith(name)]
        name = max(fits, key=len)
        if name == "AT" and command != name:
            raise ValueError("the modem was not told what to say to " + command)
        answers = self._answers[name]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is not None:
            text = answer if name == "~" else "%s\r\r\n%s\r\n" % (command, answer)
            self._out += text.encode()
