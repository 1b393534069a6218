"""IMAP, logged in: names, sets, sections, depths, literals and counts at each limit and one over."""
import os
import re
import threading

import pytest

import raw

NAMES = ["../x", "x/../../y", "/etc", ".", "..", "a/./b", "~", "a\\\\b", "x%00", "%", "&-", "&-&-", "&ZeVnLIqe-",
         "&AAA-", "&", "&ZeVnLI", "&&", "a&-b", "INBOX/x", "inbox", "iNbOx/y", "trailing ", " leading", "a//b", "a/", "CON",
         "x" * 200, "x" * 1000, "x" * 1001, "/".join("n" * 50), "/".join("n" * 51), "\x7f", "tab\tname", "*", "a\"b"]


def lines(untagged):
    return [parts[0] for parts in untagged]


def refused(session, command):
    with pytest.raises(raw.Refused) as error:
        session.command(command)
    return str(error.value)


def literal(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"{%d+}\r\n" % len(data) + data


def listed(session):
    names = set()
    for parts in session.command('LIST "" "*"')[1]:
        if len(parts) > 1:
            names.add(parts[1])
        else:
            m = re.match(rb'\* LIST \([^)]*\) "/" (?:"((?:\\.|[^"\\])*)"|(\S+))$', parts[0])
            names.add(re.sub(rb"\\(.)", rb"\1", m.group(1)) if m.group(1) is not None else m.group(2))
    return names


@pytest.mark.parametrize("name", NAMES, ids=lambda n: ascii(n)[:30])
def test_a_name_is_refused_or_listed_as_it_was_given(server, logged_in, name):
    session = logged_in()
    outside = set(os.listdir(os.path.dirname(server.data)))
    try:
        session.command(b"CREATE " + literal(name))
    except raw.Refused as e:
        assert str(e).startswith(("NO", "BAD"))
    else:
        wanted = name.rstrip("/").encode()
        if re.match(r"inbox(/|$)", name, re.I):
            wanted = b"INBOX" + wanted[5:]
        assert wanted in listed(session)
        session.command(b"SELECT " + literal(wanted))
        session.command(b"DELETE " + literal(wanted))
    assert set(os.listdir(os.path.dirname(server.data))) == outside
    assert {n for folder, _, files in os.walk(os.path.join(server.data, "accounts")) for n in files} <= {
        "mail.db", "mail.db-wal", "mail.db-shm", "mail.db-journal"}


def test_sets(server, logged_in, user):
    for i in range(3):
        server.deliver(user, b"Subject: %d\r\n\r\ntext\r\n" % i)
    session = logged_in()
    for good, count in (("1:4294967295", 3), ("*:*", 1), ("4294967295", 0), ("3:1", 3), ("1,1,1", 1)):
        assert len(session.command(f"UID FETCH {good} UID")[1]) == count, good
    for bad in ("0", "4294967296", "1:4294967296", "1:0", "", ",", "1,", ":", "1:", "-1", "1:2:3", "x", "1 :2"):
        assert refused(session, f"UID FETCH {bad} UID").startswith("BAD"), bad
    for bad in ("4", "1:4", "*:4"):  # no such sequence number
        assert refused(session, f"FETCH {bad} UID").startswith("BAD"), bad
    assert len(session.command("UID FETCH " + ",".join(str(2 * n + 1) for n in range(9000)) + " UID")[1]) == 2
    assert refused(session, "UID FETCH " + ",".join(str(n % 9 + 1) for n in range(10001)) + " UID").startswith(("BAD", "NO"))
    with pytest.raises(ConnectionError):  # more than a line may hold
        session.command("UID FETCH " + ",".join(str(n) for n in range(10 ** 6, 10 ** 6 + 100000)) + " UID")


def test_sections(server, logged_in, user):
    server.deliver(user, b"Subject: one\r\n\r\ntext\r\n")
    session = logged_in()
    deep = ".".join(["1"] * 100)
    assert b"NIL" in session.command(f"FETCH 1 BODY.PEEK[{deep}]")[1][0][0]
    assert refused(session, f"FETCH 1 BODY.PEEK[{deep}.1]").startswith(("BAD", "NO"))
    assert refused(session, "FETCH 1 BODY.PEEK[" + ".".join(["1"] * 10000) + "]").startswith(("BAD", "NO"))
    assert session.command("FETCH 1 BODY.PEEK[]<4294967295.1>")[1][0][1:2] in ([b""], [])
    assert refused(session, "FETCH 1 BODY.PEEK[]<4294967296.1>").startswith("BAD")
    assert refused(session, "FETCH 1 BODY.PEEK[]<0.0>").startswith("BAD")
    for bad in ("0", "1.0", "MIME", "1.", ".1", "4294967296", "HEADER.FIELDS ()", "TEXT.1", "1.HEADER.FIELDS"):
        assert refused(session, f"FETCH 1 BODY.PEEK[{bad}]").startswith("BAD"), bad
    fields = " ".join(f"X-{n}" for n in range(500))
    session.command(f"FETCH 1 BODY.PEEK[HEADER.FIELDS ({fields})]")
    assert refused(session, f"FETCH 1 BODY.PEEK[HEADER.FIELDS ({fields} X)]").startswith(("BAD", "NO"))
    session.command("FETCH 1 (" + " ".join(["UID"] * 200) + ")")
    assert refused(session, "FETCH 1 (" + " ".join(["UID"] * 201) + ")").startswith(("BAD", "NO"))


@pytest.mark.parametrize("one, other", [("(", ")"), ("NOT ", ""), ("OR SEEN ", ""), ("OR NOT SEEN (", ")")])
def test_searches_nest_as_deep_as_is_said(logged_in, one, other):
    session = logged_in()
    depth = 24 if one == "OR NOT SEEN (" else 48
    session.command("SEARCH " + one * depth + "ALL" + other * depth)
    for too_deep in (51, 1000, 4000):
        assert refused(session, "SEARCH " + one * too_deep + "ALL" + other * too_deep).startswith(("BAD", "NO"))


def test_searches_that_ask_for_much(server, logged_in, user):
    server.deliver(user, b"Subject: one\r\n\r\ntext\r\n")
    session = logged_in()
    session.command("SEARCH " + "ALL " * 998 + "ALL")  # all of them together are one more
    assert refused(session, "SEARCH " + "ALL " * 999 + "ALL").startswith(("BAD", "NO"))
    assert refused(session, "SEARCH CHARSET X-NONE TEXT a").startswith("NO [BADCHARSET")
    session.command(b"SEARCH TEXT " + literal("x" * 60000))
    for bad in ("BEFORE 99-Feb-2026", "ON 1-Foo-2026", "LARGER -1", "LARGER 4294967296000000000000", "KEYWORD",
                "HEADER Subject", "MODSEQ x", "UID", "UID x", "OR ALL", "NOT", "()"):
        assert refused(session, "SEARCH " + bad).startswith("BAD"), bad


def test_append_takes_what_may_be_and_keeps_nothing_else(server, logged_in, user):
    session = logged_in()
    limit = 1 << 20
    assert b"APPENDLIMIT=%d" % limit in session.command("CAPABILITY")[1][0][0]
    session.command(b"APPEND INBOX " + literal(b"x" * (limit - 2) + b"\r\n"))
    assert refused(session, f"APPEND INBOX {{{limit + 1}}}").startswith("NO [TOOBIG]")
    for bad in ("(\\Seen", '"99-Feb-2026 00:00:00 +0000"', '"1-Foo-2026 00:00:00 +0000"', '"x"', "(\\Recent)", "(\\*)",
                "()()"):
        assert refused(session, f"APPEND INBOX {bad} ".encode() + literal("Subject: x\r\n\r\n")).startswith(("BAD", "NO")), bad
    assert refused(session, b"APPEND INBOX " + literal(b"a\0b\r\n")).startswith(("BAD", "NO"))
    assert refused(session, b"APPEND nowhere " + literal(b"a\r\n")).startswith("NO [TRYCREATE]")
    many = b" ".join(literal("Subject: %d\r\n\r\n" % n) for n in range(999))
    assert refused(session, b"APPEND INBOX " + many + b' "no date" ' + literal("Subject: bad\r\n\r\n")).startswith("BAD")
    cut = logged_in()
    cut.send(b"x APPEND INBOX {1000+}\r\nSubject: cut\r\n\r\n")
    cut.close()
    text, _ = session.command(b"APPEND INBOX " + many + b" " + literal("Subject: last\r\n\r\n"))
    assert re.match(rb"OK \[APPENDUID \d+ 2:1001\]", text), text
    assert b"MESSAGES 1001" in session.command("STATUS INBOX (MESSAGES)")[1][-1][0]


def test_literals_and_tags_one_over(logged_in):
    session = logged_in()
    session.command(b"SEARCH SUBJECT " + literal("x" * (64 << 10)))
    session.send(b"y SEARCH SUBJECT {65537}\r\n")
    assert session.line().startswith(b"y BAD")
    session.send(b"T" * 256 + b" NOOP\r\n")
    assert session.line() == b"T" * 256 + b" OK Done"
    session.send(b"T" * 257 + b" NOOP\r\n")
    assert session.line().startswith(b"* BAD")
    session.command("NOOP")
    keys = b" ".join(b"SUBJECT " + literal("x" * 60000) for _ in range(17))
    session.command(b"SEARCH " + keys)
    patterns = " ".join(["x"] * 100)
    session.command(f'LIST "" ({patterns})')
    assert refused(session, f'LIST "" ({patterns} x)').startswith(("BAD", "NO"))
    with pytest.raises(ConnectionError):  # the bytes come whether or not they are wanted
        session.command(b"SEARCH " + keys + b" SUBJECT " + literal("x" * 60000))


def test_keywords_end_at_some_number(server, logged_in, user):
    for i in range(2):
        server.deliver(user, b"Subject: %d\r\n\r\ntext\r\n" % i)
    session = logged_in()
    session.command("STORE 1 FLAGS (" + " ".join(f"k{n}" for n in range(55)) + ")")
    assert refused(session, "STORE 1 +FLAGS (one-more)").startswith("NO [LIMIT]")
    session.command("STORE 2 FLAGS (k1 k54 \\Seen)")  # what is known still works
    assert b"k54" in session.command("FETCH 2 FLAGS")[1][0][0]
    assert refused(session, "STORE 1 +FLAGS (" + " ".join(["k1"] * 101) + ")").startswith(("BAD", "NO"))
    assert refused(session, "STORE 1 +FLAGS (" + "x" * 101 + ")").startswith(("BAD", "NO"))
    assert refused(session, "STORE 1 +FLAGS (\\Nothing)").startswith(("BAD", "NO"))


def test_a_hundred_thousand_noops_at_once(server, logged_in, user):
    session, other = logged_in(), logged_in()
    writer = threading.Thread(target=lambda: session.send(b"".join(b"n%d NOOP\r\n" % n for n in range(100000))))
    writer.start()
    other.command("NOOP")
    for n in range(100000):
        assert session.line() == b"n%d OK Done" % n
    writer.join()


def test_one_who_never_reads_holds_nobody_up(server, logged_in, user):
    for i in range(20):
        server.deliver(user, b"Subject: %d\r\n\r\n" % i + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 10000)
    deaf, other = logged_in(), logged_in()
    deaf.sock.settimeout(2)
    try:
        for n in range(2000):
            deaf.send(b"f%d FETCH 1:* BODY.PEEK[]\r\n" % n)
    except OSError:
        pass  # the pipe is full: it reads nothing while its answers wait
    idle = logged_in()
    idle.send(b"i IDLE\r\n")
    assert idle.line().startswith(b"+")
    for n in range(300):
        other.command(f"STORE 1:* {'+' if n % 2 else '-'}FLAGS.SILENT (\\Flagged)")
    other.command("FETCH 20 BODY.PEEK[]")


def test_expunge_while_others_fetch(server, logged_in, user):
    for i in range(200):
        server.deliver(user, b"Subject: %d\r\n\r\ntext\r\n" % i)
    reader, writer = logged_in(), logged_in()
    for n in range(20):
        tag = reader.start("FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        writer.command("STORE 1:5 +FLAGS.SILENT (\\Deleted)")
        writer.command("EXPUNGE")
        _, untagged = reader.finish(tag)
        for parts in untagged:
            assert b" EXPUNGE" not in parts[0] and b"VANISHED" not in parts[0]
            m = re.search(rb"UID (\d+) ", parts[0])
            if m:  # the UID and the message belong together
                assert parts[1] == b"Subject: %d\r\n\r\n" % (int(m.group(1)) - 1)
        reader.command("NOOP")
    assert len(reader.command("FETCH 1:* UID")[1]) == 100
