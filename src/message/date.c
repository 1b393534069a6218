/* Dates of RFC 5322 §3.3, with the obsolete forms of §4.3 and what mail programs have made of them: two-digit years, zone
 * names, missing seconds, missing weekday, asctime order, comments anywhere. */
#include "message/address.h"
#include "message/lex.h"

#include <stdio.h>
#include <string.h>

static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
    "Sep", "Oct", "Nov", "Dec" };
static const char weekday_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

/* Days from 1970-01-01 to a date of the Gregorian calendar; month 1 to 12. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + (int64_t)day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *out_year, unsigned *out_month, unsigned *out_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153;
    *out_day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *out_month = shifted < 10 ? shifted + 3 : shifted - 9;
    *out_year = (int64_t)year_of_era + era * 400 + (*out_month <= 2);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 1 to 6 digits. */
static bool read_number(struct lex *lex, unsigned *out_number, unsigned *out_digits)
{
    unsigned number = 0, digits = 0;
    while (digits < 6 && is_digit(lex_peek(lex))) {
        number = number * 10 + (unsigned)(lex_peek(lex) - '0');
        digits++;
        lex_skip(lex, 1);
    }
    if (!digits || is_digit(lex_peek(lex)))
        return false;
    *out_number = number;
    *out_digits = digits;
    return true;
}

static struct slice read_word(struct lex *lex)
{
    size_t len = 0;
    while (len < lex->rest.len && is_alpha(lex->rest.ptr[len]))
        len++;
    struct slice word = slice_sub(lex->rest, 0, len);
    lex_skip(lex, len);
    return word;
}

/* 1 to 12, or 0. Longer names count by their first three letters. */
static unsigned month_of(struct slice word)
{
    for (unsigned i = 0; word.len >= 3 && i < 12; i++) {
        if (slice_eq_nocase(slice_sub(word, 0, 3), slice_of(month_names[i])))
            return i + 1;
    }
    return 0;
}

static bool is_weekday(struct slice word)
{
    for (unsigned i = 0; word.len >= 3 && i < 7; i++) {
        if (slice_eq_nocase(slice_sub(word, 0, 3), slice_of(weekday_names[i])))
            return true;
    }
    return false;
}

/* Blanks, comments, and the punctuation found between the parts of a date. */
static void skip_between(struct lex *lex)
{
    for (;;) {
        lex_cfws(lex, NULL);
        char c = lex_peek(lex);
        if (c != ',' && c != '.' && c != '-')
            return;
        lex_skip(lex, 1);
    }
}

/* zone = (+|-)HHMM / obs-zone (RFC 5322 §4.3). What is not known counts as -0000, UTC. */
static int32_t read_zone(struct lex *lex)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = { { "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 }, { "MST", -7 },
        { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 }, { "CET", 1 }, { "MET", 1 }, { "CEST", 2 },
        { "MEST", 2 }, { "BST", 1 }, { "EET", 2 }, { "EEST", 3 }, { "MSK", 3 }, { "JST", 9 } };
    lex_cfws(lex, NULL);
    char sign = lex_peek(lex);
    if (sign == '+' || sign == '-') {
        lex_skip(lex, 1);
        unsigned number, digits;
        if (!read_number(lex, &number, &digits))
            return 0;
        unsigned hours = digits <= 2 ? number : number / 100;
        unsigned minutes = digits <= 2 ? 0 : number % 100;
        if (digits <= 2 && lex_peek(lex) == ':') { /* "+02:00", as ISO 8601 has it */
            lex_skip(lex, 1);
            if (!read_number(lex, &minutes, &digits))
                minutes = 0;
        }
        if (hours > 23 || minutes > 59)
            return 0;
        int32_t offset = (int32_t)(hours * 60 + minutes);
        return sign == '-' ? -offset : offset;
    }
    struct slice word = read_word(lex);
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        if (slice_eq_nocase(word, slice_of(zones[i].name)))
            return zones[i].hours * 60;
    }
    return 0;
}

struct date {
    unsigned year, year_digits, month, day, hour, minute, second;
    bool no_time; /* something stands where the time of day should, and is none */
};

