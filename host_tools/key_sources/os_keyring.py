"""The group key in the desktop's keyring: Secret Service, KWallet, macOS Keychain, through
the package `keyring`."""

from host_tools.errors import CommandError
from host_tools.key_sources.extras import needed
from host_tools.key_sources.source import HeldKey


def from_keyring(text: str) -> HeldKey:
    """Return the key kept as password of SERVICE/USER; CommandError."""
    service, slash, user = text.partition("/")
    if not (service and slash and user):
        raise CommandError(
            "a key source keyring:SERVICE/USER takes what `keyring set SERVICE USER` was given"
        )
    password = _password(service, user)
    if password is None:
        raise CommandError(
            f"the keyring holds nothing for {service} {user}: "
            f"put the group key there with `keyring set {service} {user}`"
        )
    return HeldKey.from_text(password, f"the group key in the keyring, {service} {user}")


def _password(service: str, user: str) -> str | None:
    keyring = needed("keyring", "keyring")
    errors = needed("keyring.errors", "keyring")
    try:
        password: str | None = keyring.get_password(service, user)
    except errors.NoKeyringError:
        raise CommandError(
            "there is no keyring in this session (on a server there seldom is): "
            "`keyring diagnose` says what was looked for; or keep the key elsewhere"
        ) from None
    except errors.KeyringLocked:
        raise CommandError("the keyring is locked: unlock it, then try again") from None
    except errors.KeyringError as error:
        raise CommandError(f"the keyring does not answer: {_line(error)}") from None
    return password


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
