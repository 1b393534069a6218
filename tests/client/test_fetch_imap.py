"""barid fetch by IMAP: a copy of INBOX in one direction, from Barid and from Dovecot; lines that break, processes that die, servers that lie."""
import imaplib
import os

import pytest

import client
import peers
import server as lib
from capproxy import Proxy
from client import Fake, local

MESSAGES = [b"From: a@x.test\r\nSubject: %d\r\n\r\n" % n + b"text %d\r\n" % n * 40 for n in range(6)]
ODD = [
    "From: c@x.test\r\nSubject: مرحبا\r\n\r\nنص عربي\r\n".encode(),
    b"From: d@x.test\r\nSubject: long\r\n\r\n" + b"x" * 100000 + b"\r\nFrom here\r\n",
    b"From: e@x.test\r\nSubject: empty\r\n\r\n",
    b"From: f@x.test\r\nSubject: no end\r\n\r\nlast line",
]


def here(messages):
    """As they lie here: LF line ends, and the last line has one."""
    return sorted(local(m if m.endswith(b"\n") else m + b"\r\n") for m in messages)


def bodies(home):
    return sorted(home.mail().values())


class Box:
    """INBOX of a user of the server, and how an account reaches it."""

    def __init__(self, barid):
        self.barid, self.user = barid, barid.user()
        self.port = barid.port("imap")

    def fill(self, messages):
        for message in messages:
            self.barid.append(self.user, message)

    def left(self):
        return sorted(self.barid.bodies(self.user).values())

    def account(self, home, port=None, **more):
        home.file("secret", self.user.password)
        home.account(address=self.user.address, imap=f"127.0.0.1 {port or self.port} none", **more)


@pytest.fixture
def box(barid):
    return Box(barid)


def test_all_messages_byte_for_byte_and_once(home, box):
    box.fill(MESSAGES + ODD)
    box.account(home)
    first = home.json("fetch")
    assert (first["listed"], first["fetched"], first["known"]) == (10, 10, 0)
    assert bodies(home) == here(MESSAGES + ODD)
    again = home.json("fetch")
    assert (again["fetched"], again["known"]) == (0, 10)
    box.fill([b"Subject: new\r\n\r\n"])
    assert home.json("fetch")["fetched"] == 1
    assert len(home.mail()) == 11 and len(box.left()) == 11
    with box.barid.imap(box.user) as c:
        c.select("INBOX", readonly=True)
        assert c.search(None, "SEEN")[1] == [b""]  # nobody has read them
    with open(os.path.join(home.state, "a", "logins"), encoding="ascii") as f:
        assert f.read().startswith(f"imap 127.0.0.1 {box.port} ")


def test_tls(home, box):
    box.fill(MESSAGES[:2])
    for port, how in ((box.barid.port("imaps"), "tls"), (box.barid.port("imap"), "starttls")):
        home.file("secret", box.user.password)
        home.account(address=box.user.address, imap=f"localhost {port} {how}", ca_file=box.barid.ca)
        assert home.json("fetch")["listed"] == 2
    assert len(home.mail()) == 2


def test_delete_takes_only_what_is_here(home, box):
    box.fill(MESSAGES[:4])
    with box.barid.imap(box.user) as c:
        c.select("INBOX")
        c.store("4", "+FLAGS", "\\Deleted")  # somebody else's: it is fetched, and goes by our rule only
    box.account(home, after_fetch="delete", message_size_max="1")
    assert home.json("fetch", "--large", "--dry-run")["wanted"] == 4
    assert len(box.left()) == 4
    notes = home.json("fetch")
    assert (notes["notes"], notes["deleted"]) == (4, 0)
    assert len(box.left()) == 4
    done = home.json("fetch", "--large")
    assert (done["fetched"], done["deleted"]) == (4, 4)
    assert box.left() == []


def test_without_uidplus_what_others_marked_stays(home, box):
    box.fill(MESSAGES[:3])
    with Proxy(box.port, without={"UIDPLUS"}) as proxy:
        box.account(home, port=proxy.port, after_fetch="delete")
        assert home.json("fetch")["deleted"] == 3
        with box.barid.imap(box.user) as c:
            c.select("INBOX")
            assert c.search(None, "DELETED")[1] == [b"1 2 3"]  # marked, and nothing was expunged
        assert home.json("fetch")["fetched"] == 0
    assert len(home.mail()) == 3


