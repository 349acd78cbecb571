"""What Python's own functions and well-known packages do with their arguments, as data.

One line: names, ``=>``, then what happens. ``read:0|file`` reads the path in argument 0 or keyword
``file``; ``@`` is the object that a method is called on; ``+effect`` adds an effect. ``note`` needs
no argument; ``opaque`` is what source alone does not decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TABLE: Final = """
# files
os.remove os.unlink => delete:0|path
os.rmdir os.removedirs => delete:0|path|name
shutil.rmtree => delete+recursive:0|path
os.rename os.renames os.replace shutil.move => read:0|src|old delete+moves:0|src|old write:1|dst|new
shutil.copy shutil.copy2 shutil.copyfile => read:0|src write:1|dst
shutil.copytree distutils.dir_util.copy_tree => read+recursive:0|src write+recursive:1|dst
shutil.copymode shutil.copystat => write+attributes:1|dst
shutil.make_archive => read+recursive:2|root_dir write:0|base_name
shutil.unpack_archive => read:0|filename write+recursive:1|extract_dir
shutil.chown os.chown os.lchown os.chmod os.lchmod os.utime os.setxattr => write+attributes:0|path
os.chflags => write+attributes:0|path
os.link os.symlink => read:0|src write:1|dst
os.truncate os.mkdir os.makedirs os.mkfifo os.mknod => write:0|path|name
os.listdir os.scandir os.readlink => read:0|path
os.walk os.fwalk => read+recursive:0|top
os.chroot os.chdir => read:0|path
os.mount => write:1|target note+system-change
glob.glob glob.iglob => read:0|pathname
fileinput.input linecache.getlines linecache.getline tokenize.open => read:0|files|filename
mmap.mmap => read:0|files|filename
numpy.load numpy.loadtxt numpy.genfromtxt numpy.fromfile pandas.read_csv => read:0
pandas.read_json pandas.read_table => read:0
pandas.read_excel pandas.read_parquet pandas.read_hdf pandas.read_xml pandas.read_html => read:0
PIL.Image.open => read:0
numpy.save numpy.savetxt numpy.savez => write:0
configparser.ConfigParser().read configparser.RawConfigParser().read => read:0
dotenv.load_dotenv dotenv.dotenv_values dotenv.main.load_dotenv => read:0|dotenv_path
shelve.open dbm.open sqlite3.connect sqlite3.dbapi2.connect => write:0|database|filename
logging.FileHandler => write:0|filename
tarfile.open().extractall zipfile.ZipFile().extractall => write+recursive:0|path
pathlib.Path().read_text pathlib.Path().read_bytes pathlib.Path().iterdir => read:@
pathlib.Path().readlink => read:@
pathlib.Path().write_text pathlib.Path().write_bytes pathlib.Path().touch => write:@
pathlib.Path().mkdir => write:@
pathlib.Path().symlink_to pathlib.Path().hardlink_to pathlib.Path().link_to => read:0 write:@
pathlib.Path().chmod pathlib.Path().lchmod => write+attributes:@
pathlib.Path().unlink pathlib.Path().rmdir => delete:@
pathlib.Path().rename pathlib.Path().replace => read:@ delete+moves:@ write:0|target
pathlib.Path().rglob pathlib.Path().walk => read+recursive:@
pathlib.Path().glob => read:@

# programs
os.system os.popen os.popen2 os.popen3 os.popen4 platform.popen => shell:0|command|cmd
posix.system nt.system => shell:0|command|cmd
subprocess.getoutput subprocess.getstatusoutput commands.getoutput => shell:0|cmd
commands.getstatusoutput => shell:0|cmd
asyncio.create_subprocess_shell asyncio.subprocess.create_subprocess_shell => shell:0|cmd
anyio.run_process => shell:0|cmd
pexpect.spawn pexpect.run pexpect.runu pexpect.popen_spawn.PopenSpawn => shell:0|command
invoke.run invoke.context.Context().run fabric.api.local fabric.api.run => shell:0|command
get_ipython().system get_ipython().getoutput IPython.get_ipython().system => shell:0
pty.spawn => either:0|argv
os.startfile => shell:0
asyncio.create_subprocess_exec sh.Command => argv:*
os.execl os.execle os.execlp os.execlpe => words:1
os.execv os.execve os.execvp os.execvpe os.posix_spawn os.posix_spawnp => list:1
os.spawnl os.spawnle os.spawnlp os.spawnlpe => words:2
os.spawnv os.spawnve os.spawnvp os.spawnvpe => list:2
multiprocessing.set_executable => argv:*

