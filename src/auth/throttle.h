/* Counters that leak: each failure adds, time takes away. Bounded memory: a fixed table of small groups; when a group is full the
 * counter that says least is forgotten. Pure but for its memory: time is passed in. Not thread-safe. Private to auth. */
#ifndef AUTH_THROTTLE_H
#define AUTH_THROTTLE_H

#include <stddef.h>
#include <stdint.h>

struct throttle_key {
    uint64_t half[2]; /* a keyed hash of what is counted: peers cannot aim at one group */
};

struct throttle_entry;

struct throttle {
    struct throttle_entry *entries; /* owned */
    size_t groups;                  /* power of two */
    double forgiven_per_ms;
};

void throttle_init(struct throttle *throttle, size_t entries, double seconds_per_failure_forgiven);
void throttle_done(struct throttle *throttle);
double throttle_level(const struct throttle *throttle, struct throttle_key key, int64_t now_ms);
/* Returns the new level; never below 0. weight may be negative. */
double throttle_add(
    struct throttle *throttle, struct throttle_key key, double weight, int64_t now_ms);
void throttle_clear(struct throttle *throttle, struct throttle_key key);

/* How long an answer is held back at a level: nothing up to `free`, then 250 ms doubling with each failure, at most max_ms. */
int throttle_delay_ms(double level, double free, int max_ms);

#endif
