/* The account that is copied to: a folder of it, what it has already, and messages on their way there, many at once.
 *
 *     copy_target_open ─► copy_target_list ─► copy_target_record (what it has) ─► copy_put_begin, piece, end ... ─► copy_target_finish
 *
 * Each message that the server said OK to gets its row in the journal; rules C-1 to C-4 in journal.h. Blocking. */
#ifndef COPY_TARGET_H
#define COPY_TARGET_H

#include "client/imap/imapc_mail.h"
#include "copy/journal.h"
#include "copy/match.h"

#define COPY_IN_FLIGHT_MAX                                                                         \
    64u /* messages sent and not answered: what a cut line makes us look for */
#define COPY_BATCH_MESSAGES 500u /* rows that one sync of the disk makes durable */
#define COPY_BATCH_MS       2000 /* or so much time */
#define COPY_BUSY_S         600 /* how long ago a torn run may be that its server is still at work on */
#define COPY_SETTLE_MS_MAX  60000 /* such a server is waited for so long at most */
#define COPY_ID_BYTES       16u
#define COPY_FLAGS_BYTES_MAX                                                                       \
    4096u /* in one command: servers take lines of 8 KiB, and the folder's name stands there too */

/* A message as it is sent. */
struct copy_item {
    struct slice
        flags; /* "\\Seen $x", as the source has them; borrowed until copy_put_begin returns */
    int64_t received_s; /* 0: the server takes the time that it is */
    int32_t zone_min;
    bool plain; /* without keywords */
    void *owner;
    uint32_t uid; /* of the source; 0: it is known by id */
    unsigned char id[COPY_ID_BYTES];
};

enum copy_answer {
    COPY_STORED,
    COPY_TOO_BIG,
    COPY_FULL,      /* of the mailbox: no more goes in */
    COPY_NO_FOLDER, /* it is gone, or may not be written to */
    COPY_KEYWORDS,  /* refused, and it had keywords: without them it may go */
    COPY_REFUSED,
};

struct copy_put {
    struct imapc_task task;
    struct copy_target *target;
    struct copy_item item;
    bool keywords; /* some were sent */
    bool ended;    /* all of it was */
};

struct copy_target {
    /* set by the owner before anything else; borrowed */
    struct imapc *imap;
    struct journal *journal;
    const char *from_id, *to_id; /* which mailboxes, for the journal */
    bool dry_run;                /* changes nothing, there and in the journal */
    /* A server whose client is gone files what it had received all the same: nothing may come into a folder for so long before it is believed to have ended. */
    int settle_ms;
    void *arg;
    /* What became of an item; words: the server's. An error ends it all. */
    enum err (*answered)(
        void *arg, const struct copy_item *item, enum copy_answer answer, struct slice words);
    void (*keywords_lost)(void *arg); /* they are not kept in this folder */

    /* of the folder */
    char *from_name;           /* owned */
    struct buf quoted;         /* its name there, as commands have it */
    struct journal_folder row; /* owned */
    struct imapc_box box;      /* owned */
    bool fresh;                /* it was made now, or will be: nothing is in it */
    struct uidset done, nameless;

    struct copy_put puts[COPY_IN_FLIGHT_MAX];
    size_t first, waiting; /* of the ring */
    size_t batch;          /* rows since the last commit */
    int64_t commit_ms;     /* when that was */
    size_t unnamed;        /* messages that the server did not say the UID of */
    bool sending, open;
    bool broken_here; /* the last error is the journal's */
};

void copy_target_init(struct copy_target *target);
void copy_target_done(struct copy_target *target);

/* Makes it where it is not there, selects it, and finds its rows. from_validity 0: its messages are known by ids. Errors: the server's refusal, the connection's end, or
 * (broken_here) the journal's. */
enum err MUST_USE copy_target_open(struct copy_target *target, const char *from_name,
    uint32_t from_validity, struct slice to_name, bool there);
/* What may be a copy of a message without a row: all that no message of this source is known to be, since the last whole run. key: of the hashes of Message-IDs. */
enum err MUST_USE copy_target_list(
    struct copy_target *target, const uint64_t key[2], struct copy_list *there);
/* A message of the source is there already. */
enum err MUST_USE copy_target_record(
    struct copy_target *target, const struct copy_item *item, uint32_t to_uid);

/* The steps of imapc_append_begin; begin waits for the oldest answer when many are out. *out_go false: it was answered. */
enum err MUST_USE copy_put_begin(
    struct copy_target *target, const struct copy_item *item, uint64_t bytes, bool *out_go);
enum err MUST_USE copy_put_piece(struct copy_target *target, struct slice piece);
enum err MUST_USE copy_put_end(struct copy_target *target);
/* Waits for all answers. */
enum err MUST_USE copy_put_drain(struct copy_target *target);
/* What was begun and cannot be ended is left; what was ended is waited for. The connection is lost when something was begun. */
void copy_put_abandon(struct copy_target *target);

/* All that was sent has its row on the disk. whole: everything without a row was looked for, or sent, or refused. */
enum err MUST_USE copy_target_finish(struct copy_target *target, bool whole);
/* Once in the life of the row. What the server refuses is left. */
enum err MUST_USE copy_target_subscribe(struct copy_target *target);

/* Of a header; 0: there is none in it. */
uint64_t copy_message_id(const uint64_t key[2], struct slice header);
/* SHA-256 of the bytes of a message of the selected folder. ERR_NOT_FOUND: it is not there, or not to be had. */
enum err MUST_USE copy_hash_message(
    struct imapc *imap, uint32_t uid, unsigned char out_hash[COPY_HASH_BYTES]);

#endif
