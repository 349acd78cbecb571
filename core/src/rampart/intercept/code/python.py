"""Python source → what it would do, by its syntax tree.

What is only known at run time is opaque where its kind is dangerous (a program, source text); an
unknown file name is an action on an unknown path.
"""

from __future__ import annotations

import ast
from typing import Final

from rampart.intercept.code.calls import (
    CALLS,
    DANGEROUS_MODULES,
    DATABASE_METHODS,
    ENVIRONMENT_LOADERS,
    Operation,
    guessed_effects,
)
from rampart.intercept.code.findings import NONE, UNKNOWN, Findings, Text
from rampart.intercept.code.names import Names
from rampart.intercept.code.python_syntax import is_harmless, is_too_long, parse_python
from rampart.intercept.code.sql import read_sql
from rampart.intercept.code.values import Evaluator

SYNTAX: Final = "Python source that cannot be parsed"
TOO_LONG: Final = "source too long to be analysed"
RUN_TIME_SOURCE: Final = "runs source text that is only known at run time"
RUN_TIME_NAME: Final = "calls a function whose name is only known at run time"
NATIVE: Final = "calls native code"
INTERNALS: Final = "reaches through the internals of the interpreter"

_SOURCE_DEPTH_MAX: Final = 6  # source inside source inside source
_INTERNALS: Final = frozenset(
    {"__subclasses__", "__globals__", "__code__", "__closure__", "gi_frame", "f_globals"}
)
_WRITE_MODES: Final = frozenset("wax+")
_SPAWNS: Final = frozenset(
    {
        "subprocess.run",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "subprocess.Popen",
    }
)
_OPENS: Final = frozenset(
    {
        "open",
        "io.open",
        "codecs.open",
        "gzip.open",
        "bz2.open",
        "lzma.open",
        "tarfile.open",
        "zipfile.ZipFile",
        "aiofiles.open",
        "os.open",
    }
)


def read_python(text: str, findings: Findings, depth: int = 0) -> None:
    """Add what Python ``text`` would do to ``findings``."""
    if depth > _SOURCE_DEPTH_MAX or is_too_long(text):
        findings.opaque(text, TOO_LONG)
        return
    tree = parse_python(text)
    if tree is None:
        if not is_harmless(text):
            findings.opaque(text, SYNTAX)
        return
    names = Names(tree)
    if not names.complete:
        findings.opaque(text, TOO_LONG)
        return
    _Reader(names, findings, depth).run()


