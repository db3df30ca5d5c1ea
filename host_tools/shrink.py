"""Shrink the firmware's sources before they are compiled: the names that only they see.

MicroPython keeps every name of a module in the heap, and a name never leaves it again, though the
module does. So, in the copy that is compiled,

  _DAY = 86_400         becomes  _DAY = const(86_400): the compiler puts it where it is used
  def _ask(self, host)  becomes  def _3(self, send)
  self._limit           becomes  self._1

for what begins with an underscore, and for parameters that no call names: these take names that
their module has anyway. Every line stays where it is, so that a traceback is still the truth:
`File "rim.ladder", line 93, in _3`.

A name is kept where another module, an application or a string mentions it, or where a base class
from elsewhere may have it. What comes out is read again, and must be what was meant, scope by
scope; else it is refused.
"""

import ast
import builtins
import keyword
import operator
import re
import symtable
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from host_tools.errors import CommandError
from host_tools.scopes import Function, Scope, Source, parameters, said, strings

# private names of classes that the firmware derives from, in all versions it works with
FOREIGN = {"umqtt.simple": frozenset({"_send_str", "_recv_len"})}
# what an application calls: there, the names of parameters are part of it
INTERFACE = frozenset({"rim.device", "rim.log", "keystead.hub", "keystead.failure"})
# names in the ROM of every MicroPython, for parameters where the module has too few
SPARE = ("value", "key", "index", "start", "stop", "step", "end", "sep", "args", "items", "count")

_SIGNS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAMES = tuple("_" + sign for sign in _SIGNS)  # the same ones in every module
_INTERNED = 10  # bytes of a text that is kept once, however often it is used
_SMALL = range(-(2**30), 2**30)  # whole numbers that are no objects
_UNARY = {ast.USub: operator.neg, ast.Invert: operator.inv}
_BINARY = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.BitOr: operator.or_, ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}  # fmt: skip
_BLIND = {"globals", "locals", "vars", "eval", "exec", "dir"}  # they see names
_RESERVED = {"self", "const", "__class__", *dir(builtins)}


def shrink(sources: Mapping[str, str], outside: Iterable[str] = ()) -> dict[str, str]:
    """Return sources, full module name to text, with short names. Raises CommandError.

    outside: texts of programs that use these modules.
    """
    world = World(sources, outside)
    return {source.name: Shrinking(source, world).text() for source in world.sources}


class _NotWhole(Exception):
    """An expression is no whole number that the compiler knows."""


class World:
    """What all sources together say, and the programs outside that use them."""

    def __init__(self, sources: Mapping[str, str], outside: Iterable[str]) -> None:
        self.sources = [Source(name, text) for name, text in sources.items()]
        self.keywords: set[str] = set()  # that calls name
        self.spread: set[str] = set()  # what is called with **
        self.imported: set[str] = set()
        self.strings: set[str] = set()  # words in them
        # attribute to the modules that have it: of self, of anything else
        self.own: dict[str, set[str]] = defaultdict(set)
        self.reached: dict[str, set[str]] = defaultdict(set)
        self.names = set(sources)
        self.families: dict[str, set[str]] = {}  # module to all whose classes are related
        self.taken: dict[str, set[str]] = defaultdict(set)  # a family's new attributes
        for source in self.sources:
            self._look(source.name, source.tree)
            self._refuse(source)
        for text in outside:
            self._look("", ast.parse(text))
        for source in self.sources:
            self._join(source)

    def _look(self, name: str, tree: ast.AST) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                self.keywords.update(word.arg for word in node.keywords if word.arg)
                if any(word.arg is None for word in node.keywords):
                    self.spread.update(said(node.func))
            elif isinstance(node, ast.ImportFrom):
                self.imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.Attribute):
                (self.own if _is_self(node.value) else self.reached)[node.attr].add(name)
        for text in strings(tree):
            self.strings.update(re.findall(r"\w+", text))

    def _refuse(self, source: Source) -> None:
        for text in strings(source.tree):
            for place in re.findall(r"[\w.]+\._\w+", text):
                if place.rpartition(".")[0] in self.names:
                    raise CommandError(f"{source.name}: {place} in a text is a private name")
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Name) and node.id in _BLIND:
                raise CommandError(f"{source.name}, line {node.lineno}: {node.id}() sees names")

    def _join(self, source: Source) -> None:
        family = self.families.setdefault(source.name, {source.name})
        for base in bases(source):
            other = self.families.setdefault(base, {base})
            family |= other
            for member in family:
                self.families[member] = family


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def bases(source: Source) -> Iterator[str]:
    """Yield the modules from which base classes of source's come; "?" where that is not clear."""
    origins = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origins[alias.asname or alias.name] = node.module or "?", alias.name
    for node in ast.walk(source.tree):
        for base in node.bases if isinstance(node, ast.ClassDef) else []:
            if isinstance(base, ast.Name) and base.id in origins:
                yield origins[base.id][0]
            elif isinstance(base, ast.Attribute):
                found = origins.get(base.value.id) if isinstance(base.value, ast.Name) else None
                yield ".".join(found) if found else "?"
            elif not isinstance(base, ast.Name):
                yield "?"


