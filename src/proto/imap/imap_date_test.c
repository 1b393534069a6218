#include "base/test.h"

#include "proto/imap/imap_date.h"

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t day; /* -1: refused */
    } rows[] = {
        { "1-Jan-1970", 0 },
        { "01-jan-1970", 0 },
        { "29-Feb-2024", 19782 },
        { "25-Nov-2026", 20782 },
        { "29-Feb-2023", -1 },
        { "99-Feb-2024", -1 },
        { "31-Apr-2024", -1 },
        { "0-Jan-2024", -1 },
        { "1-Foo-2024", -1 },
        { "1-Jan-24", -1 },
        { "1-Jan-20244", -1 },
        { "-Jan-2024", -1 },
        { "1 Jan 2024", -1 },
        { "1-Jan-+024", -1 },
        { "", -1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t day = -1;
        enum err e = imap_date_read(slice_of(rows[i].text), &day);
        if (day != rows[i].day || (e == ERR_OK) != (rows[i].day >= 0))
            fail_msg("%s: %s, day %lld", rows[i].text, err_name(e), (long long)day);
    }
}

static void test_datetimes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t utc_s;
        int32_t tz_min;
    } rows[] = {
        { "01-Jan-1970 00:00:00 +0000", 0, 0 },
        { "25-Nov-2026 10:30:05 +0330", 20782LL * 86400 + 7 * 3600 + 5, 210 },
        { "31-Dec-1999 23:59:59 -1200", 946727999, -720 },
        { "28-Feb-1969 12:00:00 +0000", -26481600, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t utc_s;
        int32_t tz_min;
        assert_ok(imap_datetime_read(slice_of(rows[i].text), &utc_s, &tz_min));
        assert_int_equal(utc_s, rows[i].utc_s);
        assert_int_equal(tz_min, rows[i].tz_min);
        struct buf out;
        buf_init(&out, 0);
        imap_datetime_write(&out, utc_s, tz_min);
        assert_slice(rows[i].text, slice_sub(buf_slice(&out), 1, 26), slice_of(rows[i].text));
        buf_done(&out);
    }
    int64_t utc_s;
    int32_t tz_min;
    assert_ok(imap_datetime_read(SLICE(" 1-Jan-1970 00:00:00 +0000"), &utc_s, &tz_min));
    static const char *const refused[] = {
        "99-Feb-2024 00:00:00 +0000",
        "01-Jan-1970 24:00:00 +0000",
        "01-Jan-1970 00:60:00 +0000",
        "01-Jan-1970 00:00:00 0000",
        "01-Jan-1970 00:00:00 *0000",
        "01-Jan-1970T00:00:00 +0000",
        "1-Jan-1970 00:00:00 +0000",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (imap_datetime_read(slice_of(refused[i]), &utc_s, &tz_min) != ERR_SYNTAX)
            fail_msg("%s was taken", refused[i]);
    /* SEARCH looks at the day where the message came from. */
    assert_int_equal(imap_date_day(-1, 0), -1);
    assert_int_equal(imap_date_day(86399, 0), 0);
    assert_int_equal(imap_date_day(86399, 1), 1);
    assert_int_equal(imap_date_day(0, -1), -1);
}

TEST_MAIN(cmocka_unit_test(test_dates), cmocka_unit_test(test_datetimes))