def test_skip_header(home, box):
    box.fill([MESSAGES[0], "Subject: =?utf-8?b?W2Fkc10gYnV5?=\r\n\r\nbuy\r\n".encode()])
    box.account(home, skip_header='subject "[ADS]"', after_fetch="delete")
    result = home.json("fetch")
    assert (result["fetched"], result["skipped"], result["deleted"]) == (1, 1, 1)
    assert len(box.left()) == 1


def test_which_of_the_two(home, box):
    box.fill(MESSAGES[:1])
    imap, pop3 = f"127.0.0.1 {box.port} none", f"localhost {box.barid.port('pop3s')} tls"
    home.file("secret", box.user.password)
    home.account(address=box.user.address, imap=imap, pop3=pop3, ca_file=box.barid.ca)
    home.json("fetch")
    home.account(address=box.user.address, imap=imap, pop3=pop3, ca_file=box.barid.ca, receive="pop3")
    home.json("fetch")
    home.json("fetch", "--imap")
    with open(os.path.join(home.state, "a", "logins"), encoding="ascii") as f:
        assert sorted(line.split()[0] for line in f) == ["imap", "pop3"]
    home.account(imap=None, pop3=None)
    for word, keyword in (("--imap", "imap line"), ("--pop3", "pop3 line")):
        done = home.barid("fetch", word)
        assert done.returncode == 78 and keyword in done.stderr


def test_not_into_what_sync_keeps(home, box):
    box.fill(MESSAGES[:2])
    box.account(home)
    assert home.barid("sync").returncode == 0
    done = home.barid("fetch")
    assert done.returncode == 78 and "barid sync" in done.stderr
    done = home.barid("fetch", "--lang", "ar")
    assert done.returncode == 78 and "متطابق" in done.stderr
    box.account(home, deliver_mbox=os.path.join(home.folder, "box"))
    assert home.json("fetch")["fetched"] == 2


def test_what_was_fetched_is_not_new_to_sync(home, box):
    """Mail that fetch brought into the Maildir of INBOX is the same mail to a sync that comes later: nothing goes up, nothing comes twice."""
    box.fill(MESSAGES[:3])
    inbox = os.path.join(home.maildir, "INBOX")
    box.account(home, maildir=inbox)
    assert home.json("fetch")["fetched"] == 3
    box.account(home)
    assert home.barid("sync").returncode == 0
    assert len(box.left()) == 3 and sorted(home.mail(inbox).values()) == here(MESSAGES[:3])


@pytest.mark.parametrize("location", ["maildir:~/Maildir", "sdbox:~/sdbox"])
def test_with_dovecot(home, location):
    peer = peers.dovecot(location)
    if not peer:
        pytest.skip("dovecot-imapd is not installed")
    with peer:
        c = imaplib.IMAP4("127.0.0.1", peer.port)
        for message in MESSAGES + ODD[:2]:
            assert c.append("INBOX", None, None, message)[0] == "OK"
        home.account(imap=f"127.0.0.1 {peer.port} none")
        assert home.json("fetch")["fetched"] == 8
        assert bodies(home) == sorted(local(m) for m in MESSAGES + ODD[:2])
        assert home.json("fetch", "--delete")["deleted"] == 8
        assert home.json("fetch")["listed"] == 0
        c.logout()


# ---- broken lines, processes that die ----

@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize("policy", ["keep", "delete"])
def test_cut_anywhere(barid, way, policy):
    box = Box(barid)
    box.fill(MESSAGES[:3])
    wanted = sorted(local(m) for m in MESSAGES[:3])
    with client.Home() as home, Proxy(box.port) as proxy:
        box.account(home, port=proxy.port, after_fetch="keep")
        home.json("fetch", "--dry-run" if policy == "delete" else "--keep")
        total = proxy.passed if way == "down" else proxy.passed_up
    for cut in range(1, total + 200, client.cut_step(211 if client.asan() else 53 if way == "down" else 17)):
        box = Box(barid)
        box.fill(MESSAGES[:3])
        with client.Home() as home:
            with Proxy(box.port, **{"cut_after" if way == "down" else "cut_up_after": cut}) as proxy:
                box.account(home, port=proxy.port, after_fetch=policy)
                home.barid("fetch")
            came = bodies(home) if os.path.isdir(home.maildir) else []
            for message in MESSAGES[:3]:
                assert message in box.left() or local(message) in came, cut
            box.account(home, after_fetch=policy)
            home.json("fetch")
            assert bodies(home) == wanted, cut
            assert len(box.left()) == (0 if policy == "delete" else 3), cut


