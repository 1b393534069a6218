/* The guide's engine: plural forms, sections, placeholders, directions; and that the texts of both languages fit each other. */
#include "bin/guide.h"

#include "base/test.h"
#include "base/utf8.h"

#include <string.h>

#define ISOLATED(text) "\xe2\x81\xa8" text "\xe2\x81\xa9"
#define RTL            "\xe2\x80\x8f"

static void plural_forms(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        enum plural arabic, english;
    } rows[] = {
        { 0, PLURAL_ZERO, PLURAL_OTHER }, { 1, PLURAL_ONE, PLURAL_ONE },
        { 2, PLURAL_TWO, PLURAL_OTHER }, { 3, PLURAL_FEW, PLURAL_OTHER },
        { 10, PLURAL_FEW, PLURAL_OTHER }, { 11, PLURAL_MANY, PLURAL_OTHER },
        { 21, PLURAL_MANY, PLURAL_OTHER }, { 99, PLURAL_MANY, PLURAL_OTHER },
        { 100, PLURAL_OTHER, PLURAL_OTHER }, { 101, PLURAL_OTHER, PLURAL_OTHER },
        { 102, PLURAL_OTHER, PLURAL_OTHER }, { 103, PLURAL_FEW, PLURAL_OTHER },
        { 110, PLURAL_FEW, PLURAL_OTHER }, { 111, PLURAL_MANY, PLURAL_OTHER },
        { 199, PLURAL_MANY, PLURAL_OTHER }, { 200, PLURAL_OTHER, PLURAL_OTHER },
        { 1000, PLURAL_OTHER, PLURAL_OTHER }, { 1003, PLURAL_FEW, PLURAL_OTHER },
        { 1011, PLURAL_MANY, PLURAL_OTHER }, { UINT64_MAX, PLURAL_MANY, PLURAL_OTHER }, /* ...615 */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (plural_of(LANG_AR, rows[i].number) != rows[i].arabic)
            fail_msg("%llu in Arabic", (unsigned long long)rows[i].number);
        if (plural_of(LANG_EN, rows[i].number) != rows[i].english)
            fail_msg("%llu in English", (unsigned long long)rows[i].number);
    }
}

static struct guide_value values[] = {
    { .name = "n", .kind = GUIDE_NUMBER },
    { .name = "size", .kind = GUIDE_BYTES, .number = 4404019 },
    { .name = "host", .kind = GUIDE_TEXT, .text = SLICE_CONST("mail.example.org") },
    { .name = "name", .kind = GUIDE_TEXT, .text = SLICE_CONST("هاتف") },
    { .name = "bad",
        .kind = GUIDE_TEXT,
        .text = SLICE_CONST("a\x1b[1m\xe2\x80\xae"
                            "b") },
    { .name = "shell", .kind = GUIDE_TEXT, .text = SLICE_CONST("x`id`${a}&b\\\"'@barid.test") },
    { .name = "word", .kind = GUIDE_WORDS, .text = SLICE_CONST("IMAP") },
};
#define VALUES (sizeof values / sizeof *values)

static void assert_expands(enum lang lang, const char *text, const char *wanted)
{
    struct buf out;
    buf_init(&out, 0);
    assert_ok(guide_expand(lang, slice_of(text), values, VALUES, &out));
    assert_slice(text, buf_slice(&out), slice_of(wanted));
    buf_done(&out);
}

static void values_are_put_in(void **state)
{
    (void)state;
    assert_expands(LANG_EN, "", "");
    assert_expands(LANG_EN, "no brace", "no brace");
    assert_expands(LANG_EN, "at {host}, {size}", "at mail.example.org, 4.2 MB");
    assert_expands(LANG_EN, "{{n}} }}{{", "{n} }{");
    assert_expands(LANG_EN, "one\n# a remark\n\ntwo\n", "one\n\ntwo");
    assert_expands(LANG_EN, "{bad}", ISOLATED("a?[1m?b"));
    assert_expands(LANG_AR, "{size}", RTL "4.2 ميغابايت");
}

static void a_direction_of_its_own_is_isolated(void **state)
{
    (void)state;
    assert_expands(LANG_EN, "the {name}", "the " ISOLATED("هاتف"));
    assert_expands(LANG_AR, "الخادم {host}.", RTL "الخادم " ISOLATED("mail.example.org") ".");
    assert_expands(LANG_AR, "عبر {word}", RTL "عبر IMAP");
    assert_expands(LANG_AR, "{name}\n    {host} {name}",
        RTL ISOLATED("هاتف") "\n    mail.example.org هاتف"); /* a line to copy */
    assert_expands(LANG_EN, "    {name}", "    هاتف");
}

