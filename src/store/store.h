/* The store of one node: a folder of accounts, each one SQLite database with its small bodies inside and its big ones beside it.
 * docs/store.md has the formats and the truths S-1 to S-9 that the code cites.
 *
 *     ROOT/accounts/ID/mail.db   ROOT/accounts/ID/big/GUID   ROOT/incoming/ (bodies on their way in; swept at start)
 *
 * Ordinary blocking C: every function may wait for the disk and for the account's lock. Thread-safe unless said otherwise.
 * Knows no protocol word: mailbox names are UTF-8 with '/' between levels, "INBOX" in capitals. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/uidset.h"
#include "message/source.h"

struct store;
struct account;

struct store_options {
    const char *root;           /* data directory; made when missing, 0700 */
    size_t accounts_open_max;   /* idle ones beyond it are closed, least recently used first; 0 = 1000 */
    size_t body_row_bytes_max;  /* larger bodies are files; 0 = BLOB_MEMORY_BYTES_MAX */
    unsigned checkpoint_pages;  /* WAL pages after which a checkpoint is due, off the answer's path; 0 = 500 */
};

/* One process at a time: ERR_BUSY while another has the folder open. The lock goes with the process. */
enum err MUST_USE store_open(const struct store_options *options, struct store **out_store, struct err_note *note);
/* All accounts must be unreferenced. Checkpoints and closes. */
void store_close(struct store *store);

struct store_stats {
    size_t accounts_open;
    unsigned long long commits, requests, checkpoints; /* requests / commits = how well writers combine */
};
struct store_stats store_stats(struct store *store);

/* id: 1 to 64 of [a-z0-9-]; directory.db gives it out. With create, an account that is not there is made with an INBOX and the
 * special-use mailboxes Drafts, Sent, Archive, Junk, Trash (RFC 6154), all subscribed. ERR_NOT_FOUND, ERR_CORRUPT, ERR_BUSY (opened by another
 * process). The reference is released with account_unref. Opening an open account costs a hash lookup. */
enum err MUST_USE store_account(struct store *store, struct slice id, bool create, struct account **out_account);
struct account *account_ref(struct account *account);
void account_unref(struct account *account);
struct slice account_id(const struct account *account); /* borrowed */
/* Removes the folder; ERR_BUSY while referenced. */
enum err MUST_USE store_account_remove(struct store *store, struct slice id);

/* Each account that has a folder. Ends with the first error of fn. */
typedef enum err store_id_fn(void *fn_arg, struct slice id);
enum err MUST_USE store_account_ids(struct store *store, store_id_fn *fn, void *fn_arg);

/* Bytes and messages that appends may reach; 0 = no limit. Kept in memory: set it after opening. */
void account_quota_set(struct account *account, uint64_t bytes_max, uint64_t messages_max);

/* Whether so much more would be within the quota now; what files it asks again. */
bool account_quota_fits(struct account *account, uint64_t bytes, uint64_t messages);

/* After a failed write or sync the account is read-only until it is reopened and checked (S-8). */
bool account_readonly(struct account *account);

/* ---- bodies on their way in ---- */

/* Collects the bytes of one message: memory up to body_row_bytes_max, then a file in ROOT/incoming. Scans while it collects. One thread. */
struct blob;

enum err MUST_USE blob_new(struct store *store, uint64_t bytes_max, struct blob **out_blob);
/* ERR_LIMIT over bytes_max, ERR_NO_SPACE, ERR_IO; the blob is then useless. */
enum err MUST_USE blob_write(struct blob *blob, struct slice bytes);
/* All bytes of a message, in pieces. Gives the source's errors too. */
enum err MUST_USE blob_write_source(struct blob *blob, const struct msg_source *source);
uint64_t blob_size(const struct blob *blob);
/* No more bytes: makes the summary; syncs a file and its directory entry (S-2). Required before append. Idempotent. */
enum err MUST_USE blob_finish(struct blob *blob);
/* Readable after blob_finish; borrowed while the blob lives. */
struct msg_source blob_source(struct blob *blob);
struct slice blob_summary(const struct blob *blob);
/* Counted: one body may be filed in many accounts and read by many. */
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob);

