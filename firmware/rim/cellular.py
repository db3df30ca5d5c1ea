"""Cellular: have a modem dial, and speak PPP with it over a serial line.

Owns the AT commands and how long each may take. Loaded only where there is a modem.
"""

import binascii

import network
from machine import UART

from keystead.failure import Failure
from rim import flash

_START = 10  # times some 3 seconds, for a modem that has just got power
_ATTACH = 20  # times some 3 seconds, for the network to take the modem in
_DIAL = 30  # seconds
_PPP = 30  # seconds


def join(link, wait, doubt):
    """Return the PPP interface once it has an address."""
    uart = UART(link["uart"], link.get("baud", 115200), tx=link["tx"], rx=link["rx"], rxbuf=1024)
    _wake(uart, wait)
    _unlock(uart, wait, link.get("pin", ""))
    _expect(uart, wait, 'AT+CGDCONT=1,"IP","%s"' % link["apn"], b"OK", "APN refused")
    _expect(uart, wait, "AT+CGATT?", b"CGATT: 1", "no network: antenna, cover, SIM?", _ATTACH)
    if b"CONNECT" not in _ask(uart, wait, "ATD*99#", b"CONNECT", _DIAL):
        raise _failure("it can not dial")
    ppp = network.PPP(uart)
    # active() and the arguments' names are those before 1.26, which later ones still take
    ppp.active(True)
    words = {}
    if link.get("user"):
        words = {"username": link["user"], "password": link.get("password", "")}
        words["authmode"] = ppp.AUTH_PAP
    ppp.connect(**words)
    if wait(ppp.isconnected, _PPP):
        return ppp
    status = ppp.status()
    ppp.active(False)
    raise _failure("no PPP", status)


def _failure(why: str, code=0) -> Failure:
    return Failure("network-down", "modem: " + why, code)


def _ask(uart, wait, command: str, good: bytes, seconds: int = 2) -> bytes:
    """Return what the modem answers, up to good or a refusal, or what came in time."""
    answer = b""

    def complete() -> bool:
        nonlocal answer
        answer += uart.read() or b""
        return good in answer or b"ERROR" in answer or b"NO " in answer or b"BUSY" in answer

    uart.read()  # what is there already answers nothing
    uart.write(command + "\r")
    wait(complete, seconds)
    return answer


def _expect(uart, wait, command: str, good: bytes, why: str, times: int = 1) -> bytes:
    for _ in range(times):
        answer = _ask(uart, wait, command, good)
        if good in answer:
            return answer
        wait(bool, 1)  # bool() is never true: a pause
    raise _failure(why if answer else "no answer")


def _wake(uart, wait) -> None:
    """Have the modem listen to commands, also if it still carries an old connection."""
    for _ in range(_START):
        if b"OK" in _ask(uart, wait, "AT", b"OK", 1):
            _ask(uart, wait, "ATH", b"OK")
            return
        wait(bool, 1)  # without a pause around it, +++ is data
        uart.write("+++")
        wait(bool, 1)
    raise _failure("no answer")


def _unlock(uart, wait, pin: str) -> None:
    answer = _expect(uart, wait, "AT+CPIN?", b"OK", "no SIM", _START)
    if b"SIM PIN" in answer:
        # a PIN that was refused is not tried again: the third time locks the SIM
        mark = b"%d" % binascii.crc32(pin.encode())
        refused = flash.load("pin") == mark or not pin
        if not refused and b"ERROR" in _ask(uart, wait, 'AT+CPIN="%s"' % pin, b"OK", 10):
            refused = True
            flash.save("pin", mark)
        if refused:
            raise _failure("the SIM wants another PIN")
    elif b"READY" not in answer:
        raise _failure("the SIM is locked")