def test_killed_anywhere(shim, barid):
    def fresh():
        box = Box(barid)
        box.fill(MESSAGES[:3])
        return box

    wanted = sorted(local(m) for m in MESSAGES[:3])
    with client.Home() as home:
        box = fresh()
        box.account(home, after_fetch="delete")
        assert home.barid("fetch", env=shim.arm(home)).returncode == 0
        counts = shim.counts()
    assert counts["sync"] > 5 and counts["write"] > 5
    for call in ("write", "sync", "rename", "unlink"):
        for n in range(1, counts[call] + 1, 2):
            with client.Home() as home:
                box = fresh()
                box.account(home, after_fetch="delete")
                done = home.barid("fetch", env=shim.arm(home, call, client.KILL, n=n))
                assert not shim.hits() or done.returncode < 0, (call, n)
                if not box.left():
                    assert bodies(home) == wanted, (call, n)
                again = home.barid("fetch")
                assert again.returncode == 0, (call, n, again.stderr)
                assert bodies(home) == wanted and box.left() == [], (call, n)


# ---- servers that lie ----

class FakeImap(Fake):
    """INBOX with uids 11, 12 and 13. `hooks`: by the first words of a command, what is said before its OK; False hangs up."""

    def __init__(self, hooks=None, **more):
        self.hooks = hooks or {}
        self.messages = {11 + n: m for n, m in enumerate(MESSAGES[:3])}
        super().__init__(**more)

    def serve(self, lines):
        commands = []
        self.sessions.append(commands)
        lines.send(b"* PREAUTH [CAPABILITY IMAP4rev1 UIDPLUS] hello\r\n")
        while True:
            tag, _, rest = lines.line().partition(b" ")
            commands.append(rest.decode("latin-1"))
            hook = next((h for words, h in self.hooks.items() if rest.startswith(words)), None)
            if hook is False:
                return
            said = hook(self, rest) if callable(hook) else hook
            said = self.usual(rest) if said is None else said
            last = said.rsplit(b"\r\n", 2)[-2] if said.count(b"\r\n") else b""
            lines.send(said)
            if not last.startswith((b"NO ", b"BAD ")):
                lines.send(tag + b" OK done\r\n")
            if rest.startswith(b"LOGOUT"):
                return

    def usual(self, rest):
        if rest.startswith((b"SELECT", b"EXAMINE")):
            return b"* %d EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n" % len(self.messages)
        if rest.startswith(b"UID FETCH 1:*"):
            return b"".join(b"* %d FETCH (UID %d RFC822.SIZE %d)\r\n" % (n, uid, len(m))
                            for n, (uid, m) in enumerate(self.messages.items(), 1))
        if rest.startswith(b"UID FETCH"):
            uid = int(rest.split()[2])
            return body(uid - 10, uid, self.messages[uid])
        return b""


def body(number, uid, data):
    return b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (number, uid, len(data), data)


def account(home, fake, **more):
    home.account(imap=f"127.0.0.1 {fake.port} none", **more)


def test_the_fake_one_is_good(home):
    with FakeImap() as fake:
        account(home, fake)
        assert home.json("fetch")["fetched"] == 3
        assert bodies(home) == sorted(local(m) for m in MESSAGES[:3])


def test_listed_in_any_order_and_twice(home):
    def upside_down(fake, _):
        rows = fake.usual(b"UID FETCH 1:*").split(b"\r\n")[:-1]
        return b"\r\n".join([*reversed(rows), rows[1], b""])

    with FakeImap({b"UID FETCH 1:*": upside_down}) as fake:
        account(home, fake)
        result = home.json("fetch")
        assert (result["listed"], result["fetched"]) == (3, 3)