class Shrinking:
    """One source on its way: what is renamed in it, and what is put into its text."""

    def __init__(self, source: Source, world: World) -> None:
        self._source = source
        self._world = world
        self._name = source.name
        self._new: dict[int, str] = {}  # id() of a node to the name it gets
        self._const: dict[int, list[tuple[ast.Name, ast.expr]]] = {}  # id() of an assignment
        self._edits: list[tuple[int, int, int, bytes]] = []
        self._fresh = [name for name in _NAMES if name not in source.words]
        self._constants()
        self._globals()
        self._attributes()
        self._parameters()

    def text(self) -> str:
        """Return the new text. Raises CommandError if it is not what it should be."""
        lines = list(self._source.lines)
        for line, start, end, new in sorted(self._edits, reverse=True):
            lines[line - 1] = lines[line - 1][:start] + new + lines[line - 1][end:]
        text = b"\n".join(lines).decode()
        try:
            told = ast.dump(ast.parse(text))
            shape = _shape(symtable.symtable(text, self._name, "exec"))
        except SyntaxError as error:
            raise CommandError(f"{self._name}: shrunk, it is no Python: {error}") from None
        meant = _Meant(self._new, self._const).visit(self._source.tree)
        old = symtable.symtable(self._source.text, self._name, "exec")
        if told != ast.dump(meant) or shape != _shape(old):
            raise CommandError(f"{self._name}: shrunk, it means something else")
        return text

    def _rename(self, nodes: Iterable[ast.AST], new: str) -> None:
        for node in nodes:
            self._edits.append((*self._source.place(node), new.encode()))
            self._new[id(node)] = new

    def _is_private(self, name: str) -> bool:
        """Tell whether a name is this module's own, as far as others' texts tell."""
        return (
            name.startswith("_")
            and not name.startswith("__")
            and name != "_"
            and name not in self._source.declared | self._world.strings
        )

    def _is_hidden(self, name: str) -> bool:
        """Tell whether nothing reaches into this module for a global name of its."""
        reached = self._world.reached.get(name, set()) - {self._name}
        return self._is_private(name) and not reached and name not in self._world.imported

    # ---- constants

    def _constants(self) -> None:
        known: dict[str, object] = {}
        for statement in self._source.tree.body:
            pairs = list(_pairs(statement))
            values = [_value(value, known) for _, value in pairs]
            if pairs and all(map(self._is_constant, pairs, values)):
                known.update((name.id, value) for (name, _), value in zip(pairs, values))
                self._const[id(statement)] = pairs
                self._put_const(statement, pairs)

    def _is_constant(self, pair: tuple[ast.Name, ast.expr], value: object) -> bool:
        name, expression = pair
        top = self._source.top
        if value is None or not self._is_hidden(name.id) or name.id in top.rigid:
            return False
        if any(name.id in scope.bound for scope in self._source.scopes if scope is not top):
            return False
        uses = [node for node in self._source.meant[top, name.id] if node is not name]
        if any(not isinstance(node.ctx, ast.Load) for node in uses):
            return False
        # the compiler reads from top to bottom
        if any((node.lineno, node.col_offset) < _end(expression) for node in uses):
            return False
        return len(uses) == 1 or _is_shared(value)

    def _put_const(self, statement: ast.stmt, pairs: list[tuple[ast.Name, ast.expr]]) -> None:
        line, start, end = self._source.place(pairs[0][0])
        last, close = _end(statement)
        if len(pairs) == 1:
            equals = re.compile(rb"\s*=\s*").match(self._source.lines[line - 1], end)
            begin = equals.end() if equals else end
            twice = 1 + isinstance(pairs[0][1], ast.Tuple)  # it may have no brackets of its own
            self._edits.append((line, begin, begin, b"const" + b"(" * twice))
            self._edits.append((last, close, close, b")" * twice))
        else:
            text = "; ".join(f"{name.id} = const({ast.unparse(value)})" for name, value in pairs)
            self._edits.append((line, start, close, text.encode()))

    # ---- names of the module

    def _globals(self) -> None:
        source, top = self._source, self._source.top
        constants = {name.id for pairs in self._const.values() for name, _ in pairs}
        fresh = iter(self._fresh)
        for name in _in_order(top.used, top.bound - top.rigid - constants):
            if self._is_hidden(name):
                self._rename(source.meant[top, name], next(fresh))

    # ---- attributes

    def _attributes(self) -> None:
        world, source = self._world, self._source
        family = world.families[source.name]
        if any(name not in world.names and name not in FOREIGN for name in family):
            return
        taken = world.taken[min(family)]
        in_classes = [scope for scope in source.scopes if scope.is_class]
        # what a class's body reads would be looked for in the class first
        taken = taken | {
            self._new.get(id(node), "") for scope in in_classes for _, node in scope.used
        }
        fresh = iter([name for name in self._fresh if name not in taken])
        for name in self._attribute_names(family - {source.name}):
            new = next(fresh)
            world.taken[min(family)].add(new)
            for scope in in_classes:
                self._rename(source.meant.get((scope, name), ()), new)
            self._rename(_attributes_named(source.tree, name), new)

    def _attribute_names(self, relatives: set[str]) -> list[str]:
        """Return the private attributes that only this module's classes have."""
        world, source = self._world, self._source
        defined = {name for scope in source.scopes if scope.is_class for name in scope.bound} | {
            node.attr
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        theirs: set[str] = set()
        for name in relatives:
            theirs |= FOREIGN.get(name, frozenset())
        for other in world.sources:
            if other.name in relatives:
                theirs |= other.words
        rigid = {name for scope in source.scopes if scope.is_class for name in scope.rigid}
        return sorted(
            name
            for name in defined - theirs - rigid
            if self._is_private(name) and not world.reached.get(name)
        )

    # ---- parameters

    def _parameters(self) -> None:
        has = self._has()
        # constants shout
        pool = [*sorted(has - _RESERVED, key=lambda name: (not name.islower(), name)), *SPARE]
        for scope in self._source.scopes:
            node = scope.node
            if isinstance(node, Function) and not self._is_called_by_name(scope):
                used = self._used_in(scope)
                free = iter([name for name in pool if name not in used])
                for word in parameters(node):
                    if word.arg not in has and self._is_positional(scope, word):
                        self._rename(self._source.meant[scope, word.arg], next(free))

    def _is_called_by_name(self, scope: Scope) -> bool:
        """Tell whether who calls a function may name its parameters."""
        node, spread = scope.node, self._world.spread
        assert isinstance(node, Function)
        if node.args.kwarg:
            return True
        if isinstance(node, ast.Lambda):
            return False
        outer = scope.outer.node if scope.outer else None
        if node.name in spread or (isinstance(outer, ast.ClassDef) and outer.name in spread):
            return True
        is_public = not node.name.startswith("_") or node.name.startswith("__")
        return is_public and self._source.name in INTERFACE and not isinstance(outer, Function)

    def _is_positional(self, scope: Scope, word: ast.arg) -> bool:
        assert isinstance(scope.node, Function)
        return not (
            word.arg in self._world.keywords | self._source.declared | scope.rigid | {"self"}
            or word in scope.node.args.kwonlyargs
        )

    def _has(self) -> set[str]:
        """Return the words that the compiled module has anyway, fit for parameters."""
        names = set(self._source.top.bound)
        for node in ast.walk(self._source.tree):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.keyword) and node.arg:
                names.add(node.arg)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                if len(node.value) <= _INTERNED and node.value.isidentifier():
                    names.add(node.value)
        return {name for name in names if not name.startswith("_") and not keyword.iskeyword(name)}

    def _used_in(self, scope: Scope) -> set[str]:
        """Return the names, old and new, that mean something in a function."""
        inside = [other for other in self._source.scopes if other.is_in(scope)]
        names = {name for other in inside for name in other.bound}
        for other in inside:
            for name, node in other.used:
                names |= {name, self._new.get(id(node), name)}
        return names


