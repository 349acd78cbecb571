"""What built-in commands do to the state of the shell that runs them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from rampart.intercept.shell import arithmetic, output
from rampart.intercept.shell.model import Command, Word
from rampart.intercept.shell.state import UNSET, alias_key, function_key
from rampart.intercept.shell.syntax import AndOr, ArrayValue, Node, Simple
from rampart.limits import PATH_BYTES_MAX

if TYPE_CHECKING:
    from rampart.intercept.shell.context import Context

NUMERIC_TESTS: Final = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v"})
_SUCCEEDS: Final = frozenset(
    {"cd", "pushd", "export", "declare", "local", "readonly", "true", ":", "echo", "printf", "set"}
)
_SPECIAL: Final = frozenset(
    {":", "eval", "export", "readonly", "set", "unset", "trap", "exec", ".", "shift"}
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]]*\])?(\+?=)(.*)", re.DOTALL)
_HIDDEN: Final = re.compile(r"\[.*(?:\$\(|`|\$\{)", re.DOTALL)

_PATH: Final = re.compile(r"\A\$\w+(?:/[\w.+-]+)+\Z|\A/[^ ]*/[\w.+-]+\Z")  # of no built-in
_PLAIN_PATH: Final = re.compile(r"[^/.][^/]*")

Arguments = Sequence[Word]


def is_assignment(source: str) -> bool:
    """Tell whether a word is written like an assignment."""
    return _ASSIGNMENT.match(source) is not None


def changes_directory(node: Node) -> bool:
    """Tell whether a command is a `cd`, which changes nothing where it fails."""
    return _first(node) in ("cd", "pushd", "popd", "chdir")


def assumed_to_succeed(node: Node) -> bool:
    """Tell whether what follows ``&&`` is taken to run: after `cd`, assignments, `true`."""
    if isinstance(node, Simple) and not node.words:
        return True
    return _first(node) in _SUCCEEDS


def _first(node: Node) -> str:
    if isinstance(node, AndOr):
        return ""
    if isinstance(node, Simple) and node.words and isinstance(node.words[0], Word):
        return node.words[0].text
    return ""


def array_items(shell: Context, name: str) -> tuple[Word, ...] | None:
    """Return the elements of a variable, or None if they are not known."""
    array = shell.state.variables.get(f"{name}[@]")
    if isinstance(array, ArrayValue):
        return array.items
    scalar = shell.state.variables.get(name)
    if array is not None or scalar is None or not scalar.known:
        return None
    return () if scalar is UNSET else (scalar,)


def assign_element(shell: Context, name: str, subscript: Word, value: Word) -> None:
    """Set one element of an array."""
    items = array_items(shell, name)
    if items is None and name not in shell.state.variables:
        items = ()
    shell.spend(0, len(items or ()))  # WHY: the others are copied for each one that is set
    index = arithmetic.evaluate(subscript.text, shell.parameters.text) if subscript.known else None
    if items is None or index is None or not 0 <= index <= len(items) or not value.known:
        shell.state.assign_array(name, None)
    else:
        shell.state.assign_array(name, (*items[:index], value, *items[index + 1 :]))


def apply(shell: Context, words: tuple[Word, ...], command: Command) -> None:
    """Change the state as the built-in ``words[0]`` does."""
    at, last = 0, len(words) - 1
    while at < last and words[at].text in ("command", "builtin", "\\"):
        at += 1
        while at < last and words[at].text in ("-p", "--"):
            at += 1
    words = words[at:]
    first = words[0]
    if not first.known and not _PATH.search(first.text):
        # WHY: a command that is not known may be `eval`, `cd` or an assignment
        shell.forget_all()
        return
    effect = _EFFECTS.get(first.text)
    if effect is None:
        return
    if command.assignments and first.text in _SPECIAL:
        # WHY: assignments in front of these stay in `sh` and go in bash
        shell.forget({name for name, _ in command.assignments if _NAME.fullmatch(name)})
    if first.text in _HIDING:
        for word in words[1:]:
            if word.known and _HIDDEN.search(word.text):
                shell.hidden(word)
    effect(shell, words[1:])


# directories


def normal_path(base: str, path: str) -> str:
    """Join and simplify a path as text; a relative result stays relative."""
    if base and _PLAIN_PATH.fullmatch(path):
        return f"{base}/{path}" if base != "/" else f"/{path}"
    joined = path if path.startswith("/") or not base else f"{base}/{path}"
    parts: list[str] = []
    for part in joined.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part == ".." and joined.startswith("/"):
            continue
        elif part and part != ".":
            parts.append(part)
    text = "/".join(parts)
    return f"/{text}" if joined.startswith("/") else text or "."


def _target(shell: Context, path: Word) -> str | None:
    cwd = shell.state.cwd
    if not path.known or path.glob or "\0" in path.text:
        return None
    if path.text.startswith("/"):
        return normal_path("", path.text)
    if cwd is None or not path.text or "CDPATH" in shell.state.variables:
        return None
    found = normal_path(cwd or shell.start, path.text)
    if len(found) > PATH_BYTES_MAX:
        return None
    return "" if found == (shell.start or ".") else found


def _move(shell: Context, target: str | None) -> None:
    shell.log.append("/")
    shell.state.previous, shell.state.cwd = shell.state.cwd, target


def _cd(shell: Context, arguments: Arguments) -> None:
    rest = list(arguments)
    while rest and re.fullmatch(r"-[LPe@]+|--", rest[0].text):
        if rest.pop(0).text == "--":
            break
    if not rest:
        home = shell.parameters.text("HOME")
        _move(shell, normal_path("", home) if home else None)
    elif rest[0].text == "-" and rest[0].known:
        _move(shell, shell.state.previous)
    else:
        _move(shell, _target(shell, rest[0]) if len(rest) == 1 else None)


def _pushd(shell: Context, arguments: Arguments) -> None:
    state = shell.state
    if len(arguments) == 1 and arguments[0].text[:1] not in ("-", "+", ""):
        target = _target(shell, arguments[0])
        state.stack = (state.cwd, *state.stack)
        _move(shell, target)
    else:
        state.stack = ()
        _move(shell, None)


def _popd(shell: Context, arguments: Arguments) -> None:
    state = shell.state
    if not arguments and state.stack:
        target, state.stack = state.stack[0], state.stack[1:]
        _move(shell, target)
    else:
        state.stack = ()
        _move(shell, None)


# variables


def _declare(
    shell: Context, arguments: Arguments, *, local: bool = False, bash_only: bool = False
) -> None:
    flags = "".join(word.text[1:] for word in arguments if word.text[:1] == "-")
    if any(not word.known and not _ASSIGNMENT.match(word.text) for word in arguments):
        shell.forget_all()
        return
    for word in arguments:
        if word.text[:1] in ("-", "+"):
            continue
        match = _ASSIGNMENT.match(word.text)
        name = match.group(1) if match else word.text
        if not _NAME.fullmatch(name):
            continue
        if local and shell.frames:
            shell.frames[-1].setdefault(name, shell.state.variables.get(name))
        if match is not None and not word.source.startswith(f"{name}=("):
            _declared(shell, match, word, bash_only=bash_only)
        elif local and name not in shell.state.variables:
            shell.assign(name, UNSET)
        _attributes(shell, name, flags)


def _declared(shell: Context, match: re.Match[str], word: Word, *, bash_only: bool) -> None:
    name, subscript, operator, text = match.groups()
    value = Word(text, word.known, word.source, word.glob, word.substitutions)
    if subscript is not None:
        shell.log.append(name)
        shell.state.assign_array(name, None)
    elif operator == "+=":
        old = shell.state.variables.get(name)
        known = old is not None and old.known and not old.text and word.known
        shell.assign(name, Word((old.text if old else f"${name}") + text, known))
    elif bash_only and shell.state.variables.get(name, value).text != text:
        shell.forget({name})  # WHY: in `sh`, which has no `declare`, the old value stays
    else:
        shell.assign(name, value)


def _attributes(shell: Context, name: str, flags: str) -> None:
    if "n" in flags:
        shell.fail("a variable that stands for another one")
    if any(flag in flags for flag in "iluc"):
        shell.odd.add(name)
        shell.forget({name})
    if "A" in flags:
        shell.log.append(name)
        shell.state.assign_array(name, None)


def _local(shell: Context, arguments: Arguments) -> None:
    _declare(shell, arguments, local=True)


def _declare_here(shell: Context, arguments: Arguments) -> None:
    _declare(shell, arguments, local=True, bash_only=True)


def _export(shell: Context, arguments: Arguments) -> None:
    _declare(shell, [word for word in arguments if word.text != "-n"])


def _readonly(shell: Context, arguments: Arguments) -> None:
    _declare(shell, arguments)
    # WHY: a later assignment fails, and whether the script goes on differs between shells
    shell.odd |= {word.text.partition("=")[0] for word in arguments}


def _read(shell: Context, arguments: Arguments) -> None:
    names = {"REPLY", "MAPFILE", "OPTARG", "OPTIND"}
    for word in arguments:
        if not word.known:
            shell.forget_all()
            return
        base = word.text.partition("[")[0]
        attached = re.match(r"-[a-z]*a(.+)", base)
        names |= {attached.group(1)} if attached else {base} if _NAME.fullmatch(base) else set()
    shell.forget({name for name in names if _NAME.fullmatch(name)})
    for name in names:
        if f"{name}[@]" in shell.state.variables or any(word.text == name for word in arguments):
            shell.state.assign_array(name, None)


def _printf(shell: Context, arguments: Arguments) -> None:
    if len(arguments) < 2 or not arguments[0].text.startswith("-v"):
        return
    attached = arguments[0].text[2:]
    name, rest = (Word(attached), arguments[1:]) if attached else (arguments[1], arguments[2:])
    if not name.known:
        shell.forget_all()
    elif _NAME.fullmatch(name.text):
        text = output.printf([word.text for word in rest]) if all(w.known for w in rest) else None
        if text is None:
            shell.forget({name.text})
        else:
            shell.assign(name.text, Word(text))
    else:
        shell.forget({name.text.partition("[")[0]})


def _let(shell: Context, arguments: Arguments) -> None:
    for word in arguments:
        names = arithmetic.assigned_names(word.text)
        if names:
            shell.forget(set(names))


def _unset(shell: Context, arguments: Arguments) -> None:
    functions = any(word.text == "-f" for word in arguments)
    for word in arguments:
        if not word.known:
            shell.forget_all()
            return
        name = word.text.partition("[")[0]
        if word.text[:1] == "-" or not name:
            continue
        if functions or (
            function_key(name) in shell.state.variables and name not in shell.state.variables
        ):
            shell.log.append(function_key(name))
            shell.state.drop(function_key(name))
        elif "[" in word.text:
            shell.log.append(name)
            shell.state.assign_array(name, None)
        elif _NAME.fullmatch(name):
            shell.assign(name, UNSET)


def _set(shell: Context, arguments: Arguments) -> None:
    rest = list(arguments)
    while (
        rest
        and rest[0].known
        and rest[0].text[:1] in ("-", "+")
        and rest[0].text not in ("-", "--")
    ):
        option = rest.pop(0).text
        if option.endswith("o") and rest:
            rest.pop(0)
    if not rest:
        return
    if rest[0].text in ("-", "--"):
        rest.pop(0)
    shell.log.append("@")
    steady = all(word.known and not word.glob for word in rest)
    shell.state.positional = tuple(rest) if steady else None


def _shift(shell: Context, arguments: Arguments) -> None:
    shell.log.append("@")
    positional = shell.state.positional
    count = arguments[0].text if arguments else "1"
    if positional is None:
        return
    if not re.fullmatch(r"[0-9]{1,6}", count):
        shell.state.positional = None
    elif int(count) <= len(positional):  # WHY: a larger count fails and changes nothing
        shell.state.positional = positional[int(count) :]


# text that runs


def _eval(shell: Context, arguments: Arguments) -> None:
    text = " ".join(word.text for word in arguments)
    if not all(word.known for word in arguments) or not shell.dry_run(text):
        shell.forget_all()


def _source(shell: Context, _: Arguments) -> None:
    # WHY: the file is judged itself; that it also moves elsewhere is unusual
    cwd, previous = shell.state.cwd, shell.state.previous
    shell.forget_all()
    shell.state.cwd, shell.state.previous = cwd, previous


def _trap(shell: Context, arguments: Arguments) -> None:
    rest = [word for word in arguments if word.text != "--"]
    if len(rest) < 2 or rest[0].text in ("", "-") or rest[0].text[:1] == "-":
        return
    if not rest[0].known:
        shell.fail("a trap whose action is not known")
    shell.run_text(rest[0].text)
    shell.traps.append((rest[0].text, len(shell.log)))


def _alias(shell: Context, arguments: Arguments) -> None:
    for word in arguments:
        name, equals, value = word.text.partition("=")
        if not equals or name[:1] == "-":
            continue
        shell.log.append(alias_key(name))
        shell.state.set_many({alias_key(name): Word(value, word.known)})
        problem = shell.problem
        shell.active.append(alias_key(name))
        shell.run_text(value)
        shell.active.pop()
        shell.problem = problem  # WHY: half a command is a fine alias


def _unalias(shell: Context, arguments: Arguments) -> None:
    for word in arguments:
        shell.log.append(alias_key(word.text))
        shell.state.drop(alias_key(word.text))


def _hash(shell: Context, arguments: Arguments) -> None:
    if len(arguments) >= 3 and arguments[0].text == "-p":
        path = arguments[1]
        shell.state.set_many(
            {alias_key(word.text): Word(path.text, path.known) for word in arguments[2:]}
        )


def _nothing(shell: Context, arguments: Arguments) -> None:
    """Do nothing: these are here for the substitutions that their arguments may hide."""


_HIDING: Final = frozenset(
    {
        "declare",
        "typeset",
        "local",
        "export",
        "readonly",
        "unset",
        "read",
        "printf",
        "let",
        "test",
        "[",
        "mapfile",
    }
)
_EFFECTS: Final[dict[str, Callable[[Context, Arguments], None]]] = {
    "cd": _cd,
    "chdir": _cd,
    "pushd": _pushd,
    "popd": _popd,
    "declare": _declare_here,
    "typeset": _declare_here,
    "local": _local,
    "export": _export,
    "readonly": _readonly,
    "read": _read,
    "mapfile": _read,
    "readarray": _read,
    "getopts": _read,
    "printf": _printf,
    "let": _let,
    "unset": _unset,
    "set": _set,
    "shift": _shift,
    "eval": _eval,
    "source": _source,
    ".": _source,
    "trap": _trap,
    "alias": _alias,
    "unalias": _unalias,
    "hash": _hash,
    "test": _nothing,
    "[": _nothing,
    ":": _nothing,
    "exec": _nothing,
}
WATCHED: Final = frozenset(_EFFECTS) | {"command", "builtin"}
