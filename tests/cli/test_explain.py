"""The guide: what it says of three mailboxes follows from what was filed, in both languages, beside a running server and without one."""
import contextlib
import imaplib
import json
import os
import re
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from server import Server  # noqa: E402

DAY_S = 86400
KIB = 1024
MARKS = re.compile("[\u200f\u2068\u2069]")


def message(number, size):
    head = f"From: a@example.org\r\nSubject: {number}\r\n\r\n"
    full, rest = divmod(size - len(head) - 2, 72)
    return (head + ("x" * 70 + "\r\n") * full + "x" * rest + "\r\n").encode()


@pytest.fixture
def server():
    s = Server(config={"quota.warn_percent": "0"})
    s.start()
    yield s
    s.close()


def app_password(server, user, name):
    made = json.loads(server.run("app-password", "add", user.address, name, "--json"))
    return user._replace(password=made["password"])


def file(server, user, mailbox, count, size, read=True, days_ago=0):
    with contextlib.closing(Imap(server, user)) as c:
        for number in range(count):
            when = imaplib.Time2Internaldate(time.time() - days_ago * DAY_S)
            assert c.c.append(mailbox, r"(\Seen)" if read else "", when, message(number, size))[0] == "OK"


class Imap:
    def __init__(self, server, user):
        self.c = server.imap(user)

    def close(self):
        self.c.logout()


def downloads(server, user):
    return sum(d["pop_messages"] for d in json.loads(server.run("explain", user.address, "--json"))["devices"])


def take(server, user):
    before = downloads(server, user)
    c = server.pop3(user)
    count = c.stat()[0]
    for number in range(1, count + 1):
        c.retr(number)
    c.quit()
    ends = time.monotonic() + 10
    while downloads(server, user) < before + count and time.monotonic() < ends:  # counted after the answer to QUIT
        time.sleep(0.02)
    return count


def both_ways(server, user):
    """(numbers, {language: text}); the same with the server and without it."""
    def ask():
        texts = {lang: MARKS.sub("", server.run("explain", user.address, "--lang", lang)) for lang in ("en", "ar")}
        return json.loads(server.run("explain", user.address, "--json")), texts
    if not server.alive():
        server.start()
    running = ask()
    assert server.stop() == 0 and not server.sanitizer_reports()
    stopped = ask()
    assert running == stopped
    return running


def says(texts, **wanted):
    for lang, lines in wanted.items():
        for line in lines:
            assert line in texts[lang], texts[lang]


def test_three_devices_on_imap(server):
    user = server.user(pop=False)
    for name in ("phone", "laptop", "لوح"):
        device = app_password(server, user, name)
        if name == "phone":
            file(server, device, "INBOX", 14, 4 * KIB)
            file(server, device, "INBOX", 12, 2 * KIB, read=False)
            file(server, device, "Sent", 2, KIB)
            file(server, device, "INBOX", 1, 10 * KIB, days_ago=45)
        server.imap(device).logout()
    numbers, texts = both_ways(server, user)
    assert (numbers["messages"], numbers["bytes"]) == (29, 92 * KIB)
    assert {d["name"] for d in numbers["devices"] if d["last"]["imap"]} == {"phone", "laptop", "لوح"}
    assert numbers["pop"]["on"] is False and numbers["pop"]["shown"]["messages"] == 0
    assert numbers["pop"]["all"] == {"messages": 27, "bytes": 90 * KIB, "unread": 12, "unread_bytes": 24 * KIB}
    assert numbers["pop"]["all_old"]["messages"] == 1
    says(texts, en=[
        "The mailbox holds 29 messages, 92.0 KB in all.", "Unread among them: 12.", "There is no limit to its size.",
        "  Inbox: 27 messages, 12 of them unread, 90.0 KB", "  Sent: 2 messages, 2.0 KB", "4 more folders are empty.",
        "So far 3 devices logged in:", "  phone: IMAP, last on ", "  لوح: IMAP, last on ", "Devices that used IMAP here: 3.",
        "It is off here", "POP3 would show 27 messages, 90.0 KB.",
        "27 messages would be erased from the server at once, which frees 90.0 KB.", "including 12 unread messages.",
        "so nothing goes at once.", "that leaves 26 messages, 80.0 KB;", "what is older: one message, 10.0 KB.",
        "This mailbox is read by 3 devices, so IMAP suits it best",
        f"    IMAP  mail.barid.test  {server.port('imaps')}", "IMAP can be reached from the server's own machine only.",
        "POP3 is off for this user.", f"    {user.address}\n"],
        ar=["في الصندوق 29 رسالةً، والحجم كله 92.0 كيلوبايت.", "وغير المقروء منها 12.", "  المرسل: رسالتان، والحجم 2.0 كيلوبايت",
            "وفيه 4 مجلدات أخرى فارغة.", "دخل إليه حتى الآن 3 أجهزة:", "لعرض 27 رسالةً، والحجم 90.0 كيلوبايت", "تُمحى من الخادم فورًا 27 رسالةً",
            "ويزول ما هو أقدم: رسالة واحدة، والحجم 10.0 كيلوبايت", "يدخل إلى هذا الصندوق 3 أجهزة، فالأنسب له IMAP", "خدمة POP3 متوقفة لهذا المستخدم."])


