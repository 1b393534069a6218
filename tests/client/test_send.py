"""barid send and barid queue: what goes out, what waits, and that nothing is lost, sent twice without need, or said to the wrong server."""
import base64
import email
import email.header
import email.policy
import os
import re
import subprocess
import time

import pytest

import client
import server as lib
from client import FakeSmtp, Line, no_secret

MAIL = (b"From: Salma <salma@barid.test>\nTo: omar@x.test, \"A, B\" <b@x.test>\nCc: c@x.test\nBcc: hidden@x.test,\n secret@x.test\n"
        b"Subject: hello\n\nline one\n.dot\n..\n.\nlast\n")


def plain(port):
    return f"127.0.0.1 {port} none"


def queue(home, code=0):
    return home.json("queue", code=code)


def addresses(to):
    return [re.search(r"<(.*)>", t).group(1) for t in to]


# ---- as sendmail ----

@pytest.mark.parametrize("ehlo", [("PIPELINING", "AUTH PLAIN"), ("AUTH PLAIN",), ("PIPELINING", "CHUNKING", "AUTH PLAIN")])
def test_recipients_of_the_header(home, ehlo):
    with FakeSmtp(ehlo=ehlo) as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-t", "-i", stdin=MAIL)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        (sender, to, data), = smtp.taken
        assert sender.startswith("FROM:<salma@barid.test>")
        assert addresses(to) == ["omar@x.test", "b@x.test", "c@x.test", "hidden@x.test", "secret@x.test"]
        assert b"Bcc" not in data and b"hidden" not in data and b"secret" not in data
        header, body = data.split(b"\r\n\r\n", 1)
        assert body == b"line one\r\n.dot\r\n..\r\n.\r\nlast\r\n"
        assert re.search(rb"^Message-ID: <[^<> ]+@barid\.test>\r$", header, re.M)
        assert re.search(rb"^Date: .* \+0000\r$", header, re.M)
        assert header.count(b"From:") == 1
        assert queue(home) == [] and os.listdir(os.path.join(home.state, "a", "queue")) == ["lock"]


def test_words_of_sendmail(home):
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port), real_name='"سلمى"')
        done = home.barid("send", "-oi", "-oem", "-f", "other@barid.test", "-F", "Some One", "--", "a@x.test", "B <b@x.test>,c@x.test",
                          stdin=b"Subject: x\n\nbody\n")
        assert done.returncode == 0, done.stderr
        assert home.barid("send", "-f<>", "a@x.test", stdin=b"no header here\nfirst\n.\nafter the end\n").returncode == 0
        assert home.barid("send", "-i", "a@x.test", stdin=b"").returncode == 0
    (one, to, data), (null, _, dotted), (_, _, empty) = smtp.taken
    assert one.startswith("FROM:<other@barid.test>") and addresses(to) == ["a@x.test", "b@x.test", "c@x.test"]
    assert b"From: Some One <salma@barid.test>\r\n" in data
    assert null.startswith("FROM:<>") and dotted.endswith(b"\r\n\r\nno header here\r\nfirst\r\n")
    assert "From: =?UTF-8?B?2LPZhNmF2Yk=?= <salma@barid.test>\r\n".encode() in dotted
    assert empty.endswith(b"\r\n\r\n")


def test_a_long_name_in_the_from_that_was_missing(home):
    name = "سلمى بنت عبد الرحمن بن علي الخوارزمي"
    with FakeSmtp(ehlo=("AUTH PLAIN",)) as smtp:
        home.account(smtp=plain(smtp.port), real_name=f'"{name}"')
        assert home.barid("send", "-i", "a@x.test", stdin=b"Subject: x\n\nbody\n").returncode == 0
    data = smtp.taken[0][2]
    assert not re.search(rb"[^\r]\n|\r[^\n]", data), data
    written = email.message_from_bytes(data)["From"]
    assert str(email.header.make_header(email.header.decode_header(written))) == f"{name} <salma@barid.test>"


@pytest.mark.parametrize("text,body", [
    (b"Subject: a\r\n\r\nx\r\ny\r\n", b"x\r\ny\r\n"),
    (b"Subject: a\n\nx\ry\r\rz\n\r\n", b"x\r\ny\r\n\r\nz\r\n\r\n"),
    (b"Subject: a\n\n.\n.\r\n.\r", b".\r\n.\r\n.\r\n"),
    (b"Subject: a\n\nno end", b"no end\r\n"),
    (b"Subject: a\n\n" + b"y" * 300000 + b"\n\r", b"y" * 300000 + b"\r\n\r\n"),
    (b"Subject: a\n\nx\n\r\n.\r\n", b"x\r\n\r\n.\r\n"),
])
def test_line_ends(home, text, body):
    """Whatever a program writes, lines end with CRLF and the message ends where it ends."""
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        assert home.barid("send", "-i", "a@x.test", stdin=text).returncode == 0
        data = smtp.taken[0][2]
        assert data.split(b"\r\n\r\n", 1)[1] == body
        assert not re.search(rb"[^\r]\n|\r[^\n]", data)


def test_messages_that_cannot_be_sent(home):
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        for args, text, code in ((["-t"], b"Subject: nobody\n\nx\n", 64), (["-i"], b"Subject: nobody\n\nx\n", 64),
                                 (["-i", "a@x.test"], b"Subject: x\n\na\0b\n", 65), (["-i", "nobody"], b"x\n", 65),
                                 (["-i", "a@x.test\r\nDATA"], b"x\n", 65), (["-i", "<a@b>c@d e"], b"x\n", 65),
                                 (["-t"], b"To: <a b@@c>\n\nx\n", 65), (["-f", "a b", "c@x.test"], b"x\n", 64),
                                 (["-i", "a@x.test"], b"X: " + b"y" * (2 << 20) + b"\n\nx\n", 65),
                                 (["-N", "sometimes", "a@x.test"], b"x\n", 64), (["--nothing"], b"", 64), (["--to"], b"", 64),
                                 (["--attach", "/no/such/file", "--to", "a@x.test"], b"", 66)):
            done = home.barid("send", *args, stdin=text)
            assert done.returncode == code, (args, done.returncode, done.stderr)
            assert done.stderr.startswith("barid: "), args
        assert smtp.taken == [] and queue(home) == []
    left = os.listdir(os.path.join(home.state, "a", "queue"))
    assert not [n for n in left if n != "lock"], left


