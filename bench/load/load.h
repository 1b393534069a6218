/* mailload, a load generator for mail servers: coroutines over epoll, connections, statistics, made messages, options.
 *
 * A session is a coroutine that reads top to bottom; each thread (struct worker) schedules its own. Sessions wait at
 * barrier 1 until all are connected and at barrier 2 when their counted part is over, so that set-up and checks are
 * outside the time and the CPU time that the report tells. */
#ifndef LOAD_H
#define LOAD_H
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* ---------------------------------------------------------------- stats */
#define HSUB     64
#define HBUCKETS (64 * HSUB)
#define NHIST    16
struct hist {
    uint64_t n, sum, max;
    uint32_t b[HBUCKETS];
};
void hist_add(struct hist *h, uint64_t ns);
void hist_merge(struct hist *d, const struct hist *s);
double hist_pct(const struct hist *h, double p); /* in microseconds */

/* ----------------------------------------------------------- coroutines */
struct worker;
struct co {
    void *sp;
    struct worker *w;
    void (*fn)(void *);
    void *arg;
    struct co *next; /* run queue or barrier list */
    void *stack;
    uint64_t wake;
    int heap; /* index in the timer heap, -1 if none */
    bool dead;
};

struct worker {
    int id, ep;
    void *sp; /* the scheduler's own stack */
    struct co *cur, *runhead, *runtail;
    struct co *parked; /* waiting at a barrier */
    int barrier_no;
    int alive;
    struct co **heap;
    int nheap, capheap;
    uint64_t progress; /* when something last happened */
    struct hist *h;    /* NHIST of them */
    uint64_t ops, bytes, errors, verified, extra[8];
    uint64_t t_end; /* when its last counted operation ended */
    SSL_SESSION **tickets;
    int ntickets, captickets;
    void *freestacks[64];
    int nfreestacks;
    bool listening; /* null server: never runs out of work */
};

uint64_t now_ns(void);
struct co *co_start(struct worker *w, void (*fn)(void *), void *arg);
void co_park(struct worker *w);
void co_sleep(struct worker *w, uint64_t ns);
void co_barrier(struct worker *w, int k); /* k-th barrier (1, 2, ...) of all sessions */
void barrier_setup(int sessions);
void barrier_leave(void); /* a session that will reach no further barrier */
uint64_t barrier_time(int k);
void worker_init(struct worker *w, int id);
void worker_loop(struct worker *w);

/* ---------------------------------------------------------- connections */
struct seg {
    const char *p; /* NULL: the bytes are in wb at off */
    size_t off, n;
};
struct conn {
    int fd;
    SSL *ssl;
    struct worker *w;
    uint32_t ev, want;
    struct co *waiter;
    char *rb;
    size_t rcap, rpos, rend;
    char *wb;
    size_t wcap, wlen;
    struct seg segs[64];
    int nsegs;
    uint64_t rx, tx;
    bool resumed;
    const char *peer; /* for error messages */
    int user;         /* whose messages may come; -1: anybody's */
};

struct addr {
    char host[108];
    int port; /* 0: host is a unix socket path */
    bool set;
};

