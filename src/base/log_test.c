#include "base/test.h"

#include "base/log.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static void escapes(void **state)
{
    (void)state;
    static const struct {
        const char *row, *in, *out;
    } rows[] = {
        { "plain", "omar@barid.test", "omar@barid.test" },
        { "Arabic stays", "\xD8\xB3@x", "\xD8\xB3@x" },
        { "blank is quoted", "a b", "\"a b\"" },
        { "line end cannot forge a line", "a\r\nb", NULL },
        { "no UTF-8", "\xFF", NULL },
        { "quote", "a\"b", NULL },
        { "escape", "\x1B[2J", NULL },
        { "empty", "", "\"\"" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct log_value v = log_escape(slice_of(rows[i].in));
        if (rows[i].out && strcmp(v.text, rows[i].out) != 0)
            fail_msg("%s: %s", rows[i].row, v.text);
        for (const char *p = v.text; *p; p++)
            if ((unsigned char)*p < 0x20 || *p == 0x7F || (unsigned char)*p == 0xFF)
                fail_msg("%s: a control or a stray byte is left", rows[i].row);
    }
    assert_non_null(
        strstr(LOG_S(SLICE("\xFF")), "\\xFF") ? "" : strstr(LOG_S(SLICE("\xFF")), "\\xff"));
}

static void long_values_are_cut(void **state)
{
    (void)state;
    char text[1000];
    static const char *const fills[] = { "x", "\xD8\xB3", "\x01", "\xFF", "\"" };
    for (size_t f = 0; f < sizeof fills / sizeof fills[0]; f++)
        for (size_t len = 100; len < 1000; len += 7) {
            size_t fill_len = strlen(fills[f]);
            for (size_t i = 0; i < len; i++)
                text[i] = fills[f][i % fill_len];
            struct log_value v = log_escape(slice_from(text, len));
            assert_true(strlen(v.text) < sizeof v.text);
            if (len > LOG_VALUE_BYTES_MAX)
                assert_non_null(strstr(v.text, "..."));
        }
}

static size_t read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    for (ssize_t n; len < size - 1 && (n = read(fd, out + len, size - 1 - len)) > 0;)
        len += (size_t)n;
    out[len] = '\0';
    return len;
}

static void *writer(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_info("test.thread", "who=%d text=%s", *(int *)arg,
            "0123456789012345678901234567890123456789");
    return NULL;
}

static void lines_are_whole(void **state)
{
    (void)state;
    int pipe_fd[2];
    assert_int_equal(pipe(pipe_fd), 0);
    log_set_fd(pipe_fd[1]);
    log_set_level(LOG_INFO);
    assert_true(log_wants(LOG_INFO));
    assert_false(log_wants(LOG_DEBUG));
    log_debug("test.debug", "never=%d", 1);
    log_warn("test.line", "to=%s code=%d", LOG_S(SLICE("a b")), 250);
    close(pipe_fd[1]);
    static char out[1 << 20];
    (void)read_all(pipe_fd[0], out, sizeof out);
    close(pipe_fd[0]);
    assert_non_null(strstr(out, " warn test.line to=\"a b\" code=250\n"));
    assert_null(strstr(out, "never"));
    assert_int_equal(out[10], 'T');
    assert_int_equal(out[23], 'Z');

    /* threads do not mix their lines */
    FILE *file = tmpfile();
    assert_non_null(file);
    log_set_fd(fileno(file));
    pthread_t threads[4];
    int numbers[4] = { 0, 1, 2, 3 };
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, writer, &numbers[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    log_set_fd(2);
    log_set_level(LOG_WARN);
    rewind(file);
    int lines = 0;
    for (char line[512]; fgets(line, sizeof line, file); lines++) {
        assert_non_null(strstr(line, "Z info test.thread who="));
        assert_non_null(strstr(line, "text=0123456789012345678901234567890123456789\n"));
    }
    assert_int_equal(lines, 800);
    fclose(file);
}

/* A text longer than a line may be is cut, not lost and not split. */
static void long_lines(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    static char text[100000];
    memset(text, 'z', sizeof text - 1);
    log_set_fd(fileno(file));
    log_error("test.long", "text=%s", text);
    log_set_fd(2);
    rewind(file);
    static char out[200000];
    size_t len = fread(out, 1, sizeof out - 1, file);
    assert_true(len > 100);
    assert_int_equal(out[len - 1], '\n');
    assert_int_equal(strchr(out, '\n') - out, len - 1);
    fclose(file);
}

TEST_MAIN(cmocka_unit_test(escapes), cmocka_unit_test(long_values_are_cut),
    cmocka_unit_test(lines_are_whole), cmocka_unit_test(long_lines))
