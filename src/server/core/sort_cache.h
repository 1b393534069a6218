/* The tables of SORT and THREAD (message/sort.h) of the mailboxes that were asked for lately, for all sessions together. Derived (S-7): whatever is
 * thrown out is made anew from summaries.
 *
 * Bounded by bytes and by tables; the one that was not used for longest goes first. A table that is taken belongs to its taker alone, others of the same
 * mailbox wait: they would need the same reads. */
#ifndef SERVER_CORE_SORT_CACHE_H
#define SERVER_CORE_SORT_CACHE_H

#include "base/slice.h"
#include "message/sort.h"

struct sort_cache;
struct sort_cache *sort_cache_new(size_t bytes_max, size_t tables_max);
/* No table is taken any more. NULL is allowed. */
void sort_cache_free(struct sort_cache *cache);

struct sort_cache_key {
    struct slice account; /* id */
    int64_t mailbox;
    uint32_t uidvalidity; /* with it a uid names one message for ever (S-5) */
};
struct sort_cached; /* a table that is taken */

/* The mailbox's table, an empty one when there was none. Waits for whoever has it. Give it back before anything that waits for a peer. */
struct sort_cached *sort_cache_take(
    struct sort_cache *cache, const struct sort_cache_key *key, struct sort_table **out_table);
void sort_cache_give(struct sort_cache *cache, struct sort_cached *cached);

struct sort_cache_stats {
    size_t tables, bytes;
};
struct sort_cache_stats sort_cache_stats(struct sort_cache *cache);

#endif
