"""App passwords and devices: made on the command line, used by every protocol, revoked under sessions."""
import contextlib
import imaplib
import json
import os
import poplib
import re
import smtplib
import sqlite3
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import raw  # noqa: E402
from server import Server, ServerError  # noqa: E402

MESSAGE = b"From: a@example.org\r\nSubject: one\r\n\r\ntext\r\n"


@pytest.fixture
def server():
    with Server() as s:
        yield s


def add(server, user, name, *options):
    """The user with an app password instead of the main one."""
    made = json.loads(server.run("app-password", "add", user.address, name, "--json", *options))
    assert made["name"] == name
    return user._replace(password=made["password"])


def listed(server, verb, user):
    return {row["name"]: row for row in json.loads(server.run(verb, "list", user.address, "--json"))}


def submission(server, user=None):
    c = smtplib.SMTP("127.0.0.1", server.port("submission"), local_hostname="client.test", timeout=30)
    c.ehlo()
    if user:
        c.login(user.address, user.password)
    return c


def scram_pop(server, user):
    c = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=30)
    scram = raw.Scram(user)
    final = scram.final(c._shortcmd("AUTH SCRAM-SHA-256 " + scram.first)[2:])  # noqa: SLF001
    scram.check(c._shortcmd(final)[2:])  # noqa: SLF001
    c._shortcmd("")  # noqa: SLF001
    return c


def scram_submission(server, user):
    c, scram = submission(server), raw.Scram(user)
    code, challenge = c.docmd("AUTH", "SCRAM-SHA-256 " + scram.first)
    assert code == 334
    code, verdict = c.docmd(scram.final(challenge))
    if code != 334:
        raise smtplib.SMTPAuthenticationError(code, verdict)
    scram.check(verdict)
    assert c.docmd("")[0] == 235
    return c


def scram_imap(server, user):
    c = raw.Imap(server.port("imap"))
    c.login_scram(user)
    return c


LOGINS = {"imap": (Server.imap, scram_imap), "pop3": (Server.pop3, scram_pop), "submission": (submission, scram_submission)}
REFUSED = (imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPAuthenticationError, raw.Refused)


def hang_up(c):
    if isinstance(c, imaplib.IMAP4):
        c.shutdown()  # its close is a command
    else:
        c.close()


def enter(server, user, *protocols):
    for protocol in protocols or LOGINS:
        for login in LOGINS[protocol]:
            try:
                c = login(server, user)
            except REFUSED as e:
                pytest.fail(f"{login.__name__}: {e}")
            hang_up(c)


def refused(server, user, *protocols, match=""):
    for protocol in protocols or LOGINS:
        for login in LOGINS[protocol]:
            with pytest.raises(REFUSED, match=match):
                login(server, user)


def test_every_protocol_takes_one(server):
    user = server.user()
    for n in range(3):
        server.append(user, MESSAGE + b"%d\r\n" % n)
    phone, tablet = add(server, user, "phone"), add(server, user, "لوح سلمى")
    assert re.fullmatch(r"([a-km-np-z2-9]{4}-){3}[a-km-np-z2-9]{4}", phone.password)
    assert phone.password != tablet.password
    for kind in (phone, tablet, phone._replace(password=phone.password.replace("-", "")), user):
        enter(server, kind)
    refused(server, phone._replace(password=phone.password[:-1] + ("a" if phone.password[-1] != "a" else "b")))
    # capitals and blanks: where the server sees what is typed
    server.imap(phone._replace(password=phone.password.upper().replace("-", " "))).logout()
    other = server.user()
    refused(server, other._replace(password=phone.password))
    enter(server, user)
    with open(server.log_file, encoding="utf-8") as f:
        log = f.read()
    assert phone.password not in log and phone.password.replace("-", "") not in log
    device = listed(server, "app-password", user)["phone"]["id"]
    assert f"device={device}" in log and "device=0" in log


def test_what_is_known_of_devices(server):
    user = server.user()
    for n in range(3):
        server.append(user, MESSAGE + b"%d\r\n" % n)
    phone = add(server, user, "phone")
    add(server, user, "drawer")
    shown = listed(server, "device", user)
    assert set(shown) == {None, "phone", "drawer"}
    assert shown[None]["seen"] == ["imap"] and shown["phone"]["seen"] == [] and shown["phone"]["last_use"] is None
    for count in (2, 1):  # two sessions count together
        c = server.pop3(phone)
        for n in range(count):
            c.retr(n + 1)
        c.top(1, 1)
        c.quit()
    submission(server, phone).close()
    before = time.time()
    until = before + 30
    while listed(server, "device", user)["phone"]["pop_messages"] != 3:
        assert time.time() < until
        time.sleep(0.02)
    shown = listed(server, "device", user)["phone"]
    assert shown["seen"] == ["pop3", "submission"]
    last = listed(server, "app-password", user)["phone"]["last_use"]
    assert last["address"] == "127.0.0.1" and last["protocol"] in ("pop3", "submission") and abs(last["time"] - before) < 60
    assert listed(server, "app-password", user)["drawer"]["last_use"] is None
    assert listed(server, "device", user)[None]["pop_messages"] == 0
    # what was not shown to anybody is written at the end
    server.imap(phone).logout()
    server.stop()
    assert listed(server, "device", user)["phone"]["seen"] == ["imap", "pop3", "submission"]
    assert listed(server, "device", user)["phone"]["pop_messages"] == 3
    assert "phone" in server.run("device", "list", user.address) and "drawer" in server.run("app-password", "list", user.address)


