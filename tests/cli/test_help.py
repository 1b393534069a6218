"""Help in both languages for every verb, options wherever they stand, and manual pages that tell all of it."""
import json
import os
import re
import subprocess

import pytest

TOP = os.path.join(os.path.dirname(__file__), "..", "..")
BARID = os.environ.get("BARID", os.path.join(TOP, "barid"))
VERBS = ["demo", "serve", "status", "fsck", "rebuild", "backup", "restore", "import", "config", "domain", "user", "passwd",
         "app-password", "explain", "pop", "device", "alias", "discover", "mime", "account", "sync", "watch", "undo", "copy", "fetch", "send", "queue",
         "ls", "read", "save", "search", "flag", "mv", "rm", "quota", "export", "verify", "log"]


def barid(*args, lang="en"):
    return subprocess.run([BARID, *args], stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "BARID_LANG": lang})


def manual(name):
    with open(os.path.join(TOP, "docs", "man", name), encoding="utf-8") as f:
        return f.read()


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_tells_what_it_takes(verb):
    texts = [barid(*words) for words in ((verb, "--help"), (verb, "-h"), ("help", verb), ("--help", verb))]
    assert {t.returncode for t in texts} == {0}
    assert len({t.stdout for t in texts}) == 1
    assert texts[0].stdout.startswith(f"barid {verb}") and texts[0].stderr == ""
    assert barid(verb, "--help", "--lang", "ar").stdout == barid(verb, "-h", lang="ar").stdout


def test_the_list_names_every_verb():
    for lang in ("en", "ar"):
        text = barid("--help", lang=lang).stdout
        assert sorted(set(re.findall(r"^  barid ([\w-]+)", text, re.M)) - {"help"}) == sorted(VERBS)


def test_wrong_use_says_what_to_do():
    for words in ((), ("nothing",), ("--nothing",), ("-c",), ("user", "list", "-c"), ("help", "nothing")):
        done = barid(*words)
        assert done.returncode == 64, words
        assert (done.stdout + done.stderr).strip()


def test_options_may_stand_behind_the_verb(tmp_path):
    config = tmp_path / "barid.conf"
    config.write_text(f"[server]\ndata = {tmp_path}/data\nuser =\n")
    (tmp_path / "data").mkdir(mode=0o700)
    assert barid("domain", "add", "barid.test", "-c", str(config)).returncode == 0
    assert json.loads(barid("domain", "list", "--json", "-c", str(config)).stdout) == ["barid.test"]
    assert json.loads(barid("--json", "-c", str(config), "domain", "list").stdout) == ["barid.test"]


def test_the_manual_knows_every_verb_and_every_key():
    page = manual("barid.1.scd")
    for verb in VERBS:
        assert f"*{verb}*" in page, verb
    page, section, keys = manual("barid.conf.5.scd"), None, []
    for line in barid("config", "show").stdout.splitlines():
        if line.startswith("["):
            section = line
        elif "=" in line:
            keys.append((section, line.split("=")[0].strip()))
    assert len(keys) > 15
    for section, key in keys:
        part = page.split(f"# {section}\n", 1)[1].split("\n# ", 1)[0]
        assert f"*{key}*" in part, (section, key)
        explained = barid("config", "explain", f"{section[1:-1]}.{key}").stdout
        default = re.search(r"default: (.*)", explained).group(1)
        if not default.startswith("("):
            assert default.replace("*", "\\*") in part, (section, key)


def test_output_that_cannot_be_written():
    """A message or a list that is cut is no success; a reader that has had enough is none of our business."""
    env = {"PATH": os.environ["PATH"], "BARID_LANG": "en"}
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BARID, "help", "sync"], stdout=full, stderr=subprocess.PIPE, env=env, text=True, check=False)
    assert done.returncode == 74 and "could not all be written: there is no room" in done.stderr, done
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BARID, "nothing"], stdout=full, stderr=subprocess.PIPE, env=env, text=True, check=False)
    assert done.returncode == 64 and "written" not in done.stderr, done
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([BARID, "help", "sync"], stdout=write, stderr=subprocess.PIPE, env=env, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, ""), done
