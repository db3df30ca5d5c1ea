# The documented keys, tokens and signatures, from tests/vectors/sas.json.
import binascii
import json

from keystead import percent, sas

with open("tests/vectors/sas.json") as file:
    vectors = json.load(file)


def key(text):
    return binascii.a2b_base64(text)


for case in vectors["derivation"]:
    derived = sas.sign(key(case["group_key"]), case["registration_id"])
    print("derive", case["registration_id"], derived, derived == case["device_key"])
for case in vectors["tokens"]:
    token = sas.sas_token(case["resource"], key(case["key"]), case["expiry"], case["policy"])
    print("token", case["name"], token, token == case["token"])
for case in vectors["signatures"]:
    signature = sas.sign(key(case["key"]), case["text"])
    print("signature", case["name"], signature, signature == case["signature"])
for case in vectors["hmac"]:
    digest = sas.hmac_sha256(binascii.unhexlify(case["key_hex"]), case["message"].encode())
    print("hmac", case["source"], binascii.hexlify(digest).decode() == case["digest"])
for text in (
    "",
    "plain-._~",
    "a b",
    "100%",
    "%2F",
    "a/b:c",
    "high&low",
    "caf\u00e9",
    "\u65e5\u672c",
    "\n\x00",
):
    print("quote", percent.quote(text))
