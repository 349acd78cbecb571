"""Values of a Python source, as far as its text alone decides them.

A value is a short list of alternatives: a name that is assigned twice may hold either text. Parts
that only the run knows stand as ``$unknown`` in them.
"""

from __future__ import annotations

import ast
from itertools import islice, product
from typing import Final

from rampart.intercept.code.findings import UNKNOWN, Text
from rampart.intercept.code.folds import (
    FUNCTIONS,
    LIST_FOLDS,
    METHODS,
    Fold,
    format_braces,
    format_percent,
    join_paths,
)
from rampart.intercept.code.names import Names
from rampart.intercept.code.resolution import ALTERNATIVES_MAX
from rampart.intercept.code.word_lists import Values, WordLists, constant_text, pairs
from rampart.limits import CODE_BYTES_MAX
from rampart.model import Host

_REPEAT_MAX: Final = 4096  # characters that a repetition may make


class Evaluator(WordLists):
    """Evaluates expressions of one source. Every method ends within its budget."""

    def __init__(self, names: Names, host: Host) -> None:
        super().__init__(names)
        self._host = host

    def texts(self, node: ast.expr | None) -> Values:
        """Return the texts that ``node`` may stand for; never empty."""
        if node is None:
            return [UNKNOWN]
        if not self._spend():
            return [UNKNOWN]
        self._depth += 1
        try:
            found = list(dict.fromkeys(self._texts(node)))
        finally:
            self._depth -= 1
        return found if 0 < len(found) <= ALTERNATIVES_MAX else [UNKNOWN]

    def text(self, node: ast.expr | None) -> Text:
        """Return the only text that ``node`` may stand for, else unknown."""
        found = self.texts(node)
        return found[0] if len(found) == 1 else UNKNOWN

    def _texts(self, node: ast.expr) -> Values:
        match node:
            case ast.Constant(value=value):
                return [constant_text(value)]
            case ast.Name(id=name):
                return self._bound_texts(name)
            case ast.JoinedStr(values=parts):
                return _joined([self.texts(part) for part in parts])
            case (
                ast.FormattedValue(value=value)
                | ast.Await(value=value)
                | ast.NamedExpr(value=value)
            ):
                return self.texts(value)
            case ast.BinOp(left=left, op=op, right=right):
                return self._operation(left, op, right)
            case ast.IfExp(body=body, orelse=orelse):
                return self.texts(body) + self.texts(orelse)
            case ast.BoolOp(values=values):
                return [text for value in values for text in self.texts(value)]
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript(value=value, slice=index):
                return self._subscript(value, index)
            case ast.Call():
                return self._call(node)
            case _:
                return [UNKNOWN]

    def _bound_texts(self, name: str) -> Values:
        if name in self._active or name not in self._names.bindings:
            return [UNKNOWN]
        self._active.add(name)
        try:
            found: Values = []
            for kind, node in self._names.bindings[name][: ALTERNATIVES_MAX + 1]:
                if kind == "value":
                    found += self.texts(node)
                elif kind == "element":
                    found += self.elements(node)
                else:
                    found += _joined([found[-1:] or [UNKNOWN], self.texts(node)])
            return found
        finally:
            self._active.discard(name)

    def _operation(self, left: ast.expr, op: ast.operator, right: ast.expr) -> Values:
        match op:
            case ast.Add():
                return _joined([self.texts(left), self.texts(right)])
            case ast.Div():
                return [
                    join_paths([first, second])
                    for first, second in pairs(self.texts(left), self.texts(right))
                ]
            case ast.Mod():
                arguments = right.elts if isinstance(right, ast.Tuple) else [right]
                values = [self.text(each) for each in arguments]
                return [format_percent(each, values) for each in self.texts(left)]
            case ast.Mult() if isinstance(right, ast.Constant) and type(right.value) is int:
                return [_repeated(each, right.value) for each in self.texts(left)]
            case _:
                return [UNKNOWN]

    def _attribute(self, node: ast.Attribute) -> Values:
        name = self.dotted(node)
        known = {
            "sys.executable": "python3",
            "os.sep": "/",
            "os.path.sep": "/",
            "os.curdir": ".",
            "os.pardir": "..",
            "os.linesep": "\n",
            "os.devnull": "/dev/null",
            "tempfile.tempdir": "/tmp",  # noqa: S108 - a value of the source, not a file of ours
        }.get(name)
        if known is not None:
            return [Text(known)]
        if self.is_path(node.value) and node.attr in METHODS:
            return [METHODS[node.attr](each, []) for each in self.texts(node.value)]
        return self._bound_texts(f".{node.attr}")

    def _subscript(self, value: ast.expr, index: ast.expr) -> Values:
        if self.dotted(value) == "os.environ":
            return [self._variable(self.text(index))]
        if isinstance(index, ast.Slice):
            return [self._sliced(each, index) for each in self.texts(value)]
        match index:
            case ast.Constant(value=int(position)) if isinstance(value, ast.List | ast.Tuple):
                inside = -len(value.elts) <= position < len(value.elts)
                return self.texts(value.elts[position]) if inside else [UNKNOWN]
            case ast.Constant(value=int(position)) if isinstance(value, ast.Constant):
                text = constant_text(value.value).text
                return [Text(text[position])] if -len(text) <= position < len(text) else [UNKNOWN]
            case _:
                return self._entry(value, index)

    def _entry(self, value: ast.expr, index: ast.expr) -> Values:
        wanted = self.text(index)
        table = self.origin(value)
        if isinstance(table, ast.Dict) and wanted.known:
            return [
                text
                for key, item in zip(table.keys, table.values, strict=True)
                if key is not None and self.text(key) == wanted
                for text in self.texts(item)
            ] or [UNKNOWN]
        if isinstance(table, ast.List | ast.Tuple) and wanted.known and wanted.text.isdecimal():
            position = int(wanted.text[:6])
            return self.texts(table.elts[position]) if position < len(table.elts) else [UNKNOWN]
        return [UNKNOWN]

    def _sliced(self, value: Text, index: ast.Slice) -> Text:
        bounds = []
        for each in (index.lower, index.upper, index.step):
            number = self._number(each)
            if each is not None and number is None:
                return UNKNOWN
            bounds.append(number)
        if not value.known or bounds[2] == 0:
            return UNKNOWN
        return Text(value.text[slice(*bounds)])

    def _number(self, node: ast.expr | None) -> int | None:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
                return -number
            case _:
                return None

    def _variable(self, name: Text) -> Text:
        if not name.known:
            return UNKNOWN
        if name.text == "HOME":
            return Text(self._host.home)
        known = self._host.variables.get(name.text)
        if known is not None:
            return Text(known)
        return Text(f"${name.text}" if name.text.isidentifier() else UNKNOWN.text, known=False)

    def _call(self, node: ast.Call) -> Values:
        name = self.dotted(node.func)
        arguments = [each for each in node.args if not isinstance(each, ast.Starred)]
        if name in ("os.getenv", "os.environ.get", "environ.get"):
            found = self._variable(self.text(arguments[0])) if arguments else UNKNOWN
            default = self.texts(arguments[1]) if len(arguments) > 1 and not found.known else []
            return [found, *default]
        if name == "pathlib.Path.home":
            return [Text(self._host.home)]
        if name in FUNCTIONS:
            return self._folded(FUNCTIONS[name], arguments)
        if isinstance(node.func, ast.Attribute):
            return self._method(node.func, node, arguments)
        return [UNKNOWN]

    def _folded(self, fold: Fold, arguments: list[ast.expr]) -> Values:
        if len(arguments) == 1 and fold in LIST_FOLDS:
            return [fold(words) for words in self.lists(arguments[0])]
        alternatives = [self.texts(each) for each in arguments]
        return [fold(list(each)) for each in islice(product(*alternatives), ALTERNATIVES_MAX + 1)]

    def _method(self, func: ast.Attribute, node: ast.Call, arguments: list[ast.expr]) -> Values:
        receivers = self.texts(func.value)
        if func.attr == "join" and len(arguments) == 1:
            return [
                _separated(receiver, words)
                for receiver in receivers
                for words in self.lists(arguments[0])
            ]
        if func.attr == "format":
            values = [self.text(each) for each in arguments]
            named = {each.arg: self.text(each.value) for each in node.keywords if each.arg}
            return [format_braces(each, values, named) for each in receivers]
        if func.attr in ("glob", "rglob") and self.is_path(func.value):
            return self.elements(node)
        fold = METHODS.get(func.attr)
        if fold is None:
            return [UNKNOWN]
        values = [self.text(each) for each in arguments]
        return [fold(each, values) for each in receivers]


def _joined(parts: list[Values]) -> Values:
    found: Values = []
    for combination in islice(product(*parts), ALTERNATIVES_MAX + 1):
        text = "".join(part.text for part in combination)
        if len(text) > CODE_BYTES_MAX:
            return [UNKNOWN]
        found.append(Text(text, all(part.known for part in combination)))
    return found


def _separated(separator: Text, words: list[Text]) -> Text:
    known = separator.known and all(word.known for word in words)
    return Text(separator.text.join(word.text for word in words), known)


def _repeated(value: Text, times: int) -> Text:
    if times < 0 or times * len(value.text) > _REPEAT_MAX:
        return UNKNOWN
    return Text(value.text * times, value.known)
