"""Quota: the owner is warned once, a full mailbox is refused by the policy of the server, deleting always works."""
import contextlib
import os
import signal
import smtplib
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from server import Server  # noqa: E402

QUOTA = 102_400


def message(n, size=9_216):
    return f"From: a@example.org\r\nSubject: {n}\r\n\r\n".encode() + (b"y" * 70 + b"\r\n") * (size // 72)


@pytest.fixture
def server():
    with Server() as s:
        yield s


def warnings(server, user):
    return [m for m in server.bodies(user).values() if b"Your mailbox is filling up" in m]


def clear(server, user, mailbox="INBOX"):
    c = server.imap(user)
    c.select(mailbox)
    assert c.store("1:*", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert c.expunge()[0] == "OK"
    c.logout()


def test_the_owner_is_warned_once(server):
    user = server.user(quota=QUOTA)
    c = server.imap(user)
    for mailbox, size in (("Trash", 20_480), ("Junk", 10_240)):
        assert c.append(mailbox, None, None, message("old", size))[0] == "OK"
    c.append("INBOX", None, '"01-Jan-2020 10:00:00 +0000"', message("ancient", 15_360))
    c.logout()
    for n in range(3):
        server.deliver(user, message(n))
    assert warnings(server, user) == []
    server.deliver(user, message(3))
    said = warnings(server, user)
    assert len(said) == 1
    text = said[0].decode()
    for part in ("that is 81%", "أي 81%", "100.0 KB", "Trash: 20.0 KB", "Junk: 10.0 KB", "older: 15.0 KB", "المهملات: 20.0 KB",
                 "POP3", f"To: <{user.address}>"):
        assert part in text, part
    server.stop()
    server.start()
    server.deliver(user, message(4, 2_000))
    assert len(warnings(server, user)) == 1
    clear(server, user)
    server.deliver(user, message(5, 2_000))  # there is room
    assert warnings(server, user) == []
    for n in range(6):
        server.deliver(user, message(n))
    assert len(warnings(server, user)) == 1  # and again
    assert server.run("fsck", user.address, check=False).returncode == 0


def fill(server, user):
    for n in range(50):
        try:
            server.deliver(user, message(n))
        except smtplib.SMTPRecipientsRefused as e:
            return list(e.recipients.values())[0]
        except smtplib.SMTPDataError as e:
            return e.smtp_code, e.smtp_error
    return pytest.fail("the quota stops nothing")


@pytest.mark.parametrize(("config", "wanted"), [({}, (452, b"4.2.2")), ({"quota.full": "refuse"}, (552, b"5.2.2"))])
def test_a_full_mailbox(config, wanted):
    with Server(config=config) as server:
        user = server.user(quota=QUOTA)
        code, text = fill(server, user)
        assert (code, text[:5]) == wanted
        with contextlib.closing(smtplib.SMTP("127.0.0.1", server.port("smtp"), local_hostname="client.test")) as c:
            c.ehlo()
            with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)) as e:
                c.sendmail("a@example.org", [user.address], message("late", 30_000))
            said = e.value.recipients[user.address] if hasattr(e.value, "recipients") else (e.value.smtp_code, e.value.smtp_error)
            assert (said[0], said[1][:5]) == wanted
        c = server.imap(user)
        kind, answer = c.append("INBOX", None, None, message("mine", 30_000))
        assert kind == "NO" and b"[OVERQUOTA]" in answer[0]
        c.select("INBOX")
        kind, answer = c.copy("1:*", "Archive")
        assert kind == "NO" and b"[OVERQUOTA]" in answer[0]
        assert c.uid("MOVE", "1:2", "Trash")[0] == "OK"
        c.logout()
        clear(server, user)
        clear(server, user, "Trash")
        server.deliver(user, message("fits"))


def test_many_messages_in_one_command_are_refused_before_they_come(server):
    user = server.user(quota=QUOTA)
    c = server.imap(user)
    c.send(b"z1 APPEND INBOX {60000}\r\n")
    assert c.readline().startswith(b"+")
    c.send(b"y" * 60_000 + b" {60000}\r\n")
    assert c.readline().startswith(b"z1 NO [OVERQUOTA]")
    # one that does not wait is read to its end, and none of it is filed
    c.send(b"z2 APPEND INBOX {60000+}\r\n" + b"y" * 60_000 + b" {60000+}\r\n" + b"y" * 60_000 + b"\r\n")
    assert c.readline().startswith(b"z2 NO [OVERQUOTA]")
    assert c.select("INBOX")[1] == [b"0"]
    c.send(b"z3 APPEND INBOX {50000+}\r\n" + b"y" * 50_000 + b" {50000+}\r\n" + b"y" * 50_000 + b"\r\n")
    assert [c.readline()[:4] for _ in range(3)] == [b"* 2 ", b"* 2 ", b"z3 O"]
    c.logout()


def test_many_at_once_warn_once(server):
    user = server.user(quota=QUOTA)
    c = server.imap(user)
    c.append("INBOX", None, None, message("most", 78_000))
    c.logout()
    start = threading.Barrier(12)

    def send(n):
        start.wait()
        server.deliver(user, message(n, 1_000))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(warnings(server, user)) == 1


