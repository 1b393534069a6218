/* mailload: a null server.  It speaks enough IMAP, LMTP, SMTP and POP3 to
 * answer every workload correctly and stores nothing, which gives the load
 * generator's own ceiling.  It can also answer wrongly on purpose
 * (--corrupt N --mode flip|head|dup|drop|short|user), which shows that the checks
 * in the load generator work.
 * Ports: P imap, P+1 lmtp, P+2 pop3, P+3 imaps, P+4 pop3s, P+5 smtp. */
#include "load.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct nconn {
    struct conn c;
    struct worker *w;
    int kind;
    uint32_t user, n; /* n: messages in its mailbox */
    uint32_t target;  /* messages in the mailbox that COPY and MOVE go to */
    uint8_t *flags;
    bool selected;
    struct nconn *nextidle;
    bool idling;
    char tag[64];
};

static struct nconn *idlers;
static uint64_t bodies;

static uint32_t name_number(const char *s)
{
    while (*s && !isdigit((uint8_t)*s))
        s++;
    return (uint32_t)strtoul(s, NULL, 10);
}

static char *tmpbody;
static size_t tmpcap;
static void put_body(struct nconn *k, uint32_t i, bool dot)
{
    struct conn *c = &k->c;
    char head[HEADMAX];
    const char *mode = cfg.mode ? cfg.mode : "flip";
    bool bad = cfg.corrupt && strcmp(mode, "drop") && ++bodies % cfg.corrupt == 0;
    if (bad && !strcmp(mode, "dup") && i)
        i--;
    size_t hl = msg_head(head, k->user + (bad && !strcmp(mode, "user")), i);
    struct poolmsg *p = &pool[pool_of(i)];
    const char *t = dot ? p->dot : p->raw;
    size_t n = dot ? p->ndot : p->n;
    if (bad && !strcmp(mode, "head"))
        head[hl - 4] ^= 1;
    if (bad && (!strcmp(mode, "flip") || !strcmp(mode, "short"))) {
        if (tmpcap < n)
            tmpbody = xrealloc(tmpbody, tmpcap = n);
        memcpy(tmpbody, t, n);
        t = tmpbody;
        if (!strcmp(mode, "flip"))
            tmpbody[n / 2] ^= 1;
        else
            n -= 1;
    }
    if (!dot)
        c_putf(c, "{%zu}\r\n", hl + n);
    c_put(c, head, hl);
    c_putref(c, t, n);
    if (bad && t == tmpbody)
        c_flush(c);
}

static void meta(struct nconn *k, uint32_t i)
{
    char head[HEADMAX], date[64];
    uint32_t u = k->user;
    msg_internaldate(date, sizeof date, i);
    (void)head;
    c_putf(&k->c,
        "* %u FETCH (UID %u FLAGS (%s) INTERNALDATE \"%s\" RFC822.SIZE %zu ENVELOPE (\"%s\" "
        "\"[tag%03ux] some words here\" "
        "((\"A Name\" NIL \"s001w\" \"load.example\")) ((\"A Name\" NIL \"s001w\" "
        "\"load.example\")) ((\"A Name\" NIL \"s001w\" \"load.example\")) "
        "((\"User Number %u\" NIL \"u%u\" \"load.test\")) NIL NIL NIL "
        "\"<%08x.%08x.%08x@load.example>\") "
        "BODYSTRUCTURE ((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 1234 30 NIL "
        "NIL NIL NIL)"
        "(\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 5678 90 NIL NIL "
        "NIL NIL) \"alternative\" (\"boundary\" \"x\") NIL NIL NIL))\r\n",
        i + 1, i + 1, k->flags[i] ? "\\Flagged" : "", date, msg_size(u, i), date, i % TAGS, u, u, i,
        u, (uint32_t)cfg.seed);
}
static void hdrs(struct nconn *k, uint32_t i)
{
    char t[1024];
    int n = snprintf(t, sizeof t,
        "Date: Tue, 3 Mar 2026 09:00:00 +0000\r\nFrom: A Name <s001w@load.example>\r\nTo: "
        "u%u@load.test\r\n"
        "Subject: [tag%03ux] some words here\r\nMessage-ID: "
        "<%08x.%08x.%08x@load.example>\r\nContent-Type: text/plain\r\n\r\n",
        k->user, i % TAGS, i, k->user, (uint32_t)cfg.seed);
    c_putf(&k->c,
        "* %u FETCH (UID %u FLAGS (%s) RFC822.SIZE %zu BODY[HEADER.FIELDS (DATE FROM)] "
        "{%d}\r\n%s)\r\n",
        i + 1, i + 1, k->flags[i] ? "\\Flagged" : "", msg_size(k->user, i), n, t);
}

