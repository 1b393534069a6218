/* mailload: synthetic messages.
 *
 * A message is a short head that is unique to (user, index) and a tail taken
 * from a pool of prepared messages, so that sending costs no formatting to
 * speak of and every byte of a message that comes back can be checked by two
 * memcmp()s.  Everything follows from the seed: every server gets the same
 * bytes.  Sizes are the quantiles of a log-normal distribution. */
#include "load.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct poolmsg *pool;
int npool;
static int nbig = 2;

uint64_t mixhash(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

int pool_of(uint32_t i)
{
    if (cfg.bigevery && i % cfg.bigevery == cfg.bigevery - 1)
        return npool - nbig + (int)(i / cfg.bigevery % (uint64_t)nbig);
    return (int)(mixhash(cfg.seed * 1000003 + i) % (uint64_t)(npool - nbig));
}

/* a growing text buffer */
struct sb {
    char *p;
    size_t n, cap;
};
static void add(struct sb *b, const char *s, size_t n)
{
    if (b->n + n + 1 > b->cap) {
        while (b->n + n + 1 > b->cap)
            b->cap = b->cap ? 2 * b->cap : 4096;
        b->p = xrealloc(b->p, b->cap);
    }
    memcpy(b->p + b->n, s, n);
    b->n += n;
    b->p[b->n] = 0;
}
static void adds(struct sb *b, const char *s)
{
    add(b, s, strlen(s));
}
static void addf(struct sb *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void addf(struct sb *b, const char *fmt, ...)
{
    char t[4096];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t, sizeof t, fmt, ap);
    va_end(ap);
    add(b, t, (size_t)n);
}

static uint64_t gs;
static uint64_t gr(void)
{
    gs = gs * 6364136223846793005u + 1442695040888963407u;
    return mixhash(gs);
}

/* ------------------------------------------------------------ vocabulary */
#define NWORDS 6000
static char words[NWORDS][16];
static const char *syl[] = { "ba", "ri", "to", "men", "lo", "ka", "ser", "vi", "on", "al", "ten",
    "po", "ra", "qu", "es", "ti", "mar", "ne", "du", "fo", "gri", "ha", "ju", "lam", "os", "per",
    "sta", "ul", "wen", "xa", "yor", "ze", "ch", "ing", "er", "ed", "ly", "tion" };
static const char *utf8words[] = { "\xc3\xa9t\xc3\xa9",
    "gr\xc3\xbc\xc3\x9f"
    "e",
    "ma\xc3\xb1"
    "ana",
    "\xd8\xa8\xd8\xb1\xd9\x8a\xd8\xaf", "\xd8\xb1\xd8\xb3\xd8\xa7\xd9\x84\xd8\xa9",
    "\xce\xb3\xce\xb5\xce\xb9\xce\xac", "\xd0\xbf\xd0\xb8\xd1\x81\xd1\x8c\xd0\xbc\xd0\xbe",
    "\xe4\xbf\xa1\xe4\xbb\xb6" };
static void make_words(void)
{
    gs = 4711;
    for (int i = 0; i < NWORDS; i++) {
        size_t l = 0;
        int parts = 1 + (int)(gr() % 3) + (i > 300);
        for (int k = 0; k < parts && l < 11; k++) {
            const char *s = syl[gr() % (sizeof syl / sizeof *syl)];
            size_t n = strlen(s);
            memcpy(words[i] + l, s, n);
            l += n;
        }
        words[i][l] = 0;
    }
}
/* Zipf-like: rank r with weight 1/(r+8), by inversion */
static const char *word(uint64_t r)
{
    double u = (double)(r >> 11) / 9007199254740992.0;
    double k = 8.0 * (pow((NWORDS + 8.0) / 8.0, u) - 1);
    int i = (int)k;
    return words[i < NWORDS ? i : NWORDS - 1];
}

/* running text of about n bytes, lines of at most 72 */
static void text(struct sb *b, size_t n, bool utf8, const char *eol, bool dots)
{
    size_t end = b->n + n, col = 0;
    int w = 0;
    while (b->n < end) {
        uint64_t r = gr();
        const char *s = word(r);
        if (utf8 && r % 9 == 0)
            s = utf8words[r / 9 % (sizeof utf8words / sizeof *utf8words)];
        size_t l = strlen(s);
        if (col + l + 2 > 72) {
            adds(b, eol);
            col = 0;
            if (gr() % 12 == 0)
                adds(b, eol);
            if (dots && gr() % 16 == 0) {
                adds(b, ".");
                col = 1;
            }
        }
        if (col) {
            adds(b, " ");
            col++;
        }
        add(b, s, l);
        col += l;
        if (++w % 11 == 0) {
            adds(b, ".");
            col++;
        }
    }
    adds(b, eol);
}

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static void base64_lines(struct sb *b, const uint8_t *s, size_t n)
{
    char line[80];
    while (n) {
        size_t take = n > 57 ? 57 : n, o = 0;
        for (size_t i = 0; i < take; i += 3) {
            uint32_t v = (uint32_t)s[i] << 16 | (uint32_t)(i + 1 < take ? s[i + 1] : 0) << 8 |
                         (i + 2 < take ? s[i + 2] : 0);
            line[o++] = b64[v >> 18];
            line[o++] = b64[v >> 12 & 63];
            line[o++] = i + 1 < take ? b64[v >> 6 & 63] : '=';
            line[o++] = i + 2 < take ? b64[v & 63] : '=';
        }
        line[o++] = '\r';
        line[o++] = '\n';
        add(b, line, o);
        s += take;
        n -= take;
    }
}
/* an attachment of about n encoded bytes */
static void attachment(struct sb *b, size_t n)
{
    size_t raw = n / 78 * 57 + 57;
    uint8_t *t = xmalloc(raw + 8);
    for (size_t i = 0; i < raw; i += 8) {
        uint64_t r = gr();
        memcpy(t + i, &r, 8);
    }
    base64_lines(b, t, raw);
    free(t);
}
static void qp(struct sb *b, const char *s, size_t n)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t col = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t ch = (uint8_t)s[i];
        char o[3];
        size_t l = 1;
        if (ch == '\n') {
            adds(b, "\r\n");
            col = 0;
            continue;
        }
        if (ch == '=' || ch > 126 || (ch == '.' && !col)) {
            o[0] = '=';
            o[1] = hex[ch >> 4];
            o[2] = hex[ch & 15];
            l = 3;
        } else {
            o[0] = (char)ch;
        }
        if (col + l > 75) {
            adds(b, "=\r\n");
            col = 0;
        }
        add(b, o, l);
        col += l;
    }
}
static void html(struct sb *b, size_t n, int needle)
{
    struct sb t = { 0 };
    adds(&t, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><style type=\"text/css\">\n"
             "body { font-family: Helvetica, Arial, sans-serif; margin: 0; padding: 0; }\n"
             ".wrap { max-width: 600px; margin: 0 auto; } td { padding: 4px 12px; "
             "}\n</style></head>\n<body>\n");
    if (needle >= 0)
        addf(&t, "<p>needle%03dq</p>\n", needle);
    while (t.n < n) {
        addf(&t,
            "<table width=\"100%%\" cellpadding=\"0\" cellspacing=\"0\"><tr><td style=\"color: "
            "#%06x; font-size: %dpx\">\n",
            (unsigned)(gr() & 0xffffff), 11 + (int)(gr() % 8));
        text(&t, 300, true, "\n", false);
        addf(&t,
            "</td><td><a href=\"https://links.load.example/c/%016llx?u=%u\"><img "
            "src=\"https://img.load.example/%08x.png\" alt=\"\"></a></td></tr></table>\n",
            (unsigned long long)gr(), (unsigned)(gr() % 100000), (unsigned)gr());
    }
    adds(&t, "</body></html>\n");
    qp(b, t.p, t.n);
    free(t.p);
}

