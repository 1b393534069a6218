/* mailload: options, the run, the report.
 *
 * A load generator for mail servers that knows nothing of any one of them. Messages are made from a seed, so that every
 * byte that comes back can be checked. */
#include "load.h"
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef enum {
    T_STR,
    T_INT,
    T_U64,
    T_DBL,
    T_FLAG,
    T_ADDR
} otype;
struct opt {
    const char *name;
    otype t;
    void *p;
    const char *help;
};
static const struct opt opts[] = {
    { "imap", T_ADDR, &cfg.imap, "HOST:PORT of IMAP without TLS" },
    { "imaps", T_ADDR, &cfg.imaps, "HOST:PORT of IMAP with TLS from the start" },
    { "pop3", T_ADDR, &cfg.pop3, "HOST:PORT of POP3" },
    { "pop3s", T_ADDR, &cfg.pop3s, "HOST:PORT of POP3 with TLS from the start" },
    { "lmtp", T_ADDR, &cfg.lmtp, "HOST:PORT or socket path of LMTP" },
    { "smtp", T_ADDR, &cfg.smtp, "HOST:PORT of SMTP" },
    { "submission", T_ADDR, &cfg.submission, "HOST:PORT of submission" },
    { "user", T_STR, &cfg.user, "login name pattern, such as user%04d" },
    { "pass", T_STR, &cfg.pass, "password of every user" },
    { "rcpt", T_STR, &cfg.rcpt, "recipient pattern (default: the login name)" },
    { "from", T_STR, &cfg.from, "envelope sender" },
    { "mailbox", T_STR, &cfg.mailbox, "mailbox to work on (INBOX)" },
    { "prefix", T_STR, &cfg.prefix, "prefix of other mailboxes, such as INBOX." },
    { "acked", T_STR, &cfg.acked, "write there what the server acknowledged; verify: read it" },
    { "label", T_STR, &cfg.label, "name put in the report" },
    { "cgroup", T_STR, &cfg.cgroup, "the server's cgroup directory, for its CPU time and memory" },
    { "pids", T_STR, &cfg.pids, "the server's main processes, if it has no cgroup" },
    { "ca", T_STR, &cfg.ca, "verify the server's certificate with this" },
    { "mode", T_STR, &cfg.mode, "variant of the workload" },
    { "proto", T_STR, &cfg.proto, "login: imap or pop3" },
    { "via", T_STR, &cfg.via, "deliver: lmtp, smtp or submission" },
    { "key", T_STR, &cfg.key, "null server: TLS key" },
    { "cert", T_STR, &cfg.cert, "null server: TLS certificate" },
    { "tls", T_FLAG, &cfg.tls, "use the TLS port" },
    { "starttls", T_FLAG, &cfg.starttls, "use STARTTLS or STLS" },
    { "resume", T_FLAG, &cfg.resume, "login: resume TLS sessions" },
    { "quiet", T_FLAG, &cfg.quiet, "no error messages" },
    { "no-verify", T_FLAG, &cfg.verify_off, "do not compare bodies" },
    { "chunking", T_FLAG, &cfg.chunking, "use BDAT where offered" },
    { "dele", T_FLAG, &cfg.dele, "pop3: DELE everything" },
    { "no-retr", T_FLAG, &cfg.noretr, "pop3: no RETR" },
    { "silent", T_FLAG, &cfg.silent, "store: FLAGS.SILENT" },
    { "internaldate", T_FLAG, &cfg.internaldate, "append: give a date" },
    { "keep", T_FLAG, &cfg.keep, "copy, move: leave the target mailbox as it is" },
    { "auth", T_FLAG, &cfg.auth, "smtp: AUTH PLAIN" },
    { "quickack", T_FLAG, &cfg.quickack,
        "acknowledge at once: spares a server that does not set TCP_NODELAY the 40 ms waits" },
    { "hold", T_FLAG, &cfg.hold, "idle: keep the sessions until the standard input ends" },
    { "copies", T_FLAG, &cfg.copies, "fetch-full: the mailbox has messages more than once" },
    { "examine", T_FLAG, &cfg.examine, "EXAMINE instead of SELECT" },
    { "threads", T_INT, &cfg.threads, "threads of the load generator (1)" },
    { "users", T_INT, &cfg.users, "number of users (1)" },
    { "first", T_INT, &cfg.first, "number of the first user (1)" },
    { "conc", T_INT, &cfg.conc, "concurrent sessions (-c)" },
    { "depth", T_INT, &cfg.depth, "commands in flight per session (1, at most 64)" },
    { "rcpts", T_INT, &cfg.rcpts, "deliver: recipients per message" },
    { "per-conn", T_INT, &cfg.perconn, "deliver: messages per connection (0: all)" },
    { "multi", T_INT, &cfg.multi, "append: messages per MULTIAPPEND (at most 64)" },
    { "range", T_INT, &cfg.range, "copy, move, expunge: messages per command" },
    { "repeat", T_INT, &cfg.repeat, "rounds" },
    { "port", T_INT, &cfg.port, "null server: first of its six ports" },
    { "pool", T_INT, &cfg.poolsize, "different message bodies (1000)" },
    { "connect-rate", T_INT, &cfg.connect_rate, "idle: connections being opened at a time (16)" },
    { "secs", T_DBL, &cfg.secs, "run for so many seconds (-S)" },
    { "sigma", T_DBL, &cfg.sigma, "of the log-normal size distribution (1.2)" },
    { "settle", T_DBL, &cfg.settle, "idle: seconds to wait before looking at memory (2)" },
    { "pause", T_DBL, &cfg.pause, "mix: mean pause between deliveries of a session, in ms (5)" },
    { "n", T_U64, &cfg.n, "operations in all (-n)" },
    { "expect", T_U64, &cfg.expect, "messages that the mailbox must have" },
    { "start", T_U64, &cfg.start, "index of the first message" },
    { "seed", T_U64, &cfg.seed, "seed of the messages (1)" },
    { "median", T_U64, &cfg.median, "median message size in bytes (20000)" },
    { "max-size", T_U64, &cfg.maxsize, "largest size drawn (1000000)" },
    { "big-every", T_U64, &cfg.bigevery, "every so-many-th message is big (500; 0: none)" },
    { "big-size", T_U64, &cfg.bigsize, "size of the big ones (5000000)" },
    { "messages", T_U64, &cfg.messages,
        "append: fill every user with so many; null server: mailbox size" },
    { "corrupt", T_U64, &cfg.corrupt, "null server: spoil every so-many-th body" },
    { "timeout", T_U64, &cfg.timeout, "give up after so many seconds without progress (60)" },
    { 0 },
};

