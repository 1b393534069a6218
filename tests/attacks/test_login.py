"""Before login, on every protocol: lines, bytes, SASL, names, STARTTLS."""
import base64
import re
import socket
import ssl

import pytest

import server as lib
from conftest import PLAIN, Wire

WRONG = {"imap": r"\S+ NO \[AUTHENTICATIONFAILED\] ", "pop3": r"-ERR \[AUTH\] ", "submission": r"535 5\.7\.8 "}
STARTTLS = {"imap": "a STARTTLS", "pop3": "STLS", "smtp": "STARTTLS", "submission": "STARTTLS"}


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def plain(name, user, password):
    """The answer to AUTH PLAIN with an initial response."""
    token = b64(b"\0" + user + b"\0" + password)
    return {"imap": f"a AUTHENTICATE PLAIN {token}", "pop3": f"AUTH PLAIN {token}",
            "submission": f"AUTH PLAIN {token}"}[name]


def hello(wire, name):
    if name in ("smtp", "submission", "lmtp"):
        wire.hello("LHLO" if name == "lmtp" else "EHLO")


@pytest.mark.parametrize("name", PLAIN)
def test_two_megabytes_without_an_end_are_no_command(connect, name):
    wire = connect(name)
    closed = not wire.send_all_or_closed(b"x" * (2 << 20))
    if name in ("imap", "pop3"):
        assert re.search(rb"BYE|-ERR", wire.rest()) or closed
    else:  # told once, and what follows the line is heard
        answer = wire.ask(b"")
        assert answer.startswith("500 5.5.6"), answer
        assert wire.ask("NOOP").startswith("250")


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("verb", [b"GET / HTTP/1.1", b"POST /x HTTP/1.1", b"HEAD / HTTP/1.0", b"PUT / HTTP/1.1",
                                  b"OPTIONS * HTTP/1.1"])
def test_http_is_dropped(connect, name, verb):
    wire = connect(name)
    wire.send_all_or_closed(verb + b"\r\nHost: x\r\n\r\nNOOP\r\na NOOP\r\n")
    rest = wire.rest()
    assert rest.count(b"\r\n") <= 1, rest


@pytest.mark.parametrize("name", PLAIN)
def test_a_tls_hello_on_the_plain_port_is_no_command(connect, name):
    wire = connect(name)
    wire.sock.settimeout(20)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    wire.send(outgoing.read() + b"\r\n")
    wire.sock.shutdown(socket.SHUT_WR)
    assert not re.search(rb"(^|\n)(a OK|\+OK|2\d\d)", wire.rest())


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("line", [b"NO\0OP", b"\xff\xfe\xfd", b"\x1b[2J", b"NOOP\r", b"NO\rOP"])
def test_bytes_that_no_command_has(connect, name, line):
    wire = connect(name)
    hello(wire, name)
    tagged = b"a " if name == "imap" else b""
    answer = wire.ask(tagged + line)
    assert not re.match(r"a OK|\+OK|2\d\d", answer), answer
    assert "\x1b" not in answer
    assert wire.ask({"imap": "b NOOP", "pop3": "CAPA"}.get(name, "NOOP"))[:4] in ("b OK", "+OK ", "250 ")


@pytest.mark.parametrize("literal", ["{4294967295}", "{4294967295+}", "{9223372036854775808}", "{18446744073709551616+}",
                                     "{-1}", "{1000000+}", "{99999999999999999999999999}", "{}", "{+}", "{1x}"])
def test_literals_that_nobody_may_send_before_login(connect, literal):
    wire = connect("imap")
    assert re.match(r"a BAD|\* BYE", wire.ask(f"a LOGIN {literal}"))


def test_parentheses_before_login(connect):
    wire = connect("imap")
    wire.send_all_or_closed(b"a LIST " + b"(" * 200000 + b"\r\n")
    assert b"BYE" in wire.rest()


@pytest.mark.parametrize("name", sorted(WRONG))
@pytest.mark.parametrize("token", ["=", "*", "====", "!!!!", b64("no nul"), b64("\0\0"), b64("\0only"), b64("a\0b"),
                                   b64(b"\0\xff\xfe\0\xff"), "AAA", "A" * 2001, "é"])
