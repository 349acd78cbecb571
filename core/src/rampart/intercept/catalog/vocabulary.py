"""The words of the catalog: effects, which policies may name, and roles of words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EFFECTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # what happens to data
        "recursive": "Acts on whole directory trees, or on every item of a kind.",
        "force": "Overrides a safety check or a question that the program would otherwise ask.",
        "irreversible": "Destroys data, history or a resource beyond what its program can undo.",
        "moves": "Takes a file away from its place; its content still exists elsewhere.",
        "attributes": "Changes only mode, owner, times or attributes of a path, not its content.",
        "widens-access": "Lets more users or the public reach something.",
        # who and where
        "privileged": "Runs with another user's rights, normally root's, or hands such rights out.",
        "remote": "Acts on another machine or on a service.",
        "contained": "Runs inside a container or a sandbox.",
        "escapes": "Leaves or opens a container: host mounts and namespaces, privileges.",
        "accounts": "Changes users, groups, passwords, keys or the rights they have.",
        # data that leaves, secrets that show
        "uploads": "Sends local data to another machine.",
        "publishes": "Makes something available to other people: a release, a package, a page.",
        "credential": "Prints, exports or uses up a secret that a program keeps.",
        "authenticates": "This key file is read to prove an identity; its content stays here.",
        "shows-environment": "Prints all environment variables, which may hold secrets.",
        "captures": "Records network traffic, keys, screens, or what other people type.",
        # code
        "runs-code": "Runs source code of the line, of its input or of a file that it names.",
        "reads-input-as-code": "An interpreter takes its program from a pipe or a descriptor.",
        "runs-downloaded": "Runs a file that the same line fetched from the network.",
        "deserializes": "Loads objects from data, which may bring code with it.",
        "executes": "This file is read in order to be run.",
        "installs": "Installs software, which may run code of its own.",
        "foreign-source": "Takes packages, images or updates from another source than usual.",
        "loader-change": "Changes which code programs load: LD_PRELOAD, PATH, GIT_SSH_COMMAND.",
        "unverified": "Skips a check of identity or integrity: certificates, keys, signatures.",
        # the machine
        "persistence": "Arranges for something to run later or again: timers, services, hooks.",
        "kills": "Stops processes or services.",
        "halts": "Shuts down or restarts the machine.",
        "system-change": "Changes the kernel, devices, mounts, boot or network of the machine.",
        "disables-security": "Turns off or weakens a protection: firewall, access control, audit.",
        "covers-tracks": "Removes or prevents traces: histories, logs, timestamps.",
        "inspects-processes": "Reads or changes the memory or calls of other processes.",
        "exhausts": "Uses up processes, memory, disk or processor time on purpose.",
        # the network
        "listens": "Opens a port that others can connect to.",
        "tunnels": "Forwards ports or traffic, or exposes a local service.",
        "raw-socket": "Opens a plain connection with the shell's own network files.",
        "network-file": "The shell's own network files, /dev/tcp and /dev/udp, open a connection.",
        "scans": "Probes or attacks other machines: port scans, password guessing, stress tests.",
        # places, found in the text of paths and addresses
        "encoded-traversal": "A path whose percent-escapes hide a step upwards.",
        "link-escape": "A link leads from the workspace to a place outside of it.",
        "local-file": "A file of this machine, named to a tool that is there for addresses.",
        # the project and its services
        "deploys": "Changes a running system: applies infrastructure, rolls out, restarts.",
        "pays": "Moves money, or orders something that costs some.",
        # tools that nobody listed: which side of a session they are on
        "looks-up": "A tool that looks something up and changes nothing, says its name.",
        "acts": "A tool that sends, orders, changes, runs or grants something, says its name.",
        "personal": "A tool about somebody's own accounts, payments or health, says its name.",
        "takes-notes": "A tool that writes notes, a summary or a draft, says its name.",
        "guessed": "Read from the words of a command, or the name of a tool, that nobody listed.",
    }
)
"""Effect name to the sentence that explains it. Policies say ``effect: irreversible``."""

ADDRESS_EFFECTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "loopback": "The address is this machine: localhost, 127.0.0.0/8, ::1, 0.0.0.0.",
        "private": "An address of a private network, or a name of one: 10.0.0.0/8, .local.",
        "link-local": "The address is valid on one link only: 169.254.0.0/16, fe80::/10.",
        "metadata": "A cloud's metadata service, which hands out credentials of the machine.",
        "multicast": "The address stands for many machines.",
        "unspecified": "The address names no machine, and is taken for this one: 0.0.0.0, ::.",
        "internal-name": "A name without a dot, which only a local resolver answers.",
        "userinfo": "A user name or a password stands in the address.",
        "idna": "The name holds other letters than a-z, which may look like another name.",
        "inline": "The address holds its content itself: data:, about:.",
    }
)
"""What an address is, found in its text: effects of ``fetch`` actions. Catalog entries have none
of these; policies may name them like the others.
"""

ALL_EFFECTS: Final = frozenset({*EFFECTS, *ADDRESS_EFFECTS})
"""Every effect that an action can have: a policy that names another one is mistaken."""

ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "text": "Data without a meaning outside the program: a pattern, a message, a name.",
        "read": "A file that is read.",
        "write": "A file that is created or overwritten, or whose attributes change.",
        "delete": "A file or directory that is removed.",
        "copy": "A file that is read; the destination gets a file of its name.",
        "move": "A file that is read and then removed from its place.",
        "script": "A file that is run as a program of the entry's language; `-` is standard input.",
        "upload": "A file whose content is sent away.",
        "at-file": "Data to send; `@name` stands for the content of that file.",
        "form": "A form field to send; `name=@file` and `name=<file` send that file's content.",
        "database": "A file that is read and written.",
        "destination": "Where copies go: a file, or a directory that gets the sources' names.",
        "url": "An address that is fetched.",
        "host": "A host, `user@host` or `host:port` that is contacted.",
        "from": "A local path or `host:path` or URL that is copied from.",
        "to": "A local path or `host:path` or URL that is copied to.",
        "filter": "An expression, or a file where it is an absolute path.",
        "transfer": "Commands of a transfer session, of which `put FILE` sends a file away.",
        "mirror": "As `to`, and what is not in the sources is removed there.",
        "into": "A directory that files are unpacked into.",
        "url-file": "An address that is fetched into a file of its last segment's name.",
        "header": "Data to send; `@name` stands for the content of that file.",
        "clone-source": "A repository: a local path or an address.",
        "container-from": "A local path, or `container:path`, that is copied from.",
        "container-to": "A local path, or `container:path`, that is copied to.",
        "git-config": "`name=value`, a setting of git.",
        "source": "A package: a name, a local path (read) or a URL (fetched).",
        "manifest": "A local path (read) or a URL (fetched).",
        "npm-source": "As `source`; `user/repository` is one of GitHub.",
        "index": "Where packages come from; the registry that everybody uses is not foreign.",
        "volume": "`host-path:container-path[:ro]`, made visible to a container.",
        "mount": "`type=bind,source=path,…`, made visible to a container.",
        "chdir": "The directory in which the program works.",
        "assignment": "`NAME=value` for the environment.",
        "module": "A module run as a program: read like the program of that name.",
        "command": "The program to run, followed by its own words.",
        "shell": "Shell text to run.",
        "shell-words": "Shell text to run, made of this word and all that follow.",
        "escape": "A command of the program; `!text`, `shell text`, `system('text')` run a shell.",
        "shell-setting": "`name=value`, where some names hold shell text: `ProxyCommand`, `exec`.",
        "encoded-code": "Source text in the entry's language, as base64 of UTF-16.",
        "code": "Source text in the entry's language.",
        "code-words": "Source text in the entry's language: this word and all that follow.",
        "key": "A key or certificate that is read to prove an identity.",
        "key-binding": '`"keys": shell text`, run when the keys are pressed.',
    }
)
"""Role name to the sentence that explains it. `code:LANGUAGE` names another language."""

STYLES: Final = frozenset({"gnu", "posix", "long", "text", "dos"})
"""How options are written.

``gnu``: bundled short options and long ones, anywhere. ``posix``: the same, until the first
operand. ``long``: one dash and a whole word. ``text``: there are none. ``dos``: a slash or a dash
and a whole word in any case, which may be cut short, with a value behind a colon or in the next
word.
"""

READER_NAMES: Final = frozenset(
    {"fd", "find", "git-checkout", "git-config", "git-content", "git-outside", "listed", "parallel"}
    | {"socat", "tar", "transfer", "xargs"}
)
"""Readers for words that follow a grammar of their own: ``rampart.intercept.readers``."""
