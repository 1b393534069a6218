/* What the kinds of places share. */
#ifndef CLIENT_POP3_POPC_DROP_INT_H
#define CLIENT_POP3_POPC_DROP_INT_H

#include "base/buf.h"
#include "client/pop3/popc_drop.h"

enum popc_format {
    POPC_FORMAT_CRLF, /* lone CR and LF become line ends: SMTP has no other */
    POPC_FORMAT_LF,
    POPC_FORMAT_MBOXRD, /* LF, and ">" before each "From " at a line start, whatever ">" stand there already */
};

/* Bytes on their way into a file. */
struct popc_writer {
    enum popc_format format;
    int fd;         /* borrowed */
    struct buf out; /* owned */
    bool cr;        /* a CR came last */
    bool starts;    /* at a line start, but for ">" */
    bool ended;     /* the last line has its end */
    unsigned from;  /* how much of "From " came at the line start */
    uint64_t bytes; /* written and about to be */
};

void popc_writer_init(struct popc_writer *writer, enum popc_format format);
void popc_writer_done(struct popc_writer *writer);
/* The next message, into fd from its place on. */
void popc_writer_begin(struct popc_writer *writer, int fd);
enum err MUST_USE popc_writer_put(struct popc_writer *writer, struct slice piece);
/* Bytes that are no part of the message. */
enum err MUST_USE popc_writer_raw(struct popc_writer *writer, struct slice bytes);
/* Writes what waits; a last line gets its end. */
enum err MUST_USE popc_writer_end(struct popc_writer *writer);

struct popc_item {
    char *key; /* owned */
    size_t key_len;
    enum popc_known becomes;
    char *path; /* owned; of its file; NULL: none of its own */
    int fd;     /* -1: none */
};

struct popc_drop_ops {
    enum err (*open)(struct popc_drop *drop, struct client_failure *failure);
    enum err (*begin)(
        struct popc_drop *drop, struct popc_item *item, struct client_failure *failure);
    enum err (*end)(struct popc_drop *drop, struct popc_item *item, bool *out_refused,
        struct client_failure *failure);
    enum err (*flush)(struct popc_drop *drop, struct client_failure *failure);
    /* The last of drop->items is not wanted, or came in part. */
    void (*drop_last)(struct popc_drop *drop);
    void (*close)(struct popc_drop *drop); /* NULL: nothing to do */
};

struct popc_drop {
    const struct popc_drop_ops *ops;
    const struct client_account *account; /* borrowed, as the next two */
    const char *state_folder;
    struct popc_state *state;
    struct popc_writer writer;
    struct popc_item items[POPC_BATCH_COUNT];
    size_t count;
    bool open; /* the last item is being written */
    uint64_t batch_bytes;
    unsigned serial;     /* of names */
    char host[128];      /* of names */
    int batch_fd;        /* mbox: the batch; program, LMTP: the message. -1 */
    void *session;       /* LMTP: struct smtpc; owned */
    uint64_t item_start; /* in batch_fd */
    bool batch_broken;   /* a part of a message could not be taken out of it: it goes nowhere */
};

extern const struct popc_drop_ops popc_drop_maildir, popc_drop_mbox, popc_drop_command,
    popc_drop_lmtp;

/* What an earlier run recorded as arriving is put in place; the state is changed by the caller. */
bool popc_maildir_owns(const struct popc_state *state, const char *path);
enum err MUST_USE popc_maildir_recover(const char *path, struct client_failure *failure);
enum err MUST_USE popc_mbox_recover(struct popc_drop *drop, struct client_failure *failure);

enum err popc_disk_failed(struct client_failure *failure, const char *what, int errno_value);
enum err MUST_USE popc_sync_folder(const char *path, struct client_failure *failure);
/* The whole batch is recorded as arriving under the items' paths (or `file`, when it is not NULL), durably. */
enum err MUST_USE popc_drop_record(
    struct popc_drop *drop, const char *file, struct client_failure *failure);
/* It has arrived; durable with the next commit. */
enum err MUST_USE popc_drop_arrived(struct popc_drop *drop, struct client_failure *failure);
void popc_drop_forget_items(struct popc_drop *drop);

#endif
