/* Bytes as a date. Oracles: the zone is one of this world; a date that is written out is read again as the same. */
#include "message/address.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define ZONE_MIN_MAX (24 * 60)
#define YEAR_10000_S INT64_C(253402300800)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    int64_t date_s, again_s;
    int32_t tz_min, again_tz;
    if (!msg_date(slice_from(bytes, len), &date_s, &tz_min))
        return 0;
    int64_t day_s;
    bool has_day = msg_date_day(slice_from(bytes, len), &day_s);
    assert(has_day); /* and the moment is in it, or near it: a zone has less than a day */
    assert(date_s - day_s > -86400 && date_s - day_s < 3 * 86400);
    assert(tz_min > -ZONE_MIN_MAX && tz_min < ZONE_MIN_MAX);
    if (date_s < 0 || date_s >= YEAR_10000_S)
        return 0;
    char text[32];
    size_t text_len = msg_date_write(date_s, text);
    assert(text_len < sizeof text);
    bool parsed = msg_date(slice_from(text, text_len), &again_s, &again_tz);
    assert(parsed);
    assert(again_s == date_s);
    assert(again_tz == 0);
    return 0;
}