static bool has(const char *s, const char *w)
{
    return strcasestr(s, w) != NULL;
}

static void range_of(struct nconn *k, const char *s, uint32_t *a, uint32_t *b)
{
    char *e;
    *a = (uint32_t)strtoul(s, &e, 10);
    *b = *a;
    if (*e == ':')
        *b = e[1] == '*' ? k->n : (uint32_t)strtoul(e + 1, NULL, 10);
    if (!*a)
        *a = 1;
    if (*b > k->n)
        *b = k->n;
}

static void do_fetch(struct nconn *k, char *args)
{
    uint32_t a, b;
    range_of(k, args, &a, &b);
    bool body = has(args, "BODY.PEEK[]"), env = has(args, "ENVELOPE"),
         hf = has(args, "HEADER.FIELDS");
    for (uint32_t q = a; q <= b && q; q++) {
        if (body) {
            if (cfg.corrupt && cfg.mode && !strcmp(cfg.mode, "drop") && ++bodies % cfg.corrupt == 0)
                continue;
            c_putf(&k->c, "* %u FETCH (UID %u BODY[] ", q, q);
            put_body(k, q - 1, false);
            c_puts(&k->c, ")\r\n");
        } else if (env) {
            meta(k, q - 1);
        } else if (hf) {
            hdrs(k, q - 1);
        } else {
            c_putf(&k->c, "* %u FETCH (UID %u FLAGS (%s))\r\n", q, q,
                k->flags[q - 1] ? "\\Flagged" : "");
        }
        if (k->c.wlen > 32768)
            c_flush(&k->c);
    }
}

static void do_search(struct nconn *k, const char *a)
{
    c_puts(&k->c, "* SEARCH");
    const char *q = strchr(a, '"');
    int num = q ? (int)name_number(q) : 0;
    uint32_t hid = has(a, "HEADER") && q ? (uint32_t)strtoul(q + 2, NULL, 16) : 0;
    char snd[16];
    snprintf(snd, sizeof snd, "%.5s", q ? q + 1 : "");
    for (uint32_t i = 0; i < k->n; i++) {
        bool hit;
        if (has(a, "SUBJECT"))
            hit = (int)(i % TAGS) == num;
        else if (has(a, "FROM"))
            hit = !strcmp(snd, sender_name(i));
        else if (has(a, "HEADER"))
            hit = i == hid;
        else if (has(a, "BODY") || has(a, "TEXT"))
            hit = pool[pool_of(i)].needle == num;
        else if (has(a, "UNSEEN"))
            hit = i % 5 == 4;
        else
            hit = true;
        if (hit)
            c_putf(&k->c, " %u", i + 1);
    }
    c_puts(&k->c, "\r\n");
}

static int skip(struct conn *c, size_t n)
{
    while (n) {
        if (!c_avail(c) && c_fill(c) <= 0)
            return -1;
        size_t k = c_avail(c) < n ? c_avail(c) : n;
        c->rpos += k;
        n -= k;
    }
    return 0;
}