# ---- a message of parts ----

def test_composed(home):
    data = os.urandom(100000)
    home.file("تقرير نهائي \"1\".pdf", data)
    home.file("plain.txt", b"attached\n")
    text = "مرحبًا,\n\n" + "a long line of text " * 20 + "\nFrom here on\n.\ntrailing \n=3D\n"
    home.file("text", text)
    with FakeSmtp(ehlo=("AUTH PLAIN",)) as smtp:  # neither 8BITMIME nor SMTPUTF8: all of it is ASCII
        home.account(smtp=plain(smtp.port), real_name='"سلمى علي"')
        done = home.barid("send", "--to", "عمر <omar@x.test>, \"B, C\" <b@x.test>", "--cc", "c@بريد.إختبار", "--bcc", "d@x.test",
                          "--subject", "تقرير " * 30, "--text", os.path.join(home.folder, "text"),
                          "--attach", os.path.join(home.folder, "تقرير نهائي \"1\".pdf"), "--attach", os.path.join(home.folder, "plain.txt"))
        assert (done.returncode, done.stdout) == (0, "Sent to 4.\n"), done.stderr
    _, to, raw = smtp.taken[0]
    assert addresses(to) == ["omar@x.test", "b@x.test", "c@xn--ngbof4h.xn--kgbechtv", "d@x.test"]
    raw.decode("ascii")
    assert max(len(line) for line in raw.split(b"\r\n")) < 200
    m = email.message_from_bytes(raw, policy=email.policy.default)
    assert m["Subject"] == ("تقرير " * 30).rstrip() or str(m["Subject"]) == "تقرير " * 30
    assert m["From"].addresses[0].display_name == "سلمى علي"
    assert [a.display_name for a in m["To"].addresses] == ["عمر", "B, C"]
    assert m["Bcc"] is None and m["Message-ID"]
    body, first, second = list(m.iter_parts())
    assert body.get_content().replace("\r\n", "\n") == text
    assert first.get_filename() == "تقرير نهائي \"1\".pdf" and first.get_content() == data
    assert first.get_content_type() == "application/pdf"
    assert second.get_filename() == "plain.txt" and second.get_content_disposition() == "attachment"


def test_what_attached_text_is_said_to_be(home):
    """Text without a charset is ASCII to who reads it (RFC 2046 §4.1.2). What no charset is known of is no text; the bytes are what they were in any case."""
    files = {"plain.txt": (b"attached\n", "text/plain", "us-ascii"), "empty.csv": (b"", "text/csv", "us-ascii"),
             "رسالة.txt": ("ملاحظات\r\nسطر".encode(), "text/plain", "utf-8"), "long.html": (b"a" + "م".encode() * 40000, "text/html", "utf-8"),
             "old.txt": ("ملاحظات".encode("cp1256"), "application/octet-stream", None),
             "cut.ics": ("موعد".encode()[:-1], "application/octet-stream", None), "bytes.pdf": ("م".encode(), "application/pdf", None)}
    for name, (data, _, _) in files.items():
        home.file(name, data)
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        paths = [word for name in files for word in ("--attach", os.path.join(home.folder, name))]
        assert home.barid("send", "--to", "a@x.test", *paths).returncode == 0
    m = email.message_from_bytes(smtp.taken[0][2], policy=email.policy.default)
    got = {p.get_filename(): (p.get_payload(decode=True), p.get_content_type(), p.get_content_charset()) for p in m.iter_parts()}
    assert got == files


def test_more_recipients_than_one_message_may_have(home):
    """Nobody is left out without a word; the same address twice is one recipient, wherever it stands."""
    many = [f"a{n}@x.test" for n in range(1001)]
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        for args, text in ((["--to", ",".join(many)], b"x\n"), (["-t"], f"To: {', '.join(many)}\n\nx\n".encode()),
                           (["--to", ",".join(many[:600]), "--cc", ",".join(many[600:])], b"x\n"),
                           (["-t"], f"To: {', '.join([many[0]] * 600 + many)}\n\nx\n".encode())):
            done = home.barid("send", *args, stdin=text)
            assert done.returncode == 65 and "1000 recipients" in done.stderr, (args[0], done)
        assert smtp.taken == [] and queue(home) == []
        for args, text in ((["--to", ",".join([many[0]] * 600 + many[:1000])], b"x\n"),
                           (["-t"], f"To: g:{', '.join([many[0]] * 600 + many[:1000])};\n\nx\n".encode())):
            assert home.barid("send", *args, stdin=text).returncode == 0
            assert sorted(addresses(smtp.taken.pop()[1])) == sorted(many[:1000])


def test_composed_from_standard_input(home):
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        assert home.json("send", "--to", "a@x.test", "--subject", "s", stdin=b"plain\n")["state"] == "sent"
        assert home.barid("send", "--to", "a@x.test", stdin=b"\xff\xfe").returncode == 65
        assert home.barid("send", "--to", "a@x.test", "--subject", "a\nBcc: b@x.test", stdin=b"x").returncode == 65
        assert home.barid("send", "--to", "no address", stdin=b"x").returncode == 65
    assert len(smtp.taken) == 1
    assert smtp.taken[0][2].endswith(b"Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nplain\r\n")


# ---- the real server ----

def test_with_the_real_server(home, barid):
    salma, omar = barid.user("salma"), barid.user("omar")
    home.file("secret", salma.password)
    text = f"From: {salma.address}\nTo: {omar.address}\nSubject: real\n\n.dots\nسطر\n".encode()
    for server in (f"localhost {barid.port('submissions')} tls", f"localhost {barid.port('submission')} starttls"):
        home.account(address=salma.address, smtp=server, ca_file=barid.ca)
        done = home.barid("send", "-t", "-i", stdin=text)
        assert done.returncode == 0, done.stderr
    bodies = list(barid.bodies(omar).values())
    assert len(bodies) == 2 and all(b.endswith("\r\n\r\n.dots\r\nسطر\r\n".encode()) for b in bodies)
    assert len(barid.bodies(salma, "Sent")) == 2
    assert queue(home) == []
    with open(os.path.join(home.state, "a", "logins"), encoding="ascii") as f:
        assert f.read().count("SCRAM-SHA-256-PLUS") == 2
    home.file("secret", "wrong")
    done = home.barid("send", "-t", "-i", stdin=text)
    assert done.returncode == 77 and "barid send --flush" in done.stderr
    entry, = queue(home)
    home.file("secret", salma.password)
    assert home.barid("send", "--flush").returncode == 0
    assert len(barid.bodies(omar)) == 3 and queue(home) == []
    refused = home.barid("send", "-i", "nobody-here@" + lib.DOMAIN, stdin=b"x\n")
    assert refused.returncode == 69 and "nobody-here" in refused.stderr
    assert len(queue(home)) == 1 and entry["recipients"][0]["state"] == "waits"


