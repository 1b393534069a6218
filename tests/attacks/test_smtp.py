"""SMTP, submission and LMTP: ends of data, addresses, pipelining, chunks, limits, connections that are cut."""
import base64
import re
import socket
import time

import pytest

END_NOT = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\n", b"\r\n.\r", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n", b"\n\r.\r\n"]


def open_envelope(wire, recipient, verb="EHLO"):
    wire.hello(verb)
    assert wire.ask("MAIL FROM:<noor@example.org>").startswith("250")
    assert wire.ask(f"RCPT TO:<{recipient}>").startswith("250")


def messages(server, user):
    return list(server.bodies(user).values())


@pytest.mark.parametrize("name", ["smtp", "lmtp"])
@pytest.mark.parametrize("end", END_NOT)
def test_only_crlf_dot_crlf_ends_a_message(server, connect, user, name, end):
    wire = connect(name)
    open_envelope(wire, user.address, "LHLO" if name == "lmtp" else "EHLO")
    assert wire.ask("DATA").startswith("354")
    wire.send(b"Subject: one\r\n\r\nbefore" + end + b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<"
              + user.address.encode() + b">\r\nDATA\r\nSubject: two\r\n\r\nsmuggled\r\n.\r\n")
    answer = wire.line().decode()
    assert re.match(r"554 5\.6\.0|250", answer), answer
    assert wire.ask("NOOP").startswith("250")  # one answer for one message: still in step
    got = messages(server, user)
    assert len(got) <= 1
    if answer.startswith("250"):  # taken as text of the one message, with every line end strict
        assert b"smuggled" in got[0] and not re.search(rb"[^\r]\n|\r[^\n]|\0", got[0])
    else:
        assert got == []


def test_commands_before_the_greeting_or_its_answer(server):
    with socket.create_connection(("127.0.0.1", server.port("smtp")), timeout=60) as s:
        s.sendall(b"EHLO client.test\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<x@barid.test>\r\nDATA\r\nQUIT\r\n")
        got = b""
        while piece := s.recv(4096):
            got += piece
    assert got == b"554 5.5.1 Wait for the greeting\r\n" or got.startswith(b"220 "), got
    assert not re.search(rb"(^|\n)354", got), got