static void what_is_copied_stays_a_name(void **state)
{
    (void)state;
    assert_expands(LANG_EN, "    barid pop {shell} on {host}",
        "    barid pop 'x`id`${a}&b\\\"'\\''@barid.test' on mail.example.org");
    assert_expands(LANG_AR, "    barid pop {name}", "    barid pop 'هاتف'");
    assert_expands(LANG_EN, "    set from = \"{shell}\"",
        "    set from = \"x\\`id\\`\\${a}&b\\\\\\\"'@barid.test\"");
    assert_expands(LANG_EN, "    Username: {shell}", "    Username: x`id`${a}&b\\\"'@barid.test");
    assert_expands(LANG_EN, "barid pop {shell}", "barid pop x`id`${a}&b\\\"'@barid.test");
}

static void nouns_take_their_form(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        const char *arabic, *english;
    } rows[] = {
        { 1, "رسالة واحدة", "one message" },
        { 2, "رسالتين", "2 messages" },
        { 3, "3 رسائل", "3 messages" },
        { 11, "11 رسالةً", "11 messages" },
        { 100, "100 رسالة", "100 messages" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char arabic[64];
        values[0].number = rows[i].number;
        (void)snprintf(arabic, sizeof arabic, RTL "%s", rows[i].arabic);
        assert_expands(LANG_AR, "{n:message-of}", arabic);
        assert_expands(LANG_EN, "{n:message-of}", rows[i].english);
    }
}

static void what_cannot_be_filled_in(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err wanted;
    } rows[] = {
        { "{nothing}", ERR_NOT_FOUND },
        { "{n:nothing}", ERR_NOT_FOUND },
        { "{host:message}", ERR_NOT_FOUND }, /* no number */
        { "{N}", ERR_NOT_FOUND },
        { "{ n}", ERR_NOT_FOUND },
        { "{n", ERR_SYNTAX },
        { "{", ERR_SYNTAX },
        { "{}", ERR_SYNTAX },
        { "n}", ERR_SYNTAX },
        { "{n\n}", ERR_SYNTAX },
        { "{n{n}}", ERR_SYNTAX },
        { "good {n}\nbad {n", ERR_SYNTAX },
    };
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int lang = LANG_EN; lang <= LANG_AR; lang++) {
            enum err e =
                guide_expand((enum lang)lang, slice_of(rows[i].text), values, VALUES, &out);
            if (e != rows[i].wanted)
                fail_msg("\"%s\" gives %s", rows[i].text, err_name(e));
        }
    buf_done(&out);
    struct slice text;
    assert_err(ERR_NOT_FOUND, guide_section(LANG_EN, SLICE("nothing"), &text));
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *english, *arabic;
    } rows[] = {
        { 0, "0 bytes", "0 بايت" },
        { 1, "1 byte", "1 بايت" },
        { 1023, "1023 bytes", "1023 بايت" },
        { 1024, "1.0 KB", "1.0 كيلوبايت" },
        { 1048575, "1.0 MB", "1.0 ميغابايت" },
        { 5u << 20, "5.0 MB", "5.0 ميغابايت" },
        { 3ull << 30, "3.0 GB", "3.0 غيغابايت" },
        { UINT64_MAX, "16777216.0 TB", "16777216.0 تيرابايت" },
    };
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&out);
        guide_bytes(LANG_EN, rows[i].bytes, &out);
        assert_slice("English", buf_slice(&out), slice_of(rows[i].english));
        buf_clear(&out);
        guide_bytes(LANG_AR, rows[i].bytes, &out);
        assert_slice("Arabic", buf_slice(&out), slice_of(rows[i].arabic));
    }
    buf_done(&out);
}

static void long_lines_are_folded(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        { "", "" },
        { "\n", "\n" },
        { "one two\n", "one two\n" },
        { "one two three\n", "one two\nthree\n" },
        { "one two thre\nx\n", "one two\nthre\nx\n" },
        { "one two te\n", "one two te\n" }, /* ten */
        { "  one two three\n", "  one two\n  three\n" },
        { "averylongword and one\n", "averylongword\nand one\n" },
        { "    a line to copy, however long\n", "    a line to copy, however long\n" },
        { RTL "واحد اثنان ثلاثة\n", RTL "واحد اثنان\n" RTL "ثلاثة\n" },
        { RTL "رسالةً وَاحدة\n", RTL "رسالةً\n" RTL "وَاحدة\n" },
        { RTL "رسالةً وَاح\n", RTL "رسالةً وَاح\n" }, /* ten, and marks */
        { "x " ISOLATED("a b c d e f") " y\n", "x\n" ISOLATED("a b c d e f") "\ny\n" },
        { "\xff\xff 345678901\n", "\xff\xff\n345678901\n" },
    };
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&out);
        guide_fold(slice_of(rows[i].text), 10, &out);
        assert_slice(rows[i].text, buf_slice(&out), slice_of(rows[i].wanted));
    }
    buf_done(&out);
}

