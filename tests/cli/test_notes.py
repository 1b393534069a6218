"""What lower layers say of an error is in the language of the command line, too."""
import os
import subprocess

import pytest

BARID = os.environ.get("BARID", "./barid")


def run(lang, *words, home):
    return subprocess.run([BARID, "--lang", lang, *words], capture_output=True, text=True, timeout=30, check=False,
                          env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)})


@pytest.mark.parametrize("lang, words", [("en", ("line 2", "there is no key")), ("ar", ("السطر 2", "لا يوجد مفتاح"))])
def test_a_bad_line_of_the_configuration(tmp_path, lang, words):
    (tmp_path / "c.conf").write_text("[server]\nhostnam = x\n")
    done = run(lang, "-c", str(tmp_path / "c.conf"), "config", "check", home=tmp_path)
    assert done.returncode != 0 and all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize("lang, words", [("en", "needs the name of a server"), ("ar", "تحتاج imap إلى اسم خادم")])
def test_a_bad_line_of_accounts_conf(tmp_path, lang, words):
    folder = tmp_path / "barid"
    folder.mkdir(mode=0o700)
    (folder / "accounts.conf").write_text("account a\n  address a@x.test\n  imap\n")
    (folder / "accounts.conf").chmod(0o600)
    done = run(lang, "sync", home=tmp_path)
    assert done.returncode != 0 and words in done.stderr, done.stderr


@pytest.mark.parametrize("lang, word", [("en", "default:"), ("ar", "القيمة الأصلية:")])
def test_a_key_explained(tmp_path, lang, word):
    done = run(lang, "config", "explain", "limits.threads", home=tmp_path)
    assert done.returncode == 0 and word in done.stdout
    assert ("Threads that serve" in done.stdout) == (lang == "en")