static uint64_t suffix(const char *v)
{
    char *e;
    double d = strtod(v, &e);
    if (*e == 'k' || *e == 'K')
        d *= 1000;
    else if (*e == 'm' || *e == 'M')
        d *= 1e6;
    else if (*e)
        die("not a number: %s", v);
    return (uint64_t)d;
}

static bool set_opt(const char *name, size_t nl, const char *val)
{
    for (const struct opt *o = opts; o->name; o++) {
        if (strlen(o->name) != nl || strncmp(o->name, name, nl))
            continue;
        if (o->t == T_FLAG) {
            *(bool *)o->p = !val || strcmp(val, "no");
            return false;
        }
        if (!val)
            die("--%s needs a value", o->name);
        switch (o->t) {
        case T_STR:
            *(const char **)o->p = strdup(val);
            break;
        case T_INT:
            *(int *)o->p = (int)suffix(val);
            break;
        case T_U64:
            *(uint64_t *)o->p = suffix(val);
            break;
        case T_DBL:
            *(double *)o->p = strtod(val, NULL);
            break;
        case T_ADDR: {
            struct addr *a = o->p;
            const char *c = strrchr(val, ':');
            memset(a, 0, sizeof *a);
            a->set = true;
            if (val[0] == '/' || !c) {
                snprintf(a->host, sizeof a->host, "%s", val);
            } else {
                snprintf(a->host, sizeof a->host, "%.*s", (int)(c - val), val);
                a->port = (int)strtol(c + 1, NULL, 10);
                if (a->host[0] == '[') {
                    memmove(a->host, a->host + 1, strlen(a->host));
                    a->host[strcspn(a->host, "]")] = 0;
                }
            }
            break;
        }
        default:
            break;
        }
        return true;
    }
    die("no option --%.*s (try --help)", (int)nl, name);
}
static bool is_flag(const char *name, size_t nl)
{
    for (const struct opt *o = opts; o->name; o++)
        if (strlen(o->name) == nl && !strncmp(o->name, name, nl))
            return o->t == T_FLAG;
    return false;
}

