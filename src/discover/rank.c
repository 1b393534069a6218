#include "discover/rank.h"

#include <string.h>

bool rank_is_foreign(
    const struct name *name, struct slice host, enum discover_method method, bool signed_answer)
{
    if (slice_eq(name_base(host), name->base))
        return false;
    switch (method) {
    case DISCOVER_TABLE:
        return false;
    case DISCOVER_MX_TABLE:
    case DISCOVER_SRV:
        return !signed_answer;
    default:
        return true;
    }
}

int rank_compare(const struct discover_server *a, const struct discover_server *b)
{
    if (a->protocol != b->protocol)
        return a->protocol < b->protocol ? -1 : 1;
    if (a->settled != b->settled)
        return a->settled ? -1 : 1;
    if (a->method != b->method)
        return a->method < b->method ? -1 : 1;
    if (a->security != b->security)
        return a->security < b->security ? -1 : 1;
    return 0;
}

static void swap(struct dns_record *a, struct dns_record *b)
{
    struct dns_record kept = *a;
    *a = *b;
    *b = kept;
}

static void sort_by_priority(struct dns_record *records, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k && records[k].priority < records[k - 1].priority; k--)
            swap(&records[k], &records[k - 1]);
}

/* One of the first `count`, each as likely as its weight; those of weight 0 only by the chance that the RFC leaves them. */
static size_t pick(const struct dns_record *records, size_t count,
    uint32_t (*random_below)(void *arg, uint32_t n), void *arg)
{
    uint32_t sum = 0, running = 0;
    for (size_t i = 0; i < count; i++)
        sum += records[i].weight;
    uint32_t chosen = random_below(arg, sum + 1);
    for (size_t pass = 0; pass < 2; pass++) /* the RFC adds up the ones without weight first */
        for (size_t i = 0; i < count; i++) {
            if ((records[i].weight != 0) != (pass == 1))
                continue;
            running += records[i].weight;
            if (running >= chosen)
                return i;
        }
    return 0;
}

void rank_srv(struct dns_record *records, size_t count,
    uint32_t (*random_below)(void *arg, uint32_t n), void *arg)
{
    sort_by_priority(records, count);
    for (size_t at = 0; at < count; at++) {
        size_t equal = 1;
        while (at + equal < count && records[at + equal].priority == records[at].priority)
            equal++;
        swap(&records[at], &records[at + pick(records + at, equal, random_below, arg)]);
    }
}
