/* FETCH: whole messages, each byte compared; what mail programs ask for at first sight and on a page. */
#include "imap.h"
#include <stdlib.h>
#include <string.h>

void fetch_full_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct imap m;
    struct seenmap seen = { 0 };
    if (imap_start(&m, s, true) < 0)
        return;
    m.check_bodies = true;
    m.seen = cfg.copies ? NULL : &seen;
    bool single = cfg.mode && !strcmp(cfg.mode, "single");
    if (single) {
        if (imap_cmd(&m, "UID SEARCH ALL")) {
            session_leave(s);
            goto out;
        }
        shuffle(s, m.uids, m.nuids);
    }
    co_barrier(w, 1);
    uint64_t i;
    if (!single) {
        for (int r = 0; cfg.secs > 0 ? next_op(&i) : r < (cfg.repeat ? cfg.repeat : 1); r++) {
            uint64_t t0 = now_ns();
            seen_free(&seen);
            if (imap_cmd(&m, "UID FETCH 1:* (UID BODY.PEEK[])"))
                break;
            if (m.nfetch != m.exists || (m.seen && seen.n != m.exists))
                err(w, "fetch-full: %u FETCH responses and %llu different good messages of %u",
                    m.nfetch, (unsigned long long)seen.n, m.exists);
            if (m.first)
                hist_add(&w->h[1], m.first - t0);
            op_done(w, 0, t0, m.litbytes);
            w->ops += m.nfetch ? m.nfetch - 1 : 0;
        }
    } else {
        uint32_t *uids = m.uids, n = m.nuids, sent = 0, got = 0;
        uint64_t *ts = xmalloc(sizeof(uint64_t) * (n + 1)), replies = 0;
        uint32_t *tg = xmalloc(sizeof(uint32_t) * (n + 1));
        m.uids = NULL;
        m.nuids = m.capuids = 0;
        uint32_t limit = n;
        while (got < sent || (sent < limit && !atomic_load(&g_stop))) {
            uint32_t was = sent;
            while (sent < limit && sent - got < (uint32_t)cfg.depth) {
                if (g_deadline && now_ns() > g_deadline) {
                    limit = sent;
                    break;
                }
                ts[sent] = now_ns();
                tg[sent] = imap_send(&m, "UID FETCH %u (UID BODY.PEEK[])", uids[sent]);
                sent++;
            }
            if (sent != was && c_flush(m.c) < 0) {
                err(w, "fetch-full: connection lost");
                break;
            }
            if (got == sent)
                break;
            m.litbytes = 0;
            m.nfetch = 0;
            int r = imap_tagged(&m, tg[got], "UID FETCH");
            if (r < 0)
                break;
            /* with several in flight a server may mix their responses */
            replies += m.nfetch;
            if (r || (cfg.depth == 1 && m.nfetch != 1))
                err(w, "UID FETCH: %s (%u responses)", m.code, m.nfetch);
            op_done(w, 0, ts[got], m.litbytes);
            got++;
        }
        if (replies != got)
            err(w, "fetch-full: %llu responses to %u commands", (unsigned long long)replies, got);
        if (m.seen && seen.n != got)
            err(w, "fetch-full: %llu different good messages of %u", (unsigned long long)seen.n,
                got);
        free(uids);
        free(ts);
        free(tg);
    }
out:
    ops_over(s);
    seen_free(&seen);
    imap_close(&m);
}