# ---- what waits ----

def test_without_a_network(home):
    port = lib.free_port()
    home.account(smtp=plain(port))
    done = home.barid("send", "-t", "-i", stdin=MAIL)
    assert done.returncode == 0 and "try again when the network" in done.stderr.lower()
    entry, = queue(home)
    assert [r["state"] for r in entry["recipients"]] == ["waits"] * 5 and entry["attempts"] == 0
    text = home.barid("queue").stdout
    assert entry["id"] in text and "hello" in text and "omar@x.test waits until" in text
    assert "ينتظر" in home.barid("queue", "--lang", "ar").stdout
    assert home.barid("send", "--flush").returncode == 75
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        assert home.barid("send", "--flush").returncode == 0
        assert len(smtp.taken) == 1
        assert entry["message_id"].encode() in smtp.taken[0][2]
        assert home.barid("send", "--flush").returncode == 0
        assert len(smtp.taken) == 1
    assert home.barid("queue").stdout == "Nothing waits to be sent.\n"


def test_the_same_message_again_is_there_once(home):
    home.account(smtp=plain(lib.free_port()))
    text = b"Message-ID: <one@x.test>\nTo: a@x.test\n\nx\n"
    assert home.json("send", "-t", stdin=text)["id"] == home.json("send", "-t", stdin=text)["id"]
    home.json("send", "-t", stdin=text.replace(b"a@x", b"b@x"))
    assert len(queue(home)) == 2


def test_later(home):
    home.account(smtp=plain(1))
    one = home.json("send", "--later", "-t", stdin=MAIL)
    assert one["state"] == "waits" and queue(home)[0]["id"] == one["id"]
    assert home.barid("queue", "remove", one["id"]).returncode == 0
    assert queue(home) == []
    assert home.barid("queue", "remove", one["id"]).returncode == 65
    assert home.barid("queue", "remove", "../../x").returncode == 65
    assert home.barid("queue", "remove").returncode == 64


def test_deferred_and_tried_again_with_a_pause(home):
    with FakeSmtp(hooks={"RCPT": [b"451 4.7.1 greylisted\r\n"] * 2}) as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "a@x.test", stdin=b"x\n")
        assert done.returncode == 0 and "greylisted" in done.stderr
        first, = queue(home)
        assert 290 <= first["next"] - first["created"] <= 310
        assert home.barid("send", "--flush").returncode == 0  # not due: no connection
        assert len(smtp.sessions) == 1
        assert home.barid("queue", "retry", first["id"]).returncode == 75
        assert home.barid("queue", "retry", first["id"]).returncode == 0
        assert len(smtp.taken) == 1 and queue(home) == []


def test_the_pause_grows_and_ends(home):
    with FakeSmtp(hooks={"MAIL": lambda lines, rest: b"452 4.3.1 full\r\n"}) as smtp:
        home.account(smtp=plain(smtp.port))
        one = home.json("send", "-i", "a@x.test", stdin=b"x\n")
        path = os.path.join(home.state, "a", "queue", one["id"] + ".rec")
        pauses = []
        for _ in range(8):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            with open(path, "w", encoding="utf-8") as f:
                f.write(re.sub(r"(?m)^next .*", "next 0", text))
            before = time.time()
            done = home.barid("send", "--flush")
            assert done.returncode == 75, (done, smtp.sessions, smtp.port, smtp.taken)
            pauses.append(round((queue(home)[0]["next"] - before) / 100))
        assert pauses == [6, 12, 24, 48, 96, 144, 144, 144]
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(re.sub(r"(?m)^created .*", f"created {int(time.time()) - 6 * 86400}", re.sub(r"(?m)^next .*", "next 0", text)))
        assert home.barid("send", "--flush").returncode == 69
        assert queue(home)[0]["recipients"][0]["state"] == "refused"
        assert "5 days" in home.barid("queue").stdout and "full" in home.barid("queue").stdout


def test_a_clock_that_was_wrong(home):
    """What waits for a time that is further away than any pause is due; and what is old is tried again all the same before it is given up."""
    with FakeSmtp(hooks={"MAIL": lambda lines, rest: b"452 4.3.1 full\r\n"}) as smtp:
        home.account(smtp=plain(smtp.port))
        one = home.json("send", "--later", "-i", "a@x.test", stdin=b"x\n")
        path = os.path.join(home.state, "a", "queue", one["id"] + ".rec")

        def change(**lines):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            for name, value in lines.items():
                text = re.sub(rf"(?m)^{name} .*", f"{name} {value}", text)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)

        change(created=0, next=0)  # a machine that had no time yet, or no network for a week
        assert home.barid("send", "--flush").returncode == 75
        year = int(time.time()) + 366 * 86400
        change(created=year, next=year + 3600)
        assert home.barid("send", "--flush").returncode == 75 and len(smtp.sessions) == 2
        assert queue(home)[0]["next"] < time.time() + 7200
        assert home.barid("send", "--flush").returncode == 0 and len(smtp.sessions) == 2  # not due
        change(created=year, next=0, attempts=39)
        assert home.barid("send", "--flush").returncode == 69


def test_refused_for_some(home):
    def rcpt(lines, rest):
        if b"bad@" in rest:
            return b"550 5.1.1 no such user \x1b[31m\r\n"
        return b"450 4.2.1 busy\r\n" if b"slow@" in rest else None

    with FakeSmtp(hooks={"RCPT": rcpt}) as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "good@x.test", "bad@x.test", "slow@x.test", stdin=b"x\n")
        assert done.returncode == 69 and "bad@x.test was refused: 550" in done.stderr and "\x1b" not in done.stderr
        entry, = queue(home)
        assert {r["address"]: r["state"] for r in entry["recipients"]} == {
            "good@x.test": "sent", "bad@x.test": "refused", "slow@x.test": "waits"}
        smtp.hooks = {}
        assert home.barid("queue", "retry", entry["id"]).returncode == 0
        assert [addresses(t[1]) for t in smtp.taken] == [["good@x.test"], ["bad@x.test", "slow@x.test"]]
        assert queue(home) == []


