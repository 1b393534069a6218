"""imapflow and nodemailer, the clients of many web mailers."""
import base64
import json
import os
import subprocess

import pytest
from conftest import need

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "starttls"])
def test_imapflow_and_nodemailer(server, user, secure):
    need("node")
    if not os.path.isdir(os.path.join(HERE, "node_modules", "imapflow")):
        pytest.skip("imapflow and nodemailer are not installed (tools/deps check)")
    attachment = bytes(range(256)) * 40
    texts = ["Hello\n.\n..\nend\n", "مرحبًا بالعالم\n" * 20, "x" * 3000 + "\n"]
    order = {"user": user.address, "password": user.password, "ca": server.ca, "secure": secure, "texts": texts,
             "imap": server.port("imaps" if secure else "imap"), "attachment": base64.b64encode(attachment).decode(),
             "submission": server.port("submissions" if secure else "submission")}
    done = subprocess.run(["node", "flow.mjs"], cwd=HERE, input=json.dumps(order), capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    assert "IDLE" in out["capabilities"] and "INBOX" in out["folders"]
    assert out["exists"] == len(texts)
    assert sorted(m["subject"] for m in out["messages"]) == [f"رسالة {n}" for n in range(len(texts))]
    assert {m["from"] for m in out["messages"]} == {"سلمى"}
    assert all(m["types"][0] == "text/plain" and len(m["types"]) == 2 for m in out["messages"])
    assert base64.b64decode(out["attachment"]) == attachment
    assert len(out["flagged"]) == 1 and len(out["moved"]) == 1
    assert (out["left"], out["archived"]) == (len(texts) - 2, 1)
    sent = {base64.b64decode(m["source"]).split(b"\r\n\r\n", 1)[1] for m in out["messages"]}
    assert {b.split(b"\r\n\r\n", 1)[1] for b in server.bodies(user, "Sent").values()} == sent
