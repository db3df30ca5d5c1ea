"""Composite: the base of everything in AMQP that is a described list of typed fields.

Owns how such a list becomes a dataclass and back. Doesn't own which composites there are:
performatives.py, messaging.py, sections.py and sasl.py have them.
Source: OASIS AMQP 1.0, part 1 (types), section 1.4.
"""

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Self

from host_tools.emulator.amqp.encoding import NULL, described, sequence
from host_tools.emulator.amqp.errors import malformed
from host_tools.emulator.amqp.kinds import Kind
from host_tools.emulator.amqp.values import Described, Symbol


@dataclass(frozen=True, slots=True)
class Composite:
    """A described list; KINDS has one kind per field, in order.

    A field without a default must be there. One that is null takes its default.
    """

    CODE: ClassVar[int]
    NAME: ClassVar[str]
    KINDS: ClassVar[tuple[Kind, ...]] = ()

    # values at the end that are null may be missing
    @classmethod
    def parse(cls, values: Any) -> Self:
        """Return the composite of a decoded list; raise Violation."""
        if not isinstance(values, list) or len(values) > len(cls.KINDS):
            raise malformed(f"{cls.NAME} has other fields than AMQP 1.0 knows")
        values = values + [None] * (len(cls.KINDS) - len(values))
        given = {}
        for field, kind, value in zip(fields(cls), cls.KINDS, values, strict=True):
            if value is not None:
                given[field.name] = kind.read(value)
            elif field.default is MISSING:
                raise malformed(f"{cls.NAME} has no {field.name}")
        return cls(**given)

    def encode(self) -> bytes:
        """Return the bytes; what has its default is null, and nulls at the end are left out."""
        written = []
        for field, kind in zip(fields(self), self.KINDS, strict=True):
            value = getattr(self, field.name)
            written.append(NULL if value in (None, field.default) else kind.write(value))
        while written and written[-1] == NULL:
            written.pop()
        return described(self.CODE, sequence(written))

    def __str__(self) -> str:
        said = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if field.repr and getattr(self, field.name) not in (None, field.default)
        ]
        return " ".join((self.NAME.split(":")[1], *said))


class OneOf:
    """A kind of field, or of frame: one of some composites, as its descriptor says."""

    def __init__(self, name: str, composites: Iterable[type[Composite]]) -> None:
        self.name = name
        self._composites: dict[int | str, type[Composite]] = {}
        for composite in composites:
            self._composites[composite.CODE] = self._composites[composite.NAME] = composite

    def read(self, value: Any) -> Any:
        """Return the composite that a decoded value is; raise Violation."""
        if isinstance(value, Described) and isinstance(value.descriptor, int | Symbol):
            composite = self._composites.get(value.descriptor)
            if composite:
                return composite.parse(value.value)
        raise malformed(f"this is no {self.name} of AMQP 1.0")

    def write(self, value: Composite) -> bytes:
        """Return the composite's bytes."""
        return value.encode()
