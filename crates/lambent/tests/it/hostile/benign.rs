//! The control: ordinary programs work in a sandbox as anywhere else, or say in an ordinary way why
//! not.

use serde_json::{Value, json};

use super::arena::Arena;

/// What it is, and the body of a function that asserts it.
const ORDINARY: &[(&str, &str)] = &[
    ("threads", "import threading
done = []
threads = [threading.Thread(target=done.append, args=(n,)) for n in range(50)]
[t.start() for t in threads]; [t.join() for t in threads]
assert sorted(done) == list(range(50))"),
    ("a pool of threads", "from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool: assert list(pool.map(abs, [-1, -2])) == [1, 2]"),
    ("subprocess", "import subprocess
assert subprocess.run(['/bin/echo', 'hi'], capture_output=True, text=True).stdout == 'hi\\n'
assert subprocess.check_output('ls / | wc -l', shell=True).strip().isdigit()"),
    ("a subprocess that is killed", "import subprocess
p = subprocess.Popen(['/bin/sleep', '60'], start_new_session=True); p.kill(); assert p.wait() == -9"),
    ("asyncio", "import asyncio
async def main():
    p = await asyncio.create_subprocess_exec('/bin/echo', 'x', stdout=-1)
    out, _ = await p.communicate()
    return out, await asyncio.gather(asyncio.sleep(0, 1), asyncio.to_thread(lambda: 2))
assert asyncio.run(main()) == (b'x\\n', [1, 2])"),
    ("sqlite in /tmp", "import sqlite3
db = sqlite3.connect('/tmp/db'); db.execute('pragma journal_mode=wal')
db.execute('create table t(x)'); db.executemany('insert into t values (?)', [(n,) for n in range(1000)])
db.commit(); assert db.execute('select sum(x) from t').fetchone() == (499500,)"),
    ("multiprocessing by fork", "import multiprocessing
context = multiprocessing.get_context('fork')
with context.Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
queue = context.Queue(); p = context.Process(target=queue.put, args=(7,)); p.start(); assert queue.get(timeout=20) == 7; p.join()"),
    ("shared memory", "from multiprocessing import shared_memory
m = shared_memory.SharedMemory(create=True, size=4096); m.buf[0] = 1; m.close(); m.unlink()"),
    ("sockets on 127.0.0.1 and ::1", "import socket, threading
for family, host in [(socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')]:
    server = socket.create_server((host, 0), family=family)
    threading.Thread(target=lambda: server.accept()[0].sendall(b'hi')).start()
    client = socket.create_connection(server.getsockname()[:2]); assert client.recv(2) == b'hi'"),
    ("datagrams", "import socket
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.bind(('127.0.0.1', 0))
b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); b.sendto(b'x', a.getsockname()); assert a.recv(9) == b'x'"),
    ("unix sockets in /tmp", "import socket
a = socket.socket(socket.AF_UNIX); a.bind('/tmp/s'); a.listen()
b = socket.socket(socket.AF_UNIX); b.connect('/tmp/s'); a.accept()[0].sendall(b'x'); assert b.recv(1) == b'x'"),
    ("an http server and its client", "import http.server, threading, urllib.request
server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.handle_request).start()
assert urllib.request.urlopen('http://127.0.0.1:%d/' % server.server_port).status == 200"),
    ("a refused connection is a clean error", "import urllib.request, urllib.error
try: urllib.request.urlopen('http://127.0.0.1:9/')
except urllib.error.URLError as error: assert isinstance(error.reason, ConnectionRefusedError), error
else: assert False"),
    ("a name that cannot be resolved is a clean error", "import socket
try: socket.getaddrinfo('example.com', 80)
except socket.gaierror: pass
else: assert False"),
    ("localhost", "import socket
assert socket.gethostbyname('localhost') == '127.0.0.1'; assert socket.gethostname() == 'sandbox'"),
    ("a TLS context", "import ssl
assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED; ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)"),
    ("temporary files", "import tempfile, os
with tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile(dir=d) as f:
    f.write(b'x' * 100_000); f.flush(); assert os.path.getsize(f.name) == 100_000
assert tempfile.gettempdir() == '/tmp'"),
    ("a program in /tmp", "import os, subprocess
open('/tmp/run', 'w').write('#!/bin/sh\\nexit 3\\n'); os.chmod('/tmp/run', 0o755)
assert subprocess.run(['/tmp/run']).returncode == 3"),
    ("links, pipes, times and modes of files", "import os
open('/tmp/a', 'w').close(); os.link('/tmp/a', '/tmp/b'); os.symlink('a', '/tmp/c'); os.mkfifo('/tmp/d')
os.utime('/tmp/a', (1, 1)); os.chmod('/tmp/a', 0o640); assert os.stat('/tmp/c').st_mode & 0o777 == 0o640
os.rename('/tmp/a', '/tmp/e'); os.truncate('/tmp/e', 10); assert os.stat('/tmp/b').st_nlink == 2"),
    ("names beyond ASCII", "import os
name = '/tmp/größe \\u65e5\\u672c \\U0001f600'
open(name, 'w').write('ü'); assert open(name).read() == 'ü'; assert os.path.basename(name) in os.listdir('/tmp')"),
    ("locks of files", "import fcntl
f = open('/tmp/lock', 'w'); fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX)"),
    ("decimal and fractions", "from decimal import Decimal, getcontext
from fractions import Fraction
getcontext().prec = 50; assert str(Decimal(1) / 3).startswith('0.333333'); assert Fraction(1, 3) * 3 == 1"),
    ("time zones", "import time, os
os.environ['TZ'] = 'UTC'; time.tzset(); assert time.strftime('%Z') == 'UTC'
import zoneinfo, datetime
if os.path.exists('/usr/share/zoneinfo/Europe/Berlin'):
    zone = zoneinfo.ZoneInfo('Europe/Berlin')
    assert datetime.datetime(2024, 7, 1, tzinfo=zone).utcoffset() == datetime.timedelta(hours=2)"),
    ("locale", "import locale, sys
locale.setlocale(locale.LC_ALL, ''); assert sys.getfilesystemencoding() == 'utf-8'; assert 'ä'.encode().decode() == 'ä'"),
    ("signals and timers", "import os, signal
hit = []
signal.signal(signal.SIGUSR1, lambda *a: hit.append(1)); os.kill(os.getpid(), signal.SIGUSR1)
signal.signal(signal.SIGALRM, lambda *a: hit.append(2)); signal.setitimer(signal.ITIMER_REAL, 0.01)
while len(hit) < 2: signal.pause()
assert hit == [1, 2]"),
    ("large JSON", "import json
data = [{'n': n, 's': 'x' * 10} for n in range(50_000)]; assert json.loads(json.dumps(data)) == data"),
    ("the number of processors", "import os, multiprocessing
assert os.cpu_count() >= 1 and len(os.sched_getaffinity(0)) >= 1 and multiprocessing.cpu_count() >= 1"),
    ("platform", "import platform, sys
assert platform.system() == 'Linux' and platform.machine() and platform.python_version() and platform.platform()"),
    ("resource limits and use", "import resource
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 256; assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE); resource.setrlimit(resource.RLIMIT_NOFILE, (soft // 2, hard))
resource.getrlimit(resource.RLIMIT_CORE)"),
    ("ctypes and callbacks", "import ctypes
assert ctypes.CDLL('libc.so.6').abs(-3) == 3; assert ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)(1) == 2"),
    ("select, poll and epoll", "import os, select
r, w = os.pipe(); os.write(w, b'x')
assert select.select([r], [], [], 1)[0] == [r]
p = select.poll(); p.register(r); assert p.poll(1000)
e = select.epoll(); e.register(r); assert e.poll(1)"),
    ("files watched for changes", "import ctypes, os
libc = ctypes.CDLL(None, use_errno=True); fd = libc.inotify_init1(0)
assert libc.inotify_add_watch(fd, b'/tmp', 0x3ce) > 0  # all but opening, reading and closing what was read
open('/tmp/new', 'w').close(); assert b'new' in os.read(fd, 4096)"),
    ("mapped memory", "import mmap, os
f = open('/tmp/map', 'w+b'); f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); m[0:2] = b'hi'; m.flush(); assert open('/tmp/map', 'rb').read(2) == b'hi'
mmap.mmap(-1, 1 << 20).madvise(mmap.MADV_DONTNEED)"),
    ("archives and compression", "import zipfile, tarfile, gzip, bz2, lzma, zlib, io
with zipfile.ZipFile('/tmp/z.zip', 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('a', 'x' * 1000)
assert zipfile.ZipFile('/tmp/z.zip').read('a') == b'x' * 1000
for kind in (gzip, bz2, lzma, zlib): assert kind.decompress(kind.compress(b'x')) == b'x'
tarfile.open('/tmp/t.tar.gz', 'w:gz').add('/tmp/z.zip')"),
    ("uuid, hashes and secrets", "import uuid, hashlib, hmac, secrets
assert uuid.uuid4() != uuid.uuid4(); uuid.uuid1(); assert len(hashlib.sha256(b'x').hexdigest()) == 64
hmac.new(b'k', b'm', 'sha256'); secrets.token_bytes(32); hashlib.scrypt(b'p', salt=b's', n=2**10, r=8, p=1)"),
    ("/proc/self, /proc/cpuinfo, /proc/meminfo", "assert 'VmRSS' in open('/proc/self/status').read(); assert 'processor' in open('/proc/cpuinfo').read()
assert 'MemTotal' in open('/proc/meminfo').read(); open('/proc/self/maps').read(); open('/proc/loadavg').read(); open('/proc/uptime').read()"),
    ("/etc/hosts and /etc/passwd", "assert 'localhost' in open('/etc/hosts').read(); assert 'sandbox' in open('/etc/passwd').read()"),
    ("who am I", "import getpass, pwd, grp, os
assert getpass.getuser() == 'sandbox' == pwd.getpwuid(os.getuid()).pw_name; assert grp.getgrgid(os.getgid()).gr_name == 'sandbox'
assert os.path.expanduser('~') == '/tmp'"),
    ("getlogin fails cleanly", "import os
try: os.getlogin()
except OSError: pass"),
    ("standard streams", "import sys
print('out'); print('err', file=sys.stderr); assert sys.stdin.read() == ''; assert not sys.stdout.isatty()
import logging; logging.basicConfig(force=True); logging.warning('logged')"),
    ("devices", "assert open('/dev/zero', 'rb').read(4) == bytes(4); open('/dev/null', 'w').write('x'); assert len(open('/dev/urandom', 'rb').read(9)) == 9
import os; assert os.path.exists('/dev/stdout') and os.path.exists('/dev/fd')"),
    ("own modules beside the handler, and pickles", "import pickle, importlib, sys
open('/tmp/extra_module.py', 'w').write('value = 5'); sys.path.insert(0, '/tmp'); assert importlib.import_module('extra_module').value == 5
assert pickle.loads(pickle.dumps({'a': [1, 2]})) == {'a': [1, 2]}"),
    ("a traceback and its handling", "import traceback, faulthandler
try: 1 / 0
except ZeroDivisionError: assert 'ZeroDivisionError' in traceback.format_exc()
faulthandler.enable()"),
    ("deep recursion ends as an error", "def deep(n): return deep(n + 1)
try: deep(0)
except RecursionError: pass"),
    ("memory up to near the limit", "data = bytearray(64 << 20)
assert len(data) == 64 << 20"),
    ("priorities that lower", "import os
os.nice(1); os.sched_yield(); os.sched_setaffinity(0, os.sched_getaffinity(0))"),
    ("what a daemon does", "import os
pid = os.fork()
if pid == 0: os.setsid(); os.umask(0o022); os._exit(4)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4"),
    ("memory files, event and timer descriptors", "import os, ctypes
fd = os.memfd_create('x'); os.write(fd, b'x'); assert os.fstat(fd).st_size == 1
libc = ctypes.CDLL(None); assert libc.eventfd(0, 0) > 0 and libc.timerfd_create(1, 0) > 0"),
    ("sendfile and copies of files", "import os, shutil
open('/tmp/from', 'wb').write(b'x' * 100_000); shutil.copy('/tmp/from', '/tmp/to'); assert os.path.getsize('/tmp/to') == 100_000
a, b = open('/tmp/from', 'rb'), open('/tmp/three', 'wb'); assert os.sendfile(b.fileno(), a.fileno(), 0, 100) == 100
shutil.copytree('/etc', '/tmp/etc', ignore=shutil.ignore_patterns('ssl', 'pki', 'alternatives')); shutil.rmtree('/tmp/etc')"),
];

#[test]
fn ordinary_programs_notice_nothing() {
    let Some(arena) = Arena::enter("ordinary_programs_notice_nothing") else { return };
    let mut source = "import traceback\nACTS = {}\n".to_owned();
    for (number, (_, body)) in ORDINARY.iter().enumerate() {
        source.push_str(&["def act_", &number.to_string(), "():\n"].concat());
        for line in body.lines() {
            source.push_str(&["    ", line, "\n"].concat());
        }
    }
    source += "def handler(event, context):
    try:
        globals()['act_%d' % event]()
    except BaseException:
        return traceback.format_exc()
";
    arena.deploy("ordinary", "handler.py", source.as_bytes(), &[("memory_mib", "256")]);
    let mut wrong: Vec<String> = Vec::new();
    let outcome = arena.observe("ordinary things", || {
        for (number, (what, _)) in ORDINARY.iter().enumerate() {
            let answer = arena.call("ordinary", &json!(number));
            let value =
                if answer.status == 200 { answer.json() } else { json!(format!("{answer:?}")) };
            if value != Value::Null {
                wrong.push(format!("{what}: {}", value.as_str().unwrap_or("?")));
            }
        }
        Ok(())
    });
    println!("    {} ordinary things", ORDINARY.len());
    arena.leave();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    outcome.unwrap();
}