/* a target file: one option a line, without the dashes: "imap 127.0.0.1:143" */
static void read_target(const char *path)
{
    FILE *f = fopen(path, "r");
    char l[1024];
    if (!f)
        die("%s: %s", path, strerror(errno));
    while (fgets(l, sizeof l, f)) {
        l[strcspn(l, "\r\n")] = 0;
        char *p = l + strspn(l, " \t");
        if (!*p || *p == '#')
            continue;
        size_t nl = strcspn(p, " \t=");
        char *v = p + nl;
        v += strspn(v, " \t=");
        set_opt(p, nl, *v ? v : NULL);
    }
    fclose(f);
}

static void usage(void)
{
    printf("usage: mailload COMMAND [--target FILE] [OPTION ...]\n\ncommands:\n");
    for (const struct work *k = works; k->name; k++)
        printf("  %-12s %s\n", k->name, k->help);
    printf("  %-12s %s\n", "null-server",
        "a server that stores nothing, to measure the load generator itself");
    printf("  %-12s %s\n", "show", "print message --start of user --first to the standard output");
    printf("  %-12s %s\n\noptions (a target file has one a line, without the dashes):\n", "sizes",
        "print the size distribution in use");
    for (const struct opt *o = opts; o->name; o++)
        printf("  --%-14s %s\n", o->name, o->help);
    printf("\nThe report is one line of JSON; the exit status is 1 if there were errors.\n");
}

/* taken when the counted part of the run begins and ends */
struct snap {
    double cpu, client;
    uint64_t flushes, sectors;
};
static struct snap s0, s1;
static bool started, ended;
static struct snap take(void)
{
    struct snap s = { .cpu = server_cpu() };
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    s.client = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
               (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
    FILE *f = fopen("/proc/diskstats", "r");
    char l[512], name[64];
    while (f && fgets(l, sizeof l, f)) {
        unsigned long long v[17] = { 0 };
        int n = sscanf(l,
            "%*d %*d %63s %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu "
            "%llu %llu %llu",
            name, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10],
            &v[11], &v[12], &v[13], &v[14], &v[15], &v[16]);
        if (n < 12 || !strncmp(name, "loop", 4) || !strncmp(name, "ram", 3))
            continue;
        s.sectors += v[6];
        if (n >= 17)
            s.flushes += v[15];
    }
    if (f)
        fclose(f);
    return s;
}
void run_started(void)
{
    s0 = take();
    started = true;
}
void run_ended(void)
{
    s1 = take();
    ended = true;
}

static const struct work *wk;
static void session_main(void *arg)
{
    struct sess *s = arg;
    wk->session(s);
    ops_over(s);
}
static void *worker_main(void *arg)
{
    worker_loop(arg);
    return NULL;
}

static void json_str(const char *k, const char *v)
{
    printf("\"%s\":\"", k);
    for (; *v; v++) {
        if (*v == '"' || *v == '\\')
            putchar('\\');
        if ((uint8_t)*v >= 32)
            putchar(*v);
    }
    printf("\",");
}

static void parse(int argc, char **argv)
{
    cfg = (struct config){ .user = "user%04d",
        .pass = "pass",
        .mailbox = "INBOX",
        .from = "sender@load.example",
        .users = 1,
        .first = 1,
        .conc = 1,
        .depth = 1,
        .rcpts = 1,
        .multi = 1,
        .range = 1,
        .poolsize = 1000,
        .threads = 1,
        .seed = 1,
        .median = 20000,
        .sigma = 1.2,
        .maxsize = 1000000,
        .bigevery = 500,
        .bigsize = 5000000,
        .timeout = 60,
        .connect_rate = 16,
        .settle = 2,
        .pause = 5,
        .port = 24100 };
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
        !strcmp(argv[1], "help")) {
        usage();
        exit(argc < 2 ? 2 : 0);
    }
    cfg.cmd = argv[1];
    for (int i = 2; i < argc; i++) {
        char *a = argv[i];
        if (!strcmp(a, "--help")) {
            usage();
            exit(0);
        }
        if (a[0] == '-' && a[1] && a[1] != '-') { /* -c 4, -n 100, -S 5, -u 10 */
            const char *v = a[2] ? a + 2 : i + 1 < argc ? argv[++i] : NULL;
            const char *n = a[1] == 'c'   ? "conc"
                            : a[1] == 'n' ? "n"
                            : a[1] == 'S' ? "secs"
                            : a[1] == 'u' ? "users"
                                          : NULL;
            if (!n)
                die("no option -%c", a[1]);
            set_opt(n, strlen(n), v);
            continue;
        }
        if (strncmp(a, "--", 2))
            die("what is %s?", a);
        a += 2;
        size_t nl = strcspn(a, "=");
        const char *v = a[nl] ? a + nl + 1 : NULL;
        if (nl == 6 && !strncmp(a, "target", 6)) {
            if (!v && i + 1 < argc)
                v = argv[++i];
            read_target(v ? v : "");
            continue;
        }
        if (!v && !is_flag(a, nl)) {
            if (i + 1 >= argc)
                die("--%s needs a value", a);
            v = argv[++i];
        }
        set_opt(a, nl, v);
    }
    if (cfg.depth < 1 || cfg.depth > 64)
        die("--depth is 1 to 64");
    if (cfg.multi < 1 || cfg.multi > 64)
        die("--multi is 1 to 64");
    if (cfg.users < 1 || cfg.conc < 1 || cfg.threads < 1 || cfg.range < 1 || cfg.rcpts < 1 ||
        cfg.poolsize < 1)
        die("a count must be at least 1");
}