def ended(c):
    """Whether the server has ended this session, or does so now."""
    try:
        for _ in range(2):
            c.noop()
    except (imaplib.IMAP4.abort, poplib.error_proto, smtplib.SMTPServerDisconnected, OSError, EOFError):
        return True
    return isinstance(c, smtplib.SMTP) and c.sock is None


def test_revoking_ends_its_sessions_and_no_others(server):
    user = server.user()
    phone, tablet = add(server, user, "phone"), add(server, user, "tablet")
    going = [Server.imap(server, phone), Server.pop3(server, phone), submission(server, phone)]
    staying = [Server.imap(server, tablet), submission(server, tablet), Server.imap(server, user)]
    server.run("app-password", "revoke", user.address, "phone")
    assert [ended(c) for c in going] == [True] * 3
    assert [ended(c) for c in staying] == [False] * 3
    refused(server, phone)
    enter(server, tablet)
    assert server.run("app-password", "revoke", user.address, "phone", check=False).returncode == 67
    again = add(server, user, "phone")
    enter(server, again)
    refused(server, phone)


def test_revoked_in_the_middle_of_a_login(server):
    """Between challenge and proof, and between the server's last word and the client's."""
    user = server.user()
    phone = add(server, user, "phone")
    with contextlib.closing(raw.Imap(server.port("imap"))) as c:
        scram = raw.Scram(phone)
        tag = c.start("AUTHENTICATE SCRAM-SHA-256 " + scram.first)
        challenge = c.sasl_challenge(tag)
        server.run("app-password", "revoke", user.address, "phone")
        c.send(scram.final(challenge).encode() + b"\r\n")
        with pytest.raises(raw.Refused, match="AUTHENTICATIONFAILED"):
            c.sasl_challenge(tag)
    phone = add(server, user, "phone")
    with contextlib.closing(raw.Imap(server.port("imap"))) as c:
        scram = raw.Scram(phone)
        tag = c.start("AUTHENTICATE SCRAM-SHA-256 " + scram.first)
        c.send(scram.final(c.sasl_challenge(tag)).encode() + b"\r\n")
        scram.check(c.sasl_challenge(tag))
        server.run("app-password", "revoke", user.address, "phone")
        c.send(b"\r\n")
        with pytest.raises((OSError, raw.Refused)):
            c.finish(tag)
            c.command("NOOP")
            c.command("NOOP")


def test_protocols(server):
    user = server.user()
    reader = add(server, user, "reader", "--protocols", "imap,pop")
    sender = add(server, user, "sender", "--protocols", "submission")
    enter(server, reader, "imap", "pop3")
    enter(server, sender, "submission")
    refused(server, reader, "submission")
    refused(server, sender, "pop3", match="SYS/PERM")
    refused(server, sender, "imap", match="CONTACTADMIN")
    server.run("user", "set", user.address, "--pop", "off")
    refused(server, reader, "pop3", match="SYS/PERM")
    enter(server, reader, "imap")


def change(server, statement, *values):
    db = sqlite3.connect(os.path.join(server.data, "directory.db"), timeout=30)
    with db:
        db.execute(statement, values)
    db.close()


def test_expiry_and_networks(server):
    user = server.user()
    short = add(server, user, "short", "--expires", "1d")
    near = add(server, user, "near", "--network", "127.0.0.0/8,2001:db8::/32")
    far = add(server, user, "far", "--network", "192.0.2.0/24")
    day = add(server, user, "day", "--expires", "2999-12-31")
    for kind in (short, near, day):
        enter(server, kind)
    refused(server, far, "imap", match="AUTHENTICATIONFAILED|Wrong user name")
    refused(server, far, "pop3", "submission")
    rows = listed(server, "app-password", user)
    assert 86300 < rows["short"]["expires"] - time.time() <= 86400 and rows["near"]["expires"] is None
    assert rows["far"]["networks"] == ["192.0.2.0/24"] and rows["near"]["networks"] == ["127.0.0.0/8", "2001:db8::/32"]
    assert "2999-12-31" in server.run("app-password", "list", user.address)
    change(server, "UPDATE app_passwords SET expires_s=1000 WHERE name='short'")
    refused(server, short)
    assert "expired" in server.run("app-password", "list", user.address)
    enter(server, near)