/* ---- the texts ---- */

static bool is_noun(struct slice name)
{
    return slice_starts(name, SLICE("noun "));
}

/* Whether all placeholders of one text stand in the other. */
static void assert_has_all(struct slice section, struct slice one, struct slice other)
{
    struct slice name, noun;
    while (guide_placeholder(&one, &name, &noun)) {
        struct slice rest = other, other_name, other_noun;
        bool found = false;
        while (guide_placeholder(&rest, &other_name, &other_noun))
            found |= slice_eq(name, other_name) && slice_eq(noun, other_noun);
        if (!found)
            fail_msg("%.*s: {%.*s} is in one language only", SLICE_FMT(section), SLICE_FMT(name));
    }
}

static void assert_same(enum lang lang, enum lang other)
{
    size_t cursor = 0, count = 0;
    struct slice name, text, there;
    while (guide_next(lang, &cursor, &name, &text)) {
        count++;
        assert_true(utf8_valid(text));
        assert_true(text.len > 0);
        if (guide_section(other, name, &there))
            fail_msg("%.*s is in one language only", SLICE_FMT(name));
        size_t again = cursor;
        struct slice later, ignored;
        while (guide_next(lang, &again, &later, &ignored))
            assert_false(slice_eq(later, name)); /* each once */
        if (!is_noun(name))
            assert_has_all(name, text, there);
    }
    assert_true(count > 80);
}

static void both_languages_have_the_same_sections(void **state)
{
    (void)state;
    assert_same(LANG_EN, LANG_AR);
    assert_same(LANG_AR, LANG_EN);
}

static bool has_form(struct slice text, const char *form)
{
    struct slice line, key;
    while (slice_cut(&text, '\n', &line))
        if (slice_cut(&line, '=', &key) && slice_eq(slice_trim(key), slice_of(form)))
            return slice_trim(line).len > 0;
    return false;
}

static void every_noun_has_every_form(void **state)
{
    (void)state;
    for (int lang = LANG_EN; lang <= LANG_AR; lang++) {
        size_t cursor = 0;
        struct slice name, text;
        while (guide_next((enum lang)lang, &cursor, &name, &text))
            for (unsigned plural = 0; plural < PLURAL_COUNT && is_noun(name); plural++) {
                bool wanted = lang == LANG_AR || plural == PLURAL_ONE || plural == PLURAL_OTHER;
                if (has_form(text, plural_name((enum plural)plural)) != wanted)
                    fail_msg("%.*s, %s", SLICE_FMT(name), plural_name((enum plural)plural));
            }
    }
}

/* A line that is to be copied is the same for everybody, and has no marks in it. */
static void lines_to_copy_are_the_same(void **state)
{
    (void)state;
    size_t cursor = 0;
    struct slice name, text, there;
    while (guide_next(LANG_EN, &cursor, &name, &text)) {
        if (is_noun(name))
            continue;
        assert_ok(guide_section(LANG_AR, name, &there));
        struct slice line, other;
        while (slice_cut(&text, '\n', &line) && slice_cut(&there, '\n', &other)) {
            bool copied = slice_starts(line, SLICE("    "));
            assert_int_equal(copied, slice_starts(other, SLICE("    ")));
            if (copied) {
                assert_slice("copied", line, other);
                assert_true(slice_is_ascii(line));
            }
        }
        assert_int_equal(text.len, 0);
        assert_int_equal(there.len, 0);
    }
}

TEST_MAIN(cmocka_unit_test(plural_forms), cmocka_unit_test(values_are_put_in),
    cmocka_unit_test(a_direction_of_its_own_is_isolated), cmocka_unit_test(nouns_take_their_form),
    cmocka_unit_test(what_is_copied_stays_a_name), cmocka_unit_test(what_cannot_be_filled_in),
    cmocka_unit_test(sizes), cmocka_unit_test(long_lines_are_folded),
    cmocka_unit_test(both_languages_have_the_same_sections),
    cmocka_unit_test(every_noun_has_every_form), cmocka_unit_test(lines_to_copy_are_the_same))
