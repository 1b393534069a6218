/* Deliveries by LMTP, SMTP or submission. */
#include "smtp.h"
void deliver_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    struct smtp m;
    uint64_t i;
    int sent = 0;
    if (smtp_open(&m, &s->c, s) < 0) {
        conn_close(&s->c);
        session_leave(s);
        return;
    }
    co_barrier(w, 1);
    while (next_op(&i)) {
        uint64_t t0 = now_ns(), td = t0;
        size_t size = 0;
        uint32_t idx = (uint32_t)(cfg.start + i);
        uint32_t u =
            (uint32_t)cfg.first + (uint32_t)(i * (uint64_t)cfg.rcpts % (uint64_t)cfg.users);
        if (cfg.perconn && sent == cfg.perconn) {
            c_puts(&s->c, "QUIT\r\n");
            c_flush(&s->c);
            conn_close(&s->c);
            sent = 0;
            if (smtp_open(&m, &s->c, s) < 0)
                break;
        }
        if (smtp_send(&m, u, idx, cfg.rcpts, &td, &size) < 0)
            break;
        sent++;
        for (int k = 0; k < cfg.rcpts; k++)
            acked(
                (uint32_t)cfg.first + (u - (uint32_t)cfg.first + (uint32_t)k) % (uint32_t)cfg.users,
                idx);
        op_done(w, 0, t0, size);
        timed(w, 1, td);
        w->extra[0] += (uint64_t)cfg.rcpts;
    }
    ops_over(s);
    if (s->c.fd >= 0) {
        c_puts(&s->c, "QUIT\r\n");
        c_flush(&s->c);
        smtp_reply(&m, NULL, 0);
    }
    conn_close(&s->c);
}
