"""SORT and THREAD over real mail, compared with a slow version that follows RFC 5256 and RFC 5957 word by word, and with Dovecot where it is installed.

What the slow version reads of a message it reads itself, from the bytes. Mail whose fields are broken in ways on which readers differ is left out: how
those are read is not what is tested here."""
import base64
import email.header
import email.utils
import os
import pwd
import quopri
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
import raw  # noqa: E402
from corpus_structure import parse  # noqa: E402
from server import Server, corpus, have, wire  # noqa: E402

COUNT = 500
DATE = re.compile(r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}(?: \([A-Z]+\))?")
WORD = re.compile(r"=\?([^?*\s]+)\?([BbQq])\?([^?\s]*)\?=")
KEYS = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"]


# ---- reading a message ----

class Odd(Exception):
    """Readers may differ on it."""


def fields(data):
    """{lower name: unfolded value}"""
    out = {}
    head = data.split(b"\r\n\r\n", 1)[0]
    for line in re.sub(rb"\r\n(?=[ \t])", b"", head).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon or not re.fullmatch(rb"[!-9;-~]+", name):
            raise Odd("no field")
        key = name.decode().lower()
        if key in ("subject", "date", "from", "to", "cc", "message-id", "references", "in-reply-to"):
            if key in out:
                raise Odd("twice")
            if max(value, default=0) > 126 or b"\t" in value.strip() and key in ("from", "to", "cc"):
                raise Odd("bytes")
            out[key] = value.decode().strip(" \t")
    return out


def decoded(text):
    """Encoded-words to text; blanks between two go."""
    def one(m):
        charset, how, body = m.groups()
        if charset.lower() not in ("utf-8", "iso-8859-1", "us-ascii"):
            raise Odd("charset")
        try:
            data = base64.b64decode(body, validate=True) if how in "Bb" else quopri.decodestring(body.encode(), header=True)
            return data.decode(charset)
        except ValueError:
            raise Odd("word") from None
    out = WORD.sub(one, re.sub(r"(\?=)[ \t]+(?==\?)", r"\1", text))
    if "=?" in out or "?=" in out or any(ord(c) < 32 and c != "\t" or c == "\x7f" for c in out):
        raise Odd("word")
    return out


def base_subject(text):
    """(base subject, is reply or forward), RFC 5256 §2.1 and §3."""
    s = re.sub(r"[ \t]+", " ", decoded(text))
    reply = False
    while True:
        while True:                                                  # (2)
            m = re.search(r"(\(fwd\)| )$", s, re.I)
            if not m:
                break
            reply |= m.group(0) != " "
            s = s[:m.start()]
        while True:                                                  # (3) to (5)
            m = re.match(r" |(?:\[[^\[\]]*\] *)*(?:re|fwd?) *(?:\[[^\[\]]*\] *)?:", s, re.I)
            if m:
                reply |= m.group(0) != " "
                s = s[m.end():]
                continue
            m = re.match(r"\[[^\[\]]*\] *", s)
            if not m or m.end() == len(s):
                break
            s = s[m.end():]
        if not (s[:5].lower() == "[fwd:" and s.endswith("]")):       # (6)
            return s, reply
        s, reply = s[5:-1], True


def casemap(text):
    """i;unicode-casemap, RFC 5051 §2."""
    titled = "".join(c.title() if len(c.title()) == 1 else c for c in text)
    return unicodedata.normalize("NFKD", titled).encode()


def ids(text):
    if any(c in text for c in '"\\()'):
        raise Odd("quoting")
    found = re.findall(r"<([^<>]*)>", text)
    if any("@" not in one or re.search(r"\s", one) for one in found) or text.count("<") != text.count(">"):
        raise Odd("id")
    return found


class Message:
    def __init__(self, data, number):
        f = fields(data)
        self.data = data
        self.received = 1_000_000_000 + number * 7919 % 5000 * 60
        self.sent = self.received
        if "date" in f:
            if not DATE.fullmatch(f["date"]):
                raise Odd("date")
            self.sent = int(email.utils.parsedate_to_datetime(re.sub(r" \(.*", "", f["date"])).timestamp())
        self.subject, self.reply = base_subject(f.get("subject", ""))
        own = ids(f.get("message-id", ""))[:1]
        self.id = own[0] if own else None
        self.references = ids(f.get("references", "")) or ids(f.get("in-reply-to", ""))[:1]
        if len(self.references) > 100:
            raise Odd("many")
        self.address = {key: self.first(f.get(key, "")) for key in ("from", "to", "cc")}

    @staticmethod
    def first(text):
        """(name, mailbox, host) of the first address."""
        if not text:
            return "", "", ""
        if not re.match(r'(?:(?:"[^"\\=]*"|[\w .=?*+/-]*?) *<[\w.+=-]+@[\w.-]+>|[\w.+=-]+@[\w.-]+)(?:,|$)', text, re.A):
            raise Odd("address")
        name, address = email.utils.getaddresses([text])[0]
        mailbox, _, host = address.rpartition("@")
        return decoded(name), mailbox, host

    def key(self, what):
        if what in ("FROM", "TO", "CC"):
            return casemap(self.address[what.lower()][1])
        if what.startswith("DISPLAY"):
            name, mailbox, host = self.address[what[7:].lower()]
            return casemap(name or mailbox and f"{mailbox}@{host}")
        return {"ARRIVAL": self.received, "DATE": self.sent, "SIZE": len(self.data), "SUBJECT": casemap(self.subject)}[what]


