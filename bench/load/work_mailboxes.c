/* Fills accounts with mailboxes, 32 commands in flight. */
#include "imap.h"

void mailboxes_session(void *arg)
{
    struct sess *s = arg;
    struct imap m;
    for (int u = s->id; u < cfg.users; u += cfg.conc) {
        if (imap_open(&m, s, cfg.first + u, -1) < 0)
            return;
        uint64_t sent = 0, done = 0;
        uint64_t t0 = now_ns();
        uint32_t first = m.tag + 1;
        while (done < cfg.messages) {
            while (sent < cfg.messages && sent - done < 32)
                imap_send(&m, "CREATE \"%sBox%05llu\"", cfg.prefix ? cfg.prefix : "",
                    (unsigned long long)sent++);
            if (c_flush(m.c) < 0 || imap_tagged(&m, first + (uint32_t)done, "CREATE") < 0)
                return;
            done++; /* one that exists already is as good */
            t0 = op_done(s->w, 0, t0, 0);
        }
        imap_close(&m);
    }
}