class _Meant(ast.NodeTransformer):
    """Makes the tree that the new text must have, of the old one."""

    def __init__(
        self, new: dict[int, str], const: dict[int, list[tuple[ast.Name, ast.expr]]]
    ) -> None:
        self._new = new
        self._const = const

    def visit(self, node: ast.AST) -> Any:
        for word in ("id", "arg", "attr", "name"):
            if hasattr(node, word):
                setattr(node, word, self._new.get(id(node), getattr(node, word)))
        if id(node) not in self._const:
            return self.generic_visit(node)
        function = ast.Name("const", ast.Load())
        return [
            ast.Assign([name], ast.Call(function, [value], []), lineno=0)
            for name, value in self._const[id(node)]
        ]


def _shape(table: symtable.SymbolTable) -> object:
    """Return what there is in a scope, and in those in it, without its names."""
    flags = sorted(
        (
            symbol.is_parameter(), symbol.is_local(), symbol.is_global(), symbol.is_free(),
            symbol.is_imported(), symbol.is_assigned(), symbol.is_referenced(),
            symbol.is_namespace(), len(symbol.get_namespaces()),
        )
        for symbol in table.get_symbols()
        if symbol.get_name() != "const"
    )  # fmt: skip
    return table.get_type(), flags, [_shape(child) for child in table.get_children()]


