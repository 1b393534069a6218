/* COPY, MOVE, and deletion with EXPUNGE. */
#include "imap.h"
#include <stdlib.h>
#include <string.h>

void box_name(char *b, size_t cap, const char *n)
{
    snprintf(b, cap, "%s%s", cfg.prefix ? cfg.prefix : "", n);
}

static int make_box(struct imap *m, const char *box)
{
    /* it may be there from an earlier run */
    c_putf(m->c, "a%u DELETE \"%s\"\r\n", ++m->tag, box);
    if (c_flush(m->c) < 0 || imap_tagged(m, m->tag, "DELETE") < 0)
        return -1;
    return imap_cmd(m, "CREATE \"%s\"", box);
}

void copy_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct imap m;
    uint64_t i;
    bool mv = !strcmp(cfg.cmd, "move");
    char target[128], tn[64];
    snprintf(tn, sizeof tn, "Target%d", s->id / cfg.users);
    box_name(target, sizeof target, tn);
    if (imap_start(&m, s, true) < 0)
        return;
    if ((mv && !m.move) || make_box(&m, target) || imap_select(&m, cfg.mailbox) ||
        imap_cmd(&m, "UID SEARCH ALL") || !m.nuids) {
        if (mv && !m.move)
            not_offered();
        else
            err(w, "%s: cannot start", cfg.cmd);
        conn_close(&s->c);
        session_leave(s);
        return;
    }
    uint32_t n = m.nuids, at = 0, *uids = xmalloc(sizeof(uint32_t) * (n + 1));
    uint64_t moved = 0;
    memcpy(uids, m.uids, sizeof(uint32_t) * n);
    co_barrier(w, 1);
    while (next_op(&i)) {
        uint32_t k = n - at < (uint32_t)cfg.range ? n - at : (uint32_t)cfg.range;
        if (!k) {
            if (mv) /* all of it is in the other mailbox now */
                break;
            at = 0;
            continue;
        }
        char set[64];
        snprintf(set, sizeof set, k == 1 ? "%u" : "%u:%u", uids[at], uids[at + k - 1]);
        uint64_t t0 = now_ns();
        if (imap_cmd(&m, "UID %s %s \"%s\"", mv ? "MOVE" : "COPY", set, target))
            break;
        if (mv && m.nexpunge + m.nvanished != k)
            err(w, "MOVE of %u messages told of %u", k, m.nexpunge + m.nvanished);
        op_done(w, 0, t0, 0);
        w->extra[0] += k;
        moved += k;
        at += k;
    }
    ops_over(s);
    if (!imap_cmd(&m, "STATUS \"%s\" (MESSAGES)", target)) {
        if (m.st_messages != moved)
            err(w, "%s holds %u messages, expected %llu", target, m.st_messages,
                (unsigned long long)moved);
        else
            w->verified += moved;
    }
    if (mv && m.exists != n - moved)
        err(w, "%u messages are left, expected %llu", m.exists, (unsigned long long)(n - moved));
    if (!cfg.keep) {
        if (mv && moved) {
            if (!imap_cmd(&m, "SELECT \"%s\"", target))
                imap_cmd(&m, "UID MOVE 1:* \"%s\"", cfg.mailbox);
            imap_cmd(&m, "SELECT \"%s\"", cfg.mailbox);
        }
        imap_cmd(&m, "DELETE \"%s\"", target);
    }
    free(uids);
    imap_close(&m);
}

void expunge_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct imap m;
    uint64_t i;
    if (imap_start(&m, s, true) < 0)
        return;
    if (imap_cmd(&m, "UID SEARCH ALL")) {
        conn_close(&s->c);
        session_leave(s);
        return;
    }
    uint32_t n = m.nuids, at = 0, *uids = xmalloc(sizeof(uint32_t) * (n + 1));
    memcpy(uids, m.uids, sizeof(uint32_t) * n);
    co_barrier(w, 1);
    while (at < n && next_op(&i)) {
        uint32_t k = n - at < (uint32_t)cfg.range ? n - at : (uint32_t)cfg.range;
        uint64_t t0 = now_ns();
        if (imap_cmd(&m, "UID STORE %u:%u +FLAGS.SILENT (\\Deleted)", uids[at], uids[at + k - 1]))
            break;
        timed(w, 1, t0);
        uint64_t t1 = now_ns();
        if (imap_cmd(&m, m.uidplus ? "UID EXPUNGE %u:%u" : "EXPUNGE", uids[at], uids[at + k - 1]))
            break;
        timed(w, 2, t1);
        if (m.nexpunge + m.nvanished != k)
            err(w, "EXPUNGE of %u messages told of %u", k, m.nexpunge + m.nvanished);
        op_done(w, 0, t0, 0);
        w->extra[0] += k;
        at += k;
    }
    ops_over(s);
    if (!imap_cmd(&m, "STATUS \"%s\" (MESSAGES)", cfg.mailbox)) {
        if (m.exists != n - at || m.st_messages != n - at)
            err(w, "%u (STATUS: %u) messages are left, expected %u", m.exists, m.st_messages,
                n - at);
        else
            w->verified += at;
    }
    free(uids);
    imap_close(&m);
}

/* Fills a mailbox that has some messages with copies of them until it has --expect. Much faster than APPEND. */
void grow_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct imap m;
    uint64_t want = cfg.expect;
    cfg.expect = 0; /* what SELECT would look for */
    if (imap_start(&m, s, true) < 0)
        return;
    co_barrier(w, 1);
    for (uint64_t have = m.exists; have < want;) {
        uint64_t k = want - have < have ? want - have : have;
        if (k > (uint64_t)cfg.range)
            k = (uint64_t)cfg.range;
        uint64_t t0 = now_ns();
        if (!k || imap_cmd(&m, "COPY 1:%llu \"%s\"", (unsigned long long)k, cfg.mailbox))
            break;
        op_done(w, 0, t0, 0);
        w->extra[0] += k;
        have += k;
        if (m.exists != have) {
            err(w, "%u messages after COPY, expected %llu", m.exists, (unsigned long long)have);
            break;
        }
    }
    ops_over(s);
    imap_close(&m);
}
