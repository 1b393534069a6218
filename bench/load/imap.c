/* IMAP from the client's side. */
#include "imap.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *icontains(const char *s, size_t n, const char *what)
{
    size_t l = strlen(what);
    for (; n >= l; s++, n--)
        if (toupper((uint8_t)*s) == what[0] && !strncasecmp(s, what, l))
            return s;
    return NULL;
}

static void imap_caps(struct imap *m, const char *s, size_t n)
{
    m->caps = true;
    m->litplus = icontains(s, n, "LITERAL+") != NULL;
    m->move = icontains(s, n, " MOVE") != NULL;
    m->qresync = icontains(s, n, "QRESYNC") != NULL;
    m->sort = icontains(s, n, " SORT") != NULL;
    m->thread = icontains(s, n, "THREAD=REFERENCES") != NULL;
    m->uidplus = icontains(s, n, "UIDPLUS") != NULL;
    m->multiappend = icontains(s, n, "MULTIAPPEND") != NULL;
}

static void acc_add(struct imap *m, const char *p, size_t n)
{
    if (m->nacc + n + 1 > m->capacc) {
        m->capacc = (m->nacc + n + 1) * 2;
        m->acc = xrealloc(m->acc, m->capacc);
    }
    memcpy(m->acc + m->nacc, p, n);
    m->nacc += n;
    m->acc[m->nacc] = 0;
}

/* One whole response: small literals are put in line, message bodies are
 * checked and left out. */
int imap_read(struct imap *m, char **out, size_t *outn)
{
    struct conn *c = m->c;
    bool cont = false;
    for (;;) {
        size_t n;
        char *l = c_line(c, &n);
        if (!l)
            return -1;
        size_t lit = 0;
        bool islit = false;
        if (n > 2 && l[n - 1] == '}') {
            size_t k = n - 2;
            while (k && isdigit((uint8_t)l[k]))
                k--;
            if (l[k] == '{' && k < n - 2) {
                lit = strtoull(l + k + 1, NULL, 10);
                islit = true;
                if (m->check_bodies && k >= 7 &&
                    (!memcmp(l + k - 7, "BODY[] ", 7) || !memcmp(l + k - 7, "RFC822 ", 7))) {
                    if (!m->first)
                        m->first = now_ns();
                    if (!cont)
                        m->nacc = 0;
                    acc_add(m, l, k);
                    acc_add(m, "\"\"", 2);
                    cont = true;
                    m->litbytes += lit;
                    if (verify_body(c, lit, false, m->seen, NULL, NULL) < 0)
                        return -1;
                    continue;
                }
            }
        }
        if (!islit && !cont) {
            *out = l;
            *outn = n;
            return 0;
        }
        if (!cont)
            m->nacc = 0;
        cont = true;
        acc_add(m, l, n);
        if (!islit) {
            *out = m->acc;
            *outn = m->nacc;
            return 0;
        }
        acc_add(m, "\r\n", 2);
        while (lit) {
            if (!c_avail(c) && c_fill(c) <= 0)
                return -1;
            size_t k = c_avail(c) < lit ? c_avail(c) : lit;
            acc_add(m, c_ptr(c), k);
            c->rpos += k;
            lit -= k;
            m->litbytes += k;
        }
    }
}

void add_uid(struct imap *m, uint32_t u)
{
    if (m->nuids == m->capuids) {
        m->capuids = m->capuids ? 2 * m->capuids : 256;
        m->uids = xrealloc(m->uids, sizeof(uint32_t) * m->capuids);
    }
    m->uids[m->nuids++] = u;
}

static void numbers(struct imap *m, const char *s)
{
    for (;;) {
        while (*s && !isdigit((uint8_t)*s)) {
            if (*s == '(') /* MODSEQ, or a THREAD */
                if (!strncasecmp(s, "(MODSEQ", 7))
                    return;
            s++;
        }
        if (!*s)
            return;
        uint32_t v = 0;
        while (isdigit((uint8_t)*s))
            v = v * 10 + (uint32_t)(*s++ - '0');
        add_uid(m, v);
    }
}

uint32_t fetch_uid(const char *s, size_t n)
{
    const char *p = memmem(s, n, "UID ", 4);
    return p ? (uint32_t)strtoul(p + 4, NULL, 10) : 0;
}

