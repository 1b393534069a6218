/* News of a folder: in whatever order, and however often, a server tells of them. */
#include "sync/sync_int.h"

#include "base/test.h"

static void check(struct sync_folder *folder, const uint32_t *uids, size_t count)
{
    sync_order_news(folder);
    assert_int_equal(folder->new_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(folder->news[i].uid, uids[i]);
        assert_ptr_equal(sync_new_of_uid(folder, uids[i]), &folder->news[i]);
    }
}

static void test_orders(void **state)
{
    static const struct {
        const char *name;
        uint32_t told[8];
        size_t count;
    } rows[] = {
        { "rising", { 1, 2, 3, 4, 9 }, 5 },
        { "falling", { 9, 4, 3, 2, 1 }, 5 },
        { "mixed", { 3, 9, 1, 2, 4 }, 5 },
        { "each twice, falling", { 9, 9, 4, 4, 3, 2, 2, 1 }, 8 },
        { "one again, after others", { 1, 2, 3, 4, 9, 2 }, 6 },
        { "again, out of order", { 4, 1, 9, 4, 2, 3, 1, 9 }, 8 },
    };
    static const uint32_t want[] = { 1, 2, 3, 4, 9 };
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct sync_folder folder = { .new_count = 0 };
        arena_init(&folder.arena, 1 << 20);
        for (size_t i = 0; i < rows[r].count; i++)
            assert_non_null(sync_add_new(&folder, rows[r].told[i], (uint32_t)i));
        check(&folder, want, 5);
        assert_null(sync_new_of_uid(&folder, 5));
        for (size_t i = 0; i < rows[r].count; i++) { /* what was said last counts */
            size_t last = i;
            for (size_t k = i; k < rows[r].count; k++)
                last = rows[r].told[k] == rows[r].told[i] ? k : last;
            assert_int_equal(sync_new_of_uid(&folder, rows[r].told[i])->flags, last);
        }
        arena_done(&folder.arena);
    }
}

/* What is known of a message stays when it is told of again, before and after the news were put in order. */
static void test_told_again(void **state)
{
    struct sync_folder folder = { .new_count = 0 };
    (void)state;
    arena_init(&folder.arena, 1 << 20);
    for (uint32_t uid = 8; uid > 0; uid--)
        assert_non_null(sync_add_new(&folder, uid, 0));
    struct sync_new *new = sync_new_of_uid(&folder, 3);
    new->has_facts = new->settled = true;
    new->facts.bytes = 77;
    new->received_s = 5;
    assert_non_null(sync_add_new(&folder, 20, 0));
    assert_non_null(sync_add_new(&folder, 15, 0)); /* out of order from here on */
    assert_non_null(sync_add_new(&folder, 3, SYNC_SEEN));
    check(&folder, (const uint32_t[]){ 1, 2, 3, 4, 5, 6, 7, 8, 15, 20 }, 10);
    new = sync_new_of_uid(&folder, 3);
    assert_true(new->has_facts &&new->settled &&new->facts.bytes == 77 && new->received_s == 5);
    assert_int_equal(new->flags, SYNC_SEEN);
    sync_forget_news(&folder);
    assert_null(sync_new_of_uid(&folder, 3));
    arena_done(&folder.arena);
}

TEST_MAIN(cmocka_unit_test(test_orders), cmocka_unit_test(test_told_again))
