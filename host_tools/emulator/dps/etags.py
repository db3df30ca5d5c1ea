"""Entity tags: which state of a thing somebody has seen, and whether it is still in it.

Owns the comparison. Doesn't own what is to be done then.
"""

from collections.abc import Callable

from host_tools.emulator.dps import bodies
from host_tools.emulator.dps.operations import guid
from host_tools.emulator.errors import ServiceError


def new(random: Callable[[int], bytes]) -> str:
    """Return a new entity tag."""
    return bodies.etag(guid(random))


# If-Match: {etag}, bare as SDKs send it or in quotes as HTTP has it; * for any
def check(if_match: str, etag: str) -> None:
    """Raise ServiceError unless etag is what if_match asks for."""
    asked = {one.strip().removeprefix("W/").strip('"') for one in if_match.split(",")}
    if not asked & {"*", etag}:
        raise ServiceError(412001, "Precondition failed: it was changed since; read it again.")
