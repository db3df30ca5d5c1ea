"""A modem at the end of a serial line: it answers AT commands, and PPP as the stand-in speaks it.

Owns the other end of a pseudo terminal, in a thread of its own.
"""

import os
import pty
import re
import threading
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# command (as a pattern) to answers, one after the other, the last for ever; None: silence
ANSWERS: dict[str, list[str | None]] = {
    "AT": ["OK"],
    "ATH": ["OK"],
    r"AT\+CPIN\?": ["+CPIN: READY\r\n\r\nOK"],
    r"AT\+CGDCONT=1,.*": ["OK"],
    r"AT\+CGATT\?": ["+CGATT: 0\r\n\r\nOK", "+CGATT: 1\r\n\r\nOK"],
    r"ATD\*99#": ["CONNECT 115200"],
    "~.*~": ["~ack~"],
}


class Modem:
    """What it heard is in `heard`; say() speaks out of turn."""

    def __init__(self, answers: Mapping[str, list[str | None]]):
        # the first pattern that fits
        both = {**answers, **{what: ANSWERS[what] for what in ANSWERS if what not in answers}}
        self._answers = {what: list(words) for what, words in both.items()}
        self._line, end = pty.openpty()
        tty.setraw(end)
        self.path = os.ttyname(end)
        self._end = end  # kept open: a line that nobody holds would hang up
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        os.write(self._line, text.encode())

    def run(self) -> None:
        """Answer until the line is closed."""
        data = ""
        while chunk := self._read():
            data += chunk
            # +++ between pauses ends the data; anything else ends with \r, and a frame with ~
            while found := re.match(r"\+\+\+|(~[^~]*~)|([^\r]*)\r", data):
                data = data[found.end() :]
                self._answer(found[0].rstrip("\r"))

    def _read(self) -> str:
        try:
            return os.read(self._line, 1024).decode()
        except OSError:
            return ""

    def _answer(self, command: str) -> None:
        self.heard.append(command)
        for pattern, words in self._answers.items():
            if re.fullmatch(pattern, command):
                answer = words.pop(0) if len(words) > 1 else words[0]
                if answer is not None:
                    echo = "" if command.startswith("~") else command + "\r"
                    self.say(echo + (f"\r\n{answer}\r\n" if echo else answer))
                return

    def close(self) -> None:
        os.close(self._end)
        os.close(self._line)


@contextmanager
def modem(answers: Mapping[str, list[str | None]] | None = None) -> Iterator[Modem]:
    """Lend a modem that answers so, else as one that works."""
    one = Modem(answers or {})
    thread = threading.Thread(target=one.run, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        one.say("")
        one.close()
