/* SEARCH, SORT, THREAD; the number of hits is known beforehand. */
#include "imap.h"
#include <string.h>

static uint64_t count_if(uint64_t n, int kind, int k)
{
    uint64_t c = 0;
    for (uint32_t i = 0; i < n; i++)
        switch (kind) {
        case 0:
            c += i % TAGS == (uint32_t)k;
            break;
        case 1:
            c += pool[pool_of(i)].needle == k;
            break;
        case 2:
            c += sender_of(i) == sender_of((uint32_t)k);
            break;
        case 3:
            c += i % 5 == 4;
            break;
        }
    return c;
}

static const char *search_kinds[] = { "all", "unseen", "subject", "from", "header", "since", "body",
    "text" };
void search_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct imap m;
    if (imap_start(&m, s, true) < 0)
        return;
    const char *want = cfg.mode ? cfg.mode : "all,unseen,subject,from,header,since,body,text";
    uint64_t n = cfg.expect ? cfg.expect : m.exists;
    co_barrier(w, 1);
    for (int r = 0; r < (cfg.repeat ? cfg.repeat : 3); r++) {
        for (int k = 0; k < 8; k++) {
            char name[32];
            snprintf(name, sizeof name, ",%s,", search_kinds[k]);
            char list[256];
            snprintf(list, sizeof list, ",%s,", want);
            if (!strstr(list, name))
                continue;
            uint64_t hits = 0;
            bool known = n == m.exists;
            int x = (int)(rnd(s) % 80), ok = 1;
            char date[64];
            uint64_t t0 = now_ns();
            switch (k) {
            case 0:
                ok = imap_cmd(&m, "UID SEARCH ALL");
                hits = m.exists;
                break;
            case 1:
                ok = imap_cmd(&m, "UID SEARCH UNSEEN");
                hits = count_if(n, 3, 0);
                break;
            case 2:
                ok = imap_cmd(&m, "UID SEARCH SUBJECT \"tag%03dx\"", x);
                hits = count_if(n, 0, x);
                break;
            case 3:
                ok = imap_cmd(&m, "UID SEARCH FROM \"%s\"", sender_name((uint32_t)x));
                hits = count_if(n, 2, x);
                break;
            case 4: {
                uint32_t i = (uint32_t)(rnd(s) % (n ? n : 1));
                ok = imap_cmd(&m, "UID SEARCH HEADER Message-ID \"<%08x.\"", i);
                hits = 1;
                break;
            }
            case 5:
                msg_internaldate(date, sizeof date, (uint32_t)(n / 2));
                date[11] = 0;
                ok = imap_cmd(&m, "UID SEARCH SINCE %s", date);
                known = false;
                break;
            case 6:
                ok = imap_cmd(&m, "UID SEARCH BODY \"needle%03dq\"", x);
                hits = count_if(n, 1, x);
                break;
            case 7:
                ok = imap_cmd(&m, "UID SEARCH TEXT \"needle%03dq\"", x);
                hits = count_if(n, 1, x);
                break;
            }
            if (ok)
                goto out;
            op_done(w, k, t0, 0);
            if (known) {
                if (m.nuids != hits)
                    err(w, "SEARCH %s (%d): %u hits, expected %llu", search_kinds[k], x, m.nuids,
                        (unsigned long long)hits);
                else
                    w->verified++;
            }
        }
    }
out:
    imap_close(&m);
}

void sort_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct imap m;
    if (imap_start(&m, s, true) < 0)
        return;
    co_barrier(w, 1);
    bool thread = !strcmp(cfg.cmd, "thread");
    if (thread ? !m.thread : !m.sort) {
        not_offered();
        goto out;
    }
    for (int r = 0; r < (cfg.repeat ? cfg.repeat : 3); r++) {
        for (int k = 0; k < (thread ? 1 : 4); k++) {
            static const char *keys[] = { "ARRIVAL", "DATE", "SUBJECT", "REVERSE SIZE" };
            struct seenmap seen = { 0 };
            uint64_t t0 = now_ns();
            int ok = thread ? imap_cmd(&m, "UID THREAD REFERENCES UTF-8 ALL")
                            : imap_cmd(&m, "UID SORT (%s) UTF-8 ALL", keys[k]);
            if (ok)
                goto out;
            op_done(w, k, t0, 0);
            for (uint32_t i = 0; i < m.nuids; i++)
                seen_mark(&seen, m.uids[i]);
            if (m.nuids != m.exists || seen.n != m.exists)
                err(w, "%s: %u numbers, %llu different ones, of %u messages", cfg.cmd, m.nuids,
                    (unsigned long long)seen.n, m.exists);
            else if (thread && cfg.expect && m.nthreads != (cfg.expect + 3) / 4)
                err(w, "thread: %u threads, expected %llu", m.nthreads,
                    (unsigned long long)(cfg.expect + 3) / 4);
            else
                w->verified++;
            seen_free(&seen);
        }
    }
out:
    imap_close(&m);
}