static void untagged(struct imap *m, char *s, size_t n)
{
    /* s starts after "* " */
    char *e;
    if (isdigit((uint8_t)*s)) {
        unsigned long v = strtoul(s, &e, 10);
        if (!strncasecmp(e, " FETCH ", 7)) {
            m->nfetch++;
            if (!m->first)
                m->first = now_ns();
            if (m->on_fetch)
                m->on_fetch(m, s, n);
        } else if (!strcasecmp(e, " EXISTS")) {
            m->exists = (uint32_t)v;
        } else if (!strcasecmp(e, " EXPUNGE")) {
            m->nexpunge++;
            m->exists--;
        }
        return;
    }
    if (!strncasecmp(s, "OK [", 4)) {
        if (!strncasecmp(s + 4, "UIDVALIDITY ", 12))
            m->uidvalidity = (uint32_t)strtoul(s + 16, NULL, 10);
        else if (!strncasecmp(s + 4, "UIDNEXT ", 8))
            m->uidnext = (uint32_t)strtoul(s + 12, NULL, 10);
        else if (!strncasecmp(s + 4, "HIGHESTMODSEQ ", 14))
            m->modseq = strtoull(s + 18, NULL, 10);
        else if (!strncasecmp(s + 4, "CAPABILITY ", 11))
            imap_caps(m, s + 4, n - 4);
    } else if (!strncasecmp(s, "SEARCH", 6) || !strncasecmp(s, "SORT", 4)) {
        numbers(m, s);
    } else if (!strncasecmp(s, "THREAD", 6)) {
        int d = 0;
        for (char *p = s; *p; p++) {
            if (*p == '(' && !d++)
                m->nthreads++;
            else if (*p == ')')
                d--;
        }
        numbers(m, s);
    } else if (!strncasecmp(s, "STATUS ", 7)) {
        const char *p;
        if ((p = icontains(s, n, "MESSAGES ")))
            m->st_messages = (uint32_t)strtoul(p + 9, NULL, 10);
        if ((p = icontains(s, n, "UNSEEN ")))
            m->st_unseen = (uint32_t)strtoul(p + 7, NULL, 10);
        if ((p = icontains(s, n, "HIGHESTMODSEQ ")))
            m->modseq = strtoull(p + 14, NULL, 10);
    } else if (!strncasecmp(s, "VANISHED ", 9)) {
        for (char *p = s + 9; *p; p++)
            if (isdigit((uint8_t)*p)) {
                uint32_t a = (uint32_t)strtoul(p, &p, 10), b = a;
                if (*p == ':')
                    b = (uint32_t)strtoul(p + 1, &p, 10);
                m->nvanished += b - a + 1;
                if (!*p)
                    break;
            }
    } else if (!strncasecmp(s, "CAPABILITY ", 11)) {
        imap_caps(m, s, n);
    }
}

/* waits for the tagged response; 0 OK, 1 NO or BAD, -1 connection lost */
int imap_tagged(struct imap *m, uint32_t tag, const char *what)
{
    for (;;) {
        char *s;
        size_t n;
        if (imap_read(m, &s, &n) < 0) {
            err(m->c->w, "%s: connection lost", what);
            return -1;
        }
        if (n > 2 && s[0] == '*') {
            untagged(m, s + 2, n - 2);
            continue;
        }
        if (s[0] == '+')
            continue;
        if (s[0] != 'a' || strtoul(s + 1, &s, 10) != tag) {
            err(m->c->w, "%s: an unexpected line: %.120s", what, s);
            return -1;
        }
        snprintf(m->code, sizeof m->code, "%.120s", s + 1);
        if (!strncasecmp(s, " OK", 3)) {
            if (!strncasecmp(s, " OK [CAPABILITY ", 16))
                imap_caps(m, s, strlen(s));
            else if (!strncasecmp(s, " OK [HIGHESTMODSEQ ", 19))
                m->modseq = strtoull(s + 19, NULL, 10);
            return 0;
        }
        return 1;
    }
}

