#include "base/test.h"

#include "base/arena.h"

#include <string.h>

static void pieces_are_apart_and_aligned(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    unsigned char *pieces[200];
    for (size_t i = 0; i < 200; i++) {
        pieces[i] = arena_alloc(&arena, i * 7 % 1000 + 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)i, i * 7 % 1000 + 1);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t j = 0; j < i * 7 % 1000 + 1; j++)
            assert_int_equal(pieces[i][j], i & 0xFF);
    arena_done(&arena);
}

static void budget_ends_it(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 10000);
    size_t got = 0;
    while (arena_alloc(&arena, 100))
        got++;
    assert_in_range(got, 80, 100);
    assert_true(arena.used <= 10000);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 15));
    assert_null(arena_zalloc(&arena, SIZE_MAX / 2, 4));
    arena_reset(&arena);
    assert_int_equal(arena.used, 0);
    assert_non_null(arena_alloc(&arena, 9000));
    assert_null(arena_alloc(&arena, 9000));
    arena_done(&arena);
}

static void zeroed_after_reuse(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 16);
    for (int round = 0; round < 3; round++) {
        memset(arena_alloc(&arena, 3000), 0xEE, 3000);
        arena_reset(&arena);
        const unsigned char *zero = arena_zalloc(&arena, 1000, 3);
        for (size_t i = 0; i < 3000; i++)
            assert_int_equal(zero[i], 0);
    }
    arena_done(&arena);
}

static void arrays_grow(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    uint32_t *array = NULL;
    size_t cap = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        array = arena_grow(&arena, array, &cap, i + 1, sizeof *array);
        assert_non_null(array);
        assert_true(cap > i);
        array[i] = i;
    }
    for (uint32_t i = 0; i < 5000; i++)
        assert_int_equal(array[i], i);
    assert_null(arena_grow(&arena, array, &cap, SIZE_MAX / 2, sizeof *array));
    arena_done(&arena);
}

TEST_MAIN(cmocka_unit_test(pieces_are_apart_and_aligned), cmocka_unit_test(budget_ends_it),
    cmocka_unit_test(zeroed_after_reuse), cmocka_unit_test(arrays_grow))
