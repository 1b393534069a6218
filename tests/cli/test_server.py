"""serve, status, fsck, rebuild and the user verbs beside a running server."""
import contextlib
import imaplib
import json
import os
import signal
import smtplib
import socket
import sqlite3
import ssl
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from server import Server, ServerError, alter, rows  # noqa: E402

MESSAGE = b"From: a@example.org\r\nSubject: one\r\n\r\ntext\r\n"


@pytest.fixture
def server():
    with Server() as s:
        yield s


def exit_code(server, *args):
    return server.run(*args, check=False).returncode


def database(server):
    found = [os.path.join(folder, "mail.db") for folder, _, files in os.walk(os.path.join(server.data, "accounts"))
             if "mail.db" in files]
    assert len(found) == 1
    return found[0]


def test_a_directory_of_an_earlier_format(tmp_path):
    """Brought to today's by the server itself, which may write nowhere but in its data folder."""
    with contextlib.closing(Server()) as server:
        user = server.user()
        many = "".join(f"user{n}@barid.test:{{CRYPT}}$6$saltsalt${'x' * 86}\n" for n in range(800))  # more than SQLite keeps in memory
        server.run("user", "import", "-", stdin=many.encode())
        with contextlib.closing(sqlite3.connect(os.path.join(server.data, "directory.db"))) as db:
            db.executescript("UPDATE users SET scram_iterations = 0, scram_salt = NULL WHERE imported; DROP TABLE pop_policies;"
                             "DROP TABLE app_passwords; DROP TABLE device_uses; PRAGMA user_version = 1")
        server.start()
        server.imap(user).logout()
        assert server.stop() == 0


def test_status_counts(server):
    user = server.user()
    server.deliver(user, MESSAGE)
    c = server.imap(user)
    rows = dict(line.split() for line in server.run("status").splitlines())
    assert rows["sessions_imap"] == "1" and rows["messages_delivered"] == "1" and rows["logins"] == "1"
    same = json.loads(server.run("status", "--json"))
    assert same.keys() == rows.keys()
    assert same["sessions_imap"] == 1 and same["messages_delivered"] == 1 and same["logins"] == 1
    c.logout()


def test_fsck_and_rebuild_beside_a_server(server):
    empty, user = server.user(), server.user()  # one has had no mail, and so no folder
    server.deliver(user, MESSAGE)
    for address in (empty.address, user.address):
        assert exit_code(server, "fsck", address) == 0
        assert exit_code(server, "rebuild", address) == 0
    assert exit_code(server, "fsck", "--all") == 0
    assert exit_code(server, "fsck", "nobody@barid.test") != 0
    assert list(server.bodies(user).values())[0].endswith(MESSAGE)


def test_fsck_finds_and_repairs(server):
    user = server.user()
    server.append(user, MESSAGE)
    server.append(user, MESSAGE)
    server.stop()
    alter(database(server), "UPDATE mailbox SET messages=7, bytes=1 WHERE name='INBOX'")
    alter(database(server), "UPDATE summary SET bytes=x'00'")
    assert exit_code(server, "fsck", user.address) == 1
    assert exit_code(server, "fsck", user.address) == 1  # looking repairs nothing
    assert exit_code(server, "fsck", user.address, "--repair") == 1
    assert exit_code(server, "fsck", user.address) == 0
    server.start()
    c = server.imap(user)
    assert c.select("INBOX")[1] == [b"2"]
    assert b"one" in c.fetch("1", "(ENVELOPE)")[1][0]
    c.logout()


def summaries(server):
    return rows(database(server), "SELECT bytes FROM summary ORDER BY email")


def spoil(server, before):
    """One summary of another version, one that is none."""
    alter(database(server), "UPDATE summary SET bytes=? WHERE bytes=?", b"\x01" + before[0][0][1:], before[0][0])
    alter(database(server), "UPDATE summary SET bytes=x'00' WHERE bytes=?", before[1][0])


@pytest.mark.parametrize("reader", ["fetch", "search", "rebuild"])
def test_summaries_of_another_version_are_made_anew(server, reader):
    """A server that comes after an upgrade, or finds a summary damaged, answers as before, and keeps what it made."""
    user = server.user()
    big = MESSAGE + b"line of text\r\n" * 100_000  # one that is a file of its own
    server.append(user, MESSAGE)
    server.append(user, big)
    server.stop()
    before = summaries(server)
    spoil(server, before)
    assert summaries(server) != before
    server.start()
    c = server.imap(user)
    c.select("INBOX", readonly=True)
    if reader == "fetch":
        answers = c.fetch("1:2", "(RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[1])")[1]
        assert len(answers) == 4 and b'"one"' in answers[0][0] and b'"text" "plain"' in answers[2][0]
        assert answers[2][1] == big.split(b"\r\n\r\n", 1)[1]
    elif reader == "search":
        assert c.search(None, "SUBJECT", "one")[1] == [b"1 2"] and c.search(None, "BODY", '"line of text"')[1] == [b"2"]
    else:
        assert exit_code(server, "rebuild", user.address) == 0
    c.logout()
    server.stop()
    assert summaries(server) == before
    assert exit_code(server, "fsck", user.address) == 0


