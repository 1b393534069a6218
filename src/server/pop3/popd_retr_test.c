/* What RETR reads ahead. */
#include "server/pop3/popd_int.h"

#include "base/test.h"

static void only_what_is_in_the_list(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct {
            int64_t mailbox;
            uint32_t uid;
        } messages[6];
        const char *wanted;
    } rows[] = {
        { "one after the other", { { 1, 4 }, { 1, 5 }, { 1, 6 } }, "4:6" },
        { "others lie between", { { 1, 4 }, { 1, 6 }, { 1, 9 }, { 1, 10 } }, "4,6,9:10" },
        { "another mailbox", { { 1, 4 }, { 1, 5 }, { 2, 6 }, { 1, 7 } }, "4:5" },
        { "another order", { { 1, 4 }, { 1, 8 }, { 1, 5 } }, "4,8" },
        { "alone", { { 1, 4 } }, "4" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct popd_message messages[6] = { 0 };
        struct uidset set;
        struct buf text;
        size_t count = 0;
        for (; count < 6 && rows[i].messages[count].uid; count++) {
            messages[count].mailbox = rows[i].messages[count].mailbox;
            messages[count].entry.uid = rows[i].messages[count].uid;
        }
        uidset_init(&set);
        buf_init(&text, 0);
        popd_ahead(messages, messages + count, &set);
        uidset_write(&set, &text);
        assert_slice(rows[i].name, buf_slice(&text), slice_of(rows[i].wanted));
        uidset_done(&set);
        buf_done(&text);
    }
}

static void no_more_than_fit(void **state)
{
    (void)state;
    static struct popd_message messages[1000];
    struct uidset set;
    uidset_init(&set);
    for (uint32_t i = 0; i < 1000; i++)
        messages[i].entry.uid = i + 1;
    popd_ahead(messages, messages + 1000, &set);
    assert_int_equal(uidset_members(&set), 64);
    uidset_done(&set);
}

TEST_MAIN(cmocka_unit_test(only_what_is_in_the_list), cmocka_unit_test(no_more_than_fit))
