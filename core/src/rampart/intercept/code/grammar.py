"""How other languages write strings, comments and calls, and what their functions do, as data.

The operations are those of ``calls``, with three more kinds: ``either`` (one text is a shell line,
several are a program and its words), ``mode`` (a file opened with a mode) and ``eval`` (source).
``name?word`` counts only in a source that holds ``word``; ``.name`` is a method of anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from rampart.intercept.code.calls import Operation, parse_operation

_SLASHES: Final = r"//[^\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/)?"
_HASH: Final = r"(?<![$\\])#[^\n]*"
_SINGLE: Final = r"'(?:[^'\\\n]|\\.)*+'"
_SINGLE_LINES: Final = r"'(?:[^'\\]|\\.)*+'"
_DOUBLE: Final = r'"(?:[^"\\]|\\.)*+"'
_DOUBLE_LINE: Final = r'"(?:[^"\\\n]|\\.)*+"'
_TICKS: Final = r"`(?:[^`\\]|\\.)*+`"
_BRACKETED: Final = (
    r"\s*(?:\{[^{}]*+\}|\([^()]*+\)|\[[^\[\]]*+\]|<[^<>]*+>|([/|!,~#])(?:(?!\1)[^\\]|\\.)*+\1)"
)

_JAVASCRIPT: Final = """
exec?child_process execSync .exec?child_process .execSync => shell:0
execaCommand execaCommandSync .execaCommand shell.exec shelljs.exec shx.exec => shell:0
spawn spawnSync execFile execFileSync .spawn .spawnSync .execFile .execFileSync execa => argv:*
execaSync => argv:*
fork?child_process .fork?child_process Deno.run Deno.Command Bun.spawn Bun.spawnSync => argv:*
pty.spawn => argv:*
eval vm.runInNewContext vm.runInThisContext vm.runInContext vm.Script .runInThisContext => eval:0
Function => eval:0
process.binding process.dlopen => opaque
require import => module:0
.unlink?fs .unlinkSync unlinkSync unlink?fs rimraf rimraf.sync del?del Deno.remove => delete:0
Deno.removeSync => delete:0
.rm?fs .rmSync rmSync rm?fs .rmdir?fs .rmdirSync rmdirSync .remove?fs-extra .removeSync => delete:0
.emptyDir .emptyDirSync => delete+recursive:0
.writeFile .writeFileSync writeFile writeFileSync .appendFile .appendFileSync => write:0
appendFileSync => write:0
.createWriteStream createWriteStream .outputFile .outputFileSync .outputJson .writeJson => write:0
.writeJsonSync => write:0
.mkdir?fs .mkdirSync mkdirSync .truncateSync .ensureDir .ensureDirSync => write:0
Deno.writeTextFile Bun.write => write:0
Deno.writeTextFileSync Deno.writeFile .utimesSync => write:0
.chmod?fs .chmodSync .chown?fs .chownSync chmodSync => write+attributes:0
.readFile .readFileSync readFile readFileSync .createReadStream createReadStream => read:0
.readdir .readdirSync => read:0
readdirSync Deno.readTextFile Deno.readTextFileSync Deno.readFile Bun.file .readJson => read:0
.readJsonSync => read:0
.copyFile .copyFileSync copyFileSync .cpSync cpSync .cp?fs .copy?fs-extra => read:0 write:1
.copySync => read:0 write:1
.rename?fs .renameSync renameSync .moveSync => read:0 delete+moves:0 write:1
.symlink?fs .symlinkSync .linkSync => read:0 write:1
fetch axios axios.get axios.head axios.request got got.get needle superagent.get => fetch:0
$http.get => fetch:0
http.get https.get http.request https.request .download?download EventSource WebSocket => fetch:0
axios.post axios.put axios.patch got.post got.put superagent.post request.post => fetch+uploads:0
needle.post => fetch+uploads:0
navigator.sendBeacon => fetch+uploads:0
net.connect net.createConnection tls.connect .connect?net => address+raw-socket
net.createServer http.createServer .listen?create => note+listens
process.kill => note+kills
unserialize deserialize?serialize => note+deserializes
"""
_RUBY: Final = """
system exec spawn Kernel.system Kernel.exec Kernel.spawn Process.spawn Process.exec => either
IO.popen popen Open3.capture2 Open3.capture2e Open3.capture3 Open3.popen2 Open3.popen3 => either
PTY.spawn => either
eval instance_eval class_eval module_eval Kernel.eval .instance_eval .class_eval => eval:0
binding.eval => eval:0
send public_send __send__ .send .public_send .__send__ => send
load require_relative Kernel.load => read+executes:0
File.delete File.unlink FileUtils.rm FileUtils.rm_f FileUtils.remove => delete:*
FileUtils.safe_unlink => delete:*
FileUtils.rm_r FileUtils.rm_rf FileUtils.rmtree FileUtils.remove_dir => delete+recursive:*
FileUtils.remove_entry => delete+recursive:*
FileUtils.remove_entry_secure rm_rf?fileutils rm_r?fileutils => delete+recursive:*
Dir.rmdir Dir.delete Dir.unlink FileUtils.rmdir Pathname.delete => delete:0
File.write IO.write File.binwrite IO.binwrite FileUtils.touch FileUtils.mkdir => write:0
FileUtils.mkdir_p Dir.mkdir => write:0
File.truncate => write:0
File.chmod File.chown FileUtils.chmod FileUtils.chmod_R FileUtils.chown => write+attributes:1
File.read IO.read File.readlines IO.readlines File.foreach IO.foreach File.binread => read:0
Dir.children => read:0
Dir.entries Dir.glob YAML.load_file JSON.load_file CSV.read => read:0
File.open File.new open => mode
FileUtils.cp FileUtils.cp_r FileUtils.copy FileUtils.install IO.copy_stream => read:0 write:1
FileUtils.mv FileUtils.move File.rename => read:0 delete+moves:0 write:1
File.symlink FileUtils.ln_s FileUtils.ln_sf File.link => read:0 write:1
URI.open URI.parse URI Net.HTTP.get Net.HTTP.get_response HTTParty.get RestClient.get => fetch:0
Faraday.get => fetch:0
Net.HTTP.post Net.HTTP.post_form HTTParty.post RestClient.post Faraday.post => fetch+uploads:0
Net.HTTP.start Net.HTTP.new => address
TCPSocket.new TCPSocket.open Socket.tcp UDPSocket.new => address+raw-socket
TCPServer.new TCPServer.open WEBrick.HTTPServer.new => note+listens
Marshal.load Marshal.restore YAML.load YAML.unsafe_load Psych.load Oj.load => note+deserializes
Process.kill => note+kills
Fiddle.dlopen => opaque
"""
_PERL: Final = """
system exec CORE.system CORE.exec IPC.Open3.open3 open3 open2 run?IPC capture?IPC => either
eval => eval:0
do => read+executes:0
unlink => delete:*
rmtree remove_tree File.Path.rmtree File.Path.remove_tree => delete+recursive:*
rmdir => delete:0
mkdir truncate make_path mkpath => write:0
chmod chown utime => write+attributes:1
opendir => read:1
open sysopen => perl-open
copy?File move?File => read:0 write:1
rename => read:0 delete+moves:0 write:1
symlink link => read:0 write:1
get?LWP getprint getstore .get?LWP .get?HTTP => fetch:0
.post?LWP .post?HTTP => fetch+uploads:0
IO.Socket.INET.new IO.Socket.IP.new IO.Socket.SSL.new => socket
kill => note+kills
thaw retrieve Storable.thaw Storable.retrieve => note+deserializes
"""
_PHP: Final = """
system exec shell_exec passthru popen proc_open => shell:0
pcntl_exec => argv:*
eval assert create_function preg_replace_callback_eval => eval:0
call_user_func call_user_func_array => send
include include_once require require_once => read+executes:0
unlink rmdir => delete:0
file_put_contents touch mkdir ftruncate move_uploaded_file => write:0
chmod chown => write+attributes:0
file_get_contents readfile file parse_ini_file scandir opendir glob highlight_file => read:0
show_source => read:0
fopen => mode
copy => read:0 write:1
rename => read:0 delete+moves:0 write:1
symlink link => read:0 write:1
curl_init Http.get => fetch:0
mail => note+uploads
fsockopen pfsockopen => address+raw-socket
stream_socket_client => fetch+raw-socket:0
stream_socket_server socket_bind => note+listens
unserialize => note+deserializes
dl FFI.cdef FFI.load => opaque
posix_kill => note+kills
"""
_LUA: Final = """
os.execute io.popen => shell:0
load loadstring => eval:0
dofile loadfile => read+executes:0
os.remove => delete:0
os.rename => read:0 delete+moves:0 write:1
io.open => mode
io.lines io.input => read:0
io.output => write:0
http.request https.request => fetch:0
socket.connect socket.tcp.connect .connect => address+raw-socket
package.loadlib => opaque
"""
_GO: Final = """
exec.Command syscall.Exec os.StartProcess => argv:*
exec.CommandContext => argv-rest:1
os.Remove => delete:0
os.RemoveAll => delete+recursive:0
os.WriteFile ioutil.WriteFile os.Create os.Mkdir os.MkdirAll os.Truncate => write:0
os.Chmod os.Chown => write+attributes:0
os.ReadFile ioutil.ReadFile os.Open os.ReadDir ioutil.ReadDir filepath.Walk => read:0
filepath.WalkDir => read:0
os.OpenFile => read:0 write:0
os.Rename => read:0 delete+moves:0 write:1
http.Get http.Head => fetch:0
http.Post http.PostForm => fetch+uploads:0
http.NewRequest => fetch:1
net.Dial net.DialTimeout tls.Dial => host+raw-socket:1
net.Listen http.ListenAndServe => note+listens
syscall.Kill => note+kills
"""
_R: Final = """
system shell => shell:0
system2 => argv:*
eval parse => eval:0
source => read+executes:0
unlink => delete+recursive:0
file.remove => delete:*
writeLines write.csv write.table => write:1
file.create dir.create sink => write:0
saveRDS save => write:1
readLines read.csv read.table read.delim scan file readRDS load readr.read_csv => read:0
file.copy => read:0 write:1
file.rename => read:0 delete+moves:0 write:1
download.file => fetch:0 write:1
url httr.GET GET curl.curl => fetch:0
httr.POST POST => fetch+uploads:0
install.packages => note+installs
socketConnection => note+raw-socket
dyn.load => opaque
"""
_C: Final = """
system popen => shell:0
execl execlp execle => argv-rest:1
execv execvp execve posix_spawn => argv-unknown
unlink remove rmdir => delete:0
fopen open => mode
rename => read:0 delete+moves:0 write:1
dlopen => opaque
kill => note+kills
std.fs.remove_dir_all remove_dir_all fs.remove_dir_all => delete+recursive:0
std.fs.remove_file fs.remove_file std.fs.remove_dir => delete:0
std.fs.read_to_string fs.read_to_string File.open std.fs.read => read:0
std.fs.write fs.write File.create => write:0
Command.new std.process.Command.new => argv:0
"""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a language writes what the lexical reader looks for."""

    name: str
    token: re.Pattern[str]
    joins: frozenset[str]
    interpolation: re.Pattern[str] | None
    calls: str
    bare: bool = False  # a call needs no parentheses
    sigils: bool = False  # variables start with `$`, `@` or `%`

    def table(self, source: str) -> dict[str, tuple[Operation, ...]]:
        """Return the calls that count in ``source``."""
        plain, gated = _table(self.calls)
        extra = {name: operations for name, word, operations in gated if word in source}
        return plain | extra if extra else plain


