"""What names of a Python source stand for, through imports and assignments."""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from typing import Final

from rampart.intercept.code.calls import KNOWN_NAMES
from rampart.intercept.code.findings import Text
from rampart.intercept.code.names import Names

ALTERNATIVES_MAX: Final = 16  # a value with more texts than this counts as unknown
DEPTH_MAX: Final = 40  # nesting of expressions, and of names behind names
STEPS_MAX: Final = 8000  # LIMIT: expressions evaluated in one source, about 2 µs each

_PATH_TYPE: Final = re.compile(r"pathlib\.(?:Pure)?(?:Posix|Windows)?Path\(\)")
_PATH_KEEPS: Final = frozenset(
    {"parent", "resolve()", "absolute()", "expanduser()", "joinpath()", "with_name()", "rename()"}
    | {"with_suffix()", "with_stem()", "relative_to()", "replace()", "home()", "cwd()"}
)
_NAMESPACES: Final = frozenset({"globals()", "locals()", "vars()", "sys.modules", "__builtins__"})


class Resolver(ABC):
    """Resolves names; ends within its budget, with ``?`` if need be."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._steps = STEPS_MAX
        self._active: set[str] = set()
        self._depth = 0

    @abstractmethod
    def text(self, node: ast.expr | None) -> Text:
        """Return the only text that ``node`` may stand for, else unknown."""

    def _spend(self) -> bool:
        """Take one step of the budget; False when it is used up or the nesting is too deep."""
        self._steps -= 1
        return self._steps >= 0 and self._depth <= DEPTH_MAX

    def is_path(self, node: ast.expr) -> bool:
        """True if ``node`` is a ``pathlib`` path."""
        return _PATH_TYPE.fullmatch(self.dotted(node)) is not None

    def dotted(self, node: ast.expr) -> str:
        """Return what ``node`` names, through imports and assignments: ``os.path.join``, ``x().y``.

        ``?`` stands for what is not known.
        """
        if not self._spend():
            return "?"
        self._depth += 1
        try:
            return self._dotted(node)
        finally:
            self._depth -= 1

    def _dotted(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute(value=value, attr=attr):
                return _typed(self.dotted(value), attr)
            case ast.Call(func=func):
                return self._called(node, func)
            case ast.Subscript(value=value, slice=index):
                return self._looked_up(self.dotted(value), index)
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self.dotted(value)
            case ast.BinOp(left=left, op=ast.Div()):
                return self.dotted(left)
            case ast.IfExp(body=body):
                return self.dotted(body)
            case ast.BoolOp(values=values):
                return self.dotted(values[0])
            case ast.Constant(value=str() | bytes()) | ast.JoinedStr():
                return "str()"
            case _:
                return "?"

    def _named(self, name: str) -> str:
        alias = self._names.aliases.get(name)
        if alias is not None:
            return alias
        bound = self._names.bindings.get(name)
        if bound is not None:
            if name in self._active:
                return "?"
            self._active.add(name)
            try:
                found = [self._bound_name(kind, node) for kind, node in bound[:ALTERNATIVES_MAX]]
            finally:
                self._active.discard(name)
            return next((each for each in found if not each.startswith("?")), "?")
        if name in self._names.functions:
            return f"?.{name}"
        for module in self._names.stars:
            if f"{module}.{name}" in KNOWN_NAMES:
                return f"{module}.{name}"
        return name

    def _bound_name(self, kind: str, node: ast.expr) -> str:
        if kind == "value":
            return self.dotted(node)
        if kind == "element" and isinstance(node, ast.Call):
            name = self.dotted(node.func)
            if name.endswith(("Path().glob", "Path().rglob", "Path().iterdir")):
                return name.rpartition(".")[0]
        return "?"

    def _called(self, node: ast.Call, func: ast.expr) -> str:
        name = self.dotted(func)
        if name in ("__import__", "importlib.import_module", "importlib.__import__") and node.args:
            found = self.text(node.args[0])
            return found.text if found.known else "?module"
        if name == "getattr" and len(node.args) >= 2:
            found = self.text(node.args[1])
            return _typed(self.dotted(node.args[0]), found.text if found.known else "?")
        if name in ("operator.attrgetter", "operator.methodcaller") and node.args:
            return f"?.{self.text(node.args[0]).text}"
        if name == "functools.partial" and node.args:
            return self.dotted(node.args[0])
        if name == "vars" and node.args:
            return f"{self.dotted(node.args[0])}.__dict__"
        return _typed(*name.rpartition(".")[::2], called=True) if "." in name else f"{name}()"

    def _looked_up(self, base: str, index: ast.expr) -> str:
        key = self.text(index)
        if base in _NAMESPACES or base.endswith("__builtins__"):
            return key.text if key.known else "?module"
        if base.endswith(".__dict__"):
            return f"{base.removesuffix('.__dict__')}.{key.text if key.known else '?'}"
        return f"{base}[]"

    def origin(self, node: ast.expr) -> ast.expr:
        """Return the expression that a name was assigned once, or the node itself."""
        if isinstance(node, ast.Name):
            bound = self._names.bindings.get(node.id, [])
            if len(bound) == 1 and bound[0].kind == "value":
                return bound[0].node
        return node


def _typed(base: str, attr: str, *, called: bool = False) -> str:
    """Join a name and its attribute; a path's relatives are paths, too."""
    if base in ("builtins", "__builtins__"):
        return f"{attr}()" if called else attr
    if called:
        attr += "()"
    if attr in _PATH_KEEPS and (_PATH_TYPE.fullmatch(base) or base == "pathlib.Path"):
        return "pathlib.Path()"
    return f"{base}.{attr}"
