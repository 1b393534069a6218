/* POP3 sessions. */
#include "load.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static char *pop_line(struct sess *s, const char *what)
{
    size_t n;
    char *l = c_line(&s->c, &n);
    if (!l)
        err(s->w, "POP3 %s: connection lost", what);
    else if (strncasecmp(l, "+OK", 3)) {
        err(s->w, "POP3 %s: %.100s", what, l);
        return NULL;
    }
    return l;
}
char *pop_cmd(struct sess *s, const char *cmd)
{
    c_putf(&s->c, "%s\r\n", cmd);
    if (c_flush(&s->c) < 0) {
        err(s->w, "POP3 %s: connection lost", cmd);
        return NULL;
    }
    return pop_line(s, cmd);
}
static int pop_list(struct sess *s, uint64_t *lines)
{
    for (*lines = 0;; ++*lines) {
        size_t n;
        char *l = c_line(&s->c, &n);
        if (!l)
            return -1;
        if (n == 1 && l[0] == '.')
            return 0;
    }
}
int pop_open(struct sess *s, int user, int h)
{
    char u[256], t[300];
    const struct addr *a = cfg.tls ? &cfg.pop3s : &cfg.pop3;
    uint64_t t0 = now_ns();
    s->c.peer = "pop3";
    s->c.user = cfg.rcpts > 1 ? -1 : user;
    if (!a->set) {
        err(s->w, "no address given for %s", cfg.tls ? "pop3s" : "pop3");
        return -1;
    }
    if (conn_open(&s->c, a, cfg.tls) < 0)
        return -1;
    if (!pop_line(s, "greeting"))
        goto bad;
    if (cfg.starttls && !cfg.tls)
        if (!pop_cmd(s, "STLS") || conn_tls(&s->c, false) < 0)
            goto bad;
    timed(s->w, h, t0);
    t0 = now_ns();
    user_name(u, sizeof u, user);
    snprintf(t, sizeof t, "USER %s", u);
    if (!pop_cmd(s, t))
        goto bad;
    snprintf(t, sizeof t, "PASS %s", cfg.pass);
    if (!pop_cmd(s, t))
        goto bad;
    timed(s->w, h + 1, t0);
    return 0;
bad:
    conn_close(&s->c);
    return -1;
}

void pop3_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    uint64_t op;
    struct seenmap seen = { 0 };
    co_barrier(w, 1);
    while (next_op(&op)) {
        uint64_t t0 = now_ns(), t1, lines, total = 0;
        unsigned long count = 0;
        if (pop_open(s, cfg.first + (int)(op % (uint64_t)cfg.users), 1) < 0)
            break;
        t1 = now_ns();
        char *l = pop_cmd(s, "STAT");
        if (!l || sscanf(l + 3, "%lu", &count) != 1)
            break;
        timed(w, 3, t1);
        if (cfg.expect && count != cfg.expect)
            err(w, "STAT tells %lu messages, expected %llu", count, (unsigned long long)cfg.expect);
        t1 = now_ns();
        if (!pop_cmd(s, "UIDL") || pop_list(s, &lines) < 0)
            break;
        timed(w, 4, t1);
        if (lines != count)
            err(w, "UIDL has %llu lines, expected %lu", (unsigned long long)lines, count);
        if (!cfg.noretr) {
            unsigned long sent = 0, got = 0;
            bool dele = cfg.dele;
            uint64_t ts[64];
            seen_free(&seen);
            while (got < count) {
                while (sent < count && sent - got < (unsigned long)cfg.depth) {
                    ts[sent % 64] = now_ns();
                    c_putf(&s->c, "RETR %lu\r\n", ++sent);
                }
                if (c_flush(&s->c) < 0 || !pop_line(s, "RETR"))
                    goto lost;
                uint64_t oct = 0;
                if (verify_body(&s->c, 0, true, &seen, NULL, &oct) < 0) {
                    err(w, "POP3 RETR: connection lost");
                    goto lost;
                }
                total += oct;
                timed(w, 5, ts[got % 64]);
                got++;
            }
            if (seen.n != count)
                err(w, "POP3: %llu different good messages of %lu", (unsigned long long)seen.n,
                    count);
            if (dele) {
                for (unsigned long a = 0; a < count;) {
                    unsigned long b = a;
                    while (b < count && b - a < 100)
                        c_putf(&s->c, "DELE %lu\r\n", ++b);
                    if (c_flush(&s->c) < 0)
                        goto lost;
                    for (; a < b; a++)
                        if (!pop_line(s, "DELE"))
                            goto lost;
                }
            }
            w->extra[0] += count;
        }
        t1 = now_ns();
        if (!pop_cmd(s, "QUIT"))
            break;
        timed(w, 6, t1);
        conn_close(&s->c);
        op_done(w, 0, t0, total);
        continue;
    lost:
        break;
    }
    conn_close(&s->c);
    seen_free(&seen);
}
