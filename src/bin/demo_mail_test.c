#include "base/test.h"

#include "base/utf8.h"
#include "bin/demo_mail.h"

static void every_message_is_whole(void **state)
{
    (void)state;
    size_t cursor = 0, count = 0;
    int64_t age_before = INT64_MAX;
    struct slice folder_before = SLICE_EMPTY;
    struct demo_mail mail;
    while (demo_mail_next(&cursor, &mail)) {
        count++;
        assert_true(
            slice_eq(mail.account, SLICE("salma")) || slice_eq(mail.account, SLICE("omar")));
        assert_true(mail.folder.len > 0);
        assert_true(utf8_valid(mail.folder));
        assert_true(mail.age_s > 0);
        assert_true(mail.message.len > 200);
        /* every line end is CRLF, and the message ends with one */
        for (size_t i = 0; i < mail.message.len; i++) {
            unsigned char c = slice_at(mail.message, i);
            assert_true(c != 0);
            if (c == '\n') {
                assert_true(i > 0);
                assert_true(slice_at(mail.message, i - 1) == '\r');
            }
            if (c == '\r')
                assert_true(i + 1 < mail.message.len && slice_at(mail.message, i + 1) == '\n');
        }
        assert_true(slice_ends_nocase(mail.message, SLICE("\r\n")));
        assert_true(slice_find(mail.message, SLICE("\r\n\r\n")) != SIZE_MAX);
        assert_true(slice_find_nocase(mail.message, SLICE("Message-ID: <")) != SIZE_MAX);
        if (slice_eq(mail.folder, folder_before))
            assert_true(mail.age_s <= age_before);
        folder_before = mail.folder;
        age_before = mail.age_s;
    }
    assert_true(count >= 36);
}

TEST_MAIN(cmocka_unit_test(every_message_is_whole))
