"""The machine fails in service: a full disk, a disk that turns read-only, no descriptors left, a clock that jumps (ATTACKS F5, F8, F11, F15)."""
import contextlib
import glob
import imaplib
import os
import pathlib
import re
import resource
import smtplib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import raw  # noqa: E402
import server as lib  # noqa: E402


def message(n, size=20000):
    return b"Subject: number %d\r\n\r\n" % n + b"%060d\r\n" % n * (size // 62)


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def mounted(tmp_path, kind):
    """A small disk of its own: tmpfs with few inodes, or ext4 in a file."""
    where = str(tmp_path / "disk")
    os.mkdir(where)
    image = str(tmp_path / "image")
    try:
        if kind == "ext4":
            with open(image, "wb") as f:
                f.truncate(24 << 20)
            run(lib.have("mkfs.ext4") or "mkfs.ext4", "-q", "-F", image)
            run("mount", "-o", "loop,errors=remount-ro", image, where)
        else:
            run("mount", "-t", "tmpfs", "-o", kind, "none", where)
    except (OSError, subprocess.CalledProcessError) as e:
        pytest.skip(f"no small disk here: {e}")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=False)


@contextlib.contextmanager
def server_on(where):
    server = lib.Server(data=os.path.join(where, "data"))
    try:
        server.start()
        yield server
    finally:
        server.close()


def append(c, mailbox, data):
    return c.command(raw.append_command(mailbox, data))


def lmtp(server, user, data):
    """The reply's code."""
    with contextlib.closing(smtplib.LMTP("127.0.0.1", server.port("lmtp"), local_hostname="client.test")) as c:
        try:
            c.sendmail("sender@example.org", [user.address], data)
            return 250
        except smtplib.SMTPRecipientsRefused as e:
            return list(e.recipients.values())[0][0]
        except smtplib.SMTPResponseException as e:
            return e.smtp_code


def fill(server, user):
    """Until nothing more goes in; how many did."""
    with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
        for n in range(5000):
            try:
                append(c, "INBOX", message(n))
            except raw.Refused as e:
                assert "[UNAVAILABLE]" in str(e)
                return n
    raise AssertionError("the disk is not full yet")


@pytest.mark.parametrize("kind", ["size=16m", "size=64m,nr_inodes=70", "ext4"])
def test_a_full_disk_and_back(tmp_path, kind):
    with mounted(tmp_path, kind) as where, server_on(where) as server:
        user, other, fresh = server.user(), server.user(), server.user()
        server.append(other, message(1))
        if "inodes" in kind:
            for n in range(200):  # big bodies are files
                with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
                    try:
                        append(c, "INBOX", message(n, 200_000))
                    except raw.Refused:
                        break
            count = n
        else:
            count = fill(server, user)
        assert count > 20
        size = 200_000 if "inodes" in kind else 20_000
        assert lmtp(server, user, message(1, size)) == lmtp(server, fresh, message(1, size)) == 452
        with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
            c.command("SELECT INBOX")
            assert len(c.command("FETCH 1:* (FLAGS BODY.PEEK[])")[1]) == count
            c.command("STORE 1:* +FLAGS (\\Seen)")
            c.command("CREATE Kept")
            c.command("MOVE 1:3 Kept")
            c.command("STORE 1:10 +FLAGS (\\Deleted)")
            c.command("EXPUNGE")
            c.command("STORE 1:* +FLAGS (\\Deleted)")
            c.command("EXPUNGE")
        server.imap(fresh).logout()
        for n in range(200):  # freed pages are used again; freed files are there at once
            if lmtp(server, user, message(n, size)) == 250:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("there is room again and no mail goes in")
        assert len(server.bodies(other)) == 1
        assert server.run("fsck", "--all", check=False).returncode == 0
        server.stop()
        server.start()
        with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
            assert b"EXISTS" in b"".join(p[0] for p in c.command("SELECT Kept")[1])


def test_a_disk_filled_by_others(tmp_path):
    """Nothing at all is free: reading and logging in go on, and everything again once there is room."""
    with mounted(tmp_path, "ext4") as where, server_on(where) as server:
        user = server.user()
        for n in range(20):
            server.append(user, message(n))
        hog = os.path.join(where, "hog")
        with open(hog, "wb") as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(1 << 16))
                f.flush()
        with open(hog, "ab", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(512))
        with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
            c.command("SELECT INBOX")
            assert len(c.command("FETCH 1:* (FLAGS BODY.PEEK[])")[1]) == 20
            with pytest.raises(raw.Refused):
                append(c, "INBOX", message(21))
            c.command("SEARCH TEXT number")
            c.command("NOOP")
        assert lmtp(server, user, message(1)) == 452
        os.unlink(hog)
        assert lmtp(server, user, message(1)) == 250
        assert server.run("fsck", "--all", check=False).returncode == 0
        assert len(server.bodies(user)) == 21


