"""The client half under test: a home folder of its own, accounts, runs of barid; servers that misbehave, lines that break.

    with Home() as home:
        home.account("a", address="salma@barid.test", pop3="127.0.0.1 1110 none")
        done = home.barid("fetch")           # CompletedProcess, text
        home.mail()                          # {name: bytes} of the Maildir

    FakePop(messages) is a POP3 server in this process that can be told to lie; Line(port, ...) a proxy that is slow or is cut.
"""
import atexit
import base64
import contextlib
import functools
import hashlib
import hmac
import json
import mmap
import os
import pty
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import server as lib

PASSWORD = "correct horse 7"
CALLS = ("write", "sync", "open", "rename", "link", "unlink", "truncate", "mkdir", "mmap", "malloc", "thread", "read", "send")
ERRNO, SHORT, KILL, KILL_AFTER, KILL_HALF = range(5)


class Home:
    """accounts.conf, state and mail of one person."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="barid-home-")
        self.maildir = os.path.join(self.folder, "Mail")
        self.state = os.path.join(self.folder, "state", "barid")
        self.conf = os.path.join(self.folder, "config", "barid", "accounts.conf")
        self.secret = self.file("secret", PASSWORD + "\n")
        os.makedirs(os.path.dirname(self.conf), mode=0o700)
        self.env = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "HOME": self.folder, "BARID_LANG": "en",
                    "XDG_CONFIG_HOME": os.path.join(self.folder, "config"),
                    "XDG_STATE_HOME": os.path.join(self.folder, "state")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def account(self, name="a", more="", **lines):
        """Writes accounts.conf anew with this account. Keywords with "_" for "-"; None leaves one out."""
        values = {"address": "salma@barid.test", "password_file": self.secret, "maildir": self.maildir, **lines}
        text = f"account {name}\n"
        for key, value in values.items():
            if value is not None:
                text += f"  {key.replace('_', '-')} {value}\n".replace(" \n", "\n")
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text + more)
        os.chmod(self.conf, 0o600)

    def barid(self, *args, stdin=b"", env=None, timeout=120):
        done = subprocess.run([lib.barid_program(), *args], input=stdin, capture_output=True, timeout=timeout, check=False,
                              env={**self.env, **(env or {})})
        done.stdout, done.stderr = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        for word in ("AddressSanitizer", "runtime error:", "LeakSanitizer", "Assertion"):
            assert word not in done.stderr, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done

    def on_terminal(self, *args):
        """Standard error is a terminal: (exit status, standard output, what the terminal was sent)."""
        here, there = pty.openpty()
        with subprocess.Popen([lib.barid_program(), *args], env=self.env, stdout=subprocess.PIPE, stderr=there) as process:
            os.close(there)
            shown = b""
            with contextlib.suppress(OSError):  # the program has ended
                while True:
                    shown += os.read(here, 4096)
            os.close(here)
            out = process.stdout.read()
        return process.returncode, out.decode(), shown

    def json(self, *args, code=0, **more):
        done = self.barid(*args, "--json", **more)
        assert done.returncode == code, done
        return json.loads(done.stdout)

    def mail(self, folder=None):
        """{name: bytes} of new and cur."""
        out = {}
        for part in ("new", "cur"):
            path = os.path.join(folder or self.maildir, part)
            for name in os.listdir(path) if os.path.isdir(path) else ():
                with open(os.path.join(path, name), "rb") as f:
                    out[name] = f.read()
        return out

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def local(data):
    """Mail as it stands on disk: LF line ends."""
    return data.replace(b"\r\n", b"\n")


@functools.cache
def peak_teller():
    folder = tempfile.mkdtemp(prefix="barid-peak-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    built = os.path.join(folder, "peak.so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peak.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", built, source], check=True)
    return built


def memory_kib(home, *args):
    """(exit code, the most memory that one run had). With a sanitizer, which keeps memory of its own and wants to be the first library, that is 0."""
    if asan():
        return subprocess.run([lib.barid_program(), *args], env=home.env, capture_output=True, check=False).returncode, 0
    told = os.path.join(os.path.dirname(peak_teller()), "peak")
    env = {**home.env, "LD_PRELOAD": peak_teller(), "PEAK_FILE": told}
    done = subprocess.run([lib.barid_program(), *args], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    with open(told, encoding="ascii") as f:
        peak = int(re.fullmatch(r"VmHWM:\s*(\d+) kB", f.read())[1])
    os.unlink(told)
    return done.returncode, peak


def certificate(folder, names=("DNS:localhost", "IP:127.0.0.1"), days="30"):
    """(certificate, key) files, self-signed."""
    cert, key = os.path.join(folder, "fake-cert.pem"), os.path.join(folder, "fake-key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", days,
                    "-subj", "/CN=fake", "-addext", "subjectAltName=" + ",".join(names), "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


def stop_listening(server):
    """A thread that waits in accept must not come back to the descriptor when it belongs to the next server."""
    with contextlib.suppress(OSError):
        server.listener.shutdown(socket.SHUT_RDWR)
    server.accepting.join(10)
    server.listener.close()


class Lines:
    """One connection of a fake server: lines in, bytes out, and all that came in the clear."""

    def __init__(self, sock, clear):
        self.sock, self.clear, self.tls = sock, clear, False
        self.buffer = b""

    def line(self):
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError
            if not self.tls:
                self.clear.append(data)
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def start_tls(self, context):
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.tls, self.buffer = True, b""


class Fake:
    """Listens on loopback and serves each connection with self.serve in a thread."""

    def __init__(self, cert=None, tls=False):
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*cert)
        self.implicit = tls
        self.clear = []      # bytes that came without TLS
        self.sessions = []   # the commands of each session
        self.errors = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        sock.settimeout(60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = Lines(sock, self.clear)
        try:
            if self.implicit:
                lines.start_tls(self.context)
            self.serve(lines)
        except (OSError, ConnectionError, ValueError) as e:
            if not isinstance(e, (ConnectionError, TimeoutError, ssl.SSLError)):
                self.errors.append(e)
        finally:
            with contextlib.suppress(OSError):
                lines.sock.close()

    def serve(self, lines):
        raise NotImplementedError

    def said_in_clear(self):
        return b"".join(self.clear)

    def close(self):
        stop_listening(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        assert not self.errors, self.errors


def no_secret(data, password=PASSWORD, user="salma@barid.test"):
    """Neither the password nor the usual ways to write it stand in data."""
    words = [password.encode(), base64.b64encode(password.encode()).rstrip(b"="),
             base64.b64encode(b"\0" + user.encode() + b"\0" + password.encode()).rstrip(b"=")]
    return not any(w in data for w in words)


class FakePop(Fake):
    """messages: [[uidl, bytes]] with CRLF line ends; uidl None: not listed. `hooks` has, by verb, what is said instead: bytes, a
    list of bytes (one for each time), or a function of (lines, argument) that returns bytes, None for the usual, False to hang up."""

    def __init__(self, messages=(), capa=("TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES", "SASL PLAIN"), hooks=None,
                 greeting=b"+OK ready\r\n", password=PASSWORD, **more):
        self.messages = [list(m) for m in messages]
        self.capa, self.hooks, self.greeting, self.password = capa, dict(hooks or {}), greeting, password
        self.quits = 0
        super().__init__(**more)

    def stuffed(self, data):
        body = (b"\r\n" + data).replace(b"\r\n.", b"\r\n..")[2:]
        return b"+OK\r\n" + body + (b"" if body.endswith(b"\r\n") or not body else b"\r\n") + b".\r\n"

    def serve(self, lines):
        commands, deleted = [], set()
        self.sessions.append(commands)
        lines.send(self.greeting)
        while True:
            line = lines.line()
            verb, _, rest = line.partition(b" ")
            verb = verb.upper().decode("latin-1")
            commands.append(verb if verb in ("PASS", "AUTH") else line.decode("latin-1"))
            hook = self.hooks.get(verb)
            if isinstance(hook, list):
                hook = hook.pop(0) if hook else None
            if callable(hook):
                hook = hook(lines, rest)
            if hook is False:
                return
            if hook is not None:
                lines.send(hook)
                continue
            answer = self.usual(lines, verb, rest, deleted)
            if answer is not None:
                lines.send(answer)
            if verb == "QUIT":
                return

    def usual(self, lines, verb, rest, deleted):
        if verb == "CAPA":
            if self.capa is None:
                return b"-ERR what\r\n"
            capa = [c for c in self.capa if not (c == "STLS" and lines.tls)]
            return b"+OK\r\n" + b"".join(c.encode() + b"\r\n" for c in capa) + b".\r\n"
        if verb == "STLS":
            lines.send(b"+OK go\r\n")
            lines.start_tls(self.context)
            return None
        if verb == "USER":
            return b"+OK\r\n"
        if verb == "PASS":
            return b"+OK in\r\n" if rest.decode() == self.password else b"-ERR [AUTH] no\r\n"
        if verb == "AUTH":
            words = rest.split()
            ok = words[0] == b"PLAIN" and len(words) == 2 and base64.b64decode(words[1]).split(b"\0")[2].decode() == self.password
            return b"+OK in\r\n" if ok else b"-ERR [AUTH] no\r\n"
        if verb == "LIST":
            rows = [f"{n} {len(m[1])}\r\n" for n, m in enumerate(self.messages, 1)]
            return b"+OK\r\n" + "".join(rows).encode() + b".\r\n"
        if verb == "UIDL":
            rows = [f"{n} {m[0]}\r\n" for n, m in enumerate(self.messages, 1) if m[0] is not None]
            return b"+OK\r\n" + "".join(rows).encode() + b".\r\n"
        if verb in ("RETR", "TOP"):
            data = self.messages[int(rest.split()[0]) - 1][1]
            if verb == "TOP":
                data = data.split(b"\r\n\r\n")[0] + b"\r\n\r\n"
            return self.stuffed(data)
        if verb == "DELE":
            deleted.add(int(rest))
            return b"+OK\r\n"
        if verb == "QUIT":
            self.messages = [m for n, m in enumerate(self.messages, 1) if n not in deleted]
            self.quits += 1
            return b"+OK bye\r\n"
        return b"-ERR what\r\n" if verb != "NOOP" else b"+OK\r\n"


class FakeSmtp(Fake):
    """Keeps what it takes in `taken`: (from, [to], bytes). `hooks` as FakePop's, by verb, and "." for what follows the message; an
    answer of a hook to RCPT may depend on its argument."""

    def __init__(self, ehlo=("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "AUTH PLAIN"), hooks=None,
                 greeting=b"220 ready\r\n", password=PASSWORD, **more):
        self.ehlo, self.hooks, self.greeting, self.password = ehlo, dict(hooks or {}), greeting, password
        self.taken = []
        super().__init__(**more)

    def serve(self, lines):
        commands, sender, to = [], None, []
        self.sessions.append(commands)
        lines.send(self.greeting)
        while True:
            line = lines.line()
            verb, _, rest = line.partition(b" ")
            verb = verb.upper().decode("latin-1")
            commands.append(verb if verb == "AUTH" else line.decode("utf-8", "surrogateescape"))
            hook = self.hooks.get(verb)
            if isinstance(hook, list):
                hook = hook.pop(0) if hook else None
            if callable(hook):
                hook = hook(lines, rest)
            if hook is False:
                return
            if hook is not None:
                lines.send(hook)
                continue
            if verb in ("EHLO", "LHLO"):
                words = [w for w in self.ehlo if not (w == "STARTTLS" and lines.tls)]
                rows = ["fake.test", *words]
                lines.send("".join(f"250{' ' if n == len(rows) - 1 else '-'}{w}\r\n" for n, w in enumerate(rows)))
                sender, to = None, []
            elif verb == "STARTTLS":
                lines.send(b"220 go\r\n")
                lines.start_tls(self.context)
            elif verb == "AUTH":
                words = rest.split()
                ok = words[0] == b"PLAIN" and base64.b64decode(words[1]).split(b"\0")[2].decode() == self.password
                lines.send(b"235 in\r\n" if ok else b"535 5.7.8 no\r\n")
            elif verb == "MAIL":
                sender, to = rest.decode("utf-8"), []
                lines.send(b"250 ok\r\n")
            elif verb == "RCPT":
                to.append(rest.decode("utf-8"))
                lines.send(b"250 ok\r\n")
            elif verb == "RSET":
                sender, to = None, []
                lines.send(b"250 ok\r\n")
            elif verb in ("DATA", "BDAT"):
                if verb == "DATA":
                    lines.send(b"354 go\r\n")
                    data = self._dotted(lines)
                else:
                    data = self._exactly(lines, int(rest.split()[0]))
                hook = self.hooks.get(".")
                if isinstance(hook, list):
                    hook = hook.pop(0) if hook else None
                if callable(hook):
                    hook = hook(lines, data)
                if hook is None or hook is False:
                    self.taken.append((sender, list(to), data))
                if hook is False:  # it has it, and does not say so
                    return
                lines.send(b"250 taken\r\n" if hook is None else hook)
            elif verb == "QUIT":
                lines.send(b"221 bye\r\n")
                return
            else:
                lines.send(b"502 what\r\n")

    @staticmethod
    def _dotted(lines):
        data = b""
        while True:
            while b"\n" not in lines.buffer:
                piece = lines.sock.recv(65536)
                if not piece:
                    raise ConnectionError
                lines.buffer += piece
            line, lines.buffer = lines.buffer.split(b"\n", 1)
            if line == b".\r":
                return data
            data += (line[1:] if line.startswith(b".") else line) + b"\n"

    @staticmethod
    def _exactly(lines, count):
        while len(lines.buffer) < count:
            piece = lines.sock.recv(65536)
            if not piece:
                raise ConnectionError
            lines.buffer += piece
        data, lines.buffer = lines.buffer[:count], lines.buffer[count:]
        return data


class ScramPlayer:
    """Plays the server's part of SCRAM-SHA-256, right or wrong."""

    def __init__(self, password, iterations=4096, salt=b"0123456789abcdef"):
        self.password, self.iterations, self.salt = password.encode(), iterations, salt

    def first(self, client_first):
        self.bare = client_first.split(b",", 2)[2]
        nonce = [a for a in self.bare.split(b",") if a.startswith(b"r=")][0][2:]
        self.server_first = b"r=%sSERVER,s=%s,i=%d" % (nonce, base64.b64encode(self.salt), self.iterations)
        return self.server_first

    def final(self, client_final):
        without, _, _ = client_final.rpartition(b",p=")
        salted = hashlib.pbkdf2_hmac("sha256", self.password, self.salt, self.iterations)
        auth = b",".join((self.bare, self.server_first, without))
        key = hmac.digest(salted, b"Server Key", "sha256")
        return b"v=" + base64.b64encode(hmac.digest(key, auth, "sha256"))


