/* A connection to an IMAP server, from the client's side (RFC 9051, RFC 3501).
 *
 * Commands are queued and sent together (RFC 9051 §5.5); their answers come back in the same order, so what is untagged belongs to the oldest
 * command that waits. A command is a `struct imapc_task` that its owner embeds: its functions get the answers. They may queue more
 * commands and must not wait. Everything blocks in imapc_run only. One thread at a time.
 *
 * No secret is sent before TLS is up and the certificate fits, except on loopback (ATTACKS §5: NO STARTTLS). */
#ifndef CLIENT_IMAP_IMAPC_H
#define CLIENT_IMAP_IMAPC_H

#include "base/buf.h"
#include "base/err.h"
#include "client/core/connect.h"
#include "client/imap/imapc_known.h"
#include "proto/imap/imap_reply.h"

struct imapc;

enum imapc_cap {
    IMAPC_SASL_IR = 1 << 0,       /* RFC 4959 */
    IMAPC_LITERAL_PLUS = 1 << 1,  /* RFC 7888; of any size */
    IMAPC_LITERAL_MINUS = 1 << 2, /* up to 4096 bytes */
    IMAPC_UIDPLUS = 1 << 3,       /* RFC 4315 */
    IMAPC_MOVE = 1 << 4,          /* RFC 6851 */
    IMAPC_CONDSTORE = 1 << 5,     /* RFC 7162 */
    IMAPC_QRESYNC = 1 << 6,
    IMAPC_LIST_EXTENDED = 1 << 7, /* RFC 5258 */
    IMAPC_LIST_STATUS = 1 << 8,   /* RFC 5819 */
    IMAPC_SPECIAL_USE = 1 << 9,   /* RFC 6154 */
    IMAPC_ESEARCH = 1 << 10,      /* RFC 4731 */
    IMAPC_ENABLE = 1 << 11,       /* RFC 5161 */
    IMAPC_ID = 1 << 12,           /* RFC 2971 */
    IMAPC_IDLE = 1 << 13,         /* RFC 2177 */
    IMAPC_LOGINDISABLED = 1 << 14,
    IMAPC_NAMESPACE = 1 << 15, /* RFC 2342 */
    IMAPC_QUOTA = 1 << 16,     /* RFC 9208, RFC 2087 */
    IMAPC_NOTIFY = 1 << 17,    /* RFC 5465 */
    IMAPC_COMPRESS = 1 << 18,  /* COMPRESS=DEFLATE, RFC 4978 */
};

struct imapc_options {
    const struct client_account
        *account; /* borrowed, as all here: its imap server, user, ca_file */
    struct slice secret;
    bool token;       /* the secret is an OAuth2 access token */
    unsigned weakest; /* enum client_mechanism: no weaker login than this */
    int timeout_ms;   /* without any progress */
};

/* Connects, starts TLS, logs in, asks for capabilities; CONDSTORE or QRESYNC are enabled with the first command that follows. On an error failure
 * says why, in kinds that have sentences. */
enum err MUST_USE imapc_open(
    const struct imapc_options *options, struct imapc **out_imap, struct client_failure *failure);
/* Says LOGOUT when the connection still works; waits for nothing. */
void imapc_close(struct imapc *imap);

unsigned imapc_caps(const struct imapc *imap);
bool imapc_qresync(const struct imapc *imap); /* it was enabled; after the first imapc_run */
/* The mechanism that was used, for options.weakest next time; 0 when the server knew us already (PREAUTH on loopback). */
unsigned imapc_mechanism(const struct imapc *imap);
/* What the server said last when it refused something or hung up; "" before that. Borrowed; escape it before a terminal sees it. */
const char *imapc_words(const struct imapc *imap);

struct imapc_task {
    /* An untagged answer. NULL: not interested. An error ends imapc_run with it, and the connection. */
    enum err (*data)(struct imapc_task *task, const struct imap_reply *reply);
    /* The bytes of a message (BODY[], RFC822) before the answer that they are in: first how many, then the bytes in pieces, then `data` with NIL
     * in their place. NULL: thrown away. */
    enum err (*body_begin)(struct imapc_task *task, uint64_t bytes);
    enum err (*body)(struct imapc_task *task, struct slice piece);
    /* Its own answer, OK, NO or BAD: the task's memory may go. NULL: nothing. */
    enum err (*done)(struct imapc_task *task, const struct imap_reply *reply);
    void *owner;

    bool waits; /* sent (or queued) and not answered; private, as what follows */
    unsigned tag;
    struct imapc_task *next;
};

/* In body_begin: what the server said of the message before its bytes, "* 5 FETCH (UID 7 BODY[] NIL". A server may answer several FETCHes together and say OK to all of them
 * behind that: then this is how to know whose bytes come. */
struct slice imapc_head(const struct imapc *imap);

/* Queues a command; text is without tag and CRLF, and complete (strings by imapc_add_string). */
void imapc_queue(struct imapc *imap, struct imapc_task *task, struct slice text);
void imapc_queuef(struct imapc *imap, struct imapc_task *task, const char *format, ...)
    PRINTF(3, 4);
/* Sends what is queued and takes answers until the task has its own; NULL: until no command waits. After an error the connection is
 * only good for imapc_close. */
