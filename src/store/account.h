/* An open account and a change on its way. Private to store/.
 *
 * Lock order: store->lock (who is open), then account->lock (database and what is remembered of it), then account->watch_lock. queue_lock is
 * taken with no other lock held and none is taken under it. Two accounts are never locked at once.
 *
 * States of an account, under store->lock:
 *
 *   not there --store_account--> OPENING --opened--> OPEN --last unref and too many open, or read-only--> CLOSING --closed--> not there
 *                                   +--failed--> not there */
#ifndef STORE_ACCOUNT_H
#define STORE_ACCOUNT_H

#include "base/map.h"
#include "store/sql.h"
#include "store/store_int.h"

#include <stdatomic.h>

enum account_state {
    ACCOUNT_OPENING,
    ACCOUNT_OPEN,
    ACCOUNT_CLOSING,
};

struct entry_list {         /* entries.c */
    struct store_entry *at; /* owned */
    size_t count, cap;
    uint32_t next_uid; /* the first that is not looked for yet */
};

struct flag_row {
    uint64_t flags, modseq; /* modseq 0: it is gone */
    uint32_t uid;
};
struct flag_list {       /* flag_list.c */
    struct flag_row *at; /* owned */
    size_t count, cap, gone;
    uint32_t next_uid; /* the first that is not looked for yet; 0: nobody asked */
};

/* What is remembered of a mailbox that somebody looked at: committed state only (S-1). */
struct mailbox_state {
    int64_t id;
    uint32_t uidvalidity, uidnext;
    uint64_t modseq;
    uint32_t recent;     /* UIDs from here on were told to nobody as \Recent */
    bool recent_dirty;   /* the row says less; written with the next change or at closing */
    uint32_t seen_below; /* every message with a lower UID is \Seen */
    struct uidset uids;
    struct entry_list entries; /* empty until somebody asks */
    struct flag_list flags;    /* the same */
};

/* Flag changes lately, so that a view that is nearly up to date needs no scan of the mailbox. */
#define CHANGES_KEPT 64
struct flag_change {
    int64_t mailbox;
    uint64_t modseq;
    struct uidset uids; /* owned */
};

/* Big bodies are checked once while the account is open, and again when so many runs of ids are remembered. */
#define WHOLE_RUNS_MAX 4000

struct write_request;
struct store_watch;

struct account {
    struct store *store; /* borrowed; outlives the account */
    char id[ACCOUNT_ID_BYTES_MAX + 1];
    /* under store->lock */
    enum account_state state;
    size_t refs;
    struct account *idle_prev, *idle_next; /* in the store's idle list while refs is 0 */
    struct account *due_next;              /* in the list of the maintenance thread */
    bool due, swept;

    int folder_fd;        /* owned */
    atomic_bool readonly; /* S-8 */
    atomic_bool held; /* somebody copies the files: mail.db does not change, and no big file goes */
    atomic_ullong quota_bytes, quota_messages;

    pthread_mutex_t lock;
    /* under lock */
    struct sql_db sql;
    bool upgrade_waits; /* for room on the disk; the account is read meanwhile */
    int schema_version; /* older than today's only where nothing may be written */
    int log_pages;      /* pages in the WAL after the last commit */
    uint64_t modseq;    /* last given out */
    int64_t last_email,
        last_outgoing; /* last ids given out; never again while the account is open */
    bool quota_warned; /* as committed */
    uint64_t usage_bytes, usage_messages; /* with what the open transaction adds */
    struct slice keywords[KEYWORDS_MAX];  /* owned; committed and those of the open transaction */
    size_t keyword_count;
    struct map mailboxes;                     /* id's bytes -> struct mailbox_state, owned */
    struct flag_change changes[CHANGES_KEPT]; /* a ring */
    size_t change_next;
    uint64_t changes_floor; /* flag changes up to here may be missing from the ring */
    struct uidset whole;    /* emails whose big files were found to be what came */

    pthread_mutex_t queue_lock;
    pthread_cond_t queue_moved;
    /* under queue_lock */
    struct write_request *queue_head, **queue_tail;
    bool writing; /* a thread is committing for all */

    pthread_mutex_t watch_lock;
    struct store_watch *watches; /* under watch_lock */
};

/* ---- a change on its way ---- */

/* One request inside a transaction. What it did is told to the caches and to watchers once the transaction is committed. */
struct store_tx {
    struct account *account;
    int64_t now_s;
    bool
        first; /* no other request came before it in this transaction: what is remembered is what is there */
    uint64_t modseq;              /* of this request; 0 until tx_modseq gave one */
    struct store_change *changes; /* owned */
    size_t change_count, change_cap;
    struct slice *linked,
        *removed; /* names in big/, owned: to go when it fails; when it is committed */
    size_t linked_count, linked_cap, removed_count, removed_cap;
    bool keywords_added;
};

