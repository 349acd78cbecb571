"""Records in the formats of other programs: CSV, CEF and OCSF. Pure.

Agents wrote what is in a record, so each format's way out is closed here: a cell that a spreadsheet
would run is made a text, and what separates fields is escaped.

* CSV: RFC 4180; formulas: https://owasp.org/www-community/attacks/CSV_Injection
* CEF: ArcSight Common Event Format, version 0 (revision 25)
* OCSF: class 6003 (API Activity) of schema 1.3.0, with the profile ``security_control``
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from rampart.audit.query import decided, text_of, time_of
from rampart.subject import subject

COLUMNS: Final = (
    "time", "id", "seq", "type", "action", "tool", "subject", "agent", "session", "run_id",
    "call_id", "cwd", "depth", "policy", "rule", "message", "duration_us", "approval_id", "status",
    "by", "reason", "generation", "params", "hash",
)  # fmt: skip
_NUMBERS: Final = frozenset({"seq", "depth", "duration_us"})
_DECIDED: Final = frozenset({"action", "policy", "rule", "message"})
# What spreadsheets read as the start of a formula, in the wide forms of East Asian keyboards too.
_FORMULA: Final = tuple("=+-@\t\r\n|%＝＋－＠")
_CEF_TEXT_MAX: Final = 1023  # characters of most keys; longer values are refused by collectors
_SEVERITY: Final[Mapping[str, int]] = {"allow": 1, "watch": 4, "ask": 6, "deny": 8}  # of 10

_OCSF_VERSION: Final = "1.3.0"
_OCSF_CLASS: Final = 6003  # API Activity
_OCSF_ACTIVITY: Final = 99  # other: a tool is not create, read, update or delete
_OCSF_ANSWER: Final[Mapping[str, tuple[int, int, int]]] = {
    # word: action_id, disposition_id (allowed, logged, delayed, blocked), severity_id
    "allow": (1, 1, 1),
    "watch": (3, 17, 2),
    "ask": (0, 14, 3),
    "deny": (2, 2, 4),
}

Row = dict[str, object]


def csv_header() -> str:
    """Return the first line of a table."""
    return _csv_line(COLUMNS)


def csv_row(record: Row) -> str:
    """Return one record as one line of a table, ended by CR LF."""
    return _csv_line(_cell(record, name) for name in COLUMNS)


def cef_line(record: Row, *, version: str) -> str:
    """Return one record as a line of CEF without its end; ``version`` is of the product."""
    word = decided(record, "action") or text_of(record, "status")
    kind = text_of(record, "type")
    name = f"{kind} {word}".strip()
    rule = "/".join(part for part in (decided(record, "policy"), decided(record, "rule")) if part)
    head = ("Rampart", "Rampart", version, rule or kind, name, str(_SEVERITY.get(word, 3)))
    pairs = {key: value for key, value in _cef_pairs(record, word).items() if value}
    extension = " ".join(f"{key}={_cef_value(value)}" for key, value in pairs.items())
    return "CEF:0|" + "|".join(_cef_head(part) for part in head) + "|" + extension


def ocsf_line(record: Row, *, version: str) -> str:
    """Return one record as an OCSF event, JSON in one line; ``version`` is of the product."""
    word = decided(record, "action")
    action_id, disposition_id, severity_id = _OCSF_ANSWER.get(word, (0, 0, 1))
    event = {
        "class_uid": _OCSF_CLASS,
        "class_name": "API Activity",
        "category_uid": 6,
        "category_name": "Application Activity",
        "activity_id": _OCSF_ACTIVITY,
        "activity_name": text_of(record, "type") or "Other",
        "type_uid": _OCSF_CLASS * 100 + _OCSF_ACTIVITY,
        "time": _milliseconds(record),
        "severity_id": severity_id,
        "action_id": action_id,
        "disposition_id": disposition_id,
        "message": decided(record, "message") or text_of(record, "reason"),
        "actor": {
            "app_name": text_of(record, "agent") or "unknown",
            "session": {"uid": text_of(record, "session")},
            **({"user": {"name": text_of(record, "by")}} if record.get("by") else {}),
        },
        "api": {
            "operation": text_of(record, "tool") or text_of(record, "type"),
            "request": {"uid": text_of(record, "call_id") or text_of(record, "id")},
        },
        "src_endpoint": {"name": "localhost"},
        "firewall_rule": {"uid": decided(record, "rule"), "name": decided(record, "policy")},
        "metadata": {
            "version": _OCSF_VERSION,
            "uid": text_of(record, "id"),
            "sequence": record.get("seq"),
            "profiles": ["security_control"],
            "product": {"name": "Rampart", "vendor_name": "Rampart", "version": version},
        },
        "unmapped": record,
    }
    return json.dumps(event, separators=(",", ":"))


def formatter(name: str, *, version: str) -> Callable[[Row], str]:
    """Return the function that writes a record as ``csv``, ``cef`` or ``ocsf``, with its end."""
    match name:
        case "csv":
            return csv_row
        case "cef":
            return lambda record: cef_line(record, version=version) + "\n"
        case "ocsf":
            return lambda record: ocsf_line(record, version=version) + "\n"
    raise ValueError(f"there is no format {name!r}")


def _csv_line(cells: Iterable[str]) -> str:
    target = io.StringIO()
    csv.writer(target, quoting=csv.QUOTE_ALL).writerow(cells)
    return target.getvalue()


def _cell(record: Row, name: str) -> str:
    if name in _NUMBERS:
        value = record.get(name)
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return str(value) if plain else ""
    if name in _DECIDED:
        text = decided(record, name)
    elif name == "subject":
        text = subject(record["params"]) if "params" in record else ""
    elif name == "params":
        text = json.dumps(record["params"]) if "params" in record else ""
    else:
        text = text_of(record, name)
    return _no_formula(_one_line(text))


def _no_formula(text: str) -> str:
    # WHY stripped: some programs skip blanks in front of a formula
    dangerous = text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
    return f"'{text}" if dangerous else text


def _one_line(text: str) -> str:
    r"""Return ``text`` with control characters as ``\n`` and ``\x1b``: a row is one line."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def _cef_pairs(record: Row, word: str) -> dict[str, str]:
    what = record.get("params")
    params: Mapping[str, object] = what if isinstance(what, dict) else {}
    stamp = _milliseconds(record)
    return {
        "rt": str(stamp) if stamp else "",
        "act": word,
        "externalId": text_of(record, "id"),
        "suser": text_of(record, "agent") or text_of(record, "by"),
        "msg": decided(record, "message") or text_of(record, "reason"),
        "filePath": text_of(dict(params), "path") or text_of(dict(params), "file_path"),
        "request": text_of(dict(params), "url"),
        **_labelled(1, "policy", decided(record, "policy")),
        **_labelled(2, "rule", decided(record, "rule")),
        **_labelled(3, "session", text_of(record, "session")),
        **_labelled(4, "tool", text_of(record, "tool")),
        **_labelled(5, "subject", subject(params) if params else ""),
        **_labelled(6, "recordHash", text_of(record, "hash")),
    }


def _labelled(number: int, label: str, value: str) -> dict[str, str]:
    return {f"cs{number}Label": label, f"cs{number}": value} if value else {}


def _cef_head(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace("|", "\\|")


def _cef_value(text: str) -> str:
    if len(text) > _CEF_TEXT_MAX:
        text = text[: _CEF_TEXT_MAX - 1] + "…"
    text = text.replace("\\", "\\\\").replace("=", "\\=")
    text = text.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\r")
    return "".join(c if c.isprintable() else " " for c in text)


def _milliseconds(record: Row) -> int:
    moment = time_of(record)
    return 0 if moment is None else round(moment * 1000)