# requests
urllib.request.urlopen urllib2.urlopen urllib.urlopen => fetch:0|url
urllib.request.urlretrieve urllib.urlretrieve => fetch:0|url write:1|filename
urllib.request.Request => fetch:0|url
webbrowser.open webbrowser.open_new webbrowser.open_new_tab => fetch:0|url
wget.download => fetch:0|url write:1|out
xmlrpc.client.ServerProxy websocket.create_connection websockets.connect => fetch:0|uri|url
websockets.sync.client.connect => fetch:0|uri|url
websocket.WebSocket().connect git.Repo.clone_from pycurl.Curl().setopt => fetch:0|url
torch.hub.load_state_dict_from_url torch.hub.download_url_to_file => fetch:0|url
pandas.read_clipboard => note+captures
http.client.HTTPConnection http.client.HTTPSConnection httplib.HTTPSConnection => host:0|host
httplib.HTTPConnection => host:0|host
smtplib.SMTP smtplib.SMTP_SSL smtplib.LMTP => host+uploads:0|host
ftplib.FTP ftplib.FTP_TLS imaplib.IMAP4_SSL poplib.POP3_SSL telnetlib.Telnet => host:0|host
nntplib.NNTP => host:0|host
paramiko.SSHClient().connect paramiko.Transport fabric.Connection => host+remote:0|hostname|host
paramiko.SSHClient().open_sftp().put paramiko.SFTPClient.from_transport().put => read+uploads:0
fabric.Connection().put pysftp.Connection().put => read+uploads:0|local|localpath
boto3.client().upload_file boto3.resource().meta.client.upload_file => read+uploads:0|Filename
boto3.resource().Bucket().upload_file boto3.resource().Object().upload_file => read+uploads:0
boto3.client().get_secret_value boto3.client().get_parameter => note+credential
google.cloud.storage.Client().bucket().blob().upload_from_filename => read+uploads:0
google.cloud.storage.Client().get_bucket().blob().upload_from_filename => read+uploads:0
huggingface_hub.upload_file huggingface_hub.HfApi().upload_file => read+uploads:0|path_or_fileobj
huggingface_hub.upload_folder huggingface_hub.HfApi().upload_folder => read+recursive:0|folder_path
paramiko.SSHClient().exec_command fabric.Connection().run => note+remote
asyncio.open_connection => host+raw-socket:0|host
socket.create_connection => address+raw-socket:0|address
socket.socket().connect socket.socket().connect_ex => address+raw-socket:0|address
socket.socket().sendto => address+raw-socket:0|address
socket.gethostbyname socket.getaddrinfo => host:0|host
socket.socket().bind socket.create_server asyncio.start_server => note+listens
socketserver.TCPServer http.server.HTTPServer http.server.ThreadingHTTPServer => note+listens
http.server.test wsgiref.simple_server.make_server => note+listens
redis.Redis redis.StrictRedis pymongo.MongoClient psycopg2.connect pymysql.connect => note+remote

# code
runpy.run_path py_compile.compile => read+executes:0|path_name|file
importlib.machinery.SourceFileLoader => read+executes:0|path_name|file
execfile imp.load_source importlib.util.spec_from_file_location => read+executes:0|1
pickle.load pickle.loads pickle.Unpickler cPickle.load cPickle.loads => note+deserializes
_pickle.loads _pickle.load => note+deserializes
dill.load dill.loads cloudpickle.load cloudpickle.loads marshal.load => note+deserializes
marshal.loads => note+deserializes
jsonpickle.decode yaml.unsafe_load yaml.full_load yaml.UnsafeLoader => note+deserializes
shelve.Shelf => note+deserializes
pandas.read_pickle joblib.load torch.load => read+deserializes:0
ctypes.CDLL ctypes.PyDLL ctypes.WinDLL ctypes.cdll.LoadLibrary ctypes.windll.LoadLibrary => native:0
ctypes.pythonapi cffi.FFI().dlopen ctypes.CFUNCTYPE() => native:0
mmap.mmap().write => opaque
types.FunctionType types.CodeType => opaque
pip.main pip._internal.main pip._internal.cli.main.main => note+installs
ensurepip.bootstrap => note+installs

# the machine, and secrets that a program keeps
os.kill os.killpg psutil.Process().kill psutil.Process().terminate => note+kills
os.setuid os.seteuid os.setgid os.setegid os.setreuid os.setresuid => note+privileged
os.unshare os.setns os.pivot_root => note+escapes
os.putenv os.unsetenv => note
keyring.get_password => note+credential
PIL.ImageGrab.grab pyautogui.screenshot mss.mss pyperclip.paste => note+captures
pynput.keyboard.Listener keyboard.on_press keyboard.hook keyboard.record => note+captures
cv2.VideoCapture sounddevice.rec => note+captures
"""

_METHODS: Final = ("get", "head", "options", "post", "put", "patch", "delete", "stream")
_CLIENTS: Final = (
    "requests",
    "requests.api",
    "requests.Session()",
    "requests.session()",
    "httpx",
    "httpx.Client()",
    "httpx.AsyncClient()",
    "aiohttp.ClientSession()",
    "curl_cffi.requests",
    "cloudscraper.create_scraper()",
)
_METHOD_EFFECTS: Final = {
    "post": frozenset({"uploads"}),
    "put": frozenset({"uploads"}),
    "patch": frozenset({"uploads"}),
    "delete": frozenset({"irreversible", "remote"}),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a call does: ``kind``, its effects, and where the argument stands."""

    kind: str
    effects: frozenset[str] = frozenset()
    position: int | None = None
    keywords: tuple[str, ...] = ()
    receiver: bool = False
    spread: bool = False


