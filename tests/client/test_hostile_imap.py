"""Servers that lie to barid sync: no secret and no mail in the clear, nothing removed here, nothing outside the Maildirs, no hang, no crash.

Where each kind of lie is tried; fetch by POP3 is in test_fetch.py, by IMAP in test_fetch_imap.py, send in test_send.py, discover in tests/discover/test_lies.py,
single commands in test_oneoff.py and test_read.py:

    PREAUTH instead of TLS                      test_no_secret_before_tls[preauth]; discover: test_a_strange_imap_server
    STARTTLS not offered, refused, garbage      test_no_secret_before_tls; fetch, send: test_no_password_without_tls; discover: test_a_bad_mail_server
    text behind its OK, and before TLS          the same ("text after OK"), test_what_came_before_tls_is_forgotten; fetch: test_capabilities_before_tls_are_forgotten;
                                                send: test_extensions_before_tls_are_forgotten
    referrals                                   test_referrals_are_not_followed
    names of folders, delimiters, INBOX         test_lies["names that lead out", "two names of one folder", "another delimiter now"], test_prefix
    suddenly empty, new UIDVALIDITY             test_lies["empty all at once"], test_sync.py: test_brake, test_new_uidvalidity
    UIDNEXT, UIDs, EXISTS that make no sense    test_lies, test_exists_shrinks_without_expunge, test_a_uid_that_is_another_message_now;
                                                fetch: test_listed_in_any_order_and_twice
    literals, lengths, depths                   test_lies, test_bodies_of_a_wrong_length; fetch: test_nonsense, test_a_message_without_end
    endless lines, answers, greetings           test_lies["line without end"], test_answers_without_end, test_greeting_without_end; fetch: test_endless;
                                                test_oneoff.py: test_answers_without_end_end; discover: test_everything_hangs
    APPENDUID, COPYUID                          test_appenduid, test_copyuid_out_of_order, test_copyuid_that_means_nothing
    escape sequences                            test_lies["escape sequences"], test_oneoff.py: test_nothing_of_a_stranger_reaches_the_terminal;
                                                fetch: test_response_codes; discover: test_names_for_a_terminal
    SCRAM                                       fetch: test_scram_with_liars; send: test_scram
    certificates                                test_certificates; fetch, send: test_certificates, test_certificate; discover: test_a_bad_mail_server
    UIDL                                        fetch: test_equal_and_broken_uidls, test_a_million_messages_too_many
    names of attachments                        test_read.py
    password files                              fetch: test_accounts_that_cannot_be_used; test_oauth.py: test_readable_by_others
"""
import base64
import contextlib
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

from capproxy import Proxy
from imapside import Mail, Mailbox
from server import User
from twosides import Client, Far, Near, message

PASSWORD = "correct horse 7"


class Liar:
    """A listener that gives each connection to `play(connection, lines)`; keeps all that it was sent."""

    def __init__(self, play, context=None):
        self.play, self.context = play, context
        self.heard = b""
        self.connections = 0
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self._run, daemon=True)
        self.accepting.start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(30)
            try:
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
                self.play(self, connection)
            except (OSError, StopIteration, ValueError):
                pass
            finally:
                connection.close()

    def line(self, connection):
        got = b""
        while not got.endswith(b"\n"):
            byte = connection.recv(1)
            if not byte:
                raise StopIteration
            got += byte
            self.heard += byte
        return got

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # a thread that waits in accept must not come back to the descriptor when it belongs to the next listener
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join(35)  # it may be in a conversation
        self.listener.close()


def client_for(tmp_path, port, security="none", host="127.0.0.1", ca=None):
    user = User("salma@barid.test", PASSWORD)
    client = Client(str(tmp_path), port, user)
    conf = os.path.join(str(tmp_path), ".config/barid/accounts.conf")
    with open(conf, encoding="utf-8") as f:
        text = f.read().replace(f"imap 127.0.0.1 {port} none", f"imap {host} {port} {security}")
    with open(conf, "w", encoding="utf-8") as f:
        f.write(text + (f"  ca-file {ca}\n" if ca else ""))
    return client


def secrets_in(heard):
    """Whether the password, or what its base64 holds, was among the bytes."""
    found = PASSWORD.encode() in heard
    for word in re.findall(rb"[A-Za-z0-9+/=]{8,}", heard):
        try:
            found |= PASSWORD.encode() in base64.b64decode(word + b"===")
        except ValueError:
            pass
    return found


