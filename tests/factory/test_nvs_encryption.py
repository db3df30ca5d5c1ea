"""NVS encryption: the tool's bytes for a given key, ESP-IDF's two key schemes, both directions."""

import hmac
import random
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import HealthCheck, given, settings

from host_tools import nvs
from host_tools.nvs import Entry, NvsError
from host_tools.nvs.encryption import Xts
from tests.factory import nvs_tool

KEY = nvs_tool.KEY
SIZE = 0x6000


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(nvs_tool.ENTRIES)
def test_an_encrypted_image_is_the_tools_and_decrypts_to_the_plain_one(
    entries: list[Entry],
) -> None:
    plain = nvs.partition(entries, 0x20000)
    secret = nvs.encrypt(plain, KEY)
    assert secret == nvs_tool.image(entries, 0x20000, KEY)
    assert nvs.decrypt(secret, KEY) == plain


def test_each_entry_is_xts_aes_256_with_its_address_as_tweak() -> None:
    data = random.Random(1).randbytes(3 * 32)
    xts = Xts(KEY)
    secret = xts.encrypt(data, xts.masks(0x1FC0, 0x2020))
    for number in range(3):
        tweak = (0x1FC0 + number * 32).to_bytes(16, "little")
        encryptor = Cipher(algorithms.AES(KEY), modes.XTS(tweak)).encryptor()
        piece = slice(number * 32, number * 32 + 32)
        assert secret[piece] == encryptor.update(data[piece])


def test_the_xts_vector_of_ieee_1619() -> None:
    """Vector 10: AES-256, data unit 0xff, the first 32 of its 512 bytes."""
    key = bytes.fromhex(
        "2718281828459045235360287471352662497757247093699959574966967627"
        "3141592653589793238462643383279502884197169399375105820974944592"
    )
    xts = Xts(key)
    firsts = Cipher(algorithms.AES(key[32:]), modes.ECB()).encryptor()
    first = int.from_bytes(firsts.update((0xFF).to_bytes(16, "little")), "little")
    doubled = first << 1 ^ (0x87 if first >> 127 else 0)
    masks = first | (doubled & (1 << 128) - 1) << 128
    assert xts.encrypt(bytes(range(32)), masks).hex() == (
        "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b"
    )


def test_keys_come_from_the_operating_system_and_differ() -> None:
    for make, size in ((nvs.new_key, 64), (nvs.new_hmac_key, 32)):
        keys = {make() for _ in range(20)}
        random.seed(7)
        again = make()
        random.seed(7)
        assert len(keys) == 20
        assert again != make()
        assert {len(key) for key in keys} == {size}


def test_the_key_partition_and_the_hmac_scheme_are_the_tools(tmp_path) -> None:
    hmac_key = bytes(range(100, 132))
    (tmp_path / "hmac.bin").write_bytes(hmac_key)
    nvs_tool.tool.generate_key(
        SimpleNamespace(
            keyfile="keys.bin", outdir=str(tmp_path), key_protect_hmac=True,
            kp_hmac_keygen=False, kp_hmac_keyfile=None,
            kp_hmac_inputkey=str(tmp_path / "hmac.bin"),
        )
    )  # fmt: skip
    key = nvs.key_of_hmac(hmac_key)
    assert key == hmac.digest(hmac_key, b"\x5a\x5a\xbe\xae" * 8, "sha256") + hmac.digest(
        hmac_key, b"\xa5\xa5\xde\xce" * 8, "sha256"
    )
    assert nvs.key_partition(key) == (tmp_path / "keys" / "keys.bin").read_bytes()
    assert nvs.read_key_partition(nvs.key_partition(key)) == key


def test_a_key_partition_that_is_none_is_refused() -> None:
    for image in (b"", b"\xff" * 4096, bytes(4096), nvs.key_partition(KEY)[1:]):
        with pytest.raises(NvsError, match="no nvs_keys partition"):
            nvs.read_key_partition(image)


@pytest.mark.parametrize("key", [b"", bytes(63), bytes(64), bytes(range(32)) * 2])
def test_a_key_that_is_none_is_refused_without_being_shown(key: bytes) -> None:
    with pytest.raises(NvsError) as caught:
        nvs.encrypt(nvs.partition([], SIZE), key)
    assert key.hex() not in str(caught.value) or not key


def test_reading_with_a_wrong_key_or_none_says_that_it_may_be_encrypted() -> None:
    secret = nvs.encrypt(nvs.partition([Entry("a", "k", "i32", 5)], SIZE), KEY)
    for image in (secret, nvs.decrypt(secret, KEY[::-1])):
        with pytest.raises(
            NvsError, match="0x44: the CRC of the entry is wrong; is the image enc"
        ):
            nvs.read(image)


def test_what_was_erased_is_decrypted_too_and_what_was_never_written_is_not() -> None:
    plain = bytearray(nvs.partition([Entry("a", f"k{n}", "i32", n) for n in range(4)], SIZE))
    plain[32] &= 0b11110011  # the second entry is erased
    plain[34] &= 0b00111111  # one that was never written is erased as well
    secret = nvs.encrypt(bytes(plain), KEY)
    assert secret[96:128] != plain[96:128]
    assert nvs.decrypt(secret, KEY) == plain
