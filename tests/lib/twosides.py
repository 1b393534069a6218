"""Both sides of `barid sync` as tables, and random changes on them.

A message is known by the number in its Message-ID. A side is {folder: {number: frozenset(flags)}}; a message that is there twice is an error.

    far = Far(port, user)             # any IMAP server on loopback
    near = Near(root)                 # a tree of Maildirs (nested)
    client = Client(folder, port, user, maildir)
    client.sync()
"""
import imaplib
import os
import re
import subprocess

from server import barid_program

imaplib._MAXLINE = 1 << 30  # noqa: SLF001
LETTERS = {"D": "\\Draft", "F": "\\Flagged", "P": "$Forwarded", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}


def message(number, size=0):
    """CRLF bytes; some have no Message-ID: those whose number ends in 7."""
    head = "" if number % 10 == 7 else f"Message-ID: <{number}@example.org>\r\n"
    text = (f"From: a@example.org\r\nTo: salma@barid.test\r\nSubject: number {number}\r\n{head}"
            f"Date: Thu, 26 Nov 2026 10:00:00 +0000\r\n\r\nbody of {number}\r\n.dot\r\n")
    return (text + "x" * 70 * (size // 72) + ("\r\n" if size else "")).encode()


def number_of(data):
    return int(re.search(rb"^Subject: number (\d+)", data, re.M).group(1))


class Far:
    """The server's side, by imaplib. Names of folders are those that they have here: "Work/2026", whatever the server calls it."""

    def __init__(self, port, user, delimiter="/", prefix=""):
        self.port, self.user, self.delimiter, self.prefix = port, user, delimiter, prefix

    def there(self, folder):
        """Its name there, as a command has it."""
        name = folder.replace("/", self.delimiter)
        return f'"{name if folder == "INBOX" else self.prefix + name}"'

    def here(self, name):
        return name.removeprefix(self.prefix).replace(self.delimiter, "/")

    def connect(self):
        c = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        if c.state == "NONAUTH":
            c.login(self.user.address, self.user.password)
        return c

    def do(self, work):
        c = self.connect()
        try:
            return work(c)
        finally:
            c.logout()

    def _folders(self, c):
        out = []
        for line in c.list()[1]:
            if line is None:
                continue
            found = re.match(rb'\((.*?)\) (?:"(.)"|NIL) (?:"((?:[^"\\]|\\.)*)"|(\S+))$', line)
            if b"\\noselect" in found.group(1).lower() or b"\\nonexistent" in found.group(1).lower():
                continue
            out.append(self.here((found.group(3) or found.group(4)).decode()))
        return out

    def table(self):
        def work(c):
            out = {}
            for name in self._folders(c):
                rows = {}
                kind, _ = c.select(self.there(name), readonly=True)
                assert kind == "OK", name
                kind, answer = c.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
                for at, item in enumerate(answer or []):
                    if not isinstance(item, tuple):
                        continue
                    after = answer[at + 1] if at + 1 < len(answer) and isinstance(answer[at + 1], bytes) else b""
                    text = item[0] + after
                    number = number_of(item[1])
                    assert number not in rows, f"{name}: {number} is there twice"
                    flags = re.search(rb"FLAGS \(([^)]*)\)", text).group(1).decode().split()
                    rows[number] = frozenset(f for f in flags if f != "\\Recent")
                out[name] = rows
            return out
        return self.do(work)

    def uids(self, c, folder):
        assert c.select(self.there(folder))[0] == "OK"
        _, answer = c.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        out = {}
        for at, item in enumerate(answer or []):
            if isinstance(item, tuple):
                after = answer[at + 1] if at + 1 < len(answer) and isinstance(answer[at + 1], bytes) else b""
                out[number_of(item[1])] = re.search(rb"UID (\d+)", item[0] + after).group(1).decode()
        return out

    def add(self, folder, number, flags=(), size=0):
        self.do(lambda c: self._ok(c.append(self.there(folder), f"({' '.join(flags)})", None, message(number, size))))

    def add_many(self, folder, numbers, size=0):
        def work(c):
            for n in numbers:
                self._ok(c.append(self.there(folder), "", None, message(n, size)))
        self.do(work)

    @staticmethod
    def _ok(answer):
        assert answer[0] == "OK", answer

    def set_flags(self, folder, number, flags):
        def work(c):
            uid = self.uids(c, folder)[number]
            self._ok(c.uid("STORE", uid, "FLAGS", f"({' '.join(flags)})"))
        self.do(work)

    def remove(self, folder, numbers):
        def work(c):
            uids = self.uids(c, folder)
            self._ok(c.uid("STORE", ",".join(uids[n] for n in numbers), "+FLAGS", "(\\Deleted)"))
            self._ok(c.expunge())
        self.do(work)

    def move(self, folder, number, to):
        def work(c):
            uid = self.uids(c, folder)[number]
            self._ok(c.uid("COPY", uid, self.there(to)))
            self._ok(c.uid("STORE", uid, "+FLAGS", "(\\Deleted)"))
            self._ok(c.expunge())
        self.do(work)

    def copy(self, folder, number, to):
        def work(c):
            uid = self.uids(c, folder)[number]
            self._ok(c.uid("COPY", uid, self.there(to)))
        self.do(work)

    def make(self, folder):
        self.do(lambda c: self._ok(c.create(self.there(folder))))

    def delete(self, folder):
        self.do(lambda c: self._ok(c.delete(self.there(folder))))

    def rename(self, folder, to):
        self.do(lambda c: self._ok(c.rename(self.there(folder), self.there(to))))

    def bodies(self):
        def work(c):
            out = {}
            for name in self._folders(c):
                c.select(self.there(name), readonly=True)
                _, answer = c.uid("FETCH", "1:*", "(BODY.PEEK[])")
                for item in answer or []:
                    if isinstance(item, tuple):
                        out[name, number_of(item[1])] = item[1]
            return out
        return self.do(work)


class Near:
    """The Maildirs, nested."""

    def __init__(self, root):
        self.root = root
        self.made = 0

    def _keywords(self, folder):
        out = {}
        try:
            with open(os.path.join(self.root, folder, "dovecot-keywords"), encoding="utf-8") as f:
                for line in f:
                    index, name = line.split(None, 1)
                    out[chr(ord("a") + int(index))] = name.strip()
        except OSError:
            pass
        return out

    def folders(self):
        out = []
        for path, names, _ in os.walk(self.root):
            if "cur" in names and path != self.root:
                out.append(os.path.relpath(path, self.root))
        return out

    def files(self, folder):
        out = {}
        for where in ("new", "cur"):
            for name in os.listdir(os.path.join(self.root, folder, where)):
                path = os.path.join(self.root, folder, where, name)
                with open(path, "rb") as f:
                    number = number_of(f.read())
                assert number not in out, f"{folder}: {number} is here twice"
                out[number] = path
        return out

    def flags(self, folder, path):
        letters = os.path.basename(path).partition(":2,")[2]
        words = {**LETTERS, **self._keywords(folder)}
        return frozenset(words[c] for c in letters)

    def table(self):
        return {f: {n: self.flags(f, p) for n, p in self.files(f).items()} for f in self.folders()}

    def bodies(self):
        out = {}
        for folder in self.folders():
            for number, path in self.files(folder).items():
                with open(path, "rb") as f:
                    out[folder, number] = f.read().replace(b"\n", b"\r\n")
        return out

    def add(self, folder, number, flags=(), size=0):
        letters = "".join(sorted(k for k, v in LETTERS.items() if v in flags))
        self.made += 1
        name = f"{1790000000 + self.made}.mine{os.getpid()}.here"
        for part in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(self.root, folder, part), exist_ok=True)
        path = os.path.join(self.root, folder, "cur", f"{name}:2,{letters}") if letters else os.path.join(
            self.root, folder, "new", name)
        with open(path, "wb") as f:
            f.write(message(number, size).replace(b"\r\n", b"\n"))

    def set_flags(self, folder, number, flags):
        path = self.files(folder)[number]
        letters = "".join(sorted(k for k, v in {**LETTERS, **self._keywords(folder)}.items() if v in flags))
        base = os.path.basename(path).partition(":2,")[0]
        os.rename(path, os.path.join(self.root, folder, "cur", f"{base}:2,{letters}"))

    def remove(self, folder, numbers):
        files = self.files(folder)
        for n in numbers:
            os.unlink(files[n])

    def move(self, folder, number, to, keep_name=True):
        path = self.files(folder)[number]
        name = os.path.basename(path)
        if not keep_name:
            self.made += 1
            name = f"{1790000000 + self.made}.moved{os.getpid()}.here:2,{name.partition(':2,')[2]}"
        os.rename(path, os.path.join(self.root, to, "cur" if ":2," in name else "new", name))

    def make(self, folder):
        for part in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(self.root, folder, part))