_Row = tuple[Operation, ...]


@cache
def _table(text: str) -> tuple[dict[str, _Row], tuple[tuple[str, str, _Row], ...]]:
    plain: dict[str, _Row] = {}
    gated: list[tuple[str, str, _Row]] = []
    for line in text.strip().splitlines():
        names, _, operations = line.partition(" => ")
        row = tuple(parse_operation(each) for each in operations.split())
        for entry in names.split():
            name, question, word = entry.partition("?")
            if question:
                gated.append((name, word, row))
            else:
                plain[name] = row
    return plain, tuple(gated)


def _token(
    *, comment: str, raw: str = "", cooked: str = "", command: str = "", words: str = ""
) -> re.Pattern[str]:
    parts = [rf"(?P<comment>{comment})"]
    for name, pattern in (("command", command), ("words", words), ("cooked", cooked), ("raw", raw)):
        if pattern:
            parts.append(rf"(?P<{name}>{pattern})")
    parts += [
        r"(?P<name>[A-Za-z_]\w*[!?]?)",
        r"(?P<link>::|->|\?\.|&\.|\.(?!\.))",
        r"(?P<op>\S|\n)",
    ]
    # WHY: the pattern of bracketed text refers to its own opening character
    return re.compile("|".join(parts).replace(r"\1", r"(?P=mark)"), re.DOTALL)


