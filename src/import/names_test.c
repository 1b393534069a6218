#include "import/names.h"

#include "base/test.h"
#include "store/store.h"

static void folders(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        char separator;
        const char *wanted;
    } rows[] = {
        { "Sent", '.', "Sent" },
        { "Work.Old.2019", '.', "Work/Old/2019" },
        { "Sent Messages", '.', "Sent Messages" },
        { "&BjEGMwYnBiYGRA-", '.', "رسائل" },
        { "رسائل", '.', "رسائل" },
        { "R&D", '.', "R&D" },
        { "a..b.", '.', "a/b" },
        { "a\x80\x01z", '.', "a??z" },
        { "a.b", '/', "a.b" },
        { "a/b", '.', "a?b" },
        { "Work/Old", '/', "Work/Old" },
        { "", '.', "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        import_folder_name(slice_of(rows[i].name), rows[i].separator, &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].wanted));
        buf_done(&out);
    }
}

static void exported_folders(void **state)
{
    (void)state;
    static const struct {
        const char *name, *wanted;
    } rows[] = {
        { "Work/2026", "Work/2026" },
        { "رسائل", "رسائل" },
        { "%2E./%2Ehidden/%63ur", "../.hidden/cur" },
        { "100%25", "100%" },
        { "R%26D", "R&D" },
        { "%&bad", "&bad" },
        { "a%2Fb%0A", "a?b?" },
        { "%FF", "?" },
        { "&BjEGMwYnBiYGRA-", "&BjEGMwYnBiYGRA-" },
        { "long%~0123", "long%~0123" },
        { "a/%/b%2", "a/%/b%2" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        import_exported_name(slice_of(rows[i].name), &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].wanted));
        buf_done(&out);
    }
}

static void files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t at;
        unsigned system;
        uint32_t letters;
        bool forwarded;
    } rows[] = {
        { "1276528487.M364837P9451.host,S=1355:2,", 1276528487, 0, 0, false },
        { "1276528487.M1.host:2,DFPRSTac", 1276528487, 0x1f, 5, true },
        { "1276528487.M1.host", 1276528487, 0, 0, false },
        { "1276528487.M1.host:1,S", 1276528487, 0, 0, false },
        { "S:2,S", 0, STORE_SEEN, 0, false },
        { "99999999999.x:2,z", 0, 0, 1u << 25, false },
        { "", 0, 0, 0, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice name = slice_of(rows[i].name);
        struct import_name_flags flags = import_name_flags(name);
        if (import_name_time(name) != rows[i].at || flags.system != rows[i].system ||
            flags.letters != rows[i].letters || flags.forwarded != rows[i].forwarded)
            fail_msg("%s", rows[i].name);
    }
}

static void keywords(void **state)
{
    (void)state;
    unsigned letter = 99;
    struct slice name;
    assert_ok(import_keyword_line(SLICE("2 $Label1"), &letter, &name));
    assert_int_equal(letter, 2);
    assert_slice("name", name, SLICE("$Label1"));
    assert_err(ERR_LIMIT, import_keyword_line(SLICE("26 x"), &letter, &name));
    assert_err(ERR_SYNTAX, import_keyword_line(SLICE("x y"), &letter, &name));
    assert_err(ERR_SYNTAX, import_keyword_line(SLICE("1 "), &letter, &name));
    assert_err(ERR_SYNTAX, import_keyword_line(SLICE("1"), &letter, &name));
    assert_err(ERR_SYNTAX, import_keyword_line(SLICE(""), &letter, &name));
    assert_int_equal(letter, 2);
}

TEST_MAIN(cmocka_unit_test(folders), cmocka_unit_test(exported_folders), cmocka_unit_test(files),
    cmocka_unit_test(keywords))