def load():
    """Mail of all kinds, and what a mailing list wrote in a row."""
    rest, lists = [], []
    for name, path in corpus():
        (lists if name.startswith("spamassassin") else rest).append(path)
    random.Random(5).shuffle(rest)
    messages = []
    for path in rest[:400] + lists[:1500]:
        with open(path, "rb") as file:
            data = wire(file.read())
        try:
            if len(data) < 65536:
                messages.append(Message(data, len(messages)))
        except Odd:
            continue
        if len(messages) == COUNT:
            break
    for one in list(messages[-100:]):  # answers, so that there are threads enough
        if one.id and len(messages) < COUNT + 50:
            text = (f"Message-ID: <answer-{len(messages)}@example.org>\r\nReferences: <{one.id}>\r\n"
                    f"Subject: Re: {one.subject if one.subject.isascii() else 'x'}\r\n\r\n").encode()
            messages.append(Message(text, len(messages)))
    return messages


# ---- the slow version ----

def sort(messages, chosen, program):
    order = sorted(chosen)
    for what, reverse in reversed(program):
        order.sort(key=lambda n: messages[n - 1].key(what), reverse=reverse)  # stable both ways
    return order


class Node:
    def __init__(self, number=None, message=None):
        self.number, self.message, self.parent, self.children = number, message, None, []

    def has_above(self, node):
        at = self
        while at:
            if at is node:
                return True
            at = at.parent
        return False

    def move(self, parent):
        if self.parent:
            self.parent.children.remove(self)
        self.parent = parent
        if parent:
            parent.children.append(self)

    def head(self):
        return self if self.message else self.children[0]

    def order(self):
        return self.head().message.sent, self.head().number


def prune(node, top):
    out = []
    for child in node.children:
        prune(child, False)
        if child.message or top and len(child.children) > 1:
            out.append(child)
        else:
            out += child.children
    node.children = out
    for child in out:
        child.parent = node


def sort_tree(node):
    for child in node.children:
        sort_tree(child)
    node.children.sort(key=Node.order)


def references(messages, chosen):
    nodes = {n: Node(n, messages[n - 1]) for n in sorted(chosen)}
    table = {}
    for node in nodes.values():
        if node.message.id:
            table.setdefault(node.message.id, node)
    everyone = list(nodes.values())
    for node in nodes.values():                                      # (1)
        last = None
        for one in node.message.references:
            if one not in table:
                table[one] = Node()
                everyone.append(table[one])
            following = table[one]
            if last and not following.parent and not last.has_above(following):
                following.move(last)
            last = following
        node.move(None)
        if last and not last.has_above(node):
            node.move(last)
    root = Node()                                                    # (2)
    root.children = [node for node in everyone if not node.parent]
    prune(root, True)                                                # (3)
    for child in root.children:                                      # (4)
        if not child.message:
            child.children.sort(key=Node.order)
    root.children.sort(key=Node.order)
    subjects = {}                                                    # (5)
    for child in root.children:
        text = casemap(child.head().message.subject)
        there = subjects.get(text)
        if text and (not there or there.message and (
                not child.message or there.message.reply and not child.message.reply)):
            subjects[text] = child
    for child in list(root.children):
        text = casemap(child.head().message.subject)
        there = subjects.get(text)
        if not there or there is child:
            continue
        if not child.message and not there.message:
            for one in list(child.children):
                one.move(there)
            root.children.remove(child)
        elif not there.message or child.message.reply and not there.message.reply:
            child.move(there)
        else:
            dummy = subjects[text] = Node()
            dummy.move(root)
            there.move(dummy)
            child.move(dummy)
    sort_tree(root)                                                  # (6)
    return "".join(f"({written(child)})" for child in root.children)


def written(node):
    text = str(node.number) if node.message else ""
    if len(node.children) == 1:
        return f"{text} {written(node.children[0])}"
    nested = "".join(f"({written(child)})" for child in node.children)
    return f"{text} {nested}" if text and nested else text + nested


