/* Sends what is due in a queue. Blocking.
 *
 * A record from `waits` to its end, for each recipient (the lock of the queue is held):
 *
 *     waits ──250──► sent          waits ──5xx──► refused
 *       │ ▲                          ▲ no answer to the whole message, twice; or SMTPC_QUEUE_DAYS went by, with SMTPC_ATTEMPTS_MIN
 *       └─┘ 4xx, no answer: again after a pause that grows
 *
 * When nobody waits any more: all sent and no copy due: the message leaves the queue. A copy that is due, or a refusal, keeps it there. */
#ifndef CLIENT_SMTP_SMTPC_FLUSH_H
#define CLIENT_SMTP_SMTPC_FLUSH_H

#include "client/smtp/smtpc_queue.h"

#define SMTPC_QUEUE_DAYS   5  /* RFC 5321 §4.5.4.1: 4 to 5 days */
#define SMTPC_ATTEMPTS_MIN 8  /* nine hours, whatever the clock said or the network was not there */
#define SMTPC_ATTEMPTS_MAX 40 /* more than SMTPC_QUEUE_DAYS have: the clock went back */
#define SMTPC_PAUSE_S      300 /* before the second attempt; doubled for each further one */
#define SMTPC_PAUSE_S_MAX  14400
#define SMTPC_DOUBTS_MAX   2

struct smtpc_flush_options {
    const struct client_account *account; /* borrowed, as all here */
    const char *state_folder;
    struct slice secret;
    bool token;
    const char *only_id; /* NULL: all that are due */
    bool now;            /* also before the pause is over */
    int timeout_ms;      /* 0: CLIENT_TIMEOUT_MS */
};

struct smtpc_flush_result {
    size_t sent;    /* messages that have no waiting recipient now, and none refused */
    size_t waiting; /* tried, and still waiting */
    size_t refused; /* with a recipient that was refused in this run */
    bool no_dsn;    /* a report was asked for that the server cannot give */
};

/* Whether anything is due now. When nothing is, *out_damaged names a record that cannot be read; "": there is none. */
enum err MUST_USE smtpc_flush_due(struct smtpc_queue *queue, const char *only_id, bool now,
    int64_t now_s, bool *out_due, struct err_note *out_damaged, struct err_note *note);

/* The queue is locked by the caller. An error ends the run: what is not sent waits. A record or a message that cannot be read is left where it is, and is the
 * error at the end (CLIENT_WHY_STATE). */
enum err MUST_USE smtpc_flush(struct smtpc_queue *queue, const struct smtpc_flush_options *options,
    struct smtpc_flush_result *out_result, struct client_failure *failure);

#endif
