"""Constants: which assignments of a module MicroPython's compiler can put where they are used.

Owns what it folds, and what costs the same however often it is used.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping

_INTERNED = 10  # bytes of a text that a board keeps once, however often it is used
_SMALL = range(-(2**30), 2**30)  # whole numbers that are no objects
_UNARY: dict[type, Callable[[int], int]] = {ast.USub: operator.neg, ast.Invert: operator.inv}
_BINARY: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.BitOr: operator.or_, ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}  # fmt: skip

Pair = tuple[ast.Name, ast.expr]


def pairs(statement: ast.stmt) -> list[Pair]:
    """Return names and values of an assignment, none if it is not one of plain names."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        return list(_pairs(statement.targets[0], statement.value))
    return []


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[Pair]:
    if isinstance(target, ast.Name):
        yield target, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        together = zip(target.elts, value.elts, strict=False)
        found = [(name, one) for name, one in together if isinstance(name, ast.Name)]
        on_one_line = target.lineno == value.end_lineno
        if on_one_line and len(found) == len(target.elts) == len(value.elts):
            yield from found


def value(node: ast.expr, known: Mapping[str, object]) -> object:
    """Return what the compiler makes of an expression, None if it must be computed on the board.

    known: values of names.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        return node.value
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Tuple):
        values = tuple(value(item, known) for item in node.elts)
        return None if None in values else values
    return _number(node, known)


def _number(node: ast.expr, known: Mapping[str, object]) -> int | None:
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        one = _number(node.operand, known)
        return None if one is None else _UNARY[type(node.op)](one)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _number(node.left, known), _number(node.right, known)
        if left is None or right is None:
            return None
        return _BINARY[type(node.op)](left, right)
    found = known.get(node.id) if isinstance(node, ast.Name) else getattr(node, "value", None)
    return found if type(found) is int else None


def is_shared(value: object) -> bool:
    """Tell whether a constant costs the same where it is used twice."""
    if isinstance(value, int):
        return value in _SMALL
    return isinstance(value, str) and is_interned(value)


def is_interned(text: str) -> bool:
    """Tell whether a board keeps a text as it keeps names: once, and for good."""
    return len(text.encode()) <= _INTERNED