def ordered_subject(messages, chosen):
    threads = {}
    for n in sorted(chosen, key=lambda n: (casemap(messages[n - 1].subject), messages[n - 1].sent, n)):
        threads.setdefault(casemap(messages[n - 1].subject), []).append(n)
    out = ""
    for first, *others in sorted(threads.values(), key=lambda t: (messages[t[0] - 1].sent, t[0])):
        out += f"({first}" + (f" {others[0]}" if len(others) == 1 else
                              " " + "".join(f"({n})" for n in others) if others else "") + ")"
    return out


# ---- servers ----

def date_time(seconds):
    days = email.utils.formatdate(seconds).split()  # "Sun, 09 Sep 2001 01:46:40 -0000"
    return f"{days[1]}-{days[2]}-{days[3]} {days[4]} +0000"


def fill(client, messages):
    for at in range(0, len(messages), 50):
        client.command(b"APPEND INBOX" + b"".join(
            b' "%s" {%d+}\r\n%s' % (date_time(m.received).encode(), len(m.data), m.data) for m in messages[at:at + 50]))
    client.command("SELECT INBOX")


def ask(client, command, answer):
    _, untagged = client.command(command)
    lines = [parts[0] for parts in untagged if parts[0].startswith(b"* " + answer)]
    assert len(lines) == 1
    return lines[0][len(answer) + 2:].decode().strip()


@pytest.fixture(scope="module")
def messages():
    found = load()
    if not found:
        pytest.skip("no corpus (see tests/lib/server.py)")
    assert len(found) > 300
    return found


@pytest.fixture(scope="module")
def client(messages):
    with Server() as server:
        c = raw.Imap(server.port("imap"), server.user())
        fill(c, messages)
        yield c
        c.close()


class Preauth(raw.Imap):
    """Dovecot's imap process, without its master, over a pipe."""

    def __init__(self, folder):
        with open(os.path.join(folder, "dovecot.conf"), "w", encoding="ascii") as file:
            file.write(f"base_dir = {folder}/run\nlog_path = /dev/null\nmail_location = maildir:{folder}/mail\nssl = no\n")
        command = ["doveadm", "-c", f"{folder}/dovecot.conf", "exec", "imap"]
        user = pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:  # it serves no mail of root
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            command = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", *command]
            user = "nobody"
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        cwd=folder, env={**os.environ, "HOME": folder, "USER": user})
        self.file = self.process.stdout
        self.tag = 0
        self.greeting = self.line()

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def dovecot(messages):
    if not have("doveadm") or not have("dovecot") or os.getuid() == 0 and not have("setpriv"):
        pytest.skip("Dovecot is not installed")
    folder = tempfile.mkdtemp(prefix="barid-dovecot-")
    try:
        try:
            c = Preauth(folder)
        except (OSError, ConnectionError) as problem:
            pytest.skip(f"Dovecot does not start here: {problem}")
        if b"THREAD=REFERENCES" not in c.greeting:
            pytest.skip("this Dovecot does not say THREAD=REFERENCES in its greeting")
        fill(c, messages)
        yield c
        c.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def programs():
    return [[(key, reverse)] for key in KEYS for reverse in (False, True)] + [
        [("SUBJECT", False), ("DATE", False)], [("SUBJECT", True), ("DATE", True)], [("FROM", False), ("SIZE", True)],
        [("TO", False), ("SUBJECT", True), ("ARRIVAL", True)], [("CC", True), ("DISPLAYTO", False), ("DATE", True)]]


def text_of(program):
    return "(" + " ".join(("REVERSE " if reverse else "") + key for key, reverse in program) + ")"