/* ---- flags ---- */

enum store_flag {
    STORE_SEEN     = 1 << 0,
    STORE_ANSWERED = 1 << 1,
    STORE_FLAGGED  = 1 << 2,
    STORE_DELETED  = 1 << 3,
    STORE_DRAFT    = 1 << 4,
    /* bits 8 .. 62 are the account's keywords, numbered as they first came (KEYWORDS_MAX); a number never changes its meaning */
};
#define STORE_KEYWORD_BIT_FIRST 8
#define STORE_SYSTEM_FLAGS      0x1Fu

/* What a caller asks for: system bits and keywords by name. */
struct store_flags {
    unsigned system;
    const struct slice *keywords; /* borrowed */
    size_t keyword_count;
};

/* Names of all keywords; out_names[i] belongs to bit STORE_KEYWORD_BIT_FIRST + i. In the arena. */
enum err MUST_USE account_keywords(struct account *account, struct arena *arena, struct slice **out_names,
        size_t *out_count);

/* ---- mailboxes ---- */

enum store_special_use { /* RFC 6154 */
    STORE_USE_NONE,
    STORE_USE_ARCHIVE,
    STORE_USE_DRAFTS,
    STORE_USE_JUNK,
    STORE_USE_SENT,
    STORE_USE_TRASH,
    STORE_USE_FLAGGED, /* \Flagged, \All are never given by the store, only kept for later */
    STORE_USE_ALL,
};

struct mailbox {
    int64_t id;
    struct slice name; /* UTF-8 */
    uint32_t uidvalidity, uidnext;
    uint64_t modseq_max; /* HIGHESTMODSEQ, RFC 7162 */
    uint64_t messages, unseen, deleted, bytes;
    enum store_special_use use;
    bool subscribed;
    bool noselect;     /* a name that only holds children */
    bool exists;       /* false: only subscribed (RFC 3501 §6.3.9), id 0 */
    bool has_children;
};

/* All of them ordered by name (INBOX first), with counts; names that are only subscribed come with exists = false. One short read. */
enum err MUST_USE account_mailboxes(struct account *account, struct arena *arena, struct mailbox **out_list,
        size_t *out_count);
/* By name; "inbox" in any case is INBOX. The row's name lives in the arena. ERR_NOT_FOUND. */
enum err MUST_USE account_mailbox(struct account *account, struct slice name, struct arena *arena,
        struct mailbox *out_mailbox);
enum err MUST_USE account_mailbox_by_id(struct account *account, int64_t id, struct arena *arena,
        struct mailbox *out_mailbox);
enum err MUST_USE account_mailbox_by_use(struct account *account, enum store_special_use use, struct arena *arena,
        struct mailbox *out_mailbox);

/* How many messages no session has been told of as recent. May look at each of them. */
enum err MUST_USE account_recent(struct account *account, int64_t mailbox, uint64_t *out_count);

/* Missing parents are made too (RFC 3501 §6.3.3). ERR_EXISTS; ERR_LIMIT (MAILBOXES_MAX, MAILBOX_LEVELS_MAX,
 * MAILBOX_NAME_BYTES_MAX); ERR_SYNTAX for a name that is not UTF-8, holds controls, or has an empty level. */
enum err MUST_USE mailbox_create(struct account *account, struct slice name, enum store_special_use use,
        int64_t *out_id);
/* With children: becomes \Noselect (RFC 3501 §6.3.4). ERR_NOT_FOUND; ERR_DENIED for INBOX and for a \Noselect name
 * that has children. */
enum err MUST_USE mailbox_delete(struct account *account, struct slice name);
/* Children move along. Renaming INBOX moves its messages to a new mailbox and leaves INBOX empty (RFC 3501 §6.3.5). */
enum err MUST_USE mailbox_rename(struct account *account, struct slice from, struct slice to);
/* The mailbox need not be there. ERR_SYNTAX; ERR_LIMIT: MAILBOXES_MAX names are subscribed to. */
enum err MUST_USE mailbox_subscribe(struct account *account, struct slice name, bool subscribed);

/* ---- reading messages ---- */

