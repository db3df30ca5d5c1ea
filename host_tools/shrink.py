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
import re
import symtable
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from host_tools import constants
from host_tools.errors import CommandError
from host_tools.scopes import Function, Scope, Source, is_loaded, parameters, strings, words

# private names of classes that the firmware derives from, in all versions it works with
FOREIGN = {"umqtt.simple": frozenset({"_send_str", "_recv_len"})}
# what an application calls: there, the names of parameters are part of it
INTERFACE = frozenset(
    {"rim.log", "keystead.hub", "keystead.failure"}
    | {f"rim.device.{name}" for name in ("send", "wait", "step", "report")}
    | {f"rim.device.on_{name}" for name in ("message", "method", "desired")}
)
# names in the ROM of every MicroPython, for parameters where the module has too few
SPARE = ("value", "key", "index", "start", "stop", "step", "end", "sep", "args", "items", "count")

_SIGNS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAMES = [f"_{sign}" for sign in _SIGNS]  # the same ones in every module
_BLIND = {"globals", "locals", "vars", "eval", "exec", "dir"}  # they see names


def shrink(
    sources: Mapping[str, str], outside: Iterable[str] = (), interface: Container[str] = INTERFACE
) -> dict[str, str]:
    """Return sources, full module name to text, with short names. Raises CommandError.

    outside: texts of programs that use these modules; interface: modules, or functions in them,
    of which programs that nobody knows yet may name the parameters.
    """
    world = World(sources, outside, interface)
    return {source.name: Shrinking(source, world).text() for source in world.sources}


class World:
    """What all sources together say, and the programs outside that use them."""

    def __init__(
        self, sources: Mapping[str, str], outside: Iterable[str], interface: Container[str]
    ) -> None:
        self.interface = interface
        self.sources = [Source(name, text) for name, text in sources.items()]
        self.names = set(sources)
        self.keywords: set[str] = set()  # that calls name
        self.spread: set[str] = set()  # what is called with **
        self.imported: set[str] = set()
        self.strings: set[str] = set()  # words in them
        # attribute to the modules that reach for it, but a method on its self
        self.reached: dict[str, set[str]] = defaultdict(set)
        self.families: dict[str, set[str]] = {}  # module to all whose classes are related
        self.taken: dict[str, set[str]] = defaultdict(set)  # a family's new attributes
        for source in self.sources:
            self._look(source, source.own)
            self._refuse(source)
            self._join(source)
        for text in outside:
            user = Source("", text)
            derives = not self.names.isdisjoint(bases(user))
            self._look(user, set() if derives else user.own)

    def _look(self, source: Source, own: Container[ast.AST]) -> None:
        for node in source.nodes:
            if isinstance(node, ast.Call):
                self.keywords.update(word.arg for word in node.keywords if word.arg)
                if any(word.arg is None for word in node.keywords):
                    self.spread.update(words(node.func))
            elif isinstance(node, ast.ImportFrom):
                self.imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.Attribute) and node.value not in own:
                self.reached[node.attr].add(source.name)
        for text in strings(source.nodes):
            self.strings.update(re.findall(r"\w+", text))

    def _refuse(self, source: Source) -> None:
        for text in strings(source.nodes):
            for place in re.findall(r"[\w.]+\._\w+", text):
                if place.rpartition(".")[0] in self.names:
                    raise CommandError(f"{source.name}: {place} in a text is a private name")
        for node in source.nodes:
            if isinstance(node, ast.Name) and node.id in _BLIND:
                raise CommandError(f"{source.name}, line {node.lineno}: {node.id}() sees names")

    def _join(self, source: Source) -> None:
        family = self.families.setdefault(source.name, {source.name})
        for base in bases(source):
            family |= self.families.setdefault(base, {base})
            for member in family:
                self.families[member] = family


def bases(source: Source) -> Iterator[str]:
    """Yield the modules from which base classes of source's come; "?" where that is not clear."""
    known = dict.fromkeys(dir(builtins), source.name)
    places = {}
    for node in source.nodes:
        if isinstance(node, ast.ClassDef):
            known[node.name] = source.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                known[name] = node.module or "?"
                places[name] = f"{node.module}.{alias.name}"
    for node in source.nodes:
        for base in node.bases if isinstance(node, ast.ClassDef) else []:
            if isinstance(base, ast.Name):
                yield known.get(base.id, "?")
            elif isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
                yield places.get(base.value.id, "?")
            else:
                yield "?"