ADDRESSES = ['<"">', '<""@barid.test>', "<@a.test,@b.test:U>", "<;id@barid.test>", "<`id`@barid.test>",
             "<$(id)@barid.test>", "<a|b@barid.test>", "<../../x@barid.test>", "<a@[IPv6:::1>", "<a@[127.0.0.1]>",
             "<a%example.org@barid.test>", "<example.org!a@barid.test>", "<a b@barid.test>",
             "<a@barid.test", "a@barid.test>", "<a@@barid.test>", "<a@barid.test>x", "<\x01@barid.test>", "<@barid.test>",
             "<a@>", "<a..b@barid.test>", "<" + "x" * 1500 + "@barid.test>", "<x@" + "y." * 200 + "test>"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_that_are_none_of_ours(connect, user, address):
    wire = connect("smtp")
    wire.hello()
    assert wire.ask("MAIL FROM:<noor@example.org>").startswith("250")
    answer = wire.ask(f"RCPT TO:{address}".replace("U", user.address))
    while re.match(r"5\d\d-", answer):
        answer = wire.line().decode()
    assert re.match(r"5\d\d 5\.", answer), answer
    assert re.match(r"503|554", wire.ask("DATA"))
    wire.ask("RSET")
    answer = wire.ask("NOOP")
    assert answer.startswith("250"), answer


def test_utf8_needs_smtputf8(connect):
    wire = connect("smtp")
    wire.hello()
    assert re.match(r"5\d\d 5\.", wire.ask("MAIL FROM:<سلمى@example.org>"))
    assert wire.ask("MAIL FROM:<سلمى@example.org> SMTPUTF8").startswith("250")


@pytest.mark.parametrize("parameter", ["AUTH=a+0Ab", "ENVID=a+0Ab", "RET=X", "BODY=X", "BODY=", "SIZE=", "SIZE=-1",
                                       "SIZE=18446744073709551616", "=1", "X"])
def test_parameters_that_cannot_be(connect, parameter):
    wire = connect("smtp")
    wire.hello()
    answer = wire.ask("MAIL FROM:<noor@example.org> " + parameter)
    assert re.match(r"5\d\d 5\.", answer), answer
    assert wire.ask("RCPT TO:<a@barid.test>").startswith("503")


def test_chunks_stay_in_step(server, connect, user):
    for size in ("18446744073709551616", "-1", "", "1x", "9" * 100):  # nobody knows where such a chunk ends
        wire = connect("smtp")
        open_envelope(wire, user.address)
        wire.send(f"BDAT {size}\r\nNOOP\r\n".encode())
        assert re.fullmatch(rb"50\d 5\.5\.\d [^\n]*\n", wire.rest())
    wire = connect("smtp")
    wire.hello()
    assert wire.ask("MAIL FROM:<noor@example.org>").startswith("250")
    assert re.match(r"5\d\d", wire.ask("RCPT TO:<nobody-here@barid.test>"))
    wire.send(b"BDAT 26 LAST\r\nQUIT\r\nDATA\r\nRSET\r\nabcdefgh")  # 26 octets are no commands
    answer = wire.line().decode()
    assert re.match(r"50[13]|554", answer), answer
    assert wire.ask("NOOP").startswith("250")
    wire = connect("smtp")
    open_envelope(wire, user.address)
    wire.send(b"BDAT 12\r\nSubject: a\r\nRSET\r\n")
    assert wire.line().startswith(b"250") and wire.line().startswith(b"250")
    assert re.match(r"503", wire.ask("BDAT 0 LAST"))
    assert wire.ask("MAIL FROM:<noor@example.org>").startswith("250")
    assert wire.ask(f"RCPT TO:<{user.address}>").startswith("250")
    wire.send(b"BDAT 12\r\nSubject: b\r\n")
    assert wire.line().startswith(b"250")
    assert wire.ask("DATA").startswith("503")  # RFC 3030 section 3: the two do not mix
    assert wire.ask("RSET").startswith("250")
    open_envelope(wire, user.address)
    wire.send(b"BDAT 14 LAST\r\nSubject: c\r\n\r\nBDAT 14 LAST\r\nSubject: d\r\n\r\n")
    assert wire.line().startswith(b"250")
    assert wire.line().startswith(b"503")
    assert wire.ask("NOOP").startswith("250")
    got = messages(server, user)
    assert len(got) == 1 and b"Subject: c\r\n" in got[0]


def test_verbs_that_tell_nothing(connect):
    wire = connect("smtp")
    wire.hello()
    for line in ("ETRN '; DROP TABLE users", "EXPN \"a'b\"", "TURN", "SEND FROM:<a@b>", "HELP", "XCLIENT ADDR=1"):
        answer = wire.ask(line)
        assert re.match(r"(50[024]|214) ", answer), answer
    assert wire.ask("VRFY nobody-here@barid.test") == wire.ask("VRFY postmaster@barid.test")


def test_a_thousand_recipients_and_one_more(connect):
    wire = connect("smtp")
    wire.hello()
    assert wire.ask("MAIL FROM:<noor@example.org>").startswith("250")
    wire.send(b"".join(b"RCPT TO:<postmaster@barid.test>\r\n" for _ in range(1001)))
    answers = [wire.line() for _ in range(1001)]
    assert all(a.startswith(b"250") for a in answers[:1000])
    assert answers[1000].startswith(b"452 4.5.3"), answers[1000]


@pytest.mark.parametrize("shape, accepted", [
    ("", True), ("Subject: only a header\r\n", True), ("\r\nonly text\r\n", True), ("no header at all\r\n", True),
    ("X: y\r\n" * 20000 + "\r\n", True), ("Received: by x\r\n" * 98 + "\r\ntext\r\n", True),
    ("Received: by x\r\n" * 101 + "\r\ntext\r\n", False)],
    ids=["nothing", "header", "text", "neither", "20000 fields", "98 hops", "101 hops"])
def test_shapes_of_messages(server, connect, user, shape, accepted):
    wire = connect("smtp")
    open_envelope(wire, user.address)
    assert wire.ask("DATA").startswith("354")
    wire.send(shape.encode() + b".\r\n")
    answer = wire.line().decode()
    assert answer.startswith("250" if accepted else "554 5.4.6"), answer
    got = messages(server, user)
    assert len(got) == accepted
    assert not accepted or got[0].endswith(shape.encode())


@pytest.mark.parametrize("size, declared, code", [
    ((1 << 20) - 1000, None, "250"), ((1 << 20) + 1000, None, "552 5.3.4"), (1000, 10, "250"),
    (1 << 22, 1000, "552 5.3.4")])
def test_the_size_is_what_it_is(server, connect, user, size, declared, code):
    wire = connect("smtp")
    wire.hello()
    assert wire.ask("MAIL FROM:<a@example.org>" + (f" SIZE={declared}" if declared else "")).startswith("250")
    assert wire.ask(f"RCPT TO:<{user.address}>").startswith("250")
    assert wire.ask("DATA").startswith("354")
    line = b"x" * 98 + b"\r\n"
    wire.send(b"Subject: s\r\n\r\n" + line * (size // 100) + b".\r\n")
    answer = wire.line().decode()
    assert answer.startswith(code), answer
    assert wire.ask("NOOP").startswith("250")
    assert len(messages(server, user)) == (code == "250")


@pytest.mark.parametrize("name", ["smtp", "lmtp"])
def test_a_cut_before_the_dot_keeps_nothing(server, connect, user, name):
    for piece in (b"", b"Subject: x\r\n", b"Subject: x\r\n\r\ntext\r\n", b"Subject: x\r\n\r\ntext\r\n.",
                  b"Subject: x\r\n\r\ntext\r\n.\r"):
        wire = connect(name)
        open_envelope(wire, user.address, "LHLO" if name == "lmtp" else "EHLO")
        assert wire.ask("DATA").startswith("354")
        wire.send(piece)
        wire.close()
    wire = connect(name)
    open_envelope(wire, user.address, "LHLO" if name == "lmtp" else "EHLO")
    wire.send(b"BDAT 100 LAST\r\nSubject: x\r\n\r\n")
    wire.close()
    assert messages(server, user) == []


def test_a_cut_after_the_answer_keeps_it_once(server, connect, user):
    wire = connect("smtp")
    open_envelope(wire, user.address)
    assert wire.ask("DATA").startswith("354")
    assert wire.ask(b"Subject: x\r\n\r\ntext\r\n.").startswith("250")
    wire.close()
    assert len(messages(server, user)) == 1


@pytest.mark.parametrize("name,verb,parameter,protocol", [
    ("smtp", "HELO", "", b"SMTP"), ("smtp", "EHLO", "", b"ESMTP"), ("smtp", "EHLO", " SMTPUTF8", b"UTF8SMTP"),
    ("lmtp", "LHLO", "", b"LMTP"), ("lmtp", "LHLO", " SMTPUTF8", b"UTF8LMTP")])
def test_the_protocol_in_the_trace(server, connect, user, name, verb, parameter, protocol):
    """RFC 3848; RFC 6531 §4.3"""
    wire = connect(name)
    wire.hello(verb)
    assert wire.ask(f"MAIL FROM:<noor@example.org>{parameter}").startswith("250")
    assert wire.ask(f"RCPT TO:<{user.address}>").startswith("250")
    assert wire.ask("DATA").startswith("354")
    assert wire.ask(b"Subject: x\r\n\r\ntext\r\n.").startswith("250")
    assert b" with " + protocol + b" id " in messages(server, user)[0]


@pytest.mark.parametrize("name", ["x" * 1900, "a\0b", "[", "[x", "a b", "", "<a>", "é", "a\x07"])
def test_hello_with_any_name(server, connect, user, name):
    wire = connect("smtp")
    wire.send(b"EHLO " + name.encode() + b"\r\n")
    answer = wire.line().decode("utf-8", "replace")
    while re.match(r"\d\d\d-", answer):
        answer = wire.line().decode("utf-8", "replace")
    assert re.match(r"250|50[01]", answer), answer
    assert "\x07" not in answer
    if answer.startswith("250"):
        assert wire.ask("MAIL FROM:<noor@example.org>").startswith("250")
        assert wire.ask(f"RCPT TO:<{user.address}>").startswith("250")
        assert wire.ask("DATA").startswith("354")
        assert wire.ask(b"Subject: x\r\n\r\ntext\r\n.").startswith("250")
        trace = messages(server, user)[0].split(b"Subject:")[0]
        assert all(re.match(rb"[A-Za-z-]+: |\t| ", line) for line in trace.split(b"\r\n")[:-1]), trace


def submitting(connect, user):
    wire = connect("submission")
    wire.hello()
    token = base64.b64encode(f"\0{user.address}\0{user.password}".encode()).decode()
    assert wire.ask(f"AUTH PLAIN {token}").startswith("235")
    assert re.match(r"503", wire.ask(f"AUTH PLAIN {token}"))
    return wire


SUBMITTED = [
    (b"Subject: x\r\nHello,\r\nhow are you\r\n", b"Hello,\r\nhow are you\r\n"),
    (b"Subject: x\r\nHello,\r\n\r\nhow are you\r\n", b"Hello,\r\n\r\nhow are you\r\n"),
    (b"Subject: x\r\nHello,\r\nFrom: a@example.org\r\nBcc: secret@x.test,\r\n more@x.test\r\nthe end\r\n",
     b"Hello,\r\nFrom: a@example.org\r\nthe end\r\n"),
    (b"Hello\r\nyou\r\n\r\nand you\r\n", b"Hello\r\nyou\r\n\r\nand you\r\n"),
    (b"\r\nSubject: text\r\n", b"Subject: text\r\n"),
    (b"From salma Fri Nov 27 12:11:11 2026\r\nSubject: x\r\n>From omar Fri Nov 27 12:11:11 2026\r\nX-Y: z\r\n\r\nhi\r\n", b"hi\r\n"),
    (b"Subject: x\r\nBcc: secret@x.test\r\nResent-Bcc: secret@x.test\r\nReturn-Path: <secret@x.test>\r\n\r\nhi\r\n", b"hi\r\n"),
    (b"Subject: x", b""),
    (b"Subject: x\r\nHello", b"Hello"),
    (b"Subject: x\r\nBcc: secret@x.test", b""),
]


@pytest.mark.parametrize("sent,body", SUBMITTED)
def test_what_submission_makes_of_a_header(server, connect, user, sent, body):
    """A line that is no field begins the text, as if the blank line stood before it; nothing of it is lost, and no Bcc is shown."""
    wire = submitting(connect, user)
    assert wire.ask(f"MAIL FROM:<{user.address}>").startswith("250")
    assert wire.ask(f"RCPT TO:<{user.address}>").startswith("250")
    wire.send(b"BDAT %d LAST\r\n" % len(sent) + sent)
    assert wire.line().startswith(b"250")
    for _ in range(200):
        if got := messages(server, user):
            break
        time.sleep(0.05)
    header, text = got[0].split(b"\r\n\r\n", 1)
    assert text == body
    assert b"secret" not in got[0] and b"salma Fri" not in got[0] and b"omar Fri" not in got[0]
    assert all(re.match(rb"[A-Za-z-]+: |\t", line) for line in header.split(b"\r\n")), header
    fields = [line.split(b":")[0] for line in header.split(b"\r\n") if line[:1] != b"\t"]
    assert all(fields.count(name) == 1 for name in (b"From", b"Date", b"Message-ID", b"Received")), header
    assert (b"Subject" in fields) == sent.replace(b"From salma", b"Subject").startswith(b"Subject")


def test_two_from_fields_are_refused_at_submission(server, connect, user):
    wire = submitting(connect, user)
    for header in (f"From: {user.address}\r\nFrom: {user.address}\r\n", "From: a@x.test <b@y.test>\r\n",
                   f"From: a@example.org, {user.address}\r\n", "From: group:;\r\n",
                   f"From: {', '.join([user.address] * 100)}, a@example.org\r\n"):
        assert wire.ask(f"MAIL FROM:<{user.address}>").startswith("250")
        assert wire.ask(f"RCPT TO:<{user.address}>").startswith("250")
        assert wire.ask("DATA").startswith("354")
        answer = wire.ask((header + "\r\ntext\r\n.").encode())
        assert re.match(r"55\d 5\.", answer), (header, answer)
    assert messages(server, user) == []