/* ------------------------------------------------------------ fetch-meta */
static bool find_id(const char *s, size_t n, uint32_t *i, uint32_t *u)
{
    const char *p = s;
    /* <iiiiiiii.uuuuuuuu.ssssssss@load.example>, the first one that is not a reference */
    while ((p = memmem(p, n - (size_t)(p - s), "@load.example>", 14))) {
        if (p - s >= 27 && p[-27] == '<') {
            char t[9] = { 0 };
            memcpy(t, p - 26, 8);
            *i = (uint32_t)strtoul(t, NULL, 16);
            memcpy(t, p - 17, 8);
            *u = (uint32_t)strtoul(t, NULL, 16);
            return true;
        }
        p += 14;
    }
    return false;
}
static void check_size(struct imap *m, const char *s, size_t n, uint32_t u, uint32_t i)
{
    const char *p = memmem(s, n, "RFC822.SIZE ", 12);
    size_t want = msg_size(u, i), got = p ? strtoull(p + 12, NULL, 10) : 0;
    /* delivered mail has the server's trace headers on top */
    if (got < want || got > want + 2048)
        err(m->c->w, "RFC822.SIZE %zu, expected %zu", got, want);
}
/* FETCH with ENVELOPE: In-Reply-To comes before the Message-ID, which is last */
static void on_meta_envelope(struct imap *m, char *s, size_t n)
{
    uint32_t i, u, bi = 0, bu = 0;
    bool any = false;
    char *env = memmem(s, n, "ENVELOPE (", 10), *end = s + n;
    if (!env || !memmem(s, n, "BODYSTRUCTURE (", 15) || !memmem(s, n, "INTERNALDATE \"", 14) ||
        !memmem(s, n, "FLAGS (", 7)) {
        err(m->c->w, "an incomplete FETCH response: %.100s", s);
        return;
    }
    char *bs = memmem(s, n, "BODYSTRUCTURE (", 15);
    if (bs > env)
        end = bs;
    for (char *p = env; p < end && find_id(p, (size_t)(end - p), &i, &u);) {
        /* the largest index of the message's own thread is its own */
        if (!any || i > bi) {
            bi = i;
            bu = u;
        }
        any = true;
        p = memmem(p, (size_t)(end - p), "@load.example>", 14);
        p += 14;
    }
    if (!any) {
        err(m->c->w, "no Message-ID in an ENVELOPE: %.100s", env);
        return;
    }
    check_size(m, s, n, bu, bi);
    if (m->seen && !seen_mark(m->seen, bi))
        err(m->c->w, "an ENVELOPE came twice");
    m->c->w->verified++;
}
static void on_meta_headers(struct imap *m, char *s, size_t n)
{
    uint32_t i, u;
    char *h = memmem(s, n, "BODY[HEADER.FIELDS", 18);
    if (!h)
        h = memmem(s, n, "body[header.fields", 18);
    const char *id = h ? icontains(h, n - (size_t)(h - s), "\nMESSAGE-ID: ") : NULL;
    if (!id || !find_id(id, n - (size_t)(id - s), &i, &u) ||
        !icontains(h, n - (size_t)(h - s), "\nSUBJECT: ")) {
        err(m->c->w, "header fields are missing: %.100s", s);
        return;
    }
    check_size(m, s, n, u, i);
    if (m->seen && !seen_mark(m->seen, i))
        err(m->c->w, "header fields came twice");
    m->c->w->verified++;
}

#define HF_TB                                                                                      \
    "From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups "            \
    "In-Reply-To Content-Type Reply-To"
#define HF_WEB                                                                                     \
    "DATE FROM TO SUBJECT CONTENT-TYPE CC REPLY-TO LIST-POST DISPOSITION-NOTIFICATION-TO "         \
    "X-PRIORITY MESSAGE-ID"
void fetch_meta_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct imap m;
    struct seenmap seen = { 0 };
    const char *mode = cfg.mode ? cfg.mode : "sync";
    uint64_t i;
    if (imap_start(&m, s, true) < 0)
        return;
    m.seen = &seen;
    co_barrier(w, 1);
    for (int r = 0; cfg.secs > 0 ? next_op(&i) : r < (cfg.repeat ? cfg.repeat : 1); r++) {
        uint64_t t0 = now_ns();
        uint32_t want = m.exists;
        int ok;
        uint64_t rx = m.c->rx;
        seen_free(&seen);
        if (!strcmp(mode, "sync")) {
            m.on_fetch = on_meta_envelope;
            ok = imap_cmd(
                &m, "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)");
        } else if (!strcmp(mode, "thunderbird")) {
            m.on_fetch = on_meta_headers;
            ok = imap_cmd(
                &m, "UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (" HF_TB ")])");
        } else if (!strcmp(mode, "webmail-all")) {
            m.on_fetch = on_meta_headers;
            ok = imap_cmd(&m,
                "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (" HF_WEB
                ")])");
        } else if (!strcmp(mode, "webmail")) { /* pages of 50 */
            uint32_t page = m.exists < 50 ? m.exists : 50, at = m.exists - page;
            if (at)
                at = (uint32_t)(rnd(s) % (at + 1));
            m.on_fetch = on_meta_headers;
            ok = imap_cmd(&m,
                "FETCH %u:%u (UID FLAGS INTERNALDATE RFC822.SIZE BODYSTRUCTURE "
                "BODY.PEEK[HEADER.FIELDS (" HF_WEB ")])",
                at + 1, at + page);
            want = page;
        } else if (!strcmp(mode, "flags")) {
            ok = imap_cmd(&m, "UID FETCH 1:* (FLAGS)");
        } else {
            die("fetch-meta: no mode %s", mode);
        }
        if (ok)
            break;
        if (m.nfetch != want)
            err(w, "fetch-meta: %u FETCH responses of %u", m.nfetch, want);
        if (m.on_fetch && seen.n != want)
            err(w, "fetch-meta: %llu different messages of %u", (unsigned long long)seen.n, want);
        if (m.first)
            hist_add(&w->h[1], m.first - t0);
        op_done(w, 0, t0, m.c->rx - rx);
        w->extra[0] += m.nfetch;
    }
    ops_over(s);
    seen_free(&seen);
    imap_close(&m);
}
