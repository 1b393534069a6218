/* What the queue knows of one message beside its bytes: a file of lines of words (client/core/word.h). Pure.
 *
 *     barid-queue 1
 *     from salma@barid.test
 *     message-id <...>
 *     subject "..."
 *     created 1795730029
 *     next 1795730329
 *     attempts 1
 *     doubts 0
 *     bytes 4711
 *     needs 8bit utf8
 *     copy due
 *     dsn ENVID FULL SUCCESS,FAILURE
 *     to omar@barid.test waits 451 "4.7.1 try again later" */
#ifndef CLIENT_SMTP_SMTPC_RECORD_H
#define CLIENT_SMTP_SMTPC_RECORD_H

#include "base/buf.h"
#include "client/smtp/smtpc.h"

#define SMTPC_RECIPIENTS_MAX                                                                       \
    1000u /* RFC 5321 §4.5.3.1.8 wants 100; more is a list, for which there are servers */
#define SMTPC_ADDRESSES_MAX     10000u /* of one list, with those that stand in it again */
#define SMTPC_RECORD_BYTES_MAX  (2u << 20)
#define SMTPC_SUBJECT_BYTES_MAX 200u

/* The copy in Sent (DESIGN: in Sent once, whichever program sent it). */
enum smtpc_copy {
    SMTPC_COPY_NONE,
    SMTPC_COPY_SERVER, /* the server files it */
    SMTPC_COPY_DUE,    /* we are to append it by IMAP once it is sent */
    SMTPC_COPY_DONE,
};

struct smtpc_recipient {
    char *address; /* owned */
    struct smtpc_outcome outcome;
};

struct smtpc_record {
    char *from;                 /* owned, as all here; "": the null sender */
    char *message_id;           /* "": none */
    char *subject;              /* for people; "": none */
    char *envid, *ret, *notify; /* NULL: not asked for */
    int64_t created_s, next_s;  /* next_s: not tried before */
    uint64_t attempts, doubts;
    uint64_t bytes;
    bool has_8bit, needs_utf8;
    enum smtpc_copy copy;
    struct smtpc_recipient *recipients;
    size_t count;
};

/* ERR_SYNTAX, ERR_LIMIT: note says what and in which line. */
enum err MUST_USE smtpc_record_parse(
    struct slice text, struct smtpc_record *out_record, struct err_note *note);
/* Controls and bytes that are no UTF-8 become "?". */
void smtpc_record_write(const struct smtpc_record *record, struct buf *out);
void smtpc_record_done(struct smtpc_record *record);
/* Adds one that waits; one that is there already is not added twice. ERR_LIMIT. */
enum err MUST_USE smtpc_record_add(struct smtpc_record *record, const char *address);

/* How many recipients have this fate. */
size_t smtpc_record_count(const struct smtpc_record *record, enum smtpc_fate fate);

#endif
