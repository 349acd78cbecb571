"""Source of languages without a parser of ours, read by its literals and calls.

A call that starts a program with anything but literals is opaque; files and requests with other
arguments are actions on an unknown path or address.
"""

from __future__ import annotations

import re
from typing import Final

from rampart.intercept.code.calls import Operation, guessed_effects
from rampart.intercept.code.expressions import Argument, Expressions, Token, plain_text
from rampart.intercept.code.findings import UNKNOWN, Findings, Text
from rampart.intercept.code.grammar import Grammar, grammar_of

TOO_LONG: Final = "source too long to be analysed"
RUN_TIME_SOURCE: Final = "runs source text that is only known at run time"
NATIVE: Final = "calls native code or the interpreter's internals"
_SOURCE_CHARS_MAX: Final = 64 * 1024
_NESTING_MAX: Final = 4  # source inside source
_CHAIN_CHARS_MAX: Final = 120  # longer than any name of the tables
_INSERTED: Final = re.compile(r"`|\b(?:run|rm|mv|cp|eval|ccall|write|Cmd|download|open)\(")
_WRITE_MODE: Final = re.compile(r"[wax+>]|O_WRONLY|O_RDWR|O_CREAT")


def read_lexically(language: str, text: str, findings: Findings, depth: int = 0) -> None:
    """Add what the source ``text`` is seen to do to ``findings``."""
    if len(text) > _SOURCE_CHARS_MAX or depth > _NESTING_MAX:
        findings.opaque(text, TOO_LONG)
        return
    grammar = grammar_of(language)
    if depth:
        findings.count_source()
    _Reader(grammar, text, findings, depth).run()
    if depth == 0 and grammar.powers is not None and _is_passed_around(grammar, text):
        findings.opaque(text[:200], RUN_TIME_SOURCE, frozenset({"runs-code"}))


def _is_passed_around(grammar: Grammar, text: str) -> bool:
    """True if a name that starts programs is used other than in a call: ``f <- system``."""
    powers = grammar.powers
    assert powers is not None
    for found in grammar.token.finditer(text):
        if found.lastgroup == "name" and powers.match(text, found.start()) is not None:
            return True
        # WHY: text between `$(` and `)` is code, which the reader sees only in part
        if found.lastgroup == "cooked":
            start = found.group().find("$(")
            if start >= 0 and _INSERTED.search(found.group(), start) is not None:
                return True
    return False