@pytest.mark.parametrize("verb,answer,state", [
    ("MAIL", b"550 5.7.1 no\r\n", "refused"), ("MAIL", b"451 4.3.0 later\r\n", "waits"), ("DATA", b"554 5.5.1 no\r\n", "refused"),
    ("DATA", b"451 later\r\n", "waits"), (".", b"554 5.7.1 spam\r\n", "refused"), (".", b"452 4.3.1 full\r\n", "waits"),
])
def test_refused_at_each_step(home, verb, answer, state):
    with FakeSmtp(hooks={verb: [answer]}) as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "a@x.test", stdin=b"x\n")
        assert done.returncode == (69 if state == "refused" else 0)
        entry, = queue(home)
        assert entry["recipients"][0]["state"] == state and answer[4:10].decode() in entry["recipients"][0]["text"] + "\r\n"
        assert home.barid("queue", "retry", entry["id"]).returncode == 0
        assert len(smtp.taken) == 1


@pytest.mark.parametrize("verb,more", [("RCPT", ()), ("DATA", ()), (".", ("CHUNKING",))])
@pytest.mark.parametrize("answer", [b"451 4.3.0 later\r\n", b"554 5.5.1 no\r\n"])
def test_the_next_message_after_a_refusal(home, verb, more, answer):
    """A server may keep a transaction open that it took no message for (RFC 5321 §4.1.4), and one whose chunk failed (RFC 3030 §2)."""
    opened = []

    def mail(lines, rest):
        if opened:
            return b"503 5.5.1 nested MAIL command\r\n"
        opened.append(rest)
        return None

    def once(lines, rest):
        if len(smtp.refused) == 1:
            opened.clear()
            return None
        smtp.refused.append(rest)
        return answer

    with FakeSmtp(ehlo=("PIPELINING", "AUTH PLAIN", *more), hooks={"MAIL": mail, "RSET": lambda lines, rest: opened.clear(), verb: once}) as smtp:
        smtp.refused = []
        home.account(smtp=plain(smtp.port))
        for _ in range(2):
            home.json("send", "--later", "-i", "a@x.test", stdin=b"x\n")
        home.barid("send", "--flush")
        assert len(smtp.sessions) == 1 and len(smtp.taken) == 1
        entry, = queue(home)
        assert entry["recipients"][0]["code"] == int(answer[:3])


def test_an_answer_of_several_lines(home):
    """The reason often stands in the first of them, and the code in each."""
    answer = (b"550-5.1.1 The account that you tried to reach does not exist.\r\n550-5.1.1 Look for typing errors\r\n550-\r\n"
              b"550 5.1.1 https://x.test/help\r\n")
    text = "5.1.1 The account that you tried to reach does not exist. Look for typing errors https://x.test/help"
    with FakeSmtp(hooks={"RCPT": [answer, b"550-" + b"y" * 200 + b"\r\n550-" + b"z" * 200 + b"\r\n550 x\r\n"]}) as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "a@x.test", "b@x.test", stdin="Subject: {}\n\nx\n".format("رسالة " * 30 + "x" + "م" * 100).encode())
        assert text in done.stderr
        entry, = queue(home)
        assert entry["recipients"][0]["text"] == text
        assert entry["recipients"][1]["text"] == "y" * 200 + " " + "z" * 99
        assert ("رسالة " * 30 + "x" + "م" * 100).startswith(entry["subject"]) and len(entry["subject"]) > 105


def test_an_answer_that_is_lost(home):
    """The server has it and does not say so: it gets it once more, and no more by itself."""
    with FakeSmtp(hooks={".": [False]}) as smtp:
        home.account(smtp=plain(smtp.port))
        assert home.barid("send", "-i", "a@x.test", stdin=b"x\n").returncode == 0
        entry, = queue(home)
        assert home.barid("queue", "retry", entry["id"]).returncode == 0
        assert len(smtp.taken) == 2 and smtp.taken[0][2] == smtp.taken[1][2]
        assert queue(home) == []
    with FakeSmtp(hooks={".": [False] * 5}) as smtp:
        home.account(smtp=plain(smtp.port))
        one = home.json("send", "-i", "a@x.test", stdin=b"x\n")
        path = os.path.join(home.state, "a", "queue", one["id"] + ".rec")
        for _ in range(3):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            with open(path, "w", encoding="utf-8") as f:
                f.write(re.sub(r"(?m)^next .*", "next 0", text))
            home.barid("send", "--flush")
        assert len(smtp.taken) == 2
        assert queue(home)[0]["recipients"][0]["state"] == "refused"
        assert "lost twice" in home.barid("queue").stdout


def test_one_bad_message_does_not_hold_up_the_others(home):
    with FakeSmtp(hooks={".": lambda lines, data: False if b"Subject: bad" in data else None}) as smtp:
        home.account(smtp=plain(smtp.port))
        for subject in (b"bad", b"one", b"two"):
            home.json("send", "--later", "-i", "a@x.test", stdin=b"Subject: " + subject + b"\n\nx\n")
        home.barid("send", "--flush")
        assert home.barid("send", "--flush").returncode == 0
        subjects = [re.search(rb"Subject: (\w+)", t[2]).group(1) for t in smtp.taken]
        assert sorted(subjects) == [b"bad", b"one", b"two"]
    path = os.path.join(home.state, "a", "queue")
    name, = [n for n in os.listdir(path) if n.endswith(".rec")]
    home.file(os.path.join("state", "barid", "a", "queue", name), b"nonsense\n")
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "a@x.test", stdin=b"x\n")
        assert done.returncode == 0 and len(smtp.taken) == 1
        assert home.barid("queue").returncode == 70


@pytest.mark.parametrize("end,damage", [(".msg", os.unlink), (".msg", lambda path: os.truncate(path, 20)), (".rec", lambda path: os.truncate(path, 20)),
                                        (".rec", lambda path: (os.unlink(path), os.symlink("elsewhere", path)))],
                         ids=["gone", "cut", "damaged", "unreadable"])
