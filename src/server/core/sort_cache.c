/* Two locks: the cache's for the map, the list and the counts, held for moments; each table's own while it is taken. The first is never waited for
 * with the second held but in sort_cache_give, and the second never with the first.
 *
 *     absent --take--> taken (takers > 0, not in the list) --give, last taker--> idle (in the list) --take--> taken
 *                                                                                  └──over a limit--> absent */
#include "server/core/sort_cache.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct sort_cached {
    pthread_mutex_t lock;
    struct sort_table *table; /* owned; under lock */
    /* under the cache's lock */
    char *key; /* owned */
    size_t key_len;
    size_t takers, bytes;
    struct sort_cached *prev, *next; /* in the list while nobody has it */
};

struct sort_cache {
    pthread_mutex_t lock;
    size_t bytes_max, tables_max;
    struct map tables;                /* key -> struct sort_cached */
    struct sort_cached *first, *last; /* idle ones; first was not used for longest */
    size_t bytes;
};

struct sort_cache *sort_cache_new(size_t bytes_max, size_t tables_max)
{
    struct sort_cache *cache = mem_zalloc(1, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    map_init(&cache->tables);
    cache->bytes_max = bytes_max;
    cache->tables_max = tables_max;
    return cache;
}

static void list_remove(struct sort_cache *cache, struct sort_cached *cached)
{
    *(cached->prev ? &cached->prev->next : &cache->first) = cached->next;
    *(cached->next ? &cached->next->prev : &cache->last) = cached->prev;
    cached->prev = cached->next = NULL;
}

static void list_append(struct sort_cache *cache, struct sort_cached *cached)
{
    cached->prev = cache->last;
    *(cache->last ? &cache->last->next : &cache->first) = cached;
    cache->last = cached;
}

/* Out of the map; it is in no list. */
static void drop(struct sort_cache *cache, struct sort_cached *cached)
{
    assert(cached->takers == 0);
    void *was = map_remove(&cache->tables, slice_from(cached->key, cached->key_len));
    assert(was == cached);
    cache->bytes -= cached->bytes;
    sort_table_free(cached->table);
    pthread_mutex_destroy(&cached->lock);
    free(cached->key);
    free(cached);
}

static void drop_first(struct sort_cache *cache)
{
    struct sort_cached *cached = cache->first;
    list_remove(cache, cached);
    drop(cache, cached);
}

void sort_cache_free(struct sort_cache *cache)
{
    if (!cache)
        return;
    while (cache->first)
        drop_first(cache);
    assert(cache->tables.count == 0);
    map_done(&cache->tables);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct sort_cached *cached_new(struct slice key)
{
    struct sort_cached *cached = mem_zalloc(1, sizeof *cached);
    pthread_mutex_init(&cached->lock, NULL);
    cached->table = sort_table_new(SORT_TABLE_BYTES_MAX);
    cached->key = mem_strndup(key.ptr, key.len);
    cached->key_len = key.len;
    return cached;
}

struct sort_cached *sort_cache_take(
    struct sort_cache *cache, const struct sort_cache_key *key, struct sort_table **out_table)
{
    struct buf name;
    buf_init(&name, 0);
    buf_addf(&name, "%lld %u ", (long long)key->mailbox, (unsigned)key->uidvalidity);
    buf_add(&name, key->account);
    pthread_mutex_lock(&cache->lock);
    struct sort_cached *cached = map_get(&cache->tables, buf_slice(&name));
    if (!cached) {
        cached = cached_new(buf_slice(&name));
        (void)map_put(&cache->tables, buf_slice(&name), cached);
    } else if (!cached->takers) {
        list_remove(cache, cached);
    }
    cached->takers++;
    pthread_mutex_unlock(&cache->lock);
    buf_done(&name);
    pthread_mutex_lock(&cached->lock);
    *out_table = cached->table;
    return cached;
}

void sort_cache_give(struct sort_cache *cache, struct sort_cached *cached)
{
    size_t bytes = sort_table_bytes(cached->table);
    pthread_mutex_lock(&cache->lock);
    cache->bytes = cache->bytes - cached->bytes + bytes;
    cached->bytes = bytes;
    pthread_mutex_unlock(&cached->lock);
    cached->takers--;
    if (!cached->takers && bytes > cache->bytes_max) /* it goes alone, not all others for it */
        drop(cache, cached);
    else if (!cached->takers)
        list_append(cache, cached);
    while (cache->first &&
           (cache->bytes > cache->bytes_max || cache->tables.count > cache->tables_max))
        drop_first(cache);
    pthread_mutex_unlock(&cache->lock);
}

struct sort_cache_stats sort_cache_stats(struct sort_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    struct sort_cache_stats stats = { .tables = cache->tables.count, .bytes = cache->bytes };
    pthread_mutex_unlock(&cache->lock);
    return stats;
}
