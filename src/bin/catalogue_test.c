/* Both languages say the same: same conversions in the same order, nothing empty. */
#include "bin/catalogue.h"

#include "base/test.h"
#include "base/utf8.h"

#include <string.h>

/* The conversions of a format in order, e.g. "%s%llu". */
static void conversions(const char *format, char *out, size_t out_size)
{
    size_t len = 0;
    for (const char *p = strchr(format, '%'); p; p = strchr(p, '%')) {
        p++;
        if (*p == '%') {
            p++;
            continue;
        }
        size_t span = strcspn(p, "sducxfg") + 1;
        assert_true(len + span + 1 < out_size);
        out[len++] = '%';
        memcpy(out + len, p, span);
        len += span;
        p += span;
    }
    out[len] = 0;
}

static void both_languages_have_the_same_conversions(void **state)
{
    (void)state;
    for (int id = 0; id < MSG_COUNT; id++) {
        char en[256], ar[256];
        conversions(tr_in(LANG_EN, (enum message_id)id), en, sizeof en);
        conversions(tr_in(LANG_AR, (enum message_id)id), ar, sizeof ar);
        if (strcmp(en, ar) != 0)
            fail_msg("message %d: \"%s\" has %s, Arabic has %s", id,
                tr_in(LANG_EN, (enum message_id)id), en, ar);
        assert_true(utf8_valid(slice_of(tr_in(LANG_AR, (enum message_id)id))));
        assert_true(*tr_in(LANG_AR, (enum message_id)id) != 0);
    }
}

static void language_names(void **state)
{
    (void)state;
    assert_int_equal(lang_from_text("ar"), LANG_AR);
    assert_int_equal(lang_from_text("ar_EG.UTF-8"), LANG_AR);
    assert_int_equal(lang_from_text("art"), LANG_EN);
    assert_int_equal(lang_from_text("en_US.UTF-8"), LANG_EN);
    assert_int_equal(lang_from_text(""), LANG_EN);
    assert_int_equal(lang_from_text(NULL), LANG_EN);
}

TEST_MAIN(
    cmocka_unit_test(both_languages_have_the_same_conversions), cmocka_unit_test(language_names))