def test_files_of_the_queue_that_cannot_be_read(barid, home, end, damage):
    """One such message is told each time, holds up neither the others nor their copies, and can be removed."""
    user = barid.user()
    with FakeSmtp() as smtp:
        home.account(address=user.address, smtp=plain(smtp.port), imap=f"127.0.0.1 {barid.port('imap')} none")
        ids = [home.json("send", "--later", "-i", "a@x.test", stdin=b"Subject: %d\n\nx\n" % n)["id"] for n in range(3)]
        first = sorted(ids)[0]
        damage(os.path.join(home.state, "a", "queue", first + end))
        for _ in range(2):
            done = home.barid("send", "--flush")
            assert done.returncode == 70 and first + end in done.stderr, done
            assert len(smtp.taken) == 2 and len(in_sent(barid, user)) == 2
        assert not any("DATA" in s and not smtp.taken for s in smtp.sessions)
        if end == ".rec":
            done = home.barid("queue")
            assert done.returncode == 70 and first + end in done.stderr and f"barid queue remove {first}" in done.stderr
            more = b"Message-ID: <more@x.test>\n\nx\n"
            home.json("send", "--later", "-i", "a@x.test", stdin=more)
            done = home.barid("log", "<more@x.test>", "a")
            assert done.returncode == 70 and "a@x.test" in done.stdout, done
        assert home.barid("queue", "remove", first).returncode == 0
        assert home.barid("send", "--flush").returncode == 0
        assert [n for n in os.listdir(os.path.join(home.state, "a", "queue")) if n.startswith(first)] == []


# ---- what servers can and cannot ----

def test_size(home):
    with FakeSmtp(ehlo=("SIZE 1000", "AUTH PLAIN")) as smtp:
        home.account(smtp=plain(smtp.port))
        assert home.barid("send", "-i", "a@x.test", stdin=b"x\n").returncode == 0
        assert re.search(r" SIZE=\d+$", smtp.taken[0][0])
        done = home.barid("send", "-i", "a@x.test", stdin=b"y" * 70 + b"\n" + b"x\n" * 1000)
        assert done.returncode == 69 and "1000" in done.stderr
        assert not any(c.startswith("MAIL") for c in smtp.sessions[1])


def test_8bit_and_utf8(home):
    eight = "Subject: x\n\nمرحبا\n".encode()
    with FakeSmtp(ehlo=("8BITMIME", "AUTH PLAIN")) as smtp:
        home.account(smtp=plain(smtp.port))
        assert home.barid("send", "-i", "a@x.test", stdin=eight).returncode == 0
        assert smtp.taken[0][0].endswith(" BODY=8BITMIME")
        done = home.barid("send", "-i", "سلمى@بريد.إختبار", stdin=b"x\n")
        assert done.returncode == 69 and "سلمى@بريد.إختبار" in done.stderr
        assert home.barid("send", "-i", "salma@بريد.إختبار", stdin=b"x\n").returncode == 0  # a domain has an ASCII form
        assert addresses(smtp.taken[1][1]) == ["salma@xn--ngbof4h.xn--kgbechtv"]
        done = home.barid("send", "-i", "a@x.test", stdin="Subject: مرحبا\n\nx\n".encode())
        assert done.returncode == 69 and "RFC 2047" in done.stderr
    with FakeSmtp(ehlo=("AUTH PLAIN",)) as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "a@x.test", stdin=eight)
        assert done.returncode == 69 and "quoted-printable" in done.stderr and smtp.taken == []
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        assert home.barid("send", "-i", "سلمى@بريد.إختبار", stdin=b"x\n").returncode == 0
        assert smtp.taken[0][0].endswith(" SMTPUTF8") and addresses(smtp.taken[0][1]) == ["سلمى@بريد.إختبار"]


def test_reports(home):
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "-N", "success,delay", "-R", "hdrs", "-V", "id+1 x", "a@x.test", stdin=b"x\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert smtp.taken[0][0].endswith(" RET=HDRS ENVID=id+2B1+20x") and smtp.taken[0][1][0].endswith(" NOTIFY=SUCCESS,DELAY")
    with FakeSmtp(ehlo=("AUTH PLAIN",)) as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "-N", "never", "a@x.test", stdin=b"x\n")
        assert done.returncode == 0 and "cannot report" in done.stderr and "NOTIFY" not in smtp.taken[0][1][0]


def test_the_copy_for_sent(home):
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port), imap="127.0.0.1 1 none")
        assert home.barid("send", "-i", "a@x.test", stdin=b"x\n").returncode == 0
        entry, = queue(home)
        assert entry["copy"] == "due" and entry["recipients"][0]["state"] == "sent"
        assert "barid send --flush" in home.barid("queue").stdout
        home.account(smtp=plain(smtp.port), imap="127.0.0.1 1 none", sent_copy="server")
        assert home.barid("send", "-i", "a@x.test", stdin=b"x\n").returncode == 0
        assert len(queue(home)) == 1


def test_the_copy_of_what_was_refused_at_first(barid, home):
    user = barid.user()
    with FakeSmtp(hooks={"RCPT": [b"550 5.1.1 no\r\n"]}) as smtp:
        home.account(address=user.address, smtp=plain(smtp.port), imap=f"127.0.0.1 {barid.port('imap')} none")
        one = home.json("send", "-i", "a@x.test", stdin=b"Subject: at last\n\nx\n", code=69)
        assert in_sent(barid, user) == [] and "Sent" not in home.barid("queue").stdout
        assert home.barid("queue", "retry", one["id"]).returncode == 0
        assert in_sent(barid, user) == [smtp.taken[0][2]] and queue(home) == []


def in_sent(barid, user):
    return [m for m in barid.bodies(user, "Sent").values()]


def test_the_copy_is_filed_once(barid, home):
    """By us where the server does not: also when the answer to the APPEND was lost, or the program was run again."""
    user = barid.user()
    with FakeSmtp() as smtp:
        home.account(address=user.address, smtp=plain(smtp.port), imap=f"127.0.0.1 {barid.port('imap')} none")
        done = home.barid("send", "-t", "-i", stdin=MAIL)
        assert done.returncode == 0 and done.stderr == ""
        copy, = in_sent(barid, user)
        assert copy == smtp.taken[0][2] and b"hidden" not in copy
        assert queue(home) == []
        with barid.imap(user) as c:
            c.select("Sent", readonly=True)
            assert b"\\Seen" in c.fetch("1", "(FLAGS)")[1][0]
    with FakeSmtp() as smtp, Line(barid.port("imap"), cut_down=0) as broken:
        home.account(address=user.address, smtp=plain(smtp.port), imap=f"127.0.0.1 {broken.port} none")
        done = home.barid("send", "-i", "a@x.test", stdin=b"Subject: two\n\nx\n")
        assert done.returncode == 0 and "not filed yet" in done.stderr and len(queue(home)) == 1
        home.account(address=user.address, smtp=plain(smtp.port), imap=f"127.0.0.1 {barid.port('imap')} none")
        assert home.barid("send", "--flush").returncode == 0
        assert len(in_sent(barid, user)) == 2 and queue(home) == [] and len(smtp.taken) == 1