enum store_need { /* what account_read fetches beside uid, flags, modseq */
    STORE_NEED_EMAIL   = 1, /* email, guid, size, received */
    STORE_NEED_SUMMARY = 2, /* implies EMAIL */
    STORE_NEED_BODY    = 4, /* implies EMAIL; body for rows whose bytes lie in the database */
    STORE_NEED_FILTER  = 8, /* implies SUMMARY; not together with BODY */
};

struct store_row {
    uint32_t uid;
    uint64_t flags, modseq;
    int64_t email;
    unsigned char guid[16];
    uint64_t size;
    int64_t received_s;   /* INTERNALDATE, seconds UTC */
    int32_t received_tz_min; /* its zone as given by APPEND; 0 for deliveries */
    struct slice summary; /* in the arena; empty when it is damaged: msg_summary_from makes it anew */
    struct slice filter;  /* in the arena; empty when none was made: message/filter.h */
    struct slice body;    /* in the arena; ptr NULL when it is a file, or damaged: use account_body */
};

struct store_rows {
    struct store_row *at; /* in the arena, ascending uid */
    size_t count;
    uint32_t next_uid; /* 0: nothing more; else ask again with from_uid = next_uid */
    bool damaged;      /* rows are missing here whose messages cannot be read */
};

struct store_read_args {
    int64_t mailbox;
    const struct uidset *uids; /* NULL = all */
    uint32_t from_uid;         /* skip lower ones */
    unsigned need;
    uint64_t flags_all, flags_none; /* only rows with all / none of these bits; 0 = any */
    uint64_t modseq_above;          /* only rows changed after it; 0 = any */
    size_t rows_max;                /* 0 = 10,000 */
    size_t bytes_max;               /* stop after about so many bytes of summaries, filters and bodies (at least one row); 0 = 4 MiB */
};

/* Committed rows (S-1). The account's lock is not held afterwards. UIDs that are gone are simply not there. */
enum err MUST_USE account_read(struct account *account, const struct store_read_args *args, struct arena *arena,
        struct store_rows *out_rows);

/* What never changes of a message in a mailbox. */
struct store_entry {
    int64_t email;
    uint64_t size;
    int64_t received_s;
    uint32_t uid;
    unsigned char guid[16];
};

/* The uids that are there; none when the mailbox is gone. From memory, where the mailbox was looked at lately. out_uids is initialised. */
enum err MUST_USE account_uids(struct account *account, int64_t mailbox, struct uidset *out_uids);

/* A handle on one body, small or big; stays readable after an expunge. ERR_CORRUPT when the bytes are not those that came: a big one is read through
 * for that the first time. */
struct store_body;
enum err MUST_USE account_body(struct account *account, int64_t email, struct store_body **out_body);
struct msg_source store_body_source(struct store_body *body); /* borrowed; one thread */
void store_body_close(struct store_body *body);

/* UID of the first message without \Seen, 0 when there is none. What an earlier call went over is not read again. */
enum err MUST_USE account_first_unseen(struct account *account, int64_t mailbox, uint32_t *out_uid);

/* ---- views: what an IMAP session's client knows of a mailbox ---- */

struct store_view {
    int64_t mailbox;
    uint32_t uidvalidity;
    uint32_t uidnext;
    struct uidset uids;   /* sequence number n is uidset_at(&uids, n) */
    struct uidset recent; /* \Recent in this session */
    uint64_t modseq;      /* additions and flags up to here are known */
    uint64_t gone_modseq; /* expunges up to here are known */
};

/* Reads the UIDs. claim_recent: this session becomes the one that is told \Recent (SELECT; not EXAMINE or STATUS). */
enum err MUST_USE store_view_open(struct account *account, int64_t mailbox, bool claim_recent,
        struct store_view *out_view);
void store_view_done(struct store_view *view);

/* Rows that store_view_update hands out itself: 1.2 MiB, and what it holds the account's lock for. */
#define STORE_CHANGED_MAX 10000u

