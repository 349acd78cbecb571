"""``rampart audit verify``, ``prove``, ``check-proof``: what makes a log evidence."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, json_option, settings_of
from rampart.cli.terminal import complain, print_fields, print_json, visible
from rampart.errors import AuditError, AuditUnavailable, ProofInvalid

if TYPE_CHECKING:
    from rampart.audit.checkpoints import Checkpoints
    from rampart.audit.note import PublicKey
    from rampart.audit.prove import Proven
    from rampart.audit.verify import Anchor, Verification
    from rampart.config import Settings

_FILE_BYTES_MAX: Final = 16 * 1024 * 1024  # tens of thousands of checkpoints
_MARKS: Final = {"ok": "ok", "warn": "!!", "fail": "XX"}
_SYSLOG: Final = re.compile(rb"rampart-checkpoint ([A-Za-z0-9+/]+={0,2})")
_PAIR: Final = re.compile(rb"([0-9]{1,18}):([0-9a-f]{64})\s*")


_key_option = click.option(
    "--key",
    "key_file",
    metavar="FILE",
    help="Public keys to trust, instead of those beside the log.",
)


@click.command(
    "verify",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart audit verify",
        "rampart audit verify --json",
        "rampart audit verify --key audit.pub --anchor checkpoint.txt",
        "rampart audit verify --anchor 1200:9f86d081884c7d65…",
    ),
)
@click.argument("log_dir", metavar="[DIR]", required=False)
@click.option(
    "--anchor",
    metavar="FILE",
    help="A checkpoint that was kept elsewhere, or RECORDS:HEAD as an earlier run printed it.",
)
@_key_option
@json_option
@data_dir_option
def verify(
    *,
    log_dir: str | None,
    anchor: str | None,
    key_file: str | None,
    as_json: bool,
    data_dir: str | None,
) -> None:
    """Verify every record from the first to the last, and every checkpoint, from the files alone.

    Exit codes: 0 ok, 1 tampered, 2 torn tail (a crash while writing), 3 unreadable, 4 not the log
    that was signed, or of which the anchor was taken. Without an anchor the newest records can be
    cut off unseen, and by whoever has the private key everything: keep a checkpoint, or the pair
    that is printed, on another machine.
    """
    from rampart.audit.verify import verify_log

    settings = settings_of(data_dir)
    directory = Path(log_dir) if log_dir else settings.audit_dir
    keys = _keys(settings, key_file) if key_file or not log_dir else []
    expected = _anchor(anchor, keys if key_file else [])
    found = verify_log(
        directory,
        anchor=expected,
        keys=keys,
        must_be_signed=key_file is not None,
        progress=_progress if sys.stderr.isatty() else None,
    )
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
    _show(found, directory, as_json=as_json)
    click.get_current_context().exit(found.exit_code)


@click.command(
    "prove",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart audit prove 01JD5T3Z6V9K2M4N8P0QRSTVWX > record.tlog-proof",
        "rampart audit check-proof record.tlog-proof --key audit.pub",
    ),
)
@click.argument("record_id", metavar="ID")
@click.option("-o", "--output", metavar="FILE", help="Where to write it (standard output).")
@_key_option
@data_dir_option
def prove(
    *, record_id: str, output: str | None, key_file: str | None, data_dir: str | None
) -> None:
    """Write a proof that one record is in the log: for somebody who has only the public key.

    ID is the `audit_id` of a decision, or a record's `hash`. The proof holds the record itself.
    """
    from rampart.audit.prove import NotSigned, prove_record

    settings = settings_of(data_dir)
    name = record_id.lower() if len(record_id) == 64 else record_id.upper()
    try:
        proof = prove_record(settings.audit_dir, name, _keys(settings, key_file))
    except NotSigned:
        from rampart.audit.log import sign_now

        sign_now(settings.audit_dir, _checkpoints(settings))
        proof = prove_record(settings.audit_dir, name, _keys(settings, key_file))
    if output:
        _write(Path(output), proof)
    else:
        click.echo(proof, nl=False)


@click.command(
    "check-proof",
    context_settings=CONTEXT,
    epilog=examples("rampart audit check-proof record.tlog-proof --key audit.pub"),
)
@click.argument("file", metavar="FILE")
@_key_option
@json_option
@data_dir_option
def check_proof(*, file: str, key_file: str | None, as_json: bool, data_dir: str | None) -> None:
    """Check a proof that `prove` wrote. Needs the public key, and nothing of the log.

    Exit codes: 0 the record is in the log, 1 the proof does not prove it.
    """
    from rampart.audit.prove import check_proof as check

    keys = _keys(settings_of(data_dir), key_file)
    if not keys:
        raise click.UsageError("--key: whose log is it? Name the file of its public keys")
    proven = check(_read(Path(file)), keys)
    if as_json:
        print_json({**_facts(proven), "record": proven.record})
    else:
        click.echo(f"proven  record {proven.index} is in the log")
        print_fields({name: str(value) for name, value in _facts(proven).items()})
        click.echo(visible(proven.line.decode("utf-8", "backslashreplace")))


@click.command(
    "checkpoint",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart audit checkpoint",
        "rampart audit checkpoint --to file:/mnt/elsewhere/rampart.txt",
        "rampart audit checkpoint --to 'git:~/anchors#refs/rampart/audit'",
    ),
)
@click.option("--to", "targets", multiple=True, metavar="TARGET", help="Send it there too.")
@data_dir_option
def checkpoint(*, targets: tuple[str, ...], data_dir: str | None) -> None:
    """Sign the log as it stands, and print the checkpoint: an anchor to keep elsewhere.

    TARGET is file:PATH, command:WORDS, syslog: or git:REPOSITORY#REF. What RAMPART_AUDIT_ANCHORS
    names, one a line, gets every checkpoint without being asked.
    """
    from rampart.audit.anchors import parse_target
    from rampart.audit.log import sign_now
    from rampart.audit.prove import newest_checkpoint

    settings = settings_of(data_dir)
    sends = [parse_target(target) for target in targets]
    _require_log(settings)
    note = sign_now(settings.audit_dir, _checkpoints(settings))
    if note is None:
        note = newest_checkpoint(settings.audit_dir, _keys(settings, None))
    if note is None:
        raise AuditUnavailable("there is nothing to sign yet")
    click.echo(note.decode(), nl=False)
    for send in sends:
        send(note)


@click.command("keys", context_settings=CONTEXT, epilog=examples("rampart audit keys > audit.pub"))
@click.option("--rotate", is_flag=True, help="Replace the private key by a new one.")
@data_dir_option
def keys(*, rotate: bool, data_dir: str | None) -> None:
    """Print the public keys of the log: what others need to verify it.

    With --rotate the log records the new key, one more checkpoint is signed with the old key and
    the new one, and the old private key is removed. Who trusts the old key need do nothing.
    """
    from rampart.audit.log import sign_now

    settings = settings_of(data_dir)
    _require_log(settings)
    if rotate or not _keys(settings, None):
        sign_now(settings.audit_dir, _checkpoints(settings), rotate_key=rotate)
    for key in _keys(settings, None):
        click.echo(str(key))


@click.command(
    "doctor",
    context_settings=CONTEXT,
    epilog=examples("rampart audit doctor", "rampart audit doctor /mnt/audit"),
)
@click.argument("directory", metavar="[DIR]", required=False)
@json_option
@data_dir_option
def doctor(*, directory: str | None, as_json: bool, data_dir: str | None) -> None:
    """Try whether a directory is fit for the log: appending, locking, renaming, syncing, space.

    Exit codes: 0 it is, 1 it is not. Leaves nothing behind.
    """
    from rampart.audit.doctor import examine

    place = Path(directory).absolute() if directory else settings_of(data_dir).audit_dir
    if not place.is_dir():
        raise AuditUnavailable(f"{place}: there is no such directory")
    findings = examine(place)
    if as_json:
        rows = [{"name": one.name, "state": one.state, "detail": one.detail} for one in findings]
        print_json({"directory": str(place), "findings": rows})
    else:
        click.echo(visible(str(place)))
        for one in findings:
            click.echo(f"  {_MARKS[one.state]}  {one.name:<12} {visible(one.detail)}")
    click.get_current_context().exit(1 if any(one.state == "fail" for one in findings) else 0)


COMMANDS: Final = (verify, prove, check_proof, checkpoint, keys, doctor)


def _show(found: Verification, directory: Path, *, as_json: bool) -> None:
    rows = {
        "reason": found.reason,
        "where": str(found.where) if found.where else "",
        "record": found.where.id if found.where else "",
        "anchor": f"{found.anchor.records}:{found.anchor.head}",
        "root": found.root,
    }
    if as_json:
        shown = {"verdict": found.verdict, "records": found.records, **rows}
        print_json({**shown, "checkpoints": found.checkpoints, "signed": found.signed})
        return
    signed = f"{found.signed} of {found.records} records, {found.checkpoints} checkpoints"
    rows["signed"] = signed if found.checkpoints else "no checkpoint was verified"
    click.echo(f"{visible(found.verdict)}  {found.records} records  {visible(str(directory))}")
    print_fields(rows)


def _facts(proven: Proven) -> dict[str, object]:
    return {
        "index": proven.index,
        "origin": proven.checkpoint.origin,
        "size": proven.checkpoint.size,
        "root": proven.checkpoint.root.hex(),
    }


def _progress(records: int) -> None:
    click.echo(f"\r{records} records", err=True, nl=False)


def _checkpoints(settings: Settings) -> Checkpoints:
    from rampart.audit.checkpoints import Checkpoints
    from rampart.audit.keys import KeyStore

    return Checkpoints(KeyStore(settings.audit_keys_dir))


def _keys(settings: Settings, file: str | None) -> list[PublicKey]:
    from rampart.audit.note import parse_public_keys

    path = Path(file) if file else settings.audit_keys_dir / "audit.pub"
    if not file and not path.exists():
        return []
    try:
        return parse_public_keys(_read(path).decode("utf-8", "replace"))
    except ProofInvalid as error:
        raise AuditUnavailable(f"{path}: {error.message}") from None


def _anchor(text: str | None, keys: list[PublicKey]) -> Anchor | None:
    """Return the anchor that the option names: a pair, or the newest checkpoint in a file.

    With ``keys`` one of them must have signed it; without, where it was kept is what makes it good.
    """
    from rampart.audit.note import checkpoint_text, open_checkpoint
    from rampart.audit.verify import Anchor

    if text is None:
        return None
    data = text.encode()
    if not _PAIR.fullmatch(data):
        if not Path(text).exists():
            raise click.UsageError("--anchor: a file with a checkpoint is needed, or RECORDS:HEAD")
        data = _read(Path(text))
    if pair := _PAIR.fullmatch(data):
        return Anchor(int(pair[1]), pair[2].decode())
    try:
        note = _newest_note(data)
        found = open_checkpoint(note, keys) if keys else checkpoint_text(note)
    except ProofInvalid as error:
        complain(f"--anchor: {error.message}", "a file with a checkpoint, or RECORDS:HEAD")
        raise click.exceptions.Exit(3) from None
    return Anchor(found.size, root=found.root.hex())


def _newest_note(data: bytes) -> bytes:
    sent = _SYSLOG.findall(data)
    if sent:
        return base64.b64decode(sent[-1])
    pieces = data.rstrip(b"\n").split(b"\n\n")
    return b"\n\n".join(pieces[-2:]) + b"\n"


def _require_log(settings: Settings) -> None:
    if not settings.audit_dir.exists():
        raise AuditUnavailable(
            f"{settings.audit_dir}: there is no audit log here yet",
            help="is it the right --data-dir?",
        )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise AuditUnavailable(f"{path}: {error.strerror}") from None
    if len(data) > _FILE_BYTES_MAX:
        raise AuditError(f"{path}: larger than {_FILE_BYTES_MAX} bytes")
    return data


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise AuditUnavailable(f"{path}: {error.strerror}") from None
