"""A backend for the package `keyring`: what a desktop has, in a file of the test's own."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError, PasswordSetError


class Keyring(KeyringBackend):
    """Chosen by $PYTHON_KEYRING_BACKEND; $TEST_KEYRING is its file, none for a locked one."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        if "TEST_KEYRING" not in os.environ:
            raise KeyringLocked("it is locked")
        found: dict[str, str] = json.loads(Path(os.environ["TEST_KEYRING"]).read_text())
        return found.get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError("it is for reading only")

    def delete_password(self, service: str, username: str) -> None:
        raise PasswordDeleteError("it is for reading only")
