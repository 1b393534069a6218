/* What a person does with a mailbox by single commands: folders, messages, search, flags, moves, quota. Each function is one dialogue and blocks; its error
 * is the server's refusal (imapc_words says why) or the end of the connection (imapc_is_broken). ERR_LIMIT also for a server that says more than can be.
 * Names of folders are UTF-8 here, and as the server writes them in far_name. */
#ifndef CLIENT_IMAP_IMAPC_MAIL_H
#define CLIENT_IMAP_IMAPC_MAIL_H

#include "base/uidset.h"
#include "client/imap/imapc.h"

/* ---- folders ---- */

#define IMAPC_FOLDERS_MAX   100000u
#define IMAPC_SET_BYTES_MAX 7000u /* of a set in one command: servers take lines of 8 KiB */

enum imapc_use { /* RFC 6154 §2 */
    IMAPC_USE_NONE,
    IMAPC_USE_TRASH,
    IMAPC_USE_SENT,
    IMAPC_USE_DRAFTS,
    IMAPC_USE_JUNK,
    IMAPC_USE_ARCHIVE,
    IMAPC_USE_ALL,     /* shows what is in other folders */
    IMAPC_USE_FLAGGED, /* likewise */
    IMAPC_USES
};
/* "\\Trash"; "" for none. */
const char *imapc_use_name(enum imapc_use use);

struct imapc_folder {
    char *far_name; /* owned */
    char *name;     /* owned; UTF-8, or far_name where that is no modified UTF-7 */
    char delimiter; /* 0: no folders in it */
    bool noselect;
    enum imapc_use use; /* as the server marks it */
    bool subscribed;    /* after imapc_list_subscribed */
    bool has_status;
    uint32_t messages, unseen;
};

struct imapc_folders {
    struct imapc_folder *all; /* owned; in the server's order */
    size_t count;
    char *prefix;   /* owned; of personal folders (RFC 2342), UTF-8: "" or "INBOX." */
    char delimiter; /* of them */
};

/* with_status: counts too. Folders that the server cannot name in ASCII are left out: no command could name them. */
enum err MUST_USE imapc_list(
    struct imapc *imap, bool with_status, struct imapc_folders *out_folders);
void imapc_folders_done(struct imapc_folders *folders);
/* NAMESPACE (RFC 2342 §5): the prefix, as the server writes it, and delimiter ('\0': none) of the first personal namespace,
 * (("INBOX." ".")) NIL NIL. Borrowed from the reply. False: it names none. */
bool imapc_take_namespace(
    const struct imap_reply *reply, struct slice *out_prefix, char *out_delimiter);
/* Marks those that are subscribed; a server that cannot tell has none. */
enum err MUST_USE imapc_list_subscribed(struct imapc *imap, struct imapc_folders *folders);
/* By its name; "/" stands for the server's delimiter where no name has it so, and INBOX is written in any case. NULL. */
const struct imapc_folder *imapc_folder_find(
    const struct imapc_folders *folders, struct slice name);
/* The marked one, else one of a usual name. NULL. */
const struct imapc_folder *imapc_folder_of_use(
    const struct imapc_folders *folders, enum imapc_use use);
/* ERR_SYNTAX: such a name cannot be. far_name is the server's, delimiters and all. Subscribes it too. ERR_OK when it is there. */
enum err MUST_USE imapc_create(struct imapc *imap, const char *far_name);
/* Name of a new personal folder as the server writes it, of "/"-parted UTF-8. ERR_SYNTAX: it has the delimiter in it, an empty level, or is no UTF-8. */
enum err MUST_USE imapc_far_name(
    const struct imapc_folders *folders, struct slice name, struct buf *out);

struct imapc_box {
    uint32_t exists, uidvalidity, uidnext; /* 0: not told */
    uint64_t modseq;                       /* HIGHESTMODSEQ; 0: not told */
    bool any_keyword;                      /* new keywords are kept */
    char *keywords;                        /* owned; what is kept, each between blanks: " a b " */
};
enum err MUST_USE imapc_select(
    struct imapc *imap, const char *far_name, bool read_only, struct imapc_box *out_box);
void imapc_box_done(struct imapc_box *box);

/* ---- messages of the selected folder ---- */

struct imapc_message {
    uint32_t uid;
    const struct imap_value *flags; /* a list, or NULL */
    uint64_t bytes;                 /* RFC822.SIZE */
    int64_t received_s;
    int32_t zone_min;
    struct slice header; /* the fields that were asked for */
};
typedef enum err (*imapc_message_fn)(void *arg, const struct imapc_message *message);

