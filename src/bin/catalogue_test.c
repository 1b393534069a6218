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
        size_t span = strcspn(p, "sducxfgo") + 1;
        assert_true(len + span + 1 < out_size);
        out[len++] = '%';
        memcpy(out + len, p, span);
        len += span;
        p += span;
    }
    out[len] = 0;
}

static void assert_same(const char *english, const char *arabic)
{
    char en[256], ar[256];
    conversions(english, en, sizeof en);
    conversions(arabic, ar, sizeof ar);
    if (strcmp(en, ar) != 0)
        fail_msg("\"%s\" has %s, Arabic has %s", english, en, ar);
    assert_true(utf8_valid(slice_of(arabic)));
    assert_true(*arabic != 0);
}

static void both_languages_have_the_same_conversions(void **state)
{
    (void)state;
    for (int id = 0; id < MSG_COUNT; id++)
        assert_same(tr_in(LANG_EN, (enum message_id)id), tr_in(LANG_AR, (enum message_id)id));
    for (size_t i = 0; i < note_text_count; i++)
        assert_same(note_texts[i].en, note_texts[i].ar);
}

static void notes_are_in_the_language(void **state)
{
    (void)state;
    struct err_note note;
    lang_set(LANG_AR);
    assert_err(ERR_SYNTAX, err_noted(&note, ERR_SYNTAX, "%s is no folder", "/a"));
    assert_string_equal(
        note.text, "/a \xd9\x84\xd9\x8a\xd8\xb3 \xd9\x85\xd8\xac\xd9\x84\xd8\xaf\xd9\x8b\xd8\xa7");
    assert_string_not_equal(err_words(ERR_IO), "the disk or the system failed");
    assert_err(ERR_IO, err_noted(&note, ERR_IO, "%s: %s", "a", "b")); /* nothing to say in words */
    assert_string_equal(note.text, "a: b");
    lang_set(LANG_EN);
    assert_err(ERR_SYNTAX, err_noted(&note, ERR_SYNTAX, "%s is no folder", "/a"));
    assert_string_equal(note.text, "/a is no folder");
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

TEST_MAIN(cmocka_unit_test(both_languages_have_the_same_conversions),
    cmocka_unit_test(notes_are_in_the_language), cmocka_unit_test(language_names))
