"""Scopes: what each name of a Python source means, and where in the text it stands.

Owns Python's rules on names, as far as the firmware uses them; what it can not follow, it refuses.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Sequence

from host_tools.errors import CommandError

Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Place = tuple[int, int, int]  # line, first and last column, in bytes


class Scope:
    """A module, class, function or comprehension."""

    def __init__(self, node: ast.AST, outer: "Scope | None") -> None:
        self.node = node
        self.outer = outer
        self.bound: set[str] = set()
        self.rigid: set[str] = set()  # bound by an import, an except or the like
        self.used: list[tuple[str, ast.AST]] = []  # also where it is bound

    def home(self, name: str) -> "Scope | None":
        """Return the scope that binds a name used in this one, None for a builtin."""
        if name in self.bound:
            return self
        scope = self.outer
        # what a class binds, the functions in it do not see
        while scope and (name not in scope.bound or isinstance(scope.node, ast.ClassDef)):
            scope = scope.outer
        return scope

    def is_in(self, other: "Scope") -> bool:
        """Tell whether it is other, or inside of it."""
        return self is other or bool(self.outer and self.outer.is_in(other))


class Source(ast.NodeVisitor):
    """A module's text, its tree, its scopes, and what every name in it means."""

    def __init__(self, name: str, text: str) -> None:
        """name: in full. Raises CommandError."""
        self.name = name
        self.text = text
        self.lines = text.encode().split(b"\n")
        try:
            self.tree = ast.parse(text, name)
        except SyntaxError as error:
            raise CommandError(f"{name}: {error}") from None
        self.top = self._scope = Scope(self.tree, None)
        self.scopes = [self.top]
        self.fixed: set[str] = set()  # said in a way that can not be said otherwise
        self.nodes = list(ast.walk(self.tree))
        self.words = {word for node in self.nodes for word in words(node)}
        self.generic_visit(self.tree)
        # where a scope binds a name, all that means this
        self.meant: dict[tuple[Scope, str], list[ast.AST]] = defaultdict(list)
        for scope in self.scopes:
            for word, node in scope.used:
                home = scope.home(word)
                if home:
                    self.meant[home, word].append(node)
                in_class = home is scope and isinstance(scope.node, ast.ClassDef)
                if in_class and is_loaded(node) and word in self.top.bound:
                    self.fixed.add(word)  # before the class binds it, it is the module's

    @property
    def own(self) -> set[ast.AST]:
        """Return every `self` that is a method's."""
        return {
            node
            for scope in self.scopes
            if scope.outer and isinstance(scope.outer.node, ast.ClassDef)
            for node in self.meant.get((scope, "self"), ())
        }

    def place(self, node: ast.AST) -> Place:
        """Return where the name stands that a node has. Raises CommandError."""
        line, start, name = self._place(node)
        end = start + len(name.encode())
        if self.lines[line - 1][start:end] != name.encode():
            raise CommandError(f"{self.name}, line {line}: {name} is not where it should be")
        return line, start, end

    def _place(self, node: ast.AST) -> tuple[int, int, str]:
        if isinstance(node, ast.Name):
            return node.lineno, node.col_offset, node.id
        if isinstance(node, ast.arg):
            return node.lineno, node.col_offset, node.arg
        if isinstance(node, ast.Attribute):
            assert node.end_lineno
            assert node.end_col_offset
            return node.end_lineno, node.end_col_offset - len(node.attr.encode()), node.attr
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        line = self.lines[node.lineno - 1]
        found = re.compile(rb"(async\s+)?(def|class)\s+").match(line, node.col_offset)
        return node.lineno, found.end() if found else 0, node.name

    def _bind(self, name: str | None, node: ast.AST | None = None) -> None:
        if name:
            self._scope.bound.add(name)
            if node:
                self._scope.used.append((name, node))
            else:
                self._scope.rigid.add(name)

    def _enter(self, node: ast.AST) -> Scope:
        outer = self._scope
        self._scope = Scope(node, outer)
        self.scopes.append(self._scope)
        return outer

    def _visit_all(self, nodes: Sequence[ast.AST | None]) -> None:
        for node in nodes:
            if node:
                self.visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Take note of a name."""
        if is_loaded(node):
            self._scope.used.append((node.id, node))
        else:
            self._bind(node.id, node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Take note of a function; what is before its body belongs to the scope around it."""
        self._bind(node.name, node)
        self._visit_all([*node.decorator_list, node.returns])
        self._function(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Take note of a function without a name."""
        self._function(node, [node.body])

    def _function(self, node: Function, body: Sequence[ast.AST]) -> None:
        self._visit_all([*node.args.defaults, *node.args.kw_defaults])
        words = parameters(node)
        self._visit_all([word.annotation for word in words])
        outer = self._enter(node)
        for word in words:
            self._bind(word.arg, word)
        self._visit_all(body)
        self._scope = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Take note of a class."""
        self._bind(node.name, node)
        self._visit_all([*node.decorator_list, *node.bases, *node.keywords])
        outer = self._enter(node)
        self._visit_all(node.body)
        self._scope = outer

    def _comprehension(self, node: Comprehension) -> None:
        """Take note of a comprehension, a scope of its own but for its first iterable."""
        first, *others = node.generators
        self.visit(first.iter)
        outer = self._enter(node)
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._visit_all([first.target, *first.ifs, *others, *results])
        self._scope = outer

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """Take note of `except ... as name`."""
        self._bind(node.name)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Take note of what is imported."""
        for alias in node.names:
            self._bind(alias.asname or alias.name.partition(".")[0])

    visit_ImportFrom = visit_Import

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        """Take note of names that are said to be another scope's."""
        self.fixed.update(node.names)

    visit_Nonlocal = visit_Global

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """Take note of `:=`, which may bind further out than it stands."""
        self.fixed.update(words(node.target))
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Take note of an f-string: before 3.12 the tree does not tell where its names stand."""
        self.fixed.update(word for part in ast.walk(node) for word in words(part))
        self.generic_visit(node)


def is_loaded(node: ast.AST) -> bool:
    """Tell whether a node reads a name."""
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def parameters(node: Function) -> list[ast.arg]:
    """Return all parameters of a function."""
    args = node.args
    stars = [star for star in (args.vararg, args.kwarg) if star]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *stars]


def words(node: ast.AST) -> list[str]:
    """Return the words that a node itself has, for whatever they stand."""
    found: list[str] = []
    for _, value in ast.iter_fields(node):
        if isinstance(value, str):
            found += value.split(".")
        elif isinstance(value, list):
            found += [item for item in value if isinstance(item, str)]
    return found


def strings(nodes: Sequence[ast.AST]) -> list[str]:
    """Return the texts of all nodes of a tree, but for docstrings."""
    expressions = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in expressions
    ]
