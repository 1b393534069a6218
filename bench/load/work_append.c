/* APPEND: as fast as it goes, or so many for each user. */
#include "imap.h"
#include <stdlib.h>
#include <string.h>

static atomic_uint *next_index; /* by user */
static void indices(void)
{
    static atomic_flag once = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&once))
        next_index = calloc((size_t)cfg.users + 1, sizeof *next_index);
}

int put_append(
    struct imap *m, const char *box, uint32_t u, uint32_t *idx, int count, uint64_t *bytes)
{
    struct conn *c = m->c;
    char head[HEADMAX], date[64];
    c_putf(c, "a%u APPEND \"%s\"", ++m->tag, box);
    for (int k = 0; k < count; k++) {
        uint32_t i = idx[k];
        struct poolmsg *p = &pool[pool_of(i)];
        size_t hl = msg_head(head, u, i);
        const char *flags = i % 5 < 3 ? " (\\Seen)" : i % 5 == 3 ? " (\\Seen \\Answered)" : "";
        date[0] = 0;
        if (cfg.internaldate) {
            char when[40];
            msg_internaldate(when, sizeof when, i);
            snprintf(date, sizeof date, " \"%s\"", when);
        }
        c_putf(c, "%s%s {%zu%s}\r\n", flags, date, hl + p->n, m->litplus ? "+" : "");
        if (!m->litplus) {
            char *s;
            size_t n;
            if (c_flush(c) < 0)
                return -1;
            do
                if (imap_read(m, &s, &n) < 0)
                    return -1;
            while (s[0] == '*');
            if (s[0] != '+')
                return -1;
        }
        c_put(c, head, hl);
        c_putref(c, p->raw, p->n);
        *bytes += hl + p->n;
    }
    c_puts(c, "\r\n");
    return c_flush(c);
}

/* appends until there is no more to do, cfg.depth commands in flight */
static void append_loop(struct imap *m, struct sess *s, int user, uint64_t count)
{
    struct worker *w = s->w;
    uint64_t t_start[64], bytes[64], i;
    uint32_t tags[64], sent[64][64];
    int nmsg[64], head = 0, inflight = 0, multi = cfg.multi;
    if (!m->multiappend)
        multi = 1;
    bool more = true;
    atomic_uint *next = &next_index[user - cfg.first];
    while (more || inflight) {
        if (more && inflight < cfg.depth) {
            int k = 0, q = (head + inflight) % 64;
            uint32_t *idx = sent[q];
            for (; k < multi; k++) {
                if (count) {
                    uint32_t v = atomic_fetch_add(next, 1);
                    if (v >= count) {
                        more = false;
                        break;
                    }
                    idx[k] = (uint32_t)cfg.start + v;
                } else {
                    if (!next_op(&i)) {
                        more = false;
                        break;
                    }
                    idx[k] = (uint32_t)cfg.start + atomic_fetch_add(next, 1);
                }
            }
            if (!k)
                continue;
            t_start[q] = now_ns();
            nmsg[q] = k;
            bytes[q] = 0;
            if (put_append(m, cfg.mailbox, (uint32_t)user, idx, k, &bytes[q]) < 0) {
                err(w, "APPEND: connection lost");
                return;
            }
            tags[q] = m->tag;
            inflight++;
            if (inflight < cfg.depth)
                continue;
        }
        int q = head;
        int r = imap_tagged(m, tags[q], "APPEND");
        if (r < 0)
            return;
        if (r) {
            err(w, "APPEND: %s", m->code);
        } else {
            op_done(w, 0, t_start[q], bytes[q]);
            for (int k = 0; k < nmsg[q]; k++)
                acked((uint32_t)user, sent[q][k]);
            w->ops += (uint64_t)nmsg[q] - 1;
        }
        head = (head + 1) % 64;
        inflight--;
    }
}

void append_session(void *arg)
{
    struct sess *s = arg;
    struct imap m;
    indices();
    if (cfg.messages) { /* fill: every user gets so many */
        bool passed = false;
        for (int u = s->id % cfg.users; u < cfg.users; u += cfg.conc) {
            if (imap_open(&m, s, cfg.first + u, -1) < 0 || imap_need_caps(&m)) {
                conn_close(&s->c);
                imap_free(&m);
                break;
            }
            if (!passed) {
                passed = true;
                co_barrier(s->w, 1);
            }
            append_loop(&m, s, cfg.first + u, cfg.messages);
            imap_close(&m);
        }
        if (!passed)
            session_leave(s);
        return;
    }
    if (imap_start(&m, s, false) < 0)
        return;
    co_barrier(s->w, 1);
    append_loop(&m, s, my_user(s), 0);
    ops_over(s);
    imap_close(&m);
}