/* Calls back for each message of the set as its answer comes; each once at most. by_number: the set is one of numbers, as "12:*". fields: "DATE FROM", or "".
 * most: how many there can be. Flags, size and date come always. */
enum err MUST_USE imapc_each(struct imapc *imap, struct slice set, bool by_number,
    const char *fields, uint64_t most, imapc_message_fn each, void *arg);
/* Of a set of any length. */
enum err MUST_USE imapc_each_of(struct imapc *imap, const struct uidset *uids, const char *fields,
    imapc_message_fn each, void *arg);
/* The bytes of one message in pieces, without marking it as read. ERR_NOT_FOUND: there is no such message (any more). An error of begin or piece ends the
 * connection. */
struct imapc_take {
    enum err (*begin)(void *arg, uint64_t bytes);
    enum err (*piece)(void *arg, struct slice bytes);
    void *arg;
};
enum err MUST_USE imapc_read_message(
    struct imapc *imap, uint32_t uid, const struct imapc_take *take);
/* Appends runs of the set from *at on, as many as fit a line; *at is the first that did not. */
void imapc_add_set(struct buf *out, const struct uidset *uids, size_t *at);

/* ---- search ---- */

#define IMAPC_QUERY_WORDS_MAX 100u
#define IMAPC_QUERY_BYTES_MAX 8000u

/* A SEARCH program. */
struct imapc_query {
    struct buf text; /* owned */
    struct imapc_literal literals[IMAPC_QUERY_WORDS_MAX];
    size_t count;
    bool utf8;
};
/* Makes it of words: "from:salma", "to:", "cc:", "subject:", "body:", "keyword:", "since:2026-11-01", "before:", "on:", "larger:1M", "smaller:", "unseen", "seen",
 * "flagged", "unflagged", "answered", "unanswered", "draft", "deleted"; anything else is text that the message has somewhere. All have to fit. ERR_SYNTAX: *out_bad is
 * a word that means nothing; ERR_LIMIT: too many or too long. Afterwards imapc_query_done in any case. */
enum err MUST_USE imapc_query_make(
    struct imapc_query *query, char *const *words, size_t count, const char **out_bad);
void imapc_query_done(struct imapc_query *query);
/* UIDs of the selected folder; out_uids is initialised. */
enum err MUST_USE imapc_search(
    struct imapc *imap, const struct imapc_query *query, struct uidset *out_uids);

#define IMAPC_SEARCH_ANSWERS_MAX 1000u /* one is right; some servers cut theirs */

/* Calls back for each message of this Message-ID ("<...>", as it stands in the field) in all folders that can be opened; flags, size and date are in it. The id has no CR,
 * LF or NUL. */
typedef enum err (*imapc_found_fn)(void *arg, const struct imapc_folder *folder,
    uint32_t uidvalidity, const struct imapc_message *message);
enum err MUST_USE imapc_find_message(struct imapc *imap, const struct imapc_folders *folders,
    struct slice id, imapc_found_fn each, void *arg);

/* ---- changes in the selected folder ---- */

/* sign '+' or '-'; flags as "\\Seen $x", each an atom. */
enum err MUST_USE imapc_store(
    struct imapc *imap, const struct uidset *uids, char sign, struct slice flags);
/* Whether a flag can stand in a command: an atom, with at most one "\\" before it (RFC 9051 §9). */
bool imapc_flag_ok(struct slice flag);
/* Whether messages can be moved, or removed, without touching others that are marked \Deleted. */
bool imapc_can_move(const struct imapc *imap);
bool imapc_can_remove(const struct imapc *imap);
/* MOVE, or COPY and imapc_remove. ERR_NOT_FOUND: there is no such folder. */
enum err MUST_USE imapc_move(struct imapc *imap, const struct uidset *uids, const char *far_name);
/* UID EXPUNGE of these (RFC 4315 §2.1), where imapc_can_remove; \Deleted and that. */
enum err MUST_USE imapc_expunge(struct imapc *imap, const struct uidset *uids);
enum err MUST_USE imapc_remove(struct imapc *imap, const struct uidset *uids);

/* ---- quota (RFC 9208) ---- */

#define IMAPC_QUOTAS_MAX 64u
struct imapc_quota {
    char root[200], resource[40]; /* as the server says */
    uint64_t used, limit;         /* STORAGE in units of 1024 bytes */
};
/* Of INBOX. ERR_DENIED: the server knows no quota. */
enum err MUST_USE imapc_quotas(
    struct imapc *imap, struct imapc_quota out_all[IMAPC_QUOTAS_MAX], size_t *out_count);

#endif