class Line:
    """A proxy to a port of loopback: delay_s each way, cut after so many bytes to the client (down) or the server (up)."""

    def __init__(self, port, delay_s=0.0, cut_down=None, cut_up=None):
        self.target, self.delay_s = port, delay_s
        self.left = {"down": cut_down, "up": cut_up}
        self.bytes = {"down": 0, "up": 0}
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            for s in (near, far):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink, way in ((near, far, "up"), (far, near, "down")):
                threading.Thread(target=self._pump, args=(source, sink, way), daemon=True).start()

    def _pump(self, source, sink, way):
        queue, wake, over = [], threading.Condition(), []

        def deliver():
            while True:
                with wake:
                    while not queue:
                        if over:
                            self._end(source, sink)
                            return
                        wake.wait()
                    due, data = queue.pop(0)
                time.sleep(max(0, due - time.monotonic()))
                try:
                    sink.sendall(data)
                except OSError:
                    self._end(source, sink)
                    return

        if self.delay_s:
            threading.Thread(target=deliver, daemon=True).start()
        while True:
            try:
                data = source.recv(1 << 16)
            except OSError:
                data = b""
            cut = False
            with self.lock:
                if self.left[way] is not None:
                    cut = len(data) >= self.left[way]
                    data = data[:self.left[way]]
                    self.left[way] -= len(data)
                self.bytes[way] += len(data)
            if data and self.delay_s:
                with wake:
                    queue.append((time.monotonic() + self.delay_s, data))
                    wake.notify()
            elif data:
                try:
                    sink.sendall(data)
                except OSError:
                    data = b""
            if not data or cut:
                if self.delay_s:
                    with wake:
                        over.append(True)
                        wake.notify()
                else:
                    self._end(source, sink)
                return

    @staticmethod
    def _end(*socks):
        for s in socks:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                s.close()

    def close(self):
        stop_listening(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Shim:
    """tests/faults/shim.c preloaded into one run of the client: the Nth call of a kind on its files fails, or ends it."""

    def __init__(self, folder):
        self.library = os.path.join(folder, "shim.so")
        source = os.path.join(lib.TOP, "tests", "faults", "shim.c")
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", self.library, source, "-ldl", "-pthread"],
                       check=True)
        self.path = os.path.join(folder, "control")
        with open(self.path, "wb") as f:
            f.write(bytes(4 * (7 + len(CALLS))))
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def arm(self, home, call="write", kind=KILL, error=0, n=0, sticky=0):
        """Environment for the next run. n 0: nothing happens, calls are counted."""
        struct.pack_into(f"={7 + len(CALLS)}I", self.map, 0, 1, CALLS.index(call), kind, error, n, sticky, 0, *([0] * len(CALLS)))
        return {"LD_PRELOAD": self.library, "BARID_FAULT_FILE": self.path, "BARID_FAULT_ROOT": home.folder}

    def counts(self):
        return dict(zip(CALLS, struct.unpack_from(f"={len(CALLS)}I", self.map, 28)))

    def hits(self):
        return struct.unpack_from("=I", self.map, 24)[0]


def asan():
    return "/asan/" in lib.barid_program() or "/tsan/" in lib.barid_program()


def cut_step(usual):
    """A line is cut after every so many bytes. BARID_CUT_EVERY=1 by hand: after each."""
    return int(os.environ.get("BARID_CUT_EVERY", usual))