/* time-of-day = hour ":" minute [ ":" second ], also with dots; of any numbers, see time_fits. */
static bool read_time(struct lex *lex, struct date *date)
{
    unsigned digits;
    if (!read_number(lex, &date->hour, &digits) || digits > 2)
        return false;
    lex_cfws(lex, NULL);
    if (lex_peek(lex) != ':' && lex_peek(lex) != '.')
        return false;
    lex_skip(lex, 1);
    lex_cfws(lex, NULL);
    if (!read_number(lex, &date->minute, &digits) || digits > 2)
        return false;
    struct lex before = *lex;
    lex_cfws(lex, NULL);
    if (lex_peek(lex) == ':' || lex_peek(lex) == '.') {
        lex_skip(lex, 1);
        lex_cfws(lex, NULL);
        if (!read_number(lex, &date->second, &digits) || digits > 2)
            return false;
    } else {
        *lex = before;
    }
    struct lex meridiem = *lex; /* "6:07:53 PM" */
    lex_cfws(&meridiem, NULL);
    struct slice word = read_word(&meridiem);
    if (slice_eq_nocase(word, SLICE("PM")) || slice_eq_nocase(word, SLICE("AM"))) {
        if (date->hour >= 1 && date->hour <= 12)
            date->hour = date->hour % 12 + (ascii_lower(word.ptr[0]) == 'p' ? 12 : 0);
        *lex = meridiem;
    }
    return true;
}

static bool time_fits(const struct date *date)
{
    return !date->no_time && date->hour <= 24 && date->minute <= 59 && date->second <= 60;
}

static bool days_fit(const struct date *date)
{
    static const unsigned char month_days[12] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return date->month >= 1 && date->month <= 12 && date->day >= 1 &&
           date->day <= month_days[date->month - 1];
}

/* "25 Nov 2026 04:45:01 +0000" and "Nov 25 04:45:01 2026" (asctime). */
static bool read_date(struct lex *lex, struct date *date, int32_t *out_zone)
{
    unsigned digits;
    bool month_first = is_alpha(lex_peek(lex));
    if (month_first) {
        date->month = month_of(read_word(lex));
        skip_between(lex);
        if (!read_number(lex, &date->day, &digits))
            return false;
    } else {
        if (!read_number(lex, &date->day, &digits))
            return false;
        skip_between(lex);
        date->month = month_of(read_word(lex));
    }
    skip_between(lex);
    struct lex before = *lex;
    if (!read_number(lex, &date->year, &date->year_digits))
        return false;
    if (month_first && lex_peek(lex) == ':') {
        *lex = before;
        if (!read_time(lex, date))
            return false;
        *out_zone = 0;
        lex_cfws(lex, NULL);
        if (!is_digit(lex_peek(lex)))
            *out_zone = read_zone(lex);
        lex_cfws(lex, NULL);
        return read_number(lex, &date->year, &date->year_digits);
    }
    skip_between(lex);
    if (lex_end(lex)) { /* a date without a time of day: midnight UTC */
        *out_zone = 0;
        return true;
    }
    date->no_time = !read_time(lex, date);
    *out_zone = date->no_time ? 0 : read_zone(lex);
    return true;
}

/* The day, with its year in full, and what is there of a time of day. */
static bool read_value(struct slice value, struct date *date, int32_t *out_zone)
{
    struct lex lex = { .rest = value };
    skip_between(&lex);
    struct lex before = lex;
    struct slice word = read_word(&lex);
    if (is_weekday(word))
        skip_between(&lex);
    else
        lex = before;
    if (!read_date(&lex, date, out_zone) || !days_fit(date))
        return false;
    /* RFC 5322 §4.3: two digits below 50 are 20xx, other two and three digits count from 1900 */
    if (date->year_digits <= 2)
        date->year += date->year < 50 ? 2000 : 1900;
    else if (date->year_digits == 3)
        date->year += 1900;
    return date->year <= 9999;
}

bool msg_date(struct slice value, int64_t *out_s, int32_t *out_tz_min)
{
    struct date date = { 0 };
    int32_t zone;
    if (!read_value(value, &date, &zone) || !time_fits(&date))
        return false;
    int64_t seconds = days_from_civil(date.year, date.month, date.day) * 86400 +
                      (int64_t)date.hour * 3600 + date.minute * 60 + date.second;
    *out_s = seconds - (int64_t)zone * 60;
    *out_tz_min = zone;
    return true;
}

bool msg_date_day(struct slice value, int64_t *out_s)
{
    struct date date = { 0 };
    int32_t zone;
    if (!read_value(value, &date, &zone))
        return false;
    *out_s = days_from_civil(date.year, date.month, date.day) * 86400;
    return true;
}

size_t msg_date_write(int64_t utc_s, char *out)
{
    if (utc_s < 0)
        utc_s = 0;
    if (utc_s > INT64_C(253402300799)) /* 9999-12-31 */
        utc_s = INT64_C(253402300799);
    int64_t days = utc_s / 86400, rest = utc_s % 86400, year;
    unsigned month, day;
    civil_from_days(days, &year, &month, &day);
    int len = snprintf(out, 32, "%s, %02u %s %04u %02u:%02u:%02u +0000",
        weekday_names[(days + 4) % 7], day, month_names[month - 1], (unsigned)year % 10000u,
        (unsigned)(rest / 3600), (unsigned)(rest / 60 % 60), (unsigned)(rest % 60));
    return (size_t)len;
}
