/* What a synchronisation tells, for people and programs: shared by the verbs that run one. */
#ifndef BIN_SYNC_SHOW_H
#define BIN_SYNC_SHOW_H

#include "bin/client_common.h"
#include "sync/sync.h"

#define SYNC_EX_BRAKE 20 /* exit code of a run that stopped before it removed too much */

struct sync_show {
    bool live; /* progress on a line that is written over: a terminal */
};
void sync_show_event(void *show, const struct sync_event *event); /* for sync_options.tell */
void sync_show_clear(const struct sync_show *show);
void sync_show_counts(
    const struct client_account *account, const struct sync_counts *counts, bool dry_run);
/* One line. */
void sync_show_json(const struct client_account *account, const struct sync_counts *counts,
    const struct client_failure *failure, bool dry_run);
/* 0, EX_TEMPFAIL, SYNC_EX_BRAKE. */
int sync_exit_code(const struct sync_counts *counts);

#endif