def _pairs(statement: ast.stmt) -> Iterator[tuple[ast.Name, ast.expr]]:
    """Yield names and values of an assignment that could be one of constants."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) > 1:
        return
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Name):
        yield target, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        on_one_line = statement.lineno == statement.end_lineno
        if on_one_line and len(target.elts) == len(value.elts):
            for name, one in zip(target.elts, value.elts, strict=True):
                if isinstance(name, ast.Name):
                    yield name, one


def _value(node: ast.expr, known: Mapping[str, object]) -> object:
    """Return the value that the compiler sees in an expression, None if it sees none."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, str, bytes):
        return node.value
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Tuple):
        values = tuple(_value(item, known) for item in node.elts)
        return None if None in values else values
    try:
        return _number(node, known)
    except _NotWhole:
        return None


def _number(node: ast.expr, known: Mapping[str, object]) -> int:
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return int(_UNARY[type(node.op)](_number(node.operand, known)))
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _number(node.left, known), _number(node.right, known)
        return int(_BINARY[type(node.op)](left, right))
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(node, ast.Name):
        value = known.get(node.id)
    if type(value) is not int:
        raise _NotWhole
    return value


def _is_shared(value: object) -> bool:
    """Tell whether a constant costs the same where it is used twice."""
    if isinstance(value, int):
        return value in _SMALL
    return isinstance(value, str) and len(value.encode()) <= _INTERNED


def _end(node: ast.stmt | ast.expr) -> tuple[int, int]:
    assert node.end_lineno and node.end_col_offset is not None
    return node.end_lineno, node.end_col_offset


def _in_order(used: Iterable[tuple[str, ast.AST]], names: set[str]) -> list[str]:
    """Return names in the order in which they are used."""
    return [name for name in dict(used) if name in names]


def _attributes_named(tree: ast.AST, name: str) -> list[ast.Attribute]:
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return [node for node in nodes if node.attr == name]