def test_a_disk_that_turns_read_only(tmp_path):
    with mounted(tmp_path, "ext4") as where, server_on(where) as server:
        user = server.user()
        for n in range(5):
            server.append(user, message(n))
        device = os.path.basename(run("findmnt", "-n", "-o", "SOURCE", where).strip())
        trigger = f"/sys/fs/ext4/{device}/trigger_fs_error"
        try:
            with open(trigger, "w", encoding="ascii") as f:
                f.write("1")
        except OSError as e:
            pytest.skip(f"no way to break a disk here: {e}")
        with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
            c.command("SELECT INBOX")
            assert len(c.command("FETCH 1:* (FLAGS BODY.PEEK[])")[1]) == 5
            for command in ("STORE 1 +FLAGS (\\Flagged)", "CREATE New", raw.append_command("INBOX", message(9))):
                with pytest.raises(raw.Refused):
                    c.command(command)
            assert len(c.command("FETCH 1:* (FLAGS BODY.PEEK[])")[1]) == 5
        assert lmtp(server, user, message(9)) // 100 == 4
        with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:  # opened anew
            c.command("EXAMINE INBOX")
            assert len(c.command("FETCH 1:* (FLAGS BODY.PEEK[])")[1]) == 5
        assert server.alive()


def test_a_status_that_cannot_be_read_is_left_out_and_logged():
    """LIST goes on (RFC 5819 §2), and the log says why a STATUS is missing."""
    with lib.Server() as server:
        user = server.user()
        server.append(user, message(1))
        with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
            c.command("SELECT INBOX")  # is told what is recent: from here on rows are counted
        server.append(user, message(2))
        server.stop()
        mail_db = glob.glob(os.path.join(server.data, "accounts", "*", "mail.db"))[0]
        page = lib.rows(mail_db, "SELECT rootpage FROM sqlite_master WHERE name='entry'")[0][0]
        with open(mail_db, "r+b") as f:
            f.seek((page - 1) * 8192 + 4000)
            byte = f.read(1)
            f.seek(-1, 1)
            f.write(bytes([byte[0] ^ 1]))
        server.start()
        with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
            parts = [p[0] for p in c.command('LIST "" * RETURN (STATUS (RECENT))')[1]]
        assert any(b"LIST" in p and b"INBOX" in p for p in parts)
        assert any(b"STATUS" in p and b"Archive" in p for p in parts)
        assert not any(b"STATUS" in p and b"INBOX" in p for p in parts)
        assert "imap.list" in server.log_tail() and "mailbox=INBOX err=corrupt" in server.log_tail()


def test_no_descriptors_left():
    """Sessions that are there live on, others are refused or wait, nothing spins, and it is over when they end."""
    with lib.Server() as server:
        user = server.user()
        server.append(user, message(1))
        old = raw.Imap(server.port("imap"), user)
        old.command("SELECT INBOX")
        pid = server.process.pid
        now = len(os.listdir(f"/proc/{pid}/fd"))
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (now + 12, limit[1]))
        crowd = []
        for _ in range(30):
            with contextlib.suppress(OSError):
                crowd.append(raw.Raw(server.port("imap"), timeout=1))
        before = cpu_ticks(pid)
        for _ in range(20):
            old.command("NOOP")
            old.command("FETCH 1 BODY.PEEK[]")
            time.sleep(0.05)
        assert cpu_ticks(pid) - before < os.sysconf("SC_CLK_TCK") // 2  # of a second and more
        with contextlib.suppress(raw.Refused):
            append(old, "INBOX", message(2, 400_000))  # wants a file
        for c in crowd:
            c.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        until = time.monotonic() + 20
        while True:
            try:
                server.imap(user).logout()
                break
            except (OSError, imaplib.IMAP4.error):
                assert time.monotonic() < until
                time.sleep(0.1)
        old.command("NOOP")
        append(old, "INBOX", message(3, 400_000))
        old.close()


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def faketime():
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    return found[0] if found else None


def test_a_clock_that_jumps():
    """A day back, ten years on, past 2038: no number goes back, what was delivered stays, deadlines hold."""
    if not faketime():
        pytest.skip("libfaketime is not installed")
    with contextlib.closing(lib.Server()) as server:
        os.makedirs(server.data, mode=0o700, exist_ok=True)
        stamp = pathlib.Path(server.data) / "time"  # where a confined server can read it
        stamp.write_text("+0")
        server.env = dict(os.environ, LD_PRELOAD=faketime(), FAKETIME_TIMESTAMP_FILE=str(stamp), FAKETIME_NO_CACHE="1",
                          FAKETIME_DONT_FAKE_MONOTONIC="1",
                          ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")
        server.start()
        user = server.user()
        seen = []
        with contextlib.closing(raw.Imap(server.port("imap"), user)) as c:
            for n, offset in enumerate(["+0", "-1d", "+3650d", "+4400d", "-30d", "+0"]):
                stamp.write_text(offset)
                time.sleep(0.05)
                append(c, "INBOX", message(n))
                c.command(f"CREATE Box{n}")
                c.command("NOOP")
                status = c.command("STATUS INBOX (UIDNEXT HIGHESTMODSEQ)")[1][0][0]
                box = c.command(f"STATUS Box{n} (UIDVALIDITY)")[1][0][0]
                seen.append([int(x) for x in re.findall(rb"(?:UIDNEXT|HIGHESTMODSEQ|UIDVALIDITY) (\d+)", status + box)])
                assert lmtp(server, user, message(100 + n)) == 250
            assert all(a < b for a, b in zip(seen, seen[1:])) and all(
                x < y for a, b in zip(seen, seen[1:]) for x, y in zip(a, b)), seen
            c.command("SELECT INBOX")
            dates = [re.search(rb'INTERNALDATE "[^"]*-(\d{4}) ', p[0]).group(1) for p in c.command("FETCH 1:* INTERNALDATE")[1]]
            assert len(dates) == 12 and max(dates) == b"2038"
        assert server.run("fsck", user.address, check=False).returncode == 0