static size_t literal(const char *l, size_t n, bool *sync)
{
    *sync = false;
    if (n < 3 || l[n - 1] != '}')
        return 0;
    size_t k = n - 2;
    if (l[k] == '+')
        k--;
    else
        *sync = true;
    while (k && isdigit((uint8_t)l[k]))
        k--;
    return l[k] == '{' ? strtoull(l + k + 1, NULL, 10) : 0;
}

static void grow(struct nconn *k, uint32_t n)
{
    k->flags = xrealloc(k->flags, n + 1);
    if (n > k->n)
        memset(k->flags + k->n, 0, n - k->n);
    k->n = n;
}

static void imap_serve(struct nconn *k)
{
    struct conn *c = &k->c;
    size_t n;
    char *l;
    c_puts(c, "* OK null\r\n");
    for (;;) {
        if (!c_avail(c) && c_flush(c) < 0)
            return;
        if (!(l = c_line(c, &n)))
            return;
        char *cmd = strchr(l, ' ');
        if (!cmd || cmd - l > 60)
            return;
        *cmd++ = 0;
        snprintf(k->tag, sizeof k->tag, "%s", l);
        bool uid = !strncasecmp(cmd, "UID ", 4), sync;
        if (uid)
            cmd += 4;
        static char none[] = "";
        char *args = strchr(cmd, ' ');
        if (args)
            *args++ = 0;
        else
            args = none;
        if (!strcasecmp(cmd, "LOGIN")) {
            k->user = name_number(args);
        } else if (!strcasecmp(cmd, "CAPABILITY")) {
            c_puts(c, "* CAPABILITY IMAP4rev1 LITERAL+ UIDPLUS MOVE IDLE ENABLE CONDSTORE QRESYNC "
                      "SORT THREAD=REFERENCES MULTIAPPEND\r\n");
        } else if (!strcasecmp(cmd, "SELECT") || !strcasecmp(cmd, "EXAMINE")) {
            if (!k->selected)
                grow(k, (uint32_t)cfg.messages);
            k->selected = true;
            c_putf(c,
                "* FLAGS (\\Seen)\r\n* %u EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT %u] "
                "x\r\n* OK [HIGHESTMODSEQ 5] x\r\n",
                k->n, k->n + 1);
        } else if (!strcasecmp(cmd, "FETCH")) {
            do_fetch(k, args);
        } else if (!strcasecmp(cmd, "STORE")) {
            uint32_t a, b;
            range_of(k, args, &a, &b);
            uint8_t on = has(args, "+FLAGS");
            bool quiet = has(args, ".SILENT");
            for (uint32_t q = a; q <= b && q; q++) {
                k->flags[q - 1] = on;
                if (!quiet)
                    c_putf(c, "* %u FETCH (UID %u FLAGS (%s))\r\n", q, q, on ? "\\Flagged" : "");
            }
        } else if (!strcasecmp(cmd, "COPY") || !strcasecmp(cmd, "MOVE")) {
            uint32_t a, b;
            range_of(k, args, &a, &b);
            k->target += b - a + 1;
            if (toupper((uint8_t)*cmd) == 'M')
                for (uint32_t q = a; q <= b; q++)
                    c_puts(c, "* 1 EXPUNGE\r\n");
        } else if (!strcasecmp(cmd, "EXPUNGE")) {
            uint32_t a, b;
            range_of(k, args, &a, &b);
            k->target += b - a + 1;
            for (uint32_t q = a; q <= b; q++)
                c_puts(c, "* 1 EXPUNGE\r\n");
        } else if (!strcasecmp(cmd, "STATUS")) {
            uint32_t v = has(args, "Target") ? k->target : k->n - k->target;
            c_putf(c, "* STATUS x (MESSAGES %u UNSEEN 0 UIDNEXT %u)\r\n", v, v + 1);
        } else if (!strcasecmp(cmd, "DELETE")) {
            k->target = 0;
        } else if (!strcasecmp(cmd, "SEARCH")) {
            do_search(k, args);
        } else if (!strcasecmp(cmd, "SORT")) {
            c_puts(c, "* SORT");
            for (uint32_t q = 1; q <= k->n; q++)
                c_putf(c, " %u", q);
            c_puts(c, "\r\n");
        } else if (!strcasecmp(cmd, "THREAD")) {
            c_puts(c, "* THREAD ");
            for (uint32_t q = 1; q <= k->n; q++)
                c_putf(c, "%s%u%s", q % 4 == 1 ? "(" : " ", q, q % 4 == 0 || q == k->n ? ")" : "");
            c_puts(c, "\r\n");
        } else if (!strcasecmp(cmd, "APPEND")) {
            for (;;) {
                size_t lit = literal(args, strlen(args), &sync);
                if (!lit)
                    break;
                if (sync) {
                    c_puts(c, "+ go\r\n");
                    if (c_flush(c) < 0)
                        return;
                }
                if (skip(c, lit) < 0 || !(args = c_line(c, &n)))
                    return;
            }
        } else if (!strcasecmp(cmd, "IDLE")) {
            c_puts(c, "+ idling\r\n");
            if (c_flush(c) < 0)
                return;
            k->idling = true;
            k->nextidle = idlers;
            idlers = k;
            l = c_line(c, &n);
            for (struct nconn **q = &idlers; *q; q = &(*q)->nextidle)
                if (*q == k) {
                    *q = k->nextidle;
                    break;
                }
            k->idling = false;
            if (!l)
                return;
        } else if (!strcasecmp(cmd, "LOGOUT")) {
            c_putf(c, "* BYE\r\n%s OK done\r\n", k->tag);
            c_flush(c);
            return;
        }
        c_putf(c, "%s OK done\r\n", k->tag);
    }
}

