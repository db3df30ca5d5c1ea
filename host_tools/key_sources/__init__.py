"""Where an enrollment group's key is kept, and device keys derived from it.

One interface, `KeySource.derive(registration_id)`, upon the environment, a file, a prompt, the
OS keyring, Azure Key Vault or a PKCS#11 token. What each protects against: docs/keys.md.

  with key_sources.from_arguments(args) as source:
      key = source.derive(registration_id)
"""

import argparse
import os
from pathlib import Path

from host_tools import keys
from host_tools.errors import CommandError
from host_tools.key_sources.source import HeldKey, KeySource

__all__ = ["HeldKey", "KeySource", "add_arguments", "from_arguments", "open_source"]

VARIABLE = "KEYSTEAD_KEY_SOURCE"


def add_arguments(parser: argparse.ArgumentParser, *, secondary: bool = False) -> None:
    """Declare --key-source and --group-key-file; secondary: those of the secondary key too."""
    parser.add_argument("--key-source", metavar="SOURCE", help=f"default: ${VARIABLE}")
    parser.add_argument("--group-key-file", type=Path, metavar="FILE", help="same as file:FILE")
    if secondary:
        parser.add_argument("--secondary-key-source", metavar="SOURCE")
        parser.add_argument("--secondary-group-key-file", type=Path, metavar="FILE")


def from_arguments(args: argparse.Namespace) -> KeySource:
    """Open the source that the arguments name, else the environment, else a prompt."""
    if args.group_key_file is not None:
        return open_source(f"file:{args.group_key_file}")
    return open_source(args.key_source)


def secondary_from_arguments(args: argparse.Namespace) -> KeySource | None:
    """Open the source of the group's secondary key, None where the arguments name none."""
    if args.secondary_group_key_file is not None:
        return open_source(f"file:{args.secondary_group_key_file}")
    return open_source(args.secondary_key_source) if args.secondary_key_source else None


def open_source(text: str | None = None) -> KeySource:
    """Open a key source named as "env:NAME", "file:PATH", "prompt:", "keyring:SERVICE/USER",
    "keyvault:https://NAME.vault.azure.net/secrets/SECRET" or "pkcs11:..." (RFC 7512).

    None: what $KEYSTEAD_KEY_SOURCE names, else $KEYSTEAD_GROUP_KEY, else a prompt. Raises
    CommandError, with what to do, when the source is not there or does not open.
    """
    text = text or os.environ.get(VARIABLE)
    if text is None:
        return HeldKey(keys.group_key(), "the group key")
    scheme, _, rest = text.partition(":")
    if scheme == "file":
        return HeldKey(keys.group_key(Path(rest)), f"the group key in {rest}")
    raise CommandError(f"{text}: not yet")
