/* Dates of IMAP (RFC 3501 §9 "date", "date-time"). */
#ifndef PROTO_IMAP_DATE_H
#define PROTO_IMAP_DATE_H

#include "base/buf.h"

/* "1-Feb-2024": days since 1970-01-01. ERR_SYNTAX for a day that the calendar does not have. */
enum err MUST_USE imap_date_read(struct slice text, int64_t *out_days);
/* " 1-Feb-2024 10:00:00 +0200" without its quotes: seconds UTC and the zone. ERR_SYNTAX. */
enum err MUST_USE imap_datetime_read(struct slice text, int64_t *out_s, int32_t *out_tz_min);
/* With quotes. */
void imap_datetime_write(struct buf *out, int64_t utc_s, int32_t tz_min);
/* The calendar day, counted from 1970-01-01, on which a moment lies in its own zone (SEARCH disregards time and zone). */
int64_t imap_date_day(int64_t utc_s, int32_t tz_min);

#endif
