"""What a PKCS#11 token's error codes mean to a person: one line each (PKCS#11 2.40, 5.1)."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from host_tools.errors import CommandError
from host_tools.key_sources.extras import needed

_LOCKED = "it is locked after too many wrong PINs: its security officer has to set a new one"
NO_HMAC = "it can not sign with CKM_SHA256_HMAC: it must be a generic secret with CKA_SIGN"
_GONE = "it is gone: plug the token in, then try again"
_ENDED = "the session with its token has ended: was it logged out, or unplugged?"
_WORDS = {
    "PinIncorrect": "the PIN is wrong",
    "PinInvalid": "the PIN has a character that it does not take",
    "PinLenRange": "the PIN is too short or too long",
    "PinExpired": "its PIN has expired: set a new one",
    "PinLocked": _LOCKED,
    "UserPinNotInitialized": "it has no PIN yet: initialize it with the vendor's tool",
    "UserNotLoggedIn": "it wants a PIN, and whoever had logged in has logged out",
    "AnotherUserAlreadyLoggedIn": "its security officer is logged in: log out first",
    "TokenNotPresent": _GONE,
    "DeviceRemoved": _GONE,
    "SessionHandleInvalid": _ENDED,
    "SessionClosed": _ENDED,
    "ObjectHandleInvalid": _ENDED,
    "KeyHandleInvalid": _ENDED,
    "TokenNotRecognised": "the module does not know this kind of token",
    "SessionCount": "it has no session left: end another program that uses it",
    "MechanismInvalid": NO_HMAC,
    "KeyTypeInconsistent": NO_HMAC,
    "KeySizeRange": NO_HMAC,
    "FunctionNotSupported": NO_HMAC,
}


@contextmanager
def told(what: str, token: Any = None) -> Iterator[None]:
    """Turn a module's errors into CommandError: what it befell, and what it means."""
    errors = needed("pkcs11.exceptions", "hsm")
    try:
        yield
    except errors.PKCS11Error as error:
        _forget_what_openssl_noted()
        raise CommandError(f"{what}: {_words(error)}{_tries(error, token)}") from None


# a module like SoftHSM2 is built on the very OpenSSL that Python's ssl has, and what it leaves in
# the thread's queue of errors comes out of ssl's next call, e.g. as BAD_DECRYPT of a CA's file
def _forget_what_openssl_noted() -> None:
    with suppress(ssl.SSLError):  # as any call that fails empties the queue
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers("none of these")


def _words(error: Exception) -> str:
    kind = type(error).__name__
    detail = " ".join(str(error).split())
    if kind == "PKCS11Error":  # python-pkcs11's own, for what has no code
        return detail or "an unknown error"
    return _WORDS.get(kind) or f"the token says {kind}" + (f" ({detail})" if detail else "")


# a locked token can stop a line for days: say it before the last try
def _tries(error: Exception, token: Any) -> str:
    if token is None or type(error).__name__ != "PinIncorrect":
        return ""
    flag = needed("pkcs11", "hsm").TokenFlag
    flags = token.slot.get_token().flags
    if flag.USER_PIN_LOCKED in flags:
        return ", and " + _LOCKED
    if flag.USER_PIN_FINAL_TRY in flags:
        return ", and the next wrong one locks the token"
    return "; some tokens lock after a few wrong ones"
