"""Where an enrollment group's key is kept, and device keys derived from it.

One interface, `KeySource.derive(registration_id)`, upon the environment, a file, a prompt, the
OS keyring, Azure Key Vault or a PKCS#11 token. What each protects against: docs/keys.md.

  with key_sources.from_arguments(args) as source:
      key = source.derive(registration_id)
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from host_tools.errors import CommandError
from host_tools.key_sources import local, pin, shield
from host_tools.key_sources.key_vault import from_key_vault
from host_tools.key_sources.os_keyring import from_keyring
from host_tools.key_sources.source import HeldKey, KeySource
from host_tools.key_sources.token import from_token

__all__ = [
    "HeldKey", "KeySource", "add_arguments", "forget", "from_arguments", "open_source",
    "secondary_from_arguments",
]  # fmt: skip

VARIABLE = "KEYSTEAD_KEY_SOURCE"
# what a child must never get; the last two are read by identity.py and ledger/dps.py
_SECRETS = (
    local.VARIABLE, pin.VARIABLE, "KEYSTEAD_DEVICE_KEY", "KEYSTEAD_DPS_CONNECTION_STRING",
)  # fmt: skip
_OPENERS: dict[str, Callable[[str], KeySource]] = {
    "env": local.from_environment,
    "file": local.from_file,
    "prompt": local.from_prompt,
    "keyring": from_keyring,
    "keyvault": from_key_vault,
    "pkcs11": from_token,
}
_PLACES = "env:NAME, file:PATH, prompt:, keyring:SERVICE/USER, keyvault:URL or pkcs11:URI"


def add_arguments(parser: argparse.ArgumentParser, *, secondary: bool = False) -> None:
    """Declare --key-source and --group-key-file; secondary: those of the secondary key too."""
    default = f"default: ${VARIABLE}, then the key in ${local.VARIABLE}, then a prompt"
    _add(parser, "", f"where the group key is: {_PLACES}; {default}")
    if secondary:
        what = "where the group's secondary key is: also install the key derived from it"
        _add(parser, "secondary-", what)


def _add(parser: argparse.ArgumentParser, which: str, what: str) -> None:
    parser.add_argument(f"--{which}key-source", metavar="SOURCE", help=what)
    parser.add_argument(
        f"--{which}group-key-file",
        type=Path,
        metavar="FILE",
        help=f"short for --{which}key-source file:FILE",
    )


def from_arguments(args: argparse.Namespace) -> KeySource:
    """Open the source that the arguments name, else what open_source() takes by itself."""
    return open_source(_named(args.key_source, args.group_key_file, ""))


def secondary_from_arguments(args: argparse.Namespace) -> KeySource | None:
    """Open the source of the group's secondary key, None where the arguments name none."""
    place = _named(args.secondary_key_source, args.secondary_group_key_file, "secondary-")
    return open_source(place) if place else None


def forget(args: argparse.Namespace) -> None:
    """Take keys and PINs out of the environment that are still in it, unread: no child gets them.

    For who needs none, or took his from elsewhere: a dry run, a token beside an old variable.
    """
    for variable in _SECRETS:
        shield.take(variable)
    for place in (args.key_source, args.secondary_key_source, os.environ.get(VARIABLE)):
        if place and place.startswith("env:"):
            shield.take(place.removeprefix("env:"))


def _named(source: str | None, file: Path | None, which: str) -> str | None:
    if source and file:
        raise CommandError(f"give --{which}key-source or --{which}group-key-file, not both")
    return f"file:{file}" if file else source


def open_source(text: str | None = None) -> KeySource:
    """Open a key source named as "env:NAME", "file:PATH", "prompt:", "keyring:SERVICE/USER",
    "keyvault:https://NAME.vault.azure.net/secrets/SECRET" or "pkcs11:..." (RFC 7512).

    None: what $KEYSTEAD_KEY_SOURCE names, else $KEYSTEAD_GROUP_KEY, else a prompt. From now on
    this process writes no core dumps, and a key or PIN that came from the environment is no longer
    in it: a second source must have a variable of its own. Raises CommandError, with what to do,
    when the source is not there or does not open.
    """
    shield.forbid_core_dumps()
    text = text or os.environ.get(VARIABLE)
    if not text:
        return local.usual()
    scheme, colon, rest = text.partition(":")
    opener = _OPENERS.get(scheme)
    if not colon or opener is None:
        # what was written may be the key itself: it is not repeated
        raise CommandError(f"a key source names a place, never a key: write {_PLACES}")
    return opener(rest)
