"""Every bound in one place, each with its reason. A value over its bound is denied, never cut."""

from __future__ import annotations

from typing import Final

# Tool calls
COMMAND_BYTES_MAX: Final = (
    64 * 1024
)  # longer than any command a person could review; parsing stays under 50 ms
CODE_BYTES_MAX: Final = 256 * 1024  # generated source files are larger than commands
PATH_BYTES_MAX: Final = 4096  # PATH_MAX on Linux
URL_BYTES_MAX: Final = 8192  # what servers accept in a request line
PARAMS_BYTES_MAX: Final = 1024 * 1024  # a call is recorded, and a record is one line
PARAMS_DEPTH_MAX: Final = 32  # deeper than any real tool schema; keeps recursion safe
NAME_CHARS_MAX: Final = 256  # tool, agent and session names

# Shell and source analysis
SHELL_DEPTH_MAX: Final = 24  # nesting of substitutions, groups and wrapped shells
SHELL_NESTED_CHARS_MAX: Final = (
    128 * 1024
)  # length times depth of a wrapped shell text: each `eval` of a long line reads it all again
SHELL_COMMANDS_MAX: Final = 2000  # simple commands in one line
SHELL_WORDS_MAX: Final = 20_000  # words after expansion
EXPANSION_WORDS_MAX: Final = 256  # words that one brace or glob alternation may become
SHELL_VARIABLES_MAX: Final = 256  # variables, functions and aliases of one script
SHELL_EXPANDED_CHARS_MAX: Final = (
    256 * 1024
)  # text after expansion; a variable doubled in every line grows without end
ACTIONS_MAX: Final = 4000  # derived actions of one call
CODE_NODES_MAX: Final = 50_000  # syntax nodes visited in one source text

# Repeated calls
REPEATS_MAX: Final = 1024  # answers that are remembered; a few megabytes
REPEAT_CHARS_MAX: Final = 4096  # longer calls are rarely made twice
REPEAT_ACTIONS_MAX: Final = 16  # a call that does more is decided anew

# Policies
POLICY_BYTES_MAX: Final = 1024 * 1024  # a policy is read by people
POLICY_DEPTH_MAX: Final = 32  # YAML nesting; a C parser overflowed its stack at 100,000
POLICY_RULES_MAX: Final = 10_000  # the benchmarks go this far
PATTERN_CHARS_MAX: Final = 1024  # one glob or regular expression
GLOB_WORK_US_MAX: Final = 50_000  # comparing a call's own wildcards with a policy, estimated

# Audit
RECORD_BYTES_MAX: Final = 256 * 1024  # one line; larger fields are replaced by size and digest
SEGMENT_BYTES_MAX: Final = (
    64 * 1024 * 1024
)  # small enough to copy and inspect, large enough to be few
AUDIT_TIMEOUT_S: Final = 5.0  # a call that cannot be recorded in this time is denied
GROUP_COMMIT_RECORDS_MAX: Final = 64  # records that share one sync
RECORD_FIELD_BYTES_MAX: Final = 64 * 1024  # one string in a record; the longest command still fits
RECORD_ITEMS_MAX: Final = 100_000  # values in one record; more could not fit into its bytes
AUDIT_RETRY_S: Final = 0.1  # first pause before a failed log is opened again; it doubles
AUDIT_RETRY_S_MAX: Final = 5.0  # a repaired disk is noticed within seconds

# Approvals
APPROVAL_TIMEOUT_S: Final = (
    300.0  # a person who was asked and is at the desk answers within minutes
)
APPROVAL_POLL_S: Final = 0.1  # feels immediate, costs one indexed read
APPROVAL_BUSY_S: Final = 5.0  # another process writes for milliseconds; longer means that it hangs
APPROVALS_PENDING_MAX: Final = 1000  # more questions than a person could ever answer
APPROVAL_KEEP_S: Final = 30 * 86400.0  # answered questions stay readable for a month

# Service
HTTP_BODY_BYTES_MAX: Final = 2 * 1024 * 1024  # parameters plus tool output
SOCKET_FRAME_BYTES_MAX: Final = (
    4 * 1024 * 1024
)  # ARG_MAX is 2 MiB by default and grows with the stack limit
SOCKET_TIMEOUT_S: Final = 2.0  # a guarded program must not hang on a broken peer
CLIENT_TIMEOUT_S: Final = 5.0  # connect and answer of one remote decision
HTTP_HEAD_TIMEOUT_S: Final = 5.0  # a request line and headers are one packet from any real client
HTTP_BODY_TIMEOUT_S: Final = 10.0  # 2 MiB over a slow link
HTTP_WORKERS_MAX: Final = 64  # requests decided at once; as many as may share one sync
SOCKET_WORKERS: Final = 16  # connections served at once; each waits for a disk or a peer, not a CPU
SHUTDOWN_TIMEOUT_S: Final = 5.0  # requests under way may finish; a person pressing Ctrl-C waits
BATCH_LINE_BYTES_MAX: Final = (
    4 * 1024 * 1024
)  # one call of `rampart check --batch`, escapes included
APPROVAL_POLL_REMOTE_S: Final = 0.5  # a request each; the published clients poll once a second
HTTP_ANSWER_BYTES_MAX: Final = (
    4 * 1024 * 1024
)  # what a client reads; a list of approvals is the longest
