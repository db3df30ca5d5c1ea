"""TomlTable: one table of a TOML file, whose values are taken key by key and checked.

Owns the complaint: one CommandError that names file, line, table and key, and shows no value that
might be secret. Doesn't own which keys there are.
"""

import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from host_tools.errors import CommandError


class TomlTable:
    """Values by key; what nobody asked for is a mistake that end() reports."""

    def __init__(
        self,
        file: str,
        text: str,
        name: str,
        content: dict[str, Any],
        number: int = 0,
        begin: int = 0,
    ) -> None:
        """number: which of several tables [[name]], from 1; 0 where there is one, [name].

        begin: the line, from 0, where to look for it.
        """
        self._file = file
        self._text = text
        self._name = name
        self._content = dict(content)
        self._number = number
        self._begin = begin

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the outermost table of a file; raise CommandError."""
        try:
            text = path.read_text(encoding="utf-8-sig")  # Windows' editors put a BOM before it
            content = tomllib.loads(text)
        except OSError as error:
            raise CommandError(f"can not read {path}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:  # also of a number with 5 000 digits
            why = " ".join(str(error).split())
            raise CommandError(f"{path} is not TOML: {why}") from None
        return cls(str(path), text, "", content)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys that nobody asked for yet."""
        return tuple(self._content)

    def table(self, name: str) -> Self:
        """Return the table [name], an empty one if there is none."""
        content = self._content.pop(name, {})
        if not isinstance(content, dict):
            raise self.error(name, f"must be a table: write [{name}]")
        return type(self)(self._file, self._text, name, content)

    def tables(self, name: str) -> list[Self]:
        """Return the tables [[name]] in their order."""
        items = self._content.pop(name, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self.error(name, f"must be a list of tables: write [[{name}]]")
        return [
            type(self)(self._file, self._text, name, content, number)
            for number, content in enumerate(items, 1)
        ]

    def inner(self, name: str) -> Self:
        """Return the table [....name] of this table, an empty one if there is none."""
        content = self._take(name, dict, "a table", {})
        name = f"{self._name}.{name}"
        return type(self)(self._file, self._text, name, content, begin=self._start())

    def has(self, key: str) -> bool:
        """Tell whether key is there and was not taken yet."""
        return key in self._content

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; without a default it must be there."""
        value = self._take(key, str, "a text in quotes", default)
        assert isinstance(value, str)
        return value

    def checked(
        self, key: str, fits: Callable[[str], object], rule: str, default: str | None = None
    ) -> str:
        """Return a string that fits, or the default; rule: says which do."""
        text = self.text(key, default)
        if text != default and not fits(text):
            raise self.error(key, f"{text!r} can not be one: {rule}")
        return text

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; it must be there."""
        words = "a list of texts in quotes"
        values = self._take(key, list, words, None)
        if not all(isinstance(value, str) for value in values):
            raise self.error(key, f"must be {words}")
        return tuple(values)

    def value(self, key: str, default: dict[str, Any]) -> dict[str, Any]:
        """Return a table as it is, with whatever it holds."""
        value = self._take(key, dict, "a table", default)
        assert isinstance(value, dict)
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        return self._take(key, bool, "true or false", default) is True

    def number(self, key: str, allowed: range, default: int | None = None) -> int:
        """Return a whole number in range; without a default it must be there."""
        kind = f"a whole number from {allowed[0]} to {allowed[-1]}"
        value = self._take(key, int, kind, default)
        if value not in allowed:
            raise self.error(key, f"must be {kind}")
        return int(value)

    def choice(self, key: str, words: Sequence[str], default: str) -> str:
        """Return one of words."""
        word = self.text(key, default)
        if word not in words:
            raise self.error(key, "must be " + " or ".join(f'"{one}"' for one in words))
        return word

    def end(self) -> None:
        """Raise CommandError if a key is left that nobody knows."""
        for key in self._content:
            raise self.error(key, "no such key here")

    def error(self, key: str, why: str) -> CommandError:
        """Return the complaint about one key."""
        where = [f"{self._file}, line {self._line(key)}"]
        if self._name:
            where.append(f"[[{self._name}]]" if self._number else f"[{self._name}]")
        return CommandError(f"{', '.join(where)}, {key}: {why}")

    def _take(self, key: str, kind: type, words: str, default: object) -> Any:
        value = self._content.pop(key, default)
        if value is None:
            raise self.error(key, f"is missing: it must be {words}")
        if type(value) is not kind:
            raise self.error(key, f"must be {words}")
        return value

    # tomllib keeps no places: look for the key below its table's header
    def _line(self, key: str) -> int:
        lines, start = self._text.split("\n"), self._start()
        found = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[\]=.]""")
        for number in range(start, len(lines)):
            if number > start and self._name and lines[number].lstrip().startswith("["):
                break
            if found.match(lines[number]):
                return number + 1
        return start + 1

    def _start(self) -> int:
        name = re.escape(self._name)
        starts = self._headers(rf"\s*\[+\s*{name}\s*\]+" if name else "")
        # [name] may be left out where [name.inner] is there
        starts = starts or self._headers(rf"\s*\[\s*{name}\s*\.")
        number = max(self._number - 1, 0)
        return starts[number] if number < len(starts) else self._begin

    def _headers(self, pattern: str) -> list[int]:
        header, lines = re.compile(pattern), self._text.split("\n")
        return [line for line in range(self._begin, len(lines)) if header.match(lines[line])]
