"""Who may register: individual enrollments before groups, and the mistakes with keys."""

import binascii
from dataclasses import replace

import pytest

from host_tools.emulator.access import AccessDenied, Reason, Token
from host_tools.emulator.dps.admission import admit
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment, Webhook, fold
from host_tools.emulator.key_pair import KeyPair, generate_keys
from host_tools.keys import derive_device_key
from keystead.sas import sas_token

HUB = "test-docs-hub.azure-devices.net"
GROUP_KEYS = KeyPair(b"p" * 64, b"s" * 64)
OWN_KEYS = KeyPair(b"P" * 32, b"S" * 32)
GROUP = EnrollmentGroup("mylegacydevices", HUB, GROUP_KEYS)
OTHER = EnrollmentGroup("others", HUB, KeyPair(b"x" * 16, b"y" * 16))
INDIVIDUAL = IndividualEnrollment("Bench-1", HUB, OWN_KEYS, "pump-7")
GROUPS = (OTHER, GROUP)


def enrollment(name, key, individual=INDIVIDUAL, groups=GROUPS):
    token = Token.parse(sas_token(f"0ne/registrations/{name}", key, 2_000_000_000).encode())
    own = individual if fold(individual.registration_id) == fold(name) else None
    return admit(name, token, own, groups)


def why(name, key, **those):
    with pytest.raises(AccessDenied) as denied:
        enrollment(name, key, **those)
    return denied.value.reason


@pytest.mark.parametrize("group_key", list(GROUP_KEYS))
def test_a_member_signs_with_a_key_derived_from_either_group_key(group_key):
    assert enrollment("dev-1", derive_device_key(group_key, "dev-1")) is GROUP
    assert GROUP.name_at_hub("dev-1") == "dev-1"


@pytest.mark.parametrize("key", list(OWN_KEYS))
def test_an_individual_signs_with_either_of_its_own_keys_whatever_its_case(key):
    assert enrollment("bench-1", key) is INDIVIDUAL
    assert INDIVIDUAL.name_at_hub("bench-1") == "pump-7"


def test_a_derived_key_is_for_one_registration_id_only():
    key = derive_device_key(GROUP_KEYS.primary, "dev-1")
    assert why("dev-2", key) is Reason.WRONG_KEY
    assert why("DEV-1", key) is Reason.WRONG_KEY


def test_the_group_key_itself_opens_nothing():
    assert why("dev-1", GROUP_KEYS.secondary) is Reason.GROUP_KEY


def test_a_key_that_was_not_decoded_opens_nothing():
    derived = derive_device_key(GROUP_KEYS.primary, "dev-1")
    text = binascii.b2a_base64(derived, newline=False)
    assert why("dev-1", text) is Reason.UNDECODED_KEY
    own = binascii.b2a_base64(OWN_KEYS.primary, newline=False)
    assert why("bench-1", own) is Reason.UNDECODED_KEY


def test_a_derived_key_does_not_open_an_individual_enrollment():
    derived = derive_device_key(GROUP_KEYS.primary, "bench-1")
    assert why("bench-1", derived) is Reason.DERIVED_KEY


def test_an_individual_enrollment_may_have_a_derived_key_as_its_own():
    derived = derive_device_key(GROUP_KEYS.primary, "bench-2")
    individual = IndividualEnrollment("bench-2", HUB, KeyPair(derived, b"S" * 32))
    assert enrollment("bench-2", derived, individual) is individual


def test_a_disabled_individual_hides_the_group_that_would_admit_it():
    blocked = IndividualEnrollment("dev-1", HUB, OWN_KEYS, enabled=False)
    derived = derive_device_key(GROUP_KEYS.primary, "dev-1")
    assert why("dev-1", derived, individual=blocked) is Reason.DERIVED_KEY
    assert enrollment("dev-1", OWN_KEYS.primary, blocked) is blocked


def test_without_a_group_who_has_no_enrollment_is_unknown():
    assert why("dev-1", b"k" * 32, groups=()) is Reason.NOT_ENROLLED


def test_generated_keys_are_two_of_64_random_bytes():
    keys = generate_keys()
    assert len(keys.primary) == len(keys.secondary) == 64
    assert len({*keys, *generate_keys()}) == 4


def test_no_key_shows():
    webhook = Webhook("https://example.com/api/x?code=pppp")
    for secret in (GROUP_KEYS, GROUP, INDIVIDUAL, replace(GROUP, webhook=webhook)):
        assert "pppp" not in repr(secret)
        assert "PPPP" not in repr(secret)


def test_a_missing_key_is_filled_in_and_a_given_one_kept():
    assert KeyPair(b"given").completed(KeyPair(b"new", b"new too")) == KeyPair(
        b"given", b"new too"
    )


def test_one_hub_is_short_for_a_static_allocation():
    assert (GROUP.hubs, GROUP.allocation) == ((HUB,), "static")
    assert replace(GROUP, hub="new").hubs == ("new",)
    assert replace(GROUP, enabled=False).hubs == (HUB,)
    several = replace(GROUP, hubs=("a", "b"), allocation="hashed")
    assert (several.hubs, several.allocation) == (("a", "b"), "hashed")
    assert EnrollmentGroup("g").hubs == ()
    assert IndividualEnrollment("r", "h").hubs == ("h",)
