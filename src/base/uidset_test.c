#include "base/test.h"

#include "base/buf.h"
#include "base/uidset.h"

#include <stdlib.h>
#include <string.h>

#define SPACE 400u /* the random tests use 1 .. SPACE and its mirror at the top of the range */

static void assert_text(const char *row, const struct uidset *set, const char *wanted)
{
    struct buf buf;
    buf_init(&buf, 0);
    uidset_write(set, &buf);
    assert_slice(row, buf_slice(&buf), slice_of(wanted));
    buf_done(&buf);
}

/* What must always hold: ascending, never adjacent or overlapping, never 0. */
static void assert_shape(const struct uidset *set)
{
    for (size_t i = 0; i < set->count; i++) {
        assert_true(set->runs[i].first > 0);
        assert_true(set->runs[i].first <= set->runs[i].last);
        if (i > 0)
            assert_true(set->runs[i].first - 1 > set->runs[i - 1].last);
    }
}

static void assert_model(struct uidset *set, const bool *model, uint32_t base)
{
    assert_shape(set);
    uint32_t count = 0;
    for (uint32_t n = 1; n <= SPACE; n++) {
        assert_int_equal(uidset_has(set, base + n), model[n]);
        if (model[n]) {
            count++;
            assert_int_equal(uidset_at(set, count), base + n);
            assert_int_equal(uidset_rank(set, base + n), count);
        } else {
            assert_int_equal(uidset_rank(set, base + n), 0);
        }
    }
    assert_int_equal(uidset_members(set), count);
    assert_int_equal(uidset_at(set, count + 1), 0);
    assert_int_equal(uidset_at(set, 0), 0);
    assert_int_equal(uidset_empty(set), count == 0);
    assert_int_equal(uidset_min(set), uidset_at(set, count ? 1 : 0));
    assert_int_equal(uidset_max(set), uidset_at(set, count));
}

static void random_set(struct uidset *set, bool *model, uint32_t base)
{
    memset(model, 0, SPACE + 1);
    uidset_clear(set);
    for (int i = rand() % 40; i > 0; i--) {
        uint32_t first = (uint32_t)rand() % SPACE + 1;
        uint32_t last = first + (uint32_t)rand() % 12;
        last = last > SPACE ? SPACE : last;
        uidset_add_run(set, base + first, base + last);
        for (uint32_t n = first; n <= last; n++)
            model[n] = true;
    }
}

static void agrees_with_a_bitmap(void **state)
{
    (void)state;
    srand(7);
    static const uint32_t bases[] = { 0, UINT32_MAX - SPACE };
    for (size_t b = 0; b < 2; b++) {
        uint32_t base = bases[b];
        bool model[SPACE + 1] = { false };
        struct uidset set;
        uidset_init(&set);
        for (int step = 0; step < 4000; step++) {
            uint32_t n = (uint32_t)rand() % SPACE + 1;
            if (rand() % 5 < 2) {
                uidset_remove(&set, base + n);
                model[n] = false;
            } else if (rand() % 2) {
                uidset_add(&set, base + n);
                model[n] = true;
            } else {
                uint32_t last = n + (uint32_t)rand() % 20 > SPACE ? SPACE : n;
                uidset_add_run(&set, base + n, base + last);
                for (uint32_t i = n; i <= last; i++)
                    model[i] = true;
            }
            if (step % 20 == 0)
                assert_model(&set, model, base);
        }
        uidset_done(&set);
    }
}

