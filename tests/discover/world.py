"""A small internet in a network namespace: DNS, web servers and mail servers on their real ports, and the program inside it.

`run(world, *words)` forks; the child gets a network and a mount namespace of its own, starts what the world describes, runs
`barid discover` there with an ordinary /etc/resolv.conf, and hands back what it printed and every byte that a server received.
198.51.100.0/24 is the public network here; 127.0.0.0/8 and 10.0.0.0/8 are private, as outside.
"""
import base64
import ctypes
import hashlib
import json
import os
import pickle
import re
import secrets
import select
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import traceback

import pytest

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BARID = os.environ.get("BARID", os.path.join(TOP, "barid"))
LIBC = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER, NEWNET, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x10000000, 0x40000000, 4096, 16384, 1 << 18
END_S = 120  # the program ends by itself after five seconds; this only ends a test that hangs

# ---- certificates ----


class Authority:
    """One that the program is told to trust, and one key for all servers."""

    def __init__(self, folder):
        self.folder, self.lock = folder, threading.Lock()
        self.file = os.path.join(folder, "ca.pem")
        self.key = os.path.join(folder, "key.pem")
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key)
        self.openssl("req", "-x509", "-key", self.key, "-out", self.file, "-subj", "/CN=World CA", "-days", "30")

    @staticmethod
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)

    def context(self, name, trusted=True):
        """A server context with a certificate for the name, from this authority or (trusted=False) from itself."""
        path = os.path.join(self.folder, ("" if trusted else "self-") + name + ".pem")
        with self.lock:
            if not os.path.exists(path):
                sign = ["-CA", self.file, "-CAkey", self.key] if trusted else []
                self.openssl("req", "-x509", "-key", self.key, "-out", path, "-subj", "/CN=server", "-days", "30",
                             "-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE", *sign)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path, self.key)
        return context


# ---- DNS ----

TYPES = {"A": 1, "SOA": 6, "MX": 15, "AAAA": 28, "SRV": 33, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48}


def ascii_name(name):
    return ".".join(label.encode("idna").decode() if not label.isascii() else label for label in name.split("."))


def wire_name(name):
    """Text, or a tuple of labels as bytes for names that no text can spell."""
    labels = name if isinstance(name, tuple) else [x.encode() for x in ascii_name(name).split(".") if x]
    return b"".join(bytes([len(x)]) + x for x in labels) + b"\0"


def rdata(kind, value):
    if isinstance(value, bytes):
        return value
    if kind == "A":
        return socket.inet_pton(socket.AF_INET, value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "MX":
        return struct.pack(">H", value[0]) + wire_name(value[1])
    if kind == "SRV":
        return struct.pack(">HHH", *value[:3]) + wire_name(value[3])
    raise KeyError(kind)


class Signer:
    """Signs a zone at the root with ECDSA P-256 (RFC 4034, RFC 6605): a dozen lines of arithmetic, for tests only."""
    P = 2**256 - 2**224 + 2**192 + 2**96 - 1
    N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
    G = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
         0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)

    def __init__(self):
        self.secret = secrets.randbelow(self.N - 1) + 1
        point = self.times(self.secret, self.G)
        self.dnskey = struct.pack(">HBB", 257, 3, 13) + b"".join(x.to_bytes(32, "big") for x in point)
        total = sum(b << 8 if i % 2 == 0 else b for i, b in enumerate(self.dnskey))
        self.tag = (total + (total >> 16)) & 0xffff

    def plus(self, a, b):
        if a is None or b is None:
            return a or b
        if a[0] == b[0]:
            if (a[1] + b[1]) % self.P == 0:
                return None
            slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, self.P)
        else:
            slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, self.P)
        x = (slope * slope - a[0] - b[0]) % self.P
        return x, (slope * (a[0] - x) - a[1]) % self.P

    def times(self, k, point):
        out = None
        while k:
            if k & 1:
                out = self.plus(out, point)
            point, k = self.plus(point, point), k >> 1
        return out

    def anchor(self):
        return ". 3600 IN DNSKEY 257 3 13 " + base64.b64encode(self.dnskey[4:]).decode() + "\n"

    def rrsig(self, owner, kind, datas, ttl=60, forged=False):
        now = int(time.time())
        labels = len(list(labels_of(owner)))
        head = struct.pack(">HBBIIIH", TYPES[kind], 13, labels, ttl, now + 86400, now - 86400, self.tag) + b"\0"
        text = head + b"".join(owner.lower() + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(d)) + d for d in sorted(datas))
        if forged:
            text += b"forged"
        digest = int.from_bytes(hashlib.sha256(text).digest(), "big")
        k = secrets.randbelow(self.N - 1) + 1
        r = self.times(k, self.G)[0] % self.N
        s = pow(k, -1, self.N) * (digest + r * self.secret) % self.N
        return head + r.to_bytes(32, "big") + s.to_bytes(32, "big")