def test_a_server_that_files_it_itself(barid, home):
    """Our own server files what is submitted in Sent: found by its Message-ID, not filed again."""
    user = barid.user()
    home.account(address=user.address, smtp=f"127.0.0.1 {barid.port('submission')} none", imap=f"127.0.0.1 {barid.port('imap')} none")
    done = home.barid("send", "-i", user.address, stdin=b"Subject: me\n\nx\n")
    assert done.returncode == 0, done.stderr
    assert len(in_sent(barid, user)) == 1 and queue(home) == []


def test_the_account_that_a_message_belongs_to(home):
    with FakeSmtp() as one, FakeSmtp() as two:
        home.account(smtp=plain(one.port), more=f"account b\n  address b@barid.test\n  password-file {home.secret}\n  smtp {plain(two.port)}\n")
        for args, text in ((["-f", "b@barid.test"], b"x\n"), (["--account", "b"], b"x\n"), ([], b"From: B <B@barid.test>\n\nx\n")):
            assert home.barid("send", "-i", *args, "a@x.test", stdin=text).returncode == 0
        assert home.barid("send", "-i", "a@x.test", stdin=b"From: stranger@x.test\n\nx\n").returncode == 0
        assert home.barid("send", "--account", "c", "a@x.test", stdin=b"x\n").returncode == 64
        assert (len(one.taken), len(two.taken)) == (1, 3)


# ---- broken lines ----

@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize("chunking", [False, True])
def test_cut_anywhere(way, chunking):
    """Never lost; twice only when the server had all of it."""
    text = b"Subject: cut\nMessage-ID: <cut@x.test>\n\n" + b"line\n" * 20
    ehlo = ("PIPELINING", "AUTH PLAIN") + (("CHUNKING",) if chunking else ())
    with client.Home() as home, FakeSmtp(ehlo=ehlo) as smtp, Line(smtp.port) as line:
        home.account(smtp=plain(line.port))
        home.barid("send", "-i", "a@x.test", stdin=text)
        total, wanted = line.bytes[way], smtp.taken[0][2].split(b"\r\n\r\n")[1]
    for cut in range(1, total, client.cut_step(41 if client.asan() else 5)):
        with client.Home() as home, FakeSmtp(ehlo=ehlo) as smtp:
            with Line(smtp.port, **{f"cut_{way}": cut}) as line:
                home.account(smtp=plain(line.port))
                done = home.barid("send", "-i", "a@x.test", stdin=text)
                assert done.returncode == 0, (cut, done.stderr)
            before = len(smtp.taken)
            entries = queue(home)
            assert before <= 1 and (before == 1 or len(entries) == 1), cut
            home.account(smtp=plain(smtp.port))
            for entry in entries:
                assert home.barid("queue", "retry", entry["id"]).returncode == 0, cut
            assert queue(home) == []
            assert 1 <= len(smtp.taken) <= before + 1, cut
            assert all(t[2].split(b"\r\n\r\n")[1] == wanted for t in smtp.taken), cut


def test_killed_anywhere(shim):
    """Before, in the middle of and after every call that reaches the disk: what was taken into the queue is sent, at most once too often, and what is not
    accepted leaves nothing behind that is sent."""
    text = b"Subject: kill\nMessage-ID: <kill@x.test>\n\nx\n"
    with client.Home() as home, FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        assert home.barid("send", "-i", "a@x.test", stdin=text, env=shim.arm(home)).returncode == 0
        counts = shim.counts()
    assert counts["sync"] >= 4
    for call in ("write", "sync", "open", "rename", "unlink"):
        for n in range(1, counts[call] + 1):
            for kind in (client.KILL, client.KILL_AFTER):
                with client.Home() as home, FakeSmtp() as smtp:
                    home.account(smtp=plain(smtp.port))
                    done = home.barid("send", "-i", "a@x.test", stdin=text, env=shim.arm(home, call, kind, n=n))
                    assert done.returncode < 0 or not shim.hits(), (call, n)
                    before = len(smtp.taken)
                    queued = len(queue(home))
                    assert home.barid("send", "--flush").returncode == 0, (call, n)
                    assert len(smtp.taken) == before + queued <= 2, (call, n, kind)
                    assert queue(home) == [], (call, n)
                    if before + queued == 0:  # never accepted: the caller sends it again
                        assert home.barid("send", "-i", "a@x.test", stdin=text).returncode == 0
                        assert len(smtp.taken) == 1, (call, n)


def test_a_full_disk_is_said(shim, home):
    import errno
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        for call in ("write", "sync"):
            done = home.barid("send", "-i", "a@x.test", stdin=b"x\n", env=shim.arm(home, call, client.ERRNO, errno.ENOSPC, 1, 1))
            assert done.returncode == 74 and "not taken" in done.stderr and smtp.taken == []
        assert queue(home) == []


def test_folders_that_are_made_are_synced(shim, home):
    """Else the first message of all goes with them when the power goes."""
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        counts = []
        for _ in range(2):
            assert home.barid("send", "--later", "-i", "a@x.test", stdin=os.urandom(4).hex().encode(), env=shim.arm(home)).returncode == 0
            counts.append((shim.counts()["mkdir"], shim.counts()["sync"]))
        assert counts[0][1] - counts[1][1] >= 4, counts  # state, barid, a, queue


@pytest.mark.parametrize("call", ["write", "sync", "rename"])
def test_a_disk_that_fails_anywhere(shim, home, call):
    """Not taken means that nothing is in the queue, and the queue works on."""
    import errno
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        for _ in range(2):  # the first makes folders
            home.barid("send", "--later", "-i", "a@x.test", stdin=b"x\n", env=shim.arm(home))
        for n in range(1, shim.counts()[call] + 1):
            done = home.barid("send", "--later", "-i", "a@x.test", stdin=b"y\n", env=shim.arm(home, call, client.ERRNO, errno.EIO, n))
            assert done.returncode == 74 and "not taken" in done.stderr, (n, done)
        assert home.barid("send", "--flush").returncode == 0
        assert len(smtp.taken) == 2 and queue(home) == []