def parse_operation(text: str) -> Operation:
    """Read one operation of a table: ``kind+effect:position|keyword``."""
    head, _, places = text.partition(":")
    kind, *effects = head.split("+")
    names = places.split("|") if places else []
    numbers = [int(name) for name in names if name.isdecimal()]
    return Operation(
        kind,
        frozenset(effects),
        numbers[0] if numbers else None,
        tuple(name for name in names if name.isidentifier()),
        "@" in names,
        "*" in names,
    )


def _read_table() -> dict[str, tuple[Operation, ...]]:
    table: dict[str, tuple[Operation, ...]] = {}
    for line in _TABLE.splitlines():
        names, separator, operations = line.partition(" => ")
        if separator and not line.startswith("#"):
            found = tuple(parse_operation(each) for each in operations.split())
            table.update(dict.fromkeys(names.split(), found))
    for client in _CLIENTS:
        for method in _METHODS:
            sends = _METHOD_EFFECTS.get(method, frozenset())
            table[f"{client}.{method}"] = (Operation("fetch", sends, 0, ("url",)),)
        table[f"{client}.request"] = (Operation("request", position=1, keywords=("url",)),)
    for pool in ("urllib3.PoolManager()", "urllib3"):
        table[f"{pool}.request"] = (Operation("request", position=1, keywords=("url",)),)
    for connection in ("http.client.HTTPConnection()", "http.client.HTTPSConnection()"):
        table[f"{connection}.request"] = (Operation("note", frozenset({"remote"})),)
    return table


CALLS: Final = _read_table()

# Calls whose meaning depends on more than one argument; ``python`` reads them.
_SPECIAL_TEXT: Final = """
open io.open codecs.open os.open os.fdopen gzip.open bz2.open lzma.open tarfile.open
zipfile.ZipFile pathlib.Path().open aiofiles.open builtins.open subprocess.run subprocess.call
subprocess.check_call subprocess.check_output subprocess.Popen exec eval compile execfile
yaml.load popen2.popen3 code.interact timeit.timeit code.InteractiveInterpreter().runsource
"""
SPECIAL: Final = frozenset(_SPECIAL_TEXT.split())

KNOWN_NAMES: Final = frozenset(CALLS) | SPECIAL

# Modules whose functions must not be reached under a name that only the run knows.
_DANGEROUS_MODULES_TEXT: Final = """
os posix nt subprocess shutil pty ctypes builtins __builtins__ importlib runpy socket sys
"""
DANGEROUS_MODULES: Final = frozenset(_DANGEROUS_MODULES_TEXT.split())

_DESTROYS: Final = re.compile(
    r"(?:delete|drop|destroy|purge|terminate|truncate|wipe|erase)_?(?:all|ind(?:ex|ices|exes)|bucket"
    r"|database|db|collection|table|cluster|namespace|project|topic|queue|instance|volume|snapshot"
    r"|repositor(?:y|ies)|repo|stack|keyspace|vault|zone|domain|schema|backup|tenant|account|object"
    r"|user|role|secret|image|function|deployment|namespaced_\w{1,40})s?"
    r"|flush_?(?:all|db)",
    re.IGNORECASE,
)
_GUESSED: Final = frozenset({"irreversible", "remote", "guessed"})


def guessed_effects(method: str) -> frozenset[str]:
    """Return the effects that the name of an unknown object's method announces.

    Clients of services name what they destroy: ``deleteIndex``, ``drop_database``.
    """
    return _GUESSED if _DESTROYS.fullmatch(method) else frozenset()


DATABASE_METHODS: Final = frozenset(
    {"execute", "executemany", "executescript", "raw", "exec_driver_sql", "sql", "query"}
    | {"query_and_wait", "execute_query", "run_sql", "execute_sql"}
)
"""Methods of a database connection whose text is SQL."""

_ENVIRONMENT_LOADERS_TEXT: Final = """
LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT DYLD_INSERT_LIBRARIES PYTHONPATH PYTHONSTARTUP PATH
NODE_OPTIONS PERL5LIB PERL5OPT RUBYOPT RUBYLIB BASH_ENV ENV GIT_SSH_COMMAND
"""
ENVIRONMENT_LOADERS: Final = frozenset(_ENVIRONMENT_LOADERS_TEXT.split())
