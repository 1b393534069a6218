/* A mailbox anywhere that the client half works with: one block of accounts.conf.
 *
 *     # $XDG_CONFIG_HOME/barid/accounts.conf (or ~/.config/barid/accounts.conf), mode 0600
 *     account salma
 *       address          salma@barid.test
 *       receive          imap                       # imap (default) or pop3: what `barid sync` and `barid fetch` use
 *       imap             imap.barid.test 993 tls    # host [port] [tls | starttls | none]; none on loopback only
 *       pop3             pop.barid.test 995 tls
 *       smtp             smtp.barid.test 465 tls
 *       user             salma@barid.test           # default: the address
 *       password-command pass show mail/salma       # words, no shell; its first line is the password
 *       maildir          ~/Mail/salma
 *
 * A keyword is the first word of a line; the rest is its value; "#" after a blank begins a comment, "..." keeps blanks. The first
 * block is the default account. Unknown keywords are errors that name the line. Blocking; not thread-safe. */
#ifndef CLIENT_CORE_ACCOUNT_H
#define CLIENT_CORE_ACCOUNT_H

#include "base/err.h"
#include "base/slice.h"

enum client_security {
    CLIENT_TLS,      /* TLS from the first byte (RFC 8314 §3) */
    CLIENT_STARTTLS, /* TLS after STARTTLS, STLS; never without */
    CLIENT_PLAIN,    /* loopback and Unix sockets only: account_check refuses it elsewhere */
};

struct client_server {
    char *host; /* owned; NULL: the account has none. A-labels */
    int port;
    enum client_security security;
};

enum client_receive {
    CLIENT_RECEIVE_IMAP,
    CLIENT_RECEIVE_POP3,
};

/* What POP3 leaves on the server after a message is safely here. */
enum client_keep {
    CLIENT_KEEP,
    CLIENT_DELETE,
    CLIENT_DELETE_AFTER, /* keep_days days after it was fetched */
};

enum client_layout {
    CLIENT_NESTED,       /* Mail/Work/2026 for the folder Work/2026 */
    CLIENT_MAILDIR_PLUS, /* Mail/.Work.2026 */
};

struct client_account {
    char *name;    /* owned, as the fields below; never NULL */
    char *address; /* never NULL */
    char *user;    /* never NULL: the address when the file says nothing */
    struct client_server imap, pop3, smtp;
    enum client_receive receive;

    /* Where the secret comes from: exactly one is set, or none (then it is asked for on the terminal). */
    char **password_command; /* owned words, NULL-terminated; NULL: none */
    char *password_file;     /* 0600; its first line */
    bool secret_service;     /* secret-tool lookup barid ACCOUNT */
    char **token_command;    /* OAuth2: its first line is an access token (OAUTHBEARER, XOAUTH2) */

    char *ca_file; /* NULL: the system's roots */
    char *maildir; /* NULL: nothing is kept here */
    enum client_layout layout;
    char **
        folders; /* patterns of folders to sync ("*" default), "!" first excludes; NULL-terminated; NULL: all */
    int days;                   /* partial mirror: messages of the last days only; 0: all */
    uint64_t message_bytes_max; /* larger ones stay on the server; 0: all */
    int connections;            /* at once, 1 to 4; default 4 */

    enum client_keep keep; /* POP3; default CLIENT_KEEP */
    int keep_days;
    char *deliver_mbox;     /* POP3: instead of maildir; NULL */
    char *deliver_lmtp;     /* host:port or /path; NULL */
    char **deliver_command; /* each message to its stdin; NULL */

    int line; /* of the file where the block begins */
};

struct client_accounts {
    struct client_account *all; /* owned */
    size_t count;
};

/* Path of accounts.conf, made from XDG_CONFIG_HOME or HOME; owned by the caller. NULL when neither is set. */
char *client_accounts_path(void);
/* Where state of the account is kept (journal, queue, UIDL lists, undo): $XDG_STATE_HOME/barid/NAME or ~/.local/state/barid/NAME;
 * made (0700) when it is missing. Owned by the caller. */
enum err MUST_USE client_state_folder(
    const char *account_name, char **out_path, struct err_note *note);

/* ERR_NOT_FOUND: no file; ERR_SYNTAX: note names file and line; ERR_DENIED: it holds the name of a secret and group or others can
 * write it, or it is another user's. */
enum err MUST_USE client_accounts_read(
    const char *path, struct client_accounts *out_accounts, struct err_note *note);
void client_accounts_done(struct client_accounts *accounts);
/* name NULL or "": the first. A name, or an address. NULL when there is none. */
const struct client_account *client_accounts_find(
    const struct client_accounts *accounts, const char *name);
/* Appends a block, whole or not at all (new file, fsync, rename; comments and order of what is there stay). Makes folder and file 0700, 0600.
 * ERR_EXISTS: the name or the address is there. */
enum err MUST_USE client_accounts_add(
    const char *path, const struct client_account *account, struct err_note *note);
/* Takes a block out, the same way. ERR_NOT_FOUND. */
enum err MUST_USE client_accounts_remove(const char *path, const char *name, struct err_note *note);

/* The secret: runs the command (no shell; its stderr is the user's), reads the file (ERR_DENIED unless only its owner can read it), asks the
 * Secret Service, or prompts without echo (ERR_NOT_FOUND without a terminal). *out_token: it is an OAuth2 access token. The buffer is wiped with
 * sasl_buf_wipe by the caller. */
struct buf;
enum err MUST_USE client_secret(const struct client_account *account, struct buf *out_secret,
    bool *out_token, struct err_note *note);

#endif
