/* One IMAP session. Private to server/imap.
 *
 *     greeting ──► LOGGED_OUT ──LOGIN, AUTHENTICATE──► LOGGED_IN ──SELECT, EXAMINE──► SELECTED
 *                                                          ▲      CLOSE, UNSELECT,       │
 *                                                          └──── failed SELECT, deleted ─┘
 *
 * LOGGED_OUT: account is NULL. SELECTED: view holds what the client was told of the mailbox. Input is read in one of the modes below; no mode
 * waits. Exactly one thread runs a session at a time; only idle_watch is reached by others, through imapd_watch. */
#ifndef SERVER_IMAP_IMAPD_INT_H
#define SERVER_IMAP_IMAPD_INT_H

#include "message/summary.h"
#include "proto/imap/imap_frame.h"
#include "proto/imap/imap_parse.h"
#include "proto/imap/imap_write.h"
#include "server/core/login.h"
#include "server/imap/imapd.h"

/* About so many bytes of rows are read at a time: they stay in the processor's cache until they are written, and the memory of a command is so little that
 * the C library does not give it back to the system, which would make each 4 KiB of the next one a page fault (decisions/0006). */
#define IMAPD_PAGE_BYTES_MAX (128u << 10)

enum imapd_state {
    IMAPD_LOGGED_OUT = 1,
    IMAPD_LOGGED_IN = 2,
    IMAPD_SELECTED = 4,
};

enum imapd_mode {
    IMAPD_MODE_COMMAND,
    IMAPD_MODE_SASL, /* the next line answers a challenge of AUTHENTICATE */
    IMAPD_MODE_IDLE, /* the next line is DONE */
    IMAPD_MODE_BODY, /* bytes of a message of APPEND */
};

/* An open mailbox watch of IDLE: read by writers of the account while the session sleeps, so it never changes. */
struct imapd_watch {
    struct conn *conn;
    int64_t mailbox;
};

struct imapd_append; /* imapd_append.c */

struct imapd_session {
    struct conn *conn;     /* borrowed */
    struct server *server; /* borrowed */
    struct login *login;   /* owned; NULL after login */
    struct arena arena;    /* of the command */
    struct arena rows;     /* of one page of rows, inside a command */
    struct imap_framer framer;
    struct imap_frame_limits limits;
    enum imapd_state state;
    enum imapd_mode mode;
    bool logging_out;
    bool
        stop_reading; /* park now although more input may be there: a TLS handshake or a pause comes first */
    bool condstore;                   /* RFC 7162 §3.1: MODSEQ is told with flags */
    bool qresync;                     /* VANISHED instead of EXPUNGE */
    char tag[IMAP_TAG_BYTES_MAX + 1]; /* of AUTHENTICATE or IDLE while it waits */
    size_t tag_len;
    unsigned bad_commands;
    unsigned long long commands;
    int64_t opened_ms;
    uint64_t message_bytes_max;

    struct user user;
    struct account *account;               /* ref; NULL before login */
    struct server_session *server_session; /* owned */

    bool readonly;             /* EXAMINE */
    struct store_view view;    /* while SELECTED */
    struct store_watch *watch; /* while IDLE */
    struct imapd_watch watch_arg;

    struct arena keyword_arena;
    struct slice *keywords; /* names by bit; in keyword_arena */
    size_t keyword_count;

    struct imapd_append *append; /* owned; an APPEND that is coming in */
};

struct imapd_command;

/* One command while it runs. */
struct imapd_cmd {
    const struct imapd_command *command;
    struct slice tag; /* borrowed from the frame or the session */
    struct imap_parse parse;
    bool uid;
    bool answered; /* the tagged answer is written */
};

typedef enum err imapd_fn(struct imapd_session *s, struct imapd_cmd *cmd);

struct imapd_command {
    struct slice name;
    imapd_fn *run;
    unsigned states;     /* where it is allowed */
    bool with_uid;       /* "UID name" exists */
    bool holds_expunges; /* no EXPUNGE in its answers (RFC 3501 §7.4.1), but for the UID form */
};
/* NULL when there is none. */
const struct imapd_command *imapd_command_find(struct slice name, bool uid);