def certificate(folder, name, made=()):
    """made: words before openssl, to make it at another time."""
    key, cert = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    subprocess.run([*made, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


# what a server says to STARTTLS, after its greeting; the client must stop without a secret
BEFORE_TLS = {
    "preauth": (b"* PREAUTH welcome back\r\n", None),
    "no": (b"* OK hi\r\n", b"{tag} NO not here\r\n"),
    "bad": (b"* OK hi\r\n", b"{tag} BAD what\r\n"),
    "plus": (b"* OK hi\r\n", b"+ go on\r\n"),
    "garbage": (b"* OK hi\r\n", b"\x16\x03\x01 garbage\r\n"),
    "other tag": (b"* OK hi\r\n", b"zz OK begin\r\n"),
    "text after OK": (b"* OK hi\r\n", b"{tag} OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"),
    "hang up": (b"* OK hi\r\n", b""),
    "bye": (b"* BYE go away\r\n", None),
    "not a greeting": (b"220 smtp.example.org ESMTP\r\n", None),
    "capability without starttls": (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN LOGINDISABLED] hi\r\n", b"{tag} NO\r\n"),
    "login offered in the clear": (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n", b"{tag} NO\r\n"),
    "untagged before": (b"* OK hi\r\n* LIST () \"/\" x\r\n* 5 EXISTS\r\n* 1 FETCH (UID 1)\r\n", b"{tag} NO\r\n"),
}


@pytest.mark.parametrize("name", BEFORE_TLS)
def test_no_secret_before_tls(tmp_path, name):
    greeting, answer = BEFORE_TLS[name]

    def play(liar, connection):
        connection.sendall(greeting)
        while True:
            line = liar.line(connection)
            if answer is None:
                continue
            connection.sendall(answer.replace(b"{tag}", line.split(b" ")[0]))
            if not answer:
                return
    with Liar(play) as liar:
        client = client_for(tmp_path, liar.port, "starttls", "localhost")
        done = client.run("sync", timeout=100)
        assert done.returncode not in (0, -6, -11), done
        assert done.stderr.strip(), "it says why"
        words = [w.upper() for w in re.findall(rb"^\S+ ([A-Za-z]+)", liar.heard, re.M)]
        assert set(words) <= {b"STARTTLS", b"LOGOUT"}, liar.heard
        assert not secrets_in(liar.heard)


def test_plain_only_on_loopback(tmp_path):
    """A file that asks for no TLS elsewhere is refused before anything is sent."""
    client = client_for(tmp_path, 143, "none", "mail.example.org")
    done = client.run("sync")
    assert done.returncode == 78 and "use tls or starttls" in done.stderr, done


@pytest.mark.parametrize("kind", ["wrong name", "unknown issuer", "expired"])
def test_certificates(tmp_path, kind):
    def play(liar, connection):
        connection.sendall(b"* OK hi\r\n")
        while True:
            liar.line(connection)
    context, cert = certificate(str(tmp_path), "other.example.org" if kind == "wrong name" else "localhost",
                                ["faketime", "-40 days"] if kind == "expired" else [])
    with Liar(play, context) as liar:
        client = client_for(tmp_path, liar.port, "tls", "localhost", None if kind == "unknown issuer" else cert)
        done = client.run("sync")
        assert done.returncode not in (0, -6, -11), done
        assert "certificate" in done.stderr, done.stderr
        assert liar.heard == b""


class Script:
    """An IMAP server of a few answers. `answers` maps a command's first words to what is said before its OK; {tag} in it replaces the OK."""

    def __init__(self, answers, caps="IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ UIDPLUS"):
        self.answers, self.caps = answers, caps
        self.selected = ""

    def __call__(self, liar, connection):
        connection.sendall(f"* OK [CAPABILITY {self.caps}] hi\r\n".encode())
        self.serve(liar, connection)

    def serve(self, liar, connection):
        """What comes after the greeting."""
        while True:
            line = liar.line(connection).decode("utf-8", "replace").rstrip("\r\n")
            tag, _, rest = line.partition(" ")
            literal = re.search(r"\{(\d+)\+?\}$", rest)
            if literal:
                left = int(literal.group(1)) + 2
                while left:
                    left -= len(connection.recv(left))
            said = b""
            for words, answer in self.answers.items():
                if rest.upper().startswith(words):
                    said = answer
                    break
            if b"{tag}" in said:
                connection.sendall(said.replace(b"{tag}", tag.encode()))
                if b"* BYE" in said:
                    return
                continue
            code = f" [CAPABILITY {self.caps}]" if rest.upper().startswith("AUTHENTICATE") else ""
            connection.sendall(said + f"{tag} OK{code} done\r\n".encode())


def test_a_refused_token_is_no_impostor(tmp_path):
    """The server's story of a refused token is answered (RFC 7628 §3.2.3), and the person hears that the login was refused."""
    def play(liar, connection):
        connection.sendall(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER] hi\r\n")
        tag, _, rest = liar.line(connection).partition(b" ")
        assert rest.startswith(b"AUTHENTICATE OAUTHBEARER ") and b"auth=Bearer tok" in base64.b64decode(rest.split()[2])
        connection.sendall(b"+ " + base64.b64encode(b'{"status":"invalid_token"}') + b"\r\n")
        assert liar.line(connection) == b"AQ==\r\n"
        connection.sendall(tag + b" NO [AUTHENTICATIONFAILED] expired\r\n")
        liar.line(connection)
    with Liar(play) as liar:
        client = client_for(tmp_path, liar.port)
        conf = os.path.join(str(tmp_path), ".config/barid/accounts.conf")
        with open(conf, encoding="utf-8") as f:
            lines = [line for line in f if "password-file" not in line]
        with open(conf, "w", encoding="utf-8") as f:
            f.write("".join(lines) + "  token-command echo tok\n")
        done = client.run("sync")
        assert done.returncode == 77 and "refuses user or password" in done.stderr, done


@pytest.mark.parametrize("answer, code", [(b"OK in", 0), (b"NO [AUTHENTICATIONFAILED] no", 77)])
def test_auth_login_where_login_is_disabled(tmp_path, answer, code):
    """AUTH=LOGIN is asked for without an initial response, also of a server that takes them, and answered in two steps."""
    given = []

    def play(liar, connection):
        caps = b"[CAPABILITY IMAP4rev1 SASL-IR LOGINDISABLED AUTH=LOGIN]"
        connection.sendall(b"* OK " + caps + b" hi\r\n")
        tag, _, rest = liar.line(connection).partition(b" ")
        assert rest == b"AUTHENTICATE LOGIN\r\n"
        for ask in (b"User Name\0", b""):
            connection.sendall(b"+ " + base64.b64encode(ask) + b"\r\n")
            given.append(base64.b64decode(liar.line(connection)))
        connection.sendall(tag + b" " + answer + b"\r\n")
        script = Script({"LIST": LIST, "LSUB": b"", "CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n"})
        script.serve(liar, connection)

    with Liar(play) as liar:
        done = client_for(tmp_path, liar.port).run("ls")
        assert done.returncode == code, done
        assert given[0] == b"salma@barid.test" and len(given[1]) > 3, given


@pytest.mark.parametrize("answer, code", [(b"NO [UNAVAILABLE] later\r\n", 75), (b"NO [AUTHENTICATIONFAILED] no\r\n", 77)])
def test_a_login_refused_for_now(tmp_path, answer, code):
    def play(liar, connection):
        connection.sendall(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n")
        while True:
            connection.sendall(liar.line(connection).split(b" ")[0] + b" " + answer)
    with Liar(play) as liar:
        assert client_for(tmp_path, liar.port).run("sync").returncode == code


LIST = b'* LIST (\\HasNoChildren) "/" INBOX\r\n'
SELECT = b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 3] x\r\n"
FLAGS = b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (UID 2 FLAGS ())\r\n"


def literal(number):
    data = message(number)
    return b"{%d}\r\n" % len(data) + data


BODIES = (b"* 1 FETCH (UID 1 FLAGS (\\Seen) INTERNALDATE \"26-Nov-2026 10:00:00 +0000\" BODY[] " + literal(1) + b")\r\n"
          b"* 2 FETCH (FLAGS () BODY[] " + literal(2) + b" UID 2)\r\n")
GOOD = {"LIST": LIST, "SELECT": SELECT, "UID FETCH 1:* (FLAGS)": FLAGS, "UID FETCH": BODIES}


def filled(tmp_path):
    """Two messages that came from an honest server."""
    with Liar(Script(GOOD)) as liar:
        client = client_for(tmp_path, liar.port)
        client.sync()
    near = Near(client.maildir)
    assert set(near.files("INBOX")) == {1, 2}
    return near


# (what is said instead, exit codes that are right, messages that are here afterwards)
LIES = {
    "empty all at once": ({"SELECT": b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 3] x\r\n",
                           "UID FETCH 1:* (FLAGS)": b""}, {0}, None),
    "no uidvalidity": ({"SELECT": b"* 2 EXISTS\r\n"}, {75}, {1, 2}),
    "uidnext went back": ({"SELECT": b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 2] x\r\n"}, {0}, {1, 2}),
    "uid 0": ({"UID FETCH 1:* (FLAGS)": b"* 1 FETCH (UID 0 FLAGS ())\r\n"}, {76}, {1, 2}),
    "uid 2^32": ({"UID FETCH 1:* (FLAGS)": b"* 1 FETCH (UID 4294967296 FLAGS ())\r\n"}, {76}, {1, 2}),
    "uids out of order": ({"UID FETCH 1:* (FLAGS)": FLAGS.split(b"\r\n")[1] + b"\r\n" + FLAGS.split(b"\r\n")[0] + b"\r\n"},
                          {0}, {1, 2}),
    "uids twice": ({"UID FETCH 1:* (FLAGS)": FLAGS + FLAGS}, {0}, {1, 2}),
    "a message twice": ({"UID FETCH 1:* (FLAGS)": FLAGS + b"* 3 FETCH (UID 3 FLAGS ())\r\n",
                         "UID FETCH": (b"* 3 FETCH (UID 3 FLAGS () BODY[] " + literal(3) + b")\r\n") * 2}, {0}, {1, 2, 3}),
    "a message nobody asked for": ({"SELECT": SELECT + b"* 9 FETCH (UID 9 BODY[] " + literal(9) + b")\r\n"}, {0}, {1, 2}),
    "no message after all": ({"UID FETCH 1:* (FLAGS)": FLAGS + b"* 3 FETCH (UID 3 FLAGS ())\r\n", "UID FETCH": b""}, {0}, {1, 2}),
    "literal without its end": ({"UID FETCH 1:* (FLAGS)": FLAGS + b"* 3 FETCH (UID 3 FLAGS ())\r\n",
                                 "UID FETCH": b"* 3 FETCH (UID 3 BODY[] {100}\r\nshort)\r\n{tag} OK\r\n* BYE x\r\n"}, {75, 76},
                                {1, 2}),
    "literal of 4 GB in a name": ({"LIST": b"* LIST () \"/\" {4294967295}\r\n{tag}"}, {76}, {1, 2}),
    "line without end": ({"LIST": b"* LIST () \"/\" " + b"x" * (5 << 20) + b"{tag}"}, {76}, {1, 2}),
    "deep lists": ({"LIST": b"* LIST " + b"(" * 100000 + b")" * 100000 + b"\r\n{tag} OK\r\n"}, {76}, {1, 2}),
    "bare LF": ({"LIST": b"* LIST () \"/\" x\n{tag} OK\r\n"}, {76}, {1, 2}),
    "NUL": ({"LIST": b"* LIST () \"/\" x\0y\r\n{tag} OK\r\n"}, {76}, {1, 2}),
    "names that lead out": ({"LIST": LIST + b"".join(b'* LIST () "/" "%s"\r\n' % n for n in (
        b"../../evil", b"/etc/evil", b"a/../../evil", b"..", b".", b"", b"a//b", b"&AC8-evil", b"x&ACoAPw-", b"evil\\\\..",
        b"INBOX/cur", b"INBOX/../evil", b"%2e%2e/evil"))}, {0, 75}, {1, 2}),
    "two names of one folder": ({"LIST": LIST + b'* LIST () "/" inbox\r\n* LIST () "/" InBoX\r\n'}, {75}, {1, 2}),
    "another delimiter now": ({"LIST": b'* LIST () "." INBOX\r\n* LIST () "/" a\r\n* LIST () "." a.b\r\n'}, {0}, {1, 2}),
    "escape sequences": ({"SELECT": b"{tag} NO \x1b]0;title\x07\x1b[31m red \xe2\x80\xae\r\n"}, {75}, {1, 2}),
    "vanished unasked": ({"SELECT": SELECT + b"* VANISHED 1:4294967295\r\n"}, {0}, None),
    "bye in the middle": ({"SELECT": b"* BYE overload\r\n{tag} NO\r\n"}, {75}, {1, 2}),
    "no list": ({"LIST": b"{tag} NO later\r\n"}, None, {1, 2}),
    "listed nothing": ({"LIST": b""}, None, {1, 2}),
}


@pytest.mark.parametrize("name", LIES)
def test_lies(tmp_path, name):
    near = filled(tmp_path)
    lies, codes, left = LIES[name]
    outside = {p for p, _, _ in os.walk(tmp_path)}
    with Liar(Script({**lies, **{k: v for k, v in GOOD.items() if k not in lies}})) as liar:
        client = client_for(tmp_path, liar.port)
        done = client.run("sync", timeout=100)
    assert done.returncode in codes if codes else done.returncode > 0, done
    assert "Sanitizer" not in done.stderr and "\x1b" not in done.stdout + done.stderr, done.stderr
    if left is not None:
        assert set(near.files("INBOX")) == left
    else:  # two of two are no more than 25: removed, and kept in the undo store
        kept = [n for _, _, names in os.walk(os.path.join(client.state, "undo")) for n in names]
        assert len(near.files("INBOX")) + len(kept) == 2
    made = {p for p, _, _ in os.walk(tmp_path)} - outside
    assert all(p.startswith(client.maildir + "/") or p.startswith(client.state) for p in made), made
    assert not any("evil" in f for f in os.listdir(tmp_path)) and not os.path.exists("/etc/evil")


@pytest.mark.parametrize("answer", [b"", b"[APPENDUID 7 0] ", b"[APPENDUID 8 9] ", b"[APPENDUID 7 4294967296] ", b"[APPENDUID x] ",
                                    b"[APPENDUID 7 2] "])
def test_appenduid(tmp_path, answer):
    """A wrong UID for what went up: nothing is sent again because of it, nothing here is lost."""
    near = filled(tmp_path)
    near.add("INBOX", 50)
    appended = []

    class Once(Script):
        def __call__(self, liar, connection):
            appended.append(liar)
            super().__call__(liar, connection)
    with Liar(Once({**GOOD, "APPEND": b"{tag} OK " + answer + b"done\r\n"})) as liar:
        client = client_for(tmp_path, liar.port)
        done = client.run("sync")
        assert done.returncode >= 0, done
    assert set(near.files("INBOX")) == {1, 2, 50}


def words_of(liar):
    """The commands that came, without their tags."""
    return [w for w in re.findall(rb"^b\d+ ([^\r\n]*)", liar.heard, re.M)]


def test_full_quota_there(tmp_path):
    """A refused message is one message: what was removed here still goes there, which is how a quota gets free again."""
    near = filled(tmp_path)
    near.add("INBOX", 50)
    near.remove("INBOX", [1])
    with Liar(Script({**GOOD, "APPEND": b"{tag} NO [OVERQUOTA] full\r\n"})) as liar:
        client = client_for(tmp_path, liar.port)
        done = client.run("sync")
    assert done.returncode == 75 and "full" in done.stderr, done
    assert b"UID EXPUNGE 1:1" in words_of(liar), liar.heard
    assert set(near.files("INBOX")) == {2, 50}


def test_search_refused(tmp_path):
    """Without UIDPLUS nothing is expunged while nobody knows what else is marked."""
    near = filled(tmp_path)
    near.remove("INBOX", [1])
    with Liar(Script({**GOOD, "UID SEARCH": b"{tag} NO not now\r\n"}, "IMAP4rev1 SASL-IR AUTH=PLAIN")) as liar:
        done = client_for(tmp_path, liar.port).run("sync")
    assert done.returncode == 0, done
    assert b"EXPUNGE" not in words_of(liar), liar.heard


class Hooked(Script):
    """`hook(script, line)` sees each command before its answer is looked up."""

    def __init__(self, answers, hook, *caps):
        super().__init__(answers, *caps)
        self.hook = hook

    def __call__(self, liar, connection):
        plain = liar.line

        def line(from_):
            got = plain(from_)
            self.hook(self, got)
            return got
        liar.line = line
        super().__call__(liar, connection)


def test_another_folder_in_the_middle(tmp_path):
    """Between the listing and the removal the folder was replaced: the UIDs that we know are other people's mail."""
    near = filled(tmp_path)
    near.remove("INBOX", [1])
    selects = []

    def hook(script, line):
        found = re.search(rb'SELECT "(\w+)"', line)
        if found:
            selects.append(found.group(1))
            other = found.group(1) != b"INBOX"
            script.answers["UID FETCH 1:* (FLAGS)"] = b"" if other else FLAGS
            script.answers["SELECT"] = SELECT.replace(b"UIDVALIDITY 7", b"UIDVALIDITY %d" % (
                9 if other else 7 if selects.count(b"INBOX") == 1 else 8))
    answers = {**GOOD, "LIST": LIST + b'* LIST () "/" Other\r\n'}
    with Liar(Hooked(answers, hook)) as liar:
        done = client_for(tmp_path, liar.port).run("sync")
    assert selects.count(b"INBOX") > 1, "it was selected again"
    assert not [w for w in words_of(liar) if b"STORE" in w or b"EXPUNGE" in w], liar.heard
    assert done.returncode == 75, done


def test_copyuid_out_of_order(tmp_path):
    """[COPYUID 9 1:2 11,10]: 1 became 11. A flag on one of them later must not reach the other."""
    near = filled(tmp_path)
    near.make("Archive")
    moved = []

    def hook(script, line):
        found = re.search(rb'SELECT "(\w+)"', line)
        if b"UID MOVE" in line:
            moved.append(line)
        if found:
            there = (found.group(1) == b"Archive") == bool(moved)
            flags, bodies = FLAGS, BODIES
            if moved:
                flags = b"* 1 FETCH (UID 10 FLAGS ())\r\n* 2 FETCH (UID 11 FLAGS (\\Seen))\r\n"
                bodies = b"".join(
                    b"* %d FETCH (UID %d RFC822.SIZE %d INTERNALDATE \"26-Nov-2026 10:00:00 +0000\" "
                    b"BODY[HEADER.FIELDS (MESSAGE-ID)] \"Message-ID: <%d@example.org>\")\r\n"
                    % (at, uid, len(message(n)), n) for at, uid, n in ((1, 10, 2), (2, 11, 1)))
            script.answers.update({"SELECT": SELECT.replace(b"UIDNEXT 3", b"UIDNEXT 12" if moved else b"UIDNEXT 3"),
                                   "UID FETCH 1:* (FLAGS)": flags if there else b"", "UID FETCH 3:* (FLAGS)": flags if there else b"",
                                   "UID FETCH 10": bodies if there else b"", "UID FETCH 1:2": BODIES})
    for number in (1, 2):
        near.move("INBOX", number, "Archive")
    caps = "IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ UIDPLUS MOVE"
    answers = {"LIST": LIST + b'* LIST () "/" Archive\r\n', "UID MOVE": b"* OK [COPYUID 7 1:2 11,10] x\r\n"}
    with Liar(Hooked(answers, hook, caps)) as liar:
        client_for(tmp_path, liar.port).run("sync")
        assert moved
        near.set_flags("Archive", 2, ["\\Flagged"])
        client_for(tmp_path, liar.port).run("sync")
    stored = [w for w in words_of(liar) if b"STORE" in w and b"Flagged" in w]
    assert stored and all(w.startswith(b"UID STORE 10:10 ") for w in stored), liar.heard


def test_renamed_at_that_moment(tmp_path):
    """A file gets a flag here between the reading and the writing: the flag that the server set is not forgotten."""
    caps = "IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ UIDPLUS CONDSTORE"
    modseq = b"* OK [HIGHESTMODSEQ %d] x\r\n"
    with Liar(Script({**GOOD, "SELECT": SELECT + modseq % 5}, caps)) as liar:
        client = client_for(tmp_path, liar.port)
        client.sync()
    near = Near(client.maildir)

    def hook(script, line):
        if b"CHANGEDSINCE 5" in line and near.flags("INBOX", near.files("INBOX")[2]) == frozenset():
            near.set_flags("INBOX", 2, ["\\Flagged"])
    changed = {"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5)": b"* 2 FETCH (UID 2 FLAGS (\\Answered) MODSEQ (9))\r\n",
               "UID SEARCH": b"* SEARCH 1 2\r\n"}
    for _ in range(2):
        with Liar(Hooked({**changed, **GOOD, "SELECT": SELECT + modseq % 9}, hook, caps)) as liar:
            client = client_for(tmp_path, liar.port)
            done = client.run("sync")
            assert done.returncode == 0, done
    assert near.flags("INBOX", near.files("INBOX")[2]) == {"\\Flagged", "\\Answered"}


def test_flags_that_are_not_kept_there(tmp_path):
    """A server that keeps no $Forwarded does not take it away here, run after run, and is not asked for it."""
    near = filled(tmp_path)
    near.set_flags("INBOX", 1, ["\\Seen", "$Forwarded"])
    select = SELECT + b"* OK [PERMANENTFLAGS (\\Seen \\Flagged \\Deleted)] x\r\n"
    for _ in range(2):
        with Liar(Script({**GOOD, "SELECT": select})) as liar:
            assert client_for(tmp_path, liar.port).run("sync").returncode == 0
        assert not [w for w in words_of(liar) if b"STORE" in w], liar.heard
    assert near.flags("INBOX", near.files("INBOX")[1]) == {"\\Seen", "$Forwarded"}


@pytest.mark.parametrize("namespace, folders", [
    (b'(("INBOX." ".")) NIL NIL', {"INBOX", "a", "INBOX/INBOX", "INBOX/inbox/b", "other/x"}),
    (b'(("INBOX" ".")) NIL NIL', {"INBOX", "INBOX/a", "INBOX/INBOX", "INBOX/inbox/b", "other/x"}),  # no delimiter at its end
    (b'(("INBOX." NIL)) NIL NIL', {"INBOX", "INBOX/a", "INBOX/INBOX", "INBOX/inbox/b", "other/x"}),
    (b'(("." ".")("INBOX." ".")) NIL NIL', {"INBOX", "INBOX/a", "INBOX/INBOX", "INBOX/inbox/b", "other/x"}),
    (b'(("other." ".")) NIL NIL', {"INBOX", "INBOX/a", "INBOX/INBOX", "INBOX/inbox/b", "x"}),
    (b'NIL NIL NIL', {"INBOX", "INBOX/a", "INBOX/INBOX", "INBOX/inbox/b", "other/x"}),
    (b'((((("x" "."))))) "INBOX." NIL', {"INBOX", "INBOX/a", "INBOX/INBOX", "INBOX/inbox/b", "other/x"}),
])
def test_prefix(tmp_path, namespace, folders):
    """The prefix of our own folders there is none of theirs here, where the server's word for it makes sense; nothing of it leads out."""
    names = (b"INBOX.a", b"INBOX.INBOX", b"INBOX.inbox.b", b"other.x", b"INBOX...evil", b"other...evil", b"INBOX.")
    listed = b'* LIST () "." INBOX\r\n' + b"".join(b'* LIST () "." "%s"\r\n' % n for n in names)
    answers = {**GOOD, "LIST": listed, "NAMESPACE": b"* NAMESPACE " + namespace + b"\r\n"}
    with Liar(Script(answers, "IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ UIDPLUS NAMESPACE")) as liar:
        client = client_for(tmp_path, liar.port)
        done = client.run("sync")
        assert done.returncode == 75 and "evil" in done.stderr, done
        near = Near(client.maildir)
        assert set(near.folders()) == folders
        near.make("made")
        client_for(tmp_path, liar.port).run("sync")
    prefix = re.match(rb'\(\(("INBOX\."|"other\.") "\."', namespace)
    create = b'CREATE "%smade"' % (prefix.group(1).strip(b'"') if prefix else b"")
    assert create in words_of(liar), words_of(liar)
    assert not any("evil" in f for f in os.listdir(tmp_path))


# ---- after the login: lists that are too short or have no end, sets that mean nothing, servers that send one elsewhere ----

def test_a_first_list_that_is_too_short(tmp_path):
    """What is listed comes, the folder is told of, and what is left out is not forgotten: the next run asks for all again."""
    first = FLAGS.splitlines(keepends=True)[0]
    with Liar(Script({**GOOD, "UID FETCH 1:* (FLAGS)": first})) as liar:
        client = client_for(tmp_path, liar.port)
        done = client.run("sync")
    near = Near(client.maildir)
    assert done.returncode == 75 and "listed fewer messages than it has" in done.stderr, done
    assert set(near.files("INBOX")) == {1}
    for n in range(2):
        with Liar(Script(GOOD)) as liar:
            client = client_for(tmp_path, liar.port)
            client.sync()
        assert set(near.files("INBOX")) == {1, 2}


def test_a_short_list_of_a_server_that_tells_changes(server, tmp_path):
    """The same of a server with MODSEQ: nothing would ever tell of what its first list left out."""
    user, lies = server.user(), [1]

    def alter(data):
        if lies and b"* 2 FETCH (UID 2 FLAGS" in data:
            data = re.sub(rb"\* 2 FETCH \(UID 2 FLAGS[^\r]*\r\n", b"", data)
            lies.clear()
        return data
    Far(server.port("imap"), user).add_many("INBOX", range(1, 4))
    with Proxy(server.port("imap"), alter=alter) as proxy:
        client = Client(str(tmp_path), proxy.port, user)
        assert client.run("sync").returncode == 75 and not lies
        assert set(Near(client.maildir).files("INBOX")) == {1, 3}
        client.sync()
        assert set(Near(client.maildir).files("INBOX")) == {1, 2, 3}
        client.sync()


@pytest.mark.parametrize("flags", [
    b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n",  # two are said to be there, and one is listed
    b"",
    b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 EXISTS\r\n",
])
def test_exists_shrinks_without_expunge(tmp_path, flags):
    """What is missing from a list that is too short is not gone. The folder is left as it is, and says so."""
    near = filled(tmp_path)
    near.add("INBOX", 3)
    with Liar(Script({**GOOD, "UID FETCH 1:* (FLAGS)": flags})) as liar:
        client = client_for(tmp_path, liar.port)
        done = client.run("sync")
    assert done.returncode == 75 and "fewer messages" in done.stderr, done
    assert set(near.files("INBOX")) == {1, 2, 3} and not os.path.exists(os.path.join(client.state, "undo"))
    with Liar(Script({**GOOD, "UID FETCH 1:* (FLAGS)": flags.split(b"* 2")[0] + b"* 2 EXPUNGE\r\n"})) as liar:
        client = client_for(tmp_path, liar.port)
        done = client.run("sync")
    left = {1, 3} if b"UID 1" in flags else {1, 2, 3}
    assert set(near.files("INBOX")) == left and done.returncode == (0 if b"UID 1" in flags else 75), done


def test_a_uid_that_is_another_message_now(tmp_path):
    """The same UIDVALIDITY and UIDs with other messages behind them: nothing here is changed or removed for it."""
    near = filled(tmp_path)
    before = near.bodies()
    other = BODIES.replace(b"number 1", b"number 8").replace(b"number 2", b"number 9")
    with Liar(Script({**GOOD, "UID FETCH": other})) as liar:
        assert client_for(tmp_path, liar.port).run("sync").returncode == 0
    assert near.bodies() == before


THIRD = FLAGS + b"* 3 FETCH (UID 3 FLAGS ())\r\n"


@pytest.mark.parametrize("answer", [
    b"* 3 FETCH (UID 3 FLAGS () BODY[] {4294967295}\r\nSubject: number 3\r\n\r\nx\r\n{tag} OK\r\n* BYE x\r\n",
    b"* 3 FETCH (UID 3 FLAGS () BODY[] {18446744073709551616}\r\nx\r\n{tag} OK\r\n* BYE x\r\n",
    b"* 3 FETCH (UID 3 FLAGS () BODY[] {-1}\r\nx\r\n{tag} OK\r\n* BYE x\r\n",
    b"* 3 FETCH (UID 3 FLAGS () BODY[] {00000000000000000000000000003}\r\nx\r\n{tag} OK\r\n* BYE x\r\n",
    b"* 3 FETCH (UID 3 FLAGS () BODY[] {0}\r\n)\r\n{tag} OK\r\n",
])
def test_bodies_of_a_wrong_length(tmp_path, answer):
    """A message of 4 GB that ends in the middle, lengths that are none, an empty one: nothing of it is here as a message."""
    near = filled(tmp_path)
    before = near.bodies()
    with Liar(Script({**GOOD, "UID FETCH 1:* (FLAGS)": THIRD, "SELECT": SELECT.replace(b"2 EXISTS", b"3 EXISTS"), "UID FETCH": answer})) as liar:
        done = client_for(tmp_path, liar.port).run("sync")
    assert done.returncode in ((0, 75) if b"{0}" in answer else (75, 76)), done
    assert os.listdir(os.path.join(near.root, "INBOX", "tmp")) == []
    files = [name for part in ("new", "cur") for name in os.listdir(os.path.join(near.root, "INBOX", part))]
    if b"{0}" not in answer:
        assert len(files) == 2 and near.bodies() == before


class Endless(Script):
    """Answers the command that begins so with a piece again and again; at most so many bytes, which a client that has an end never takes."""

    def __init__(self, answers, words, piece, most=1 << 30, caps="IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ UIDPLUS"):
        super().__init__(answers, caps)
        self.words, self.piece, self.most = words, piece, most
        self.sent = 0

    def __call__(self, liar, connection):
        plain = liar.line

        def line(from_):
            got = plain(from_)
            if re.match(rb"\S+ " + self.words, got):
                many = self.piece * (65536 // len(self.piece) + 1)
                while self.sent < self.most:
                    connection.sendall(many)
                    self.sent += len(many)
            return got
        liar.line = line
        super().__call__(liar, connection)


@pytest.mark.parametrize("words, piece", [
    (b"LIST", b'* LIST () "/" INBOX\r\n'),
    (b"LIST", b'* LIST () "/" "../x"\r\n'),
    (b"LIST", b"* STATUS INBOX (MESSAGES 1)\r\n"),
    (rb"UID FETCH 1:\* \(FLAGS\)", b"* 1 FETCH (UID 1 FLAGS ())\r\n"),
    (rb"UID FETCH 1:\* \(FLAGS\)", b"* SEARCH 1 2 3\r\n"),
    (rb"UID FETCH 3", b"* 1 FETCH (UID 1 FLAGS ())\r\n"),
    (rb"UID FETCH 3", b"* 3 FETCH (UID 3 FLAGS () BODY[] {1}\r\nx)\r\n"),
    (b"SELECT", b"* VANISHED 1:2\r\n"),
    (b"APPEND", b"* LIST () \"/\" a\r\n"),
])
def test_answers_without_end(tmp_path, words, piece):
    """What was asked for, again and again, is no progress for ever: the connection ends, and nothing here is less than before."""
    near = filled(tmp_path)
    if words == b"APPEND":
        near.add("INBOX", 50)
    selected = SELECT.replace(b"2 EXISTS", b"3 EXISTS")
    script = Endless({**GOOD, "SELECT": selected, "UID FETCH 1:* (FLAGS)": THIRD}, words, piece)
    with Liar(script) as liar:
        client = client_for(tmp_path, liar.port)
        done = client.run("sync", timeout=100)
    assert script.sent, "it came to that"
    assert done.returncode in (75, 76) and script.sent < script.most, (done, script.sent)
    kept = [n for _, _, names in os.walk(os.path.join(client.state, "undo")) for n in names]
    assert len(near.files("INBOX")) + len(kept) >= 2 + (words == b"APPEND")


@pytest.mark.parametrize("greeting", [b"", b"* OK hi", b"* OK [CAPABILITY IMAP4rev1"])
def test_greeting_without_end(tmp_path, greeting):
    def play(liar, connection):
        connection.sendall(greeting)
        for _ in range(1 << 14):
            connection.sendall(b"x" * 65536)
    with Liar(play) as liar:
        done = client_for(tmp_path, liar.port).run("sync", timeout=100)
    assert done.returncode in (69, 75, 76) and done.stderr, done


@pytest.mark.parametrize("code", [b"COPYUID 7 1:2 10", b"COPYUID 7 1:2 10:4294967296", b"COPYUID 7 1:4294967295 1:4294967295", b"COPYUID 7 x y",
                                  b"COPYUID 7", b"COPYUID 4294967296 1:2 10:11", b"COPYUID 7 1:2 0:1", b"COPYUID 7 1:2 ()"])
def test_copyuid_that_means_nothing(tmp_path, code):
    """Sets of another length, UIDs that are none: as if it had not been there. What was moved is looked for, and nothing here is less."""
    near = filled(tmp_path)
    near.make("Archive")
    for number in (1, 2):
        near.move("INBOX", number, "Archive")

    def hook(script, line):
        found = re.search(rb'SELECT "(\w+)"', line)
        if found:
            full = found.group(1) == b"INBOX"
            script.answers.update({"SELECT": SELECT if full else SELECT.replace(b"2 EXISTS", b"0 EXISTS"),
                                   "UID FETCH 1:* (FLAGS)": FLAGS if full else b"", "UID FETCH": BODIES if full else b""})
    answers = {**GOOD, "LIST": LIST + b'* LIST () "/" Archive\r\n', "UID MOVE": b"* OK [" + code + b"] x\r\n"}
    with Liar(Hooked(answers, hook, "IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ UIDPLUS MOVE")) as liar:
        done = client_for(tmp_path, liar.port).run("sync")
    assert done.returncode in (0, 75, 76) and any(b"UID MOVE" in w for w in words_of(liar)), (done, words_of(liar))
    assert len(near.files("INBOX")) + len(near.files("Archive")) >= 2


@pytest.mark.parametrize("where", ["greeting", "login", "select", "list"])
def test_referrals_are_not_followed(tmp_path, where):
    """RFC 2221 and RFC 2193: another server is named for the login or a folder. Nobody goes there, and the password stays here."""
    near = filled(tmp_path)
    with Liar(Script(GOOD)) as evil:
        url = b"[REFERRAL imap://salma;AUTH=*@127.0.0.1:%d/] go there\r\n" % evil.port
        answers = {"login": {"AUTHENTICATE": b"{tag} NO " + url}, "select": {"SELECT": b"{tag} NO " + url}, "list": {"LIST": b"{tag} NO " + url},
                   "greeting": {}}[where]

        def play(liar, connection):
            if where == "greeting":
                connection.sendall(b"* BYE " + url)
                return
            Script({**answers, **{k: v for k, v in GOOD.items() if k not in answers}})(liar, connection)
        with Liar(play) as liar:
            done = client_for(tmp_path, liar.port).run("sync")
        assert done.returncode not in (0, -6, -11) and done.stderr, done
        assert evil.connections == 0
    assert set(near.files("INBOX")) == {1, 2}


def test_what_came_before_tls_is_forgotten(tmp_path):
    """Folders, messages and capabilities that anybody on the line could have put there, and then an honest server behind TLS."""
    context, cert = certificate(str(tmp_path), "localhost")

    def play(liar, connection):
        connection.sendall(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN QRESYNC CONDSTORE NAMESPACE] hi\r\n")
        tag = liar.line(connection).split(b" ")[0]
        connection.sendall(b'* LIST () "/" evil\r\n* 9 EXISTS\r\n* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\n* VANISHED 1:9\r\n* SEARCH 4\r\n'
                           b'* NAMESPACE (("evil/" "/")) NIL NIL\r\n* ENABLED QRESYNC\r\n' + tag + b" OK begin\r\n")
        Script(GOOD)(liar, context.wrap_socket(connection, server_side=True))
    with Liar(play) as liar:
        client = client_for(tmp_path, liar.port, "starttls", "localhost", cert)
        done = client.run("sync")
    assert done.returncode == 0, done
    near = Near(client.maildir)
    assert near.folders() == ["INBOX"] and set(near.files("INBOX")) == {1, 2}
    assert not [w for w in words_of(liar) if b"QRESYNC" in w or b"NAMESPACE" in w], words_of(liar)


# ---- messages that a server has and does not give ----

def letters(count):
    return Mailbox({"INBOX": [Mail(b"Message-ID: <%d@x>\r\nSubject: number %d\r\n\r\ntext\r\n" % (n, n)) for n in range(1, count + 1)],
                    "Work": [Mail(b"Message-ID: <w@x>\r\nSubject: number 99\r\n\r\ntext\r\n")]})


def numbers(home, folder):
    return sorted(int(re.search(rb"number (\d+)", data).group(1)) for data in home.mail(os.path.join(home.maildir, folder)).values())


@pytest.mark.parametrize("how", ["no", "nil"])
def test_a_message_that_is_not_given(home, how):
    """It keeps none behind it away, is told in each run, and comes when it can be read again."""
    bad = {4, 5, 33}

    def lie(box, session, words):
        if b"BODY.PEEK[]" not in words or session.selected is not box.folders["INBOX"]:
            return None
        said = b""
        for at, mail in box.chosen(session, words):
            if mail.uid in bad and how == "no":
                return said + b"{tag} NO cannot read it\r\n"
            one = box.answer(session, b"UID FETCH %d (UID FLAGS INTERNALDATE BODY.PEEK[])" % mail.uid)
            said += b"* %d FETCH (UID %d FLAGS () BODY[] NIL)\r\n" % (at, mail.uid) if mail.uid in bad else one
        return said
    with letters(40) as box:
        box.lie = lie
        home.account("a", imap=f"127.0.0.1 {box.port} none")
        for _ in range(2):
            done = home.barid("sync")
            assert done.returncode == 75 and "INBOX: the server has 3 messages that it did not give" in done.stderr, done
            assert numbers(home, "INBOX") == [n for n in range(1, 41) if n not in bad] and numbers(home, "Work") == [99]
        box.folders["INBOX"].mail = [m for m in box.folders["INBOX"].mail if m.uid != 4]  # it is gone: that is no failure
        bad.remove(5)
        bad.remove(33)
        done = home.barid("sync")
        assert done.returncode == 0 and numbers(home, "INBOX") == [n for n in range(1, 41) if n != 4], done


def test_no_message_is_given(home):
    def lie(box, session, words):
        return b"{tag} NO not today\r\n" if b"BODY.PEEK[]" in words and session.selected is box.folders["INBOX"] else None
    with letters(400) as box:
        box.lie = lie
        home.account("a", imap=f"127.0.0.1 {box.port} none")
        done = home.barid("sync")
        assert done.returncode == 75 and "INBOX was left as it is: the server says: not today" in done.stderr, done
        assert numbers(home, "Work") == [99]
        assert sum("BODY.PEEK[]" in c for c in box.commands()) < 120
        box.lie = None
        assert home.barid("sync").returncode == 0 and numbers(home, "INBOX") == list(range(1, 401))
