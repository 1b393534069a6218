"""A Barid of its own for a test: temporary folder, free ports, users, start, stop, kill.

    with Server() as s:
        user = s.user()                 # fresh: user.address, user.password
        imap = s.imap(user)             # imaplib, logged in
        s.port("imap"), s.ca            # ports by listener name; the certificate to trust

The program is $BARID, else ./barid of the repository. The folder is removed at the end, kept with BARID_KEEP=1.
"""
import atexit
import contextlib
import imaplib
import itertools
import os
import poplib
import re
import shutil
import signal
import smtplib
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import namedtuple

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get("BARID_SHARED", os.path.join(TOP, "..", "shared"))
DOMAIN = "barid.test"
# listener name: TLS from the first byte
LISTENERS = {"imap": False, "imaps": True, "pop3": False, "pop3s": True, "smtp": False, "submission": False,
             "submissions": True, "lmtp": False}
# where barid.conf says so
KEYS = {"imap": "imap.listen", "imaps": "imap.listen_tls", "pop3": "pop3.listen", "pop3s": "pop3.listen_tls",
        "smtp": "smtp.listen", "submission": "submission.listen", "submissions": "submission.listen_tls",
        "lmtp": "lmtp.listen"}
ALIASES = {"smtps": "submissions"}

User = namedtuple("User", "address password")
START_S = float(os.environ.get("BARID_START_S", "20"))

imaplib._MAXLINE = 1 << 30  # noqa: SLF001  its default cuts long FETCH answers

# The range that no ephemeral port comes from, so that a free port stays free until the server binds it.
_ports = itertools.count(10000 + (os.getpid() * 101) % 20000)
_ports_lock = threading.Lock()


def free_port():
    """A port of 127.0.0.1 that nobody listens on now."""
    with _ports_lock:
        for port in _ports:
            port = 10000 + port % 22000
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
    raise RuntimeError("no free port")


def have(program):
    """Path of a program, or None. sbin counts too."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def barid_program():
    return os.path.abspath(os.environ.get("BARID", os.path.join(TOP, "barid")))


def rows(database, statement, *values):
    """What a statement gives on a copy: SQLite itself would write pages without their checksums when it closes a database with a log."""
    with tempfile.TemporaryDirectory(prefix="barid-rows-") as folder:
        for end in ("", "-wal"):
            if os.path.exists(database + end):
                shutil.copy(database + end, os.path.join(folder, "mail.db" + end))
        with contextlib.closing(sqlite3.connect(os.path.join(folder, "mail.db"))) as db:
            return db.execute(statement, values).fetchall()


def alter(database, statement, *values):
    """Changes rows while nobody has the account open. What was changed stays in the log, whose pages the program's own checkpoint takes over: SQLite's
    would write pages without their checksums."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute(statement, values)
        db.commit()
        kept = {end: open(database + end, "rb").read() for end in ("", "-wal")}
    for end, data in kept.items():
        with open(database + end, "wb") as f:
            f.write(data)
    if os.path.exists(database + "-shm"):
        os.unlink(database + "-shm")


def corpus():
    """[(name, path)] of the shared sample mail, or [] when it is not here."""
    root = os.path.join(SHARED, "corpus")
    manifest = os.path.join(root, "MANIFEST.tsv")
    if not os.path.exists(manifest):
        return []
    with open(manifest, encoding="utf-8") as f:
        names = [line.split("\t", 1)[0] for line in f][1:]
    return [(n, os.path.join(root, n)) for n in names]


def wire(data):
    """Bytes as mail may travel: lone CR and LF become CRLF, NUL goes."""
    data = data.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return data if data.endswith(b"\r\n") or not data else data + b"\r\n"


