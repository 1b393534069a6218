import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    for tool in ("openssl", "ip"):
        if not shutil.which(tool) and not os.path.exists("/usr/sbin/" + tool):
            pytest.skip(f"{tool} is not installed: tools/deps check")
    return world.Authority(str(tmp_path_factory.mktemp("authority")))


@pytest.fixture
def discover(authority):
    def run(what, *words, **how):
        return world.run(what, authority, *words, **how)
    return run