def test_broken_sasl_is_refused_and_the_session_goes_on(connect, user, name, token):
    wire = connect(name)
    hello(wire, name)
    verb = {"imap": "a AUTHENTICATE PLAIN ", "pop3": "AUTH PLAIN ", "submission": "AUTH PLAIN "}[name]
    answer = wire.ask(verb + token)
    if re.match(r"\+ |\+$|334", answer):  # "=" is an empty response, which asks for nothing here
        answer = wire.ask("*")
    assert re.match(r"a (NO|BAD)|-ERR|5\d\d", answer), answer
    answer = wire.ask(plain(name, user.address.encode(), user.password.encode()))
    assert re.match(r"a OK|\+OK|235", answer), answer


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_huge_response_and_a_cut_one_harm_nobody(connect, user, name):
    wire = connect(name)
    hello(wire, name)
    verb = {"imap": b"a AUTHENTICATE PLAIN\r\n", "pop3": b"AUTH PLAIN\r\n", "submission": b"AUTH PLAIN\r\n"}[name]
    wire.send(verb)
    wire.line()
    wire.send_all_or_closed(b"A" * (64 << 10) + b"\r\n")
    first = wire.sock.recv(4096)
    assert re.match(rb"a (NO|BAD)|\* (BAD|BYE)|-ERR|5\d\d", first) or first == b"", first
    cut = connect(name)
    hello(cut, name)
    cut.send(verb)
    cut.line()
    cut.send(b"AHNhbG")
    cut.close()
    again = connect(name)
    hello(again, name)
    assert re.match(r"a OK|\+OK|235", again.ask(plain(name, user.address.encode(), user.password.encode())))


@pytest.mark.parametrize("name", sorted(WRONG))
def test_names_that_are_no_users_get_the_answer_of_a_wrong_password(server, connect, name):
    known = server.user("known")
    wrong = None
    for address in [known.address.encode(), b"%u", b"../../etc/passwd", b"' OR 1=1 --", b"user@", b'"" @x', b"@",
                    b"a\nb@barid.test", b"a" * 300 + b"@barid.test", b"x" * 1000,
                    b"nobody-here@barid.test"]:
        wire = connect(name)
        hello(wire, name)
        answer = wire.ask(plain(name, address, b"wrong password"))
        assert re.match(WRONG[name], answer), (address, answer)
        wrong = wrong or answer
        assert answer == wrong, address
        wire.close()


@pytest.mark.parametrize("name", sorted(STARTTLS))
@pytest.mark.parametrize("after", [b"NOOP\r\n", b"x", b"b LOGIN a b\r\n"])
def test_starttls_with_more_behind_it_is_dropped(connect, name, after):
    wire = connect(name)
    hello(wire, name)
    wire.send(STARTTLS[name].encode() + b"\r\n" + after)
    assert wire.rest().count(b"\r\n") <= 1


@pytest.mark.parametrize("name", sorted(STARTTLS))
def test_starttls_twice_and_state_from_before(server, connect, name):
    wire = connect(name)
    hello(wire, name)
    if name in ("smtp", "submission"):
        wire.ask("MAIL FROM:<a@example.org>")
    assert re.match(r"a OK|\+OK|220", wire.ask(STARTTLS[name]))
    wire.sock = server.tls().wrap_socket(wire.sock, server_hostname="localhost")
    wire.file = wire.sock.makefile("rb")
    if name in ("smtp", "submission"):  # nothing of before is known (RFC 3207 §4.2)
        assert re.match(r"503 5\.5\.1", wire.ask("RCPT TO:<postmaster@barid.test>"))
        hello(wire, name)
    assert re.match(r"a (BAD|NO)|-ERR|50[23]", wire.ask(STARTTLS[name]))


def test_passwords_need_tls_where_the_configuration_says_so():
    with lib.Server({"login.plain_on_loopback": "off"}) as strict:
        user = strict.user()
        for name in sorted(WRONG):
            wire = Wire(strict.port(name))
            hello(wire, name)
            answer = wire.ask(plain(name, user.address.encode(), user.password.encode()))
            assert re.match(r"a (NO|BAD) |-ERR |53[08] |50[0-9] ", answer), answer
            wire.close()
        wire = Wire(strict.port("imap"))
        assert "LOGINDISABLED" in wire.ask("a CAPABILITY")
        assert wire.lines_until("a ")[-1].startswith("a OK")
        assert wire.ask(f'b LOGIN {user.address} "{user.password}"').startswith("b NO [PRIVACYREQUIRED] ")
        wire.close()
        wire = Wire(strict.port("imaps"), strict.tls())
        assert wire.ask(plain("imap", user.address.encode(), user.password.encode())).startswith("a OK")
        wire.close()


def test_tls_hellos_with_any_name_keep_memory_flat(server):
    context = server.tls()
    context.check_hostname = False
    for i in range(300):
        with socket.create_connection(("127.0.0.1", server.port("imaps")), timeout=60) as s:
            with context.wrap_socket(s, server_hostname=f"host-{i}.{'x' * (i % 60)}y.example") as tls:
                assert tls.recv(4) == b"* OK"


@pytest.mark.parametrize("name", PLAIN)
def test_many_bad_commands_end_the_connection(connect, name):
    wire = connect(name)
    wire.send_all_or_closed(b"x NOSUCHVERB\r\n" * 200)
    rest = wire.rest()
    assert rest.count(b"\r\n") < 100, rest[-200:]


def test_two_thousand_connections_come_and_go(server):
    for _ in range(20):
        crowd = [socket.create_connection(("127.0.0.1", server.port("imap")), timeout=60) for _ in range(100)]
        for s in crowd:
            s.close()


