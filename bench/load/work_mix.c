/* A mix of clients at work and deliveries. */
#include "imap.h"
#include "smtp.h"
#include <stdarg.h>
#include <string.h>
#include <strings.h>

enum {
    MX_LOGIN,
    MX_LIST,
    MX_STATUS,
    MX_SELECT,
    MX_FLAGS,
    MX_META,
    MX_BODY,
    MX_STORE,
    MX_SEARCH,
    MX_COPY,
    MX_EXPUNGE,
    MX_APPEND,
    MX_NOOP,
    MX_LOGOUT,
    MX_DELIVER
};
static atomic_uint mix_index;

static bool chance(struct sess *s, int pct)
{
    return (int)(rnd(s) % 100) < pct;
}
/* a command of the mix: a NO is no error (another session may have expunged) */
static int mx(struct imap *m, int h, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int mx(struct imap *m, int h, const char *fmt, ...)
{
    char t[1900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t, sizeof t, fmt, ap);
    va_end(ap);
    uint64_t t0 = now_ns();
    c_putf(m->c, "a%u %s\r\n", ++m->tag, t);
    m->nfetch = m->nexpunge = m->nvanished = m->nuids = m->nthreads = 0;
    m->litbytes = 0;
    if (c_flush(m->c) < 0)
        return -1;
    int r = imap_tagged(m, m->tag, t);
    if (r < 0)
        return -1;
    if (r && (!strncasecmp(m->code, "BAD", 3) || h == MX_LOGIN || h == MX_SELECT))
        err(m->c->w, "%.60s: %s", t, m->code);
    op_done(m->c->w, h, t0, m->litbytes);
    return 0;
}
static void on_mix_fetch(struct imap *m, char *s, size_t n)
{
    uint32_t uid = fetch_uid(s, n);
    if (uid)
        add_uid(m, uid);
}

static void mix_deliver(struct sess *s)
{
    struct smtp m;
    struct worker *w = s->w;
    uint64_t i;
    if (smtp_open(&m, &s->c, s) < 0) {
        conn_close(&s->c);
        session_leave(s);
        return;
    }
    co_barrier(w, 1);
    while (next_op(&i)) {
        size_t size;
        uint64_t t0 = now_ns();
        if (smtp_send(&m, (uint32_t)cfg.first + (uint32_t)(rnd(s) % (uint64_t)cfg.users),
                (uint32_t)cfg.start + atomic_fetch_add(&mix_index, 1), 1, NULL, &size) < 0)
            break;
        op_done(w, MX_DELIVER, t0, size);
        if (cfg.pause > 0)
            co_sleep(w, (uint64_t)(cfg.pause * 1e6) / 2 + rnd(s) % (uint64_t)(cfg.pause * 1e6));
    }
    conn_close(&s->c);
}

void mix_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct imap m;
    uint64_t i;
    char u[256], trash[64];
    const struct addr *a = cfg.tls ? &cfg.imaps : &cfg.imap;
    if (cfg.lmtp.set && s->id % 5 == 4) {
        mix_deliver(s);
        return;
    }
    box_name(trash, sizeof trash, "Trash");
    co_barrier(w, 1);
    while (next_op(&i)) {
        size_t n;
        char *l;
        memset(&m, 0, sizeof m);
        m.c = &s->c;
        m.s = s;
        m.check_bodies = true;
        m.on_fetch = on_mix_fetch;
        s->c.peer = "imap";
        if (conn_open(&s->c, a, cfg.tls) < 0 || !(l = c_line(&s->c, &n)))
            break;
        int user = cfg.first + (int)(rnd(s) % (uint64_t)cfg.users);
        user_name(u, sizeof u, user);
        s->c.user = user;
        if (mx(&m, MX_LOGIN, "LOGIN %s %s", u, cfg.pass) < 0)
            break;
        if (imap_need_caps(&m) < 0)
            break;
        if (chance(s, 50) && mx(&m, MX_LIST, "LIST \"\" \"*\"") < 0)
            break;
        if (chance(s, 50) &&
            mx(&m, MX_STATUS, "STATUS \"%s\" (MESSAGES UNSEEN UIDNEXT)", cfg.mailbox) < 0)
            break;
        m.exists = 0;
        if (mx(&m, MX_SELECT, "SELECT \"%s\"", cfg.mailbox) < 0)
            break;
        int rounds = 1 + (int)(rnd(s) % 6);
        bool lost = false;
        for (int r = 0; r < rounds && !lost; r++) {
            lost = true;
            uint32_t lo = m.exists > 30 ? m.exists - 29 : 1;
            uint32_t uids[64], nu = 0;
            if (m.exists) {
                if (chance(s, 30) && mx(&m, MX_FLAGS, "UID FETCH 1:* (FLAGS)") < 0)
                    break;
                if (mx(&m, MX_META,
                        "FETCH %u:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
                        lo) < 0)
                    break;
                for (uint32_t k = 0; k < m.nuids && nu < 64; k++)
                    uids[nu++] = m.uids[k];
            }
            if (nu) {
                int reads = 1 + (int)(rnd(s) % 3), k;
                for (k = 0; k < reads; k++)
                    if (mx(&m, MX_BODY, "UID FETCH %u (UID BODY.PEEK[])", uids[rnd(s) % nu]) < 0)
                        break;
                if (k < reads)
                    break;
                if (chance(s, 60) &&
                    mx(&m, MX_STORE, "UID STORE %u +FLAGS (\\Seen)", uids[rnd(s) % nu]) < 0)
                    break;
                if (chance(s, 20) &&
                    mx(&m, MX_STORE, "UID STORE %u -FLAGS.SILENT (\\Flagged \\Answered)",
                        uids[rnd(s) % nu]) < 0)
                    break;
                if (chance(s, 10) &&
                    mx(&m, MX_SEARCH, "UID SEARCH FROM \"%s\"", sender_name((uint32_t)rnd(s))) < 0)
                    break;
                if (chance(s, 10) &&
                    mx(&m, MX_COPY, "UID COPY %u \"%s\"", uids[rnd(s) % nu], trash) < 0)
                    break;
                if (chance(s, 40)) {
                    if (mx(&m, MX_STORE, "UID STORE %u +FLAGS.SILENT (\\Deleted)",
                            uids[rnd(s) % nu]) < 0 ||
                        mx(&m, MX_EXPUNGE, "EXPUNGE") < 0)
                        break;
                }
            }
            if (chance(s, cfg.lmtp.set ? 15 : 45)) {
                uint64_t t1 = now_ns(), bytes = 0;
                uint32_t idx = (uint32_t)cfg.start + atomic_fetch_add(&mix_index, 1);
                if (put_append(&m, cfg.mailbox, (uint32_t)user, &idx, 1, &bytes) < 0 ||
                    imap_tagged(&m, m.tag, "APPEND") < 0)
                    break;
                op_done(w, MX_APPEND, t1, bytes);
            }
            if (mx(&m, MX_NOOP, "NOOP") < 0)
                break;
            lost = false;
        }
        if (lost) {
            err(w, "mix: connection lost");
            break;
        }
        if (mx(&m, MX_LOGOUT, "LOGOUT") < 0)
            break;
        conn_close(&s->c);
        imap_free(&m);
    }
    conn_close(&s->c);
}
