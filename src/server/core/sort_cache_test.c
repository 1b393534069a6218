#include "server/core/sort_cache.h"

#include "base/test.h"

#include <pthread.h>

static struct sort_table *take(struct sort_cache *cache, const char *account, int64_t mailbox,
    uint32_t uidvalidity, struct sort_cached **out_cached)
{
    struct sort_cache_key key = { slice_of(account), mailbox, uidvalidity };
    struct sort_table *table;
    *out_cached = sort_cache_take(cache, &key, &table);
    return table;
}

/* Messages up to and with uid, so that the table can be known again by how many it holds. */
static void fill(struct sort_table *table, uint32_t uid)
{
    for (uint32_t i = 1; i <= uid; i++) {
        struct sort_message message = { .uid = i, .received_s = i };
        assert_ok(sort_table_add(table, SORT_FACT_ARRIVAL, &message));
    }
    sort_table_filled(table, SORT_FACT_ARRIVAL, uid + 1);
}

static void put(struct sort_cache *cache, const char *account, int64_t mailbox, uint32_t count)
{
    struct sort_cached *cached;
    fill(take(cache, account, mailbox, 1, &cached), count);
    sort_cache_give(cache, cached);
}

/* How many it holds; 0 when it is not there, and then there is an empty one. */
static uint32_t look(
    struct sort_cache *cache, const char *account, int64_t mailbox, uint32_t uidvalidity)
{
    struct sort_cached *cached;
    struct sort_table *table = take(cache, account, mailbox, uidvalidity, &cached);
    uint32_t count = sort_table_lacks_from(table, SORT_FACT_ARRIVAL) - 1;
    sort_cache_give(cache, cached);
    return count;
}

static void keys(void **state)
{
    (void)state;
    struct sort_cache *cache = sort_cache_new(1u << 20, 100);
    put(cache, "a", 1, 5);
    put(cache, "a", 2, 6);
    put(cache, "b", 1, 7);
    assert_int_equal(look(cache, "a", 1, 1), 5);
    assert_int_equal(look(cache, "a", 2, 1), 6);
    assert_int_equal(look(cache, "b", 1, 1), 7);
    assert_int_equal(look(cache, "a", 1, 2), 0); /* another UIDVALIDITY */
    assert_int_equal(look(cache, "a", 11, 1), 0);
    assert_int_equal(sort_cache_stats(cache).tables, 5);
    sort_cache_free(cache);
    sort_cache_free(NULL);
}

static void limit_tables(void **state)
{
    (void)state;
    struct sort_cache *cache = sort_cache_new(1u << 20, 3);
    put(cache, "a", 1, 1);
    put(cache, "a", 2, 2);
    put(cache, "a", 3, 3);
    assert_int_equal(sort_cache_stats(cache).tables, 3);
    assert_int_equal(look(cache, "a", 1, 1), 1); /* used again: now 2 is the oldest */
    put(cache, "a", 4, 4);
    assert_int_equal(sort_cache_stats(cache).tables, 3);
    assert_int_equal(look(cache, "a", 1, 1), 1);
    assert_int_equal(look(cache, "a", 3, 1), 3);
    assert_int_equal(look(cache, "a", 4, 1), 4);
    assert_int_equal(look(cache, "a", 2, 1), 0);
    sort_cache_free(cache);
}

static void limit_bytes(void **state)
{
    (void)state;
    struct sort_cache *cache = sort_cache_new(100000, 100);
    put(cache, "a", 1, 1000);
    size_t one = sort_cache_stats(cache).bytes;
    assert_true(one > 1000 * sizeof(int64_t) && one < 100000);
    for (uint32_t i = 2; i < 20; i++) {
        put(cache, "a", i, 1000);
        assert_true(sort_cache_stats(cache).bytes <= 100000);
    }
    assert_int_equal(sort_cache_stats(cache).tables, 100000 / one);
    assert_int_equal(look(cache, "a", 19, 1), 1000);
    struct sort_cache_stats before = sort_cache_stats(cache);
    put(cache, "b", 1, 100000); /* larger than all that may be kept: goes at once */
    assert_int_equal(sort_cache_stats(cache).tables, before.tables);
    assert_int_equal(sort_cache_stats(cache).bytes, before.bytes);
    sort_cache_free(cache);
}

/* One that is taken stays, whatever the limits say. */
static void taken(void **state)
{
    (void)state;
    struct sort_cache *cache = sort_cache_new(1000000, 1);
    struct sort_cached *first, *second;
    fill(take(cache, "a", 1, 1, &first), 10);
    fill(take(cache, "a", 2, 1, &second), 20);
    assert_int_equal(sort_cache_stats(cache).tables, 2);
    sort_cache_give(cache, first);
    assert_int_equal(sort_cache_stats(cache).tables, 1);
    sort_cache_give(cache, second);
    assert_int_equal(look(cache, "a", 2, 1), 20);
    sort_cache_free(cache);
}

static void *worker(void *cache_arg)
{
    struct sort_cache *cache = cache_arg;
    for (uint32_t i = 0; i < 2000; i++) {
        struct sort_cached *cached;
        struct sort_table *table = take(cache, "a", i % 5, 1, &cached);
        uint32_t from = sort_table_lacks_from(table, SORT_FACT_ARRIVAL);
        struct sort_message message = { .uid = from };
        assert_ok(sort_table_add(table, SORT_FACT_ARRIVAL, &message));
        sort_table_filled(table, SORT_FACT_ARRIVAL, from + 1);
        sort_cache_give(cache, cached);
    }
    return NULL;
}

static void from_threads(void **state)
{
    (void)state;
    struct sort_cache *cache = sort_cache_new(1u << 20, 3);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, worker, cache), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(sort_cache_stats(cache).tables <= 3);
    sort_cache_free(cache);
}

TEST_MAIN(cmocka_unit_test(keys), cmocka_unit_test(limit_tables), cmocka_unit_test(limit_bytes),
    cmocka_unit_test(taken), cmocka_unit_test(from_threads))