/* ---- imapd_reply.c ---- */

/* What the view still holds, another session has expunged: part of the answer is missing (RFC 5530 §3, RFC 2180 §4). */
#define IMAPD_EXPUNGEISSUED "[EXPUNGEISSUED]"

static inline struct buf *imapd_out(struct imapd_session *s)
{
    return conn_out(s->conn);
}
/* Tagged answer; what happened in the mailbox is told before it. code: "" or "[CODE ...]" without blanks around. */
enum err MUST_USE imapd_ok(
    struct imapd_session *s, struct imapd_cmd *cmd, const char *code, const char *text);
enum err MUST_USE imapd_no(
    struct imapd_session *s, struct imapd_cmd *cmd, const char *code, const char *text);
enum err MUST_USE imapd_bad(struct imapd_session *s, struct imapd_cmd *cmd, const char *text);
/* The connection is done with: nothing more can be said. */
bool imapd_is_over(enum err e);
/* The answer that fits an error of a parser or the store. ERR_CLOSED, ERR_TIMEOUT and ERR_CANCELED come back as they are. */
enum err MUST_USE imapd_fail(struct imapd_session *s, struct imapd_cmd *cmd, enum err e);
/* "a1 OK [CAPABILITY ...] text" */
enum err MUST_USE imapd_ok_capability(
    struct imapd_session *s, struct imapd_cmd *cmd, const char *text);
void imapd_write_capability(struct imapd_session *s);

/* ---- imapd_update.c ---- */

/* What the command itself changed: its caller need not be told of that, or wants to know what was told. */
struct imapd_own {
    const struct uidset
        *silent; /* not told as of modseq; NULL = none. Their MODSEQ is (RFC 7162 §3.1.3) */
    uint64_t modseq;
    struct uidset *told; /* gets the UIDs whose flags were told; NULL = not wanted */
};
/* Tells what happened in the selected mailbox. ERR_NOT_FOUND: the mailbox is gone, and the session has said so. */
enum err MUST_USE imapd_update(
    struct imapd_session *s, bool expunges, bool with_uid, const struct imapd_own *own);
/* "FLAGS (...)" of a row; recent from the view. */
void imapd_write_flags(struct imapd_session *s, uint32_t uid, uint64_t flags);
/* "* FLAGS (...)" and, when permanent, "* OK [PERMANENTFLAGS (...)]". */
void imapd_write_flags_lines(struct imapd_session *s, bool permanent);
/* Reads the account's keywords again when flags hold one that is not known. */
enum err MUST_USE imapd_keywords(struct imapd_session *s, uint64_t flags);
/* Bit of a keyword; 0 when the account has none of that name. */
uint64_t imapd_keyword_bit(struct imapd_session *s, struct slice name);
/* A command that uses CONDSTORE switches it on (RFC 7162 §3.1); the first one is told HIGHESTMODSEQ. */
void imapd_condstore_on(struct imapd_session *s);
/* Up to here the client has been told of everything, expunges too: what it may come back with. */
uint64_t imapd_known_modseq(const struct imapd_session *s);
void imapd_close_mailbox(struct imapd_session *s);

/* ---- imapd_names.c ---- */

/* Modified UTF-7 to the store's name, in the command's arena; INBOX in capitals. ERR_DENIED when it can be no name. */
enum err MUST_USE imapd_mailbox_name(
    struct imapd_session *s, struct slice wire, struct slice *out_name);
/* The mailbox itself; the answer is NO [NONEXISTENT] when this gives ERR_NOT_FOUND. */
enum err MUST_USE imapd_mailbox(
    struct imapd_session *s, struct slice wire, struct mailbox *out_mailbox);

/* UIDs of the view that a set names. ERR_SYNTAX: a sequence number beyond the last message. */
enum err MUST_USE imapd_resolve(
    struct imapd_session *s, const struct imap_set *set, bool uid, struct uidset *out_uids);
