/* What stands in the file, whatever the pieces were. */
#include "fetch/drop_int.h"

#include "base/test.h"

#include <stdlib.h>
#include <string.h>

static int file;

static void read_back(struct buf *out)
{
    off_t size = lseek(file, 0, SEEK_END);
    buf_clear(out);
    char *to = buf_room(out, (size_t)size + 1);
    assert_int_equal(pread(file, to, (size_t)size, 0), size);
    buf_wrote(out, (size_t)size);
}

static void write_pieces(
    enum fetch_format format, struct slice text, const size_t *cuts, size_t count, struct buf *out)
{
    struct fetch_writer writer;
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    fetch_writer_init(&writer, format);
    fetch_writer_begin(&writer, file);
    size_t from = 0;
    for (size_t i = 0; i <= count; i++) {
        size_t to = i < count ? cuts[i] : text.len;
        assert_ok(fetch_writer_put(&writer, slice_sub(text, from, to - from)));
        from = to;
    }
    assert_ok(fetch_writer_end(&writer));
    read_back(out);
    assert_int_equal(writer.bytes, buf_len(out));
    fetch_writer_done(&writer);
}

/* Every line end, and a lone CR, as CRLF. */
static void as_smtp(const char *lf, struct buf *out)
{
    buf_clear(out);
    for (; *lf; lf++)
        if (*lf != '\r' && *lf != '\n')
            buf_addc(out, *lf);
        else
            buf_adds(out, "\r\n");
}

static const struct {
    const char *name, *text, *lf, *mboxrd;
} rows[] = {
    { "lines", "a\r\nb\r\n", "a\nb\n", "a\nb\n" },
    { "no last end", "a\r\nb", "a\nb\n", "a\nb\n" },
    { "nothing", "", "", "" },
    { "From", "From me\r\nFrom\r\nFrom you\r\n", "From me\nFrom\nFrom you\n",
        ">From me\nFrom\n>From you\n" },
    { "quoted From", ">From a\r\n>>From b\r\n> From c\r\n", ">From a\n>>From b\n> From c\n",
        ">>From a\n>>>From b\n> From c\n" },
    { "From inside", "not From here\r\n", "not From here\n", "not From here\n" },
    { "almost", "FroFrom \r\nFro\r\nFFrom a\r\nFrom", "FroFrom \nFro\nFFrom a\nFrom\n",
        "FroFrom \nFro\nFFrom a\nFrom\n" },
    { "lone CR", "a\rb\r\r\nc\r", "a\rb\r\nc\r\n", "a\rb\r\nc\r\n" },
    { "lone LF", "a\nFrom b\n", "a\nFrom b\n", "a\n>From b\n" },
    { "empty lines", "\r\n\r\nFrom a\r\n\r\n", "\n\nFrom a\n\n", "\n\n>From a\n\n" },
    { "From behind F>", "F>From a\r\nFr>From b\r\n", "F>From a\nFr>From b\n",
        "F>From a\nFr>From b\n" },
    { "From behind CR", "\rFrom a\r\n", "\rFrom a\n", "\rFrom a\n" },
};

/* Every way to cut it in three. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    struct buf out, smtp;
    buf_init(&out, 0), buf_init(&smtp, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice text = slice_of(rows[i].text);
        for (size_t a = 0; a <= text.len; a++)
            for (size_t b = a; b <= text.len; b++) {
                size_t cuts[] = { a, b };
                write_pieces(FETCH_FORMAT_LF, text, cuts, 2, &out);
                assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].lf));
                write_pieces(FETCH_FORMAT_MBOXRD, text, cuts, 2, &out);
                assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].mboxrd));
                write_pieces(FETCH_FORMAT_CRLF, text, cuts, 2, &out);
                as_smtp(rows[i].lf, &smtp);
                if (text.len > 0 &&
                    text.ptr[text.len - 1] == '\r') /* it is the end of the line itself */
                    buf_truncate(&smtp, buf_len(&smtp) - 2);
                assert_slice(rows[i].name, buf_slice(&out), buf_slice(&smtp));
            }
        size_t each[64], count = 0;
        while (count < text.len)
            each[count] = count, count++;
        write_pieces(FETCH_FORMAT_MBOXRD, text, each, count, &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].mboxrd));
    }
    buf_done(&out), buf_done(&smtp);
}

/* Unquoting gives back what was there: nothing of a message is lost in an mbox. */
static void test_large(void **state)
{
    (void)state;
    struct buf text, out;
    buf_init(&text, 0), buf_init(&out, 0);
    for (int i = 0; i < 20000; i++)
        buf_addf(&text, "%.*sFrom line %d\r\n", i % 4, ">>>", i);
    write_pieces(FETCH_FORMAT_MBOXRD, buf_slice(&text), NULL, 0, &out);
    struct slice rest = buf_slice(&out), line;
    for (int i = 0; slice_cut(&rest, '\n', &line); i++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, ">%.*sFrom line %d", i % 4, ">>>", i);
        assert_slice("line", line, slice_of(wanted));
    }
    buf_done(&text), buf_done(&out);
}

static int open_file(void **state)
{
    (void)state;
    char path[] = "/tmp/barid-writer-XXXXXX";
    file = mkstemp(path);
    return file < 0 || unlink(path) < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_large) };
    return cmocka_run_group_tests(tests, open_file, NULL);
}
