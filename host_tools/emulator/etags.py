"""Entity tags: which state of a thing somebody has seen, and whether it is still in it.

Owns the comparison. Doesn't own how a service makes its tags, nor what is to be done then.
"""

from host_tools.emulator.errors import ServiceError


# If-Match: {etag}, bare as SDKs send it or in quotes as HTTP has it; * for any
def check(if_match: str, etag: str) -> None:
    """Raise ServiceError 412001 unless etag is what if_match asks for."""
    asked = {one.strip().removeprefix("W/").strip('"') for one in if_match.split(",")}
    if not asked & {"*", etag}:
        raise ServiceError(412001, "Precondition failed: it was changed since; read it again.")
