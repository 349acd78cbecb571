"""A program that runs another one hides nothing: the inner command is read as if it stood alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Read = Callable[[str], Any]

TARGET = "rm -rf build"

WRAPPED = [
    "sudo {}",
    "sudo -u root -E {}",
    "sudo -nu root -- {}",
    "sudo FOO=1 {}",
    "doas -u root {}",
    "pkexec {}",
    "env {}",
    "env -i A=1 {}",
    "env -u A -C /tmp A=1 {}",
    "env - {}",
    "command {}",
    "command -p {}",
    "exec {}",
    "exec -a x {}",
    "builtin {}",
    "nohup {}",
    "nohup {} &",
    "nice {}",
    "nice -n 5 {}",
    "nice -5 {}",
    "nice --adjustment=5 {}",
    "ionice -c3 {}",
    "ionice -c 2 -n 7 {}",
    "ionice -tc3 {}",
    "timeout 5 {}",
    "timeout -k 1s -s KILL 5 {}",
    "timeout --preserve-status 5 {}",
    "timeout -vk1s 5 {}",
    "time {}",
    "time -p {}",
    "/usr/bin/time -v {}",
    "setsid {}",
    "setsid -f {}",
    "stdbuf -oL {}",
    "stdbuf -o L -e 0 {}",
    "unbuffer {}",
    "chrt -f 10 {}",
    "taskset 1 {}",
    "taskset -c 0,1 {}",
    "prlimit --nofile=10 {}",
    "numactl -N 0 {}",
    "setpriv --reuid=1 {}",
    "setarch x86_64 {}",
    "flock l {}",
    "flock -w 5 l {}",
    "xargs {}",
    "unshare -r {}",
    "unshare -rm --mount-proc {}",
    "nsenter -t 1 -m {}",
    "chroot / {}",
    "chroot --userspec=a / {}",
    "strace -f {}",
    "strace -o log -e trace=file {}",
    "ltrace {}",
    "valgrind --tool=memcheck {}",
    "gdb --args {}",
    "perf record -g {}",
    "firejail --net=none {}",
    "systemd-run --user {}",
    "systemd-run -p A=1 --on-active=5 {}",
    "busybox {}",
    "toybox {}",
    "caffeinate -i {}",
    "xvfb-run -a {}",
    "dbus-run-session {}",
    "proxychains4 -q {}",
    "sshpass -p x {}",
    "aws-vault exec p -- {}",
    "op run -- {}",
    "poetry run {}",
    "uv run {}",
    "pipenv run {}",
    "bundle exec {}",
    "npm exec -- {}",
    "npx -y {}",
    "mise exec -- {}",
    "direnv exec . {}",
    "docker exec web {}",
    "docker exec -it -e A=1 web {}",
    "docker run --rm -v /a:/b img {}",
    "podman run -it img {}",
    "docker compose exec web {}",
    "kubectl exec p -- {}",
    "kubectl exec -it p -c c -n n -- {}",
    "proot -r / {}",
    "ip netns exec n {}",
    "sudo nice -n 5 timeout 5 env A=1 {}",
    "/lib64/ld-linux-x86-64.so.2 {}",
    "screen -dmS x {}",
    "script out {}",
    "runuser -u u -- {}",
    "entr -r {}",
]

QUOTED = [
    "sh -c '{}'",
    "bash -c '{}'",
    "bash -lc '{}'",
    "bash -ec '{}'",
    "bash -c -e '{}'",
    "bash --norc -c '{}'",
    "bash -o pipefail -c '{}'",
    "bash -x -c '{}' name arg",
    "zsh -c '{}'",
    "dash -c '{}'",
    "ksh -c '{}'",
    "fish -c '{}'",
    "csh -c '{}'",
    "tcsh -c '{}'",
    "/bin/sh -c '{}'",
    "/usr/bin/env bash -c '{}'",
    "busybox sh -c '{}'",
    "eval '{}'",
    "eval {}",
    "su -c '{}'",
    "su - root -c '{}'",
    "su root -s /bin/sh -c '{}'",
    "script -q -c '{}' log",
    "flock l -c '{}'",
    "watch '{}'",
    "watch -n1 {}",
    "ssh h '{}'",
    "ssh -p 22 -i key u@h '{}'",
    "ssh h {}",
    "ssh h bash -c '\"{}\"'",
    "parallel '{}' ::: x",
    "parallel {} ::: x",
    "env -S '{}'",
    "trap '{}' EXIT",
    "alias x='{}'",
    "tmux new-session -d '{}'",
    "tmux new -ds x '{}'",
    "nix-shell --run '{}'",
    "npx -c '{}'",
    "bash <<< '{}'",
    "sh <<EOF\n{}\nEOF",
    "bash <<'EOF'\n{}\nEOF",
    "echo '{}' | sh",
    "echo '{}' | bash -s",
    "printf '{}' | sudo bash",
    "printf '%s\\n' '{}' | zsh",
    "echo '{}' | tee x | sh",
    "echo '{}' | ssh h",
    "bash <(echo '{}')",
    "source <(echo '{}')",
    "echo '{}' | at now",
    "readarray -C '{}' -c 1 x",
    "split --filter='{}' a",
    "git rebase -x '{}' main",
    "git config core.pager '{}'",
    "git -c core.pager='{}' log",
    "git -c alias.x='!{}' x",
    "git submodule foreach '{}'",
    "tar -cf a --rsh-command='{}' b",
    "rsync -e '{}' a h:",
    "find . -exec sh -c '{}' \\;",
    "find . -exec {} \\;",
    "PAGER='{}' git log",
    "export GIT_SSH_COMMAND='{}'",
    "env PROMPT_COMMAND='{}' bash",
    "socat - EXEC:'{}'",
    "nc -e '{}' h 1",
    "fly ssh console -C '{}'",
    "echo '* * * * * {}' | crontab -",
    "complete -C '{}' x",
    "cat > x.sh <<'EOF'\n{}\nEOF\nbash x.sh",
    "echo '{}' > x.sh; sh ./x.sh",
    "echo '{}' > x; chmod +x x; ./x",
    "bash -c \"$(echo '{}')\"",
    "eval \"$(printf %s '{}')\"",
    "xargs -I% sh -c '{}' %",
]


@pytest.mark.parametrize("line", [*WRAPPED, *QUOTED])
def test_the_inner_command_is_an_action_of_its_own(read: Read, line: str) -> None:
    reading = read(line.format(TARGET))
    inner = [command for command in reading.commands if command.startswith(TARGET)]
    assert inner, reading.commands


@pytest.mark.parametrize("line", WRAPPED)
def test_the_launcher_itself_stays_an_action(read: Read, line: str) -> None:
    text = line.format(TARGET).removesuffix(" &")
    name = text.split()[0].rpartition("/")[2]
    programs = [action.program for action in read(text).actions if action.tool == "exec"]
    assert name in programs or name in ("time", "exec")


@pytest.mark.parametrize(
    ("line", "effect"),
    [
        ("sudo {}", "privileged"),
        ("su -c '{}'", "privileged"),
        ("ssh h '{}'", "remote"),
        ("docker exec web {}", "contained"),
        ("kubectl exec p -- {}", "remote"),
        ("kubectl exec p -- {}", "contained"),
        ("sudo bash -c '{}'", "privileged"),
        ("ssh h sudo {}", "privileged"),
    ],
)
def test_inner_actions_carry_what_the_launcher_adds(read: Read, line: str, effect: str) -> None:
    actions = read(line.format(TARGET)).actions
    for action in actions:
        if action.command == TARGET or action.tool == "delete":
            assert effect in action.effects


def test_a_path_in_a_new_container_is_no_path_of_this_machine(read: Read) -> None:
    assert read("docker run --rm img rm -rf /etc").paths("delete") == []
    assert read("docker run -v /srv:/x img rm -rf /x").paths("write") == ["/srv"]
    assert read("docker exec web rm -rf /etc").paths("delete") == ["/etc"]


@pytest.mark.parametrize(
    "line",
    [
        "sudo --frobnicate 5 rm x",
        "timeout -Z 5 rm x",
        "nsenter --nonsense 1 rm x",
        "xargs --what rm x",
    ],
)
def test_a_launcher_whose_options_are_not_understood_is_opaque(read: Read, line: str) -> None:
    actions = read(line).actions
    assert "option is not understood" in actions[0].opaque
    assert not any(action.grantable for action in actions if action.program == "rm")


@pytest.mark.parametrize("line", ["sudo --unknown=5 rm x", "timeout --unknown=5 9 rm x"])
def test_an_unknown_option_with_its_value_in_the_word_moves_nothing(read: Read, line: str) -> None:
    assert "rm x" in read(line).commands


@pytest.mark.parametrize(
    "line",
    [
        "cat f | sh",
        "curl h | bash",
        "base64 -d f | bash",
        "cat f | python",
        "cat f | sudo bash -s",
        "curl h | node",
        "cat f | ssh h",
        "bash < <(curl h)",
        "source <(curl h)",
        "bash <(curl h)",
        "cat f | xargs -I{} sh -c '{}'",
        "nc h 1 | sh",
        "nc -l 1 -e /bin/sh",
        "bash /dev/fd/7",
        "cat f | at now",
    ],
)
def test_unknown_text_as_a_program_is_opaque(read: Read, line: str) -> None:
    assert read(line).opaque


@pytest.mark.parametrize(
    "line",
    [
        "cat f | grep x",
        "cat f | python x.py",
        "cat f | bash x.sh",
        "cat f | psql db",
        "bash x.sh",
        "python x.py",
        "cat f | ssh h 'cat > x'",
        "cat f | python -m json.tool",
        "curl h | bash -n",
        "python",
        "bash",
    ],
)
def test_input_of_a_program_that_is_known_is_data(read: Read, line: str) -> None:
    assert not read(line).opaque


def test_find_hands_its_paths_to_the_command(read: Read) -> None:
    assert read("find /srv -exec rm {} +").paths("delete") == ["/srv"]
    assert read("find . -name '*.pyc' -exec rm {} \\;").paths("delete") == ["/workspace/**/*.pyc"]
    assert read("find / -type f -print0 | xargs -0 rm -f").paths("delete") == ["/"]
    assert read("find . -not -name '*.py' -delete").paths("delete") == ["/workspace"]


def test_xargs_appends_what_it_reads(read: Read) -> None:
    assert read("echo a b | xargs rm").paths("delete") == ["/workspace/a", "/workspace/b"]
    assert read("echo a | xargs -I{} rm x/{}").paths("delete") == ["/workspace/x/a"]
    unknown = read("cat list | xargs rm")
    assert not [a for a in unknown.actions if a.program == "rm" and a.grantable]


@pytest.mark.parametrize(
    "line", ["find / -exec chmod 0 {} +", "find /srv | xargs rm", "find / -exec rm {} \\;"]
)
def test_what_a_listing_hands_on_is_a_whole_tree(read: Read, line: str) -> None:
    changes = [a for a in read(line).actions if a.tool in ("write", "delete")]
    assert changes
    assert all("recursive" in action.effects for action in changes)
