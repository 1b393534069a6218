"""A mailbox that is an IMAP server of this process, a source and a target of copies: honest, unless it is told to lie.

    with Mailbox({"INBOX": [Mail(b"...", flags={"\\\\Seen"})]}) as box:   box.port
    box.folders["INBOX"].mail            # [Mail], with uids
    box.lie = f                          # f(box, session, words): bytes to be sent instead of an answer, None: the truth

What is not whole, its last line end included, is no message. A byte where none belongs is remembered in box.wrong.
"""
import re
import socket
import threading
import time

from client import Fake

ATOM = rb'(?:"((?:[^"\\]|\\.)*)"|([^\s"(]+))'
APPEND = re.compile(rb"APPEND " + ATOM + rb'(?: \(([^)]*)\))?(?: "([^"]+)")? \{(\d+)(\+?)\}$', re.I)


class Mail:
    def __init__(self, data, flags=(), date="26-Nov-2026 10:00:00 +0000"):
        self.data, self.flags, self.date, self.uid = data, frozenset(flags), date, 0

    def key(self):
        return self.data, self.flags, self.date.strip().lstrip("0")  # " 1-Nov" and "01-Nov" are one day


class Folder:
    def __init__(self, mail=(), uidvalidity=7, attributes="", permanent="\\*"):
        self.mail, self.uidvalidity, self.uidnext = [], uidvalidity, 1
        self.attributes, self.permanent, self.subscribed = attributes, permanent, False
        for one in mail:
            self.add(one)

    def add(self, mail, uid=None):
        mail.uid = uid or self.uidnext
        self.uidnext = mail.uid + 1
        self.mail.append(mail)
        return mail.uid

    def keys(self):
        return sorted(m.key()[:1] + (sorted(m.flags), m.key()[2]) for m in self.mail)


HOLD = object()  # a lie: nothing is said now; the client may wait for it as long as it likes


class Session:
    def __init__(self, lines):
        self.lines, self.selected, self.commands, self.over = lines, None, [], False

    def exactly(self, count):
        lines = self.lines
        parts, have = [lines.buffer[:count]], min(len(lines.buffer), count)
        lines.buffer = lines.buffer[count:]
        while have < count:
            data = lines.sock.recv(min(1 << 20, count - have))
            if not data:
                raise ConnectionError
            parts.append(data)
            have += len(data)
        return b"".join(parts)


