"""Words in which other programs are hidden: commands of editors, settings, encoded source."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Final

from rampart.intercept.invocation import Invocation, Program
from rampart.intercept.shell.model import Word

_ESCAPES: Final = re.compile(
    r"(?:\A|[\s:|%,>\d])!+\s*(?P<bang>[^!=~\s][^\n]*)"
    r"|\A\s*(?:platform\s+)?(?:shell|system|sh|terminal|pipe\s+\S+\s*\|)\s+(?P<word>[^\n]+)"
    r"|\b(?:system|systemlist|term_start|jobstart|termopen|job_start|popen|shell-command"
    r"|call-process|execute)\(?\s*(?:\(\s*)?(?P<quote>[\"'])(?P<call>(?:(?!(?P=quote)).)+)(?P=quote)"
)


def escape(found: Invocation, word: Word) -> None:
    """Note what a command of an editor, a debugger or a client makes a shell run."""
    for match in _ESCAPES.finditer(word.text):
        inner = match["bang"] or match["word"] or match["call"]
        found.effects.add("runs-code")
        found.programs.append(Program("shell", replace(word, text=inner)))


_SHELL_SETTINGS: Final = frozenset(
    {"proxycommand", "localcommand", "knownhostscommand", "remotecommand", "exec"}
)
_SETTING: Final = re.compile(r"\s*([A-Za-z]+)\s*[=\s]\s*(.*)", re.DOTALL)


def shell_setting(found: Invocation, word: Word) -> None:
    """Note the shell text of a setting such as ``ProxyCommand=text``."""
    setting = _SETTING.match(word.text)
    if setting is None or setting[1].lower() not in _SHELL_SETTINGS:
        return
    value = setting[2].strip().strip("\"'")
    if value and value.lower() != "none":
        found.effects.add("runs-code")
        found.loads = True
        found.programs.append(Program("shell", replace(word, text=value)))


def encoded_code(found: Invocation, word: Word) -> None:
    """Note source text that is written as base64 of UTF-16."""
    try:
        text = base64.b64decode(word.text, validate=True).decode("utf-16-le")
    except ValueError:
        # WHY: what cannot be decoded here may still be decoded there
        found.effects.update(("runs-code", "reads-input-as-code"))
        found.loads = True
        return
    found.programs.append(Program(found.entry.language, replace(word, text=text)))
    found.effects.add("runs-code")
