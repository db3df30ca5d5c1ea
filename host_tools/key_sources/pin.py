"""The PIN of a token: from a file, the environment or a person, never from a command line."""

from host_tools.errors import CommandError
from host_tools.key_sources.local import ask
from host_tools.key_sources.secret_file import read_secret
from host_tools.key_sources.shield import take
from host_tools.key_sources.token_uri import TokenUri

VARIABLE = "KEYSTEAD_PIN"


def read_pin(uri: TokenUri, token: str) -> str:
    """Return the user's PIN of a token: pin-source, else $KEYSTEAD_PIN, else a prompt."""
    if uri.pin_source is not None:
        return _from_file(uri.pin_source)
    text = take(VARIABLE)
    if text is not None:
        return _checked(text, VARIABLE)
    otherwise = f"no PIN for token {token}: set {VARIABLE}, or add pin-source=file:PATH to the URI"
    return _checked(ask(f"PIN of token {token} (not shown): ", otherwise), "the PIN")


def _from_file(source: str) -> str:
    if source.startswith("|"):
        raise CommandError("pin-source names a program: only a file is read, pin-source=file:PATH")
    path = source.removeprefix("file:")
    raw = read_secret(path)
    try:
        return _checked(raw.decode(), f"the PIN in {path}")
    except UnicodeDecodeError:
        raise CommandError(f"the PIN in {path} is not text") from None
    finally:
        raw[:] = bytes(len(raw))


def _checked(text: str, what: str) -> str:
    pin = text.rstrip("\r\n")
    if not pin:
        raise CommandError(f"{what} is empty")
    return pin
