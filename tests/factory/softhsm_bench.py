"""Tokens in software: SoftHSM2's, made anew for the tests, each with a group key in it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pkcs11
from pkcs11 import Attribute, KeyType, ObjectClass

PIN = "271828"
_SO_PIN = "31415926"


@dataclass
class Tokens:
    """A folder of tokens, and the library that is their PKCS#11 module."""

    module: Path
    util: Path
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs to see them."""
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    def settle(self) -> None:
        """Write the configuration that $SOFTHSM2_CONF names."""
        (self.folder / "tokens").mkdir(parents=True)
        (self.folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {self.folder / 'tokens'}\nlog.level = ERROR\n"
        )

    def add(self, label: str) -> None:
        """Make a token with PIN."""
        words = ["--init-token", "--free", "--label", label, "--so-pin", _SO_PIN, "--pin", PIN]
        subprocess.run(
            [str(self.util), "--module", str(self.module), *words],
            env={**os.environ, **self.environ}, check=True, capture_output=True,
        )  # fmt: skip

    def uri(self, path: str, query: str = "") -> str:
        """Return the key source of a key in one of them."""
        return f"pkcs11:{path}?module-path={self.module}{query}"

    @contextmanager
    def session(self, token: str) -> Iterator[pkcs11.Session]:
        """Lend a session that may write, in this process."""
        with (
            pkcs11.lib(str(self.module))
            .get_token(token_label=token)
            .open(user_pin=PIN, rw=True) as session
        ):
            yield session

    def put(self, token: str, label: str, key: bytes, **attributes: object) -> None:
        """Put a secret into a token, as docs/keys.md says to: it can not be read out again."""
        template = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.SIGN: True,
            Attribute.LABEL: label,
            Attribute.ID: label.encode(),
            Attribute.VALUE: key,
        }
        template |= {Attribute[name.upper()]: value for name, value in attributes.items()}
        with self.session(token) as session:
            session.create_object(template)
