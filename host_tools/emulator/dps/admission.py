"""Admission: which enrollment is a token's, and if none, what its maker did wrong.

Owns the order (an individual enrollment hides the groups) and the likeliest reason: signing with
the wrong one of several keys is the mistake that everybody makes once. Doesn't own the token's
own check (access.py).
Source: "Symmetric key attestation"; "How to disenroll a device".
"""

from collections.abc import Sequence

from host_tools.emulator.access import AccessDenied, Reason, Token, check_key
from host_tools.emulator.dps.enrollment import Enrollment, EnrollmentGroup, IndividualEnrollment


def admit(
    registration_id: str,
    token: Token,
    individual: IndividualEnrollment | None,
    groups: Sequence[EnrollmentGroup],
) -> Enrollment:
    """Return the enrollment under which token was signed, enabled or not; raise AccessDenied.

    individual: the one with this registration ID, None if there is none.
    """
    if individual:
        _check_individual(individual, registration_id, token, groups)
        return individual
    if not groups:
        raise AccessDenied(Reason.NOT_ENROLLED)
    for group in groups:
        if token.is_signed_with(group.device_keys(registration_id)):
            return group
    raise AccessDenied(_why_in_no_group(registration_id, token, groups))


def _check_individual(
    individual: IndividualEnrollment,
    registration_id: str,
    token: Token,
    groups: Sequence[EnrollmentGroup],
) -> None:
    try:
        check_key(token, tuple(individual.keys))
    except AccessDenied:
        if any(token.is_signed_with(group.device_keys(registration_id)) for group in groups):
            raise AccessDenied(Reason.DERIVED_KEY) from None
        raise


def _why_in_no_group(
    registration_id: str, token: Token, groups: Sequence[EnrollmentGroup]
) -> Reason:
    for group in groups:
        if token.is_signed_with(group.keys):
            return Reason.GROUP_KEY
        try:
            check_key(token, tuple(group.device_keys(registration_id)))
        except AccessDenied as denied:
            if denied.reason is not Reason.WRONG_KEY:
                return denied.reason
    return Reason.WRONG_KEY
