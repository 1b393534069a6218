/* Leaking counters, with the time passed in. */
#include "base/test.h"

#include "auth/throttle.h"

static struct throttle_key key_of(uint64_t n)
{
    return (struct throttle_key){ { n * 0x9E3779B97F4A7C15u, n } };
}

static void test_levels(void **state)
{
    (void)state;
    struct throttle t;
    throttle_init(&t, 1024, 30);
    struct throttle_key a = key_of(1), b = key_of(2);
    for (int i = 0; i < 10; i++)
        throttle_add(&t, a, 1, 1000);
    assert_true(throttle_level(&t, a, 1000) == 10);
    assert_true(throttle_level(&t, b, 1000) == 0);
    assert_true(throttle_level(&t, a, 500) == 10); /* a clock that steps back forgives nothing */
    double later = throttle_level(&t, a, 1000 + 60 * 1000);
    assert_true(later > 7.99 && later < 8.01);
    assert_true(throttle_level(&t, a, 1000 + 301 * 1000) == 0);
    assert_true(throttle_add(&t, a, -1, 1000) == 9);
    assert_true(throttle_add(&t, a, -20, 1000) == 0);
    assert_true(throttle_level(&t, a, 1000) == 0);
    throttle_add(&t, a, 3, 2000);
    throttle_clear(&t, a);
    assert_true(throttle_level(&t, a, 2000) == 0);
    throttle_done(&t);
}

/* Many peers with one failure each do not push out the one with many. */
static void test_flood(void **state)
{
    (void)state;
    struct throttle t;
    throttle_init(&t, 64, 30);
    struct throttle_key bad = key_of(7);
    throttle_add(&t, bad, 50, 0);
    for (uint64_t i = 100; i < 100000; i++)
        throttle_add(&t, key_of(i), 1, (int64_t)i / 100);
    assert_true(throttle_level(&t, bad, 1000) > 49);
    throttle_done(&t);
}

static void test_delays(void **state)
{
    (void)state;
    static const struct {
        double level;
        int wanted_ms;
    } rows[] = { { 0, 0 }, { 5, 0 }, { 5.4, 0 }, { 5.9, 250 }, { 6, 250 }, { 7, 500 }, { 8, 1000 },
        { 11, 8000 }, { 12, 15000 }, { 1e9, 15000 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(throttle_delay_ms(rows[i].level, 5, 15000), rows[i].wanted_ms);
}

TEST_MAIN(
    cmocka_unit_test(test_levels), cmocka_unit_test(test_flood), cmocka_unit_test(test_delays))