class Shrinking:
    """One source on its way: what is renamed in it, and what is put into its text."""

    def __init__(self, source: Source, world: World) -> None:
        self._source = source
        self._world = world
        self._new: dict[int, str] = {}  # id() of a node to the name it gets
        self._const: dict[int, list[constants.Pair]] = {}  # id() of an assignment
        self._edits: list[tuple[int, int, int, bytes]] = []  # line, columns, what goes there
        self._fresh = [name for name in _NAMES if name not in source.words]
        self._classes = [scope for scope in source.scopes if isinstance(scope.node, ast.ClassDef)]
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
        self._check(text)
        return text

    def _check(self, text: str) -> None:
        name = self._source.name
        try:
            same = ast.dump(ast.parse(text)) == ast.dump(self._meant()) and _shape(
                symtable.symtable(text, name, "exec")
            ) == _shape(symtable.symtable(self._source.text, name, "exec"))
        except SyntaxError as error:
            raise CommandError(f"{name}: shrunk, it is no Python: {error}") from None
        if not same:
            raise CommandError(f"{name}: shrunk, it means something else")

    def _meant(self) -> ast.AST:
        """Return the tree that the new text must have. Changes the old one."""
        meant: ast.AST = _Meant(self._new, self._const).visit(self._source.tree)
        return meant

    def _rename(self, nodes: Iterable[ast.AST], new: str) -> None:
        for node in nodes:
            self._edits.append((*self._source.place(node), new.encode()))
            self._new[id(node)] = new

    def _is_private(self, name: str) -> bool:
        """Tell whether a name is private, and said by nothing but itself."""
        begins = name.startswith("_") and not name.startswith("__") and name != "_"
        return begins and name not in self._source.fixed | self._world.strings

    def _is_hidden(self, name: str) -> bool:
        """Tell whether nothing reaches into this module for a name of its."""
        reached = self._world.reached[name] - {self._source.name}
        return self._is_private(name) and not reached and name not in self._world.imported

    # ---- constants

    def _constants(self) -> None:
        known: dict[str, object] = {}
        for statement in self._source.tree.body:
            pairs = constants.pairs(statement)
            values = {name.id: constants.value(value, known) for name, value in pairs}
            if pairs and all(self._is_constant(name, values[name.id]) for name, _ in pairs):
                known.update(values)
                self._const[id(statement)] = pairs
                self._put_const(statement, pairs)

    def _is_constant(self, name: ast.Name, value: object) -> bool:
        source = self._source
        binding = [scope for scope in source.scopes if name.id in scope.bound]
        if value is None or not self._is_hidden(name.id) or binding != [source.top]:
            return False
        uses = source.meant[source.top, name.id]
        # it is set once, and the compiler reads from top to bottom
        if uses[0] is not name or not all(is_loaded(node) for node in uses[1:]):
            return False
        first = min((_start(node) for node in uses[1:]), default=(name.lineno + 1, 0))
        return first > _start(name) and (len(uses) == 2 or constants.is_shared(value))

    def _put_const(self, statement: ast.stmt, pairs: list[constants.Pair]) -> None:
        line, start, end = self._source.place(pairs[0][0])
        assert statement.end_lineno
        assert statement.end_col_offset
        last, close = statement.end_lineno, statement.end_col_offset
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
        constant = {name.id for pairs in self._const.values() for name, _ in pairs}
        fresh = iter(self._fresh)
        for name in dict(top.used):  # in their order
            if name in top.bound - top.rigid - constant and self._is_hidden(name):
                self._rename(source.meant[top, name], _next(fresh, source))

    # ---- attributes

    def _attributes(self) -> None:
        source, world = self._source, self._world
        family = world.families[source.name]
        if not family <= world.names | set(FOREIGN):
            return
        taken = world.taken[min(family)]
        # what a class's body reads would be looked for in the class first
        read = {self._new.get(id(node)) for scope in self._classes for _, node in scope.used}
        fresh = iter([name for name in self._fresh if name not in taken | read])
        attributes = defaultdict(list)
        for node in source.nodes:
            if isinstance(node, ast.Attribute):
                attributes[node.attr].append(node)
        for name in self._own_attributes(family - {source.name}):
            new = _next(fresh, source)
            taken.add(new)
            for scope in self._classes:
                self._rename(source.meant.get((scope, name), ()), new)
            self._rename(attributes[name], new)

    def _own_attributes(self, relatives: set[str]) -> list[str]:
        """Return the private attributes that this module's classes have, and nobody else."""
        world = self._world
        defined = {name for scope in self._classes for name in scope.bound - scope.rigid}
        for node in self._source.nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                defined.add(node.attr)
        for name in relatives:
            defined -= FOREIGN.get(name, frozenset())
        for other in world.sources:
            if other.name in relatives:
                defined -= other.words
        return sorted(
            name for name in defined if self._is_private(name) and not world.reached[name]
        )

    # ---- parameters

    def _parameters(self) -> None:
        has = self._has()
        # constants, which shout, come last
        pool = [*sorted(has, key=lambda name: (not name.islower(), name)), *SPARE]
        for scope in self._source.scopes:
            if isinstance(scope.node, Function) and not self._may_be_named(scope, scope.node):
                used = self._used_in(scope)
                free = iter([name for name in pool if name not in used])
                for word in parameters(scope.node):
                    if word.arg not in has and self._is_positional(scope, scope.node, word):
                        nodes = self._source.meant[scope, word.arg]
                        self._rename(nodes, _next(free, self._source))

    def _may_be_named(self, scope: Scope, node: Function) -> bool:
        """Tell whether any parameter of a function may be named in a call."""
        spread = self._world.spread
        if node.args.kwarg:
            return True
        if isinstance(node, ast.Lambda):
            return False
        outer = scope.outer.node if scope.outer else None
        if node.name in spread or (isinstance(outer, ast.ClassDef) and outer.name in spread):
            return True
        is_public = not node.name.startswith("_") or node.name.startswith("__")
        if not is_public or isinstance(outer, Function):
            return False
        name = self._source.name
        return name in self._world.interface or f"{name}.{node.name}" in self._world.interface

    def _is_positional(self, scope: Scope, node: Function, word: ast.arg) -> bool:
        named = self._world.keywords | self._source.fixed | scope.rigid | {"self"}
        return word.arg not in named and word not in node.args.kwonlyargs

    def _has(self) -> set[str]:
        """Return the names that the compiled module has anyway, fit for parameters."""
        names = {name for scope in [self._source.top, *self._classes] for name in scope.bound}
        for node in self._source.nodes:
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.keyword) and node.arg:
                names.add(node.arg)
        names.update(text for text in strings(self._source.nodes) if constants.is_interned(text))
        return {name for name in names if _is_plain(name)}

    def _used_in(self, scope: Scope) -> set[str]:
        """Return the names, old and new, that mean something in a function."""
        names: set[str] = set()
        for inside in self._source.scopes:
            if inside.is_in(scope):
                names |= inside.bound
                for name, node in inside.used:
                    names |= {name, self._new.get(id(node), name)}
        return names