static void told(uint32_t user)
{
    for (struct nconn *k = idlers; k; k = k->nextidle)
        if (k->user == user) {
            grow(k, k->n + 1);
            c_putf(&k->c, "* %u EXISTS\r\n", k->n);
            c_flush(&k->c);
        }
}

static void smtp_serve(struct nconn *k, bool lmtp)
{
    struct conn *c = &k->c;
    size_t n;
    char *l;
    uint32_t users[128];
    int nr = 0;
    c_puts(c, "220 null\r\n");
    for (;;) {
        if (!c_avail(c) && c_flush(c) < 0)
            return;
        if (!(l = c_line(c, &n)))
            return;
        if (!strncasecmp(l, "LHLO", 4) || !strncasecmp(l, "EHLO", 4)) {
            c_puts(c, "250-null\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 8BITMIME\r\n");
        } else if (!strncasecmp(l, "RCPT", 4)) {
            char *p = strchr(l, '<');
            if (nr < 128)
                users[nr++] = p ? name_number(p) : 0;
            c_puts(c, "250 ok\r\n");
        } else if (!strncasecmp(l, "DATA", 4) || !strncasecmp(l, "BDAT", 4)) {
            if (l[0] == 'B' || l[0] == 'b') {
                if (skip(c, strtoull(l + 5, NULL, 10)) < 0)
                    return;
            } else {
                c_puts(c, "354 go\r\n");
                if (c_flush(c) < 0)
                    return;
                size_t seen = 0;
                for (;;) {
                    char *p = c->rb ? c_ptr(c) : NULL;
                    size_t have = c_avail(c);
                    char *e = have > seen ? memmem(p + seen, have - seen, "\r\n.\r\n", 5) : NULL;
                    if (e) {
                        c->rpos += (size_t)(e - p) + 5;
                        break;
                    }
                    if (have > 4) { /* all but the last four bytes are done with */
                        c->rpos += have - 4;
                        have = 4;
                    }
                    seen = 0;
                    if (c_fill(c) <= 0)
                        return;
                }
            }
            for (int i = 0; i < (lmtp ? nr : 1); i++)
                c_puts(c, "250 ok\r\n");
            if (c_flush(c) < 0)
                return;
            for (int i = 0; i < nr; i++)
                told(users[i]);
            nr = 0;
        } else if (!strncasecmp(l, "AUTH", 4)) {
            c_puts(c, "235 ok\r\n");
        } else if (!strncasecmp(l, "QUIT", 4)) {
            c_puts(c, "221 bye\r\n");
            c_flush(c);
            return;
        } else {
            c_puts(c, "250 ok\r\n");
        }
    }
}

