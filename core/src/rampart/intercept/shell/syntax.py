"""The syntax tree of a command line, between reading it and finding out what it would run.

A word without quotes, expansions or braces is a finished :class:`Word` already; everything else is
a :class:`RawWord` whose parts are expanded later, when the variables are known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rampart.intercept.shell.model import Command, Word


class Unparsable(Exception):
    """The text, or what it expands to, cannot be understood; the message is the reason.

    It never leaves the package: ``parse`` turns it into ``Script.opaque``.
    """


@dataclass(slots=True)
class Literal:
    """Text that stands for itself; ``quoted`` text is never split, matched or brace-expanded."""

    text: str
    quoted: bool


@dataclass(slots=True)
class Parameter:
    """``$name`` or ``${name…}``; ``prefix`` is ``#`` or ``!``, ``operator`` follows the name."""

    source: str
    quoted: bool
    name: str
    prefix: str = ""
    subscript: tuple[Part, ...] | None = None
    operator: str = ""
    argument: tuple[Part, ...] = ()


@dataclass(slots=True)
class Substitution:
    """``$(…)`` or backticks."""

    source: str
    quoted: bool
    body: Sequence


@dataclass(slots=True)
class Process:
    """``<(…)`` or ``>(…)``."""

    source: str
    direction: str
    body: Sequence


@dataclass(slots=True)
class Arithmetic:
    """``$((…))`` or ``$[…]``."""

    source: str
    quoted: bool
    expression: tuple[Part, ...]


Part = Literal | Parameter | Substitution | Process | Arithmetic


@dataclass(slots=True)
class RawWord:
    """A word that still has to be expanded."""

    source: str
    parts: tuple[Part, ...]


@dataclass(slots=True)
class ArrayLiteral:
    """``(…)`` after ``name=``: pairs of an optional subscript and a word."""

    source: str
    items: tuple[tuple[tuple[Part, ...] | None, Word | RawWord], ...]


@dataclass(slots=True)
class Assignment:
    """``name=value``, ``name+=value``, ``name[subscript]=value`` or ``name=(…)``."""

    source: str
    name: str
    subscript: tuple[Part, ...] | None
    append: bool
    value: Word | RawWord | ArrayLiteral


@dataclass(slots=True)
class HereDocument:
    """The text of a here-document; it is filled in when the line that names it has ended."""

    delimiter: str
    quoted: bool
    strip_tabs: bool
    body: tuple[Part, ...] = ()


@dataclass(slots=True)
class Redirection:
    """One redirection before expansion."""

    op: str
    fd: int | None
    target: Word | RawWord | HereDocument


@dataclass(slots=True)
class Simple:
    """A simple command. ``plain`` says that every word is finished and nothing else is there."""

    assignments: list[Assignment]
    words: list[Word | RawWord | Assignment]
    redirects: list[Redirection]
    source: str
    plain: bool = False
    cut: int = 0  # words in front of the first ``&>``
    tail: int = 0  # the same, if words stand behind it


@dataclass(slots=True)
class Pipeline:
    """Commands joined by ``|``; ``|&`` is not told apart."""

    items: list[Node]


@dataclass(slots=True)
class AndOr:
    """Pipelines joined by ``&&`` and ``||``; the first operator is empty."""

    items: list[tuple[str, Node]]


@dataclass(slots=True)
class Sequence:
    """A list of commands, each with whether it runs in the background."""

    items: list[tuple[Node, bool]] = field(default_factory=list)


@dataclass(slots=True)
class Block:
    """A compound command with its redirections; ``subshell`` keeps changes of state inside."""

    body: Node
    redirects: list[Redirection]
    subshell: bool = False
    source: str = ""


@dataclass(slots=True)
class If:
    """Conditions with their branches, and the ``else`` branch."""

    clauses: list[tuple[Sequence, Sequence]]
    otherwise: Sequence | None


@dataclass(slots=True)
class While:
    """``while`` and ``until``."""

    condition: Sequence
    body: Sequence


@dataclass(slots=True)
class For:
    """``for`` and ``select``; ``words`` is None for the positional parameters."""

    name: str
    words: list[Word | RawWord] | None
    body: Sequence
    select: bool = False


@dataclass(slots=True)
class ArithmeticFor:
    """``for ((a; b; c))``."""

    header: tuple[Part, ...]
    body: Sequence


@dataclass(slots=True)
class Case:
    """``case`` with, per arm, its patterns and its commands."""

    word: Word | RawWord
    arms: list[tuple[list[Word | RawWord], Sequence]]


@dataclass(slots=True)
class Function:
    """A function definition."""

    name: str
    body: Node
    source: str


@dataclass(slots=True)
class Test:
    """``[[ … ]]``: its words, operators among them."""

    words: list[Word | RawWord]
    source: str


@dataclass(slots=True)
class Evaluation:
    """``((…))``."""

    expression: tuple[Part, ...]
    source: str


@dataclass(slots=True)
class Coprocess:
    """``coproc [NAME] command``."""

    name: str
    body: Node


Node = (
    Simple
    | Pipeline
    | AndOr
    | Sequence
    | Block
    | If
    | While
    | For
    | ArithmeticFor
    | Case
    | Function
    | Test
    | Evaluation
    | Coprocess
)


@dataclass(slots=True)
class ArrayValue(Word):
    """All elements of an array variable, kept under ``name[@]``."""

    items: tuple[Word, ...] = ()


@dataclass(slots=True)
class FunctionValue(Word):
    """A function, kept under ``BASH_FUNC_name%%`` as bash does in the environment."""

    name: str = ""
    body: Node | None = None


__all__ = [
    "AndOr",
    "Arithmetic",
    "ArithmeticFor",
    "ArrayLiteral",
    "ArrayValue",
    "Assignment",
    "Block",
    "Case",
    "Command",
    "Coprocess",
    "Evaluation",
    "For",
    "Function",
    "FunctionValue",
    "HereDocument",
    "If",
    "Literal",
    "Node",
    "Parameter",
    "Part",
    "Pipeline",
    "Process",
    "RawWord",
    "Redirection",
    "Sequence",
    "Simple",
    "Substitution",
    "Test",
    "Unparsable",
    "While",
    "Word",
]
