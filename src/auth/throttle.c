/* Groups of eight entries. An entry at level 0 is as good as free, so nothing is ever swept. */
#include "auth/throttle.h"

#include "base/arena.h"

#include <stdlib.h>

#define GROUP_ENTRIES  8u
#define DELAY_FIRST_MS 250

struct throttle_entry {
    struct throttle_key key;
    double level; /* at the time below */
    int64_t at_ms;
};

void throttle_init(struct throttle *throttle, size_t entries, double seconds_per_failure_forgiven)
{
    size_t groups = 1;
    while (groups * GROUP_ENTRIES < entries)
        groups *= 2;
    *throttle = (struct throttle){
        .entries = mem_zalloc(groups * GROUP_ENTRIES, sizeof(struct throttle_entry)),
        .groups = groups,
        .forgiven_per_ms = 1 / (seconds_per_failure_forgiven * 1000),
    };
}

void throttle_done(struct throttle *throttle)
{
    if (!throttle)
        return;
    free(throttle->entries);
    *throttle = (struct throttle){ 0 };
}

static struct throttle_entry *group_of(const struct throttle *throttle, struct throttle_key key)
{
    return throttle->entries + (key.half[0] & (throttle->groups - 1)) * GROUP_ENTRIES;
}

static double level_now(
    const struct throttle *throttle, const struct throttle_entry *entry, int64_t now_ms)
{
    double passed_ms = now_ms > entry->at_ms ? (double)(now_ms - entry->at_ms) : 0;
    double level = entry->level - passed_ms * throttle->forgiven_per_ms;
    return level > 0 ? level : 0;
}

static struct throttle_entry *find(const struct throttle *throttle, struct throttle_key key)
{
    struct throttle_entry *group = group_of(throttle, key);
    for (size_t i = 0; i < GROUP_ENTRIES; i++)
        if (group[i].level > 0 && group[i].key.half[0] == key.half[0] &&
            group[i].key.half[1] == key.half[1])
            return &group[i];
    return NULL;
}

double throttle_level(const struct throttle *throttle, struct throttle_key key, int64_t now_ms)
{
    const struct throttle_entry *entry = find(throttle, key);
    return entry ? level_now(throttle, entry, now_ms) : 0;
}

double throttle_add(
    struct throttle *throttle, struct throttle_key key, double weight, int64_t now_ms)
{
    struct throttle_entry *entry = find(throttle, key);
    double level = weight + (entry ? level_now(throttle, entry, now_ms) : 0);
    if (level <= 0) {
        if (entry)
            entry->level = 0;
        return 0;
    }
    if (!entry) {
        struct throttle_entry *group = group_of(throttle, key);
        entry = group;
        for (size_t i = 1; i < GROUP_ENTRIES; i++)
            if (level_now(throttle, &group[i], now_ms) < level_now(throttle, entry, now_ms))
                entry = &group[i];
    }
    *entry = (struct throttle_entry){ .key = key, .level = level, .at_ms = now_ms };
    return level;
}

void throttle_clear(struct throttle *throttle, struct throttle_key key)
{
    struct throttle_entry *entry = find(throttle, key);
    if (entry)
        entry->level = 0;
}

int throttle_delay_ms(double level, double free, int max_ms)
{
    int delay_ms = 0;
    /* half a failure may have leaked since */
    for (double over = level - free; over >= 0.5; over--) {
        delay_ms = delay_ms ? delay_ms * 2 : DELAY_FIRST_MS;
        if (delay_ms >= max_ms)
            return max_ms;
    }
    return delay_ms;
}