def test_the_main_password_and_the_user(server):
    user = server.user()
    phone = add(server, user, "phone")
    assert "app-password list" in server.run("passwd", user.address, "--password-file", "-", stdin=b"another one 8\n")
    enter(server, phone)
    enter(server, user._replace(password="another one 8"))
    refused(server, user, "imap")
    server.run("user", "disable", user.address)
    refused(server, phone)
    server.run("user", "enable", user.address)
    enter(server, phone, "imap")
    server.run("user", "remove", user.address, "--yes")
    refused(server, phone)
    server.add_user(user.address, "correct horse 7")
    assert listed(server, "app-password", user) == {}
    assert "app-password" not in server.run("passwd", user.address, "--password-file", "-", stdin=b"yet another 9\n")
    refused(server, phone, "imap")


def test_a_backup_has_them(server, tmp_path):
    user = server.user()
    server.append(user, MESSAGE)
    phone = add(server, user, "phone", "--expires", "30d")
    gone = add(server, user, "revoked later")
    enter(server, phone)
    before = listed(server, "app-password", user)  # so that it is written
    server.run("backup", str(tmp_path))
    server.run("app-password", "revoke", user.address, "revoked later")
    server.run("restore", str(tmp_path), user.address)
    refused(server, gone, "imap")  # who is there keeps what is there
    server.run("user", "remove", user.address, "--yes")
    refused(server, phone, "imap")
    server.run("restore", str(tmp_path), user.address)
    assert listed(server, "app-password", user) == before
    enter(server, phone)
    enter(server, user, "imap")


@pytest.mark.parametrize("words,code,match", [
    ((), 64, "barid app-password add"),
    (("nothing",), 64, "barid app-password add"),
    (("add",), 64, "Say which address"),
    (("add", "USER"), 64, "Say what you call it"),
    (("revoke", "USER"), 64, "Say what you call it"),
    (("add", "USER", "a", "b"), 64, "barid app-password add"),
    (("list",), 64, "Say which address"),
    (("list", "USER", "a"), 64, "barid app-password add"),
    (("list", "USER", "--expires", "1d"), 64, "no option"),
    (("add", "USER", "a", "--nothing"), 64, "no option"),
    (("add", "USER", "a", "--expires"), 64, "needs a value"),
    (("add", "USER", "a", "--expires", "0d"), 64, "--expires"),
    (("add", "USER", "a", "--expires", "36501d"), 64, "--expires"),
    (("add", "USER", "a", "--expires", "2999-02-29"), 64, "--expires"),
    (("add", "USER", "a", "--expires", "2999-13-01"), 64, "--expires"),
    (("add", "USER", "a", "--expires", "2001-01-01"), 64, "--expires"),
    (("add", "USER", "a", "--expires", "tomorrow"), 64, "--expires"),
    (("add", "USER", "a", "--protocols", "imap,ftp"), 64, "--protocols"),
    (("add", "USER", "a", "--protocols", ""), 64, "--protocols"),
    (("add", "USER", "a", "--network", "192.0.2.0/33"), 64, "--network"),
    (("add", "USER", "a", "--network", ",".join(["::1"] * 11)), 64, "--network"),
    (("add", "USER", "a\nb"), 65, "name"),
    (("add", "USER", "x" * 101), 65, "name"),
    (("add", "nobody@barid.test", "a"), 67, "no user"),
    (("add", "USER", "there"), 73, "already"),
    (("revoke", "USER", "a"), 67, "no app password"),
    (("list", "nobody@barid.test"), 67, "no user"),
])
def test_wrong_words(unserved, words, code, match):
    done = unserved.run("app-password", *[unserved.address if w == "USER" else w for w in words], check=False)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == code, text
    assert match in text


@pytest.fixture(scope="module")
def unserved():
    s = Server()
    user = s.user()
    s.address = user.address
    add(s, user, "there")
    yield s
    s.close()


def test_as_many_as_there_may_be(unserved):
    user = unserved.user()
    for n in range(25):
        add(unserved, user, f"device {n}")
    done = unserved.run("app-password", "add", user.address, "one more", check=False)
    assert done.returncode == 73 and b"25" in done.stderr
    unserved.run("app-password", "revoke", user.address, "device 3")
    add(unserved, user, "one more")
    with pytest.raises(ServerError):
        add(unserved, user, "two more")


def test_texts(unserved):
    user = unserved.user("omar")
    assert "no app password" in unserved.run("app-password", "list", user.address)
    shown = unserved.run("app-password", "add", user.address, "My phone")
    password = re.search(r"^    (\S+)$", shown, re.M).group(1)
    assert len(password) == 19 and f"revoke {user.address} 'My phone'" in shown
    for words in (("app-password", "list"), ("device", "list")):
        for lang in ("en", "ar"):
            text = unserved.run("--lang", lang, *words, user.address)
            assert "My phone" in text and password not in text
    assert "main password" in unserved.run("device", "list", user.address)
    assert "لم تُستعمل" in unserved.run("--lang", "ar", "device", "list", user.address)
    for words in (("device",), ("device", "show", "x"), ("device", "list"), ("device", "list", "a", "b")):
        assert unserved.run(*words, check=False).returncode == 64
    assert unserved.run("device", "list", "nobody@barid.test", check=False).returncode == 67