def test_many_summaries_are_kept(server):
    """More than one write takes (1 MiB)."""
    user = server.user()
    for n in range(30):
        server.append(user, b"Subject: %d\r\nReferences: %s\r\n\r\ntext\r\n" % (n, b"<%d@x>\r\n " % n * 6000))
    server.stop()
    before = summaries(server)
    assert sum(len(row[0]) for row in before) > 1 << 20
    alter(database(server), "UPDATE summary SET bytes=x'00'")
    server.start()
    c = server.imap(user)
    c.select("INBOX")
    assert [b'"%d"' % n in line for n, line in enumerate(c.fetch("1:*", "ENVELOPE")[1])] == [True] * 30
    c.logout()
    server.stop()
    assert summaries(server) == before


def test_fsck_takes_no_upgrade_for_damage(server):
    user = server.user()
    server.append(user, MESSAGE)
    server.append(user, MESSAGE + b"more\r\n")
    server.stop()
    before = summaries(server)
    spoil(server, [before[0], (b"none of these",)])
    assert exit_code(server, "fsck", user.address) == 0
    assert summaries(server) != before
    assert exit_code(server, "fsck", user.address, "--repair") == 0
    assert summaries(server) == before
    spoil(server, before)
    assert exit_code(server, "fsck", user.address) == 1


def test_fsck_tells_damaged_bytes(server):
    user = server.user()
    server.append(user, MESSAGE)
    server.stop()
    alter(database(server), "UPDATE body SET bytes=?", MESSAGE.replace(b"text", b"tExt"))
    for _ in range(2):  # lost bytes cannot be mended, and nothing is thrown away for it
        assert exit_code(server, "fsck", user.address, "--repair") == 1
    server.start()
    assert len(server.bodies(user)) == 1


def test_removing_a_user_ends_sessions_and_takes_the_mail(server):
    user = server.user()
    server.append(user, MESSAGE)
    c = server.imap(user)
    server.run("user", "remove", user.address, "--yes")
    with pytest.raises(imaplib.IMAP4.abort):
        c.noop()
        c.noop()
    assert os.listdir(os.path.join(server.data, "accounts")) == []
    with pytest.raises(imaplib.IMAP4.error):
        server.imap(user)


def test_switches_and_passwords_count_at_once(server):
    user = server.user()
    server.pop3(user).quit()
    server.run("user", "set", user.address, "--pop", "off")
    with pytest.raises(Exception, match="SYS/PERM"):
        server.pop3(user)
    server.run("passwd", user.address, "--password-file", "-", stdin=b"another one 8\n")
    with pytest.raises(imaplib.IMAP4.error):
        server.imap(user)
    server.imap(user._replace(password="another one 8")).logout()


@pytest.mark.parametrize("key, value, waits", [
    ("limits.threads", "32", True), ("limits.connections", "500", True), ("limits.connections_per_address", "30", True),
    ("limits.accounts_open", "500", True), ("server.hostname", "other.barid.test", True),
    ("limits.message_bytes", "1M", False), ("quota.full", "refuse", False)])
def test_a_reload_says_what_waits_for_the_next_start(server, key, value, waits):
    path = os.path.join(server.data, "control.sock")
    server.extra[key] = value
    server._write_config()
    deadline = time.monotonic() + 20
    while server.run("status", check=False).returncode != 0:  # it listens for mail a moment before
        assert time.monotonic() < deadline, "no control socket"
        time.sleep(0.02)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        s.sendall(b"reload\n")
        answer = b""
        while data := s.recv(65536):
            answer += data
    assert answer.endswith(b"ok\n") and (b"at the next start" in answer) == waits, answer


def test_sigterm_says_bye_and_sighup_takes_a_new_certificate(server):
    def fingerprint():
        with socket.create_connection(("127.0.0.1", server.port("imaps"))) as s:
            context = ssl._create_unverified_context()  # noqa: S323  only the bytes are looked at
            with context.wrap_socket(s) as t:
                return t.getpeercert(binary_form=True)

    before = fingerprint()
    server._make_certificate()
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while fingerprint() == before:
        assert time.monotonic() < deadline, "SIGHUP changed nothing"
        time.sleep(0.05)
    user = server.user()
    c = server.imap(user)
    server.process.send_signal(signal.SIGTERM)
    assert c.readline().startswith(b"* BYE ")
    assert server.process.wait(20) == 0
    server.process = None


def test_two_servers_on_one_folder(server):
    with pytest.raises(ServerError):
        server.run("serve", timeout=20)
    assert server.alive()
    server.user()


def test_a_full_account_takes_nothing_and_loses_nothing(server):
    user = server.user(quota=2000)
    server.append(user, MESSAGE + b"x" * 1500 + b"\r\n")
    with pytest.raises(ServerError, match="OVERQUOTA"):
        server.append(user, MESSAGE + b"x" * 1500 + b"\r\n")
    server.run("user", "set", user.address, "--quota", "1000")  # less than is there
    with server.lmtp() as c, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        c.sendmail("a@example.org", [user.address], MESSAGE)
    assert refused.value.recipients[user.address][0] == 452
    assert len(server.bodies(user)) == 1
    server.run("user", "set", user.address, "--quota", "1M")  # counts at once
    server.deliver(user, MESSAGE)
    assert len(server.bodies(user)) == 2
