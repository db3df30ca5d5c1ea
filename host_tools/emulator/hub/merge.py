"""Merge: JSON merge patches, what they leave in a twin's metadata, and how to make one.

Owns RFC 7396 and the shape of `$metadata`. Doesn't own limits (twin_rules.py): depths are checked
before anything gets here. Nothing given is changed, and results share what is the same.
"""

from typing import Any


def merged(target: Any, patch: Any) -> Any:
    """Return target with patch applied; null removes a name."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


# {"$lastUpdated": ..., "{name}": {"$lastUpdated": ..., ...}, ...}: objects have their own and
# their properties', anything else (an array too) has its own
def stamped(
    metadata: dict[str, Any], patch: dict[str, Any], stamp: dict[str, Any]
) -> dict[str, Any]:
    """Return the metadata of a document to which patch is applied, stamp on all it names."""
    result = {**metadata, **stamp}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = stamped(result.get(name, {}), value, stamp)
        else:
            result[name] = stamp
    return result


def replacing(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return all of new with null for what only old has: a patch that makes new of old."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            value = replacing(before, value)
        patch[name] = value
    return patch
