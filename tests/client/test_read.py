"""barid read and barid save: one message of a server, as text and as files."""
import base64
import os

import pytest

import client as lib_client
from test_oneoff import Box, box  # noqa: F401  the fixture is used by its name

ATTACHED = bytes(range(256)) * 40


def mixed(name="تقرير.pdf", html=False):
    text = "<p>السلام <b>عليكم</b></p><script>bad()</script>" if html else "السلام عليكم\r\nline two"
    word = "=?utf-8?b?" + base64.b64encode(name.encode()).decode() + "?="
    return (f"From: =?utf-8?b?{base64.b64encode('سلمى'.encode()).decode()}?= <salma@x.test>\r\nTo: omar@x.test\r\n"
            f"Subject: =?utf-8?b?{base64.b64encode('اجتماع'.encode()).decode()}?=\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n"
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
            f"Content-Type: text/{'html' if html else 'plain'}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            f"{base64.encodebytes(text.encode()).decode()}\r\n--b\r\n"
            f'Content-Type: application/pdf; name="{word}"\r\nContent-Disposition: attachment; filename="{word}"\r\n'
            f"Content-Transfer-Encoding: base64\r\n\r\n{base64.encodebytes(ATTACHED).decode()}\r\n--b--\r\n").replace("\n", "\r\n").replace("\r\r\n", "\r\n").encode()


def test_read(box):
    box.append("INBOX", mixed())
    done = box.home.barid("read", "INBOX", "1", "--peek")
    assert done.returncode == 0, done
    for text in ("سلمى", "اجتماع", "السلام عليكم\nline two\n", "[2]", "تقرير.pdf", "application/pdf", "--attachments"):
        assert text in done.stdout, (text, done.stdout)
    assert "\r" not in done.stdout and "PGP" not in done.stdout and "AAEC" not in done.stdout
    assert "\\Seen" not in box.flags("INBOX")[1]
    assert box.home.barid("read", "INBOX", "1").returncode == 0
    assert "\\Seen" in box.flags("INBOX")[1]
    for word, code in (("2", 66), ("0", 64), ("1:2", 64), ("x", 64)):
        assert box.home.barid("read", "INBOX", word).returncode == code, word
    assert box.home.barid("read", "Nowhere", "1").returncode == 66
    assert "الموضوع: " in box.home.barid("read", "INBOX", "1", "--lang", "ar").stdout
    assert "لا توجد رسالة" in box.home.barid("read", "INBOX", "9", "--lang", "ar").stderr


def test_html_as_text_and_plain_first(box):
    both = (b"Subject: two\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain words\r\n"
            b"--b\r\nContent-Type: text/html\r\n\r\n<b>html words</b>\r\n--b--\r\n")
    box.append("INBOX", mixed(html=True), both)
    out = box.home.barid("read", "INBOX", "1").stdout
    assert "السلام عليكم" in out and "<b>" not in out and "bad()" not in out
    out = box.home.barid("read", "INBOX", "2").stdout
    assert "plain words" in out and "html words" not in out


def test_nothing_of_a_stranger_reaches_the_terminal(box):
    evil = "\x1b]0;owned\x07\u202etxt.exe\x9b31m"
    box.append("INBOX", (f"From: {evil} <a@x.test>\r\nSubject: {evil}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{evil}\r\n").encode())
    out = box.home.barid("read", "INBOX", "1").stdout
    assert not any(c in out for c in "\x1b\x07\x9b\u202e"), repr(out)


def test_save(box, tmp_path):
    message = mixed()
    box.append("INBOX", message)
    for _ in range(2):
        done = box.home.barid("save", "INBOX", "1", "--to", str(tmp_path))
        assert done.returncode == 0, done
    names = sorted(os.listdir(tmp_path))
    assert names == ["اجتماع (2).eml", "اجتماع.eml"]  # the first was not touched
    assert all((tmp_path / n).read_bytes() == message for n in names)
    done = box.home.barid("save", "INBOX", "1", "--attachments", "--to", str(tmp_path))
    assert done.returncode == 0 and "تقرير.pdf" in done.stdout
    assert (tmp_path / "تقرير.pdf").read_bytes() == ATTACHED
    done = box.home.barid("save", "INBOX", "1", "--part", "1", "--to", str(tmp_path))
    assert done.returncode == 0 and "السلام عليكم" in (tmp_path / "part-1.txt").read_text()
    assert box.home.barid("save", "INBOX", "1", "--part", "7", "--to", str(tmp_path)).returncode == 65
    assert box.home.barid("save", "INBOX", "7", "--to", str(tmp_path)).returncode == 66
    assert box.home.barid("save", "INBOX", "1", "--to", str(tmp_path / "none")).returncode == 73
    assert len(os.listdir(tmp_path)) == 4 and "\\Seen" not in box.flags("INBOX")[1]


@pytest.mark.parametrize("name", ["../../evil.sh", "/etc/passwd", ".bashrc", "a\u202etxt.exe", "CON", "x" * 400 + ".pdf", "a/b\\c:d"])
def test_names_of_strangers(box, tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    box.append("INBOX", mixed(name))
    done = box.home.barid("save", "INBOX", "1", "--attachments", "--to", str(folder))
    assert done.returncode == 0, done
    assert os.listdir(tmp_path) == ["in"]
    [saved] = os.listdir(folder)
    assert not saved.startswith(".") and "\u202e" not in saved and len(saved.encode()) <= 255
    assert (folder / saved).read_bytes() == ATTACHED


def test_memory_with_a_large_message(home, server, tmp_path):
    box = Box(home, server.port("imap"), server.user())
    box.append("INBOX", b"Subject: small\r\n\r\nx\r\n", b"Subject: big\r\n\r\n" + (b"y" * 74 + b"\r\n") * 400000)
    _, small = lib_client.memory_kib(home, "save", "INBOX", "1", "--to", str(tmp_path))
    code, large = lib_client.memory_kib(home, "save", "INBOX", "2", "--to", str(tmp_path))
    assert code == 0 and os.path.getsize(tmp_path / "big.eml") > 30000000
    if not lib_client.asan():
        assert large - small < 2 << 10, (small, large)


def test_a_full_disk_leaves_nothing(shim, home, server, tmp_path):
    box = Box(home, server.port("imap"), server.user())
    box.append("INBOX", mixed())
    for call in ("write", "sync", "rename"):
        home.barid("save", "INBOX", "1", "--to", str(tmp_path), env=shim.arm(home))
        for name in os.listdir(tmp_path):
            os.unlink(tmp_path / name)
        for n in range(1, shim.counts()[call] + 1):
            done = home.barid("save", "INBOX", "1", "--to", str(tmp_path), env=shim.arm(home, call, lib_client.ERRNO, 28, n))
            left = os.listdir(tmp_path)
            assert left in ([], ["اجتماع.eml"]) and (left or done.returncode), (call, n, done)  # whole, or not at all
            for name in left:
                assert (tmp_path / name).read_bytes() == mixed()
                os.unlink(tmp_path / name)
