"""Mail servers of others.

    with dovecot("maildir:~/Maildir") as peer:  peer.port     without its login: each connection gets the program that serves one session
    with courier() as peer:                     peer.port     the same
    with cyrus() as peer:                       peer.port, peer.user()     all of it, with users

Each is None when the packages are not there (tools/deps check). Nothing of them runs as root, and nothing of the machine's own is touched.
"""
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from server import TOP, User

DOVECOT = "/usr/lib/dovecot/imap"
UNPACKED = os.path.join(TOP, "build", "peers")


def owner():
    """Whom the servers run as."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def give(folder):
    """Everything in it to whom the servers run as."""
    if os.geteuid() != 0:
        return
    for path, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(path, name), owner().pw_uid, owner().pw_gid, follow_symlinks=False)


def as_owner(folder, **env):
    how = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "HOME": folder, "USER": "salma", **env}}
    if os.geteuid() == 0:
        how.update(user=owner().pw_uid, group=owner().pw_gid, extra_groups=[])
    return how


def libraries(root):
    """Where an unpacked package has its shared libraries, as LD_LIBRARY_PATH wants it."""
    return ":".join(sorted({path for path, _, files in os.walk(root) if any(".so" in f for f in files)}))


class Peer:
    delimiter, prefix = "/", ""  # of its names for folders

    def __init__(self, command, how, folder):
        self.command, self.how, self.folder = command, how, folder
        self.programs = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.programs = [p for p in self.programs if p.poll() is None]
                self.programs.append(subprocess.Popen(self.command, stdin=connection, stdout=connection,
                                                      stderr=subprocess.DEVNULL, start_new_session=True, **self.how))

    def settle(self):
        """Waits until no session is at work any more."""
        for program in list(self.programs):
            program.wait(20)

    @staticmethod
    def user():
        return User("salma@barid.test", "unused")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # a thread that waits in accept must not come back to the descriptor when it belongs to the next listener
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        self._listener.close()
        for program in self.programs:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def dovecot(location, mail_plugins=""):
    """An empty mailbox of Debian's Dovecot, or None when dovecot-imapd is not installed."""
    if not os.access(DOVECOT, os.X_OK):
        return None
    folder = tempfile.mkdtemp(prefix="barid-peer-")
    who = owner()
    group = subprocess.run(["id", "-gn", who.pw_name], capture_output=True, text=True, check=True).stdout.strip()
    values = {"log_path": f"{folder}/log", "base_dir": f"{folder}/run", "ssl": "no", "mail_uid": who.pw_name,
              "mail_gid": group, "default_internal_user": who.pw_name, "default_internal_group": group,
              "default_login_user": who.pw_name, "first_valid_uid": "1", "mail_location": location, "mail_plugins": mail_plugins}
    conf = os.path.join(folder, "dovecot.conf")
    os.makedirs(os.path.join(folder, "run"))
    with open(conf, "w", encoding="ascii") as f:
        f.write("".join(f"{k} = {v}\n" for k, v in values.items()))
        f.write("namespace {\n  inbox = yes\n  separator = /\n}\n")
    give(folder)
    return Peer([DOVECOT, "-c", conf], as_owner(folder), folder)


def courier():
    """An empty mailbox of Debian's Courier, with the capabilities that its package comes with. Its folders are "INBOX.Work.2026"."""
    root = os.path.join(UNPACKED, "courier")
    program = os.path.join(root, "usr/bin/imapd")
    if not os.access(program, os.X_OK):
        return None
    folder = tempfile.mkdtemp(prefix="barid-peer-")
    for part in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(folder, "Maildir", part))
    shutil.copytree(os.path.join(root, "usr/lib"), os.path.join(folder, "lib"), symlinks=True)  # where the other user may read
    shutil.copy(program, os.path.join(folder, "imapd"))
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", os.path.join(folder, "lib/libfam.so.0"), os.path.join(os.path.dirname(os.path.abspath(__file__)), "nofam.c")],
                   check=True)
    give(folder)
    # without its locks, which want a program that watches files: one session at a time is all there is
    how = as_owner(folder, AUTHENTICATED="salma", AUTHADDR="salma", TCPREMOTEIP="127.0.0.1", IMAP_KEYWORDS="1", IMAP_USELOCKS="0",
                   IMAP_UMASK="022", IMAP_TRASHFOLDERNAME="Trash", LD_LIBRARY_PATH=libraries(folder), IMAP_CAPABILITY=(
                       "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"))
    peer = Peer([os.path.join(folder, "imapd"), "Maildir"], how, folder)
    peer.delimiter, peer.prefix = ".", "INBOX."
    return peer


