"""imaplib, poplib and smtplib."""
import email.message
import email.policy
import imaplib
import poplib
import random
import smtplib

import pytest
from conftest import arrived, assert_same_with_trace, message, messages


@pytest.mark.parametrize("tls", ["plain", "starttls", "tls"])
def test_imaplib(server, user, tls):
    if tls == "starttls":
        c = server.imap()
        c.starttls(server.tls())
        c.login(user.address, user.password)
    else:
        c = server.imap(user, tls=tls == "tls")
    sent = messages("noor@example.org", user.address)
    assert c.create("Work")[0] == "OK"
    for m in sent:
        assert c.append("Work", "(\\Seen)", None, m)[0] == "OK"
    assert c.select("Work") == ("OK", [str(len(sent)).encode()])
    for n, m in enumerate(sent, 1):
        kind, answer = c.fetch(str(n), "(FLAGS BODY[])")
        assert kind == "OK" and answer[0][1] == m
    assert c.store("2", "+FLAGS", "(\\Flagged)")[0] == "OK"
    assert c.search(None, "FLAGGED")[1] == [b"2"]
    assert c.search(None, "SUBJECT", '"dots"')[1] == [b"2"]
    assert c.copy("1:2", "INBOX")[0] == "OK"
    assert c.store("1", "+FLAGS", "(\\Deleted)")[0] == "OK"
    assert c.expunge() == ("OK", [b"1"])
    assert c.status("INBOX", "(MESSAGES)")[1][0].endswith(b"(MESSAGES 2)")
    assert c.logout()[0] == "BYE"
    assert len(server.bodies(user, "Work")) == len(sent) - 1


def test_imaplib_binary(server, user):
    """A part decoded by the server, one that is larger than its buffers, whole and in pieces (RFC 3516)."""
    data = random.Random(3516).randbytes(1_500_000)
    m = email.message.EmailMessage()
    m["Subject"] = "attached"
    m.set_content("see the file")
    m.add_attachment(data, maintype="application", subtype="octet-stream", filename="a.bin")
    c = server.imap(user)
    c.append("INBOX", None, None, m.as_bytes(policy=email.policy.SMTP))
    c.select("INBOX")
    assert c.fetch("1", "(BINARY.SIZE[2])")[1] == [b"1 (BINARY.SIZE[2] %d)" % len(data)]
    for offset, size in ((0, len(data)), (0, 10), (262143, 2), (700_000, 600_000), (1_499_999, 5), (1_500_000, 1)):
        wanted = data[offset:offset + size]
        c.send(b"x FETCH 1 (BINARY.PEEK[2]<%d.%d>)\r\n" % (offset, size))
        head = c.readline()
        assert head == b"* 1 FETCH (BINARY[2]<%d> ~{%d}\r\n" % (offset, len(wanted))
        assert c.read(len(wanted)) == wanted
        assert c.readline() == b")\r\n"
        assert c.readline().startswith(b"x OK")
    c.logout()


def test_imaplib_wrong_password(server, user):
    c = server.imap(tls=True)
    with pytest.raises(imaplib.IMAP4.error):
        c.login(user.address, "wrong")
    c.logout()


@pytest.mark.parametrize("tls", ["plain", "stls", "tls"])
def test_poplib(server, user, tls):
    sent = messages("noor@example.org", user.address)
    for m in sent:
        server.append(user, m)
    if tls == "stls":
        c = server.pop3()
        c.stls(server.tls())
        c.user(user.address)
        c.pass_(user.password)
    else:
        c = server.pop3(user, tls=tls == "tls")
    assert c.stat() == (len(sent), sum(map(len, sent)))
    uidls = c.uidl()[1]
    for n, m in enumerate(sent, 1):
        assert b"\r\n".join(c.retr(n)[1]) + b"\r\n" == m
        head = b"\r\n".join(c.top(n, 0)[1]) + b"\r\n"
        assert m.startswith(head.rstrip(b"\r\n"))
    c.dele(1)
    c.rset()
    c.dele(2)
    c.quit()
    c = server.pop3(user)
    assert c.stat()[0] == len(sent) - 1
    assert [u.split()[1] for u in c.uidl()[1]] == [u.split()[1] for n, u in enumerate(uidls, 1) if n != 2]
    c.quit()


def test_poplib_switched_off(server):
    without = server.user("salma", pop=False)
    c = server.pop3()
    c.user(without.address)
    with pytest.raises(poplib.error_proto, match="SYS/PERM"):
        c.pass_(without.password)


@pytest.mark.parametrize("how", ["starttls", "tls"])
def test_smtplib_submission(server, user, other, how):
    if how == "tls":
        c = smtplib.SMTP_SSL("localhost", server.port("submissions"), context=server.tls(), timeout=20)
    else:
        c = smtplib.SMTP("localhost", server.port("submission"), timeout=20)
        c.starttls(context=server.tls())
    c.login(user.address, user.password)
    sent = messages(user.address, other.address)
    for m in sent:
        c.sendmail(user.address, [other.address], m, mail_options=["BODY=8BITMIME"])
    c.quit()
    assert_same_with_trace(arrived(server, other, len(sent)), sent)
    in_sent = arrived(server, user, len(sent), "Sent")
    assert all(any(s.endswith(m) for s in in_sent) for m in sent)


def test_smtplib_must_own_the_sender(server, user, other):
    c = smtplib.SMTP_SSL("localhost", server.port("submissions"), context=server.tls(), timeout=20)
    c.login(user.address, user.password)
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        c.sendmail(other.address, [user.address], message(other.address, user.address))
    assert 500 <= refused.value.smtp_code < 600
    c.close()


def test_smtplib_from_outside(server, user):
    c = smtplib.SMTP("127.0.0.1", server.port("smtp"), local_hostname="client.test", timeout=20)
    sent = messages("noor@example.org", user.address)
    for m in sent:
        c.sendmail("noor@example.org", [user.address], m, mail_options=["BODY=8BITMIME"])
    with pytest.raises(smtplib.SMTPRecipientsRefused):  # no open relay
        c.sendmail("noor@example.org", ["someone@example.net"], sent[0])
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        c.sendmail("noor@example.org", ["nobody-here@barid.test"], sent[0])
    c.quit()
    assert_same_with_trace(arrived(server, user, len(sent)), sent)


def test_smtplib_lmtp(server, user, other):
    sent = messages("noor@example.org", user.address)
    with server.lmtp() as c:
        c.ehlo()
        for m in sent:
            assert c.mail("noor@example.org", ["BODY=8BITMIME"])[0] == 250
            assert [c.rcpt(a.address)[0] for a in (user, other)] == [250, 250]
            # smtplib reads one answer after the dot; LMTP gives one for each recipient (RFC 2033 §4.2)
            assert c.data(m)[0] == 250
            assert c.getreply()[0] == 250
    assert_same_with_trace(arrived(server, user, len(sent)), sent)
    assert_same_with_trace(arrived(server, other, len(sent)), sent)


def test_sub_addresses(server, user):
    """user+tag goes into the mailbox of that name if there is one, and into INBOX otherwise."""
    with server.imap(user) as c:
        assert c.create("Lists")[0] == "OK"
    for tag in ("Lists", "nosuch"):
        with server.lmtp() as c:
            address = user.address.replace("@", f"+{tag}@")
            assert c.sendmail("noor@example.org", [address], messages("noor@example.org", address)[0]) == {}
    arrived(server, user, 1, "Lists")
    arrived(server, user, 1, "INBOX")
