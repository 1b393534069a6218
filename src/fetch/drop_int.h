/* What the kinds of places share. */
#ifndef FETCH_DROP_INT_H
#define FETCH_DROP_INT_H

#include "base/buf.h"
#include "fetch/drop.h"

enum fetch_format {
    FETCH_FORMAT_CRLF, /* lone CR and LF become line ends: SMTP has no other */
    FETCH_FORMAT_LF,
    FETCH_FORMAT_MBOXRD, /* LF, and ">" before each "From " at a line start, whatever ">" stand there already */
};

/* Bytes on their way into a file. */
struct fetch_writer {
    enum fetch_format format;
    int fd;         /* borrowed */
    struct buf out; /* owned */
    bool cr;        /* a CR came last */
    bool starts;    /* at a line start, but for ">" */
    bool ended;     /* the last line has its end */
    unsigned from;  /* how much of "From " came at the line start */
    uint64_t bytes; /* written and about to be */
};

void fetch_writer_init(struct fetch_writer *writer, enum fetch_format format);
void fetch_writer_done(struct fetch_writer *writer);
/* The next message, into fd from its place on. */
void fetch_writer_begin(struct fetch_writer *writer, int fd);
enum err MUST_USE fetch_writer_put(struct fetch_writer *writer, struct slice piece);
/* Bytes that are no part of the message. */
enum err MUST_USE fetch_writer_raw(struct fetch_writer *writer, struct slice bytes);
/* Writes what waits; a last line gets its end. */
enum err MUST_USE fetch_writer_end(struct fetch_writer *writer);

struct fetch_item {
    char *key; /* owned; NULL until it is whole */
    size_t key_len;
    enum fetch_known becomes;
    char *path; /* owned; of its file; NULL: none of its own */
    int fd;     /* -1: none */
};

struct fetch_drop_ops {
    enum err (*open)(struct fetch_drop *drop, struct client_failure *failure);
    enum err (*begin)(
        struct fetch_drop *drop, struct fetch_item *item, struct client_failure *failure);
    enum err (*end)(struct fetch_drop *drop, struct fetch_item *item, bool *out_refused,
        struct client_failure *failure);
    enum err (*flush)(struct fetch_drop *drop, struct client_failure *failure);
    /* The last of drop->items is not wanted, or came in part. */
    void (*drop_last)(struct fetch_drop *drop);
    void (*close)(struct fetch_drop *drop); /* NULL: nothing to do */
};

struct fetch_drop {
    const struct fetch_drop_ops *ops;
    const struct client_account *account; /* borrowed, as the next two */
    const char *state_folder;
    struct fetch_state *state;
    struct fetch_writer writer;
    struct fetch_item items[FETCH_BATCH_COUNT];
    size_t count;
    bool open; /* the last item is being written */
    uint64_t batch_bytes;
    unsigned later;      /* messages in a row that were put off */
    unsigned serial;     /* of names */
    char host[128];      /* of names */
    int batch_fd;        /* mbox: the batch; program, LMTP: the message. -1 */
    void *session;       /* LMTP: struct smtpc; owned */
    uint64_t item_start; /* in batch_fd */
    bool batch_broken;   /* a part of a message could not be taken out of it: it goes nowhere */
};

extern const struct fetch_drop_ops fetch_drop_maildir, fetch_drop_mbox, fetch_drop_command,
    fetch_drop_lmtp;

/* What an earlier run recorded as arriving is put in place; the state is changed by the caller. *out_lost: it is not there, nor the place that it was in. */
bool fetch_maildir_owns(const struct fetch_state *state, const char *path);
enum err MUST_USE fetch_maildir_recover(
    const char *path, bool *out_lost, struct client_failure *failure);
enum err MUST_USE fetch_mbox_recover(
    struct fetch_drop *drop, bool *out_lost, struct client_failure *failure);

enum err fetch_disk_failed(struct client_failure *failure, const char *what, int errno_value);
enum err MUST_USE fetch_sync_folder(const char *path, struct client_failure *failure);
/* The whole batch is recorded as arriving under the items' paths (or `file`, when it is not NULL), durably. */
enum err MUST_USE fetch_drop_record(
    struct fetch_drop *drop, const char *file, struct client_failure *failure);
/* It has arrived; durable with the next commit. */
enum err MUST_USE fetch_drop_arrived(struct fetch_drop *drop, struct client_failure *failure);
/* The last message is put off. True: the next may be taken all the same; false: it is the place that takes none now, and the run ends. */
bool fetch_drop_goes_on(struct fetch_drop *drop);
void fetch_drop_forget_items(struct fetch_drop *drop);

#endif