CYRUS_CONF = """\
configdirectory: {folder}/config
partition-default: {folder}/spool
defaultpartition: default
sievedir: {folder}/sieve
cyrus_user: {user}
cyrus_group: {group}
servername: localhost
altnamespace: {alt}
unixhierarchysep: {unix}
virtdomains: userid
allowplaintext: yes
allowanonymouslogin: no
sasl_mech_list: PLAIN
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {folder}/run/mux
autocreate_quota: 0
autocreate_post: yes
duplicatesuppression: no
conversations: no
maxlogins_per_host: 0
maxlogins_per_user: 0
idlesocket: {folder}/config/socket/idle
lmtpsocket: {folder}/config/socket/lmtp
notifysocket: {folder}/config/socket/notify
mboxname_lockpath: {folder}/config/lock
proc_path: {folder}/config/proc
delete_mode: immediate
search_engine: none
"""
CYRUS_SERVICES = """\
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {folder}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {folder}/imapd.conf" listen="127.0.0.1:{port}" prefork=1 maxchild=-1
}}
EVENTS {{
  checkpoint cmd="{bin}/ctl_cyrusdb -C {folder}/imapd.conf -c" period=30
}}
"""


class Cyrus:
    """Cyrus's master with its IMAP service, and the daemon that it asks for passwords, which is a thread here."""

    PASSWORD = "correct horse 7"

    def __init__(self, alt):
        self.delimiter, self.prefix = ("/", "") if alt else (".", "INBOX.")
        self.folder = tempfile.mkdtemp(prefix="barid-peer-")
        self._numbers = itertools.count(1)
        for name in ("config/socket", "config/db", "config/proc", "config/log", "config/msg", "spool", "sieve", "run"):
            os.makedirs(os.path.join(self.folder, name))
        shutil.copytree(os.path.join(UNPACKED, "cyrus/usr"), os.path.join(self.folder, "usr"), symlinks=True)
        probe = socket.create_server(("127.0.0.1", 0))
        self.port = probe.getsockname()[1]
        probe.close()
        who = owner()
        group = subprocess.run(["id", "-gn", who.pw_name], capture_output=True, text=True, check=True).stdout.strip()
        words = {"folder": self.folder, "bin": f"{self.folder}/usr/lib/cyrus/bin", "port": self.port, "user": who.pw_name, "group": group,
                 "alt": "yes" if alt else "no", "unix": "yes" if alt else "no"}
        for name, text in (("imapd.conf", CYRUS_CONF), ("cyrus.conf", CYRUS_SERVICES)):
            with open(os.path.join(self.folder, name), "w", encoding="ascii") as f:
                f.write(text.format(**words))
        give(self.folder)
        self._answer_logins()
        how = as_owner(self.folder, LD_LIBRARY_PATH=libraries(os.path.join(self.folder, "usr/lib")))
        with open(os.path.join(self.folder, "out"), "wb") as out:
            self.master = subprocess.Popen(  # it walks over all descriptors that it may have
                ["prlimit", "--nofile=1024", f"{self.folder}/usr/sbin/cyrmaster", "-C", f"{self.folder}/imapd.conf", "-M", f"{self.folder}/cyrus.conf", "-p",
                 f"{self.folder}/run/master.pid"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **how)
        self._wait()

    def _answer_logins(self):
        """saslauthd's protocol: four strings with their lengths in; "OK" or "NO" with its length out."""
        self._logins = socket.socket(socket.AF_UNIX)
        self._logins.bind(os.path.join(self.folder, "run/mux"))
        os.chmod(os.path.join(self.folder, "run/mux"), 0o777)
        self._logins.listen(64)

        def serve():
            while True:
                try:
                    connection, _ = self._logins.accept()
                except OSError:
                    return
                with connection, connection.makefile("rb") as f, contextlib.suppress(OSError, struct.error):
                    texts = [f.read(struct.unpack(">H", f.read(2))[0]) for _ in range(4)]
                    connection.sendall(b"\0\2" + (b"OK" if texts[1].decode() == self.PASSWORD else b"NO"))
        threading.Thread(target=serve, daemon=True).start()

    def _wait(self):
        until = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as c:
                    c.settimeout(20)
                    if c.recv(4) == b"* OK":
                        return
            except OSError:
                pass
            if time.monotonic() > until or self.master.poll() is not None:
                with open(os.path.join(self.folder, "out"), encoding="utf-8", errors="replace") as f:
                    said = f.read()
                self.__exit__()
                raise RuntimeError(f"Cyrus does not start: {said}")
            time.sleep(0.05)

    def user(self):
        return User(f"u{next(self._numbers)}@barid.test", self.PASSWORD)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.master.poll() is None:
            os.killpg(self.master.pid, signal.SIGKILL)
            self.master.wait()
        with contextlib.suppress(OSError):
            self._logins.shutdown(socket.SHUT_RDWR)
        self._logins.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def cyrus(alt=True):
    """Debian's Cyrus. alt: folders are "Work/2026", beside INBOX; else "INBOX.Work.2026", as it comes."""
    if not os.access(os.path.join(UNPACKED, "cyrus/usr/sbin/cyrmaster"), os.X_OK):
        return None
    return Cyrus(alt)


PEERS = {"dovecot-maildir": lambda: dovecot("maildir:~/Maildir"), "dovecot-sdbox": lambda: dovecot("sdbox:~/sdbox"), "courier": courier,
         "cyrus": cyrus, "cyrus-as-it-comes": lambda: cyrus(False)}