def _marked(prefix: str) -> str:
    return prefix + _BRACKETED.replace("([/|!,~#])", "(?P<mark>[/|!,~#])")


_REGEX_LITERAL: Final = r"(?<=[(,=:!&|?;])[ ]*/(?![*/])(?:[^/\\\n]|\\.)++/\w*"
_DOLLAR_BRACES: Final = re.compile(r"\$\{([^{}]*)\}")
_HASH_BRACES: Final = re.compile(r"#\{([^{}]*)\}")
_VARIABLES: Final = re.compile(
    r"[$@]\{?(\w+)\}?(?:(?:->)?(?:\[[^\]\n]{0,80}\]|\{[^}\n]{0,80}\}))*|\{\$([^{}]*)\}"
)

GRAMMARS: Final[dict[str, Callable[[], Grammar]]] = {
    "javascript": lambda: Grammar(
        "javascript",
        _token(
            comment=f"{_SLASHES}|{_REGEX_LITERAL}", cooked=_TICKS, raw=f"{_DOUBLE_LINE}|{_SINGLE}"
        ),
        frozenset("+"),
        _DOLLAR_BRACES,
        _JAVASCRIPT,
    ),
    "ruby": lambda: Grammar(
        "ruby",
        _token(
            comment=_HASH,
            command=_TICKS + "|" + _marked("%x"),
            words=r"%[wWiI](?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])",
            cooked=_DOUBLE + r"|%Q?(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])",
            raw=_SINGLE_LINES + r"|%q(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])|:(?=[a-z_])\w+",
        ),
        frozenset("+"),
        _HASH_BRACES,
        _RUBY,
        bare=True,
    ),
    "perl": lambda: Grammar(
        "perl",
        _token(
            comment=_HASH,
            command=_TICKS + "|" + _marked(r"\bqx"),
            words=r"\bqw\s*(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])",
            cooked=_DOUBLE + r"|\bqq\s*(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])",
            raw=_SINGLE_LINES + r"|\bq\s*(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])",
        ),
        frozenset("."),
        _VARIABLES,
        _PERL,
        bare=True,
        sigils=True,
    ),
    "php": lambda: Grammar(
        "php",
        _token(comment=f"{_SLASHES}|{_HASH}", command=_TICKS, cooked=_DOUBLE, raw=_SINGLE_LINES),
        frozenset("."),
        _VARIABLES,
        _PHP,
        bare=True,
        sigils=True,
    ),
    "lua": lambda: Grammar(
        "lua",
        _token(
            comment=r"--\[\[(?:[^\]]|\](?!\]))*+(?:\]\])?|--[^\n]*",
            raw=rf"{_DOUBLE_LINE}|{_SINGLE}|\[\[(?:[^\]]|\](?!\]))*+(?:\]\]|\Z)",
        ),
        frozenset({".."}),
        None,
        _LUA,
        bare=True,
    ),
    "go": lambda: Grammar(
        "go",
        _token(comment=_SLASHES, raw=rf"{_DOUBLE_LINE}|{_TICKS}"),
        frozenset("+"),
        None,
        _GO,
    ),
    "r": lambda: Grammar(
        "r", _token(comment=_HASH, raw=rf"{_DOUBLE}|{_SINGLE_LINES}"), frozenset(), None, _R
    ),
    "c": lambda: Grammar("c", _token(comment=_SLASHES, raw=_DOUBLE_LINE), frozenset(), None, _C),
}


@cache
def grammar_of(language: str) -> Grammar:
    """Return the grammar of a language; compiling one takes half a millisecond, so each waits."""
    return GRAMMARS[language]()