class _Reader:
    """Turns the calls of one source into findings."""

    def __init__(self, names: Names, findings: Findings, depth: int) -> None:
        self._names = names
        self._values = Evaluator(names, findings.setting.host)
        self._found = findings
        self._depth = depth

    def run(self) -> None:
        """Read every call and store, in order."""
        for call in self._names.calls:
            self._read_call(call, self._values.dotted(call.func))
        for target, value in self._names.stores:
            self._read_store(target, value)
        for load in self._names.loads:
            if load.attr in _INTERNALS:
                self._found.opaque(
                    ast.unparse(load)[:200] if _is_short(load) else load.attr, INTERNALS
                )
                break

    def _read_call(self, call: ast.Call, name: str) -> None:
        special = _SPECIAL.get(name)
        if special is not None:
            special(self, call, name)
        elif name in CALLS:
            for operation in CALLS[name]:
                self._perform(call, name, operation)
        elif "." in name:
            self._read_method(call, name)
        elif name == "?module":
            self._found.opaque(name, RUN_TIME_NAME)
        elif name == "map" and len(call.args) > 1:
            self._map(call)

    def _read_method(self, call: ast.Call, name: str) -> None:
        base, _, method = name.rpartition(".")
        dangerous = method == "?" and base.partition(".")[0] in DANGEROUS_MODULES
        if dangerous or base == "?module":
            self._found.opaque(name, RUN_TIME_NAME)
        elif (base.startswith("ctypes.") and "DLL" in base) or base.startswith(
            ("ctypes.cdll", "ctypes.windll")
        ):
            self._native(call, method)
        elif method in DATABASE_METHODS and call.args:
            for text in self._values.texts(call.args[0]):
                read_sql(text.text, self._found)
        elif method in (
            "map",
            "submit",
            "apply",
            "apply_async",
            "starmap",
            "run_in_executor",
            "to_thread",
        ):
            self._indirect(call)
        elif effects := guessed_effects(method) or self._all_deleted(call, method):
            self._found.note(name, effects)
        elif method.startswith("to_") and method in _FRAME_WRITES and call.args:
            self._paths("write", self._values.texts(call.args[0]), NONE)

    def _all_deleted(self, call: ast.Call, method: str) -> frozenset[str]:
        """``objects.all().delete()`` of a database or a store empties it."""
        match call.func:
            case ast.Attribute(value=ast.Call(func=ast.Attribute(attr="all"))) if method in (
                "delete",
                "remove",
                "terminate",
            ):
                return guessed_effects("delete_all")
            case _:
                return NONE

    def _indirect(self, call: ast.Call) -> None:
        """Read ``pool.submit(os.system, text)`` as the call that it makes."""
        for index, argument in enumerate(call.args[:2]):
            name = self._values.dotted(argument)
            if name in CALLS or name in _SPECIAL:
                made = ast.Call(argument, call.args[index + 1 :], call.keywords)
                self._read_call(made, name)
                return

    def _map(self, call: ast.Call) -> None:
        """Read ``map(os.remove, names)`` as the calls that it makes."""
        name = self._values.dotted(call.args[0])
        if name in CALLS or name in _SPECIAL:
            for text in self._values.elements(call.args[1]):
                value = ast.Constant(text.text) if text.known else ast.Name("?", ast.Load())
                self._read_call(ast.Call(call.args[0], [value], []), name)

    # operations of the table

    def _perform(self, call: ast.Call, name: str, operation: Operation) -> None:
        match operation.kind:
            case "read" | "write" | "delete":
                if operation.receiver and isinstance(call.func, ast.Attribute):
                    texts = self._values.texts(call.func.value)
                elif self._argument(call, operation) is None and operation.kind != "delete":
                    return
                else:
                    texts = self._texts(call, operation)
                self._paths(operation.kind, texts, operation.effects)
            case "fetch" | "request" | "host" | "address":
                self._reach(call, operation)
            case "shell":
                for text in self._texts(call, operation):
                    self._found.shell(text, self._cwd(call))
            case "either" | "argv" | "words" | "list":
                self._start(call, operation)
            case "native":
                self._found.opaque(name, NATIVE)
            case "opaque":
                self._found.opaque(name, RUN_TIME_SOURCE)
            case _:
                self._found.note(name, operation.effects)

    def _start(self, call: ast.Call, operation: Operation) -> None:
        if operation.kind == "either":
            self._spawn(call, self._argument(call, operation), shell=False)
            return
        if operation.kind == "argv":
            self._argv(ast.List(call.args, ast.Load()), call)
        elif operation.kind == "words":
            self._argv(ast.List(call.args[operation.position :], ast.Load()), call)
        else:
            self._argv(self._argument(call, operation), call)

    def _reach(self, call: ast.Call, operation: Operation) -> None:
        effects = operation.effects
        if operation.kind == "request":
            method = self._values.text(call.args[0] if call.args else None)
            if not method.known or method.text.upper() in ("POST", "PUT", "PATCH"):
                effects |= {"uploads"}
        if any(each.arg in ("data", "json", "files", "content") for each in call.keywords):
            effects |= {"uploads"}
        node = self._argument(call, operation)
        if operation.kind == "address" and isinstance(node, ast.Tuple) and node.elts:
            port = self._values.text(node.elts[1]).text if len(node.elts) > 1 else ""
            hosts = [
                Text(f"{each.text}:{port}", each.known) for each in self._values.texts(node.elts[0])
            ]
        else:
            hosts = self._values.texts(node)
        if operation.kind in ("host", "address"):
            hosts = [Text(f"tcp://{each.text}", each.known) for each in hosts]
        for each in hosts:
            self._found.url(each, effects)

    # calls that need more than one argument

    def _open(self, call: ast.Call, name: str) -> None:
        method = name == "pathlib.Path().open"
        node = (
            call.func.value
            if method and isinstance(call.func, ast.Attribute)
            else _pick(call, 0, ("file", "name", "path", "filename"))
        )
        mode_node = _pick(call, 0 if method else 1, ("mode", "flags"))
        if name == "os.open":
            flags = (
                ast.unparse(mode_node)
                if mode_node is not None and _is_short(mode_node)
                else "O_RDWR"
            )
            tools = _tools(
                writes="WR" in flags or "CREAT" in flags or "TRUNC" in flags,
                reads="WRONLY" not in flags,
            )
        elif mode_node is None:
            tools = ("read",)
        else:
            mode = self._values.text(mode_node)
            letters = set(mode.text) if mode.known else {"r", "w"}
            tools = _tools(writes=bool(letters & _WRITE_MODES), reads=bool(letters & {"r", "+"}))
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return  # a descriptor
        texts = self._values.texts(node)
        for tool in tools:
            self._paths(tool, texts, NONE)

    def _popen(self, call: ast.Call, _name: str) -> None:
        node = _pick(call, 0, ("args",))
        shell = _pick(call, 8, ("shell",))
        plain = shell is None or (isinstance(shell, ast.Constant) and not shell.value)
        self._spawn(call, node, shell=not plain)

    def _spawn(self, call: ast.Call, node: ast.expr | None, *, shell: bool) -> None:
        if node is None:
            self._found.program_unknown("")
        elif self._values.is_list(node):
            if shell:
                for words in self._values.lists(node):
                    self._found.shell(words[0] if words else UNKNOWN, self._cwd(call))
            else:
                self._argv(node, call)
        else:
            for text in self._values.texts(node):
                self._found.shell(text, self._cwd(call))

    def _argv(self, node: ast.expr | None, call: ast.Call) -> None:
        lists = self._values.lists(node) if node is not None else [[UNKNOWN]]
        program = _pick(call, 99, ("executable",))
        for words in lists:
            own = words if program is None else [self._values.text(program), *words[1:]]
            self._found.argv(own, self._cwd(call))

    def _run_source(self, call: ast.Call, name: str) -> None:
        node = _pick(call, 0, ("source", "expression", "stmt"))
        if (
            isinstance(node, ast.Call)
            and self._values.dotted(node.func) == "compile"
            and name != "compile"
        ):
            return  # read where it is compiled
        if name == "compile" and len(call.args) + len(call.keywords) < 2:
            return
        opened = self._read_file(node)
        if opened is not None:
            self._paths("read", opened, frozenset({"executes"}))
            return
        for text in self._values.texts(node):
            if text.known:
                self._found.count_source()
                read_python(text.text.strip(), self._found, self._depth + 1)
            else:
                effects = "runs-downloaded" if self._is_fetched(node) else "runs-code"
                self._found.opaque(
                    f"{name}({text.text[:200]})", RUN_TIME_SOURCE, frozenset({effects})
                )

    def _read_file(self, node: ast.expr | None) -> list[Text] | None:
        """Return the names of the file if ``node`` is ``open(name).read()`` or a path's text."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        name = self._values.dotted(node.func)
        if name in ("open().read", "io.open().read"):
            opened = node.func.value
            bound = self._values.origin(opened)
            return (
                self._values.texts(bound.args[0])
                if isinstance(bound, ast.Call) and bound.args
                else None
            )
        if name in ("pathlib.Path().read_text", "pathlib.Path().read_bytes"):
            return self._values.texts(node.func.value)
        return None

    def _is_fetched(self, node: ast.expr | None) -> bool:
        """True if an expression is (a part of) the answer to a request."""
        if node is None:
            return False
        name = self._values.dotted(node).partition("()")[0]
        return any(operation.kind == "fetch" for operation in CALLS.get(name, ()))

    def _load_yaml(self, call: ast.Call, name: str) -> None:
        loader = _pick(call, 1, ("Loader",))
        wanted = self._values.dotted(loader) if loader is not None else ""
        if "Safe" not in wanted and "Base" not in wanted:
            self._found.note(name, frozenset({"deserializes"}))

    def _native(self, call: ast.Call, method: str) -> None:
        if method in ("system", "popen") and call.args:
            for text in self._values.texts(call.args[0]):
                self._found.shell(text)
        else:
            self._found.opaque(f"ctypes: {method}", NATIVE)

    def _read_store(self, target: ast.expr, value: ast.expr) -> None:
        if (
            not isinstance(target, ast.Subscript)
            or self._values.dotted(target.value) != "os.environ"
        ):
            return
        name = self._values.text(target.slice)
        if name.text in ENVIRONMENT_LOADERS:
            text = self._values.text(value).text
            self._found.note(
                f"{name.text}={text}"[:400], frozenset({"loader-change"}), grantable=False
            )

    # arguments

    def _argument(self, call: ast.Call, operation: Operation) -> ast.expr | None:
        return _pick(call, operation.position, operation.keywords)

    def _texts(self, call: ast.Call, operation: Operation) -> list[Text]:
        return self._values.texts(self._argument(call, operation))

    def _paths(self, tool: str, texts: list[Text], effects: frozenset[str]) -> None:
        for text in texts:
            if tool == "read" and "://" in text.text[:12] and not text.text.startswith("file:"):
                self._found.url(text, effects)
            else:
                self._found.path(tool, text, effects)

    def _cwd(self, call: ast.Call) -> str | None:
        node = _pick(call, None, ("cwd",))
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return ""
        text = self._values.text(node)
        return self._found.directory(text)


_FRAME_WRITES_TEXT: Final = """
to_csv to_json to_excel to_parquet to_pickle to_html to_hdf to_feather to_sql to_xml to_markdown
"""
_FRAME_WRITES: Final = frozenset(_FRAME_WRITES_TEXT.split())

_SPECIAL: Final = {
    **dict.fromkeys(_OPENS, _Reader._open),  # noqa: SLF001 - the table of this class's own methods
    "pathlib.Path().open": _Reader._open,  # noqa: SLF001
    **dict.fromkeys(_SPAWNS, _Reader._popen),  # noqa: SLF001
    "exec": _Reader._run_source,  # noqa: SLF001
    "eval": _Reader._run_source,  # noqa: SLF001
    "compile": _Reader._run_source,  # noqa: SLF001
    "timeit.timeit": _Reader._run_source,  # noqa: SLF001
    "yaml.load": _Reader._load_yaml,  # noqa: SLF001
}


def _pick(call: ast.Call, position: int | None, keywords: tuple[str, ...]) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg in keywords:
            return keyword.value
    if position is not None and position < len(call.args):
        found = call.args[position]
        return None if isinstance(found, ast.Starred) else found
    return None


def _tools(*, writes: bool, reads: bool) -> tuple[str, ...]:
    return ("read",) * reads + ("write",) * writes


def _is_short(node: ast.expr) -> bool:
    """True if unparsing the node takes little: attributes and names joined by operators."""
    return sum(1 for _ in zip(ast.walk(node), range(60), strict=False)) < 60
