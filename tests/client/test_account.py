"""barid account: add with servers that are named, list, remove; and a person at a terminal."""
import fcntl
import json
import os
import pty
import select
import subprocess
import termios
import time

import pytest

from server import barid_program


@pytest.fixture
def user(barid):
    return barid.user()


def run(home, *words, stdin=b""):
    return home.barid("account", *words, stdin=stdin)


def named(barid, user):
    return [user.address, "--imap", f"127.0.0.1:{barid.port('imap')}:none", "--pop3", f"127.0.0.1:{barid.port('pop3')}:none",
            "--smtp", f"127.0.0.1:{barid.port('submission')}:none", "--name", "mine"]


def test_add_sync_remove(barid, home, user):
    barid.deliver(user, b"Subject: number 1\r\nMessage-ID: <1@x.test>\r\n\r\nhello\r\n")
    done = run(home, "add", *named(barid, user), "--receive", "imap", stdin=user.password.encode() + b"\n")
    assert done.returncode == 0, done.stderr
    assert home.barid("sync").returncode == 0
    new = os.listdir(os.path.join(home.folder, "Mail/mine/INBOX/new"))
    assert len(new) == 1
    listed = json.loads(run(home, "list", "--json").stdout)
    assert [a["address"] for a in listed] == [user.address] and listed[0]["imap"]["security"] == "none"
    assert "mine" in run(home, "list").stdout
    again = run(home, "add", *named(barid, user), stdin=b"x\n")
    assert again.returncode == 64 and "already" in again.stderr
    assert run(home, "remove", "mine").returncode == 0
    assert json.loads(run(home, "list", "--json").stdout) == []
    assert os.listdir(os.path.join(home.folder, "Mail/mine/INBOX/new")) == new, "its mail stays"


def test_pop3(barid, home, user):
    barid.deliver(user, b"Subject: number 1\r\n\r\nhello\r\n")
    barid.run("pop", user.address, "window=all")
    done = run(home, "add", *named(barid, user), "--receive", "pop3", stdin=user.password.encode() + b"\n")
    assert done.returncode == 0 and "barid fetch mine" in done.stdout, done.stderr
    assert home.barid("fetch").returncode == 0


def test_wrong_password_writes_nothing(barid, home, user):
    done = run(home, "add", *named(barid, user), "--receive", "imap", stdin=b"wrong\n")
    assert done.returncode == 77 and "refuses user or password" in done.stderr
    assert not os.path.exists(home.conf)
    assert not os.path.exists(os.path.join(os.path.dirname(home.conf), "secrets", "mine"))


@pytest.mark.parametrize("words, code", [(["add"], 64), (["add", "a@b.test", "--receive", "jmap"], 64), (["add", "a@b.test", "--name"], 64),
                                         (["add", "a@b.test", "--fast"], 64), (["remove", "nobody"], 64), (["what"], 64), ([], 64),
                                         (["add", "a@b.test", "--imap", "x.test:70000"], 64),
                                         (["add", "a@b.test", "--imap", "x.test:143:none", "--no-login"], 64)])
def test_wrong_use(home, words, code):
    done = run(home, *words, stdin=b"pw\n")
    assert done.returncode == code and done.stderr, done
    assert not os.path.exists(home.conf)


class Terminal:
    """A person: waits for a text, types an answer."""

    def __init__(self, home, *words):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([barid_program(), *words], stdin=slave, stdout=slave, stderr=slave, env=home.env,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.seen = ""

    def expect(self, text):
        end = time.monotonic() + 30
        at = len(self.seen)
        while text not in self.seen[at:]:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} did not come: {self.seen!r}"
            try:
                self.seen += os.read(self.master, 4096).decode("utf-8", "replace")
            except OSError:
                assert text in self.seen[at:], self.seen
                return

    def type(self, text):
        os.write(self.master, text.encode() + b"\n")

    def end(self):
        code = self.process.wait(60)
        os.close(self.master)
        return code


@pytest.mark.parametrize("answer, verb", [("1", "sync"), ("", "sync"), ("2", "fetch"), ("pop3", "fetch")])
def test_a_person_chooses(barid, home, user, answer, verb):
    terminal = Terminal(home, "account", "add", *named(barid, user))
    terminal.expect("Which one? [1]")
    assert "Other devices do not see what you do here" in terminal.seen
    terminal.type(answer)
    terminal.expect("assword")
    terminal.type(user.password)
    terminal.expect(f"barid {verb} mine")
    assert terminal.end() == 0
    assert user.password not in terminal.seen, "it is not shown"


def test_removed_and_added_again(barid, home, user):
    """The password that was kept goes with the account; a file of the person's own stays."""
    secrets = os.path.join(os.path.dirname(home.conf), "secrets")
    for _ in range(2):
        done = run(home, "add", *named(barid, user), "--receive", "imap", stdin=user.password.encode() + b"\n")
        assert done.returncode == 0 and os.listdir(secrets) == ["mine"], done.stderr
        assert run(home, "remove", "mine").returncode == 0 and os.listdir(secrets) == []
    own = home.file("own", user.password + "\n")
    assert run(home, "add", *named(barid, user), "--receive", "imap", "--password-file", own).returncode == 0
    assert run(home, "remove", "mine").returncode == 0 and os.path.exists(own)


def test_names_of_a_family(home):
    """Local parts that are no plain word, two of them at one name: each account has a name of its own before anything is kept under it."""
    names = []
    for address in ("سلمى@a.test", "ليلى@a.test", "omar+lists@a.test", "a/b@a.test", "c/d@a.test", "omar@a.test", "omar@b.test"):
        done = run(home, "add", address, "--imap", "imap.a.test", "--receive", "imap", "--no-login")
        assert done.returncode == 0, done.stderr
    names = [a["name"] for a in json.loads(run(home, "list", "--json").stdout)]
    assert names == ["mail", "ليلى@a.test", "omar+lists@a.test", "mail-2", "mail-3", "omar", "omar@b.test"]


@pytest.mark.parametrize("word, host, port", [("[::1]:1143:none", "::1", 1143), ("[::1]", "::1", 993), ("192.0.2.1:143", "192.0.2.1", 143)])
def test_addresses_of_servers(home, word, host, port):
    done = run(home, "add", "a@b.test", "--imap", word, "--receive", "imap", "--no-login")
    assert done.returncode == 0, done.stderr
    imap = json.loads(run(home, "list", "--json").stdout)[0]["imap"]
    assert (imap["host"], imap["port"]) == (host, port)


def test_an_address_from_a_sentence(home):
    assert run(home, "add", "a@b.test.", "--imap", "imap.b.test", "--receive", "imap", "--no-login").returncode == 0
    assert json.loads(run(home, "list", "--json").stdout)[0]["address"] == "a@b.test"


@pytest.mark.parametrize("mode, text", [(0o644, None), (0o600, b"\nsecond\n")])
def test_a_password_file_that_would_be_refused(barid, home, user, mode, text):
    """Else the account is there, and every command after it says what was wrong."""
    own = home.file("own", text or user.password + "\n", mode)
    done = run(home, "add", *named(barid, user), "--receive", "imap", "--password-file", own)
    assert done.returncode == 66 and own in done.stderr, done
    assert not os.path.exists(home.conf)
