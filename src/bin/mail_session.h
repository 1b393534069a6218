/* What the one-off verbs share: a word names an account and a folder, a session is logged in, and nothing is kept here.
 *
 *     WORD = [ACCOUNT ":"] [FOLDER]      ls work:Archive/2026
 *
 * ACCOUNT is a name or an address of accounts.conf; what stands before the first ":" and is none belongs to the folder. Without it the first account is meant. */
#ifndef BIN_MAIL_SESSION_H
#define BIN_MAIL_SESSION_H

#include "bin/client_imap.h"
#include "client/imap/imapc_mail.h"

struct mail_session {
    struct client_use use;
    struct imapc *imap;
    struct imapc_folders folders; /* after mail_folders */
    bool listed;
};

/* Cuts the word: the account's name (owned by the caller) or NULL, and the folder, which borrows from word. */
char *mail_cut_word(
    const struct client_accounts *accounts, const char *word, const char **out_folder);

/* Reads accounts.conf, takes the account of the word and logs in by IMAP. *out_folder borrows from word. EX_OK, or the exit code after saying why; mail_end in
 * any case. */
int mail_begin(struct mail_session *session, const char *word, const char **out_folder);
/* The same for one of two sessions: with accounts.conf of its own. account NULL: the first. */
int mail_begin_account(struct mail_session *session, const char *account);
/* For those that have chosen the account themselves (session->use). */
int mail_log_in(struct mail_session *session);
void mail_end(struct mail_session *session);

/* Lists folders, with counts or not. */
int mail_folders(struct mail_session *session, bool with_status);
/* The folder of that name, which messages can be in. */
int mail_find(
    struct mail_session *session, const char *name, const struct imapc_folder **out_folder);
/* Lists, finds, selects. out_box may be NULL. */
int mail_select(struct mail_session *session, const char *name, bool read_only,
    const struct imapc_folder **out_folder, struct imapc_box *out_box);

/* Says what an error of imapc means; returns the exit code. */
int mail_failed(struct mail_session *session, enum err e);

/* "1:4,7", of messages; says what is wrong with it. out_uids is initialised. */
int mail_uids(const char *word, struct uidset *out_uids);
/* Says how the verb is used; EX_USAGE. */
int mail_usage(enum message_id usage);
/* The value of an option: moves *at to it. NULL after saying that it has none. */
const char *mail_value(int argc, char **argv, int *at);

#endif