static void extra_headers(struct sb *b)
{
    addf(b,
        "Received: from out%d.load.example (out%d.load.example [192.0.2.%d])\r\n"
        "\tby mx%d.load.test (Postfix) with ESMTPS id %08X\r\n"
        "\tfor <list@load.test>; Tue,  3 Mar 2026 09:%02d:%02d +0000 (UTC)\r\n",
        (int)(gr() % 9), (int)(gr() % 9), (int)(gr() % 250), (int)(gr() % 4), (unsigned)gr(),
        (int)(gr() % 60), (int)(gr() % 60));
    adds(b, "Authentication-Results: mx.load.test; dkim=pass (2048-bit key; unprotected)\r\n"
            "\theader.d=load.example header.i=@load.example header.a=rsa-sha256\r\n"
            "\theader.s=sel1; spf=pass smtp.mailfrom=bounce.load.example; dmarc=pass\r\n");
    adds(b, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=load.example;\r\n"
            "\ts=sel1; t=1772528400; h=from:from:reply-to:subject:subject:date:date:\r\n"
            "\t message-id:message-id:to:to:cc:mime-version:content-type; b=\r\n");
    struct sb t = { 0 };
    attachment(&t, 78 * 5);
    for (char *p = t.p; *p;) {
        char *e = strstr(p, "\r\n");
        adds(b, "\t ");
        add(b, p, (size_t)(e - p) + 2);
        p = e + 2;
    }
    free(t.p);
    if (gr() % 2)
        addf(b,
            "List-Unsubscribe: <https://links.load.example/u/%016llx>\r\nList-Id: "
            "<n%d.load.example>\r\nPrecedence: bulk\r\n",
            (unsigned long long)gr(), (int)(gr() % 50));
    addf(b, "X-Mailer: Loader %d.%d\r\nMIME-Version: 1.0\r\n", (int)(gr() % 20), (int)(gr() % 9));
}

