/* A person's words as a SEARCH program, folder names, flags. */
#include "base/test.h"
#include "client/imap/imapc_mail.h"

#include <stdlib.h>
#include <string.h>

static void words_become_keys(void **state)
{
    static const struct {
        const char *word, *text;
        size_t literals;
    } rows[] = {
        { "hello", "TEXT \"hello\"", 0 },
        { "two words", "TEXT \"two words\"", 0 },
        { "from:a\"b", "FROM \"a\\\"b\"", 0 },
        { "FROM:x", "FROM \"x\"", 0 },
        { "UNSEEN", "UNSEEN", 0 },
        { "unseen:", "TEXT \"unseen:\"", 0 },
        { "since:2026-11-01", "SINCE 1-Nov-2026", 0 },
        { "before:2024-02-29", "BEFORE 29-Feb-2024", 0 },
        { "larger:20K", "LARGER 20480", 0 },
        { "smaller:1m", "SMALLER 1048576", 0 },
        { "larger:3G", "LARGER 3221225472", 0 },
        { "keyword:$Junk", "KEYWORD $Junk", 0 },
        { "subject:بريد", "SUBJECT بريد", 1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct imapc_query query;
        const char *bad = NULL;
        char *words[] = { mem_strdup(rows[i].word) };
        assert_int_equal(imapc_query_make(&query, words, 1, &bad), ERR_OK);
        buf_addc(&query.text, '\0');
        assert_string_equal(buf_slice(&query.text).ptr, rows[i].text);
        assert_int_equal(query.count, rows[i].literals);
        assert_int_equal(query.utf8, rows[i].literals > 0);
        if (query.count) {
            assert_int_equal(query.literals[0].at, 8);
            assert_int_equal(query.literals[0].len, strlen("بريد"));
        }
        imapc_query_done(&query);
        free(words[0]);
    }
}

static void bad_words_are_named(void **state)
{
    static const struct {
        const char *word;
        enum err e;
    } rows[] = {
        { "", ERR_SYNTAX },
        { "from:", ERR_SYNTAX },
        { "since:2026-02-30", ERR_SYNTAX },
        { "since:2026-13-01", ERR_LIMIT },
        { "since:tomorrow", ERR_SYNTAX },
        { "larger:", ERR_SYNTAX },
        { "larger:4G", ERR_LIMIT },
        { "larger:-1", ERR_SYNTAX },
        { "keyword:a b", ERR_SYNTAX },
        { "keyword:\\Seen", ERR_SYNTAX },
        { "body:\xff", ERR_SYNTAX },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct imapc_query query;
        const char *bad = NULL;
        char *words[] = { mem_strdup("unseen"), mem_strdup(rows[i].word) };
        assert_int_equal(imapc_query_make(&query, words, 2, &bad), rows[i].e);
        assert_ptr_equal(bad, words[1]);
        imapc_query_done(&query);
        free(words[0]);
        free(words[1]);
    }
}

static void too_many_words_are_refused(void **state)
{
    struct imapc_query query;
    const char *bad = NULL;
    char word[] = "unseen";
    char *words[IMAPC_QUERY_WORDS_MAX + 1];
    (void)state;
    for (size_t i = 0; i < IMAPC_QUERY_WORDS_MAX + 1; i++)
        words[i] = word;
    assert_int_equal(imapc_query_make(&query, words, IMAPC_QUERY_WORDS_MAX, &bad), ERR_OK);
    imapc_query_done(&query);
    assert_int_equal(imapc_query_make(&query, words, IMAPC_QUERY_WORDS_MAX + 1, &bad), ERR_LIMIT);
    imapc_query_done(&query);
}

static void folders_have_names_there(void **state)
{
    static const struct {
        const char *prefix;
        char delimiter;
        const char *name, *far_name; /* NULL: it cannot be one */
    } rows[] = {
        { "", '/', "Work/2026", "Work/2026" },
        { "", '.', "Work/2026", "Work.2026" },
        { "", '.', "Work.2026", NULL },
        { "INBOX.", '.', "Work/2026", "INBOX.Work.2026" },
        { "INBOX.", '.', "INBOX.Work", "INBOX.Work" },
        { "INBOX.", '.', "inbox", "inbox" },
        { "", '/', "العمل", "&BicGRAY5BkUGRA-" },
        { "", '\0', "Work", "Work" },
        { "", '\0', "Work/2026", NULL },
        { "", '/', "a//b", NULL },
        { "", '/', "a/", NULL },
        { "", '/', "", NULL },
        { "", '/', "a\nb", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct imapc_folders folders = { .prefix = mem_strdup(rows[i].prefix),
            .delimiter = rows[i].delimiter };
        struct buf out;
        buf_init(&out, 0);
        enum err e = imapc_far_name(&folders, slice_of(rows[i].name), &out);
        assert_int_equal(e, rows[i].far_name ? ERR_OK : ERR_SYNTAX);
        if (rows[i].far_name)
            assert_true(slice_eq(buf_slice(&out), slice_of(rows[i].far_name)));
        buf_done(&out);
        imapc_folders_done(&folders);
    }
}

static void flags_are_atoms(void **state)
{
    (void)state;
    assert_true(imapc_flag_ok(SLICE("\\Seen")));
    assert_true(imapc_flag_ok(SLICE("$Junk")));
    assert_false(imapc_flag_ok(SLICE("")));
    assert_false(imapc_flag_ok(SLICE("\\")));
    assert_false(imapc_flag_ok(SLICE("a b")));
    assert_false(imapc_flag_ok(SLICE("a)")));
    assert_false(imapc_flag_ok(SLICE("a\r")));
    assert_false(imapc_flag_ok(SLICE("بريد")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_keys),
        cmocka_unit_test(bad_words_are_named),
        cmocka_unit_test(too_many_words_are_refused),
        cmocka_unit_test(folders_have_names_there),
        cmocka_unit_test(flags_are_atoms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