static void pop_serve(struct nconn *k)
{
    struct conn *c = &k->c;
    size_t n;
    char *l;
    grow(k, (uint32_t)cfg.messages);
    c_puts(c, "+OK null\r\n");
    for (;;) {
        if (!c_avail(c) && c_flush(c) < 0)
            return;
        if (!(l = c_line(c, &n)))
            return;
        if (!strncasecmp(l, "USER", 4)) {
            k->user = name_number(l + 4);
            c_puts(c, "+OK\r\n");
        } else if (!strncasecmp(l, "STAT", 4)) {
            c_putf(c, "+OK %u 1000\r\n", k->n);
        } else if (!strncasecmp(l, "UIDL", 4)) {
            c_puts(c, "+OK\r\n");
            for (uint32_t i = 1; i <= k->n; i++)
                c_putf(c, "%u %08x\r\n", i, i);
            c_puts(c, ".\r\n");
        } else if (!strncasecmp(l, "RETR", 4)) {
            c_puts(c, "+OK\r\n");
            put_body(k, (uint32_t)strtoul(l + 5, NULL, 10) - 1, true);
            c_puts(c, ".\r\n");
        } else if (!strncasecmp(l, "QUIT", 4)) {
            c_puts(c, "+OK bye\r\n");
            c_flush(c);
            return;
        } else {
            c_puts(c, "+OK\r\n");
        }
    }
}

static void serve(void *arg)
{
    struct nconn *k = arg;
    if (k->kind == 3 || k->kind == 4)
        if (conn_tls(&k->c, true) < 0)
            goto out;
    switch (k->kind) {
    case 0:
    case 3:
        imap_serve(k);
        break;
    case 1:
        smtp_serve(k, true);
        break;
    case 2:
    case 4:
        pop_serve(k);
        break;
    case 5:
        smtp_serve(k, false);
        break;
    }
out:
    conn_close(&k->c);
    free(k->flags);
    free(k);
}

static void listener(void *arg)
{
    struct nconn *k = arg;
    for (;;) {
        int fd = c_accept(&k->c);
        if (fd < 0)
            die("accept: %s", strerror(errno));
        struct nconn *m = calloc(1, sizeof *m);
        conn_init(&m->c, k->w);
        m->w = k->w;
        m->kind = k->kind;
        if (conn_adopt(&m->c, fd) < 0)
            die("epoll_ctl: %s", strerror(errno));
        co_start(k->w, serve, m);
    }
}

int null_server(void)
{
    struct worker w;
    worker_init(&w, 0);
    w.listening = true;
    for (int i = 0; i < 6; i++) {
        if ((i == 3 || i == 4) && !cfg.cert)
            continue;
        struct sockaddr_in sa = { .sin_family = AF_INET,
            .sin_port = htons((uint16_t)(cfg.port + i)) };
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        inet_pton(AF_INET, "127.0.0.1", &sa.sin_addr);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, 4096) < 0)
            die("port %d: %s", cfg.port + i, strerror(errno));
        struct nconn *k = calloc(1, sizeof *k);
        conn_init(&k->c, &w);
        k->w = &w;
        k->kind = i;
        if (conn_adopt(&k->c, fd) < 0)
            die("epoll_ctl: %s", strerror(errno));
        co_start(&w, listener, k);
    }
    printf("pid=%d\n", (int)getpid());
    fflush(stdout);
    worker_loop(&w);
    return 0;
}
