#include "base/test.h"

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#define KEYS 500

static struct slice key_of(unsigned n, char *room)
{
    /* some keys hold NUL bytes, one is empty, some are long */
    if (n == 0)
        return SLICE_EMPTY;
    int len = snprintf(room, 300, "key%c%u", n % 3 ? '\0' : '-', n);
    if (n % 17 == 0) {
        memset(room + len, 'l', 200);
        len += 200;
    }
    return slice_from(room, (size_t)len);
}

static void agrees_with_an_array(void **state)
{
    (void)state;
    srand(9);
    int values[3];
    void *model[KEYS] = { NULL };
    size_t count = 0;
    struct map map;
    map_init(&map);
    for (int step = 0; step < 30000; step++) {
        char room[300];
        unsigned n = (unsigned)rand() % KEYS;
        struct slice key = key_of(n, room);
        void *before = model[n];
        if (rand() % 3 == 0) {
            assert_ptr_equal(map_remove(&map, key), before);
            count -= before != NULL;
            model[n] = NULL;
        } else {
            void *value = &values[rand() % 3];
            assert_ptr_equal(map_put(&map, key, value), before);
            count += before == NULL;
            model[n] = value;
        }
        memset(room, '?', sizeof room); /* keys are copied */
        assert_int_equal(map.count, count);
        if (step % 500 == 0)
            for (unsigned i = 0; i < KEYS; i++)
                assert_ptr_equal(map_get(&map, key_of(i, room)), model[i]);
    }
    size_t cursor = 0, seen = 0;
    struct slice key;
    void *value;
    while (map_next(&map, &cursor, &key, &value)) {
        assert_ptr_equal(map_get(&map, key), value);
        seen++;
    }
    assert_int_equal(seen, count);
    map_done(&map);
}

static void empty_map(void **state)
{
    (void)state;
    struct map map;
    map_init(&map);
    size_t cursor = 0;
    struct slice key;
    void *value;
    assert_null(map_get(&map, SLICE("x")));
    assert_null(map_remove(&map, SLICE("x")));
    assert_false(map_next(&map, &cursor, &key, &value));
    map_done(&map);
}

/* Adding and removing for ever must not fill the table with tombstones. */
static void stays_small(void **state)
{
    (void)state;
    struct map map;
    map_init(&map);
    for (unsigned i = 1; i < 200000; i++) {
        char room[300];
        struct slice key = key_of(i, room);
        assert_null(map_put(&map, key, &map));
        assert_non_null(map_remove(&map, key));
    }
    assert_int_equal(map.count, 0);
    assert_true(map.cap <= 64);
    map_done(&map);
}

TEST_MAIN(cmocka_unit_test(agrees_with_an_array), cmocka_unit_test(empty_map),
    cmocka_unit_test(stays_small))
