/* Dates of IMAP. Calendar arithmetic of the proleptic Gregorian calendar, years 1 to 9999; no locale, no system zone. */
#include "proto/imap/imap_date.h"

#include <string.h>

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
    "Oct", "Nov", "Dec" };

static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static void civil_from_days(int64_t z, int *out_y, int *out_m, int *out_d)
{
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *out_d = (int)(doy - (153 * mp + 2) / 5 + 1);
    *out_m = (int)(mp < 10 ? mp + 3 : mp - 9);
    *out_y = (int)(yoe + era * 400 + (*out_m <= 2));
}

static enum err two(struct slice s, size_t at, uint64_t max, uint64_t *out)
{
    return slice_to_u64(slice_sub(s, at, 2), max, out);
}

/* day "-" month "-" year */
enum err imap_date_read(struct slice text, int64_t *out_days)
{
    size_t dash = slice_index(text, '-');
    uint64_t day, year;
    if (dash < 1 || dash > 2 || text.len != dash + 9 || text.ptr[dash + 4] != '-')
        return ERR_SYNTAX;
    if (slice_to_u64(slice_sub(text, 0, dash), 31, &day) != ERR_OK || day == 0 ||
        slice_to_u64(slice_sub(text, dash + 5, 4), 9999, &year) != ERR_OK || year == 0)
        return ERR_SYNTAX;
    int month = 0;
    while (month < 12 && !slice_eq_nocase(slice_sub(text, dash + 1, 3), slice_of(months[month])))
        month++;
    if (month == 12)
        return ERR_SYNTAX;
    int64_t days = days_from_civil((int64_t)year, month + 1, (int64_t)day);
    int y, m, d;
    civil_from_days(days, &y, &m, &d);
    if (m != month + 1 || d != (int)day)
        return ERR_SYNTAX;
    *out_days = days;
    return ERR_OK;
}

enum err imap_datetime_read(struct slice text, int64_t *out_s, int32_t *out_tz_min)
{
    if (text.len != 26 || text.ptr[11] != ' ' || text.ptr[14] != ':' || text.ptr[17] != ':' ||
        text.ptr[20] != ' ')
        return ERR_SYNTAX;
    struct slice date = slice_sub(text, 0, 11);
    if (date.ptr[0] == ' ')
        date = slice_from_index(date, 1);
    int64_t days;
    uint64_t hour, minute, second, zone_h, zone_m;
    char sign = text.ptr[21];
    if (imap_date_read(date, &days) != ERR_OK || two(text, 12, 23, &hour) != ERR_OK ||
        two(text, 15, 59, &minute) != ERR_OK || two(text, 18, 60, &second) != ERR_OK ||
        two(text, 22, 23, &zone_h) != ERR_OK || two(text, 24, 59, &zone_m) != ERR_OK ||
        (sign != '+' && sign != '-'))
        return ERR_SYNTAX;
    int32_t zone = (int32_t)(zone_h * 60 + zone_m);
    *out_tz_min = sign == '-' ? -zone : zone;
    *out_s = days * 86400 + (int64_t)(hour * 3600 + minute * 60 + second) - *out_tz_min * 60;
    return ERR_OK;
}

static void put(char *at, int number, int width)
{
    while (width--) {
        at[width] = (char)('0' + number % 10);
        number /= 10;
    }
}

int64_t imap_date_day(int64_t utc_s, int32_t tz_min)
{
    int64_t local = utc_s + (int64_t)tz_min * 60;
    return local >= 0 ? local / 86400 : -((86399 - local) / 86400);
}

void imap_datetime_write(struct buf *out, int64_t utc_s, int32_t tz_min)
{
    int64_t day = imap_date_day(utc_s, tz_min);
    int64_t second = utc_s + (int64_t)tz_min * 60 - day * 86400;
    int y, m, d;
    civil_from_days(day, &y, &m, &d);
    int zone = tz_min < 0 ? -tz_min : tz_min;
    char text[28] = "\"01-Jan-1970 00:00:00 +0000\"";
    put(text + 1, d, 2);
    memcpy(text + 4, months[m - 1], 3);
    put(text + 8, y, 4);
    put(text + 13, (int)(second / 3600), 2);
    put(text + 16, (int)(second / 60 % 60), 2);
    put(text + 19, (int)(second % 60), 2);
    text[22] = tz_min < 0 ? '-' : '+';
    put(text + 23, zone / 60, 2);
    put(text + 25, zone % 60, 2);
    buf_add(out, slice_from(text, sizeof text));
}
