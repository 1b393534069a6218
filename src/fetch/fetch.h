/* One run of `barid fetch`: what is new on the server comes here; then, and only by the account's rule, what is here goes there. Blocking.
 *
 *     lock ─► state ─► finish what was left ─► session ─► list ─► headers where they decide ─► messages ─► put in place, recorded ─► deleted there
 *
 * It may be killed or cut off anywhere: the next run goes on from there, with nothing lost and nothing twice (fetch/state.h). */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include "client/core/connect.h"

typedef void fetch_note_fn(
    void *note_arg, uint64_t bytes, struct buf *out_subject, struct buf *out_body);

struct fetch_options {
    const struct client_account *account; /* borrowed, as all here */
    const char *state_folder;
    struct slice secret;
    bool token;
    bool imap;    /* INBOX by IMAP instead of POP3 */
    bool all;     /* also what was fetched or skipped before */
    bool large;   /* also what is over message_bytes_max */
    bool dry_run; /* only counts; nothing changes anywhere */
    enum client_keep keep;
    int keep_days;
    uint64_t server_bytes_max; /* as in the account; 0: none */
    int timeout_ms;            /* 0: CLIENT_TIMEOUT_MS */
    /* The note that stands for a large message: appends its subject line's text and its body (UTF-8, LF line ends). */
    fetch_note_fn *note_text;
    void *note_arg;
    /* May be NULL: after each message. */
    void (*progress)(void *progress_arg, size_t done, size_t count);
    void *progress_arg;
};

struct fetch_result {
    size_t listed; /* on the server */
    size_t known;  /* of these: here already, or left there before */
    size_t wanted; /* new, and to be fetched */
    uint64_t wanted_bytes;
    size_t fetched; /* here now */
    uint64_t fetched_bytes;
    size_t notes;   /* large ones, for which a note was left */
    size_t skipped; /* by skip-header */
    size_t refused; /* by the program or server they are for, notes too: tried again next time */
    struct err_note refusal; /* why, of the first of these; "" when there is none */
    size_t missing;   /* the server has them and did not list or give them: tried again next time */
    size_t to_delete; /* on the server, by the rule */
    size_t deleted;
    bool delete_unsure; /* the answer to QUIT is missing: the next run sees to it */
};

/* *out_result is filled on failure too: what is counted as fetched is safely here. */
enum err MUST_USE fetch_mail(const struct fetch_options *options, struct fetch_result *out_result,
    struct client_failure *failure);

#endif
