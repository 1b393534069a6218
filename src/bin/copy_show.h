/* What a copy tells, for people and programs: from server to server, and out of files into an account. */
#ifndef BIN_COPY_SHOW_H
#define BIN_COPY_SHOW_H

#include "bin/mail_session.h"
#include "copy/copy.h"

struct copy_show {
    bool live;             /* a line of progress on the terminal */
    bool json;             /* a line for each folder */
    const char *from, *to; /* what people call the two; borrowed */
    const struct imapc_folders
        *folders; /* of the source, with counts where live; NULL: not known */
    uint64_t ahead, to_go,
        done; /* messages: of folders to come, of those that were begun, and what went */
    int64_t begin_ms, shown_ms;
    uint64_t told; /* messages that stay behind */
};

void copy_show_begin(
    struct copy_show *show, const struct imapc_folder *const *chosen, size_t count);
void copy_show_event(void *show, const struct copy_event *event);
/* Takes the line of progress away. */
void copy_show_clear(const struct copy_show *show);
/* The summary, in one line; of a program in one object. failure NULL: none. */
void copy_show_end(const struct copy_show *show, const struct copy_counts *counts, bool dry_run,
    bool quiet, const struct client_failure *failure);
/* That object alone. */
void copy_show_sum(const struct copy_show *show, const struct copy_counts *counts, bool dry_run,
    const struct client_failure *failure);
int copy_exit_code(const struct copy_counts *counts);

#endif
