# A board shows that it holds its device key: HMAC-SHA256 over a prefix and the nonce.
import binascii

from keystead.proof import claims, proof
from keystead.record import FactoryRecord
from keystead.sas import hmac_sha256

MAC = b"\xa1\xb2\xc3\xd4\xe5\xf6"
NAME = "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
# the device key of Microsoft's article
KEY = binascii.a2b_base64("Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=")
# the same said by OpenSSL: printf 'keystead proof of possession '; then the nonce, both through
# openssl dgst -sha256 -mac HMAC -macopt hexkey:26c9b49721a98da558...
OPENSSL = (
    (b"", "8b4a1e73911a6c6f3846786638e2d55ddf406e91195d089b251245e51d718d74"),
    (bytes(range(32)), "0b2ba4227b09470bff7055139411a559f4cc5fae7dcb8b95716a1599ab62ef71"),
    (b"\xff" * 64, "d6a3d219d99493337dcffaa84163e08b0485402b294199cb1c6d62c71fb264a1"),
)
for nonce, said in OPENSSL:
    print(len(nonce), proof(KEY, nonce), proof(KEY, nonce) == said)

record = FactoryRecord(MAC, "0ne00002193", NAME, KEY, b"the secondary is not asked")
told = claims(record, bytes(range(32)))
for name in ("mac", "registrationId", "crc", "proof"):
    print(name, told.pop(name))
print("and no more", told)
print("another nonce", proof(KEY, b"1") != proof(KEY, b"2"))
print("another key", proof(KEY, b"1") != proof(b"another key of 16", b"1"))
# whatever the nonce: neither a device key that is derived, nor a token's signature
print(
    "no derived key",
    proof(KEY, NAME.encode()) != binascii.hexlify(hmac_sha256(KEY, NAME.encode())).decode(),
)