class Client:
    """An account in a configuration of its own."""

    def __init__(self, home, port, user, extra="", name="salma"):
        self.home = home
        self.maildir = os.path.join(home, "Mail")
        self.state = os.path.join(home, ".local/state/barid", name)
        config = os.path.join(home, ".config/barid")
        os.makedirs(config, exist_ok=True)
        secret = os.path.join(config, "secret")
        for path, text in ((secret, user.password + "\n"), (os.path.join(config, "accounts.conf"), f"""\
account {name}
  address {user.address}
  imap 127.0.0.1 {port} none
  password-file {secret}
  maildir {self.maildir}
{extra}""")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(path, 0o600)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")} | {"HOME": home, "LC_ALL": "C"}

    def run(self, *words, timeout=120, env=None):
        return subprocess.run([barid_program(), *words], env=self.env | (env or {}), capture_output=True, text=True,
                              timeout=timeout, check=False)

    def sync(self, *words, code=0, env=None):
        done = self.run("sync", *words, env=env)
        assert done.returncode == code, f"exit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def difference(a, b):
    """What differs, in a few words."""
    out = [f"only there: {f}" for f in a.keys() - b.keys()] + [f"only here: {f}" for f in b.keys() - a.keys()]
    for f in sorted(a.keys() & b.keys()):
        for n in sorted(a[f].keys() | b[f].keys()):
            if a[f].get(n) != b[f].get(n):
                out.append(f"{f} {n}: {sorted(a[f][n]) if n in a[f] else 'none'}"
                           f" | {sorted(b[f][n]) if n in b[f] else 'none'}")
    return "; ".join(out)


def equal(far, near):
    """Both sides hold the same, flags and all. Returns it."""
    there, here = far.table(), near.table()
    assert there == here, "there | here: " + difference(there, here)
    return there