void conn_init(struct conn *c, struct worker *w);
int conn_open(struct conn *c, const struct addr *a, bool tls);
int conn_adopt(struct conn *c, int fd);
int conn_tls(struct conn *c, bool server);
void conn_close(struct conn *c);
int c_fill(struct conn *c);              /* >0 bytes came, 0 end of file, <0 error */
int c_need(struct conn *c, size_t n);    /* at least n bytes readable at rb+rpos */
char *c_line(struct conn *c, size_t *n); /* one line, without its CRLF; NULL on error */
void c_put(struct conn *c, const void *p, size_t n);
void c_puts(struct conn *c, const char *s);
void c_putf(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void c_putref(struct conn *c, const void *p, size_t n); /* p stays valid until c_flush */
int c_flush(struct conn *c);
static inline char *c_ptr(struct conn *c)
{
    return c->rb + c->rpos;
}
static inline size_t c_avail(struct conn *c)
{
    return c->rend - c->rpos;
}

/* ------------------------------------------------------------- messages */
/* message (user, index) = head(user, index) + pool[pool_of(index)] */
struct poolmsg {
    char *raw; /* further header lines, blank line, body */
    size_t n;
    char *dot; /* the same dot-stuffed; == raw when nothing to stuff */
    size_t ndot;
    int needle;
};
#define NEEDLES 97
#define TAGS    89
#define SENDERS 211
#define HEADMAX 2048
#define LOADID  "X-Load-Id: "
extern struct poolmsg *pool;
extern int npool;
void pool_build(void);
int pool_of(uint32_t i);
size_t msg_head(char *buf, uint32_t u, uint32_t i);
size_t msg_size(uint32_t u, uint32_t i);
void msg_internaldate(char *buf, size_t cap, uint32_t i);
time_t msg_time(uint32_t i);
const char *sender_name(uint32_t i);
int sender_of(uint32_t i);
uint64_t mixhash(uint64_t x);

struct seenmap {
    uint8_t *bits;
    uint32_t cap;
    uint64_t n;
};
bool seen_mark(struct seenmap *s, uint32_t i); /* false if it was there already */
void seen_free(struct seenmap *s);

/* Reads a literal of n bytes that must be a whole message; checks each byte.
 * Returns <0 on a broken connection; a wrong body is counted as an error.
 * pop3: the text is dot-stuffed and ended by ".", n is not used. */
int verify_body(
    struct conn *c, size_t n, bool pop3, struct seenmap *seen, uint32_t *idx, uint64_t *octets);

/* --------------------------------------------------------- configuration */
struct config {
    const char *cmd;
    struct addr imap, imaps, pop3, pop3s, lmtp, smtp, submission;
    const char *user, *pass, *rcpt, *mailbox, *prefix, *label, *cgroup, *pids, *ca;
    const char *mode, *key, *cert, *proto, *via, *from, *acked;
    bool tls, starttls, resume, quiet, verify_off, chunking, dele, noretr, silent, internaldate;
    bool keep, auth, examine, quickack, hold, copies;
    int threads, users, first, conc, depth, rcpts, perconn, multi, range, repeat;
    int port, poolsize, connect_rate;
    double secs, sigma, settle, pause;
    uint64_t n, expect, start, seed, median, maxsize, bigevery, bigsize, corrupt, timeout;
    uint64_t messages;
};
extern struct config cfg;

/* a session of a workload */
struct sess {
    struct worker *w;
    int id, user;
    uint64_t rng;
    bool over, left;
    struct conn c;
};
void ops_over(struct sess *s);

/* counting */
uint64_t op_done(struct worker *w, int h, uint64_t t0, uint64_t bytes);
void timed(struct worker *w, int h, uint64_t t0);
void session_leave(struct sess *s);
int my_user(struct sess *s);
void acked_open(void);
void acked(uint32_t user, uint32_t i); /* the server has taken message i of this user */
void acked_close(void);
void not_offered(void);
bool was_offered(void);
void run_started(void); /* called once, when barrier 1 opens */
void run_ended(void);   /* called once, when barrier 2 opens */
int c_accept(struct conn *listener);
uint64_t rnd(struct sess *s);

extern atomic_ullong g_next; /* next operation */
extern atomic_int g_stop;
extern uint64_t g_deadline; /* 0: none */
bool next_op(uint64_t *i);  /* false: no more work */

void err(struct worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void *xmalloc(size_t n);
void *xrealloc(void *p, size_t n);
void user_name(char *buf, size_t cap, int u);
void rcpt_name(char *buf, size_t cap, int u);

/* POP3: pop_open connects and logs in, timed in histograms h and h + 1 */
int pop_open(struct sess *s, int user, int h);
char *pop_cmd(struct sess *s, const char *cmd);

/* server accounting */
double server_cpu(void); /* seconds used so far by the server; <0 unknown */
struct memuse {
    int procs, threads;
    double pss, uss, pte; /* KB */
};
struct memuse server_mem(void);

/* workloads */
struct work {
    const char *name;
    void (*session)(void *sess);
    void (*finish)(FILE *out);
    const char *hname[NHIST];
    const char *unit;
    const char *help;
};
extern const struct work works[];
void verify_session(void *arg);
void verify_prepare(void);
void verify_finish(FILE *out);
void mailboxes_session(void *arg);
void deliver_session(void *arg);
void append_session(void *arg);
void fetch_full_session(void *arg);
void fetch_meta_session(void *arg);
void select_session(void *arg);
void store_session(void *arg);
void copy_session(void *arg);
void expunge_session(void *arg);
void grow_session(void *arg);
void search_session(void *arg);
void sort_session(void *arg);
void pop3_session(void *arg);
void login_session(void *arg);
void idle_session(void *arg);
void idle_sessions(struct sess *all);
void idle_finish(FILE *out);
void mix_session(void *arg);
int null_server(void);
SSL_CTX *client_ctx(void);
SSL_CTX *server_ctx(void);
extern char tls_seen[128];
#endif
