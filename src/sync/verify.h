/* Compares both sides of a synchronised account without changing anything on either: EXAMINE and BODY.PEEK there, reading here.
 *
 * What the next synchronisation would carry over is no difference: it has its own count. What is left are differences that it would never see, because neither side says that
 * anything changed: a file that was damaged, a flag that the server changed and does not tell of, a message that one side lost. */
#ifndef SYNC_VERIFY_H
#define SYNC_VERIFY_H

#include "sync/sync.h"

enum verify_kind {
    VERIFY_ONLY_HERE,
    VERIFY_ONLY_THERE,
    VERIFY_FLAGS, /* flags or keywords */
    VERIFY_BYTES, /* size, Message-ID, or any byte */
    VERIFY_NEXT,  /* the next synchronisation does it */
    VERIFY_KINDS
};

#define VERIFY_EXAMPLES_MAX 3u /* named of each kind */

struct verify_example {
    uint32_t uid;     /* 0: none is known */
    const char *file; /* its name here; "" */
};

struct verify_folder {
    const char *path;
    uint64_t messages; /* that are the same on both sides */
    uint64_t counts[VERIFY_KINDS];
    struct verify_example examples[VERIFY_KINDS][VERIFY_EXAMPLES_MAX];
    bool
        whole; /* the folder itself is on one side only, or its messages have other UIDs now: the next synchronisation sees to it */
};

struct verify_options {
    struct imapc *imap; /* borrowed, as all here; logged in */
    const struct client_account *account;
    const char *state_folder; /* sync.db is there */
    bool bytes;               /* fetches every message and compares each byte */
    void (*folder)(void *arg, const struct verify_folder *folder); /* each that was compared */
    void (*tell)(void *arg, const struct sync_event *event);       /* folders that could not be */
    void *arg;
};

struct verify_counts {
    uint64_t messages, folders, stopped;
    uint64_t counts[VERIFY_KINDS];
    bool whole; /* of a folder */
};

/* As sync_run. */
enum err MUST_USE sync_verify(const struct verify_options *options,
    struct verify_counts *out_counts, struct client_failure *failure);

#endif
