#include "message/filename.h"

#include "base/limits.h"
#include "base/test.h"
#include "base/utf8.h"

#include <string.h>

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *safe;
    } rows[] = {
        { "", "" },
        { "report.pdf", "report.pdf" },
        { "\xd8\xaa\xd9\x82\xd8\xb1\xd9\x8a\xd8\xb1 2026.pdf",
            "\xd8\xaa\xd9\x82\xd8\xb1\xd9\x8a\xd8\xb1 2026.pdf" },
        { "../../etc/passwd", "passwd" },
        { "C:\\Windows\\a.exe", "a.exe" },
        { "a/", "" },
        { "..", "" },
        { ".bashrc", "bashrc" },
        { "...a..", "a" },
        { "-rf", "_-rf" },
        { "~root", "_~root" },
        { "a\r\nb\tc", "abc" },
        { "a  \xc2\xa0 b", "a b" },
        { "  a ", "a" },
        { "a:b*c?d\"e<f>g|h", "a_b_c_d_e_f_g_h" },
        { "$(x)`y`;z&'", "_(x)_y__z__" },
        { "photo_\xe2\x80\xaegpj.exe", "photo_gpj.exe" },
        { "a\xe2\x80\x8b\xef\xbb\xbf" "b", "ab" },
        { "con", "_con" },
        { "NUL.txt", "_NUL.txt" },
        { "com1.a.b", "_com1.a.b" },
        { "com0", "com0" },
        { "console", "console" },
        { "a.", "a" },
        { "\xff" "a", "a" },
        { "\xf3\xa0\x80\xa1" "a", "a" }, /* a tag character */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        msg_safe_filename(slice_of(rows[i].name), &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].safe));
        buf_done(&out);
    }
}

static void limit_len(void **state)
{
    (void)state;
    static const char ba[] = "\xd8\xa8";
    for (unsigned over = 0; over < 2; over++) {
        struct buf name, out;
        buf_init(&name, 0);
        buf_init(&out, 0);
        for (unsigned i = 0; i < (FILENAME_BYTES_MAX - 4) / 2 + over; i++)
            buf_adds(&name, ba);
        buf_adds(&name, ".pdf");
        msg_safe_filename(buf_slice(&name), &out);
        struct slice safe = buf_slice(&out);
        assert_int_equal(safe.len, FILENAME_BYTES_MAX);
        assert_true(utf8_valid(safe));
        assert_slice("extension", slice_from_index(safe, safe.len - 4), SLICE(".pdf"));
        buf_done(&name);
        buf_done(&out);
    }
}

static void limit_extension(void **state)
{
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        struct buf name, out;
        buf_init(&name, 0);
        buf_init(&out, 0);
        for (unsigned i = 0; i < FILENAME_BYTES_MAX; i++)
            buf_addc(&name, 'a');
        buf_addc(&name, '.');
        for (unsigned i = 1; i < FILENAME_EXTENSION_BYTES_MAX + over; i++)
            buf_addc(&name, 'e');
        msg_safe_filename(buf_slice(&name), &out);
        assert_int_equal(buf_len(&out), FILENAME_BYTES_MAX);
        assert_int_equal(slice_index(buf_slice(&out), 'e') < buf_len(&out), !over);
        buf_done(&name);
        buf_done(&out);
    }
}

static void a_cut_leaves_no_blank_at_the_end(void **state)
{
    (void)state;
    struct buf name, out;
    buf_init(&name, 0);
    buf_init(&out, 0);
    for (unsigned i = 0; i < FILENAME_BYTES_MAX - 1; i++)
        buf_addc(&name, 'a');
    buf_adds(&name, " bbbbbbbbbbbbbbbbbbbbbbbb");
    msg_safe_filename(buf_slice(&name), &out);
    assert_int_equal(buf_len(&out), FILENAME_BYTES_MAX - 1);
    buf_done(&name);
    buf_done(&out);
}

TEST_MAIN(cmocka_unit_test(names), cmocka_unit_test(limit_len), cmocka_unit_test(limit_extension),
    cmocka_unit_test(a_cut_leaves_no_blank_at_the_end))
