/* Private to client/imap. */
#ifndef CLIENT_IMAP_IMAPC_INT_H
#define CLIENT_IMAP_IMAPC_INT_H

#include "client/imap/imapc.h"
#include "net/dial.h"

struct imapc {
    struct dial *dial; /* owned */
    int timeout_ms;
    unsigned caps, mechanisms; /* offered */
    uint64_t append_limit;     /* 0: none is known */
    bool caps_known;
    bool qresync;
    bool compressed; /* or asked for, in vain */
    enum client_compress compress;
    bool preauth;
    bool refused; /* the last login, by the server; else it was us who did not believe it */
    bool said_bye;
    unsigned mechanism;
    enum err broken; /* nothing can be sent or received any more */
    char words[256];
    unsigned tag;                       /* of the last command */
    struct imapc_task *oldest, *newest; /* borrowed */
    size_t waiting;
    uint64_t appending;           /* bytes that a begun message still needs, and one: its end */
    struct imapc_task id, enable; /* they go out with the first command */
    struct buf out;               /* queued and not sent */
    struct imap_reply_framer framer;
    struct buf head;     /* of an answer in several pieces */
    struct arena arena;  /* of the answer being handled */
    size_t consume;      /* bytes of the last answer in the dial's buffer */
    int64_t progress_ms; /* when something last came that was asked for */
    uint64_t answers;    /* untagged ones since a command ended */
    uint32_t exists;     /* the largest mailbox that it told of */
};

/* The next answer whole; it lives until the next call. Message literals go to the task (NULL: thrown away). */
enum err MUST_USE imapc_read(
    struct imapc *imap, struct imapc_task *task, struct imap_reply *out_reply);
/* Sends imap->out. */
enum err MUST_USE imapc_flush(struct imapc *imap);
enum err imapc_break(struct imapc *imap, enum err e);
/* Keeps the server's text for imapc_words. */
void imapc_heard(struct imapc *imap, const struct imap_reply *reply);
/* Of an untagged CAPABILITY or a [CAPABILITY] code. */
void imapc_take_caps(struct imapc *imap, const struct imap_value *first);

#endif