def subsets(count):
    """All, and some by their number."""
    chance = random.Random(3)
    everyone = list(range(1, count + 1))
    return [everyone] + [sorted(chance.sample(everyone, size)) for size in (count // 2, count // 10, 7, 1)]


def set_of(chosen):
    return ",".join(map(str, chosen))


def compare_sort(client, messages):
    wrong = []
    for chosen in subsets(len(messages)):
        for program in programs():
            got = ask(client, f"SORT {text_of(program)} UTF-8 {set_of(chosen)}", b"SORT")
            if list(map(int, got.split())) != sort(messages, chosen, program):
                wrong.append(f"{text_of(program)} of {len(chosen)}")
    return wrong


def compare_threads(client, messages):
    wrong = []
    for chosen in subsets(len(messages)):
        for name, slow in (("ORDEREDSUBJECT", ordered_subject), ("REFERENCES", references)):
            got = ask(client, f"THREAD {name} UTF-8 {set_of(chosen)}", b"THREAD")
            if got != slow(messages, chosen):
                wrong.append(f"{name} of {len(chosen)}")
    return wrong


def test_mail_is_as_it_was_read(client, messages):
    """The slow version and ENVELOPE agree on the addresses: else the rest says little."""
    _, untagged = client.command("FETCH 1:* (RFC822.SIZE ENVELOPE)")
    for parts in untagged:
        if b"FETCH" not in parts[0]:
            continue
        n = int(parts[0].split()[1])
        text = b"\r\n".join(parts[i] + (b"\r\n" + parts[i + 1] if i + 1 < len(parts) else b"") for i in range(0, len(parts), 2))
        values, _ = parse(text, text.index(b"("))
        envelope = values[values.index("ENVELOPE") + 1]
        assert int(values[values.index("RFC822.SIZE") + 1]) == len(messages[n - 1].data)
        for key, at in (("from", 2), ("to", 5), ("cc", 6)):
            first = envelope[at][0] if envelope[at] else [None] * 4
            assert (first[2] or "", first[3] or "") == messages[n - 1].address[key][1:], (n, key)


def test_there_are_threads_and_ties(messages):
    assert len({casemap(m.subject) for m in messages}) < len(messages) * 3 // 4
    assert sum(1 for m in messages if m.references) > 50
    assert any(not m.subject.isascii() for m in messages)


def test_sort(client, messages):
    assert not compare_sort(client, messages)


def test_threads(client, messages):
    assert not compare_threads(client, messages)


def test_uids_are_in_the_same_order(client, messages):
    """And the second time as the first, with some gone in between."""
    gone = list(range(3, len(messages), 11))
    left = [n for n in range(1, len(messages) + 1) if n not in gone]
    for _ in range(2):
        got = ask(client, "UID SORT (SUBJECT DATE) UTF-8 ALL", b"SORT")
        assert list(map(int, got.split())) == sort(messages, range(1, len(messages) + 1), [("SUBJECT", False), ("DATE", False)])
    client.command("COPY 1:* Archive")
    client.command("SELECT Archive")
    assert ask(client, "THREAD REFERENCES UTF-8 ALL", b"THREAD") == references(messages, range(1, len(messages) + 1))
    client.command(f"STORE {set_of(gone)} +FLAGS.SILENT (\\Deleted)")
    client.command("EXPUNGE")
    for _ in range(2):
        assert ask(client, "UID THREAD REFERENCES UTF-8 ALL", b"THREAD") == references(messages, left)
        got = ask(client, "UID SORT (FROM REVERSE DATE) UTF-8 ALL", b"SORT")
        assert list(map(int, got.split())) == sort(messages, left, [("FROM", False), ("DATE", True)])
    client.command("SELECT INBOX")


def test_what_came_and_went(client):
    """Most of a mailbox goes, three times over, and what is kept of it in memory is made anew."""
    client.command("CREATE churn")
    client.command("SELECT churn")
    left, subjects = [], {}
    for turn in range(3):
        texts = [b"Subject: %d\r\nMessage-ID: <%d.%d@x>\r\nReferences: <%d.0@x>\r\n\r\n" % (n * 7919 % 1000, turn, n, turn)
                 for n in range(1500)]
        client.command(b"APPEND churn" + b"".join(b" {%d+}\r\n%s" % (len(text), text) for text in texts[:1000]))
        client.command(b"APPEND churn" + b"".join(b" {%d+}\r\n%s" % (len(text), text) for text in texts[1000:]))
        uids = list(range(1 + 1500 * turn, 1 + 1500 * (turn + 1)))
        subjects.update((uid, str((uid - 1) % 1500 * 7919 % 1000)) for uid in uids)
        left += uids
        for gone in ([], [uid for uid in left if uid % 200]):
            if gone:
                client.command(f"UID STORE {set_of(gone)} +FLAGS.SILENT (\\Deleted)")
                client.command("EXPUNGE")
                left = [uid for uid in left if uid not in set(gone)]
            got = ask(client, "UID SORT (SUBJECT) UTF-8 ALL", b"SORT")
            assert list(map(int, got.split())) == sorted(left, key=lambda uid: (subjects[uid], uid))
            got = ask(client, "UID THREAD REFERENCES UTF-8 ALL", b"THREAD")
            assert sorted(map(int, re.findall(r"\d+", got))) == left
    client.command("SELECT INBOX")


def test_dovecot_sorts_the_same(client, dovecot, messages):
    different = []
    for program in programs():
        command = f"SORT {text_of(program)} UTF-8 ALL"
        if ask(client, command, b"SORT") != ask(dovecot, command, b"SORT"):
            different.append(text_of(program))
    assert not different


def test_dovecot_threads_the_same(client, dovecot):
    for chosen in ("ALL", "1:150", "200:*"):
        for name in ("ORDEREDSUBJECT", "REFERENCES"):
            command = f"THREAD {name} UTF-8 {chosen}"
            assert ask(client, command, b"THREAD") == ask(dovecot, command, b"THREAD"), command