@pytest.mark.parametrize("name,lie", [
    ("another message", lambda fake, rest: body(2, 12, MESSAGES[1])),
    ("a message twice", lambda fake, rest: body(1, 11, MESSAGES[0]) * 2),
    ("no uid", lambda fake, rest: b"* 1 FETCH (BODY[] {3}\r\nabc)\r\n"),
    ("half, then gone", False),
])
def test_a_wrong_answer_is_no_message(home, name, lie):
    with FakeImap({b"UID FETCH 11 BODY": lie}) as fake:
        account(home, fake, after_fetch="delete")
        done = home.barid("fetch")
        assert done.returncode != 0, name
        assert local(MESSAGES[0]) not in home.mail().values() or name == "a message twice"
        assert not any("\\Deleted" in c for s in fake.sessions for c in s), name
        fake.hooks = {}
        assert home.json("fetch")["fetched"] >= 1
        assert bodies(home) == sorted(local(m) for m in MESSAGES[:3])


def test_a_message_that_is_gone_or_refused(home):
    with FakeImap({b"UID FETCH 12 BODY": b"* 1 FETCH (FLAGS (\\Seen))\r\n"}) as fake:
        account(home, fake, after_fetch="delete")
        result = home.json("fetch", code=75)
        assert (result["fetched"], result["missing"], result["deleted"]) == (2, 1, 2)
        stores = [c for s in fake.sessions for c in s if "\\Deleted" in c]
        assert stores == ["UID STORE 11:11,13:13 +FLAGS.SILENT (\\Deleted)"]


def test_no_uidvalidity(home):
    with FakeImap({b"EXAMINE": b"* 3 EXISTS\r\n"}) as fake:
        account(home, fake)
        done = home.barid("fetch")
        assert done.returncode == 69, done
        assert home.mail() == {}


def test_a_short_body_in_quotes(home):
    with FakeImap({b"UID FETCH 11 BODY": b'* 1 FETCH (UID 11 BODY[] "short: yes")\r\n'}) as fake:
        account(home, fake)
        assert home.json("fetch")["fetched"] == 3
        assert any(m.startswith(b"short: yes") for m in home.mail().values())


class Endless(FakeImap):
    def serve(self, lines):
        self.line = lines
        super().serve(lines)

    def rows(self, _):
        for first in range(1, 1100000, 10000):
            self.line.send(b"".join(b"* %d FETCH (UID %d RFC822.SIZE 1)\r\n" % (n, n) for n in range(first, first + 10000)))
        return b""


def test_endless(home):
    with Endless() as fake:
        fake.hooks = {b"UID FETCH 1:*": lambda _, rest: fake.rows(rest)}
        account(home, fake)
        done = home.barid("fetch")
        assert done.returncode == 76 and len(home.mail()) == 0


def test_a_list_that_is_too_short(home):
    """Three are there, two are listed: what came is here, the third is told of, and comes when it is listed."""
    hidden = [True]
    with FakeImap() as fake:
        def short(_, rest):
            whole = fake.usual(rest)
            return whole.partition(b"* 3 ")[0] if hidden[0] else whole
        fake.hooks = {b"UID FETCH 1:*": short}
        account(home, fake)
        done = home.barid("fetch")
        assert done.returncode == 75 and len(home.mail()) == 2 and "not given: 1" in done.stdout + done.stderr, done
        hidden[0] = False
        assert home.barid("fetch").returncode == 0 and len(home.mail()) == 3


def test_one_is_removed_while_they_are_listed(home):
    with FakeImap() as fake:
        fake.hooks = {b"UID FETCH 1:*": lambda f, rest: f.usual(rest).partition(b"* 3 ")[0] + b"* 3 EXPUNGE\r\n"}
        account(home, fake)
        assert home.barid("fetch").returncode == 0 and len(home.mail()) == 2


def test_memory_with_a_large_message(home, box):
    box.fill([b"Subject: big\r\n\r\n" + (b"y" * 74 + b"\r\n") * 500000])
    box.account(home)
    code, most = client.memory_kib(home, "fetch")
    assert code == 0 and len(home.mail()) == 1
    _, nothing_new = client.memory_kib(home, "fetch")
    if not client.asan():
        assert most - nothing_new < 2 << 10, (nothing_new, most)


def test_a_header_without_end_keeps_nobody_away(home, box):
    """Anybody can send one."""
    big = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 900) for n in range(3000)) + b"Subject: big\r\n\r\nbody\r\n"
    box.fill([big, MESSAGES[0]])
    box.account(home, message_size_max="1M", skip_header='Subject "[ads]"')
    result = home.json("fetch")
    assert (result["fetched"], result["notes"]) == (1, 1)
    assert home.json("fetch", "--large")["fetched"] == 1
