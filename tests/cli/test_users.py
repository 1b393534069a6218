"""The command line as a person uses it: domains, users, passwords, aliases, configuration."""
import os
import subprocess

import pytest

BARID = os.environ.get("BARID", os.path.join(os.path.dirname(__file__), "..", "..", "barid"))


@pytest.fixture
def barid(tmp_path):
    config = tmp_path / "barid.conf"
    config.write_text(f"[server]\nhostname = mail.barid.test\ndata = {tmp_path}/data\nuser =\n")
    (tmp_path / "data").mkdir(mode=0o700)

    def run(*args, stdin="", lang="en"):
        env = {"PATH": os.environ["PATH"], "BARID_LANG": lang}
        return subprocess.run([BARID, "-c", str(config), *args], input=stdin, text=True, env=env,
                              capture_output=True, timeout=60)
    run.config = config
    return run


def ok(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_users_from_nothing(barid):
    ok(barid("domain", "add", "barid.test"))
    ok(barid("user", "add", "Salma@Barid.test", "--password-file", "-", stdin="a long password\n"))
    assert "salma@barid.test" in ok(barid("user", "list"))
    shown = ok(barid("user", "show", "salma@barid.test"))
    assert "a long password" not in shown
    assert barid("user", "add", "salma@barid.test", "--password-file", "-", stdin="x\n").returncode != 0
    ok(barid("passwd", "salma@barid.test", "--password-file", "-", stdin="another one\n"))
    ok(barid("alias", "add", "info@barid.test", "salma@barid.test"))
    assert "info@barid.test" in ok(barid("alias", "list"))
    ok(barid("user", "disable", "salma@barid.test"))
    ok(barid("user", "remove", "salma@barid.test", "--yes"))
    assert "salma@barid.test" not in ok(barid("user", "list"))


def test_import_is_all_or_nothing(barid, tmp_path):
    ok(barid("domain", "add", "barid.test"))
    users = tmp_path / "users"
    users.write_text("a@barid.test:one\nb@elsewhere.test:two\n")
    assert barid("user", "import", str(users)).returncode != 0
    assert "a@barid.test" not in ok(barid("user", "list"))
    users.write_text("".join(f"u{i}@barid.test:password {i}\n" for i in range(20)))
    ok(barid("user", "import", str(users)))
    assert ok(barid("user", "list")).count("@barid.test") == 20


@pytest.mark.parametrize("address", ["nobody", "@barid.test", "a b@barid.test", "x@", "x@unknown.test"])
def test_addresses_that_cannot_be(barid, address):
    ok(barid("domain", "add", "barid.test"))
    result = barid("user", "add", address, "--password-file", "-", stdin="secret\n")
    assert result.returncode != 0
    assert result.stderr.startswith("barid: ")
    assert "secret" not in result.stderr


def test_an_unknown_key_names_the_nearest(barid):
    barid.config.write_text("[imap]\nlisen = *:143\n")
    result = barid("config", "check")
    assert result.returncode == 78
    assert "line 2" in result.stderr and "imap.listen" in result.stderr


def test_languages(barid):
    assert barid("nonsense", lang="en").stderr.startswith("barid: There is no verb")
    assert "لا يوجد أمر" in barid("nonsense", lang="ar_EG.UTF-8").stderr
    assert barid("nonsense").returncode == 64
    assert barid("--nonsense", "help").returncode == 64
    assert barid("-c").returncode == 64