/* UIDs of a set as such, whether they exist or not; "*" is the highest of the view. */
void imapd_uid_ranges(const struct imap_set *set, uint32_t star, struct uidset *out_uids);
struct store_flags imapd_store_flags(const struct imap_flags *flags);

/* STATUS items of a mailbox, with the parentheses. */
enum err MUST_USE imapd_write_status(
    struct imapd_session *s, const struct mailbox *mailbox, unsigned items);

/* What a command derived from messages while it read them, and is to be kept: summaries that the store has damaged or in another version; filters. */
struct imapd_made {
    enum store_derived_kind kind;
    struct buf bytes;
    struct {
        int64_t email;
        size_t at, len; /* in bytes */
    } * rows;           /* owned */
    size_t count, cap;
};

void imapd_made_init(struct imapd_made *made, enum store_derived_kind kind);
void imapd_made_done(struct imapd_made *made);
/* What was added to made->bytes from `at` on is of that message. */
void imapd_made_add(struct imapd_made *made, int64_t email, size_t at);
/* Writes them to the store, where that works. Waits for the disk. */
void imapd_made_keep(struct imapd_session *s, struct imapd_made *made);
/* The same once they are many. */
void imapd_made_keep_many(struct imapd_session *s, struct imapd_made *made);

/* The row's summary; *body and *made are the caller's. It borrows from the row or from made, until the next call. Waits for the disk. */
enum err MUST_USE imapd_summary(struct imapd_session *s, const struct store_row *row,
    struct store_body **body, struct imapd_made *made, struct msg_summary *out_summary);
/* The row's bytes: in the row itself, else from the store through *body, which the caller closes. */
enum err MUST_USE imapd_source(struct imapd_session *s, const struct store_row *row,
    struct store_body **body, struct msg_source *out_source);

/* ---- sessions ---- */

/* After a successful login: opens the account. Answers. */
enum err MUST_USE imapd_logged_in(struct imapd_session *s, struct imapd_cmd *cmd);
enum err MUST_USE imapd_sasl_line(struct imapd_session *s, struct slice line);
enum err MUST_USE imapd_idle_line(struct imapd_session *s, struct slice line);
/* Something happened while IDLE waits. */
enum err MUST_USE imapd_idle_woken(struct imapd_session *s);
void imapd_idle_end(struct imapd_session *s);
void imapd_keep_tag(struct imapd_session *s, struct slice tag);

/* ---- APPEND as it comes in ---- */

/* The framer stands behind the header of a message; frame is the command up to there. Takes the text; on ERR_OK the message's bytes
 * follow (and "+" was written if need be). ERR_DENIED: refused, the answer is written, the client will not send the bytes. */
enum err MUST_USE imapd_append_header(
    struct imapd_session *s, struct slice frame, uint64_t bytes, bool sync);
/* Takes bytes of the message out of input; true when the message is complete. */
bool imapd_append_bytes(struct imapd_session *s, struct buf *input);
/* The last piece of the command: files the messages and answers. */
enum err MUST_USE imapd_append_end(struct imapd_session *s, struct slice frame);
/* The command as it came so far, without the messages. */
struct slice imapd_append_text(const struct imapd_append *append);
void imapd_append_free(struct imapd_append *append);

imapd_fn imapd_cmd_capability, imapd_cmd_noop, imapd_cmd_logout, imapd_cmd_id, imapd_cmd_starttls,
    imapd_cmd_authenticate, imapd_cmd_login, imapd_cmd_enable, imapd_cmd_namespace,
    imapd_cmd_select, imapd_cmd_close, imapd_cmd_unselect, imapd_cmd_create, imapd_cmd_delete,
    imapd_cmd_rename, imapd_cmd_subscribe, imapd_cmd_unsubscribe, imapd_cmd_list, imapd_cmd_lsub,
    imapd_cmd_status, imapd_cmd_append, imapd_cmd_expunge, imapd_cmd_search, imapd_cmd_fetch,
    imapd_cmd_sort, imapd_cmd_thread, imapd_cmd_store, imapd_cmd_copy, imapd_cmd_idle;

#endif