static void show(void)
{
    char h[HEADMAX];
    size_t n = msg_head(h, (uint32_t)cfg.first, (uint32_t)cfg.start);
    fwrite(h, 1, n, stdout);
    fwrite(pool[pool_of((uint32_t)cfg.start)].raw, 1, pool[pool_of((uint32_t)cfg.start)].n, stdout);
}

static void sizes(void)
{
    uint64_t n = cfg.n ? cfg.n : 10000, sum = 0, under[8] = { 0 };
    for (uint32_t i = 0; i < n; i++) {
        size_t z = msg_size(1, i);
        sum += z;
        static const size_t lim[] = { 5000, 10000, 20000, 50000, 100000, 200000, 1000000 };
        for (int k = 0; k < 7; k++)
            under[k] += z <= lim[k];
    }
    printf("{\"messages\":%llu,\"mean\":%.0f,\"le5k\":%.3f,\"le10k\":%.3f,\"le20k\":%.3f,"
           "\"le50k\":%.3f,\"le100k\":%.3f,\"le200k\":%.3f,\"le1m\":%.3f,\"total_mb\":%.1f}\n",
        (unsigned long long)n, (double)sum / (double)n, (double)under[0] / (double)n,
        (double)under[1] / (double)n, (double)under[2] / (double)n, (double)under[3] / (double)n,
        (double)under[4] / (double)n, (double)under[5] / (double)n, (double)under[6] / (double)n,
        (double)sum / 1e6);
}

static void find_work(void)
{
    for (wk = works; wk->name && strcmp(wk->name, cfg.cmd); wk++)
        ;
    if (!wk->name)
        die("no command %s (try --help)", cfg.cmd);
    bool idle = !strcmp(cfg.cmd, "idle");
    bool ends = cfg.n || cfg.secs > 0 || cfg.messages || cfg.repeat || idle;
    static const char *bounded[] = { "fetch-full", "fetch-meta", "search", "sort", "thread", "grow",
        "setup", "verify", "wait", NULL };
    for (int i = 0; bounded[i]; i++)
        ends |= !strcmp(cfg.cmd, bounded[i]);
    if (!ends)
        die("%s needs -n or -S", cfg.cmd);
    if (!strcmp(cfg.cmd, "wait"))
        cfg.conc = 1;
}

static void report_latencies(struct hist *h)
{
    printf(",\"lat\":{");
    bool first = true;
    for (int k = 0; k < NHIST; k++) {
        if (!h[k].n || !wk->hname[k])
            continue;
        printf("%s\"%s\":{\"n\":%llu,\"mean_us\":%.1f,\"p50_us\":%.1f,\"p95_us\":%.1f,\"p99_us\":%."
               "1f,\"max_us\":%.1f}",
            first ? "" : ",", wk->hname[k], (unsigned long long)h[k].n,
            (double)h[k].sum / (double)h[k].n / 1e3, hist_pct(&h[k], 50), hist_pct(&h[k], 95),
            hist_pct(&h[k], 99), (double)h[k].max / 1e3);
        first = false;
    }
    printf("}}\n");
}

