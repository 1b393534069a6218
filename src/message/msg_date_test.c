#include "message/address.h"

#include "base/test.h"

#include <string.h>

static void dates(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        long long s; /* -1: no date */
        int tz;
    } rows[] = {
        { "Wed, 25 Nov 2026 04:45:01 +0000", 1795581901, 0 },
        { "Wed, 25 Nov 2026 07:45:01 +0300", 1795581901, 180 },
        { "25 Nov 2026 04:45 -0000", 1795581900, 0 },
        { "26 Nov 2026 04:44 +2359", 1795581900, 1439 },
        { "25 Nov 2026 04:45 -2400", 1795581900, 0 }, /* no zone of this world */
        { "25 Nov 2026 04:45 +0060", 1795581900, 0 },
        { " Tue, 24 Nov 2026 23:45:01 -0500 (EST)", 1795581901, -300 },
        { "Tue, 24 Nov 2026 23:45:01 EST", 1795581901, -300 },
        { "Wed, 25 Nov 26 04:45:01 GMT", 1795581901, 0 },
        { "Fri, 21 Nov 97 09:55:06 -0600", 880127706, -360 },
        { "Fri, 21 Nov 097 09:55:06 -0600", 880127706, -360 },
        { "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706, -360 },
        { "Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)", -27723480, -210 },
        { "Fri Nov 21 09:55:06 1997", 880106106, 0 },
        { "Fri Nov 21 09:55:06 EST 1997", 880124106, -300 },
        { "21-Nov-1997 09:55:06 -0600", 880127706, -360 },
        { "Friday, 21 November 1997 09:55:06 -0600", 880127706, -360 },
        { "Thu, 01 Jan 1970 00:00:00 +0000", 0, 0 },
        { "Sat, 31 Dec 2016 23:59:60 +0000", 1483228800, 0 },
        { "Mon, 29 Feb 2016 00:00:00 +0000", 1456704000, 0 },
        { "Fri, 31 Dec 9999 23:59:59 +0000", 253402300799, 0 },
        { "Wed, 25 Nov 2026 04:45:01 +05:30", 1795562101, 330 },
        { "Wed, 25 Nov 2026 04:45:01", 1795581901, 0 },
        { "25 Nov 2026", 1795564800, 0 },
        { "", -1, 0 },
        { "nonsense", -1, 0 },
        { "Wed, 32 Nov 2026 04:45:01 +0000", -1, 0 },
        { "Wed, 30 Feb 2026 04:45:01 +0000", -1, 0 },
        { "Wed, 25 Nox 2026 04:45:01 +0000", -1, 0 },
        { "Wed, 25 Nov 2026 25:45:01 +0000", -1, 0 },
        { "Wed, 25 Nov 2026 04:60:01 +0000", -1, 0 },
        { "Wed, 25 Nov 99999 04:45:01 +0000", -1, 0 },
        { "Wed, 25 Nov 2026 :", -1, 0 },
        { "((((((", -1, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t s = -1;
        int32_t tz = 0;
        bool got = msg_date(slice_of(rows[i].value), &s, &tz);
        if (got != (rows[i].s != -1) || s != rows[i].s || tz != rows[i].tz)
            fail_msg("%s: %d %lld %d", rows[i].value, got, (long long)s, (int)tz);
    }
}

/* What has no date, and may have a day. */
static void days(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        long long s; /* -1: no day */
    } rows[] = {
        { "Wed, 1 Jan 2020 99:00:00 +0000", 1577836800 },
        { "Wed, 1 Jan 2020 99:00:00 +0300", 1577836800 },
        { "Wed, 1 Jan 2020 12:60:00 +0000", 1577836800 },
        { "Wed, 1 Jan 20 12:00:61", 1577836800 },
        { "Wed, 1 Jan 2020 123:00", 1577836800 },
        { "Wed, 1 Jan 2020 noon", 1577836800 },
        { "Wed, 1 Jan 2020 :", 1577836800 },
        { "Wed Jan 1 99:00:00 2020", 1577836800 },
        { "Wed, 32 Jan 2020 99:00:00 +0000", -1 },
        { "Wed, 1 Jax 2020 99:00:00 +0000", -1 },
        { "Wed, 1 Jan 99999 99:00:00 +0000", -1 },
        { "99:00:00", -1 },
        { "", -1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t s = -1, whole_s;
        int32_t tz;
        bool got = msg_date_day(slice_of(rows[i].value), &s);
        if (got != (rows[i].s != -1) || s != rows[i].s)
            fail_msg("%s: %d %lld", rows[i].value, got, (long long)s);
        assert_false(msg_date(slice_of(rows[i].value), &whole_s, &tz));
    }
}

static void written(void **state)
{
    (void)state;
    char out[32];
    size_t len = msg_date_write(1795581901, out);
    assert_slice("now", slice_from(out, len), SLICE("Wed, 25 Nov 2026 04:45:01 +0000"));
    len = msg_date_write(0, out);
    assert_slice("epoch", slice_from(out, len), SLICE("Thu, 01 Jan 1970 00:00:00 +0000"));
    len = msg_date_write(INT64_MIN, out);
    assert_slice("before", slice_from(out, len), SLICE("Thu, 01 Jan 1970 00:00:00 +0000"));
    len = msg_date_write(INT64_MAX, out);
    assert_slice("after", slice_from(out, len), SLICE("Fri, 31 Dec 9999 23:59:59 +0000"));
    for (int64_t s = 0; s < INT64_C(253402300799); s += 86400 * 37 + 12345) {
        int64_t back;
        int32_t tz;
        len = msg_date_write(s, out);
        assert_true(msg_date(slice_from(out, len), &back, &tz));
        assert_int_equal(back, s);
    }
}

TEST_MAIN(cmocka_unit_test(dates), cmocka_unit_test(days), cmocka_unit_test(written))