class Mailbox(Fake):
    caps = "IMAP4rev1 UIDPLUS LITERAL+"

    def __init__(self, folders=None, caps=None, delimiter="/", prefix="", keep=True):
        self.folders = {name: mail if isinstance(mail, Folder) else Folder(mail) for name, mail in (folders or {"INBOX": []}).items()}
        self.caps = caps or self.caps
        self.delimiter, self.prefix, self.keep = delimiter, prefix, keep
        self.lie = None
        self.wrong = []
        self.all = []  # sessions
        self.lock = threading.Lock()
        super().__init__()

    def table(self):
        return {name: folder.keys() for name, folder in self.folders.items()}

    def commands(self):
        return [c for s in self.all for c in s.commands]

    def quiet(self):
        """Waits until all that was received is filed: a client may be gone long before."""
        end = time.monotonic() + 30
        while any(not s.over for s in self.all):
            assert time.monotonic() < end
            time.sleep(0.001)

    def serve(self, lines):
        session = Session(lines)
        self.all.append(session)
        try:
            self.talk(lines, session)
        finally:
            session.over = True

    def talk(self, lines, session):
        lines.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines.send(f"* PREAUTH [CAPABILITY {self.caps}] hello\r\n")
        while True:
            tag, _, words = lines.line().partition(b" ")
            session.tag = tag
            session.commands.append(words.decode("latin-1"))
            said = self.lie(self, session, words) if self.lie else None
            if said is False:
                return
            if said is HOLD:
                continue
            with self.lock:
                said = said if said is not None else self.answer(session, words)
            lines.send(said.replace(b"{tag}", tag) if b"{tag}" in said else said + tag + b" OK done\r\n")
            if words.startswith(b"LOGOUT") or b"* BYE" in said:
                return

    def answer(self, session, words):
        verb = words.split(b" ")[0].upper()
        if verb == b"UID":
            verb = words.split(b" ")[1].upper()
        do = getattr(self, "do_" + verb.decode().lower(), None)
        return do(session, words) if do else b""

    @staticmethod
    def name(words):
        found = re.search(rb"^\S+ " + ATOM, words)
        return (found.group(1) or found.group(2)).decode()

    def do_list(self, session, words, verb=b"LIST"):
        if b"SUBSCRIBED" in words:
            return self.do_lsub(session, words, verb)
        return b"".join(f'* LIST ({f.attributes}) "{self.delimiter}" "{n}"\r\n'.encode() for n, f in self.folders.items())

    def do_lsub(self, session, words, verb=b"LSUB"):
        return b"".join(b'* %s () "%s" "%s"\r\n' % (verb, self.delimiter.encode(), n.encode())
                        for n, f in self.folders.items() if f.subscribed)

    def do_namespace(self, session, words):
        return f'* NAMESPACE (("{self.prefix}" "{self.delimiter}")) NIL NIL\r\n'.encode()

    def do_create(self, session, words):
        if self.name(words) in self.folders:
            return b"{tag} NO [ALREADYEXISTS] it is there\r\n"
        self.folders[self.name(words)] = Folder(uidvalidity=len(self.folders) + 100)
        return b""

    def do_subscribe(self, session, words):
        self.folders[self.name(words)].subscribed = True
        return b""

    def do_select(self, session, words):
        folder = self.folders.get(self.name(words))
        if not folder:
            return b"{tag} NO [NONEXISTENT] no such folder\r\n"
        session.selected = folder
        return (f"* {len(folder.mail)} EXISTS\r\n* OK [UIDVALIDITY {folder.uidvalidity}] x\r\n"
                f"* OK [UIDNEXT {folder.uidnext}] x\r\n"
                f"* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft {folder.permanent})] x\r\n").encode()

    do_examine = do_select

    def do_status(self, session, words):
        folder = self.folders[self.name(words)]
        return b'* STATUS "%s" (MESSAGES %d UNSEEN 0 UIDNEXT %d)\r\n' % (
            self.name(words).encode(), len(folder.mail), folder.uidnext)

    def chosen(self, session, words):
        def number(text):
            return 1 << 32 if text == b"*" else int(text)
        out = []
        runs = [r.partition(b":") for r in words.split(b" ")[2].split(b",")]
        for at, mail in enumerate(session.selected.mail, 1):
            if any(number(a) <= mail.uid <= number(b or a) for a, _, b in runs):
                out.append((at, mail))
        return out

    def do_search(self, session, words):
        return b"* SEARCH" + b"".join(b" %d" % m.uid for m in session.selected.mail) + b"\r\n"

    def do_fetch(self, session, words):
        out = []
        for at, mail in self.chosen(session, words):
            items = [b"UID %d" % mail.uid]
            if b"FLAGS" in words:
                items.append(b"FLAGS (%s)" % " ".join(sorted(mail.flags)).encode())
            if b"INTERNALDATE" in words:
                items.append(b'INTERNALDATE "%s"' % mail.date.encode())
            if b"RFC822.SIZE" in words:
                items.append(b"RFC822.SIZE %d" % len(mail.data))
            if b"BODY.PEEK[HEADER" in words:
                found = re.search(rb"^Message-ID:.*\r\n", mail.data.partition(b"\r\n\r\n")[0] + b"\r\n", re.I | re.M)
                text = (found.group(0) if found else b"") + b"\r\n"
                items.append(b"BODY[HEADER.FIELDS (MESSAGE-ID)] {%d}\r\n%s" % (len(text), text))
            if b"BODY.PEEK[]" in words:
                items.append(b"BODY[] {%d}\r\n%s" % (len(mail.data), mail.data))
            elif b"BODY[]" in words:
                self.wrong.append(words)
            out.append(b"* %d FETCH (%s)\r\n" % (at, b" ".join(items)))
        return b"".join(out)

    def read_append(self, session, words):
        """(folder, mail) or the refusal."""
        found = APPEND.match(words)
        if not found:
            self.wrong.append(words)
            return b"{tag} BAD what\r\n"
        quoted, atom, flags, date, size, plus = found.groups()
        if not plus:
            session.lines.send(b"+ go on\r\n")
        data = session.exactly(int(size))
        rest = session.lines.line()
        if rest:
            self.wrong.append(rest)
            return b"{tag} BAD more than the message\r\n"
        flags = set((flags or b"").decode().split())
        return (quoted or atom).decode(), Mail(data if self.keep else data[:100], flags, (date or b"").decode())

    def do_append(self, session, words):
        got = self.read_append(session, words)
        return got if isinstance(got, bytes) else self.store(*got)

    def store(self, name, mail):
        if name not in self.folders:
            return b"{tag} NO [TRYCREATE] no such folder\r\n"
        uid = self.folders[name].add(mail)
        code = b"[APPENDUID %d %d] " % (self.folders[name].uidvalidity, uid) if "UIDPLUS" in self.caps else b""
        return b"{tag} OK " + code + b"done\r\n"
