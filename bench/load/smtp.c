/* SMTP and LMTP from the client's side. */
#include "smtp.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int smtp_reply(struct smtp *m, char *text, size_t cap)
{
    for (;;) {
        size_t n;
        char *l = c_line(m->c, &n);
        if (!l)
            return -1;
        if (n < 3 || !isdigit((uint8_t)l[0]) || !isdigit((uint8_t)l[1]) || !isdigit((uint8_t)l[2]))
            return -1;
        if (n > 4) {
            if (!strncasecmp(l + 4, "CHUNKING", 8))
                m->chunking = true;
            else if (!strncasecmp(l + 4, "PIPELINING", 10))
                m->pipelining = true;
            else if (!strncasecmp(l + 4, "STARTTLS", 8))
                m->starttls = true;
        }
        if (text)
            snprintf(text, cap, "%.200s", l);
        if (n == 3 || l[3] == ' ')
            return (int)strtol(l, NULL, 10);
    }
}
static int smtp_expect(struct smtp *m, int want, const char *what)
{
    char t[256];
    int r = smtp_reply(m, t, sizeof t);
    if (r == want)
        return 0;
    if (r < 0)
        err(m->c->w, "%s: connection lost", what);
    else
        err(m->c->w, "%s: %s", what, t);
    return -1;
}

int smtp_open(struct smtp *m, struct conn *c, struct sess *s)
{
    const struct addr *a = &cfg.lmtp;
    bool tls = false;
    memset(m, 0, sizeof *m);
    m->c = c;
    m->lmtp = true;
    if (cfg.via && strcmp(cfg.via, "lmtp")) {
        m->lmtp = false;
        a = !strcmp(cfg.via, "submission") ? &cfg.submission : &cfg.smtp;
    }
    if (!a->set) {
        err(s->w, "no address given for %s", cfg.via ? cfg.via : "lmtp");
        return -1;
    }
    c->peer = m->lmtp ? "lmtp" : "smtp";
    if (conn_open(c, a, tls) < 0)
        return -1;
    if (smtp_expect(m, 220, "greeting") < 0)
        return -1;
    const char *hello = m->lmtp ? "LHLO" : "EHLO";
    c_putf(c, "%s load.example\r\n", hello);
    if (c_flush(c) < 0 || smtp_expect(m, 250, hello) < 0)
        return -1;
    if (cfg.starttls && m->starttls) {
        c_puts(c, "STARTTLS\r\n");
        if (c_flush(c) < 0 || smtp_expect(m, 220, "STARTTLS") < 0 || conn_tls(c, false) < 0)
            return -1;
        c_putf(c, "%s load.example\r\n", hello);
        if (c_flush(c) < 0 || smtp_expect(m, 250, hello) < 0)
            return -1;
    }
    if (cfg.auth || (cfg.via && !strcmp(cfg.via, "submission"))) {
        char u[256], in[600], out[1000];
        user_name(u, sizeof u, cfg.first + s->id % cfg.users);
        int n = snprintf(in, sizeof in, "%c%s%c%s", 0, u, 0, cfg.pass);
        EVP_EncodeBlock((unsigned char *)out, (unsigned char *)in, n);
        c_putf(c, "AUTH PLAIN %s\r\n", out);
        if (c_flush(c) < 0 || smtp_expect(m, 235, "AUTH") < 0)
            return -1;
    }
    return 0;
}

/* sends message (u, i) to recipients u .. u+nr-1; t_dot gets the time at which
 * the last byte was handed to the kernel */
int smtp_send(struct smtp *m, uint32_t u, uint32_t i, int nr, uint64_t *t_dot, size_t *size)
{
    struct conn *c = m->c;
    char head[HEADMAX], rc[256];
    size_t hl = msg_head(head, u, i);
    struct poolmsg *p = &pool[pool_of(i)];
    bool bdat = cfg.chunking && m->chunking;
    *size = hl + p->n;
    c_putf(c, "MAIL FROM:<%s>\r\n", cfg.from);
    if (!m->pipelining && (c_flush(c) < 0 || smtp_expect(m, 250, "MAIL") < 0))
        return -1;
    for (int k = 0; k < nr; k++) {
        rcpt_name(rc, sizeof rc,
            cfg.first + (int)((u - (uint32_t)cfg.first + (uint32_t)k) % (uint32_t)cfg.users));
        c_putf(c, "RCPT TO:<%s>\r\n", rc);
        if (!m->pipelining && (c_flush(c) < 0 || smtp_expect(m, 250, "RCPT") < 0))
            return -1;
    }
    if (bdat) {
        c_putf(c, "BDAT %zu LAST\r\n", hl + p->n);
        c_put(c, head, hl);
        c_putref(c, p->raw, p->n);
    } else {
        c_puts(c, "DATA\r\n");
    }
    if (c_flush(c) < 0)
        goto lost;
    if (m->pipelining) {
        if (smtp_expect(m, 250, "MAIL") < 0)
            return -1;
        for (int k = 0; k < nr; k++)
            if (smtp_expect(m, 250, "RCPT") < 0)
                return -1;
    }
    if (!bdat) {
        if (smtp_expect(m, 354, "DATA") < 0)
            return -1;
        c_put(c, head, hl);
        c_putref(c, p->dot, p->ndot);
        c_puts(c, ".\r\n");
        if (c_flush(c) < 0)
            goto lost;
    }
    if (t_dot)
        *t_dot = now_ns();
    for (int k = 0; k < (m->lmtp ? nr : 1); k++)
        if (smtp_expect(m, 250, "end of data") < 0)
            return -1;
    return 0;
lost:
    err(c->w, "connection lost while sending");
    return -1;
}
