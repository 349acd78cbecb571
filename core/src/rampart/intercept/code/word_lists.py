"""Lists of words in a Python source: argument lists, and what a loop runs over."""

from __future__ import annotations

import ast
import shlex
from abc import abstractmethod
from collections.abc import Sequence
from itertools import islice, product
from typing import Final

from rampart.intercept.code.findings import UNKNOWN, Text
from rampart.intercept.code.folds import FUNCTIONS, join_paths
from rampart.intercept.code.resolution import ALTERNATIVES_MAX, Resolver

Values = list[Text]

_SAME_ELEMENTS: Final = frozenset(
    {"sorted", "list", "tuple", "set", "reversed", "iter", "frozenset"}
)
_LISTINGS: Final = frozenset({"glob.glob", "glob.iglob"})
_LETTERS_MAX: Final = 256  # of a text whose letters are asked for one by one


class WordLists(Resolver):
    """Evaluates lists. A rest that is not known is one unknown word."""

    @abstractmethod
    def texts(self, node: ast.expr | None) -> Values:
        """Return the texts that ``node`` may stand for; never empty."""

    def lists(self, node: ast.expr) -> list[list[Text]]:
        """Return the lists of words that ``node`` may stand for."""
        if not self._spend():
            return [[UNKNOWN]]
        self._depth += 1
        try:
            found = self._lists(node)
        finally:
            self._depth -= 1
        return found if 0 < len(found) <= ALTERNATIVES_MAX else [[UNKNOWN]]

    def is_list(self, node: ast.expr) -> bool:
        """True if ``node`` is, or names, a list display or something that makes a list of words."""
        match node:
            case ast.List() | ast.Tuple() | ast.ListComp():
                return True
            case ast.Name(id=name) if name not in self._active:
                self._active.add(name)
                try:
                    return any(
                        self.is_list(each.node) for each in self._names.bindings.get(name, ())
                    )
                finally:
                    self._active.discard(name)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.is_list(left) or self.is_list(right)
            case ast.Call(func=func):
                name = self.dotted(func)
                return name in ("shlex.split", "list", "tuple", "map") or name.endswith(".split")
            case _:
                return False

    def _lists(self, node: ast.expr) -> list[list[Text]]:
        match node:
            case ast.List(elts=items) | ast.Tuple(elts=items):
                found: list[list[Text]] = [[]]
                for item in items:
                    if isinstance(item, ast.Starred):
                        tails = self.lists(item.value)
                    else:
                        tails = [[text] for text in self.texts(item)]
                    found = [head + tail for head in found for tail in tails]
                    if len(found) > ALTERNATIVES_MAX:
                        return [[*found[0][:1], UNKNOWN]]
                return found
            case ast.Name(id=name):
                return self._bound_lists(name)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return [head + tail for head in self.lists(left) for tail in self.lists(right)]
            case ast.Call():
                return self._list_call(node)
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
                return [self._comprehension(element, node.generators)]
            case ast.Constant(value=str() | bytes()):
                return [[Text(letter) for letter in constant_text(node.value).text[:_LETTERS_MAX]]]
            case _:
                return [[UNKNOWN]]

    def _bound_lists(self, name: str) -> list[list[Text]]:
        if name in self._active or name not in self._names.bindings:
            return [[UNKNOWN]]
        self._active.add(name)
        try:
            found: list[list[Text]] = []
            for kind, node in self._names.bindings[name][: ALTERNATIVES_MAX + 1]:
                if kind == "value":
                    found += self.lists(node)
                elif kind == "added" and found:
                    found += [found[-1] + tail for tail in self.lists(node)]
                else:
                    found.append([UNKNOWN])
            return found
        finally:
            self._active.discard(name)

    def _list_call(self, node: ast.Call) -> list[list[Text]]:
        name = self.dotted(node.func)
        if name == "map" and len(node.args) == 2:
            fold = FUNCTIONS.get(self.dotted(node.args[0]))
            words = self.lists(node.args[1])
            return [[fold([word]) for word in each] for each in words] if fold else [[UNKNOWN]]
        if name in _SAME_ELEMENTS and len(node.args) == 1:
            return self.lists(node.args[0])
        split = isinstance(node.func, ast.Attribute) and node.func.attr == "split"
        if name == "shlex.split" and node.args:
            return [_words(each) for each in self.texts(node.args[0])]
        if split and isinstance(node.func, ast.Attribute):
            separator = self.text(node.args[0]).text if node.args else None
            receivers = self.texts(node.func.value)
            return [
                [Text(part, each.known) for part in each.text.split(separator or None)]
                for each in receivers
            ]
        return [[UNKNOWN]]

    def _comprehension(
        self, element: ast.expr, generators: Sequence[ast.comprehension]
    ) -> list[Text]:
        """Evaluate ``[f(x) for x in words]`` word by word where ``f`` folds."""
        first = generators[0]
        if len(generators) > 1 or not isinstance(first.target, ast.Name) or first.ifs:
            return [UNKNOWN]
        match element:
            case ast.Name(id=name) if name == first.target.id:
                return self.lists(first.iter)[0]
            case ast.Call(func=func, args=[ast.Name(id=name)]) if name == first.target.id:
                fold = FUNCTIONS.get(self.dotted(func))
                return [fold([word]) for word in self.lists(first.iter)[0]] if fold else [UNKNOWN]
            case _:
                return [UNKNOWN]

    def elements(self, node: ast.expr) -> Values:
        """Return what an element of ``node`` may be."""
        match node:
            case ast.Call(func=func, args=arguments):
                name = self.dotted(func)
                if name in _LISTINGS and arguments:
                    return self.texts(arguments[0])
                if name in _SAME_ELEMENTS and arguments:
                    return self.elements(arguments[0])
                if isinstance(func, ast.Attribute) and self.is_path(func.value):
                    return self._path_elements(func, arguments)
                return [word for words in self.lists(node) for word in words]
            case ast.Name() | ast.List() | ast.Tuple() | ast.ListComp() | ast.BinOp():
                literal = self.origin(node)
                if literal is not node and isinstance(literal, ast.Call):
                    return self.elements(literal)
                return [word for words in self.lists(node) for word in words]
            case ast.Set(elts=items):
                return [text for item in items for text in self.texts(item)]
            case ast.Dict(keys=keys):
                return [text for key in keys for text in self.texts(key)]
            case _:
                return [UNKNOWN]

    def _path_elements(self, func: ast.Attribute, arguments: list[ast.expr]) -> Values:
        patterns = self.texts(arguments[0]) if arguments else [Text("*")]
        if func.attr == "rglob":
            patterns = [Text(f"**/{each.text}", each.known) for each in patterns]
        elif func.attr not in ("glob", "iterdir"):
            return [UNKNOWN]
        return [join_paths([*each]) for each in pairs(self.texts(func.value), patterns)]


def constant_text(value: object) -> Text:
    """Return a literal as text."""
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, bytes):
        return Text(value.decode("utf-8", "surrogateescape"))
    if isinstance(value, bool) or value is None or not isinstance(value, int | float):
        return UNKNOWN
    return Text(str(value)) if abs(value) < 1e18 else UNKNOWN


def pairs(left: Values, right: Values) -> Sequence[tuple[Text, Text]]:
    """Return every combination, or one more than are allowed."""
    return list(islice(product(left, right), ALTERNATIVES_MAX + 1))


def _words(value: Text) -> list[Text]:
    try:
        return [Text(word, value.known) for word in shlex.split(value.text)]
    except ValueError:
        return [UNKNOWN]
