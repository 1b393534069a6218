/* SELECT in its variants, STATUS, NOOP, LIST. */
#include "imap.h"
#include <string.h>

void select_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct imap m;
    uint64_t i;
    const char *mode = cfg.mode ? cfg.mode : "full";
    if (!strcmp(mode, "full")) {
        co_barrier(w, 1);
        while (next_op(&i)) {
            uint64_t t0 = now_ns();
            if (imap_open(&m, s, cfg.first + (int)(i % (uint64_t)cfg.users), 1) < 0)
                break;
            uint64_t t1 = now_ns();
            if (imap_select(&m, cfg.mailbox))
                break;
            timed(w, 3, t1);
            op_done(w, 0, t0, 0);
            imap_close(&m);
        }
        conn_close(&s->c);
        return;
    }
    if (imap_start(&m, s, true) < 0)
        return;
    if (!strcmp(mode, "qresync")) {
        if (!m.qresync)
            not_offered();
        else if (imap_cmd(&m, "ENABLE QRESYNC") || imap_select(&m, cfg.mailbox) || !m.modseq)
            err(w, "QRESYNC does not work");
        if (!m.qresync || !m.modseq) {
            conn_close(&s->c);
            session_leave(s);
            return;
        }
    }
    co_barrier(w, 1);
    uint32_t exists = m.exists;
    while (next_op(&i)) {
        uint64_t t0 = now_ns();
        int r;
        if (!strcmp(mode, "qresync")) {
            r = imap_cmd(&m, "SELECT \"%s\" (QRESYNC (%u %llu))", cfg.mailbox, m.uidvalidity,
                (unsigned long long)m.modseq);
            if (!r && (m.nfetch || m.nvanished))
                err(w, "QRESYNC with no change gave %u FETCH and %u VANISHED", m.nfetch,
                    m.nvanished);
        } else if (!strcmp(mode, "status")) {
            r = imap_cmd(&m, "STATUS \"%s\" (MESSAGES UNSEEN UIDNEXT)", cfg.mailbox);
        } else if (!strcmp(mode, "noop")) {
            r = imap_cmd(&m, "NOOP");
        } else if (!strcmp(mode, "list")) {
            r = imap_cmd(&m, "LIST \"\" \"*\"");
        } else {
            r = imap_select(&m, cfg.mailbox);
        }
        if (r)
            break;
        if (m.exists != exists)
            err(w, "EXISTS changed from %u to %u", exists, m.exists);
        op_done(w, 0, t0, 0);
    }
    ops_over(s);
    imap_close(&m);
}
