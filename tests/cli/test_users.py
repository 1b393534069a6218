"""The command line as a person uses it: domains, users, passwords, aliases, configuration."""
import fcntl
import json
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
    run.data = tmp_path / "data"
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


def test_domains(barid):
    ok(barid("domain", "add", "barid.test", "xn--mgba3a4f16a.test"))
    assert ok(barid("domain", "list")).split() == ["barid.test", "\u0627\u06cc\u0631\u0627\u0646.test"]
    assert json.loads(ok(barid("--json", "domain", "list")))[0] == "barid.test"
    assert barid("domain", "add", "barid.test").returncode != 0
    ok(barid("user", "add", "salma@barid.test", "--password-file", "-", stdin="secret\n"))
    assert barid("domain", "remove", "barid.test").returncode != 0
    ok(barid("user", "remove", "salma@barid.test", "--yes"))
    ok(barid("domain", "remove", "barid.test"))
    assert "barid.test" not in ok(barid("domain", "list")).split()


def test_switches_and_json(barid):
    ok(barid("domain", "add", "barid.test"))
    ok(barid("user", "add", "omar@barid.test", "--pop", "on", "--quota", "500M", "--password-file", "-", stdin="secret\n"))
    ok(barid("user", "add", "salma@barid.test", "--password-file", "-", stdin="secret\n"))

    def show(address):
        return ok(barid("--json", "user", "show", address))
    assert json.loads(show("omar@barid.test"))
    assert show("omar@barid.test") != show("salma@barid.test").replace("salma", "omar")
    before = show("salma@barid.test")
    for change, back in [(("--pop", "on"), ("--pop", "off")), (("--imap", "off"), ("--imap", "on")),
                         (("--submission", "off"), ("--submission", "on")), (("--quota", "1G"), ("--quota", "none")),
                         (("--quota-messages", "9"), ("--quota-messages", "none"))]:
        ok(barid("user", "set", "salma@barid.test", *change))
        assert show("salma@barid.test") != before, change
        ok(barid("user", "set", "salma@barid.test", *back))
        assert show("salma@barid.test") == before, back
    ok(barid("user", "disable", "salma@barid.test"))
    assert show("salma@barid.test") != before
    ok(barid("user", "enable", "salma@barid.test"))
    assert show("salma@barid.test") == before
    assert len(json.loads(ok(barid("--json", "user", "list")))) == 2
    assert barid("user", "set", "salma@barid.test", "--quota", "much").returncode != 0
    assert barid("user", "show", "nobody@barid.test").returncode == 67


def test_aliases(barid):
    ok(barid("domain", "add", "barid.test"))
    for name in ("salma", "omar"):
        ok(barid("user", "add", f"{name}@barid.test", "--password-file", "-", stdin="secret\n"))
    ok(barid("alias", "add", "info@barid.test", "salma@barid.test", "omar@barid.test"))
    listed = json.loads(ok(barid("--json", "alias", "list")))
    assert [a["target"] for a in listed] == ["omar@barid.test", "salma@barid.test"]
    ok(barid("alias", "remove", "info@barid.test", "omar@barid.test"))
    assert "omar@barid.test" not in ok(barid("alias", "list"))
    ok(barid("alias", "remove", "info@barid.test"))
    assert "info@barid.test" not in ok(barid("alias", "list"))
    assert barid("alias", "remove", "info@barid.test").returncode != 0
    assert barid("alias", "add", "info@barid.test", "nobody@barid.test").returncode != 0


def test_mail_of_a_removed_user_goes_and_stays_where_it_is_served(barid):
    ok(barid("domain", "add", "barid.test"))
    folders = {}
    for name in ("salma", "omar"):
        ok(barid("user", "add", f"{name}@barid.test", "--password-file", "-", stdin="secret\n"))
        shown = json.loads(ok(barid("--json", "user", "show", f"{name}@barid.test")))
        folders[name] = barid.data / "accounts" / shown["id"]
        folders[name].mkdir(parents=True)
        (folders[name] / "mail.db").write_text("mail")
    ok(barid("user", "remove", "salma@barid.test", "--yes"))
    assert not folders["salma"].exists() and folders["omar"].exists()
    (barid.data / "incoming").mkdir(exist_ok=True)
    (barid.data / "incoming" / "on-its-way").write_text("a message")
    served = os.open(barid.data, os.O_RDONLY)  # as a server that does not answer
    fcntl.flock(served, fcntl.LOCK_EX)
    assert barid("user", "remove", "omar@barid.test", "--yes").returncode == 75
    assert (folders["omar"] / "mail.db").exists()
    assert (barid.data / "incoming" / "on-its-way").exists()
    os.close(served)


def test_a_data_folder_that_others_may_read_is_refused(barid):
    barid.data.chmod(0o755)
    result = barid("domain", "add", "barid.test")
    assert result.returncode == 77
    assert "chmod 700" in result.stderr
    assert not (barid.data / "directory.db").exists()


def test_config_show_and_explain(barid):
    shown = ok(barid("config", "show"))
    assert "hostname = mail.barid.test\n" in shown and "message_bytes = 50M   ; built-in" in shown
    assert "4 to 1024" in ok(barid("config", "explain", "limits.threads"))
    assert barid("config", "explain", "limit.threads").returncode == 64
    assert str(barid.config) in ok(barid("config", "check"))


def test_help_and_version(barid):
    assert "barid user" in ok(barid("help"))
    assert ok(barid("version")).startswith("barid ")
