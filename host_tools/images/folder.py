"""The folder that `keystead image` writes: the shared parts, one file of them, two manifests.

image.json is ours: every offset, size and SHA-256. manifest.json is what ESP Web Tools takes
(esphome.github.io/esp-web-tools: name, version, builds of chipFamily and parts). No secret is in
any of them, but for what config.json holds.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from host_tools import whole_file
from host_tools.errors import CommandError
from host_tools.images.contents import Contents
from host_tools.images.parts import Part, joined

MANIFEST, WEB_MANIFEST = "image.json", "manifest.json"
_FAMILIES = {"esp32": "ESP32", "esp32c3": "ESP32-C3", "esp32s3": "ESP32-S3"}


def described(contents: Contents) -> dict[str, Any]:
    """Return what image.json says."""
    layout = contents.layout
    return {
        "board": contents.board.name,
        "chip": contents.board.chip,
        "flashSize": layout.flash_size,
        "littlefs": f"{contents.disk_version >> 16}.{contents.disk_version & 0xFFFF}",
        **contents.facts,
        "shared": _entry(whole(contents)),
        "parts": [_entry(part) for part in contents.parts],
        "own": {"file": "nvs.bin", "offset": layout.nvs.offset, "size": layout.nvs.size},
    }


def whole(contents: Contents) -> Part:
    """Return the shared parts as one, from the first one's offset to the last one's end."""
    return joined("shared", contents.parts)


def write(folder: Path, contents: Contents, private: bool = False) -> None:
    """Write the shared files, each whole or not at all. Raises CommandError.

    private: what has the filesystem is for the owner alone, since config.json has a password.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"can not write {folder}: {error.strerror}") from None
    for part in (*contents.parts, whole(contents)):
        mode = 0o600 if private and part.name in ("vfs", "shared") else 0o666
        whole_file.write(folder / file_name(part), part.data, mode)
    whole_file.write(folder / WEB_MANIFEST, _text(_web(contents)))
    whole_file.write(folder / MANIFEST, _text(described(contents)))


def file_name(part: Part) -> str:
    """Return what a part's file is called."""
    return f"{part.name}.bin"


def _entry(part: Part) -> dict[str, Any]:
    return {
        "file": file_name(part),
        "offset": part.offset,
        "size": len(part.data),
        "sha256": hashlib.sha256(part.data).hexdigest(),
    }


def _web(contents: Contents) -> dict[str, Any]:
    return {
        "name": f"Keystead on {contents.board.name}",
        "version": contents.facts["firmware"],
        "new_install_prompt_erase": True,
        "builds": [
            {"chipFamily": _FAMILIES[contents.board.chip], "parts": _web_parts(contents.parts)}
        ],
    }


def _web_parts(parts: Iterable[Part]) -> list[dict[str, Any]]:
    return [{"path": file_name(part), "offset": part.offset} for part in parts]


def _text(document: object) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()