/* One line of JSON about what all workers did since t0. Returns the exit status. */
static int report(const struct worker *w, uint64_t t0)
{
    struct worker t;
    memset(&t, 0, sizeof t);
    t.h = calloc(NHIST, sizeof(struct hist));
    uint64_t t_end = 0;
    for (int i = 0; i < cfg.threads; i++) {
        t.ops += w[i].ops;
        t.bytes += w[i].bytes;
        t.errors += w[i].errors;
        t.verified += w[i].verified;
        for (int k = 0; k < 8; k++)
            t.extra[k] += w[i].extra[k];
        for (int k = 0; k < NHIST; k++)
            hist_merge(&t.h[k], &w[i].h[k]);
        if (w[i].t_end > t_end)
            t_end = w[i].t_end;
    }
    double secs = t_end > t0 ? (double)(t_end - t0) / 1e9 : 0, d = secs > 0 ? secs : 1;
    double ops = t.ops ? (double)t.ops : 1;
    printf("{");
    json_str("cmd", cfg.cmd);
    if (cfg.mode)
        json_str("mode", cfg.mode);
    if (cfg.label)
        json_str("label", cfg.label);
    json_str("unit", wk->unit);
    printf("\"conc\":%d,\"ops\":%llu,\"secs\":%.4f,\"ops_s\":%.1f,\"bytes\":%llu,\"mb_s\":%.2f,"
           "\"errors\":%llu,\"verified\":%llu",
        cfg.conc, (unsigned long long)t.ops, secs, (double)t.ops / d, (unsigned long long)t.bytes,
        (double)t.bytes / 1e6 / d, (unsigned long long)t.errors, (unsigned long long)t.verified);
    printf(",\"p50_us\":%.1f,\"p95_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f",
        hist_pct(&t.h[0], 50), hist_pct(&t.h[0], 95), hist_pct(&t.h[0], 99),
        (double)t.h[0].max / 1e3);
    if (t.extra[0])
        printf(",\"items\":%llu,\"items_s\":%.1f", (unsigned long long)t.extra[0],
            (double)t.extra[0] / d);
    if (!was_offered())
        printf(",\"offered\":false");
    if (cfg.resume)
        printf(",\"resumed\":%llu", (unsigned long long)t.extra[1]);
    if (s0.cpu >= 0 && s1.cpu >= 0)
        printf(",\"server_cpu_s\":%.4f,\"server_us_per_op\":%.2f", s1.cpu - s0.cpu,
            (s1.cpu - s0.cpu) * 1e6 / ops);
    printf(
        ",\"client_cpu_s\":%.4f,\"client_us_per_op\":%.2f,\"disk_flushes\":%llu,\"disk_mb\":%.1f",
        s1.client - s0.client, (s1.client - s0.client) * 1e6 / ops,
        (unsigned long long)(s1.flushes - s0.flushes),
        (double)(s1.sectors - s0.sectors) * 512 / 1e6);
    if (tls_seen[0])
        printf(",\"tls\":\"%s\"", tls_seen);
    if (wk->finish)
        wk->finish(stdout);
    report_latencies(t.h);
    return t.errors ? 1 : 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    parse(argc, argv);
    pool_build();
    if (!strcmp(cfg.cmd, "null-server"))
        return null_server();
    if (!strcmp(cfg.cmd, "show")) {
        show();
        return 0;
    }
    if (!strcmp(cfg.cmd, "sizes")) {
        sizes();
        return 0;
    }
    find_work();
    if (!strcmp(cfg.cmd, "verify"))
        verify_prepare();
    else
        acked_open();
    bool idle = !strcmp(cfg.cmd, "idle");
    int ns = cfg.conc + (idle ? 1 : 0);
    if (cfg.threads > ns)
        cfg.threads = ns;
    if (idle)
        cfg.threads = 1;
    barrier_setup(ns);
    struct worker *w = calloc((size_t)cfg.threads, sizeof *w);
    struct sess *s = calloc((size_t)ns, sizeof *s);
    for (int i = 0; i < cfg.threads; i++)
        worker_init(&w[i], i);
    for (int i = 0; i < ns; i++) {
        s[i].w = &w[i % cfg.threads];
        s[i].id = i;
        s[i].rng = mixhash(cfg.seed * 1000 + (uint64_t)i) | 1;
        conn_init(&s[i].c, s[i].w);
    }
    /* the one that watches an idle server must start first */
    if (idle) {
        idle_sessions(s);
        co_start(s[ns - 1].w, session_main, &s[ns - 1]);
        ns--;
    }
    for (int i = 0; i < ns; i++)
        co_start(s[i].w, session_main, &s[i]);
    s0 = take();
    uint64_t t0 = now_ns();
    pthread_t *th = calloc((size_t)cfg.threads, sizeof *th);
    for (int i = 1; i < cfg.threads; i++)
        pthread_create(&th[i], NULL, worker_main, &w[i]);
    worker_loop(&w[0]);
    for (int i = 1; i < cfg.threads; i++)
        pthread_join(th[i], NULL);
    if (!ended)
        s1 = take();
    if (barrier_time(1))
        t0 = barrier_time(1);
    acked_close();
    return report(w, t0);
}
