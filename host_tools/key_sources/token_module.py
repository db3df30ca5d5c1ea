"""PKCS#11 modules: the vendor's library that speaks to its tokens, found on this machine."""

import glob
import os
from collections.abc import Mapping
from pathlib import Path

from host_tools.errors import CommandError
from host_tools.key_sources.token_uri import TokenUri

VARIABLE = "PKCS11_MODULE_PATH"
# what vendors call theirs; p11-kit's own, which leads to all of them, comes last
_NAMES = (
    "libsofthsm2.so", "opensc-pkcs11.so", "libykcs11.so", "yubihsm_pkcs11.so",
    "libcloudhsm_pkcs11.so", "libCryptoki2_64.so", "libcs_pkcs11_R3.so", "libcknfast.so",
    "p11-kit-proxy.so",
)  # fmt: skip
_FOLDERS = (
    "/usr/lib", "/usr/lib64", "/usr/lib/*-linux-gnu*", "/usr/local/lib", "/opt/homebrew/lib",
    "/opt/cloudhsm/lib", "/opt/nfast/toolkits/pkcs11", "/opt/utimaco/lib",
    "/usr/safenet/lunaclient/lib",
)  # fmt: skip
_BELOW = ("", "softhsm", "pkcs11")


def find_modules(uri: TokenUri, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the modules to look for the token in; CommandError if there is none.

    One, if the URI or $PKCS11_MODULE_PATH names it, else all that are where vendors put them.
    """
    named = uri.module_path or (None if uri.module_name else environ.get(VARIABLE))
    if named:
        if not Path(named).is_file():
            raise CommandError(f"there is no PKCS#11 module {named}")
        return [named]
    found = _installed(_files(uri.module_name) if uri.module_name else _NAMES)
    if not found:
        what = f"PKCS#11 module {uri.module_name!r}" if uri.module_name else "PKCS#11 module"
        raise CommandError(
            f"no {what} in the usual places: name the vendor's library in {VARIABLE}, "
            "or with ?module-path= in the URI"
        )
    others = [path for path in found if not path.endswith(_NAMES[-1])]
    return others or found


# RFC 7512, section 2.3: a name without path, prefix or suffix that differ between systems
def _files(name: str) -> tuple[str, ...]:
    if "/" in name:
        raise CommandError("module-name is a name; a path goes to module-path")
    return tuple(f"{before}{name}{after}" for before in ("lib", "") for after in (".so", ".dylib"))


def _installed(names: tuple[str, ...]) -> list[str]:
    folders = [one for pattern in _FOLDERS for one in sorted(glob.glob(pattern))]
    paths = (Path(one, below, name) for name in names for one in folders for below in _BELOW)
    return list(dict.fromkeys(os.path.realpath(path) for path in paths if path.is_file()))
