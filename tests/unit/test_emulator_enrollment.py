"""Who may register: individual enrollments before groups, and the mistakes with keys."""

import binascii

import pytest

from host_tools.emulator.access import AccessDenied, Reason, Token
from host_tools.emulator.dps.enrollment import (
    EnrollmentGroup,
    Enrollments,
    IndividualEnrollment,
    KeyPair,
    generate_keys,
)
from host_tools.keys import derive_device_key
from keystead.sas import sas_token

HUB = "test-docs-hub.azure-devices.net"
GROUP_KEYS = KeyPair(b"p" * 64, b"s" * 64)
OWN_KEYS = KeyPair(b"P" * 32, b"S" * 32)
GROUP = EnrollmentGroup("mylegacydevices", HUB, GROUP_KEYS)
OTHER = EnrollmentGroup("others", HUB, KeyPair(b"x" * 16, b"y" * 16))
INDIVIDUAL = IndividualEnrollment("Bench-1", HUB, OWN_KEYS, "pump-7")
ALL = Enrollments([OTHER, GROUP], [INDIVIDUAL])


def token(key, name="dev-1"):
    return Token.parse(sas_token(f"0ne/registrations/{name}", key, 2_000_000_000).encode())


def why(enrollments, name, key):
    with pytest.raises(AccessDenied) as denied:
        enrollments.find(name, token(key, name))
    return denied.value.reason


@pytest.mark.parametrize("group_key", list(GROUP_KEYS))
def test_a_member_signs_with_a_key_derived_from_either_group_key(group_key):
    key = derive_device_key(group_key, "dev-1")
    assert ALL.find("dev-1", token(key)) is GROUP
    assert GROUP.device_id("dev-1") == "dev-1"


@pytest.mark.parametrize("key", list(OWN_KEYS))
def test_an_individual_signs_with_either_of_its_own_keys_whatever_its_case(key):
    assert ALL.find("bench-1", token(key, "bench-1")) is INDIVIDUAL
    assert INDIVIDUAL.device_id("bench-1") == "pump-7"


def test_a_derived_key_is_for_one_registration_id_only():
    assert why(ALL, "dev-2", derive_device_key(GROUP_KEYS.primary, "dev-1")) is Reason.WRONG_KEY
    assert why(ALL, "DEV-1", derive_device_key(GROUP_KEYS.primary, "dev-1")) is Reason.WRONG_KEY


def test_the_group_key_itself_opens_nothing():
    assert why(ALL, "dev-1", GROUP_KEYS.secondary) is Reason.GROUP_KEY


def test_a_key_that_was_not_decoded_opens_nothing():
    derived = derive_device_key(GROUP_KEYS.primary, "dev-1")
    assert why(ALL, "dev-1", binascii.b2a_base64(derived, newline=False)) is Reason.UNDECODED_KEY
    own = binascii.b2a_base64(OWN_KEYS.primary, newline=False)
    assert why(ALL, "bench-1", own) is Reason.UNDECODED_KEY


def test_a_derived_key_does_not_open_an_individual_enrollment():
    derived = derive_device_key(GROUP_KEYS.primary, "bench-1")
    assert why(ALL, "bench-1", derived) is Reason.DERIVED_KEY


def test_an_individual_enrollment_may_have_a_derived_key_as_its_own():
    derived = derive_device_key(GROUP_KEYS.primary, "bench-2")
    individual = IndividualEnrollment("bench-2", HUB, KeyPair(derived, b"S" * 32))
    enrollments = Enrollments([GROUP], [individual])
    assert enrollments.find("bench-2", token(derived, "bench-2")) is individual


def test_a_disabled_individual_hides_the_group_that_would_admit_it():
    blocked = IndividualEnrollment("dev-1", HUB, OWN_KEYS, enabled=False)
    enrollments = Enrollments([GROUP], [blocked])
    assert why(enrollments, "dev-1", derive_device_key(GROUP_KEYS.primary, "dev-1")) is (
        Reason.DERIVED_KEY
    )
    assert enrollments.find("dev-1", token(OWN_KEYS.primary)) is blocked


def test_without_a_group_who_has_no_enrollment_is_unknown():
    assert why(Enrollments([], [INDIVIDUAL]), "dev-1", b"k" * 32) is Reason.NOT_ENROLLED


def test_generated_keys_are_two_of_64_random_bytes():
    keys = generate_keys()
    assert len(keys.primary) == len(keys.secondary) == 64
    assert len({*keys, *generate_keys()}) == 4


def test_no_key_shows():
    for secret in (GROUP_KEYS, GROUP, INDIVIDUAL):
        assert "pppp" not in repr(secret)
        assert "PPPP" not in repr(secret)


def test_a_missing_key_is_filled_in_and_a_given_one_kept():
    assert KeyPair(b"given").completed(KeyPair(b"new", b"new too")) == KeyPair(
        b"given", b"new too"
    )
