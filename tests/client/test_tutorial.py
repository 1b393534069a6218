"""The day with the client that the README tells of: each of its commands, on the demo."""
import os
import re
import socket
import subprocess

import server as lib

PORTS = {"1143": "143", "1587": "587", "1110": "110"}


def free_base():
    """From which the demo's ports (base + 24 to base + 995) are free now."""
    while True:
        base = lib.free_port()
        if all(is_free(base + port) for port in (24, 25, 110, 143, 465, 587, 993, 995)):
            return base


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def commands():
    with open(os.path.join(lib.TOP, "README.md"), encoding="utf-8") as f:
        section = f.read().split("## A day with the client\n")[1].split("\n## ")[0]
    return re.findall(r"^    \$ (.*)$", section, re.M)


def test_every_command(tmp_path):
    base = free_base()
    program = lib.barid_program()
    demo = subprocess.Popen([program, "demo", "--port-base", str(base)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env=os.environ | {"BARID_LANG": "en"}, text=True)
    try:
        for line in demo.stdout:
            if "Ctrl-C ends it" in line:
                break
        assert demo.poll() is None, "the demo did not start"
        said = {}
        env = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")} | {"HOME": str(tmp_path), "BARID_LANG": "en"}
        for command in commands():
            text = command.replace("./barid", program)
            for port, last in PORTS.items():
                text = text.replace(f":{port}:", f":{base + int(last)}:")
            done = subprocess.run(["sh", "-c", text], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
            said.setdefault(re.sub(r"\s+#.*", "", command), []).append(done.stdout)
        first, after_send, after_rm, after_undo = said["./barid sync salma"]
        assert int(re.search(r"(\d+) new here", first).group(1)) > 5
        would = said["./barid sync salma --dry-run"][0].split(": ")[1]
        assert set(re.findall(r"\d+", would)) == {"0"}, would
        assert "1 new here" in after_send
        removed = re.search(r"(\d+) removed there", after_rm).group(1)
        assert int(removed) > 0
        assert f"Brought back: {removed} messages" in said["./barid undo salma"][0]
        assert f"{removed} new there" in after_undo
        assert re.search(r"[1-9]\d* new of", said["./barid fetch omar --delete-after 14"][0])
        assert "Nothing waits" in said["./barid queue"][0]
        assert "salma@barid.test" in said["./barid account list"][0] and "omar@barid.test" in said["./barid account list"][0]
    finally:
        demo.terminate()
        demo.wait(30)
