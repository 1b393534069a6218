"""The wire itself: small IMAP, POP3 and SMTP clients that pipeline, show every byte, and end with OSError when the peer goes away."""
import base64
import functools
import hashlib
import hmac
import os
import re
import socket


class Raw:
    def __init__(self, port, tls=None, timeout=60):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb", buffering=1 << 18)

    def send(self, data):
        self.sock.sendall(data)

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError(f"the connection ended after {line[-200:]!r}")
        return line[:-2]

    def read(self, count):
        data = self.file.read(count)
        if len(data) != count:
            raise ConnectionError("the connection ended inside a literal")
        return data

    def close(self):
        self.file.close()
        self.sock.close()


class Refused(Exception):
    """A tagged NO or BAD, an -ERR, a 4xx or 5xx."""


@functools.lru_cache(1000)
def salted(password, salt, iterations):
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


class Scram:
    """The client's half of SCRAM-SHA-256 (RFC 7677), messages in base64."""

    def __init__(self, user):
        self.user = user
        self.bare = f"n={user.address},r={os.urandom(12).hex()}"
        self.first = base64.b64encode(b"n,," + self.bare.encode()).decode()

    def final(self, challenge):
        challenge = base64.b64decode(challenge).decode()
        fields = dict(part.split("=", 1) for part in challenge.split(","))
        key = salted(self.user.password, base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(key, b"Client Key", "sha256")
        last = f"c=biws,r={fields['r']}"
        message = f"{self.bare},{challenge},{last}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        self.verdict = b"v=" + base64.b64encode(hmac.digest(hmac.digest(key, b"Server Key", "sha256"), message, "sha256"))
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        return base64.b64encode(f"{last},p={base64.b64encode(proof).decode()}".encode()).decode()

    def check(self, verdict):
        if base64.b64decode(verdict) != self.verdict:
            raise Refused("the server does not know the password")


class Imap(Raw):
    def __init__(self, port, user=None, tls=None, timeout=60):
        super().__init__(port, tls, timeout)
        self.tag = 0
        self.greeting = self.line()
        if user:
            self.command(f'LOGIN {user.address} "{user.password}"')

    def login_scram(self, user):
        """No argon2id at the server, for tests that log in thousands of times."""
        scram = Scram(user)
        tag = self.start("AUTHENTICATE SCRAM-SHA-256 " + scram.first)
        self.send(scram.final(self.sasl_challenge(tag)).encode() + b"\r\n")
        scram.check(self.sasl_challenge(tag))
        self.send(b"\r\n")
        self.finish(tag)

    def sasl_challenge(self, tag):
        line = self.line()
        if line.startswith(tag + b" "):
            raise Refused(line.decode("utf-8", "replace"))
        return line[2:]

    def response(self):
        """One response: [text, literal, text, ...]."""
        parts = [self.line()]
        while True:
            m = re.search(rb"\{(\d+)\}$", parts[-1])
            if not m:
                return parts
            parts.append(self.read(int(m.group(1))))
            parts.append(self.line())

    def start(self, command):
        """Sends a command; bytes may hold non-synchronizing literals. Returns its tag."""
        self.tag += 1
        tag = b"t%d" % self.tag
        self.send(tag + b" " + (command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        return tag

    def finish(self, tag, on_untagged=None):
        """(text of the tagged OK, untagged responses)."""
        untagged = []
        while True:
            parts = self.response()
            if parts[0].startswith(tag + b" "):
                text = parts[0][len(tag) + 1:]
                if not text.startswith(b"OK"):
                    raise Refused(text.decode("utf-8", "replace"))
                return text, untagged
            if parts[0].startswith(b"* BYE") and on_untagged is None:
                raise ConnectionError(parts[0].decode("utf-8", "replace"))
            if on_untagged:
                on_untagged(parts)
            untagged.append(parts)

    def command(self, command, on_untagged=None):
        return self.finish(self.start(command), on_untagged)


def append_command(mailbox, message, flags=""):
    return f"APPEND {mailbox} ({flags}) {{{len(message)}+}}\r\n".encode() + message


class Pop(Raw):
    """before: what is said in front of the login."""

    def __init__(self, port, user, tls=None, timeout=60, before=()):
        super().__init__(port, tls, timeout)
        self.answer()
        for command in before:
            self.command(command)
        self.command("USER " + user.address)
        self.command("PASS " + user.password)

    def answer(self):
        line = self.line()
        if not line.startswith(b"+OK"):
            raise Refused(line.decode("utf-8", "replace"))
        return line

    def command(self, text):
        self.send(text.encode() + b"\r\n")
        return self.answer()

    def body(self):
        """A multi-line answer after its +OK, dots taken away."""
        lines = []
        while True:
            line = self.line()
            if line == b".":
                return b"".join(lines)
            lines.append((line[1:] if line.startswith(b".") else line) + b"\r\n")


class Smtp(Raw):
    """SMTP and LMTP."""

    def __init__(self, port, hello="EHLO", tls=None, timeout=60):
        super().__init__(port, tls, timeout)
        self.answer()
        self.send(f"{hello} client.test\r\n".encode())
        self.extensions = self.answer()

    def answer(self):
        lines = []
        while True:
            line = self.line()
            lines.append(line)
            if line[3:4] != b"-":
                break
        if not b"200" <= line[:3] < b"400":
            raise Refused(b" / ".join(lines).decode("utf-8", "replace"))
        return lines

    def message(self, sender, recipient, data, chunked=False):
        """One message to one recipient; returns when it was accepted."""
        envelope = f"MAIL FROM:<{sender}> BODY=8BITMIME SIZE={len(data)}\r\nRCPT TO:<{recipient}>\r\n".encode()
        if chunked:
            self.send(envelope + b"BDAT %d LAST\r\n" % len(data) + data)
        else:
            self.send(envelope + b"DATA\r\n")
        refused = None
        for _ in range(3):
            try:
                self.answer()
            except Refused as e:
                refused = refused or e
        if refused:
            self.send(b"RSET\r\n")
            self.answer()
            raise refused
        if not chunked:
            self.send(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
            self.answer()