enum err MUST_USE imapc_run(struct imapc *imap, struct imapc_task *task);
/* After an error of imapc_run, imapc_command or imapc_append: whether the connection is lost, or only the command was refused. */
bool imapc_is_broken(const struct imapc *imap);
/* Why it is lost. Returns the error. */
enum err imapc_failed(const struct imapc *imap, struct client_failure *failure);
/* How many commands wait for their answer. */
size_t imapc_waiting(const struct imapc *imap);

/* One command that is worth waiting for: ERR_OK for OK; ERR_NOT_FOUND, ERR_EXISTS, ERR_LIMIT, ERR_DENIED, ERR_BUSY, ERR_SYNTAX by
 * the response code (RFC 5530) of a NO or BAD. The connection stays good. Its untagged answers are thrown away. */
enum err MUST_USE imapc_command(struct imapc *imap, struct slice text);
/* The same for a command of which some parts are literals, at ascending places of text, which has them in it but not their headers. */
struct imapc_literal {
    size_t at, len;
};
enum err MUST_USE imapc_talk(struct imapc *imap, struct imapc_task *task, struct slice text,
    const struct imapc_literal *literals, size_t count);
/* So many bytes of mail are about to go over, in either direction: compresses the connection from here on where it pays, and the account does not say otherwise. Costs
 * one round trip then, once, and waits for all answers. An error is the connection's end. */
enum err MUST_USE imapc_expect(struct imapc *imap, uint64_t bytes);
/* Whether it pays for so many bytes on a way that takes so long there and back; 0: not known. */
bool imapc_compress_pays(uint32_t rtt_us, uint64_t bytes);
/* What a message is taken for whose size is not known. */
#define IMAPC_MESSAGE_BYTES 8192u
/* What a NO or BAD means. ERR_OK for OK. */
enum err imapc_reply_err(const struct imap_reply *reply);

/* APPEND (RFC 9051 §6.3.12) of bytes that a function gives, CRLF line ends and all. Waits for everything queued before. mailbox is an astring
 * (imapc_add_string); flags "(\Seen)" or ""; date as imap_datetime_write gives it, or "". *out_uid, *out_uidvalidity: of APPENDUID, else 0. The
 * function returns how many bytes it put into `to`; fewer than asked for is ERR_IO, and breaks the connection. */
typedef enum err (*imapc_source_fn)(void *arg, char *to, size_t len);
enum err MUST_USE imapc_append(struct imapc *imap, struct slice mailbox, const char *flags,
    const char *date, uint64_t bytes, imapc_source_fn source, void *arg, uint32_t *out_uidvalidity,
    uint32_t *out_uid);

/* The same in steps, for bytes that come from elsewhere as they go out. begin waits for the server's go-ahead where it must (then for all answers before it too), else for
 * nothing; then pieces of exactly so many bytes in all, which wait only while the server takes nothing; then end. The task's answer comes with imapc_run: several may be
 * on their way, and small ones go out together, at the latest in imapc_run. *out_go false: it was refused, and the task is done. Whoever cannot go on says so by
 * imapc_append_cut, which ends the connection in the middle of the command: the server keeps nothing of it. So does end when bytes are missing (ERR_SYNTAX). */
enum err MUST_USE imapc_append_begin(struct imapc *imap, struct imapc_task *task,
    struct slice mailbox, struct slice flags, struct slice date, uint64_t bytes, bool *out_go);
enum err MUST_USE imapc_append_piece(struct imapc *imap, struct slice piece);
enum err MUST_USE imapc_append_end(struct imapc *imap);
/* No append is begun: nothing happens. */
void imapc_append_cut(struct imapc *imap);
/* [APPENDUID uidvalidity uid] of an OK (RFC 4315 §3). False: there is none that can be one, and nothing is set. */
bool imapc_append_uid(const struct imap_reply *reply, uint32_t *out_uidvalidity, uint32_t *out_uid);
/* The largest message that the server says it takes (RFC 7889); UINT64_MAX: it does not say. */
uint64_t imapc_append_limit(const struct imapc *imap);

/* Files a sent message in the Sent folder of the server (the one marked \\Sent, else one of the usual names, else a new "Sent") unless a message of this Message-ID
 * is there already, which *out_was_there says. message_id "": it is not looked for. Selects that folder. */
enum err MUST_USE imapc_file_sent(struct imapc *imap, const char *message_id, int64_t sent_s,
    uint64_t bytes, imapc_source_fn source, void *arg, bool *out_was_there);

/* Selects INBOX and waits there until the server tells of a change (*out_news), of any folder when it knows NOTIFY, other_fd can be read (*out_other; -1: none), or the time is over. A
 * server without IDLE tells of nothing. known, or NULL: a mailbox that differs from that is news at once (imapc_known.h): INBOX with every server, all of them with NOTIFY. The connection is good for commands afterwards. */
enum err MUST_USE imapc_idle(struct imapc *imap, const struct imapc_known *known, int other_fd, int timeout_ms, bool *out_news, bool *out_other);

/* An astring as it stands in a command: quoted; with `{n+}` or not at all when it cannot be (ERR_SYNTAX: CR, LF, NUL or 8-bit in it). */
enum err MUST_USE imapc_add_string(struct buf *out, struct slice s);

#endif
