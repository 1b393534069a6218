/* One libunbound context and one thread that takes its answers; whoever asks sleeps on a condition until the answer or the deadline.
 *
 *   asked → answered: on_answer        the asker frees
 *   asked → given up: question_finish  cancelled in libunbound, and freed here; when its answer is already on the way, on_answer frees */
#include "net/dns.h"

#include "base/clock.h"
#include "net/reach.h"
#include "net/unbound_calls.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TYPE_DNSKEY   48
#define CLASS_IN      1
#define RCODE_NO_NAME 3
#define PROBE_MS      1000 /* longer, and checking signatures would be too slow to be of use */
#define LATER_MS      300  /* AAAA may be that much later than A */
#define RECORDS_MAX   512u /* of one answer; DNS could hold some 2000 in its 64 kB */

/* The root's keys: from the system, whose packages follow its changes, else those of 2017 and 2024 (IANA's root-anchors). */
static const char *const anchor_files[] = { "/usr/share/dns/root.key",
    "/var/lib/unbound/root.key" };
static const char *const anchors[] = {
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

struct dns {
    const struct unbound_calls *ub;
    struct ub_ctx *unbound; /* owned */
    int stop;               /* eventfd; readable: the thread ends */
    pthread_t thread;
    pthread_mutex_t lock; /* of all questions */
    pthread_cond_t answered;
};

struct question {
    struct dns *dns; /* borrowed */
    int id;          /* libunbound's */
    bool done, given_up;
    struct ub_result *result; /* owned; NULL: libunbound failed */
};

/* ---- the thread ---- */

static void question_free(struct question *question)
{
    question->dns->ub->resolve_free(question->result);
    free(question);
}

static void on_answer(void *arg, int failed, struct ub_result *result)
{
    struct question *question = arg;
    struct dns *dns = question->dns;
    (void)pthread_mutex_lock(&dns->lock);
    question->result = failed ? NULL : result;
    question->done = true;
    bool mine = question->given_up;
    (void)pthread_cond_broadcast(&dns->answered);
    (void)pthread_mutex_unlock(&dns->lock);
    if (mine)
        question_free(question);
}

static void *take_answers(void *arg)
{
    struct dns *dns = arg;
    struct pollfd wait[2] = { { .fd = dns->ub->fd(dns->unbound), .events = POLLIN },
        { .fd = dns->stop, .events = POLLIN } };
    for (;;) {
        if (poll(wait, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (wait[1].revents)
            return NULL;
        if (wait[0].revents)
            (void)dns->ub->process(dns->unbound);
    }
}

/* ---- life ---- */

bool dns_is_resolver(const char *text)
{
    char address[64];
    struct slice port = slice_of(text), head = SLICE_EMPTY;
    uint64_t number = 53;
    if (!slice_cut(&port, '@', &head) || head.len >= sizeof address)
        return false;
    memcpy(address, head.ptr, head.len);
    address[head.len] = '\0';
    if (!reach_is_address(address))
        return false;
    return !strchr(text, '@') || (slice_to_u64(port, 65535, &number) == ERR_OK && number);
}

static bool use_anchors(const struct unbound_calls *ub, struct ub_ctx *unbound)
{
    for (size_t i = 0; i < sizeof anchor_files / sizeof anchor_files[0]; i++)
        if (access(anchor_files[i], R_OK) == 0)
            return ub->ctx_add_ta_file(unbound, anchor_files[i]) == 0;
    for (size_t i = 0; i < sizeof anchors / sizeof anchors[0]; i++)
        if (ub->ctx_add_ta(unbound, anchors[i]) != 0)
            return false;
    return true;
}

static struct ub_ctx *new_context(
    const struct unbound_calls *ub, const char *resolver, bool validating)
{
    struct ub_ctx *unbound = ub->ctx_create();
    if (!unbound)
        return NULL;
    (void)ub->ctx_debugout(unbound, NULL);
    (void)ub->ctx_debuglevel(unbound, 0);
    /* systemd's and others' resolvers listen on loopback */
    bool ok = ub->ctx_set_option(unbound, "do-not-query-localhost:", "no") == 0;
    /* it would tell the resolver which keys we have (RFC 8145), which nobody asked us to */
    ok = ok && ub->ctx_set_option(unbound, "trust-anchor-signaling:", "no") == 0;
    ok = ok && ub->ctx_async(unbound, 1) == 0;
    if (ok && resolver)
        ok = ub->ctx_set_fwd(unbound, resolver) == 0;
    else if (ok &&
             ub->ctx_resolvconf(unbound, NULL) != 0) /* resolv.conf(5): without one, this machine */
        ok = ub->ctx_set_fwd(unbound, "127.0.0.1") == 0;
    (void)ub->ctx_hosts(
        unbound, NULL); /* names of the administrator's own; a broken line is no reason to stop */
    if (ok && validating)
        ok = use_anchors(ub, unbound);
    if (ok)
        return unbound;
    ub->ctx_delete(unbound);
    return NULL;
}

void dns_close(struct dns *dns)
{
    if (!dns)
        return;
    uint64_t one = 1;
    ssize_t told = write(dns->stop, &one, sizeof one);
    assert(told == sizeof one);
    (void)pthread_join(dns->thread, NULL);
    dns->ub->ctx_delete(
        dns->unbound); /* ends its own thread, and with it what is still being asked */
    close(dns->stop);
    (void)pthread_cond_destroy(&dns->answered);
    (void)pthread_mutex_destroy(&dns->lock);
    free(dns);
}

/* ---- a question ---- */

static struct question *question_start(struct dns *dns, const char *name, int type)
{
    struct question *question = mem_zalloc(1, sizeof *question);
    question->dns = dns;
    if (dns->ub->resolve_async(
            dns->unbound, name, type, CLASS_IN, question, on_answer, &question->id) == 0)
        return question;
    free(question);
    return NULL;
}

static bool question_wait(struct question *question, int64_t until_ms)
{
    struct dns *dns = question->dns;
    struct timespec until = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };
    int waited = 0;
    (void)pthread_mutex_lock(&dns->lock);
    while (!question->done && waited == 0)
        waited = pthread_cond_timedwait(&dns->answered, &dns->lock, &until);
    bool done = question->done;
    (void)pthread_mutex_unlock(&dns->lock);
    return done;
}

static void question_finish(struct question *question)
{
    if (!question)
        return;
    struct dns *dns = question->dns;
    (void)pthread_mutex_lock(&dns->lock);
    bool done = question->done;
    question->given_up = !done;
    int id = question->id;
    (void)pthread_mutex_unlock(&dns->lock);
    /* When it can be cancelled its answer never comes; else it is on its way, and on_answer frees. */
    if (done || dns->ub->cancel(dns->unbound, id) == 0)
        question_free(question);
}

static enum dns_status status_of(const struct ub_result *result)
{
    if (!result)
        return DNS_FAILED;
    if (result->bogus)
        return DNS_FORGED;
    if (result->havedata)
        return DNS_FOUND;
    if (result->nxdomain || result->rcode == RCODE_NO_NAME)
        return DNS_NO_NAME;
    return result->rcode == 0 ? DNS_NO_RECORD : DNS_FAILED;
}

/* Appends what the question (NULL: it could not even be asked) gave to the answer. */
static enum err collect(struct question *question, bool done, enum dns_type type,
    struct arena *arena, struct dns_answer *answer)
{
    struct ub_result *result = question && done ? question->result : NULL;
    answer->status = question && !done ? DNS_LATE : status_of(result);
    answer->secure = result && result->secure && !result->bogus;
    if (answer->status != DNS_FOUND)
        return ERR_OK;
    size_t there = 0;
    while (there < RECORDS_MAX && result->data[there])
        there++;
    answer->records = arena_zalloc(arena, there + 1, sizeof *answer->records);
    if (!answer->records)
        return ERR_LIMIT;
    for (size_t i = 0; i < there; i++) {
        struct slice rdata = slice_from(result->data[i], (size_t)result->len[i]);
        enum err e = dns_read_record(type, rdata, arena, &answer->records[answer->count]);
        if (e == ERR_LIMIT)
            return e;
        answer->count += e == ERR_OK;
        answer->broken += e != ERR_OK;
    }
    if (answer->count == 0)
        answer->status = DNS_NO_RECORD;
    return ERR_OK;
}

enum err dns_lookup(struct dns *dns, const char *name, enum dns_type type, int64_t until_ms,
    struct arena *arena, struct dns_answer *out_answer)
{
    struct dns_answer answer = { .status = DNS_FAILED };
    struct question *question = question_start(dns, name, (int)type);
    bool done = question && question_wait(question, until_ms);
    enum err e = collect(question, done, type, arena, &answer);
    question_finish(question);
    if (e == ERR_OK)
        *out_answer = answer;
    return e;
}

static enum err join_answers(const struct dns_answer *v6, const struct dns_answer *v4,
    struct arena *arena, struct dns_answer *out)
{
    size_t count = v6->count + v4->count;
    struct dns_record *records = arena_zalloc(arena, count ? count : 1, sizeof *records);
    if (!records)
        return ERR_LIMIT;
    if (v6->count)
        memcpy(records, v6->records, v6->count * sizeof *records);
    if (v4->count)
        memcpy(records + v6->count, v4->records, v4->count * sizeof *records);
    enum dns_status status = v4->status == DNS_NO_RECORD ? v6->status : v4->status;
    if (v4->status == DNS_FORGED || v6->status == DNS_FORGED)
        status = DNS_FORGED;
    *out = (struct dns_answer){ .status = count && status != DNS_FORGED ? DNS_FOUND : status,
        .secure =
            (v4->secure || !v4->count) && (v6->secure || !v6->count) && (v4->secure || v6->secure),
        .records = records,
        .count = status == DNS_FORGED ? 0 : count,
        .broken = v4->broken + v6->broken };
    return ERR_OK;
}

enum err dns_addresses(struct dns *dns, const char *host, int64_t until_ms, struct arena *arena,
    struct dns_answer *out_answer)
{
    struct dns_answer v4 = { .status = DNS_FAILED }, v6 = { .status = DNS_FAILED };
    struct question *ask4 = question_start(dns, host, DNS_A);
    struct question *ask6 = question_start(dns, host, DNS_AAAA);
    bool done4 = ask4 && question_wait(ask4, until_ms);
    enum err e = collect(ask4, done4, DNS_A, arena, &v4);
    if (v4.count) { /* reachable already: not worth a long wait */
        int64_t soon_ms = clock_mono_ms() + LATER_MS;
        until_ms = soon_ms < until_ms ? soon_ms : until_ms;
    }
    bool done6 = ask6 && question_wait(ask6, until_ms);
    if (e == ERR_OK)
        e = collect(ask6, done6, DNS_AAAA, arena, &v6);
    question_finish(ask4);
    question_finish(ask6);
    return e == ERR_OK ? join_answers(&v6, &v4, arena, out_answer) : e;
}

/* ---- opening ---- */

/* The first question makes libunbound build all it has, which takes a stack larger than those that threads of ours have: so it is asked here, and
 * is one that needs no network. */
static void first_question(struct dns *dns)
{
    struct question *question = question_start(dns, "localhost", DNS_A);
    if (question)
        (void)question_wait(question, clock_mono_ms() + PROBE_MS);
    question_finish(question);
}

static enum err start(const char *resolver, bool validating, struct dns **out_dns)
{
    struct dns *dns = mem_zalloc(1, sizeof *dns);
    pthread_condattr_t attr;
    dns->ub = unbound_calls();
    dns->unbound = new_context(dns->ub, resolver, validating);
    dns->stop = eventfd(0, EFD_CLOEXEC);
    (void)pthread_mutex_init(&dns->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&dns->answered, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (dns->unbound && dns->stop >= 0 &&
        pthread_create(&dns->thread, NULL, take_answers, dns) == 0) {
        first_question(dns);
        *out_dns = dns;
        return ERR_OK;
    }
    if (dns->stop >= 0)
        close(dns->stop);
    dns->ub->ctx_delete(dns->unbound);
    free(dns);
    return ERR_IO;
}

/* The root's keys come with signatures that fit: this resolver passes on what checking needs. Many do not, and then a
 * validating context would call everything forged. */
static bool can_validate(struct dns *dns)
{
    struct question *question = question_start(dns, ".", TYPE_DNSKEY);
    bool done = question && question_wait(question, clock_mono_ms() + PROBE_MS);
    bool secure = done && question->result && question->result->secure;
    question_finish(question);
    return secure;
}

enum err dns_open(const char *resolver, struct dns **out_dns, struct err_note *note)
{
    struct dns *dns = NULL;
    if (resolver && !dns_is_resolver(resolver))
        return err_noted(note, ERR_SYNTAX, "%s is no address of a resolver", resolver);
    if (!unbound_calls())
        return err_noted(note, ERR_NOT_FOUND, "%s is not on this machine", UNBOUND_LIBRARY);
    if (start(resolver, true, &dns) == ERR_OK && !can_validate(dns)) {
        dns_close(dns);
        dns = NULL;
    }
    if (!dns && start(resolver, false, &dns) != ERR_OK)
        return err_noted(note, ERR_IO, "the resolver cannot start");
    *out_dns = dns;
    return ERR_OK;
}
