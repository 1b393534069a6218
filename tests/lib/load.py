"""Messages for tests under load: what message N is can be said at any time, so whole or not whole is one comparison."""
import functools
import hashlib
import re


@functools.lru_cache(20_000)
def message(ident, sender="load@example.org"):
    """The bytes of message `ident`, always the same; one in twenty is big."""
    size = 200_000 + ident * 37 % 100_000 if ident % 20 == 7 else 200 + ident * 71 % 6000
    line = hashlib.sha256(b"%d" % ident).hexdigest()
    body = (f"{line}\r\n" * (size // len(line) + 1)).encode()
    return (f"Date: Wed, 25 Nov 2026 04:45:00 +0000\r\nFrom: {sender}\r\nMessage-ID: <{ident}@crash.test>\r\n"
            f"X-Id: {ident}\r\nSubject: load {ident}\r\n\r\n").encode() + body


def ident_of(data):
    """Which message these bytes are, trace fields before it allowed; None when they are not one, byte for byte."""
    m = re.search(rb"^X-Id: (\d+)\r$", data, re.M)
    if not m:
        return None
    ident = int(m.group(1))
    sender = re.search(rb"^From: (.*)\r$", data, re.M)
    return ident if sender and data.endswith(message(ident, sender.group(1).decode("ascii", "replace"))) else None
