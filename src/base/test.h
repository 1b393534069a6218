/* cmocka with what our unit tests share. Included by *_test.c only, before anything else of cmocka. */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/slice.h"

#define assert_err(expected, expr)                                                                 \
    do {                                                                                           \
        enum err got_ = (expr);                                                                    \
        if (got_ != (expected))                                                                    \
            fail_msg("%s: got %s, wanted %s", #expr, err_name(got_), err_name(expected));          \
    } while (0)
#define assert_ok(expr) assert_err(ERR_OK, expr)

/* Compares bytes; prints both on failure. row names the table row. */
#define assert_slice(row, got, wanted)                                                             \
    do {                                                                                           \
        struct slice got_ = (got), want_ = (wanted);                                               \
        if (!slice_eq(got_, want_))                                                                \
            fail_msg("%s: got <%.*s>, wanted <%.*s>", (row), SLICE_FMT(got_), SLICE_FMT(want_));   \
    } while (0)

/* What is waited for happens in milliseconds. Past this a test hangs, however loaded the machine is; it is no measure of speed. */
#define HANG_MS 30000

/* Unlinks a database of SQLite and what lies beside it. */
static inline void remove_database(const char *path)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < 3; i++) {
        char name[160];
        (void)snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name);
    }
}

#define TEST_MAIN(...)                                                                             \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = { __VA_ARGS__ };                                         \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

#endif