def test_nothing_goes_out_that_cannot_be_recorded(shim, home):
    """With no room for what became of a message it would go out once more with every run."""
    import errno
    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port), imap="127.0.0.1 1 none")
        one = home.json("send", "--later", "-i", "a@x.test", stdin=b"x\n")
        home.account(smtp=plain(smtp.port))
        two = home.json("send", "--later", "-i", "a@x.test", "b@x.test", stdin=b"x\n")
        for _ in range(3):
            for call in ("write", "sync"):
                done = home.barid("send", "--flush", env=shim.arm(home, call, client.ERRNO, errno.ENOSPC, 1, 1))
                assert done.returncode == 74, done
        assert smtp.taken == [] and {e["id"] for e in queue(home)} == {one["id"], two["id"]}
        assert home.barid("send", "--flush").returncode == 0
        assert len(smtp.taken) == 2


def test_a_message_that_takes_its_time(home):
    """`(echo To: a; echo; backup) | barid send -t`: what is on its way in is not swept as a leftover, however long it takes; leftovers are."""
    folder = os.path.join(home.state, "a", "queue")

    def drafts():
        return [os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".draft")] if os.path.isdir(folder) else []

    with FakeSmtp() as smtp:
        home.account(smtp=plain(smtp.port))
        with subprocess.Popen([lib.barid_program(), "send", "-t", "-i"], stdin=subprocess.PIPE, env=home.env) as slow:
            slow.stdin.write(b"To: a@x.test\n\nbegun\n")
            slow.stdin.flush()
            for _ in range(200):
                if drafts():
                    break
                time.sleep(0.05)
            left, = drafts()
            dead = os.path.join(folder, "12345678-12345678.draft")
            home.file(dead, b"x")
            for path in (left, dead):
                os.utime(path, (time.time() - 7200,) * 2)
            assert home.barid("send", "--flush").returncode == 0
            assert drafts() == [left]
            slow.stdin.write(b"done\n")
            slow.stdin.close()
            assert slow.wait(60) == 0
        assert smtp.taken[0][2].endswith(b"\r\n\r\nbegun\r\ndone\r\n") and queue(home) == []


def test_two_at_once(home):
    def slow(lines, rest):
        time.sleep(0.3)

    with FakeSmtp(hooks={"MAIL": slow}) as smtp:
        home.account(smtp=plain(smtp.port))
        runs = [subprocess.Popen([lib.barid_program(), "send", "-i", f"a{n}@x.test"], env=home.env, stdin=subprocess.PIPE) for n in range(4)]
        for run in runs:
            run.stdin.write(b"x\n")
            run.stdin.close()
        assert [run.wait(60) for run in runs] == [0] * 4
        assert sorted(addresses(t[1])[0] for t in smtp.taken) == [f"a{n}@x.test" for n in range(4)]
        assert queue(home) == []


# ---- servers that lie ----

STARTTLS = ("STARTTLS", "AUTH PLAIN")


def with_rest(lines, rest):
    lines.send(b"220 go\r\n250-fake\r\n250 AUTH PLAIN\r\n")
    lines.line()
    return False


@pytest.mark.parametrize("name,ehlo,hooks,greeting", [
    ("not offered", ("AUTH PLAIN",), {}, b"220 x\r\n"),
    ("refused", STARTTLS, {"STARTTLS": b"454 no\r\n"}, b"220 x\r\n"),
    ("success of another kind", STARTTLS, {"STARTTLS": b"250 fine\r\n"}, b"220 x\r\n"),
    ("garbage", STARTTLS, {"STARTTLS": b"\x15\x03\x01\x00\x02\x02\x0a\r\n"}, b"220 x\r\n"),
    ("injected", STARTTLS, {"STARTTLS": with_rest}, b"220 x\r\n"),
    ("plain after go-ahead", STARTTLS, {"STARTTLS": b"220 go\r\n"}, b"220 x\r\n"),
    ("refused greeting", STARTTLS, {}, b"554 go away\r\n"),
    ("busy", STARTTLS, {}, b"421 later\r\n"),
    ("not SMTP", STARTTLS, {}, b"+OK POP3\r\n"),
    ("EHLO without end", ["X"] * 300, {}, b"220 x\r\n"),
    ("codes that differ", STARTTLS, {"EHLO": b"250-a\r\n550 b\r\n"}, b"220 x\r\n"),
    ("long line", STARTTLS, {"EHLO": b"250 " + b"x" * 100000 + b"\r\n"}, b"220 x\r\n"),
    ("bare LF", STARTTLS, {"EHLO": b"250 STARTTLS\n"}, b"220 x\r\n"),
])
def test_no_password_without_tls(home, cert, name, ehlo, hooks, greeting):
    with FakeSmtp(ehlo=ehlo, hooks=hooks, greeting=greeting, cert=cert) as smtp:
        home.account(smtp=f"localhost {smtp.port} starttls", ca_file=cert[0])
        done = home.barid("send", "-i", "a@x.test", stdin=b"Subject: private words\n\nprivate words\n", timeout=100)
        assert done.returncode in (0, 69, 76), done.stderr
        assert "barid send --flush" in done.stderr
        assert no_secret(smtp.said_in_clear())
        assert not any(w in smtp.said_in_clear() for w in (b"AUTH", b"MAIL", b"private", b"a@x.test"))
        assert len(queue(home)) == 1 and smtp.taken == []
        smtp.ehlo, smtp.hooks, smtp.greeting = STARTTLS, {}, b"220 x\r\n"
        assert home.barid("send", "--flush").returncode == 0
        assert len(smtp.taken) == 1 and b"private" not in smtp.said_in_clear()