def labels_of(wire):
    at = 0
    while wire[at]:
        yield wire[at + 1:at + 1 + wire[at]]
        at += 1 + wire[at]


class Dns:
    """mode: ok, dead (says nothing), broken (SERVFAIL). forged: owners whose signatures do not fit."""

    def __init__(self, zone, mode="ok", signer=None, forged=()):
        self.zone = {wire_name(n).lower(): r for n, r in zone.items()}
        self.mode, self.signer, self.forged = mode, signer, {wire_name(n).lower() for n in forged}
        self.asked = []

    def start(self, address="127.0.0.53", port=53):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((address, port))
        tcp = socket.create_server((address, port))
        threading.Thread(target=self.serve_udp, args=(udp,), daemon=True).start()
        threading.Thread(target=self.serve_tcp, args=(tcp,), daemon=True).start()

    def serve_udp(self, udp):
        while True:
            query, peer = udp.recvfrom(4096)
            answer = self.answer(query)
            if answer and len(answer) > 1200:  # too long for a datagram: TC, and the question comes again by TCP
                answer = answer[:2] + bytes([answer[2] | 2]) + answer[3:4] + answer[4:6] + b"\0" * 6 + self.question(query)
            if answer:
                udp.sendto(answer, peer)

    def serve_tcp(self, tcp):
        while True:
            connection, _ = tcp.accept()
            with connection:
                head = connection.recv(2, socket.MSG_WAITALL)
                if len(head) == 2:
                    answer = self.answer(connection.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL))
                    if answer:
                        connection.sendall(struct.pack(">H", len(answer)) + answer)

    @staticmethod
    def question(query):
        end = query.index(b"\0", 12) + 5
        return query[12:end]

    def answer(self, query):
        question = self.question(query)
        owner, kind = question[:-4].lower(), struct.unpack(">H", question[-4:-2])[0]
        self.asked.append((owner, kind))
        if self.mode == "dead":
            return None
        word = next((k for k, v in TYPES.items() if v == kind), None)
        rows, more, code = [], [], 0
        if self.mode == "broken":
            code = 2
        elif word == "DNSKEY" and owner == b"\0" and self.signer:
            rows = self.rrset(owner, "DNSKEY", [self.signer.dnskey])
        elif owner in self.zone and word in self.zone[owner]:
            rows = self.rrset(owner, word, [rdata(word, v) for v in self.zone[owner][word]])
        elif self.signer:  # "the name is there, and has nothing but this" (RFC 4470)
            soa = wire_name("ns.example") + wire_name("root.example") + struct.pack(">IIIII", 1, 60, 60, 60, 60)
            types = bytes([0, 6, 0, 0, 0, 0, 0, 3])
            more = self.rrset(b"\0", "SOA", [soa]) + self.rrset(owner, "NSEC", [b"\1\0" + owner + types])
        elif not any(n == owner or n.endswith(owner) for n in self.zone):
            code = 3
        body = b"".join(rows + more)
        return query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(rows), len(more), 0) + question + body

    def rrset(self, owner, kind, datas, ttl=60):
        def row(type_number, data):
            return owner + struct.pack(">HHIH", type_number, 1, ttl, len(data)) + data
        rows = [row(TYPES[kind], d) for d in datas]
        if self.signer:
            rows.append(row(TYPES["RRSIG"], self.signer.rrsig(owner, kind, datas, ttl, owner in self.forged)))
        return rows


# ---- servers of TCP ----


class Peer:
    """One connection: reads lines, remembers every byte that came."""

    def __init__(self, connection, log):
        self.s, self.log, self.have = connection, log, b""

    def line(self):
        while b"\n" not in self.have:
            data = self.s.recv(4096)
            if not data:
                raise EOFError
            self.log.append(data)
            self.have += data
        line, self.have = self.have.split(b"\n", 1)
        return line.rstrip(b"\r")

    def send(self, text):
        self.s.sendall(text if isinstance(text, bytes) else text.encode())

    def hang(self):
        """Says nothing until the other side goes."""
        while True:
            data = self.s.recv(4096)
            if not data:
                raise EOFError
            self.log.append(data)

    def drip(self, text, pause_s=0.05):
        for byte in text:
            self.send(bytes([byte]))
            time.sleep(pause_s)