def test_a_sender_who_reached_somebody_is_not_told_for_good():
    """Else the message would be sent to all once more."""
    with Server(config={"quota.full": "refuse"}) as server:
        roomy, full = server.user(), server.user(quota=QUOTA)
        with contextlib.closing(smtplib.SMTP("127.0.0.1", server.port("smtp"), local_hostname="client.test")) as c:
            with pytest.raises(smtplib.SMTPDataError) as e:
                c.sendmail("a@example.org", [roomy.address, full.address], message("large", QUOTA + 10_000))
            assert e.value.smtp_code == 452
            c.sendmail("a@example.org", [roomy.address, full.address], message("small", 1_000))
            with pytest.raises(smtplib.SMTPDataError) as e:
                c.sendmail("a@example.org", [full.address], message("large", QUOTA + 10_000))
            assert e.value.smtp_code == 552
        assert len(server.bodies(roomy)) == 2


@pytest.mark.parametrize("protocol", ["lmtp", "smtp"])
@pytest.mark.parametrize("config", [{}, {"quota.full": "refuse"}], ids=["wait", "refuse"])
def test_one_full_mailbox_of_an_alias_keeps_nobody_waiting(protocol, config):
    """Wherever it stands in the list; and when the message comes again, nobody has it twice."""
    with Server(config=config) as server:
        users = [server.user(name, quota=QUOTA if name == "layla" else None) for name in ("amal", "layla", "omar")]
        server.run("alias", "add", "team@barid.test", *[u.address for u in users])
        large = message("large", QUOTA + 10_000)

        def send():
            if protocol == "lmtp":
                c = server.lmtp()
            else:
                c = smtplib.SMTP("127.0.0.1", server.port("smtp"), local_hostname="client.test")
            with contextlib.closing(c):
                try:
                    c.sendmail("a@example.org", ["team@barid.test"], large)
                    return 250
                except smtplib.SMTPRecipientsRefused as e:
                    return list(e.recipients.values())[0][0]
                except smtplib.SMTPDataError as e:
                    return e.smtp_code

        for _ in range(2):
            assert send() == 452
            assert [len(server.bodies(u)) for u in users] == [1, 0, 1]
        fill(server, users[1])  # it takes nothing more: still no reason for the others to wait
        before = len(server.bodies(users[1]))
        assert send() == 452
        clear(server, users[1])
        server.run("user", "set", users[1].address, "--quota", "1G")
        assert send() == 250
        assert [len(server.bodies(u)) for u in users] == [1, 1, 1]
        assert before > 0


@pytest.mark.parametrize("protocol", ["lmtp", "smtp"])
def test_an_alias_gets_every_message(server, protocol):
    """What tells a message that comes again from another one is the message, not who sent it."""
    users = [server.user(name) for name in ("amal", "layla")]
    server.run("alias", "add", "family@barid.test", *[u.address for u in users])
    for n in (1, 2, 2, 3):
        with contextlib.closing(server.lmtp() if protocol == "lmtp" else
                                smtplib.SMTP("127.0.0.1", server.port("smtp"), local_hostname="client.test")) as c:
            c.sendmail("a@example.org", ["family@barid.test"], message(n, 1_000))
    for user in users:
        subjects = sorted(m.split(b"Subject: ")[1][:1] for m in server.bodies(user).values())
        assert subjects == [b"1", b"2", b"3"]


def test_no_warning_where_none_is_wanted():
    with Server(config={"quota.warn_percent": "0"}) as server:
        user = server.user(quota=QUOTA)
        fill(server, user)
        assert warnings(server, user) == []


def test_messages_count_too(server):
    user = server.user()
    server.run("user", "set", user.address, "--quota-messages", "10")
    for n in range(8):
        server.deliver(user, message(n, 100))
    said = warnings(server, user)
    assert len(said) == 1 and b"8 of 10 messages are used" in said[0]


def test_the_mark_follows_the_configuration():
    """Also of mail that goes out from here and comes back in: it is delivered by another way."""
    with Server(config={"quota.warn_percent": "95"}) as server:
        user, sender = server.user(quota=QUOTA), server.user()

        def send(n):
            before = len(server.bodies(user))
            with contextlib.closing(smtplib.SMTP("127.0.0.1", server.port("submission"), local_hostname="client.test")) as c:
                c.login(sender.address, sender.password)
                c.sendmail(sender.address, [user.address], message(n, 1_000).replace(b"a@example.org", sender.address.encode()))
            deadline = time.monotonic() + 30
            while len(server.bodies(user)) == before:
                assert time.monotonic() < deadline, "not delivered"
                time.sleep(0.02)

        server.deliver(user, message("much", 85_000))
        send(1)
        assert warnings(server, user) == []
        server.extra["quota.warn_percent"] = "50"
        server._write_config()
        server.process.send_signal(signal.SIGHUP)
        for n in range(12):
            send(n)
            if warnings(server, user):
                break
        assert len(warnings(server, user)) == 1
