/* STORE of one flag and of all; what was asked for must be there at the end. */
#include "imap.h"
#include <stdlib.h>
#include <string.h>

static void on_flags(struct imap *m, char *s, size_t n)
{
    uint32_t uid = fetch_uid(s, n);
    const char *f = memmem(s, n, "FLAGS (", 7);
    if (!uid || !f)
        return;
    const char *e = memchr(f, ')', n - (size_t)(f - s));
    if (uid >= m->flagcap) {
        uint32_t nc = uid * 2 + 64;
        m->flagbits = xrealloc(m->flagbits, nc);
        memset(m->flagbits + m->flagcap, 0, nc - m->flagcap);
        m->flagcap = nc;
    }
    m->flagbits[uid] = e && icontains(f, (size_t)(e - f), "\\FLAGGED") ? 2 : 1;
}

void store_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct imap m;
    uint64_t i;
    if (imap_start(&m, s, true) < 0)
        return;
    m.on_fetch = on_flags;
    if (imap_cmd(&m, "UID FETCH 1:* (FLAGS)")) {
        session_leave(s);
        goto out;
    }
    if (m.nfetch != m.exists)
        err(w, "store: %u FETCH responses of %u", m.nfetch, m.exists);
    uint32_t nu = 0, *uids = xmalloc(sizeof(uint32_t) * (m.exists + 1));
    uint8_t *want = calloc(1, m.flagcap + 1);
    for (uint32_t u = 1; u < m.flagcap; u++)
        if (m.flagbits[u]) {
            uids[nu++] = u;
            want[u] = m.flagbits[u];
        }
    uint32_t cap0 = m.flagcap;
    co_barrier(w, 1);
    const char *silent = cfg.silent ? ".SILENT" : "";
    if (cfg.mode && !strcmp(cfg.mode, "all")) {
        for (int r = 0; r < (cfg.repeat ? cfg.repeat : 1); r++) {
            uint64_t t0 = now_ns();
            bool on = !(r & 1);
            if (imap_cmd(&m, "UID STORE 1:* %sFLAGS%s (\\Flagged)", on ? "+" : "-", silent))
                break;
            uint32_t changed = 0; /* a server need not tell of flags that stayed as they were */
            for (uint32_t k = 0; k < nu; k++)
                changed += want[uids[k]] != (on ? 2 : 1);
            if (!cfg.silent && m.nfetch < changed)
                err(w, "store: %u FETCH responses of %u", m.nfetch, changed);
            op_done(w, 0, t0, 0);
            w->extra[0] += nu;
            for (uint32_t k = 0; k < nu; k++)
                want[uids[k]] = on ? 2 : 1;
        }
    } else if (nu) {
        uint64_t ts[64];
        uint32_t tg[64];
        int head = 0, inflight = 0;
        bool more = true;
        while (more || inflight) {
            if (more && inflight < cfg.depth) {
                if (!next_op(&i)) {
                    more = false;
                    continue;
                }
                uint32_t uid = uids[rnd(s) % nu];
                bool on = want[uid] == 1;
                int q = (head + inflight) % 64;
                ts[q] = now_ns();
                tg[q] = imap_send(
                    &m, "UID STORE %u %sFLAGS%s (\\Flagged)", uid, on ? "+" : "-", silent);
                want[uid] = on ? 2 : 1;
                inflight++;
                if (inflight < cfg.depth)
                    continue;
            }
            if (c_flush(m.c) < 0)
                break;
            int r = imap_tagged(&m, tg[head], "UID STORE");
            if (r < 0)
                break;
            if (r)
                err(w, "UID STORE: %s", m.code);
            op_done(w, 0, ts[head], 0);
            head = (head + 1) % 64;
            inflight--;
        }
    }
    ops_over(s);
    /* what is there now must be what was asked for; with several sessions in
	 * one mailbox nobody knows, so only an own mailbox is checked */
    if (cfg.conc <= cfg.users) {
        memset(m.flagbits, 0, m.flagcap);
        if (!imap_cmd(&m, "UID FETCH 1:* (FLAGS)")) {
            uint32_t bad = 0;
            for (uint32_t k = 0; k < nu; k++)
                if (uids[k] < cap0 && m.flagbits[uids[k]] != want[uids[k]])
                    bad++;
            if (bad)
                err(w, "store: %u messages have the wrong flags", bad);
            else
                w->verified += nu;
        }
    }
    free(uids);
    free(want);
out:
    imap_close(&m);
}
