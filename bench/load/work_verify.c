/* What was acknowledged is read back: each message that --acked FILE lists is in the mailbox of its user, once, byte for
 * byte. More than that may be there (a sender that saw no answer), and is told. */
#include "imap.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct seenmap *wanted; /* by user */
static uint32_t nwanted;
static atomic_uint next_user;
static atomic_ullong listed, found, lost, more;

void verify_prepare(void)
{
    unsigned user, i;
    FILE *f = cfg.acked ? fopen(cfg.acked, "r") : NULL;
    if (!f)
        die("verify: --acked %s: %s", cfg.acked ? cfg.acked : "is missing", strerror(errno));
    while (fscanf(f, "%u %u", &user, &i) == 2) {
        if (user >= nwanted) {
            uint32_t count = user * 2 + 64;
            wanted = xrealloc(wanted, sizeof *wanted * count);
            memset(wanted + nwanted, 0, sizeof *wanted * (count - nwanted));
            nwanted = count;
        }
        if (!seen_mark(&wanted[user], i))
            die("%s: message %u of user %u is listed twice", cfg.acked, i, user);
        atomic_fetch_add(&listed, 1);
    }
    fclose(f);
}

static bool seen_has(const struct seenmap *s, uint32_t i)
{
    return i < s->cap && (s->bits[i / 8] >> (i % 8) & 1);
}

static void verify_user(struct sess *s, uint32_t user)
{
    struct worker *w = s->w;
    struct imap m;
    struct seenmap seen = { 0 };
    const struct seenmap *want = &wanted[user];
    uint64_t t0 = now_ns();
    if (imap_open(&m, s, (int)user, -1) < 0)
        return;
    m.check_bodies = true;
    m.seen = &seen;
    if (!imap_cmd(&m, "SELECT \"%s\"", cfg.mailbox) && m.exists)
        imap_cmd(&m, "UID FETCH 1:* (UID BODY.PEEK[])");
    uint64_t here = 0;
    for (uint32_t i = 0; i < want->cap; i++)
        here += seen_has(want, i) && seen_has(&seen, i);
    if (here != want->n)
        err(w, "user %u: %llu of %llu acknowledged messages are lost", user,
            (unsigned long long)(want->n - here), (unsigned long long)want->n);
    atomic_fetch_add(&found, here);
    atomic_fetch_add(&lost, want->n - here);
    atomic_fetch_add(&more, seen.n - here);
    op_done(w, 0, t0, m.litbytes);
    imap_close(&m);
    seen_free(&seen);
}

void verify_session(void *arg)
{
    struct sess *s = arg;
    uint32_t user;
    co_barrier(s->w, 1);
    while ((user = atomic_fetch_add(&next_user, 1)) < nwanted)
        if (wanted[user].n)
            verify_user(s, user);
}

void verify_finish(FILE *out)
{
    fprintf(out, ",\"acked\":%llu,\"found\":%llu,\"lost\":%llu,\"more\":%llu",
        (unsigned long long)atomic_load(&listed), (unsigned long long)atomic_load(&found),
        (unsigned long long)atomic_load(&lost), (unsigned long long)atomic_load(&more));
}