struct store_view_changes {
    struct uidset vanished;  /* in the view before, gone now; still removed from view->uids when expunges were allowed */
    struct uidset added;     /* now in view->uids */
    struct store_row *changed; /* in the arena: rows whose flags or modseq changed, added ones not included */
    size_t changed_count;
    bool changed_many; /* they are more than STORE_CHANGED_MAX: changed is empty, account_read tells them in pages */
    uint64_t changed_above; /* with changed_many: its modseq_above */
    bool mailbox_gone; /* deleted, or renamed away with a new UIDVALIDITY: nothing else is set */
};
/* Brings the view up to date. expunges false: vanished stays empty and gone messages stay in view->uids until a call with true
 * (RFC 3501 §7.4.1). The sets in out are initialised by the call; release with store_view_changes_done. Costs one small query when nothing changed. */
enum err MUST_USE store_view_update(struct account *account, struct store_view *view, bool expunges,
        bool claim_recent, struct arena *arena, struct store_view_changes *out_changes);
void store_view_changes_done(struct store_view_changes *changes);

/* UIDs expunged after modseq, for QRESYNC (RFC 7162 §3.2.5.2). May name more than really existed when history is short. */
enum err MUST_USE account_vanished(struct account *account, int64_t mailbox, uint64_t modseq_above,
        struct uidset *out_uids);

/* ---- changes ---- */

/* What a device took of a message, and whether it is not to be shown it again: a row of download. */
struct store_mark {
    int64_t device, taken_s; /* taken_s 0: it has not taken it */
    bool hidden;
};

/* RFC 1939 §7: 1 to 70 characters from 0x21 to 0x7E. */
#define STORE_UIDL_BYTES_MAX 70
bool store_uidl_ok(struct slice uidl);

struct store_append {
    struct blob *blob; /* finished; borrowed */
    struct store_flags flags;
    int64_t received_s;
    int32_t received_tz_min;
    bool restored;             /* guid is that of a message that is brought back: kept, and neither looked up nor remembered as a delivery */
    const unsigned char *guid; /* 16 bytes or NULL. restored: the message's own. Else what names the delivery: one that was made here before gives ERR_EXISTS,
                                * whether or not the message is still there (remembered for DELIVERED_DAYS), so that it may be repeated */
    /* restored: what comes along with it */
    struct slice uidl;               /* what another server called it by POP3; empty: nothing. Not the id of another message here */
    const struct store_mark *marks;  /* borrowed */
    size_t mark_count;
};

struct store_append_result {
    uint32_t uidvalidity;
    uint32_t uid_first; /* the messages got consecutive UIDs */
    bool over_quota;    /* ERR_NO_SPACE came from the quota, not from the disk */
    size_t uidls_refused; /* not valid, or another message has it: these are called by their ids */
};

/* All or nothing, in one transaction (S-2, S-4). ERR_NOT_FOUND when the mailbox is gone, ERR_NO_SPACE. Big files are hard-linked from the blob. */
enum err MUST_USE account_append(struct account *account, int64_t mailbox, const struct store_append *items,
        size_t count, struct store_append_result *out_result);

/* How much of the quota is used, 0 to 100, the fuller of bytes and messages; 0 without a quota. Whether its owner was told. */
enum err MUST_USE account_quota_percent(struct account *account, unsigned *out_percent, bool *out_warned);
/* Files the message that tells, and remembers it, in one change. ERR_EXISTS: was told meanwhile. */
enum err MUST_USE account_quota_warn(struct account *account, int64_t mailbox, const struct store_append *warning);
/* There is room again: the next time is worth telling. */
enum err MUST_USE account_quota_calm(struct account *account);

enum store_flags_how {
    STORE_FLAGS_SET, /* system flags and keywords become exactly these */
    STORE_FLAGS_ADD,
    STORE_FLAGS_REMOVE,
};

struct store_flags_args {
    int64_t mailbox;
    const struct uidset *uids;
    enum store_flags_how how;
    struct store_flags flags;
    bool has_unchangedsince; /* RFC 7162 §3.1.3 */
    uint64_t unchangedsince;
    uint64_t known_modseq; /* the caller knows of changes up to it; 0 = does not ask for result.news */
};

