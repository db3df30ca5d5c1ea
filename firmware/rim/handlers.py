"""The handlers of app.py may raise what they like: it costs a word, never the connection.

Owns how that word is told. Doesn't own what they are called for: rim.inbox and rim.twin.
"""

from keystead.failure import Failure, printable
from rim.aftermath import tell, trace


def broke(device, name, error) -> str:
    """Tell what a handler raised, here and to the twin; return it in a line."""
    trace(error)
    text = printable("%s: %s" % (type(error).__name__, error))
    told = device.told["lastFailure"] = tell(Failure("app-broken", name + ": " + text))
    device.report({"keystead": {"__t": "c", "lastFailure": told}})
    return text
