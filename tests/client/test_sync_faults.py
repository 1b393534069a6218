"""barid sync, stopped, refused and cut off: a share of the cases of tests/lib/syncfaults.py. tests/check-client-faults takes all of them."""
import os

import pytest

import peers
import syncfaults

# of each scenario; all of it takes less than a minute
SHARE = {"stop": 7, "refuse": 4, "cut": 7}


@pytest.fixture(scope="module", params=syncfaults.ALL, ids="-".join)
def prepared(request, shim):
    if not os.access(peers.DOVECOT, os.X_OK):
        pytest.skip("dovecot-imapd is not installed (tools/deps check)")
    with syncfaults.Prepared(*request.param, shim) as p:
        yield p


@pytest.mark.parametrize("kind", SHARE)
def test_faults(shim, prepared, kind):
    cases = prepared.cases([kind])
    assert len(cases) > 50
    for case in syncfaults.share(cases, SHARE[kind]):
        prepared.run(case, shim)


def test_a_file_that_cannot_be_opened_now(shim):
    """What is new here and cannot be read at this moment may be what is new there: the run ends, or it would be there twice after the next."""
    if not os.access(peers.DOVECOT, os.X_OK):
        pytest.skip("dovecot-imapd is not installed (tools/deps check)")
    with syncfaults.Prepared("uploads", "all", shim) as prepared:
        cases = [c for c in prepared.cases(["refuse"]) if c[1] == "open"]
        assert len(cases) > 20
        for case in cases:
            prepared.run(case, shim)
