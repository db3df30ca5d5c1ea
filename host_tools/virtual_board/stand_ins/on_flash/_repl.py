"""The REPL: for people, and raw with raw paste for programs, as MicroPython's pyexec.c has it."""

import gc
import io
import sys

import machine
from _host import ask

import __main__

_A, _B, _C, _D, _E = range(1, 6)  # what Ctrl and these keys send
_OFF = -1
_WINDOW = 128  # bytes of raw paste that may be on their way
_RAW = "raw REPL; CTRL-B to exit\n>"
_COMPOUND = ("if", "while", "for", "try", "with", "def", "class", "async")
_globals = __main__.__dict__
_write = sys.stdout.write
_stdin = sys.stdin.buffer


def _get():
    byte = _stdin.read(1)
    if not byte:  # the host is gone
        machine.soft_reset()
    return byte[0]


def execute(code, *arguments, ends=""):
    """Call code(*arguments) as the program; True if it came to its end. Ctrl-C ends it.

    ends: what is written behind its output, and behind its traceback.
    """
    failed = None
    try:
        try:
            ask("I", _C)
            code(*arguments)
        finally:
            ask("I", _OFF)
    except BaseException as error:
        failed = error
    if isinstance(failed, KeyboardInterrupt):  # it may have come in place of the last words
        ask("I", _OFF)
    _write(ends)
    if failed and not isinstance(failed, SystemExit):
        _trace(failed)
    _write(ends)
    if isinstance(failed, SystemExit):
        machine.soft_reset()
    return failed is None


def _trace(error):
    """Write the traceback without what is not there on a board: the lines of this file."""
    text = io.StringIO()
    sys.print_exception(error, text)
    for line in text.getvalue().split("\n"):
        if line and 'File "on_flash/' not in line:
            print(line)


def run(name):
    """Run a file; True if it came to its end."""
    return execute(execfile, name, _globals)  # noqa: F821


def _compiled(source, kind):
    text = source if isinstance(source, str) else str(source, "utf-8")
    if text is not source:
        source[:] = b""  # whoever called holds it too
    code = compile(text, "<stdin>", kind)
    del text, source
    gc.collect()
    exec(code, _globals)


def serve(raw):
    """Serve whoever is at the other end of the line, for ever."""
    while True:
        try:
            ask("I", _OFF)
            ask("M", raw)
            (_raw if raw else _friendly)()
            raw = not raw
        except KeyboardInterrupt:  # came when the program had just ended
            pass


def _raw():
    """Serve a program until it wants the other REPL."""
    _write(_RAW)
    line = bytearray()
    while True:
        byte = _get()
        if byte == _A and line[:1] == b"\x05" and len(line) == 2:
            _paste(line[1])
            line = bytearray()
            _write(">")
        elif byte == _A:
            _write(_RAW)
            line = bytearray()
        elif byte == _B:
            _write("\n")
            return
        elif byte == _C:
            line = bytearray()
        elif byte == _D:
            _write("OK")
            _end_of_input(line)
            line = bytearray()
            _write(">")
        else:
            line.append(byte)


def _end_of_input(line):
    if not line:
        _write("\n")
        machine.soft_reset()
    execute(_compiled, line, "exec", ends="\x04")


def _paste(command):
    """Take a program in pieces, each as long as the window, and run it."""
    if command != 0x41:
        sys.stdout.buffer.write(b"R\0")
        return
    sys.stdout.buffer.write(b"R\x01\x80\0\x01")  # yes, the window, and leave for one
    source = bytearray()
    left = _WINDOW
    byte = _get()
    while byte not in (_C, _D):
        source.append(byte)
        left -= 1
        if not left:
            left = _WINDOW
            _write("\x01")
        byte = _get()
    _write("\x04")
    if byte == _C:
        execute(_interrupted, ends="\x04")
    else:
        execute(_compiled, source, "exec", ends="\x04")


def _interrupted():
    raise KeyboardInterrupt


def _friendly():
    """Serve a human being until somebody wants the other REPL."""
    _banner()
    while True:
        text = _read(">>> ")
        while isinstance(text, str) and _goes_on(text):
            more = _read("... ")
            text = text + "\n" + more if isinstance(more, str) else more
        if text == _A:
            return
        if text == _B:
            _banner()
        elif text == _D:
            _write("\n")
            machine.soft_reset()
        elif text == _E:
            _paste_by_hand()
        elif text != _C and text.strip():
            execute(_compiled, text, "single")


def _banner():
    version = sys.version[sys.version.find("MicroPython") :]
    print("%s; %s" % (version, sys.implementation._machine))
    print('Type "help()" for more information.')


def _read(prompt):
    """Return a line, or the control character that took its place."""
    _write(prompt)
    line = bytearray()
    while True:
        byte = _get()
        if byte == _C or (byte in (_A, _B, _D, _E) and not line):
            _write("\n")
            return byte
        if byte == 13 or byte == 10:
            _write("\n")
            try:
                return line.decode()
            except UnicodeError:
                return ""
        if byte in (8, 127):
            if line:
                line = line[:-1]
                _write("\b \b")
        elif byte == 27:  # an arrow key or the like
            _get()
            _get()
        elif byte > 31 or byte == 9:
            line.append(byte)
            sys.stdout.buffer.write(bytes((byte,)))


def _goes_on(text):
    """Tell whether a statement wants another line."""
    first = text.lstrip()
    if first[:1] == "@" or (":" in text and any(first.startswith(word) for word in _COMPOUND)):
        return not text.endswith("\n")
    opened = sum(text.count(bracket) for bracket in "([{")
    return text.endswith("\\") or opened > sum(text.count(bracket) for bracket in ")]}")


def _paste_by_hand():
    print("paste mode; Ctrl-C to cancel, Ctrl-D to finish")
    text = ""
    while True:
        line = _read("=== ")
        if line == _C:
            return
        if line == _D:
            execute(_compiled, text, "exec")
            return
        text += (line if isinstance(line, str) else "") + "\n"