struct store_flags_result {
    struct uidset done;     /* rows there and not refused by UNCHANGEDSINCE, whether or not a bit changed */
    struct uidset modified; /* refused by UNCHANGEDSINCE */
    struct uidset news;     /* of done: those that others had changed after known_modseq; empty when that is 0 */
    uint64_t modseq;        /* of the change; 0 when no row changed */
    bool keywords_full;     /* some keyword could not be stored: KEYWORDS_MAX reached */
};
/* A row whose flags do not change keeps its modseq. Release the sets with uidset_done. */
enum err MUST_USE account_flags(struct account *account, const struct store_flags_args *args,
        struct store_flags_result *out_result);

struct store_expunge_args {
    int64_t mailbox;
    const struct uidset *uids; /* NULL = all */
    bool deleted_only;         /* only those with STORE_DELETED */
};
/* out_gone (may be NULL) is set to what was removed; the caller has initialised it. */
enum err MUST_USE account_expunge(struct account *account, const struct store_expunge_args *args,
        struct uidset *out_gone);

struct store_copy_args {
    int64_t from, to;
    const struct uidset *uids;
    bool move; /* RFC 6851: one transaction (I4: never in both or none) */
};
struct store_copy_result {
    uint32_t uidvalidity;          /* of the target */
    struct uidset source, target; /* the nth member of one became the nth of the other */
    bool over_quota;
};
/* ERR_NOT_FOUND when the target is gone. Nothing to copy: ERR_OK and empty sets. Release the sets with uidset_done. */
enum err MUST_USE account_copy(struct account *account, const struct store_copy_args *args,
        struct store_copy_result *out_result);

/* ---- downloads: what a program takes of a mailbox to keep for itself (POP3) ---- */

/* A device is a number of the directory's; 0 stands for all programs that log in without one of their own. */
#define STORE_DEVICE_ALL (-1) /* whoever it is that hides */

struct store_download_view {
    int64_t device;
    const int64_t *mailboxes; /* in any order; one that is not there is left out */
    size_t mailbox_count;
    bool without_taken;       /* not what this device has taken before */
    int64_t filed_from_ms;    /* filed here then or later; 0 = whenever */
    int64_t received_from_s;  /* arrived then or later; 0 = whenever */
    size_t newest;            /* of what the mailboxes hold of that only so many, whether or not the device is shown them; 0 = all */
    struct buf *uidls;        /* gets the names that other servers gave (store_download.uidl_at); initialised by the caller; NULL: nobody asks */
};
struct store_download {
    struct store_entry entry;
    int64_t mailbox;
    bool may_need_utf8;       /* header fields that are not ASCII, says the summary, or it is of an older version and does not say (message/downgrade.h) */
    uint64_t surrogate_bytes; /* size of the message with its header in ASCII; MSG_SURROGATE_UNKNOWN also for one that is ASCII */
    uint32_t uidl_at, uidl_len; /* in *view->uidls: what another server called it, and what it is called here; len 0: it is called by its guid */
};
/* What a device may take: each message once, in the order they came, without what was hidden from this device or from all. The list is the caller's to free.
 * What never changes of a mailbox is kept in memory between calls, ENTRIES_KEPT_BYTES for all mailboxes. *out_damaged: some are missing that cannot be read. */
enum err MUST_USE account_downloads(struct account *account, const struct store_download_view *view,
        struct store_download **out_list, size_t *out_count, bool *out_damaged);
/* The same, of all that was taken by the device at before_s or earlier and is not hidden. */
enum err MUST_USE account_downloads_due(struct account *account, const struct store_download_view *view,
        int64_t before_s, struct store_download **out_list, size_t *out_count);

/* When the device took what it took first, of all that is here and not hidden; INT64_MAX: it has taken nothing. */
enum err MUST_USE account_first_taken(struct account *account, int64_t device, int64_t *out_s);

/* How much of what a device has taken is here still, wherever it lies now. By device, in the arena; none that has nothing here. */
struct store_taken {
    int64_t device;
    uint64_t messages;
};
enum err MUST_USE account_taken(struct account *account, struct arena *arena, struct store_taken **out_list,
        size_t *out_count);