static void plain_part(struct sb *b, size_t n, int needle, bool dots)
{
    addf(b, "needle%03dq\r\n", needle);
    text(b, n > 100 ? n - 20 : 80, false, "\r\n", dots);
}

static void build_one(struct poolmsg *m, int p, size_t size)
{
    struct sb b = { 0 };
    char bd[64], bd2[64];
    int kind = p % 20, needle = p % NEEDLES;
    bool big = size > 1000000;
    gs = mixhash(cfg.seed * 77777 + (uint64_t)p);
    m->needle = needle;
    extra_headers(&b);
    snprintf(bd, sizeof bd, "=_b_%016llx", (unsigned long long)gr());
    snprintf(bd2, sizeof bd2, "=_a_%016llx", (unsigned long long)gr());
    size_t left = size > b.n + 700 ? size - b.n - 500 : 200;
    if (big)
        kind = 14;
    if (kind < 5) {
        adds(&b, "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
        plain_part(&b, left, needle, kind == 4);
    } else if (kind < 14) {
        addf(&b,
            "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\nThis is a multi-part "
            "message.\r\n--%s\r\n",
            bd, bd);
        adds(&b,
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n");
        plain_part(&b, left / 4, needle, false);
        addf(&b,
            "\r\n--%s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
            "quoted-printable\r\n\r\n",
            bd);
        html(&b, left * 2 / 3, needle);
        addf(&b, "\r\n--%s--\r\n", bd);
    } else if (kind < 17 || kind == 19) {
        addf(&b, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n", bd, bd);
        addf(&b, "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n--%s\r\n", bd2, bd2);
        adds(&b, "Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\n");
        plain_part(&b, left / 10, needle, false);
        addf(&b,
            "\r\n--%s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
            "quoted-printable\r\n\r\n",
            bd2);
        html(&b, left / 10, needle);
        addf(&b, "\r\n--%s--\r\n\r\n--%s\r\n", bd2, bd);
        if (kind == 19) {
            adds(&b, "Content-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n"
                     "From: \"Inner Writer\" <inner@load.example>\r\nTo: someone@load.test\r\n"
                     "Subject: forwarded message\r\nDate: Mon, 2 Mar 2026 08:00:00 +0000\r\n"
                     "Message-ID: <inner@load.example>\r\nMIME-Version: 1.0\r\nContent-Type: "
                     "text/plain\r\n\r\n");
            text(&b, left / 10, false, "\r\n", false);
            addf(&b, "\r\n--%s\r\n", bd);
        }
        addf(&b,
            "Content-Type: %s; name=\"attachment-%d.%s\"\r\nContent-Disposition: attachment; "
            "filename=\"attachment-%d.%s\"\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\n",
            kind == 19 ? "image/jpeg" : "application/pdf", p, kind == 19 ? "jpg" : "pdf", p,
            kind == 19 ? "jpg" : "pdf");
        attachment(&b, left * 7 / 10);
        addf(&b, "\r\n--%s--\r\n", bd);
    } else if (kind == 17) {
        adds(&b,
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        struct sb t = { 0 };
        addf(&t, "needle%03dq\r\n", needle);
        text(&t, left * 7 / 10, true, "\r\n", false);
        base64_lines(&b, (uint8_t *)t.p, t.n);
        free(t.p);
    } else {
        adds(&b, "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
                 "quoted-printable\r\n\r\n");
        html(&b, left * 9 / 10, needle);
    }
    m->raw = b.p;
    m->n = b.n;
    /* dot-stuffing; the head never starts a line with a dot */
    size_t dots = 0;
    for (size_t i = 1; i < b.n; i++)
        if (b.p[i] == '.' && b.p[i - 1] == '\n')
            dots++;
    m->dot = m->raw;
    m->ndot = m->n + dots;
    if (dots) {
        m->dot = xmalloc(m->ndot + 1);
        size_t o = 0;
        for (size_t i = 0; i < b.n; i++) {
            if (b.p[i] == '.' && i && b.p[i - 1] == '\n')
                m->dot[o++] = '.';
            m->dot[o++] = b.p[i];
        }
    }
}

/* the inverse of the normal distribution, by bisection */
static double inv_normal(double q)
{
    double lo = -6, hi = 6;
    for (int i = 0; i < 60; i++) {
        double m = (lo + hi) / 2;
        if (0.5 * erfc(-m / sqrt(2)) < q)
            lo = m;
        else
            hi = m;
    }
    return lo;
}

void pool_build(void)
{
    make_words();
    npool = cfg.poolsize + nbig;
    pool = xmalloc(sizeof *pool * (size_t)npool);
    for (int p = 0; p < cfg.poolsize; p++) {
        /* a permutation of the quantiles, so that size and kind are independent */
        int k = (int)((uint64_t)p * 7919 % (uint64_t)cfg.poolsize);
        double z = inv_normal(((double)k + 0.5) / cfg.poolsize);
        double size = (double)cfg.median * exp(cfg.sigma * z);
        if (size > (double)cfg.maxsize)
            size = (double)cfg.maxsize;
        build_one(&pool[p], p, (size_t)size);
    }
    for (int p = cfg.poolsize; p < npool; p++)
        build_one(&pool[p], p, cfg.bigsize);
}

/* ------------------------------------------------------------------ head */
static const char *given[] = { "Amal", "Basil", "Chen", "Dina", "Elias", "Fatima", "Goran", "Hana",
    "Idris", "June", "Karim", "Layla", "Mona", "Nils", "Omar", "Paula", "Qasim", "Rosa", "Samir",
    "Tala" };
static const char *family[] = { "Ashford", "Barakat", "Castro", "Dupont", "Eriksen", "Farah",
    "Grant", "Haddad", "Ivanov", "Jensen", "Khalil", "Larsen", "Mansour", "Nasser", "Okafor",
    "Petrov", "Qureshi", "Rossi", "Saleh" };

int sender_of(uint32_t i)
{
    return (int)(mixhash(i / 3 + 99) % SENDERS);
}
const char *sender_name(uint32_t i)
{
    static __thread char b[64];
    snprintf(b, sizeof b, "s%03dw", sender_of(i));
    return b;
}
time_t msg_time(uint32_t i)
{
    return (time_t)(1700000000 + (uint64_t)i * 977 % 60000000);
}
static const char *mon[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
    "Nov", "Dec" };
static const char *day[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
void msg_internaldate(char *buf, size_t cap, uint32_t i)
{
    time_t t = msg_time(i);
    struct tm tm;
    gmtime_r(&t, &tm);
    snprintf(buf, cap, "%02d-%s-%04d %02d:%02d:%02d +0000", tm.tm_mday, mon[tm.tm_mon],
        tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* a hand-made formatter: this runs once for every message sent or checked */
static char *ps(char *o, const char *s)
{
    size_t n = strlen(s);
    memcpy(o, s, n);
    return o + n;
}
static char *px(char *o, uint32_t v)
{
    for (int k = 28; k >= 0; k -= 4)
        *o++ = "0123456789abcdef"[v >> k & 15];
    return o;
}
static char *pd(char *o, uint32_t v, int width)
{
    char t[12];
    int n = 0;
    do
        t[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n < width)
        t[n++] = '0';
    while (n)
        *o++ = t[--n];
    return o;
}

size_t msg_head(char *buf, uint32_t u, uint32_t i)
{
    char *o = buf;
    uint64_t r = mixhash(cfg.seed * 31 + i);
    int from = sender_of(i);
    time_t t = msg_time(i);
    struct tm tm;
    gmtime_r(&t, &tm);
    o = ps(o, LOADID);
    o = px(o, (uint32_t)cfg.seed);
    *o++ = '-';
    o = px(o, u);
    *o++ = '-';
    o = px(o, i);
    o = ps(o, "\r\nReceived: from submit.load.example (submit.load.example [198.51.100.");
    o = pd(o, (uint32_t)(r % 250), 1);
    o = ps(o, "])\r\n\tby relay.load.example with ESMTPSA id ");
    o = px(o, (uint32_t)(r >> 8));
    o = ps(o, "; ");
    char *dstart = o;
    o = ps(o, day[tm.tm_wday]);
    o = ps(o, ", ");
    o = pd(o, (uint32_t)tm.tm_mday, 1);
    *o++ = ' ';
    o = ps(o, mon[tm.tm_mon]);
    *o++ = ' ';
    o = pd(o, (uint32_t)tm.tm_year + 1900, 4);
    *o++ = ' ';
    o = pd(o, (uint32_t)tm.tm_hour, 2);
    *o++ = ':';
    o = pd(o, (uint32_t)tm.tm_min, 2);
    *o++ = ':';
    o = pd(o, (uint32_t)tm.tm_sec, 2);
    o = ps(o, " +0000");
    size_t dlen = (size_t)(o - dstart);
    o = ps(o, "\r\nDate: ");
    memcpy(o, dstart, dlen);
    o += dlen;
    o = ps(o, "\r\nFrom: ");
    o = ps(o, given[from % 20]);
    *o++ = ' ';
    o = ps(o, family[from % 19]);
    o = ps(o, " <s");
    o = pd(o, (uint32_t)from, 3);
    o = ps(o, "w@load.example>\r\nTo: \"User Number ");
    o = pd(o, u, 1);
    o = ps(o, "\" <u");
    o = pd(o, u, 1);
    o = ps(o, "@load.test>\r\n");
    if (r >> 40 & 1) {
        o = ps(o, "Cc: team@load.test, \"Second, Reader\" <reader2@load.example>\r\n");
    }
    o = ps(o, "Message-ID: <");
    o = px(o, i);
    *o++ = '.';
    o = px(o, u);
    *o++ = '.';
    o = px(o, (uint32_t)cfg.seed);
    o = ps(o, "@load.example>\r\n");
    /* threads of up to four messages */
    uint32_t depth = i % 4;
    if (depth) {
        o = ps(o, "In-Reply-To: <");
        o = px(o, i - 1);
        *o++ = '.';
        o = px(o, u);
        *o++ = '.';
        o = px(o, (uint32_t)cfg.seed);
        o = ps(o, "@load.example>\r\nReferences:");
        for (uint32_t k = i - depth; k < i; k++) {
            o = ps(o, "\r\n <");
            o = px(o, k);
            *o++ = '.';
            o = px(o, u);
            *o++ = '.';
            o = px(o, (uint32_t)cfg.seed);
            o = ps(o, "@load.example>");
        }
        o = ps(o, "\r\n");
    }
    o = ps(o, depth ? "Subject: Re: [tag" : "Subject: [tag");
    o = pd(o, i % TAGS, 3);
    o = ps(o, "x] ");
    uint64_t q = mixhash(cfg.seed * 13 + i / 4); /* the same words through a thread */
    if (q % 10 == 0)
        o = ps(o, "=?UTF-8?Q?=D8=A8=D8=B1=D9=8A=D8=AF_gr=C3=BC=C3=9Fe?= ");
    for (int k = 0; k < 4 + (int)(q % 3); k++) {
        uint64_t z = mixhash(q + (uint64_t)k);
        if (k)
            *o++ = ' ';
        o = ps(o, words[z % 900]);
    }
    o = ps(o, "\r\n");
    return (size_t)(o - buf);
}

size_t msg_size(uint32_t u, uint32_t i)
{
    char b[HEADMAX];
    return msg_head(b, u, i) + pool[pool_of(i)].n;
}

bool seen_mark(struct seenmap *s, uint32_t i)
{
    if (i >= s->cap) {
        uint32_t nc = s->cap ? s->cap : 8192;
        while (nc <= i)
            nc *= 2;
        s->bits = xrealloc(s->bits, nc / 8);
        memset(s->bits + s->cap / 8, 0, (nc - s->cap) / 8);
        s->cap = nc;
    }
    if (s->bits[i / 8] >> (i % 8) & 1) {
        return false;
    }
    s->bits[i / 8] |= (uint8_t)(1 << (i % 8));
    s->n++;
    return true;
}
void seen_free(struct seenmap *s)
{
    free(s->bits);
    memset(s, 0, sizeof *s);
}

static bool hex8(const char *p, uint32_t *v)
{
    uint32_t x = 0;
    for (int i = 0; i < 8; i++) {
        char ch = p[i];
        if (ch >= '0' && ch <= '9')
            x = x << 4 | (uint32_t)(ch - '0');
        else if (ch >= 'a' && ch <= 'f')
            x = x << 4 | (uint32_t)(ch - 'a' + 10);
        else
            return false;
    }
    *v = x;
    return true;
}

#define IDLEN (sizeof LOADID - 1 + 26)
int verify_body(
    struct conn *c, size_t n, bool pop3, struct seenmap *seen, uint32_t *idx, uint64_t *octets)
{
    struct worker *w = c->w;
    char head[HEADMAX];
    uint32_t seed, u, i;
    const char *why = NULL;
    size_t done = 0; /* bytes taken from the connection */
    /* find our first header line; the server may have put lines of its own first */
    size_t look = 0;
    char *p = NULL;
    for (;;) {
        size_t have = c_avail(c);
        if (!pop3 && have > n)
            have = n;
        char *b = c->rb ? c_ptr(c) : NULL;
        if (have >= IDLEN + 2)
            p = memmem(b, have, LOADID, sizeof LOADID - 1);
        if (p && have - (size_t)(p - b) >= IDLEN + 2)
            break;
        p = NULL;
        if ((!pop3 && have >= n) || have >= 65536) {
            why = "no " LOADID "line in a message";
            break;
        }
        look = have + 1;
        if (c_need(c, look) < 0)
            return -1;
    }
    if (!why) {
        size_t pre = (size_t)(p - c_ptr(c));
        char *q = p + sizeof LOADID - 1;
        if (!hex8(q, &seed) || !hex8(q + 9, &u) || !hex8(q + 18, &i) || q[8] != '-' || q[17] != '-')
            why = "a broken " LOADID "line";
        else if (seed != (uint32_t)cfg.seed)
            why = "a message of another seed";
        else if (c->user >= 0 && (uint32_t)c->user != u)
            why = "a message of another user";
        else if (pre && (c_ptr(c))[pre - 1] != '\n')
            why = "junk before the message";
        if (!why) {
            size_t hl = msg_head(head, u, i);
            struct poolmsg *m = &pool[pool_of(i)];
            const char *want = pop3 ? m->dot : m->raw;
            size_t wn = pop3 ? m->ndot : m->n;
            if (idx)
                *idx = i;
            if (octets)
                *octets = pre + hl + m->n;
            if (!pop3 && n != pre + hl + wn)
                why = "a message of the wrong length";
            if (!why) {
                if (c_need(c, pre + hl) < 0)
                    return -1;
                if (!cfg.verify_off && memcmp(c_ptr(c) + pre, head, hl))
                    why = "a message with a changed header";
                c->rpos += pre + hl;
                done = pre + hl;
                size_t at = 0;
                while (at < wn) {
                    if (!c_avail(c) && c_fill(c) <= 0)
                        return -1;
                    size_t k = c_avail(c);
                    if (k > wn - at)
                        k = wn - at;
                    if (!cfg.verify_off && !why && memcmp(c_ptr(c), want + at, k))
                        why = "a message with a changed body";
                    c->rpos += k;
                    at += k;
                }
                done += wn;
                if (pop3) {
                    if (c_need(c, 3) < 0)
                        return -1;
                    if (memcmp(c_ptr(c), ".\r\n", 3)) {
                        why = "a message with text after its end";
                    } else {
                        c->rpos += 3;
                        pop3 = false;
                        n = done;
                    }
                }
                if (!why && seen && !seen_mark(seen, i))
                    why = "a message that came twice";
                if (!why)
                    w->verified++;
            }
        }
    }
    if (why)
        err(w, "%s (%s)", why, c->peer ? c->peer : "");
    /* skip what is left of it */
    if (pop3) {
        for (;;) {
            size_t l;
            char *s = c_line(c, &l);
            if (!s)
                return -1;
            if (l == 1 && s[0] == '.')
                return 0;
        }
    }
    while (done < n) {
        if (!c_avail(c) && c_fill(c) <= 0)
            return -1;
        size_t k = c_avail(c) < n - done ? c_avail(c) : n - done;
        c->rpos += k;
        done += k;
    }
    return 0;
}
