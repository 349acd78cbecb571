"""Names of a Python source: imports, assignments, loops, parameters, in one bounded walk.

Scopes are not told apart: a name stands for everything that is ever bound to it. That finds more
than would happen, never less.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from rampart.limits import CODE_NODES_MAX

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


class Binding(NamedTuple):
    """One thing bound to a name: a value, an element of a value, or a value appended to it."""

    kind: Literal["value", "element", "added"]
    node: ast.expr


class Names:
    """What the names of one source stand for, and its calls and stores in order."""

    def __init__(self, tree: ast.AST) -> None:
        self.aliases: dict[str, str] = {}
        self.stars: list[str] = []
        self.modules: list[str] = []
        self.bindings: dict[str, list[Binding]] = {}
        self.functions: dict[str, ast.arguments] = {}
        self.calls: list[ast.Call] = []
        self.stores: list[tuple[ast.expr, ast.expr]] = []
        self.loads: list[ast.Attribute] = []
        self.complete = True
        self._walk(tree)
        self._bind_parameters()

    def _walk(self, tree: ast.AST) -> None:
        stack: list[ast.AST] = [tree]
        count = 0
        while stack:
            node = stack.pop()
            count += 1
            if count > CODE_NODES_MAX:
                self.complete = False
                return
            visit = _VISITS.get(type(node))
            if visit is not None:
                visit(self, node)
            children: list[ast.AST] = []
            for name in node._fields:
                value = getattr(node, name, None)
                if value.__class__ is list:
                    children += [item for item in value if isinstance(item, ast.AST)]
                elif isinstance(value, ast.AST):
                    children.append(value)
            children.reverse()
            stack += children

    def bind(self, target: ast.expr, value: ast.expr, kind: Literal["value", "element"]) -> None:
        """Note that ``target`` is assigned ``value``, or one of its elements."""
        match target:
            case ast.Name(id=name):
                self.bindings.setdefault(name, []).append(Binding(kind, value))
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                self._bind_each(targets, value, kind)
            case ast.Starred(value=inner):
                self.bind(inner, value, "value")
            case ast.Subscript() | ast.Attribute() if kind == "value":
                self.stores.append((target, value))
                if isinstance(target, ast.Attribute):
                    self.bindings.setdefault(f".{target.attr}", []).append(Binding(kind, value))
            case _:
                pass

    def _bind_each(
        self, targets: list[ast.expr], value: ast.expr, kind: Literal["value", "element"]
    ) -> None:
        paired = (
            kind == "value"
            and isinstance(value, ast.Tuple | ast.List)
            and len(value.elts) == len(targets)
            and not any(isinstance(each, ast.Starred) for each in (*targets, *value.elts))
        )
        if paired and isinstance(value, ast.Tuple | ast.List):
            for target, each in zip(targets, value.elts, strict=True):
                self.bind(target, each, "value")
        else:
            for target in targets:
                self.bind(target, value, "element")

    def _bind_parameters(self) -> None:
        for call in self.calls:
            if not isinstance(call.func, ast.Name):
                continue
            found = self.functions.get(call.func.id)
            if found is None:
                continue
            names = [each.arg for each in (*found.posonlyargs, *found.args)]
            for name, value in zip(names, call.args, strict=False):
                if isinstance(value, ast.Starred):
                    break
                self._bind_name(name, value)
            for keyword in call.keywords:
                if keyword.arg is not None:
                    self._bind_name(keyword.arg, keyword.value)

    def _bind_name(self, name: str, value: ast.expr) -> None:
        self.bindings.setdefault(name, []).append(Binding("value", value))


def _import(names: Names, node: ast.Import) -> None:
    for alias in node.names:
        names.modules.append(alias.name)
        bound = alias.asname or alias.name.partition(".")[0]
        names.aliases[bound] = alias.name if alias.asname else bound


def _import_from(names: Names, node: ast.ImportFrom) -> None:
    module = node.module or ""
    names.modules.append(module)
    for alias in node.names:
        if alias.name == "*":
            names.stars.append(module)
        elif not node.level:
            names.aliases[alias.asname or alias.name] = f"{module}.{alias.name}"


def _assign(names: Names, node: ast.Assign) -> None:
    for target in node.targets:
        names.bind(target, node.value, "value")
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Lambda):
            names.functions[target.id] = node.value.args


def _annotated(names: Names, node: ast.AnnAssign) -> None:
    if node.value is not None:
        names.bind(node.target, node.value, "value")


def _augmented(names: Names, node: ast.AugAssign) -> None:
    if isinstance(node.target, ast.Name):
        names.bindings.setdefault(node.target.id, []).append(Binding("added", node.value))


def _named(names: Names, node: ast.NamedExpr) -> None:
    names.bind(node.target, node.value, "value")


def _loop(names: Names, node: ast.For | ast.AsyncFor | ast.comprehension) -> None:
    names.bind(node.target, node.iter, "element")


def _with_item(names: Names, node: ast.withitem) -> None:
    if node.optional_vars is not None:
        names.bind(node.optional_vars, node.context_expr, "value")


def _function(names: Names, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    names.functions[node.name] = node.args
    spec = node.args
    positional = [*spec.posonlyargs, *spec.args]
    pairs = list(zip(reversed(positional), reversed(spec.defaults), strict=False))
    pairs += [
        (each, default)
        for each, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
        if default is not None
    ]
    for each, default in pairs:
        names.bindings.setdefault(each.arg, []).append(Binding("value", default))


def _call(names: Names, node: ast.Call) -> None:
    names.calls.append(node)


def _attribute(names: Names, node: ast.Attribute) -> None:
    names.loads.append(node)


_VISITS: Final[dict[type[ast.AST], Callable[[Names, Any], None]]] = {
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.NamedExpr: _named,
    ast.For: _loop,
    ast.AsyncFor: _loop,
    ast.comprehension: _loop,
    ast.withitem: _with_item,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.Call: _call,
    ast.Attribute: _attribute,
}
