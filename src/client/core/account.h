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
 * A keyword is the first word of a line, its value the words behind it. Blanks divide words; a word in "..." may hold blanks, and \" and \\;
 * "#" where a word could begin starts a comment; "~/" at the start of a path that is not in quotes is the home folder. Lines end with LF or
 * CRLF. The first block is the default account. Unknown and repeated keywords are errors that name the line. A password itself never stands in
 * this file. Blocking; not thread-safe. */
#ifndef CLIENT_CORE_ACCOUNT_H
#define CLIENT_CORE_ACCOUNT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define CLIENT_ACCOUNTS_BYTES_MAX     (1u << 20) /* of accounts.conf: some thousand accounts */
#define CLIENT_ACCOUNTS_MAX           1000u
#define CLIENT_ACCOUNT_NAME_BYTES_MAX 100u /* it is the name of a folder too */
#define CLIENT_DAYS_MAX               36500u

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

/* Who puts what was sent by SMTP into the Sent folder. */
enum client_sent {
    CLIENT_SENT_APPEND, /* we do, by IMAP; the default. Nobody does when the account has no IMAP */
    CLIENT_SENT_SERVER, /* the server does when it takes the message */
    CLIENT_SENT_NONE,
};

/* Whether IMAP is compressed (RFC 4978) where the server can. */
enum client_compress {
    CLIENT_COMPRESS_AUTO, /* where it pays: much mail, and a server that is far away */
    CLIENT_COMPRESS_YES,
    CLIENT_COMPRESS_NO,
};

struct client_account {
    char *name;      /* owned, as the fields below; never NULL */
    char *address;   /* never NULL */
    char *user;      /* never NULL: the address when the file says nothing */
    char *real_name; /* for From; NULL: none */
    struct client_server imap, pop3, smtp;
    enum client_receive receive;

    /* Where the secret comes from: exactly one is set, or none (then it is asked for on the terminal). */
    char **password_command; /* owned words, NULL-terminated; NULL: none */
    char *password_file;     /* 0600; its first line */
    bool secret_service;     /* secret-tool lookup barid ACCOUNT */
    char **token_command;    /* OAuth2: its first line is an access token (OAUTHBEARER, XOAUTH2) */
    /* Or somebody logs in at the provider's page (oauth_login.h): one of the first two is set. With secret_service the tokens are in the key ring. */
    char *oauth_issuer;    /* says itself where its endpoints are (RFC 8414) */
    char *oauth_token_url; /* of a provider that does not say it, as the next two */
    char *oauth_authorization_url, *oauth_device_url;
    char *oauth_client_id; /* NULL: the server gives one */
    char **oauth_client_secret_command;
    char *oauth_client_secret_file;
    char **oauth_scope; /* NULL: of what the server offers, what is for mail */

    char *ca_file; /* NULL: the system's roots */
    char *maildir; /* NULL: nothing is kept here */
    enum client_layout layout;
    char **
        folders; /* patterns of folders to sync ("*" default), "!" first excludes; NULL-terminated; NULL: all */
    int days;                   /* partial mirror: messages of the last days only; 0: all */
    uint64_t message_bytes_max; /* larger ones stay on the server; 0: all */

    enum client_keep keep; /* POP3; default CLIENT_KEEP */
    int keep_days;
    uint64_t
        server_bytes_max; /* POP3: of what was fetched, only the newest of so many bytes stay there; 0: no limit */
    char **
        skip_headers; /* POP3: NAME TEXT NAME TEXT ...: what has TEXT in a field NAME stays on the server; NULL-terminated; NULL: none */
    char *deliver_mbox;     /* POP3: instead of maildir; NULL */
    char *deliver_lmtp;     /* host:port or /path; NULL */
    char **deliver_command; /* each message to its stdin; NULL */

    enum client_sent sent_copy;
    enum client_compress compress;

    int line, line_end; /* of the file: first and last line of the block */
};

struct client_accounts {
    struct client_account *all; /* owned */
    size_t count;
};

/* Whether the text may name an account: a folder of this name is made. */
bool client_account_name_ok(struct slice name);
/* Path of accounts.conf, made from XDG_CONFIG_HOME or HOME; owned by the caller. NULL when neither is set. */
char *client_accounts_path(void);
/* Where state of the account is kept (journal, queue, UIDL lists, undo): $XDG_STATE_HOME/barid/NAME or ~/.local/state/barid/NAME;
 * made (0700) when it is missing. Owned by the caller. */
enum err MUST_USE client_state_folder(
    const char *account_name, char **out_path, struct err_note *note);

/* The whole of a file, without touching the disk. file is what errors call it, home what "~" stands for (NULL: "~" is an error).
 * ERR_SYNTAX, ERR_LIMIT: note names file and line. */
enum err MUST_USE client_accounts_parse(struct slice text, const char *file, const char *home,
    struct client_accounts *out_accounts, struct err_note *note);
/* Appends the block that client_accounts_parse reads back the same. ERR_SYNTAX: an account that cannot be written so; note says what is wrong with it. */
enum err MUST_USE client_account_write(
    const struct client_account *account, struct buf *out, struct err_note *note);

/* ERR_NOT_FOUND: no file; ERR_SYNTAX: note names file and line; ERR_DENIED: group or others can write it, or it is another user's (it
 * names commands that are run). A symbolic link counts as what it leads to. */
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

/* The secret, for accounts that have one of their own kind: an access token (client_oauth_token), which ERR_AUTH and "later" errors belong to too; else runs the command (no shell; its stderr is the user's), reads the file (ERR_DENIED unless only its owner can read it), asks the
 * Secret Service, or prompts without echo (ERR_NOT_FOUND without a terminal; ERR_CANCELED: Ctrl-C). *out_token: it is an OAuth2 access token. The
 * buffer is initialised and wiped (sasl_buf_wipe) by the caller; it has no limit of its own. */
enum err MUST_USE client_secret(const struct client_account *account, struct buf *out_secret,
    bool *out_token, struct err_note *note);
/* The same with another prompt than "Password for ADDRESS: ". */
enum err MUST_USE client_secret_prompted(const struct client_account *account, const char *prompt,
    struct buf *out_secret, bool *out_token, struct err_note *note);
/* Another token, after a server refused this one. ERR_NOT_FOUND: the account has passwords, or there is no other. Else as client_secret. */
enum err MUST_USE client_secret_renew(const struct client_account *account, struct slice refused,
    struct buf *out_secret, struct err_note *note);

#endif