def fetched(answer):
    """{uid: bytes} from imaplib's answer to UID FETCH of one body section; UID may stand before or after the literal."""
    out = {}
    for at, item in enumerate(answer):
        if isinstance(item, tuple):
            after = answer[at + 1] if at + 1 < len(answer) and isinstance(answer[at + 1], bytes) else b""
            uid = re.search(rb"\bUID (\d+)", item[0]) or re.search(rb"\bUID (\d+)", after)
            out[int(uid.group(1))] = item[1]
    return out


class ServerError(RuntimeError):
    pass


class Server:
    """One server process with its data. Thread-safe where it says so."""

    def __init__(self, config=None, barid=None, data=None, domain=DOMAIN):
        """config: {"section.key": "value"} on top of what every test has. data: a data folder elsewhere, which close() leaves there. domain None: the
        data folder is not made."""
        self.barid = barid or barid_program()
        if not os.access(self.barid, os.X_OK):
            raise ServerError(f"{self.barid} is not there: run make first (or set BARID)")
        self.directory = tempfile.mkdtemp(prefix="barid-test-")
        self.data = data or os.path.join(self.directory, "data")
        self.config_file = os.path.join(self.directory, "barid.conf")
        self.log_file = os.path.join(self.directory, "log")
        self.ca = os.path.join(self.directory, "cert.pem")
        self.key = os.path.join(self.directory, "key.pem")
        self.process = None
        self.env = None  # environment of the server and the command line; None: ours
        self.extra = dict(config or {})
        self.ports = {name: free_port() for name in LISTENERS}
        self.exit_wanted = False
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        atexit.register(self.close)
        self._make_certificate()
        self._write_config()
        if domain:
            self.run("domain", "add", domain)

    # ---- setting up ----

    def _make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:mail.barid.test,IP:127.0.0.1",
             "-keyout", self.key, "-out", self.ca], check=True, capture_output=True)

    def _write_config(self):
        values = {
            "server.hostname": "mail.barid.test",
            "server.data": self.data,
            "server.user": "",
            "tls.certificate": self.ca,
            "tls.key": self.key,
            "login.plain_on_loopback": "on",
        }
        for name in LISTENERS:
            values[KEYS[name]] = f"127.0.0.1:{self.ports[name]}"
        values.update(self.extra)
        sections = {}
        for key, value in values.items():
            if value is not None:
                section, name = key.split(".", 1)
                sections.setdefault(section, []).append(f"{name} = {value}".rstrip())
        with open(self.config_file, "w", encoding="utf-8") as f:
            for section, lines in sections.items():
                f.write(f"[{section}]\n" + "\n".join(lines) + "\n\n")

    def run(self, *args, stdin=b"", check=True, timeout=60):
        """The command line: run("user", "add", ...). Returns what it printed."""
        done = subprocess.run([self.barid, "-c", self.config_file, *args], input=stdin, capture_output=True,
                              timeout=timeout, check=False, env=self.env)
        if check and done.returncode != 0:
            raise ServerError(f"barid {' '.join(args)}: exit {done.returncode}: {done.stderr.decode('utf-8', 'replace')}")
        return done.stdout.decode("utf-8", "replace") if check else done

    def user(self, name="salma", pop=True, password="correct horse 7", quota=None):
        """A fresh user NAME-N@barid.test; thread-safe."""
        address = f"{name}-{next(self._numbers)}@{DOMAIN}"
        return self.add_user(address, password, pop, quota)

    def add_user(self, address, password="correct horse 7", pop=True, quota=None):
        args = ["user", "add", address, "--password-file", "-", "--pop", "on" if pop else "off"]
        if quota is not None:
            args += ["--quota", str(quota)]
        self.run(*args, stdin=password.encode() + b"\n")
        return User(address, password)

    # ---- running ----

    def port(self, name):
        return self.ports[ALIASES.get(name, name)]

    def start(self):
        """Starts it and waits until it takes connections. Returns the seconds that took."""
        began = time.monotonic()
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([self.barid, "-c", self.config_file, "serve"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True, env=self.env)
        waiting = list(self.ports.values())
        while waiting:
            if self.process.poll() is not None:
                raise ServerError(f"the server ended at once ({self.process.returncode}):\n{self.log_tail()}")
            try:
                socket.create_connection(("127.0.0.1", waiting[0]), timeout=5).close()
                waiting.pop(0)
            except OSError:
                if time.monotonic() - began > START_S:
                    raise ServerError(f"not listening after {START_S} s:\n{self.log_tail()}") from None
                time.sleep(0.005)
        return time.monotonic() - began

    def stop(self, timeout=20):
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(f"no exit {timeout} s after SIGTERM:\n{self.log_tail()}") from None
        self.process = None
        return status

    def kill(self):
        """SIGKILL to the whole group."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def memory_kib(self, field="VmRSS"):
        """VmRSS: resident now; VmHWM: the most since the start, or since memory_forget."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(rf"{field}:\s+(\d+) kB", f.read()).group(1))

    def memory_forget(self):
        """VmHWM begins anew with what is resident now."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")

    def log_tail(self, lines=40):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""

    def sanitizer_reports(self):
        """Lines of the log in which a sanitizer or an assertion speaks."""
        words = ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer", "ERROR: LeakSanitizer", "Assertion")
        with open(self.log_file, encoding="utf-8", errors="replace") as f:
            return [line for line in f if any(w in line for w in words)]

    def close(self):
        atexit.unregister(self.close)
        self.kill()
        if os.environ.get("BARID_KEEP"):
            print(f"kept: {self.directory}", file=sys.stderr)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None and self.process is not None:
                if not self.alive():
                    raise ServerError(f"the server ended by itself ({self.process.returncode}):\n{self.log_tail()}")
                status = self.stop()
                reports = self.sanitizer_reports()
                if status != 0 or reports:
                    raise ServerError(f"the server ended with {status}:\n{''.join(reports)}{self.log_tail()}")
        finally:
            self.close()

    # ---- talking to it ----

    def tls(self):
        """A context that trusts this server's certificate and nothing else."""
        return ssl.create_default_context(cafile=self.ca)

    def imap(self, user=None, tls=False, timeout=30):
        if tls:
            c = imaplib.IMAP4_SSL("localhost", self.port("imaps"), ssl_context=self.tls(), timeout=timeout)
        else:
            c = imaplib.IMAP4("127.0.0.1", self.port("imap"), timeout=timeout)
        if user:
            c.login(user.address, user.password)
        return c

    def pop3(self, user=None, tls=False, timeout=30):
        if tls:
            c = poplib.POP3_SSL("localhost", self.port("pop3s"), context=self.tls(), timeout=timeout)
        else:
            c = poplib.POP3("127.0.0.1", self.port("pop3"), timeout=timeout)
        if user:
            c.user(user.address)
            c.pass_(user.password)
        return c

    def lmtp(self, timeout=30):
        return smtplib.LMTP("127.0.0.1", self.port("lmtp"), local_hostname="client.test", timeout=timeout)

    def deliver(self, user, message, sender="sender@example.org"):
        """By LMTP; message is bytes."""
        with self.lmtp() as c:
            c.sendmail(sender, [user.address], message, mail_options=["BODY=8BITMIME"])

    def append(self, user, message, mailbox="INBOX", flags=""):
        c = self.imap(user)
        try:
            kind, answer = c.append(mailbox, flags, None, message)
            if kind != "OK":
                raise ServerError(f"APPEND: {answer}")
        finally:
            c.logout()

    def bodies(self, user, mailbox="INBOX"):
        """{uid: bytes} of a mailbox, by IMAP."""
        c = self.imap(user)
        try:
            kind, _ = c.select(mailbox, readonly=True)
            if kind != "OK":
                raise ServerError(f"no mailbox {mailbox}")
            kind, answer = c.uid("FETCH", "1:*", "(BODY.PEEK[])")
            return fetched(answer)
        finally:
            c.logout()