def test_extensions_before_tls_are_forgotten(home, cert):
    def ehlo(lines, rest):
        return None if lines.tls else b"250-STARTTLS\r\n250-SIZE 10\r\n250-CHUNKING\r\n250 AUTH PLAIN\r\n"

    with FakeSmtp(hooks={"EHLO": ehlo}, cert=cert) as smtp:
        smtp.hooks["EHLO"] = lambda lines, rest: None if lines.tls else b"250-x\r\n250-STARTTLS\r\n250-SIZE 10\r\n250 CHUNKING\r\n"
        home.account(smtp=f"localhost {smtp.port} starttls", ca_file=cert[0])
        assert home.barid("send", "-i", "a@x.test", stdin=b"x\n").returncode == 0
        assert not any(c.startswith("BDAT") for c in smtp.sessions[0])


@pytest.mark.parametrize("tls", [True, False])
def test_certificate(home, cert, tmp_path, tls):
    other = client.certificate(str(tmp_path), ("DNS:other.test",))
    with FakeSmtp(ehlo=STARTTLS, cert=other, tls=tls) as smtp:
        home.account(smtp=f"localhost {smtp.port} {'tls' if tls else 'starttls'}", ca_file=other[0])
        done = home.barid("send", "-i", "a@x.test", stdin=b"x\n")
        assert done.returncode == 69 and "certificate" in done.stderr and smtp.taken == []


@pytest.mark.parametrize("name,change", [
    ("short", lambda s, m, text: b"r=x" if s == 1 else m),
    ("reflected", lambda s, m, text: text if s == 1 else m),
    ("iterations", lambda s, m, text: m.replace(b"i=4096", b"i=2147483648") if s == 1 else m),
    ("success without proof", lambda s, m, text: None if s == 2 else m),
    ("success at once", lambda s, m, text: None),
    ("wrong proof", lambda s, m, text: b"v=" + base64.b64encode(b"x" * 32) if s == 2 else m),
    ("fair", lambda s, m, text: m),
])
def test_scram(home, name, change):
    def auth(lines, rest):
        player = client.ScramPlayer(client.PASSWORD)
        text = base64.b64decode(rest.split()[1])
        for step, answer in ((1, player.first), (2, player.final)):
            message = change(step, answer(text), text)
            if message is None:
                return b"235 in\r\n"
            lines.send(b"334 " + base64.b64encode(message) + b"\r\n")
            line = lines.line()
            if line == b"*":
                return b"501 aborted\r\n"
            text = base64.b64decode(line)
        return b"235 in\r\n"

    with FakeSmtp(ehlo=("AUTH SCRAM-SHA-256 PLAIN",), hooks={"AUTH": auth}) as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "a@x.test", stdin=b"private\n")
        assert done.returncode == (0 if name == "fair" else 77), done.stderr
        assert no_secret(smtp.said_in_clear())
        assert len(smtp.taken) == (1 if name == "fair" else 0)
        if name == "fair":
            for weaker in ("PLAIN", "LOGIN"):
                smtp.ehlo, smtp.hooks = (f"AUTH {weaker}",), {}
                done = home.barid("send", "-i", "a@x.test", stdin=b"private\n")
                assert done.returncode == 77 and "weaker" in done.stderr and no_secret(smtp.said_in_clear())


class LoginSteps:
    """The server's part of one AUTH LOGIN; `asks` are its challenges. What it was given stands in `given`."""

    def __init__(self, asks=(b"Username:", b"Password:")):
        self.asks, self.given = asks, []

    def __call__(self, lines, rest):
        if rest != b"LOGIN":
            return b"504 5.5.4 what\r\n"
        self.given.clear()
        for ask in self.asks:
            lines.send(b"334 " + base64.b64encode(ask) + b"\r\n")
            line = lines.line()
            self.given.append(line if line == b"*" else base64.b64decode(line))
            if line == b"*":
                return b"501 5.7.0 aborted\r\n"
        ok = self.given == [b"salma@barid.test", client.PASSWORD.encode()]
        return b"235 in\r\n" if ok else b"535 5.7.8 no\r\n"


@pytest.mark.parametrize("asks", [(b"Username:", b"Password:"), (b"User Name\0", b"Password\0"), (b"", b"")])
def test_a_server_that_knows_auth_login_alone(home, cert, asks):
    """As the SMTP of some large providers: the name and the password, each when it is asked for, and only on a protected line."""
    steps = LoginSteps(asks)
    with FakeSmtp(ehlo=("AUTH LOGIN XOAUTH2",), hooks={"AUTH": steps}, cert=cert, tls=True) as smtp:
        home.account(smtp=f"localhost {smtp.port}", ca_file=cert[0])
        for n in range(2):  # the second time with what was remembered
            done = home.barid("send", "-i", "a@x.test", stdin=b"hello\n")
            assert done.returncode == 0 and len(smtp.taken) == n + 1, done
        smtp.ehlo, smtp.hooks = ("AUTH PLAIN LOGIN",), {}
        assert home.barid("send", "-i", "a@x.test", stdin=b"hello\n").returncode == 0, "the same in other words"
    with FakeSmtp(ehlo=("AUTH LOGIN",), hooks={"AUTH": LoginSteps()}) as smtp:
        home.file("secret", "wrong")
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "a@x.test", stdin=b"hello\n")
        assert done.returncode == 77 and "app password" in done.stderr and "535" in done.stderr, done
        assert not smtp.taken


def test_a_server_that_asks_a_third_time(home):
    """It gets no more than name and password, and its success does not count."""
    steps = LoginSteps((b"Username:", b"Password:", b"Your other password:"))
    with FakeSmtp(ehlo=("AUTH LOGIN",), hooks={"AUTH": steps}) as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "a@x.test", stdin=b"hello\n")
        assert done.returncode == 77 and not smtp.taken, done
        assert steps.given == [b"salma@barid.test", client.PASSWORD.encode(), b"*"]


def test_words_of_the_server_for_a_wrong_password(home):
    with FakeSmtp(password="another") as smtp:
        home.account(smtp=plain(smtp.port))
        done = home.barid("send", "-i", "a@x.test", stdin=b"x\n")
        assert done.returncode == 77 and "app password" in done.stderr and "535" in done.stderr
        done = home.barid("send", "--flush", "--lang", "ar")
        assert done.returncode == 77 and "كلمة المرور" in done.stderr


def test_the_secret_is_asked_for_only_when_something_is_due(home):
    home.account(smtp=plain(1), password_file=None, password_command="false")
    assert home.barid("send", "--flush").returncode == 0
    done = home.barid("send", "-i", "a@x.test", stdin=b"x\n")
    assert done.returncode == 77 and "exit code 1" in done.stderr and len(queue(home)) == 1
