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
        "scans": "Probes or attacks other machines: port scans, password guessing, stress tests.",
        # places, found in the text of paths and addresses
        "encoded-traversal": "A path whose percent-escapes hide a step upwards.",
        "link-escape": "A link leads from the workspace to a place outside of it.",
        # the project and its services
        "deploys": "Changes a running system: applies infrastructure, rolls out, restarts.",
        "guessed": "Read from the words of a command that the catalog does not list.",
    }
)
"""Effect name to the sentence that explains it. Policies say ``effect: irreversible``."""

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
        "destination": "Where copies go: a file, or a directory that gets the sources' names.",
        "url": "An address that is fetched.",
        "host": "A host, `user@host` or `host:port` that is contacted.",
        "from": "A local path or `host:path` or URL that is copied from.",
        "to": "A local path or `host:path` or URL that is copied to.",
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
        "volume": "`host-path:container-path[:ro]`, made visible to a container.",
        "mount": "`type=bind,source=path,…`, made visible to a container.",
        "chdir": "The directory in which the program works.",
        "assignment": "`NAME=value` for the environment.",
        "module": "A module run as a program: read like the program of that name.",
        "command": "The program to run, followed by its own words.",
        "shell": "Shell text to run.",
        "shell-words": "Shell text to run, made of this word and all that follow.",
        "code": "Source text in the entry's language.",
        "key": "A key or certificate that is read to prove an identity.",
        "key-binding": '`"keys": shell text`, run when the keys are pressed.',
    }
)
"""Role name to the sentence that explains it. `code:LANGUAGE` names another language."""

STYLES: Final = frozenset({"gnu", "posix", "long", "text"})
"""How options are written.

``gnu``: bundled short options and long ones, anywhere. ``posix``: the same, until the first
operand. ``long``: one dash and a whole word. ``text``: there are none.
"""
