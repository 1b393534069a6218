#include "base/file.h"

#include "base/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUCH (1u << 20) /* more than a pipe holds: the system takes it in parts */

static void *read_all(void *arg)
{
    int fd = *(int *)arg;
    static char got[MUCH + 1];
    size_t len = 0;
    ssize_t count;
    while ((count = read(fd, got + len, sizeof got - len)) > 0)
        len += (size_t)count;
    for (size_t i = 0; i < len; i++)
        if (got[i] != (char)('a' + i % 26))
            return NULL;
    return len == MUCH ? arg : NULL;
}

static void all_of_it(void **state)
{
    (void)state;
    int ends[2];
    pthread_t reader;
    void *right;
    char *bytes = malloc(MUCH);
    assert_non_null(bytes);
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (char)('a' + i % 26);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_all, &ends[0]), 0);
    assert_ok(file_write(ends[1], slice_from(bytes, MUCH)));
    close(ends[1]);
    assert_int_equal(pthread_join(reader, &right), 0);
    assert_non_null(right);
    close(ends[0]);
    free(bytes);
}

static void why_not(void **state)
{
    (void)state;
    assert_ok(file_write(-1, SLICE_EMPTY));
    assert_err(ERR_IO, file_write(-1, SLICE("x")));
    assert_int_equal(errno, EBADF);
}

TEST_MAIN(cmocka_unit_test(all_of_it), cmocka_unit_test(why_not))
