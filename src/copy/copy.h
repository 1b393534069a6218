/* All mail of one mailbox into another, server to server by IMAP, one way. Nothing at the source is changed (EXAMINE, BODY.PEEK).
 *
 *     for each folder: open both ─► list what has no row ─► pair it with what is there (match.h) ─► send the rest ─► its rows
 *
 * A message goes through in pieces: what the source sends is written to the target as it comes, many commands ahead on both sides. The line end that makes it a message
 * there is sent when the source has said that it was whole and the one that was asked for. Killed or cut at any moment, the next run sends what is missing and
 * nothing twice (journal.h). Blocking. */
/* LATER: UIDLs, when the source has POP3 too. IMAP cannot give a message one, so a target other than our own store could not keep them. */
#ifndef COPY_COPY_H
#define COPY_COPY_H

#include "client/core/account.h"
#include "client/imap/imapc_mail.h"

enum copy_side {
    COPY_SIDE_FROM,
    COPY_SIDE_TO,
    COPY_SIDE_HERE, /* the journal */
};

enum copy_event_kind {
    COPY_FOLDER_BEGINS,  /* total: messages that will be sent */
    COPY_PROGRESS,       /* a message has come to its end */
    COPY_FOLDER_DONE,    /* counts are those of the folder */
    COPY_FOLDER_STOPPED, /* it was left; text: the server's words, or "" */
    COPY_FOLDER_NO_UIDVALIDITY,
    COPY_FOLDER_SHORT,   /* total: messages that the source has and did not list; the others went */
    COPY_FOLDER_SKIPPED, /* a view of what is in other folders */
    COPY_FOLDER_NAMELESS, /* its name cannot be one there */
    COPY_MESSAGE_FAILED,  /* uid: of the source; side: who refused it; text: the server's words */
    COPY_MESSAGE_TOO_BIG,
    COPY_KEYWORDS_LOST, /* the target keeps none of some keywords; told once in a run */
};

struct copy_counts {
    uint64_t copied, bytes; /* sent in this run; with dry_run those that would be */
    uint64_t found;         /* without a row, and there all the same */
    uint64_t known;         /* with a row */
    uint64_t failed;        /* refused, or not to be had */
    uint64_t folders, made, stopped, skipped; /* stopped: not copied, or not all of it */
    bool full;                                /* the target's mailbox: the run ended there */
};

struct copy_event {
    enum copy_event_kind kind;
    enum copy_side side;
    const char *folder, *to; /* UTF-8 of the source; as the target's server writes it */
    uint32_t uid;
    uint64_t total;
    const char *text;
    const struct copy_counts
        *counts; /* of the folder; COPY_FOLDER_DONE, COPY_PROGRESS: of the run */
};

struct copy_end {
    struct imapc *imap; /* logged in */
    const struct client_account *account;
    const struct imapc_folders *folders; /* imapc_list; the source's with subscriptions */
};

#define COPY_SETTLE_MS                                                                             \
    3000 /* what is usual: servers that sync each message to a slow disk take tenths of a second for one */

struct copy_options { /* borrowed, all of it */
    struct copy_end from, to;
    const char *state_folder;                 /* of the target's account: the journal is there */
    const struct imapc_folder *const *chosen; /* of the source; NULL: all but views */
    size_t chosen_count;
    bool dry_run;
    int settle_ms; /* of struct copy_target */
    void (*tell)(void *arg, const struct copy_event *event);
    void *arg;
};

/* ERR_OK also when messages were refused or folders left (counts say so). Else *out_side failed, and failure says how. */
enum err MUST_USE copy_run(const struct copy_options *options, struct copy_counts *out_counts,
    enum copy_side *out_side, struct client_failure *failure);

/* "imap USER HOST": a mailbox, for the journal. Owned by the caller. */
char *copy_mailbox_id(const struct client_account *account);
/* Opens the journal of an account; failure says why not. */
struct journal;
enum err MUST_USE copy_open_journal(
    const char *state_folder, struct journal **out_journal, struct client_failure *failure);

#endif
