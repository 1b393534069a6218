/* Errors, memory, the clock, histograms. */
#include "load.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct config cfg;
atomic_ullong g_next;
atomic_int g_stop;
uint64_t g_deadline;

void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("mailload: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

static atomic_int errors_shown;
void err(struct worker *w, const char *fmt, ...)
{
    va_list ap;
    if (w)
        w->errors++;
    if (atomic_fetch_add(&errors_shown, 1) >= 10 || cfg.quiet)
        return;
    va_start(ap, fmt);
    fputs("mailload: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

void *xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        die("out of memory");
    return p;
}

void *xrealloc(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    if (!p)
        die("out of memory");
    return p;
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---------------------------------------------------------------- stats */
/* log-linear buckets, 64 to the octave: at worst 1.6 % off */
static int bucket(uint64_t v)
{
    if (v < HSUB)
        return (int)v;
    int top = 63 - __builtin_clzll(v);
    int shift = top - 6;
    return (shift + 1) * HSUB + (int)((v >> shift) & (HSUB - 1));
}
static double bucket_mid(int b)
{
    if (b < HSUB)
        return b;
    int shift = b / HSUB - 1;
    double lo = (double)((uint64_t)(HSUB + b % HSUB) << shift);
    return lo + (double)((uint64_t)1 << shift) / 2;
}
void hist_add(struct hist *h, uint64_t ns)
{
    h->n++;
    h->sum += ns;
    if (ns > h->max)
        h->max = ns;
    int b = bucket(ns);
    h->b[b < HBUCKETS ? b : HBUCKETS - 1]++;
}
void hist_merge(struct hist *d, const struct hist *s)
{
    d->n += s->n;
    d->sum += s->sum;
    if (s->max > d->max)
        d->max = s->max;
    for (int i = 0; i < HBUCKETS; i++)
        d->b[i] += s->b[i];
}
double hist_pct(const struct hist *h, double p)
{
    if (!h->n)
        return 0;
    uint64_t want = (uint64_t)(p / 100 * (double)h->n + 0.5), got = 0;
    if (want < 1)
        want = 1;
    if (want > h->n)
        want = h->n;
    for (int i = 0; i < HBUCKETS; i++) {
        got += h->b[i];
        if (got >= want) {
            double v = bucket_mid(i);
            return (v > (double)h->max ? (double)h->max : v) / 1e3;
        }
    }
    return (double)h->max / 1e3;
}