class _Reader:
    """Turns the calls of one source into findings."""

    def __init__(self, grammar: Grammar, text: str, findings: Findings, depth: int) -> None:
        self._grammar = grammar
        self._found = findings
        self._depth = depth
        self._table = grammar.table(text)
        self._source = Expressions(grammar, text, findings.setting.host.home)

    def run(self) -> None:
        """Read every call, in order."""
        for inner in self._source.inner:
            read_lexically(self._grammar.name, inner, self._found, self._depth + 1)
        tokens = self._source.tokens
        chain, linked = "", False
        for index, token in enumerate(tokens):
            if self._source.exhausted:
                self._found.opaque(chain, TOO_LONG)
                return
            if token.kind == "command":
                self._found.shell(Text(token.text, token.known))
            if token.kind == "link":
                linked = True
                if index and tokens[index - 1].text in (")", "]"):
                    chain = "()"
                continue
            if token.kind == "name":
                chain = f"{chain}.{token.text}" if linked and chain else token.text
                chain = chain[-_CHAIN_CHARS_MAX:]
                following = tokens[index + 1] if index + 1 < len(tokens) else None
                if following is None or following.kind != "link":
                    self._read_call(chain, index)
            elif token.text != "(" or not chain:
                chain = ""
            linked = False

    def _read_call(self, chain: str, index: int) -> None:
        operations = self._lookup(chain)
        if operations is None:
            effects = guessed_effects(chain.rpartition(".")[2]) if "." in chain else None
            if effects:
                self._found.note(chain, effects)
            return
        if index and self._source.tokens[index - 1].text in ("def", "function", "sub", "func"):
            return
        arguments = self._source.arguments(index + 1)
        if arguments is None:
            return
        for operation in operations:
            self._perform(chain, operation, arguments)

    def _lookup(self, chain: str) -> tuple[Operation, ...] | None:
        found = self._table.get(chain)
        if found is None and "." in chain:
            parts = chain.split(".")
            found = self._table.get(".".join(parts[-2:])) or self._table.get(f".{parts[-1]}")
        return found

    # operations

    def _perform(self, chain: str, operation: Operation, arguments: list[Argument]) -> None:
        match operation.kind:
            case "read" | "write" | "delete":
                self._use_files(operation, arguments)
            case "fetch" | "host":
                self._reach(operation, arguments)
            case "address":
                self._connect(arguments, operation.effects)
            case "socket":
                self._connect_named(arguments)
            case "either" | "argv" | "argv-rest" | "argv-unknown":
                self._start(operation, arguments)
            case "mode" | "perl-open":
                self._open(operation, arguments)
            case "shell" | "eval" | "send" | "module":
                if arguments:
                    self._run(chain, operation.kind, arguments)
            case "opaque":
                self._found.opaque(chain, NATIVE)
            case _:
                self._found.note(chain, operation.effects)

    def _run(self, chain: str, kind: str, arguments: list[Argument]) -> None:
        if kind == "shell":
            self._found.shell(arguments[0].text)
        elif kind == "eval":
            self._run_source(chain, arguments)
        elif kind == "send":
            self._send(arguments)
        else:
            self._load_module(arguments)

    def _reach(self, operation: Operation, arguments: list[Argument]) -> None:
        if not arguments:
            return
        value = _text_at(arguments, operation.position or 0)
        if operation.kind == "host":
            value = Text(f"tcp://{value.text}", value.known)
        self._found.url(value, operation.effects)

    def _use_files(self, operation: Operation, arguments: list[Argument]) -> None:
        effects = operation.effects
        if any(token.text == "recursive" for each in arguments[1:] for token in each.tokens):
            effects |= {"recursive"}
        if operation.spread:
            chosen = arguments
        else:
            position = operation.position or 0
            chosen = arguments[position : position + 1]
        for argument in chosen:
            if argument.tokens[0].text == "{" or (argument.tokens[-1].text in ("true", "false")):
                continue
            for value in argument.words if argument.words is not None else (argument.text,):
                if operation.kind == "read" and "://" in value.text[:12]:
                    self._found.url(value, effects)
                else:
                    self._found.path(operation.kind, value, effects)

    def _start(self, operation: Operation, arguments: list[Argument]) -> None:
        if operation.kind == "argv-rest":
            arguments = arguments[operation.position or 0 :]
        if operation.kind == "argv-unknown" or not arguments:
            if operation.kind != "either":
                self._found.program_unknown("")
            return
        words: list[Text] = []
        for argument in arguments:
            if argument.words is not None and argument.tokens[0].text != "{":
                words += argument.words
            elif argument.tokens[0].text != "{" and plain_text(argument.tokens) not in (
                "NULL",
                "nil",
            ):
                words.append(argument.text)
        if operation.kind == "argv" and len(arguments) > 1 and arguments[1].words is None:
            plain = [each for each in arguments if each.text.known]
            words = (
                [each.text for each in plain] if len(plain) != len(arguments) and plain else words
            )
        if len(words) == 1 and (operation.kind == "either" or " " in words[0].text):
            self._found.shell(words[0])
        else:
            self._found.argv(words)

    def _open(self, operation: Operation, arguments: list[Argument]) -> None:
        if operation.kind == "perl-open":
            arguments = arguments[1:]
            if arguments and self._perl_pipe(arguments):
                return
            if len(arguments) > 1:
                arguments = [arguments[1], arguments[0]]
        if not arguments:
            return
        path = arguments[0].text
        if path.text.startswith("|"):
            self._found.shell(Text(path.text[1:], path.known))
            return
        mode = plain_text(arguments[1].tokens) if len(arguments) > 1 else "r"
        found = re.match(r"\s*(\+?[<>]{1,2})\s*(.+)", path.text, re.DOTALL)
        if operation.kind == "perl-open" and found is not None:
            mode, path = found.group(1), Text(found.group(2), path.known)
        if "://" in path.text[:12]:
            self._found.url(path)
            return
        tool = "write" if _WRITE_MODE.search(mode) else "read"
        self._found.path(tool, path)

    def _perl_pipe(self, arguments: list[Argument]) -> bool:
        """Read ``open(F, "command|")`` and ``open(F, "-|", "command", …)``."""
        first = arguments[0].text
        text = first.text.strip()
        if text in ("-|", "|-") and len(arguments) > 1:
            rest = [each.text for each in arguments[1:]]
            self._found.shell(rest[0]) if len(rest) == 1 else self._found.argv(rest)
            return True
        if text.startswith("|") or text.endswith("|"):
            self._found.shell(Text(text.strip("| "), first.known))
            return True
        return False

    def _run_source(self, chain: str, arguments: list[Argument]) -> None:
        if arguments[0].tokens[0].text == "{":
            return  # Perl's `eval { … }` is a block
        value = arguments[-1 if chain == "Function" else 0].text
        if value.known:
            read_lexically(self._grammar.name, value.text, self._found, self._depth + 1)
        else:
            self._found.opaque(
                f"{chain}({value.text[:200]})", RUN_TIME_SOURCE, frozenset({"runs-code"})
            )

    def _send(self, arguments: list[Argument]) -> None:
        """Read ``send(:system, "text")`` as the call that it makes."""
        name = arguments[0].text
        if not name.known:
            return
        operations = self._table.get(name.text)
        for operation in operations or ():
            self._perform(name.text, operation, arguments[1:])

    def _load_module(self, arguments: list[Argument]) -> None:
        value = arguments[0].text
        if not value.known:
            self._found.opaque(f"require({value.text[:200]})", RUN_TIME_SOURCE)
        elif value.text.startswith((".", "/")):
            self._found.path("read", value, frozenset({"executes"}))

    def _connect(self, arguments: list[Argument], effects: frozenset[str]) -> None:
        if not arguments:
            return
        tokens = arguments[0].tokens
        if tokens[0].text == "{":
            self._connect_named([Argument(UNKNOWN, None, tokens)])
            return
        first = arguments[0].text
        second = _text_at(arguments, 1)
        if first.text.isdecimal() or (plain_text(tokens).isdecimal() and len(arguments) > 1):
            first, second = second, Text(plain_text(tokens))  # net.connect(port, host)
        elif len(arguments) > 1 and not second.known:
            second = Text(plain_text(arguments[1].tokens))
        port = f":{second.text}" if second.text.isdecimal() else ""
        if first.known or len(arguments) > 1:
            self._found.url(Text(f"tcp://{first.text}{port}", first.known), effects)

    def _connect_named(self, arguments: list[Argument]) -> None:
        """Read ``PeerAddr => "host:port"`` and ``{host: "…", port: …}``."""
        tokens = [token for each in arguments for token in each.tokens]
        host, port = UNKNOWN, ""
        for index, token in enumerate(tokens[:-1]):
            following = next(
                (each for each in tokens[index + 1 : index + 4] if each.kind == "string"), None
            )
            if token.text in ("PeerAddr", "PeerHost", "host", "hostname") and following is not None:
                host = Text(following.text, following.known)
            elif token.text in ("PeerPort", "port"):
                port = next((":" + digits for digits in _digits(tokens[index + 1 : index + 8])), "")
        self._found.url(Text(f"tcp://{host.text}{port}", host.known), frozenset({"raw-socket"}))


def _text_at(arguments: list[Argument], position: int) -> Text:
    return arguments[position].text if position < len(arguments) else UNKNOWN


def _digits(tokens: list[Token]) -> list[str]:
    text = "".join(token.text if token.kind != "string" else f" {token.text} " for token in tokens)
    return re.findall(r"\d{1,5}", text)[:1]