enum store_download_removal {
    STORE_REMOVE_HIDE,    /* stays where it is */
    STORE_REMOVE_EXPUNGE,
    STORE_REMOVE_MOVE,    /* to args->to */
};
struct store_downloaded {
    int64_t mailbox;
    uint32_t uid;
    int64_t email;
    bool taken;
    bool seen;    /* becomes read */
    bool removed; /* asked for */
    bool may_go;  /* removed because it was taken: not while unread, if args say so */
};
struct store_download_end {
    int64_t device, hide_from; /* hide_from: device or STORE_DEVICE_ALL */
    const struct store_downloaded *at;
    size_t count;
    enum store_download_removal removal;
    int64_t to;
    bool expunge_there; /* what lies in `to` already: expunged, or only hidden */
    bool unread_stays; /* judged before any becomes read */
};
/* The end of a session, in one change, whole or not at all (S-4). Messages that have gone meanwhile are passed over. What was removed is hidden too, wherever it
 * lies then, so that the program is never shown it again. out_removed: how many. */
enum err MUST_USE account_download_end(struct account *account, const struct store_download_end *args, size_t *out_removed);

/* ---- outgoing mail (S-9) ---- */

struct store_outgoing {
    int64_t id;
    unsigned char guid[16]; /* unique per recipient: what names the delivery in the recipient's account */
    int64_t email;          /* its bytes: account_body */
    struct slice sender;    /* envelope; "" for bounces */
    struct slice recipient;
    struct slice status;    /* text of the last failure; "" at first */
    int64_t created_s, next_s;
    unsigned attempts;
};

struct store_submit {
    struct blob *blob;   /* finished */
    int64_t sent_mailbox; /* filed there as \Seen; 0 = not filed */
    struct slice sender;
    const struct slice *recipients;
    size_t recipient_count;
    int64_t received_s;
};
/* One transaction: the message in Sent and one outgoing row per recipient. A message with the same Message-ID and body already in Sent
 * is not filed again, and an account_append of it to Sent within the next 5 minutes gives back the UID it has. */
enum err MUST_USE account_submit(struct account *account, const struct store_submit *submit, bool *out_over_quota);
#define STORE_OUTGOING_WAIT_S_MAX (4 * 3600) /* the longest that a row may be put off */
/* Rows with next_s <= due_s, oldest first, in the arena; and those further away than a row may be put off: the clock was wrong when they were written. */
enum err MUST_USE account_outgoing(struct account *account, int64_t due_s, size_t count_max, struct arena *arena,
        struct store_outgoing **out_list, size_t *out_count);
/* Earliest next_s; INT64_MAX when none waits. */
enum err MUST_USE account_outgoing_next(struct account *account, int64_t *out_next_s);
/* Ended (delivered, or bounced by a message filed in the same call when bounce is given, into INBOX; a bounce does not count against the
 * quota, else the row could never end). */
enum err MUST_USE account_outgoing_done(struct account *account, const int64_t *ids, size_t count,
        const struct store_append *bounce);
enum err MUST_USE account_outgoing_retry(struct account *account, int64_t id, int64_t next_s, struct slice status);

/* ---- changes as values: what woke whom ---- */

enum store_change_kind {
    STORE_CHANGE_ADD,     /* uids added to mailbox */
    STORE_CHANGE_FLAGS,
    STORE_CHANGE_EXPUNGE,
    STORE_CHANGE_MAILBOX, /* created, renamed, deleted, subscribed */
    STORE_CHANGE_OUTGOING,
};

struct store_change {
    enum store_change_kind kind;
    int64_t mailbox;
    uint64_t modseq;
    uint64_t clear, set; /* of FLAGS: what happened to each of them */
    struct uidset uids; /* owned by the list */
};

/* Called after the commit, on the writer's thread, without the account's lock; must be quick and call no account function. The list is borrowed. */
typedef void store_watch_fn(void *watch_arg, const struct store_change *changes, size_t count);
struct store_watch;
struct store_watch *account_watch(struct account *account, store_watch_fn *fn, void *watch_arg);
/* When it returns, fn is not running and will not be called again. NULL is allowed. */
void account_unwatch(struct store_watch *watch);

