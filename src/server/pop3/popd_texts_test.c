/* Each text is there in both languages, fits a line, and cannot be taken for a code. */
#include "server/pop3/popd_texts.h"

#include "base/test.h"
#include "base/utf8.h"

#include <string.h>

#define RESPONSE_BYTES_MAX 512 /* RFC 2449 §4 */
#define ROOM_FOR_THE_REST  80  /* "-ERR ", a code, a tag, a number, CRLF */

static void texts(void **state)
{
    (void)state;
    for (int i = 0; i < POPD_TEXTS; i++) {
        enum popd_text text = (enum popd_text)i;
        for (int l = 0; l < POPD_LANGS; l++) {
            struct slice s = slice_of(popd_text((enum popd_lang)l, text));
            assert_true(s.len > 0 && s.len < RESPONSE_BYTES_MAX - ROOM_FOR_THE_REST);
            assert_true(s.ptr[0] != '[' && utf8_valid(s));
            for (size_t at = 0; at < s.len; at++)
                assert_true(slice_at(s, at) >= 0x20);
        }
        const char *en = popd_text(POPD_EN, text), *ar = popd_text(POPD_AR, text);
        assert_true(slice_is_ascii(slice_of(en)));
        assert_false(slice_is_ascii(slice_of(ar)));
        assert_int_equal(strstr(en, "%u") != NULL, strstr(ar, "%u") != NULL);
        const char *mark = strchr(en, '%');
        assert_true(!mark || !strchr(mark + 1, '%'));
    }
}

static void numbers(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    popd_text_add(POPD_EN, POPD_OCTETS, UINT64_MAX, &out);
    assert_slice("octets", buf_slice(&out), SLICE("18446744073709551615 octets"));
    buf_clear(&out);
    popd_text_add(POPD_EN, POPD_GOODBYE, 1, &out);
    assert_slice("no number", buf_slice(&out), SLICE("Goodbye"));
    buf_done(&out);
}

static void ranges(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        enum err wanted;
        enum popd_lang lang;
    } rows[] = {
        { "en", ERR_OK, POPD_EN },
        { "AR", ERR_OK, POPD_AR },
        { "ar-EG", ERR_OK, POPD_AR },
        { "ar-Arab-SA", ERR_OK, POPD_AR },
        { "*", ERR_OK, POPD_EN },
        { "arz", ERR_NOT_FOUND, 0 },
        { "a", ERR_NOT_FOUND, 0 },
        { "", ERR_NOT_FOUND, 0 },
        { "-ar", ERR_NOT_FOUND, 0 },
        { "mul", ERR_NOT_FOUND, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum popd_lang lang;
        enum err e = popd_lang_find(slice_of(rows[i].range), &lang);
        if (e != rows[i].wanted || (e == ERR_OK && lang != rows[i].lang))
            fail_msg("%s", rows[i].range);
    }
}

TEST_MAIN(cmocka_unit_test(texts), cmocka_unit_test(numbers), cmocka_unit_test(ranges))
