/* Connect, log in, log out. */
#include "imap.h"
#include <string.h>

void login_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    uint64_t i;
    bool pop = cfg.proto && !strcmp(cfg.proto, "pop3");
    /* each session has one ticket before the clock starts */
    if (cfg.resume) {
        struct imap m;
        if (imap_open(&m, s, my_user(s), -1) == 0)
            imap_close(&m);
    }
    co_barrier(w, 1);
    while (next_op(&i)) {
        uint64_t t0 = now_ns();
        int user = cfg.first + (int)(i % (uint64_t)cfg.users);
        if (pop) {
            if (pop_open(s, user, 1) < 0)
                break;
            w->extra[1] += s->c.resumed;
            if (!pop_cmd(s, "QUIT"))
                break;
            conn_close(&s->c);
        } else {
            struct imap m;
            if (imap_open(&m, s, user, 1) < 0)
                break;
            w->extra[1] += s->c.resumed;
            imap_close(&m);
        }
        op_done(w, 0, t0, 0);
        w->verified++;
    }
    conn_close(&s->c);
}