class Server:
    def listen(self, address, port, log):
        self.log = log
        listener = socket.create_server((address, port), backlog=64)
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.guard, args=(connection,), daemon=True).start()

    def guard(self, connection):
        try:
            connection.settimeout(END_S)
            self.talk(connection)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            connection.close()


class Mail(Server):
    """A greeter of imap, pop3 or smtp. how: tls, starttls, or a way to be bad:

    plain (offers no TLS), plain-first (speaks before the handshake), preauth, inject (words behind the go-ahead of STARTTLS), garbage, silent, drip,
    no-login, endless, busy
    """

    def __init__(self, protocol, address, name, port=None, how="tls", cert=None, trusted=True, mechanisms="PLAIN"):
        implicit = {"imap": 993, "pop3": 995, "smtp": 465}[protocol]
        explicit = {"imap": 143, "pop3": 110, "smtp": 587}[protocol]
        self.protocol, self.address, self.name, self.how = protocol, address, name, how
        self.starttls = how in ("starttls", "plain", "inject")
        self.port = port or (explicit if self.starttls else implicit)
        self.cert, self.trusted, self.mechanisms = cert or name, trusted, mechanisms

    def start(self, authority, log):
        self.context = authority.context(ascii_name(self.cert), self.trusted)
        self.listen(self.address, self.port, log)

    def wrap(self, connection):
        return Peer(self.context.wrap_socket(connection, server_side=True), self.log)

    def talk(self, connection):
        if self.how == "plain-first":
            connection.sendall({"imap": b"* OK", "pop3": b"+OK", "smtp": b"220"}[self.protocol] + b" hello\r\n")
            Peer(connection, self.log).hang()
        peer = Peer(connection, self.log) if self.starttls else self.wrap(connection)
        if self.how == "silent":
            peer.hang()
        if self.how == "garbage":
            peer.send(b"\x00\xffHTTP/1.1 400 no\r\n" * 50)
            peer.hang()
        if self.how == "drip":
            while True:
                peer.drip(b"* OK a long greeting ")
        word = {"preauth": "* PREAUTH", "busy": "* BYE"}.get(self.how, "* OK")
        peer.send({"imap": f"{word} hello\r\n", "pop3": "-ERR later\r\n" if self.how == "busy" else "+OK hello\r\n",
                   "smtp": "421 later\r\n" if self.how == "busy" else "220-hello\r\n220 there\r\n"}[self.protocol])
        if self.how == "busy":
            raise EOFError
        if self.how == "endless":
            while True:
                peer.send(b"* OK and another thing\r\n" if self.protocol == "imap" else b"250-and another thing\r\n")
        while True:
            peer = getattr(self, self.protocol)(peer, peer.line())

    def begin_tls(self, peer, go_ahead, injected):
        if self.how == "plain":
            return None
        peer.send(go_ahead + (injected if self.how == "inject" else b""))
        self.starttls = True
        return self.wrap(peer.s)

    def imap(self, peer, line):
        tag, _, command = line.partition(b" ")
        secure = isinstance(peer.s, ssl.SSLSocket)
        if command.upper() == b"CAPABILITY":
            login = " AUTH=" + self.mechanisms.replace(" ", " AUTH=") if secure and self.how != "no-login" else " LOGINDISABLED"
            if self.how == "no-login":
                login += " AUTH=GSSAPI"
            peer.send(f"* CAPABILITY IMAP4rev1{'' if secure or self.how == 'plain' else ' STARTTLS'}{login}\r\n")
        elif command.upper() == b"STARTTLS" and not secure:
            upgraded = self.begin_tls(peer, tag + b" OK go\r\n", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
            if upgraded:
                return upgraded
            peer.send(tag + b" BAD no such command\r\n")
            return peer
        peer.send(tag + b" OK done\r\n")
        return peer

    def pop3(self, peer, line):
        secure = isinstance(peer.s, ssl.SSLSocket)
        if line.upper() == b"CAPA":
            login = f"USER\r\nSASL {self.mechanisms}\r\n" if secure and self.how != "no-login" else ""
            peer.send(f"+OK\r\nTOP\r\n{login}.\r\n")
        elif line.upper() == b"STLS" and not secure:
            upgraded = self.begin_tls(peer, b"+OK go\r\n", b"+OK more\r\n")
            if upgraded:
                return upgraded
            peer.send(b"-ERR no such command\r\n")
        else:
            peer.send(b"+OK\r\n")
        return peer

    def smtp(self, peer, line):
        secure = isinstance(peer.s, ssl.SSLSocket)
        if line.upper().startswith(b"EHLO"):
            login = f"250-AUTH {self.mechanisms}\r\n" if secure and self.how != "no-login" else ""
            offer = "" if secure or self.how == "plain" else "250-STARTTLS\r\n"
            peer.send(f"250-hello\r\n{offer}{login}250 SIZE 1000000\r\n")
        elif line.upper() == b"STARTTLS" and not secure:
            upgraded = self.begin_tls(peer, b"220 go\r\n", b"250 more\r\n")
            if upgraded:
                return upgraded
            peer.send(b"502 no such command\r\n")
        else:
            peer.send(b"250 ok\r\n")
        return peer


class Page:
    """body may be bytes, text, or a function that gets the Peer and writes the rest by itself."""

    def __init__(self, body=b"", status=200, headers=()):
        self.body, self.status, self.headers = body, status, dict(headers)


class Web(Server):
    """HTTPS for all names, on one address. sites: {name: {path: Page}}. bad: names whose certificate says another name; own: names with one
    that nobody vouches for."""

    def __init__(self, address, sites, bad=(), own=()):
        self.address, self.sites = address, {ascii_name(k): v for k, v in sites.items()}
        self.bad, self.own, self.requests = set(bad), set(own), []

    def start(self, authority, log):
        self.contexts = {}
        for name in self.sites:
            shown = "other.example" if name in self.bad else name
            self.contexts[name] = authority.context(shown, name not in self.own)
        self.listen(self.address, 443, log)

    def talk(self, connection):
        chosen = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def choose(wrapped, name, _context):
            if name not in self.contexts:
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            wrapped.context = self.contexts[name]
            chosen.append(name)
            return None
        context.sni_callback = choose
        peer = Peer(context.wrap_socket(connection, server_side=True), self.log)
        request = peer.line().decode("latin-1")
        length = 0
        while True:
            line = peer.line()
            if not line:
                break
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(peer.have) < length:
            data = peer.s.recv(4096)
            self.log.append(data)
            peer.have += data
        path = request.split(" ")[1].split("?")[0]
        self.requests.append((chosen[0], request))
        page = self.sites[chosen[0]].get(path, Page("no such page", 404))
        headers = "".join(f"{k}: {v}\r\n" for k, v in page.headers.items())
        if callable(page.body):
            peer.send(f"HTTP/1.1 {page.status} X\r\nConnection: close\r\n{headers}\r\n")
            page.body(peer)
            return
        body = page.body.encode() if isinstance(page.body, str) else page.body
        peer.send(f"HTTP/1.1 {page.status} X\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)


# ---- the world ----


class World:
    def __init__(self, zone=None, mail=(), web=(), dns_mode="ok", signed=False, forged=()):
        self.zone, self.mail, self.web = dict(zone or {}), list(mail), list(web)
        self.dns_mode, self.signed, self.forged = dns_mode, signed, forged


class Outcome:
    """What came out: code, stdout, stderr, result (of --json), received (bytes at all servers), requests, asked (DNS)."""

    def why(self, method, subject=""):
        """The words of the trail for a method, of subjects that contain some text."""
        return [s["why"] for s in self.result["trail"] if s["method"] == method and subject in s["subject"]]

    def best(self, protocol):
        return next((s for s in self.result["servers"] if s["protocol"] == protocol), None)

    def places(self, settled=True):
        return [(s["protocol"], s["host"], s["port"], s["security"], s["method"]) for s in self.result["servers"]
                if s["settled"] == settled]

    def note_ids(self):
        return [n["id"] for n in self.result["notes"]]


class Blocked(Exception):
    """This system does not let us have namespaces; nothing is known of the program."""


def check_call(result, what):
    if result != 0:
        raise Blocked(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, flags=MS_BIND):
    check_call(LIBC.mount(source.encode(), target.encode(), None, flags, None), f"mount {target}")


def enter_namespaces():
    uid, gid = os.getuid(), os.getgid()
    if LIBC.unshare(NEWNET | NEWNS) != 0:
        check_call(LIBC.unshare(NEWUSER | NEWNET | NEWNS), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as f:
                f.write(text)
    check_call(LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount /")
    for words in (["link", "set", "lo", "up"], ["route", "add", "local", "198.51.100.0/24", "dev", "lo"],
                  ["route", "add", "local", "10.0.0.0/8", "dev", "lo"]):
        if subprocess.run(["ip", *words], env={"PATH": "/usr/sbin:/sbin:" + os.environ["PATH"]}, check=False).returncode:
            raise Blocked("ip " + " ".join(words))


def put_file(folder, target, text):
    path = os.path.join(folder, target.strip("/").replace("/", "_"))
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    mount(path, target)


def put_root_key(folder, text):
    """/usr/share/dns/root.key, whether the package that brings it is installed or not: a layer over /usr/share that nobody outside sees."""
    layer = os.path.join(folder, "layer")
    os.mkdir(layer)
    check_call(LIBC.mount(b"tmpfs", layer.encode(), b"tmpfs", 0, None), "mount tmpfs")
    for name in ("upper/dns", "work"):
        os.makedirs(os.path.join(layer, name))
    with open(os.path.join(layer, "upper/dns/root.key"), "w", encoding="ascii") as f:
        f.write(text)
    options = f"lowerdir=/usr/share,upperdir={layer}/upper,workdir={layer}/work"
    check_call(LIBC.mount(b"overlay", b"/usr/share", b"overlay", 0, options.encode()), "mount overlay")


def live(world, words, folder, authority, lang, verb, stdin, home):
    """In the child: everything starts, the program runs."""
    out = Outcome()
    log = []
    signer = Signer() if world.signed else None
    enter_namespaces()
    put_file(folder, "/etc/resolv.conf", "nameserver 127.0.0.53\n")
    put_file(folder, "/etc/hosts", "127.0.0.1 localhost\n")
    if signer:
        put_root_key(folder, signer.anchor())
    dns = Dns(world.zone, world.dns_mode, signer, world.forged)
    if world.dns_mode != "absent":
        dns.start()
    for server in world.mail + world.web:
        server.start(authority, log)
    env = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
    env.update(PATH=os.environ["PATH"], BARID_LANG=lang, https_proxy="http://198.51.100.66:3128")
    if "--ca-file" not in words:
        words = [*words, "--ca-file", authority.file]
    if home:
        env["HOME"] = home
    done = subprocess.run([BARID, *verb, *words], input=stdin, capture_output=True, timeout=END_S, env=env)
    out.code, out.stdout, out.stderr = done.returncode, done.stdout.decode(), done.stderr.decode()
    out.result = json.loads(out.stdout) if "--json" in words and out.stdout else None
    out.received = b"\n".join(log)
    out.requests = [r for server in world.web for r in server.requests]
    out.asked = dns.asked
    return out


def run(world, authority, *words, lang="en", verb=("discover",), stdin=b"", home=None):
    """Runs `barid discover WORDS` (or another verb, with a home folder) in the world. Skips the test where namespaces are not to be had."""
    folder = tempfile.mkdtemp(prefix="barid-world-")
    read_fd, write_fd = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_fd)
        try:
            answer = live(world, list(words), folder, authority, lang, verb, stdin, home)
        except BaseException as e:  # the parent tells it
            answer = ("skip" if isinstance(e, Blocked) else "fail", traceback.format_exc())
        with os.fdopen(write_fd, "wb") as f:
            pickle.dump(answer, f)
        os._exit(0)
    os.close(write_fd)
    try:
        with os.fdopen(read_fd, "rb") as f:
            ready, _, _ = select.select([f], [], [], END_S + 30)
            answer = pickle.load(f) if ready else ("fail", "the world does not end")
    finally:
        try:
            os.kill(child, 9)
        except ProcessLookupError:
            pass
        os.waitpid(child, 0)
        shutil.rmtree(folder, ignore_errors=True)
    if isinstance(answer, tuple):
        if answer[0] == "skip":
            pytest.skip("no network and mount namespaces here: " + answer[1].strip().splitlines()[-1])
        pytest.fail(answer[1])
    if verb == ("discover",):
        nothing_given_away(answer)
    return answer


def nothing_given_away(out):
    """Whatever a server said: nobody logged in, and nothing that would begin a login or a message was sent."""
    found = re.search(rb"(?im)^(?:[a-z0-9]+ )?(LOGIN|AUTHENTICATE|AUTH|USER|PASS|APOP|MAIL|RCPT|DATA)[ \r\n].*$", out.received)
    assert not found, found.group(0)
    assert not re.search(rb"(?i)^(authorization|cookie):", out.received, re.M)