typedef enum err store_write_fn(struct store_tx *tx, void *write_arg);
/* Runs fn inside a transaction that may hold requests of other threads too, commits, and tells watchers. What fn did holds exactly when ERR_OK
 * comes back (S-4). fn runs under the account's lock and may run on another thread. ERR_IO at once while the account is read-only. */
enum err MUST_USE account_write(struct account *account, store_write_fn *fn, void *write_arg);

uint64_t tx_modseq(struct store_tx *tx);
/* A change with an empty uid set, to be filled by the caller before the next call. */
struct store_change *tx_change(struct store_tx *tx, enum store_change_kind kind, int64_t mailbox);
void tx_linked(struct store_tx *tx, struct slice name);
void tx_removed(struct store_tx *tx, struct slice name);
/* Counters of a mailbox and of the account. uidnext 0 = as it is. */
struct tx_counts {
    int64_t messages, unseen, deleted, bytes;
};
enum err MUST_USE tx_mailbox_changed(
    struct store_tx *tx, int64_t mailbox, uint32_t uidnext, const struct tx_counts *counts);
/* Whether the disk has room for a body that goes into the database, or the database has free pages for it. */
bool tx_room_ok(struct store_tx *tx, const struct blob *blob);
/* Whether so much more fits into the quota. */
bool tx_quota_ok(const struct store_tx *tx, uint64_t bytes, uint64_t messages);

/* ---- shared by the files of store/; all with account->lock held ---- */

/* All messages of a mailbox, ascending uid; to be released with the same mailbox. *out_damaged: some are missing that cannot be read. ERR_NOT_FOUND: no
 * such mailbox, or one that holds no messages. */
enum err MUST_USE account_entries(struct account *account, int64_t mailbox,
    const struct entry_list **out_list, bool *out_damaged);
void account_entries_release(struct account *account, int64_t mailbox, bool damaged);
/* What is kept of the flags of a mailbox, brought up to date; made when so many as uids (NULL: all) are asked for that it costs the same. NULL *out_list: nothing is
 * kept. Not inside a transaction. */
enum err MUST_USE account_flag_list(struct account *account, int64_t mailbox,
    const struct uidset *uids, const struct flag_list **out_list);
/* The same as it is, inside a transaction before its first change: NULL when it is not up to date. */
const struct flag_list *account_flag_list_known(struct account *account, int64_t mailbox);
/* The first row of those in the range from *at on that is there; NULL: none. *at is the index behind it. Begin with flag_list_at. */
const struct flag_row *flag_list_next(
    const struct flag_list *list, struct uid_run range, size_t *at);
/* Index of the first row with that uid or a higher one. */
size_t flag_list_at(const struct flag_list *list, uint32_t uid);
void flag_list_apply(struct flag_list *list, const struct store_change *change);
void flag_list_drop(struct account *account, struct flag_list *list);
/* account_read. */
enum err MUST_USE account_read_held(struct account *account, const struct store_read_args *args,
    struct arena *arena, struct store_rows *out_rows);
/* account_body without the reading through of a big one. */
enum err MUST_USE account_find_body(
    struct account *account, int64_t email, struct store_body **out_body);
enum err MUST_USE account_load_keywords(struct account *account);
void account_drop_keywords(struct account *account);
/* NULL *out_state: there is no such mailbox (or it is \Noselect). */
enum err MUST_USE account_mailbox_state(
    struct account *account, int64_t mailbox, struct mailbox_state **out_state);
/* Only if it is remembered already; NULL: it is not. Good inside a transaction. */
const struct mailbox_state *account_mailbox_known(struct account *account, int64_t mailbox);
void account_forget_mailboxes(struct account *account);
void entry_list_drop(struct account *account, struct entry_list *list);
/* Lets the caches follow what was committed. */
void account_apply(struct account *account, const struct store_tx *tx);

/* The row of a mailbox; text in the arena. ERR_NOT_FOUND. */
struct mailbox_row {
    int64_t id;
    struct slice name;
    enum store_special_use use;
    bool noselect, subscribed;
    uint32_t uidvalidity, uidnext, recent;
    uint64_t modseq, messages, unseen, deleted, bytes, gone_floor;
};
void mailbox_row_read(
    sqlite3_stmt *statement, struct mailbox_row *out_row); /* name borrowed from the statement */
