/* What every session of a workload shares: random numbers, names of users, counting, the end of the counted part. */
#include "load.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint64_t rnd(struct sess *s)
{
    uint64_t x = s->rng;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return s->rng = x;
}

bool next_op(uint64_t *i)
{
    if (atomic_load_explicit(&g_stop, memory_order_relaxed))
        return false;
    if (g_deadline && now_ns() >= g_deadline)
        return false;
    *i = atomic_fetch_add(&g_next, 1);
    return !cfg.n || *i < cfg.n;
}

static void fmt_user(char *buf, size_t cap, const char *pat, int u)
{
    /* %d or %0Nd, once; anything else is taken as it is */
    const char *p = strchr(pat, '%');
    if (!p) {
        snprintf(buf, cap, "%s", pat);
        return;
    }
    char *e;
    int width = (int)strtol(p + 1, &e, 10);
    if (*e != 'd')
        die("a user pattern is like user%%04d");
    snprintf(buf, cap, "%.*s%0*d%s", (int)(p - pat), pat, width, u, e + 1);
}
void user_name(char *buf, size_t cap, int u)
{
    fmt_user(buf, cap, cfg.user, u);
}
void rcpt_name(char *buf, size_t cap, int u)
{
    fmt_user(buf, cap, cfg.rcpt ? cfg.rcpt : cfg.user, u);
}

/* Mail that the server has acknowledged, one line for each: user and index. `verify` reads it. */
static FILE *acked_file;
void acked_open(void)
{
    if (cfg.acked && !(acked_file = fopen(cfg.acked, "a")))
        die("%s: %s", cfg.acked, strerror(errno));
}
void acked(uint32_t user, uint32_t i)
{
    if (acked_file)
        fprintf(acked_file, "%u %u\n", user, i);
}
void acked_close(void)
{
    if (acked_file && fclose(acked_file) != 0)
        die("%s: %s", cfg.acked, strerror(errno));
}

/* The server does not have what the workload is about. No error: the report says so. */
static atomic_bool missing;
void not_offered(void)
{
    atomic_store(&missing, true);
}
bool was_offered(void)
{
    return !atomic_load(&missing);
}

/* one finished operation: counted, timed, and the clock of the run moved on */
uint64_t op_done(struct worker *w, int h, uint64_t t0, uint64_t bytes)
{
    uint64_t t = now_ns();
    hist_add(&w->h[h], t - t0);
    w->ops++;
    w->bytes += bytes;
    w->t_end = t;
    return t;
}
void timed(struct worker *w, int h, uint64_t t0)
{
    uint64_t t = now_ns();
    hist_add(&w->h[h], t - t0);
    w->t_end = t;
}

/* The counted part of a session is over.  Everybody waits here, so that the
 * server's CPU time is read before the checks that some workloads end with. */
void ops_over(struct sess *s)
{
    if (s->over || s->left)
        return;
    s->over = true;
    co_barrier(s->w, 2);
}
void session_leave(struct sess *s)
{
    if (s->over || s->left)
        return;
    s->left = true;
    barrier_leave();
}