uint32_t imap_send(struct imap *m, const char *fmt, ...)
{
    char t[1900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t, sizeof t, fmt, ap);
    va_end(ap);
    c_putf(m->c, "a%u %s\r\n", ++m->tag, t);
    return m->tag;
}

/* sends a command and waits for it; NO and BAD are counted as errors */
int imap_cmd(struct imap *m, const char *fmt, ...)
{
    char t[1900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t, sizeof t, fmt, ap);
    va_end(ap);
    c_putf(m->c, "a%u %s\r\n", ++m->tag, t);
    m->nfetch = m->nexpunge = m->nvanished = m->nuids = m->nthreads = 0;
    m->first = 0;
    m->litbytes = 0;
    if (c_flush(m->c) < 0) {
        err(m->c->w, "%.40s: connection lost", t);
        return -1;
    }
    int r = imap_tagged(m, m->tag, t);
    if (r > 0)
        err(m->c->w, "%.60s: %s", t, m->code);
    return r;
}

void imap_free(struct imap *m)
{
    free(m->acc);
    free(m->uids);
    free(m->flagbits);
    memset(m, 0, sizeof *m);
}

/* connects and logs in; times, when asked for, in histograms h (connect, with
 * TLS) and h+1 (LOGIN) */
int imap_open(struct imap *m, struct sess *s, int user, int h)
{
    char u[256], *l;
    size_t n;
    const struct addr *a = cfg.tls ? &cfg.imaps : &cfg.imap;
    memset(m, 0, sizeof *m);
    m->c = &s->c;
    m->s = s;
    s->c.peer = "imap";
    s->c.user = cfg.rcpts > 1 ? -1 : user;
    uint64_t t0 = now_ns();
    if (!a->set) {
        err(s->w, "no address given for %s", cfg.tls ? "imaps" : "imap");
        return -1;
    }
    if (conn_open(&s->c, a, cfg.tls) < 0)
        return -1;
    if (!(l = c_line(&s->c, &n)) || strncasecmp(l, "* OK", 4)) {
        err(s->w, "bad greeting: %s", l ? l : "connection lost");
        conn_close(&s->c);
        return -1;
    }
    if (cfg.starttls && !cfg.tls) {
        if (imap_cmd(m, "STARTTLS") || conn_tls(&s->c, false) < 0) {
            conn_close(&s->c);
            return -1;
        }
    }
    if (h >= 0)
        hist_add(&s->w->h[h], now_ns() - t0);
    t0 = now_ns();
    user_name(u, sizeof u, user);
    m->caps = false;
    if (imap_cmd(m, "LOGIN %s %s", u, cfg.pass)) {
        conn_close(&s->c);
        return -1;
    }
    if (h >= 0)
        timed(s->w, h + 1, t0);
    return 0;
}
int imap_need_caps(struct imap *m)
{
    if (m->caps)
        return 0;
    return imap_cmd(m, "CAPABILITY");
}
void imap_close(struct imap *m)
{
    if (m->c->fd >= 0)
        imap_cmd(m, "LOGOUT");
    conn_close(m->c);
    imap_free(m);
}
int imap_select(struct imap *m, const char *box)
{
    m->exists = 0;
    int r = imap_cmd(m, "%s \"%s\"", cfg.examine ? "EXAMINE" : "SELECT", box);
    if (!r && cfg.expect && m->exists != cfg.expect && !strcmp(box, cfg.mailbox)) {
        err(m->c->w, "%s has %u messages, expected %llu", box, m->exists,
            (unsigned long long)cfg.expect);
        return 1;
    }
    return r;
}
int my_user(struct sess *s)
{
    return cfg.first + s->id % cfg.users;
}

/* the usual start of a session: log in, SELECT; on failure leaves the barrier */
int imap_start(struct imap *m, struct sess *s, bool select)
{
    if (imap_open(m, s, my_user(s), -1) < 0 || imap_need_caps(m) ||
        (select && imap_select(m, cfg.mailbox))) {
        conn_close(&s->c);
        imap_free(m);
        session_leave(s);
        return -1;
    }
    return 0;
}

void shuffle(struct sess *s, uint32_t *v, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)(rnd(s) % i), t = v[i - 1];
        v[i - 1] = v[j];
        v[j] = t;
    }
}
