/* Idle sessions: what one costs in memory, and how soon new mail is told. */
#include "imap.h"
#include "smtp.h"
#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static atomic_int idle_told, idle_connecting, idle_up;
static atomic_ullong idle_t0;
static int idle_user;
static struct memuse mem_before, mem_after;
static double kmem_before, kmem_after;

static double meminfo(void) /* kernel memory of all sorts, in KB */
{
    FILE *f = fopen("/proc/meminfo", "r");
    char l[128];
    double t = 0;
    if (!f)
        return 0;
    while (fgets(l, sizeof l, f))
        if (!strncmp(l, "SUnreclaim:", 11) || !strncmp(l, "KernelStack:", 12) ||
            !strncmp(l, "PageTables:", 11))
            t += strtod(strchr(l, ':') + 1, NULL);
    fclose(f);
    return t;
}

static void idler(struct sess *s)
{
    struct worker *w = s->w;
    struct imap m;
    while (atomic_load(&idle_connecting) >= cfg.connect_rate)
        co_sleep(w, 500000);
    atomic_fetch_add(&idle_connecting, 1);
    uint64_t t0 = now_ns();
    int ok = imap_open(&m, s, my_user(s), -1);
    if (!ok)
        ok = imap_select(&m, cfg.mailbox);
    if (!ok) {
        imap_send(&m, "IDLE");
        c_flush(m.c);
        size_t n;
        char *l;
        do
            l = c_line(m.c, &n);
        while (l && l[0] == '*');
        if (!l || l[0] != '+') {
            err(w, "IDLE: %.100s", l ? l : "connection lost");
            ok = -1;
        }
    }
    atomic_fetch_sub(&idle_connecting, 1);
    if (ok) {
        conn_close(&s->c);
        imap_free(&m);
        session_leave(s);
        return;
    }
    hist_add(&w->h[1], now_ns() - t0);
    atomic_fetch_add(&idle_up, 1);
    free(m.c->wb);
    m.c->wb = NULL;
    m.c->wcap = 0;
    co_barrier(w, 1);
    /* told of new mail: an EXISTS with a larger number */
    uint32_t exists = m.exists;
    for (;;) {
        size_t n;
        char *l = c_line(m.c, &n);
        if (!l) {
            if (!atomic_load(&g_stop))
                err(w, "an idle connection was lost");
            break;
        }
        uint64_t t = now_ns();
        if (l[0] == '*' && isdigit((uint8_t)l[2]) && strstr(l, "EXISTS")) {
            uint32_t e = (uint32_t)strtoul(l + 2, NULL, 10);
            if (e == exists + 1 && my_user(s) == idle_user) {
                hist_add(&w->h[0], t - atomic_load(&idle_t0));
                w->ops++;
                w->verified++;
                w->t_end = t;
                atomic_fetch_add(&idle_told, 1);
            } else if (e > exists && !cfg.hold) {
                err(w, "an idler was told of %u messages, had %u", e, exists);
            }
            exists = e;
        }
    }
    conn_close(&s->c);
    imap_free(&m);
}

static struct sess *all_sessions;
void idle_sessions(struct sess *v)
{
    all_sessions = v;
}

void idle_session(void *arg)
{
    struct sess *s = arg;
    struct worker *w = s->w;
    if (s->id < cfg.conc) {
        idler(s);
        return;
    }
    /* one more session: looks at the server's memory, then delivers */
    mem_before = server_mem();
    kmem_before = meminfo();
    co_barrier(w, 1);
    co_sleep(w, (uint64_t)(cfg.settle * 1e9));
    mem_after = server_mem();
    kmem_after = meminfo();
    struct smtp m;
    if (cfg.hold) {
        /* the sessions stay until whoever started this ends our input */
        printf("{\"held\":%d", atomic_load(&idle_up));
        idle_finish(stdout);
        printf("}\n");
        fflush(stdout);
        struct pollfd in = { .fd = 0, .events = POLLIN };
        while (poll(&in, 1, 0) == 0)
            co_sleep(w, 50000000);
        goto out;
    }
    if (cfg.lmtp.set || cfg.via) {
        if (smtp_open(&m, &s->c, s) < 0)
            goto out;
        int rounds = cfg.repeat ? cfg.repeat : 1;
        for (int r = 0; r < rounds; r++) {
            int u = cfg.first +
                    (int)(rnd(s) % (uint64_t)(cfg.users < cfg.conc ? cfg.users : cfg.conc)),
                want = 0;
            for (int k = 0; k < cfg.conc; k++)
                want += cfg.first + k % cfg.users == u && all_sessions[k].c.fd >= 0;
            atomic_store(&idle_told, 0);
            idle_user = u;
            size_t size;
            uint64_t td;
            uint64_t t0 = now_ns();
            atomic_store(&idle_t0, t0);
            if (smtp_send(&m, (uint32_t)u, (uint32_t)cfg.start + (uint32_t)r, 1, &td, &size) < 0)
                break;
            acked((uint32_t)u, (uint32_t)cfg.start + (uint32_t)r);
            timed(w, 2, t0);
            uint64_t limit = now_ns() + 30000000000u;
            while (atomic_load(&idle_told) < want && now_ns() < limit)
                co_sleep(w, 1000000);
            if (atomic_load(&idle_told) != want)
                err(w, "%d of %d idlers were told within 30 s", atomic_load(&idle_told), want);
            timed(w, 3, t0);
        }
        c_puts(&s->c, "QUIT\r\n");
        c_flush(&s->c);
    }
out:
    conn_close(&s->c);
    atomic_store(&g_stop, 1);
    /* the idlers of every worker are waiting in read: end their input */
    for (int k = 0; k < cfg.conc; k++)
        if (all_sessions[k].c.fd >= 0)
            shutdown(all_sessions[k].c.fd, SHUT_RD);
}
void idle_finish(FILE *f)
{
    int k = atomic_load(&idle_up);
    double n = k ? k : 1;
    fprintf(f,
        ",\"connections\":%d,\"procs_before\":%d,\"procs_after\":%d,\"pss_before_kb\":%.0f,\"pss_"
        "after_kb\":%.0f,"
        "\"pss_kb_per_conn\":%.2f,\"uss_kb_per_conn\":%.2f,\"pte_kb_per_conn\":%.2f,\"kernel_kb_"
        "per_conn\":%.2f",
        k, mem_before.procs, mem_after.procs, mem_before.pss, mem_after.pss,
        (mem_after.pss - mem_before.pss) / n, (mem_after.uss - mem_before.uss) / n,
        (mem_after.pte - mem_before.pte) / n, (kmem_after - kmem_before) / n);
}
