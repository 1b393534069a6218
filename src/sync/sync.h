/* Two-way copy of an account: IMAP there, Maildirs here. What one side did since the last run is done on the other.
 *
 *     list ─► gather (what changed there, what changed here) ─► match (moves, torn uploads) ─► brake ─► apply
 *
 * A run may be killed at any moment: the next one ends with both sides equal, nothing lost, nothing doubled (state.h J-1, J-2). Blocking. */
#ifndef SYNC_SYNC_H
#define SYNC_SYNC_H

#include "client/core/account.h"
#include "client/imap/imapc.h"

/* A run that would remove more than this many messages of a folder, or of all folders, and more than this share, removes none of them (the brake). */
#define SYNC_BRAKE_MESSAGES 25u
#define SYNC_BRAKE_PERCENT  20u

enum sync_event_kind {
    SYNC_FOLDER_DONE,    /* count: messages that changed in it */
    SYNC_FOLDER_STOPPED, /* reason says why; other folders go on */
    SYNC_BRAKED, /* count: how many would be removed, on the side that text names: "near" or "far"; folder "": of all folders together */
    SYNC_MESSAGE_FAILED, /* text: why one message did not go over; it is tried again next time */
    SYNC_MESSAGE_UNREADABLE, /* text: the name of a file here that cannot be read; it is tried again next time */
    SYNC_PROGRESS, /* count: messages so far, of them known */
};

/* Why a folder was left as it is. */
enum sync_stop {
    SYNC_STOP_REFUSED,        /* the server refuses something; text: its words */
    SYNC_STOP_NO_UIDVALIDITY, /* nothing there can be told apart */
    SYNC_STOP_INCOMPLETE, /* fewer messages were listed than there are said to be: what is missing is not gone */
    SYNC_STOP_SHORT, /* the same, and nothing is missing: what was listed came; no folder is left for it */
    SYNC_STOP_NOT_GIVEN, /* messages were listed and did not come; count: how many. No folder is left for it */
    SYNC_STOP_FLAGS, /* the server refuses changes of flags; count: of how many messages; text: its words. No folder is left for it */
    SYNC_STOP_MOVES, /* the same, of messages that were moved into the folder here */
    SYNC_STOP_REMOVALS,   /* the same, of messages that were removed here */
    SYNC_STOP_NAME_HERE,  /* its name cannot be that of a folder here, or is that of another one */
    SYNC_STOP_NAME_THERE, /* its name cannot be that of a folder there */
    SYNC_STOP_NO_MAILDIR, /* under its name lies what is no Maildir here: a symbolic link, or one without cur/ */
    SYNC_STOP_DISK, /* text: the system's words */
    SYNC_STOP_COUNT
};

struct sync_event {
    enum sync_event_kind kind;
    enum sync_stop reason; /* of SYNC_FOLDER_STOPPED */
    const char *folder;    /* path of the Maildir below the root; "" */
    const char *text;
    uint64_t count, total;
};

struct sync_options {
    struct imapc *imap; /* borrowed; logged in */
    const struct client_account
        *account; /* borrowed, as all here: maildir, layout, folders, message_bytes_max */
    const char *state_folder;
    const char *home; /* where mbsync and offlineimap may have left what they know; NULL: nowhere */
    bool dry_run;     /* nothing is changed on either side; the counts tell what would be */
    bool yes_delete;  /* no brake */
    struct imapc_known
        *known; /* set to what the server told of its mailboxes in this run; NULL: not wanted */
    void (*tell)(void *arg, const struct sync_event *event); /* may be NULL */
    void *arg;
};

struct sync_counts {
    uint64_t down, up;              /* new messages copied here, there */
    uint64_t near_flags, far_flags; /* messages whose flags were changed here, there */
    uint64_t near_removed, far_removed;
    uint64_t near_moved, far_moved;
    uint64_t near_folders, far_folders; /* made, renamed or removed here, there */
    uint64_t failed;                    /* messages that did not go over */
    uint64_t folders, stopped, braked;
    uint64_t left_there;
    uint64_t adopted; /* messages that mbsync or offlineimap had synchronised */
};

/* ERR_OK also when folders were stopped or braked (counts say so). Else the connection, the disk or the state failed, and failure says how. */
enum err MUST_USE sync_run(const struct sync_options *options, struct sync_counts *out_counts,
    struct client_failure *failure);

#endif