/* ---- whole accounts ---- */

struct account_usage {
    uint64_t bytes, messages;
};
enum err MUST_USE account_usage(struct account *account, struct account_usage *out_usage);

/* Checks every truth that can be checked (docs/store.md lists them). Each finding is one call of tell; with repair, what can be repaired is, and the
 * text says so. Returns ERR_OK when it could look at everything, whatever it found. */
typedef void account_finding_fn(void *tell_arg, const char *text, bool repaired);
enum err MUST_USE account_fsck(struct account *account, bool repair, account_finding_fn *tell, void *tell_arg);
/* The same for one that is not open, and also for one that cannot be opened because of what is wrong. ERR_NOT_FOUND: it has no folder. */
enum err MUST_USE store_fsck(struct store *store, struct slice id, bool repair, account_finding_fn *tell, void *tell_arg);

enum store_derived_kind {
    STORE_DERIVED_SUMMARY,
    STORE_DERIVED_FILTER,
};
struct store_derived {
    enum store_derived_kind kind;
    int64_t email;
    struct slice bytes;
};
/* Keeps what a reader has derived from messages (S-7); that of messages that have gone meanwhile is dropped. Nothing that a session sees changes. A
 * write: waits for the disk, and gives its errors. */
enum err MUST_USE account_keep_derived(
    struct account *account, const struct store_derived *derived, size_t count);

/* ---- backups ---- */

/* Holds an account still: until store_release mail.db holds all that was committed before the call and does not change, and no big file goes. Users
 * notice nothing; what they change waits in the log. ERR_NOT_FOUND: it has no folder; ERR_BUSY: it is held; ERR_IO: it is read-only. */
struct store_hold;
struct store_hold_state {
    uint64_t modseq;
};
enum err MUST_USE store_hold(struct store *store, struct slice id, struct store_hold_state *out_state, struct store_hold **out_hold);
void store_release(struct store_hold *hold); /* NULL is allowed */

/* Opens a copy of an account's folder where it lies, for reading with the functions above; nothing is written. id is whose it was. */
enum err MUST_USE store_snapshot(int parent_fd, const char *folder, struct slice id, struct account **out_account);
void store_snapshot_close(struct account *snapshot); /* NULL is allowed */
/* How many pages are not as they were written. */
enum err MUST_USE store_snapshot_damage(struct account *snapshot, uint64_t *out_pages);

struct store_restore_args {
    const char *folder;   /* below the store's root: the copy */
    struct slice from_id; /* whose it was */
    struct slice mailbox; /* only this one; empty = all */
    uint32_t uid;         /* only this message of it; 0 = all */
};
struct store_restore_result {
    uint64_t added, there; /* messages that came back; that had not gone */
    uint64_t damaged;      /* that cannot be read in the copy */
    uint64_t uidls;        /* came back with the name that another server gave them */
    uint64_t uidls_lost;   /* came back, but what the copy calls them by POP3 is the name of another message here */
};
/* Adds what the copy has and the account has not (by guid), with flags and dates, to mailboxes of the same names; makes the account and mailboxes that are
 * missing. New UIDs, the old guids. Nothing that is there changes. What was added before an error stays. ERR_NO_SPACE also over the quota. ERR_NOT_FOUND: the copy has no such mailbox or message. */
enum err MUST_USE store_restore(struct store *store, struct slice id, const struct store_restore_args *args, struct store_restore_result *out_result);
/* Gives the copy new UIDVALIDITYs and a modseq above all that account id and the copy have given out. ERR_CORRUPT: the copy is damaged. Once for a copy. */
enum err MUST_USE store_replace_prepare(struct store *store, struct slice id, const struct store_restore_args *args);
/* A prepared copy's folder becomes that of account id; what was there goes. ERR_BUSY while the account is used. On an error the account is as it was. */
enum err MUST_USE store_replace(struct store *store, struct slice id, const char *folder);

/* Makes anew what is derived: summaries, counts (S-7). out_changed = rows that differed. */
enum err MUST_USE store_rebuild(struct store *store, struct slice id, uint64_t *out_changed);

#endif
