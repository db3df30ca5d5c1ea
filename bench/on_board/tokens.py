"""Sign tokens. {"rounds", "each"} -> {"us": [...], "garbage", "usual_us": [...], "usual_garbage"}.

"usual" is the way that comes to mind first: pads by generator expressions, as in micropython-lib's
hmac but without its class, and quoting by str.replace().
"""

import gc
import json
import sys
import time
from binascii import b2a_base64
from hashlib import sha256

from keystead.sas import sas_token

# the DPS token of the anchor: a key of 32 bytes, a resource of 62 characters
_KEY = bytes(range(32))
_RESOURCE = "0ne00002193/registrations/sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
_EXPIRY = 1795000000


def _quote(text):
    return text.replace("%", "%25").replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")


def _hmac(key, message):
    key = key + bytes(64 - len(key))
    inner = sha256(bytes(x ^ 0x36 for x in key))
    inner.update(message)
    outer = sha256(bytes(x ^ 0x5C for x in key))
    outer.update(inner.digest())
    return outer.digest()


def usual_token(resource, key, expiry, policy):
    resource = _quote(resource)
    signature = _hmac(key, ("%s\n%d" % (resource, expiry)).encode())
    signature = b2a_base64(signature).decode().strip()
    token = "SharedAccessSignature sr=%s&sig=%s&se=%d&skn=%s"
    return token % (resource, _quote(signature), expiry, policy)


def times(make, rounds, each):
    """Return microseconds for each tokens, rounds times; collections are not in it."""
    found = []
    for _ in range(rounds):
        gc.collect()
        begun = time.ticks_us()
        for _ in range(each):
            make(_RESOURCE, _KEY, _EXPIRY, "registration")
        found.append(time.ticks_diff(time.ticks_us(), begun))
    return found


def garbage(make):
    """Return the bytes of heap one token takes, the token itself among them."""
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(100):
        make(_RESOURCE, _KEY, _EXPIRY, "registration")
    return (gc.mem_alloc() - before) / 100


settings = json.load(sys.stdin)
one = (_RESOURCE, _KEY, _EXPIRY, "registration")
assert sas_token(*one) == usual_token(*one)
gc.disable()
print(
    json.dumps(
        {
            "us": times(sas_token, settings["rounds"], settings["each"]),
            "garbage": garbage(sas_token),
            "usual_us": times(usual_token, settings["rounds"], settings["each"]),
            "usual_garbage": garbage(usual_token),
        }
    )
)