def test_one_computer_with_pop_and_a_nearly_full_quota(server):
    user = server.user(pop=True, quota=200 * KIB)
    helper = app_password(server, user, "helper")
    file(server, helper, "INBOX", 30, 5 * KIB, days_ago=60)
    server.run("app-password", "revoke", user.address, "helper")
    server.run("pop", user.address, "window=all")
    for number in range(11):
        server.deliver(user, message(number, 2 * KIB))
    assert take(server, user) == 41
    numbers, texts = both_ways(server, user)
    shown = numbers["pop"]["shown"]
    assert (shown["messages"], shown["unread"]) == (41, 11) and shown["bytes"] == numbers["bytes"] > 172 * KIB
    assert numbers["pop"]["old"] == {"messages": 30, "bytes": 150 * KIB, "unread": 0, "unread_bytes": 0}
    assert numbers["taken_and_here"] == [{"device": 0, "messages": 41}]
    percent = numbers["bytes"] * 100 // (200 * KIB)
    assert percent >= 85
    says(texts, en=[
        "The mailbox holds 41 messages", f"It may grow to 200.0 KB; {percent}% of that is used.\nWhen it is full, no new mail gets in.",
        "So far one device logged in:", "  the main password: POP3, last on ", "It is on here.", "It now shows a program 41 messages",
        "41 messages would be erased", "including 11 unread messages.",
        "so nothing goes at once.", "what is older: 30 messages, 150.0 KB.", "  the main password: 41 messages; all of it is still here.",
        f"{percent}% of its room is used. It is read with the main password", "give each program its own password first",
        f"    POP3  mail.barid.test  {server.port('pop3s')}"],
        ar=["في الصندوق 41 رسالةً", f"أقصى حجم له 200.0 كيلوبايت، والمستعمل منه {percent}%.\nإذا امتلأ", "جهاز واحد:", "  كلمة المرور الرئيسية: POP3",
            "على البرنامج 41 رسالةً", "وغير المقروء منها 11.", "ويزول ما هو أقدم: 30 رسالةً، والحجم 150.0 كيلوبايت.",
            "  كلمة المرور الرئيسية: 41 رسالةً، ولم يُزَل من هنا شيء منها.",
            f"المستعمل من سعته {percent}%. ويُقرأ بكلمة المرور الرئيسية", "فليكن لكل برنامج كلمة مرور خاصة به أولًا"])
    assert "so POP3 with after=30" not in texts["en"]  # nobody knows how many programs use the main password

    # what the guide foretold: it is what happens
    server.run("pop", user.address, "after=quit", "dele=expunge")
    server.start()
    assert take(server, user) == 41
    numbers, texts = both_ways(server, user)
    assert numbers["messages"] == 0 and numbers["taken_and_here"] == [] and numbers["pop"]["shown"]["messages"] == 0
    says(texts, en=["is empty", "  the main password: 82 downloads. Of the messages that it took, still here: 0.",
                    "is counted again", "is safer: no other program then misses anything"],
         ar=["الصندوق فارغ", "عدد مرات التنزيل 82، والباقي هنا مما نزّله 0.", "محسوبة مرتين", "فالأسلم أن يُختار after=keep مع dele=trash"])