static void set_operations(void **state)
{
    (void)state;
    srand(8);
    bool ma[SPACE + 1], mb[SPACE + 1], m[SPACE + 1] = { false };
    struct uidset a, b, c;
    uidset_init(&a);
    uidset_init(&b);
    uidset_init(&c);
    for (int round = 0; round < 300; round++) {
        uint32_t base = round % 2 ? UINT32_MAX - SPACE : 0;
        random_set(&a, ma, base);
        random_set(&b, mb, base);
        uidset_copy(&c, &a);
        uidset_union(&c, &b);
        for (size_t i = 1; i <= SPACE; i++)
            m[i] = ma[i] || mb[i];
        assert_model(&c, m, base);

        uidset_copy(&c, &a);
        uidset_intersect(&c, &b);
        for (size_t i = 1; i <= SPACE; i++)
            m[i] = ma[i] && mb[i];
        assert_model(&c, m, base);

        uidset_copy(&c, &a);
        uidset_subtract(&c, &b);
        for (size_t i = 1; i <= SPACE; i++)
            m[i] = ma[i] && !mb[i];
        assert_model(&c, m, base);

        assert_model(&a, ma, base); /* untouched */
        uidset_swap(&a, &b);
        assert_model(&a, mb, base);
        assert_model(&b, ma, base);
    }
    uidset_done(&a);
    uidset_done(&b);
    uidset_done(&c);
}

static void texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err err;
        const char *again;
    } rows[] = {
        { "1", ERR_OK, "1" }, { "1:3,7", ERR_OK, "1:3,7" }, { "7,1:3", ERR_OK, "1:3,7" },
        { "3:1", ERR_OK, "1:3" }, /* RFC 3501 §9: the order of the two does not matter */
        { "1,2,3", ERR_OK, "1:3" }, { "4294967295", ERR_OK, "4294967295" },
        { "1:4294967295", ERR_OK, "1:4294967295" },
        { "4294967294:4294967295,1", ERR_OK, "1,4294967294:4294967295" }, { "", ERR_SYNTAX, "" },
        { "0", ERR_SYNTAX, "" }, { "0:5", ERR_SYNTAX, "" }, { "*", ERR_SYNTAX, "" },
        { "1:*", ERR_SYNTAX, "" }, { "1,", ERR_SYNTAX, "" }, { ",1", ERR_SYNTAX, "" },
        { "1:", ERR_SYNTAX, "" }, { ":1", ERR_SYNTAX, "" }, { "1:2:3", ERR_SYNTAX, "" },
        { "1 2", ERR_SYNTAX, "" }, { "1,2,3,4,5", ERR_LIMIT, "" }, /* runs_max is 4 here */
    };
    struct uidset set;
    uidset_init(&set);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum err e = uidset_read(&set, slice_of(rows[i].text), 4);
        if (e != rows[i].err)
            fail_msg("\"%s\": %s", rows[i].text, err_name(e));
        if (e == ERR_OK)
            assert_text(rows[i].text, &set, rows[i].again);
    }
    enum err over = uidset_read(&set, SLICE("4294967296"), 4);
    assert_true(over == ERR_SYNTAX || over == ERR_LIMIT);
    uidset_clear(&set);
    assert_text("empty", &set, "");
    uidset_done(&set);
}

/* The whole range is one run, and its ends do not wrap. */
static void whole_range(void **state)
{
    (void)state;
    struct uidset set, hole;
    uidset_init(&set);
    uidset_init(&hole);
    uidset_add(&set, 0);
    uidset_add_run(&set, 9, 3);
    assert_true(uidset_empty(&set));
    uidset_add_run(&set, 1, UINT32_MAX);
    assert_int_equal(uidset_members(&set), UINT32_MAX);
    assert_int_equal(set.count, 1);
    assert_int_equal(uidset_at(&set, UINT32_MAX), UINT32_MAX);
    uidset_add(&set, UINT32_MAX);
    uidset_add(&set, 1);
    assert_int_equal(set.count, 1);
    uidset_remove(&set, UINT32_MAX);
    uidset_remove(&set, 1);
    assert_text("both ends gone", &set, "2:4294967294");
    uidset_add_run(&hole, 10, 20);
    uidset_subtract(&set, &hole);
    assert_text("a hole", &set, "2:9,21:4294967294");
    assert_int_equal(uidset_rank(&set, 21), 9);
    uidset_done(&set);
    uidset_done(&hole);
}

TEST_MAIN(cmocka_unit_test(agrees_with_a_bitmap), cmocka_unit_test(set_operations),
    cmocka_unit_test(texts), cmocka_unit_test(whole_range))