class _Meant(ast.NodeTransformer):
    """Makes the tree that the new text must have, of the old one."""

    def __init__(self, new: dict[int, str], const: dict[int, list[constants.Pair]]) -> None:
        self._new = new
        self._const = const

    def visit(self, node: ast.AST) -> Any:
        """Rename a node, and all below."""
        for word in ("id", "arg", "attr", "name"):
            if id(node) in self._new and hasattr(node, word):
                setattr(node, word, self._new[id(node)])
        if id(node) not in self._const:
            return self.generic_visit(node)
        function = ast.Name("const", ast.Load())
        return [
            ast.Assign([name], ast.Call(function, [value], []))
            for name, value in self._const[id(node)]
        ]


def _shape(table: symtable.SymbolTable) -> object:
    """Return what there is in a scope, and in those in it, without its names."""
    symbols = [symbol for symbol in table.get_symbols() if symbol.get_name() != "const"]
    flags = sorted(
        (
            symbol.is_parameter(), symbol.is_local(), symbol.is_global(), symbol.is_free(),
            symbol.is_imported(), symbol.is_assigned(), symbol.is_referenced(),
            len(symbol.get_namespaces()),
        )
        for symbol in symbols
    )  # fmt: skip
    return table.get_type(), flags, [_shape(child) for child in table.get_children()]


def _next(names: Iterator[str], source: Source) -> str:
    for name in names:
        return name
    raise CommandError(f"{source.name} has more names than there are short ones")


def _start(node: ast.AST) -> tuple[int, int]:
    assert isinstance(node, ast.Name)
    return node.lineno, node.col_offset


def _is_plain(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and not keyword.iskeyword(name)