def test_one_app_password_with_a_nearly_full_quota(server):
    user = server.user(pop=True, quota=200 * KIB)
    computer = app_password(server, user, "computer")
    helper = app_password(server, user, "helper")
    file(server, helper, "INBOX", 35, 5 * KIB, days_ago=60)
    server.run("app-password", "revoke", user.address, "helper")
    server.run("pop", user.address, "window=all", "list=device")
    for _ in range(2):  # the second time, all of it was taken; the numbers stay
        take(server, computer)
        numbers, texts = both_ways(server, user)
        assert numbers["pop"]["shown"]["messages"] == numbers["pop"]["old"]["messages"] == 35
        says(texts, en=["what it has not taken yet (list=device)", "  computer: 35 messages; all of it is still here.",
                        "so POP3 with after=30 and dele=expunge suits it best: in the long run 175.0 KB"],
             ar=["إلا ما لم يأخذه بعد (list=device)", "فالأنسب POP3 مع after=30 وdele=expunge، مع نسخة احتياطية من الحاسوب الذي ينزّلها: مع الوقت يتحرر بذلك 175.0 كيلوبايت"])
        server.start()
    server.run("pop", user.address, "list=shared")
    assert take(server, computer) == 35  # the same messages, once more
    server.run("pop", user.address, "window=now")
    _, texts = both_ways(server, user)
    says(texts, en=["  computer: 70 downloads. Of the messages that it took, still here: 35.", "POP3 does not show the old mail"],
         ar=["عدد مرات التنزيل 70، والباقي هنا مما نزّله 35.", "POP3 لا يعرض الرسائل القديمة"])


def test_a_new_account(server):
    user = server.user(pop=False)
    numbers, texts = both_ways(server, user)
    assert (numbers["messages"], numbers["bytes"], numbers["folders"]) == (0, 0, [])
    ident = json.loads(server.run("user", "show", user.address, "--json"))["id"]
    assert not os.path.exists(os.path.join(server.data, "accounts", ident))  # asking makes nothing
    says(texts, en=["The mailbox is empty; no message has come yet.", "No device or program has logged in yet.", "It is off here",
                    "There is nothing to download now.", "it is best to begin with IMAP", f"barid app-password add {user.address} phone"],
         ar=["الصندوق فارغ، ولم تصل إليه رسالة بعد.", "لم يدخل إليه أي جهاز أو برنامج بعد.", "ليس فيه الآن ما يمكن تنزيله.", "البدء بـ IMAP"])


def test_the_words_of_each_program(server):
    user = server.user()
    fields = {"outlook": ["Server", "Port", "Encryption method"], "thunderbird": ["Protocol", "Hostname", "Port", "Connection security"],
              "apple-mail": ["Incoming Mail Server", "Port"], "gmail": ["Server", "Port", "Security type"],
              "fairemail": ["Host", "Encryption", "Port number"], "mutt": ["set imap_user", "set folder"]}
    for lang in ("en", "ar"):
        table = server.run("explain", user.address, "--lang", lang)
        assert all(name in table for name in fields)
        for program, names in fields.items():
            text = server.run("explain", user.address, "--program", program, "--lang", lang)
            copied = [line for line in text.splitlines() if line.startswith("    ")]
            assert not any(MARKS.search(line) for line in copied)
            at = [next(i for i, line in enumerate(copied) if line.startswith(f"    {name}")) for name in names]
            assert at == sorted(at), program
            for port in ("imaps", "pop3s", "submissions"):
                assert any(str(server.port(port)) in line for line in copied), (program, port)
    assert "%40barid.test@mail.barid.test" in text


def test_an_address_that_a_shell_would_run(server):
    user = server.user(pop=False)
    address = "x`id`${a}&b@barid.test"
    server.run("user", "add", address, "--password-file", "-", stdin=user.password.encode() + b"\n")
    texts = [server.run("explain", address, "--lang", "ar"), server.run("pop", address, "off"), server.run("app-password", "list", address),
             server.run("app-password", "add", address, "$(id)"), server.run("app-password", "revoke", address, "y", check=False).stderr]
    for text in texts:
        text = text.decode() if isinstance(text, bytes) else text
        commands = re.findall(r"barid (?:pop|app-password|explain)[^\n]*", text)
        assert commands and all(f"'{address}'" in line for line in commands if "`" in line), text
        assert any(f"'{address}'" in line for line in commands), text
    assert "'$(id)'" in texts[3]
    mutt = server.run("explain", address, "--program", "mutt")
    assert '    set imap_user = "x\\`id\\`\\${a}&b@barid.test"' in mutt


def test_wrong_use(server):
    user = server.user()
    for words, code in (((), 64), ((user.address, "--program"), 64), ((user.address, "--program", "elm"), 64), ((user.address, "more"), 64),
                        (("nobody@barid.test",), 67)):
        done = server.run("explain", *words, check=False)
        assert done.returncode == code and done.stderr, words
