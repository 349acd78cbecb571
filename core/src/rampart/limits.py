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
PARAMS_VALUES_MAX: Final = 10_000  # texts, numbers and lists in one call; each is looked at
PARAMS_DEPTH_MAX: Final = 32  # deeper than any real tool schema; keeps recursion safe
NAME_CHARS_MAX: Final = 256  # tool, agent and session names

# Shell and source analysis
SHELL_DEPTH_MAX: Final = 24  # nesting of substitutions, groups and wrapped shells
SHELL_NESTED_CHARS_MAX: Final = (
    128 * 1024
)  # length times depth of a wrapped shell text: each `eval` of a long line reads it all again
SHELL_COMMANDS_MAX: Final = 1200  # simple commands in one line
SHELL_WORDS_MAX: Final = 12_000  # words after expansion; more file names than fit into a line
EXPANSION_WORDS_MAX: Final = 256  # words that one brace or glob alternation may become
SHELL_VARIABLES_MAX: Final = 256  # variables, functions and aliases of one script
SHELL_EXPANDED_CHARS_MAX: Final = (
    256 * 1024
)  # text after expansion; a variable doubled in every line grows without end
CATALOG_NAMES_MAX: Final = 4096  # programs whose entry is kept at hand, versions included
ACTIONS_MAX: Final = 4000  # derived actions of one call
CALL_WORK_US_MAX: Final = (
    28_000  # analysing one call, estimated; with the comparison it stays under 50 ms
)
CODE_NODES_MAX: Final = 50_000  # syntax nodes visited in one source text

# Repeated calls
REPEATS_MAX: Final = 1024  # answers that are remembered; a few megabytes
REPEAT_CHARS_MAX: Final = 4096  # longer calls are rarely made twice
REPEAT_ACTIONS_MAX: Final = 16  # a call that does more is decided anew

# Policies
POLICY_BYTES_MAX: Final = 1024 * 1024  # a policy is read by people
POLICY_DEPTH_MAX: Final = 32  # YAML nesting; a C parser overflowed its stack at 100,000
POLICY_LOOK_S: Final = 1.0  # how long a changed file may go unnoticed
POLICY_WATCH_S: Final = 0.25  # between two looks of a service, which has the time
POLICY_SETTLE_S: Final = 0.2  # a writer who does not rename is done with a file by then
POLICY_RACY_S: Final = 2.0  # the coarsest clock of a file system in use (FAT)
PROJECT_POLICY_BYTES_MAX: Final = (
    128 * 1024
)  # it is read while a call waits, and comes from anybody
PROJECT_LEVELS_MAX: Final = 16  # directories above a workspace that are looked at
PROJECTS_MAX: Final = 64  # workspaces whose policies are kept at hand
POLICY_RULES_MAX: Final = 10_000  # the benchmarks go this far
PATTERN_CHARS_MAX: Final = 1024  # one glob or regular expression
GLOB_MOVES_MAX: Final = 512  # steps that one path pattern remembers; a tenth of a megabyte
MATCH_WORK_US_MAX: Final = 22_000  # comparing one call with a policy, estimated

# Audit
RECORD_BYTES_MAX: Final = 256 * 1024  # one line; larger fields are replaced by size and digest
SEGMENT_BYTES_MAX: Final = (
    64 * 1024 * 1024
)  # small enough to copy and inspect, large enough to be few
AUDIT_TIMEOUT_S: Final = 5.0  # a call that cannot be recorded in this time is denied
GROUP_COMMIT_RECORDS_MAX: Final = 64  # records that share one sync
NOTE_BYTES_MAX: Final = 64 * 1024  # a checkpoint has 300 bytes; witnesses may add signatures
NOTE_SIGNATURES_MAX: Final = 64  # C2SP asks for at least 16
CHECKPOINT_RECORDS: Final = 1000  # records between two checkpoints; each costs about 3 ms then
CHECKPOINT_S: Final = 60.0  # how long a record may wait for the next checkpoint
ANCHOR_TIMEOUT_S: Final = 30.0  # one attempt to send a checkpoint elsewhere
PROOF_BYTES_MAX: Final = 1024 * 1024  # a record, its path of at most 64 hashes, and a checkpoint
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
APPROVAL_KEPT_S: Final = (
    7 * 86400.0
)  # a run that was stored with its question is resumed when somebody is back from holiday
APPROVALS_PENDING_MAX: Final = 1000  # more questions than a person could ever answer
APPROVAL_KEEP_S: Final = 30 * 86400.0  # answered questions stay readable for a month

# What happened before in a session
HISTORY_KEEP_S: Final = 30 * 86400.0  # what was last met a month ago has nothing to do with now
HISTORY_REFRESH_S: Final = (
    86400.0  # how stale the time of a mark may be that nobody asks the age of
)
HISTORY_ROWS_MAX: Final = 1_000_000  # of one kind, some 100 MB; beyond it the oldest are forgotten
HISTORY_PRUNE_CALLS: Final = 1000  # calls between two searches for what is too old
HISTORY_BUSY_S: Final = 5.0  # another process writes for milliseconds; longer means that it hangs
CALL_COUNT_MAX: Final = 10_000  # calls that one counter remembers; each is a row
TRACE_STEPS_MAX: Final = 1000  # calls of one session that `rampart check --batch` plays through
CLAIM_ATTEMPTS_MAX: Final = 16  # a decision made anew because other calls changed what it rests on

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

# Plugins
PLUGIN_DECIDE_S: Final = (
    0.5  # all plugins about one call; with its webhooks less than a preloaded program waits
)
PLUGIN_OBSERVE_S: Final = 0.2  # all observers of one decision; the agent waits for them as well
PLUGIN_LOAD_S: Final = 5.0  # importing a framework takes seconds; longer is reported, with its name
PLUGIN_THREADS_MAX: Final = 64  # calls of one plugin at once; as many as requests are decided

# Responses
RESPONSE_BYTES_MAX: Final = 4 * 1024 * 1024  # far more than a model reads at once
RESPONSE_ITEMS_MAX: Final = 100_000  # values in one response
RESPONSE_FINDS_MAX: Final = 10_000  # places of one response; with more it is a dump of secrets
RESPONSE_TIMEOUT_S: Final = 0.5  # a rule that finds something in every character is a mistake
RESPONSE_SET_BYTES_MAX: Final = (
    64 * 1024 * 1024
)  # what all expressions on responses may take together, compiled
STREAM_HELD_CHARS: Final = (
    16 * 1024
)  # the longest private key in use has 13,000 characters; what is shorter is found across chunks

# Webhooks
WEBHOOK_TIMEOUT_S: Final = 2.0  # an agent waits; a person is asked by other means
WEBHOOK_TIMEOUT_S_MAX: Final = 30.0  # longer, and the asker's own time runs out first
WEBHOOK_HTTP_S: Final = 4.0  # all of one request: `Guard.connect` waits 5 s, then may fail open
WEBHOOK_SOCKET_S: Final = 1.2  # all of one query: the preload library waits 2 s, then may fail open
WEBHOOK_GRACE_S: Final = 0.5  # to close what is open once the time is over
WEBHOOK_ANSWER_BYTES_MAX: Final = 64 * 1024  # a word and a sentence
WEBHOOKS_PER_CALL_MAX: Final = 4  # they are asked one after the other
WEBHOOK_ACTIONS_MAX: Final = 100  # actions that a webhook is told of; the call itself is there too
