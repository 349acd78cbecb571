"""Parameter expansion: what ``$name`` and every form of ``${name…}`` become."""

from __future__ import annotations

from typing import Final

from rampart.intercept.shell import arithmetic, patterns
from rampart.intercept.shell.expansion import Expander, Fields, Shell
from rampart.intercept.shell.model import Word
from rampart.intercept.shell.state import UNSET
from rampart.intercept.shell.syntax import ArrayValue, Parameter

_CASE: Final = frozenset({"^", "^^", ",", ",,"})
_TRIM: Final = frozenset({"#", "##", "%", "%%"})
_REPLACE: Final = frozenset({"/", "//", "/#", "/%"})
_DEFAULTS: Final = frozenset({":-", "-", ":=", "=", ":?", "?", ":+", "+"})

Value = Word | tuple[Word, ...] | None
"""A scalar, the elements of a list, or None for what is not known."""


class Parameters:
    """Expands parameters in the current state of a shell."""

    __slots__ = ("_expander", "_shell")

    def __init__(self, shell: Shell, expander: Expander) -> None:
        self._shell = shell
        self._expander = expander

    def expand(self, node: Parameter, fields: Fields) -> None:
        """Add what ``node`` becomes to ``fields``."""
        value = self._value(node)
        if node.prefix == "#":
            self._length(node, value, fields)
        elif node.operator in _DEFAULTS:
            self._default(node, value, fields)
        elif node.operator:
            self._operate(node, value, fields)
        else:
            self._add(node, value, fields)

    def text(self, name: str) -> str | None:
        """Return the text of a variable, or None if it is not known."""
        value = self._named(name)
        return value.text if isinstance(value, Word) and value.known else None

    # values

    def _value(self, node: Parameter) -> Value:
        if node.prefix == "!":
            return self._indirect(node)
        if node.subscript is None:
            return self._named(node.name)
        subscript = self._expander.joined(node.subscript)
        self._shell.hidden(subscript)
        return self._element(node.name, subscript)

    def _indirect(self, node: Parameter) -> Value:
        if node.subscript is not None:
            self._expander.joined(node.subscript)
            return None
        if node.operator in ("*", "@"):
            return None
        name = self._named(node.name)
        if not isinstance(name, Word) or not name.known:
            return None
        base, bracket, rest = name.text.partition("[")
        if bracket:
            self._shell.hidden(Word(rest))
            return self._element(base, Word(rest.removesuffix("]")))
        return self._named(name.text)

    def _element(self, name: str, subscript: Word) -> Value:
        variables = self._shell.state.variables
        array = variables.get(f"{name}[@]")
        if array is None:
            scalar = self._named(name)
            if subscript.text in ("@", "*", "0") or not isinstance(scalar, Word):
                return scalar
            return UNSET if scalar.known and subscript.text.isdigit() else None
        if not isinstance(array, ArrayValue):
            return None
        if subscript.text in ("@", "*"):
            return array.items
        if not subscript.known:
            return None
        index = arithmetic.evaluate(subscript.text, self.text)
        if index is None or not -len(array.items) <= index:
            return None
        return array.items[index] if index < len(array.items) else UNSET

    def _named(self, name: str) -> Value:
        state = self._shell.state
        found = state.variables.get(name)
        if found is not None:
            return found
        if name in ("@", "*"):
            return state.positional
        if name.isdigit():
            if state.positional is None or name == "0":
                return None
            index = int(name[:6]) - 1
            return state.positional[index] if index < len(state.positional) else UNSET
        if name == "#":
            return None if state.positional is None else Word(str(len(state.positional)))
        return self._ambient(name)

    def _ambient(self, name: str) -> Value:
        state = self._shell.state
        if name == "HOME":
            return Word(self._shell.home) if self._shell.home else None
        if name == "PWD":
            directory = self._shell.directory()
            return Word(directory) if directory else None
        if name == "OLDPWD":
            return Word(state.previous) if state.previous and state.previous[0] == "/" else None
        return Word(" \t\n") if name == "IFS" else None

    # what is added

    def _add(self, node: Parameter, value: Value, fields: Fields) -> None:
        if value is None:
            fields.add_unknown(node.source)
        elif isinstance(value, tuple):
            self._add_list(node, value, fields)
        else:
            self._add_word(node, value, fields)

    @staticmethod
    def _add_word(node: Parameter, value: Word, fields: Fields) -> None:
        fields.add_substitutions(value.substitutions)
        if value.known:
            fields.add_value(value.text, quoted=node.quoted)
            fields.glob = fields.glob or value.glob  # a file name of `for x in *`
        else:
            fields.add_unknown(value.text)

    def _add_list(self, node: Parameter, items: tuple[Word, ...], fields: Fields) -> None:
        star = self._is_star(node)
        self._shell.spend(0, len(items))
        if node.quoted and star and fields.splits:
            separator = "" if fields.ifs is None else fields.ifs[:1]
            for index, item in enumerate(items):
                if index:
                    fields.add(separator, quoted=True)
                self._add_word(node, item, fields)
            fields.open = True
            return
        for index, item in enumerate(items):
            if index:
                if fields.splits:
                    fields.close()
                else:
                    fields.add(" ", quoted=True)
            self._add_word(node, item, fields)

    def _is_star(self, node: Parameter) -> bool:
        if node.subscript is not None:
            return self._expander.joined(node.subscript).text == "*"
        return node.name == "*"

    def _length(self, node: Parameter, value: Value, fields: Fields) -> None:
        if value is None or (isinstance(value, Word) and not value.known):
            fields.add_unknown(node.source)
        else:
            count = len(value) if isinstance(value, tuple) else len(value.text)
            fields.add_value(str(count), quoted=node.quoted)

    def _default(self, node: Parameter, value: Value, fields: Fields) -> None:
        operator = node.operator
        word = value
        if isinstance(value, tuple):
            # WHY: a list counts as empty if it has no elements or a single empty one
            word = value[0] if len(value) == 1 else (Word("x") if value else UNSET)
        if word is None or (isinstance(word, Word) and not word.known):
            argument = self._expander.joined(node.argument)
            fields.add_substitutions(argument.substitutions)
            fields.add_unknown(node.source)
            if operator in (":=", "="):
                self._shell.assign(node.name, Word(node.source, False))
            return
        assert isinstance(word, Word)
        empty = word is UNSET or (operator[0] == ":" and not word.text)
        if operator in (":=", "=") and empty:
            self._shell.assign(node.name, self._expander.joined(node.argument))
        if operator[-1] == "?" or empty == (operator[-1] == "+"):
            self._expander.joined(node.argument)
            if operator[-1] != "+":
                self._add(node, value, fields)
        else:
            self._expander.add_parts(node.argument, fields, split_literals=not node.quoted)

    # operators

    def _operate(self, node: Parameter, value: Value, fields: Fields) -> None:
        argument = self._expander.joined(node.argument)
        fields.add_substitutions(argument.substitutions)
        if value is None:
            fields.add_unknown(node.source)
            return
        if isinstance(value, tuple):
            found = self._on_list(node, value, argument)
            if found is None:
                fields.add_unknown(node.source)
            else:
                self._add_list(node, found, fields)
            return
        text = self._on_text(node, value, argument)
        fields.add_substitutions(value.substitutions)
        if text is None:
            fields.add_unknown(node.source)
        else:
            fields.add_value(text, quoted=node.quoted)

    def _on_list(
        self, node: Parameter, items: tuple[Word, ...], argument: Word
    ) -> tuple[Word, ...] | None:
        if node.operator == ":":
            bounds = self._bounds(argument)
            if bounds is None:
                return None
            offset, length = bounds
            if node.subscript is None:
                items = (Word("$0", False), *items)
            end = len(items) if length is None else offset + length
            return items[offset:end] if offset >= 0 and end >= offset else None
        texts = [self._on_text(node, item, argument) for item in items]
        return tuple(
            Word(item.text, False) if text is None else Word(text)
            for text, item in zip(texts, items, strict=True)
        )

    def _on_text(self, node: Parameter, value: Word, argument: Word) -> str | None:
        """Return the text after the operator; None if it is not known."""
        operator, text = node.operator, value.text
        if operator.startswith("@"):
            if operator == "@P":
                self._shell.hidden(value)
            change = {"@U": text.upper(), "@L": text.lower(), "@u": text[:1].upper() + text[1:]}
            return change.get(operator) if value.known else None
        if not value.known or not argument.known:
            return None
        if operator == ":":
            return self._substring(text, argument)
        if operator in _CASE:
            return None if argument.text else patterns.change_case(text, operator)
        if operator in _TRIM:
            trim = patterns.remove_prefix if operator[0] == "#" else patterns.remove_suffix
            return trim(text, argument.text, glob=argument.glob, longest=len(operator) == 2)
        if operator in _REPLACE and not argument.glob:
            pattern, _, new = argument.text.partition("/")
            if "&" in new or "\\" in argument.text:
                return None
            return patterns.replace(text, pattern, new, operator)
        return None

    def _bounds(self, argument: Word) -> tuple[int, int | None] | None:
        if not argument.known:
            return None
        first, colon, second = argument.text.partition(":")
        offset = arithmetic.evaluate(first, self.text)
        length = arithmetic.evaluate(second, self.text) if colon else None
        if offset is None or (colon and length is None):
            return None
        return offset, length

    def _substring(self, text: str, argument: Word) -> str | None:
        self._shell.hidden(argument)
        bounds = self._bounds(argument)
        if bounds is None:
            return None
        offset, length = bounds
        if offset < 0:
            offset += len(text)
            if offset < 0:
                return ""
        if length is None:
            return text[offset:]
        end = offset + length if length >= 0 else len(text) + length
        return text[offset:end] if end >= offset else None
