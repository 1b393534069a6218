#include "import/mbox.h"

#include "base/test.h"
#include "import/lines.h"
#include "store/store.h"

#include <string.h>
#include <sys/mman.h>

static void lines_that_begin_a_message(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int64_t at; /* -1: it does not */
    } rows[] = {
        { "From salma@example.org Thu Nov 26 21:06:54 2026\n", 1795727214 },
        { "From - Thu Jan  1 00:00:00 1970\r\n", 0 },
        { "From a Thu Jan 01 00:00 1970", 0 },
        { "From MAILER-DAEMON Fri Feb 29 12:00:00 2008", 1204286400 },
        { "From a b@c (x) Mon Mar  1 00:00:00 2100", 4107542400 },
        { "From a Thu Nov 26 21:06:54 2026 +0100", 1795727214 },
        { "From a Thu Nov 26 21:06:54 EST 2026", 1795727214 },
        { "From Mon Jan  1 00:00:00 2001 Thu Nov 26 21:06:54 2026", 1795727214 },
        { "From the beginning we knew\n", -1 },
        { "From a Thu Nov 26 21:06:54\n", -1 },
        { "From a Thu Nov 26 21:06:54 2026 and more\n", -1 },
        { "From a Thu Nov 26 24:06:54 2026", -1 },
        { "From a Thu Nov 32 21:06:54 2026", -1 },
        { "From a Xyz Nov 26 21:06:54 2026", -1 },
        { "From a Thu Nov 26 2", -1 },
        { "From aThu Nov 26 21:06:54 2026", -1 },
        { "from a Thu Nov 26 21:06:54 2026", -1 },
        { ">From a Thu Nov 26 21:06:54 2026", -1 },
        { " From a Thu Nov 26 21:06:54 2026", -1 },
        { "\rFrom a Thu Nov 26 21:06:54 2026", -1 },
        { "From ", -1 },
        { "From", -1 },
        { "", -1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t at = -1;
        bool is = import_mbox_from(slice_of(rows[i].line), &at);
        if (is != (rows[i].at >= 0) || at != rows[i].at)
            fail_msg("<%s>: %lld", rows[i].line, (long long)at);
    }
}

/* Each line whole, or cut at every place into two pieces. */
static void feed(struct import_mbox *m, const char *text, size_t cut, struct buf *out)
{
    struct slice rest = slice_of(text);
    import_mbox_begin(m);
    while (rest.len > 0) {
        size_t len = slice_index(rest, '\n');
        struct slice line = slice_sub(rest, 0, len + (len < rest.len));
        rest = slice_from_index(rest, line.len);
        if (cut > 20 && cut < line.len) { /* where no quote and no name of a field is */
            import_mbox_piece(m, slice_sub(line, 0, cut), true, out);
            import_mbox_piece(m, slice_from_index(line, cut), false, out);
        } else {
            import_mbox_piece(m, line, true, out);
        }
    }
    import_mbox_end(m);
}

static void what_the_format_put_in_goes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *rd, *o;
    } rows[] = {
        { "plain", "A: b\n\ntext\n\n", "A: b\n\ntext\n", NULL },
        { "no blank line behind it", "A: b\n\ntext", "A: b\n\ntext", NULL },
        { "blank lines inside", "A: b\n\n\n\ntext\n\n\n", "A: b\n\n\n\ntext\n\n", NULL },
        { "crlf", "A: b\r\n\r\ntext\r\n\r\nmore\r\n\r\n", "A: b\r\n\r\ntext\r\n\r\nmore\r\n",
            NULL },
        { "header alone", "A: b\n\n", "A: b\n\n", NULL },
        { "quotes", "A: b\n\n>From x\n>>From y\n> From z\n>From\n",
            "A: b\n\nFrom x\n>From y\n> From z\n>From\n",
            "A: b\n\nFrom x\n>>From y\n> From z\n>From\n" },
        { "no quotes in the header", ">From x y\nA: b\n\n", ">From x y\nA: b\n\n", NULL },
        { "fields of the server",
            "Status: RO\nA: b\nX-Status: AF\nX-Keywords: one\n two\nX-UIDL: abc!\nX-UID: "
            "7\nX-IMAPbase: 99 8\n"
            "Content-Length: 5\nSTATUS-X: c\n\nStatus: x\n",
            "A: b\nSTATUS-X: c\n\nStatus: x\n", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t cut = 0; cut < 80; cut++)
            for (int how = 0; how < 2; how++) {
                struct import_mbox m;
                struct buf out;
                buf_init(&out, 0);
                import_mbox_init(&m, how ? IMPORT_MBOXO : IMPORT_MBOXRD);
                feed(&m, rows[i].text, cut, &out);
                const char *wanted = how && rows[i].o ? rows[i].o : rows[i].rd;
                assert_slice(rows[i].name, buf_slice(&out), slice_of(wanted));
                if (i == sizeof rows / sizeof rows[0] - 1) {
                    assert_int_equal(m.system, STORE_SEEN | STORE_ANSWERED | STORE_FLAGGED);
                    assert_slice("keywords", slice_trim(buf_slice(&m.keywords)), SLICE("one  two"));
                    assert_slice("uidl", buf_slice(&m.uidl), SLICE("abc!"));
                    assert_int_equal(m.uid, 7);
                    assert_int_equal(m.uidvalidity, 99);
                    assert_false(m.internal);
                    out.end = out.start;
                    feed(&m, "A: b\nX-IMAP: 5 6\n\n", 0, &out);
                    assert_true(m.internal);
                    assert_int_equal(m.system, 0);
                    assert_int_equal(buf_len(&m.uidl), 0);
                    assert_int_equal(m.uidvalidity, 5);
                }
                import_mbox_done(&m);
                buf_done(&out);
            }
}

static void lines_of_any_length(void **state)
{
    (void)state;
    static char text[200000];
    memset(text, 'x', sizeof text);
    static const size_t ends[] = { 0, 1, 5, 65535, 65536 + 6, 140000 };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        text[ends[i]] = '\n';
    int fd = memfd_create("lines", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, sizeof text), sizeof text);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    struct import_lines lines;
    struct import_piece piece;
    size_t at = 0, began = 0;
    enum err e;
    import_lines_init(&lines, fd);
    bool begins = true;
    while ((e = import_lines_next(&lines, &piece)) == ERR_OK) {
        assert_memory_equal(piece.bytes.ptr, text + at, piece.bytes.len);
        at += piece.bytes.len;
        assert_int_equal(piece.begins, begins);
        began += piece.begins;
        bool newline = text[at - 1] == '\n';
        assert_true(piece.ends == newline || at == sizeof text);
        assert_true(memchr(piece.bytes.ptr, '\n', piece.bytes.len - 1) == NULL);
        begins = newline;
    }
    assert_err(ERR_NOT_FOUND, e);
    assert_int_equal(at, sizeof text);
    assert_int_equal(began, 7);
    import_lines_done(&lines);
    close(fd);
    import_lines_init(&lines, -1);
    assert_err(ERR_IO, import_lines_next(&lines, &piece));
    import_lines_done(&lines);
}

TEST_MAIN(cmocka_unit_test(lines_that_begin_a_message),
    cmocka_unit_test(what_the_format_put_in_goes), cmocka_unit_test(lines_of_any_length))