/* Without its name. */
enum err MUST_USE mailbox_row_by_id(
    struct account *account, int64_t id, struct mailbox_row *out_row);
/* Only one that holds messages. */
enum err MUST_USE mailbox_row_selectable(
    struct account *account, int64_t id, struct mailbox_row *out_row);

/* INBOX and the special-use mailboxes of a new account. */
enum err MUST_USE mailbox_first_ones(struct store_tx *tx, void *unused);

/* Bits of flags; keywords the account has not had are given numbers. *out_full: some did not fit. */
enum err MUST_USE tx_flag_bits(
    struct store_tx *tx, const struct store_flags *flags, uint64_t *out_bits, bool *out_full);

/* ---- emails ---- */

#define GUID_BYTES   16
#define BIG_NAME_LEN (GUID_BYTES * 2)
void guid_new(unsigned char *out);
/* Files the bytes: email, summary, body or big/. refs is what will name it. */
enum err MUST_USE tx_email_insert(struct store_tx *tx, struct blob *blob, const unsigned char *guid,
    unsigned refs, int64_t received_s, int32_t received_tz_min, int64_t *out_email);
/* What tells a message that was sent from another (GUID_BYTES bytes): Message-ID and body. None without a Message-ID. Waits for the disk when the
 * body is a file. */
enum err MUST_USE filed_key(struct blob *blob, unsigned char *out_key, bool *out_has);
/* Adds to what names it; at 0 it goes. */
enum err MUST_USE tx_email_refs(struct store_tx *tx, int64_t email, int64_t delta);
/* Files one entry at the end of the mailbox and counts it. row->uidnext moves on. */
enum err MUST_USE tx_entry_insert(
    struct store_tx *tx, struct mailbox_row *row, int64_t email, uint64_t flags, uint64_t modseq);
/* Takes entries away; their emails lose a reference unless keep_emails. gone (initialised by the caller) is what went. */
struct tx_expunge {
    int64_t mailbox;
    const struct uidset *uids; /* NULL = all */
    bool deleted_only, keep_emails;
};
enum err MUST_USE tx_expunge(
    struct store_tx *tx, const struct tx_expunge *args, struct uidset *gone);
enum err MUST_USE tx_flags(struct store_tx *tx, const struct store_flags_args *args,
    struct store_flags_result *result); /* its sets are initialised */
/* Copies or moves; the sets in result are initialised by the caller. */
enum err MUST_USE tx_copy(
    struct store_tx *tx, const struct store_copy_args *args, struct store_copy_result *result);

/* ---- life ---- */

/* Marks an account that is open for the maintenance thread. Takes store->lock: not to be called with account->lock held. */
void account_due(struct account *account);
/* Reads what the account remembers of itself: modseq, usage, keywords. */
enum err MUST_USE account_load(struct account *account);
enum account_opening {
    ACCOUNT_EXISTING,
    ACCOUNT_CREATE,
    ACCOUNT_MEND,     /* existing, and pages are read as they are */
    ACCOUNT_SNAPSHOT, /* files that nobody changes: read, and not even a log is made */
};
struct account *account_new(struct store *store, struct slice id);
/* Its folder is folder_fd already, which is the account's from here on; also when opening fails. */
enum err MUST_USE account_db_open_at(struct account *account, enum account_opening how);
enum err MUST_USE account_db_open(struct account *account, enum account_opening how);
void account_db_close(struct account *account, bool checkpoint);
int64_t account_pragma(
    struct account *account, const char *pragma); /* a number; 0 when it cannot be had */
/* New UIDVALIDITYs and a modseq above these and all that the account knows, one epoch more, and whose it is. Inside a transaction of the caller's. */
enum err MUST_USE account_raise(
    struct account *account, struct slice id, int64_t uidvalidity, int64_t modseq);
/* Moves the log into the database file (under account->lock). ERR_BUSY while it is held. */
enum err MUST_USE account_checkpoint(struct account *account);
/* Files in big/ that no row names: their path below the account's folder, and what they would be named by. Ends with the first error. */
typedef enum err account_big_fn(void *fn_arg, const char *path, struct slice guid);
enum err MUST_USE account_big_unnamed(struct account *account, account_big_fn *fn, void *fn_arg);
/* Removes them (S-3), unless the account is held. */
void account_sweep_big(struct account *account);
/* The truths of one account; account->lock held. findings counts them. */
enum err MUST_USE account_check(struct account *account, bool repair, account_finding_fn *tell,
    void *tell_arg, size_t *out_findings);

#endif
