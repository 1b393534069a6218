/* What a search found (discover/discover.h), for people and for programs: shared by the verbs that search. */
#ifndef BIN_DISCOVER_SHOW_H
#define BIN_DISCOVER_SHOW_H

#include "base/arena.h"
#include "discover/discover.h"

#define DISCOVER_ARENA_BYTES_MAX                                                                   \
    (16u << 20) /* what strangers say is bounded in src/discover; this is far above it */

/* The table, the cautions, what has to be done first; with explain the trail. Texts are made in the arena. */
void discover_show(const struct discover_result *result, bool explain, struct arena *arena);
void discover_show_json(const struct discover_result *result, bool explain);
/* Why nothing that could be used was found, on standard error; explained: the trail was shown. */
void discover_show_failure(
    const struct discover_result *result, struct arena *arena, bool explained);
/* 0, EX_NOHOST, EX_TEMPFAIL, EX_UNAVAILABLE. */
int discover_exit_code(const struct discover_result *result);
bool discover_any_settled(const struct discover_result *result);
/* The notes say it all: there is nothing to ask the provider for. */
bool discover_is_closed(const struct discover_result *result);

#endif
