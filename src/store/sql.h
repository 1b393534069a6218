/* The SQL of an account's database, each statement with a name. Private to store/.
 *
 * All calls need the account's lock. */
#ifndef STORE_SQL_H
#define STORE_SQL_H

#include "sql/sql.h"

enum sql {
    SQL_SAVEPOINT,
    SQL_RELEASE,
    SQL_ROLLBACK_TO,
    SQL_ACCOUNT,
    SQL_ACCOUNT_MODSEQ,
    SQL_ACCOUNT_MODSEQ_SET,
    SQL_ACCOUNT_WARNED,
    SQL_ACCOUNT_WARNED_SET,
    SQL_ACCOUNT_UIDVALIDITY,
    SQL_ACCOUNT_UIDVALIDITY_SET,
    SQL_HANDLES,
    SQL_USAGE,
    SQL_KEYWORDS,
    SQL_KEYWORD_INSERT,
    SQL_MAILBOXES,
    SQL_MAILBOX_BY_NAME,
    SQL_MAILBOX_BY_ID,
    SQL_MAILBOX_BY_USE,
    SQL_MAILBOX_CHILD,
    SQL_MAILBOX_COUNT,
    SQL_MAILBOX_INSERT,
    SQL_MAILBOX_DELETE,
    SQL_MAILBOX_NOSELECT,
    SQL_MAILBOX_RENAME,
    SQL_MAILBOX_TREE,
    SQL_MAILBOX_CHANGED,
    SQL_MAILBOX_COUNTERS,
    SQL_MAILBOX_RECENT,
    SQL_SUBSCRIPTION_ADD,
    SQL_SUBSCRIPTION_COUNT,
    SQL_SUBSCRIPTION_REMOVE,
    SQL_SUBSCRIPTION_RENAME,
    SQL_SUBSCRIPTION_TREE,
    SQL_UIDS,
    SQL_UID_UNSEEN,
    SQL_UIDS_FROM_COUNT,
    SQL_ENTRY,
    SQL_ENTRIES,
    SQL_ENTRIES_CHANGED,
    SQL_ENTRIES_EMAIL,
    SQL_ENTRIES_SUMMARY,
    SQL_ENTRIES_FILTER,
    SQL_ENTRIES_BODY,
    SQL_ENTRIES_COPY,
    SQL_ENTRY_INSERT,
    SQL_ENTRY_DELETE_RANGE,
    SQL_ENTRY_DELETE_RANGE_DELETED,
    SQL_ENTRY_FLAGS_RANGE,
    SQL_EMAIL_INSERT,
    SQL_EMAIL_REFS,
    SQL_EMAIL_REFS_ADD,
    SQL_EMAIL_DELETE,
    SQL_EMAILS_BIG,
    SQL_EMAIL_BY_GUID,
    SQL_EMAIL_BIG_NEXT,
    SQL_EMAIL,
    SQL_SUMMARY_INSERT,
    SQL_SUMMARY_DELETE,
    SQL_SUMMARY_KEEP,
    SQL_SUMMARIES_UTF8,
    SQL_FILTER_DELETE,
    SQL_FILTER_KEEP,
    SQL_DOWNLOADS,
    SQL_DOWNLOADS_DUE,
    SQL_DOWNLOADS_DUE_ANY,
    SQL_DOWNLOADS_FIRST,
    SQL_DOWNLOADS_TAKEN,
    SQL_DOWNLOADS_ANY,
    SQL_DOWNLOADS_OF,
    SQL_DOWNLOAD_RESTORE,
    SQL_DOWNLOAD_TAKEN,
    SQL_DOWNLOAD_HIDE,
    SQL_DOWNLOAD_DELETE,
    SQL_UIDLS,
    SQL_UIDLS_ANY,
    SQL_UIDL_OF,
    SQL_UIDL_INSERT,
    SQL_UIDL_DELETE,
    SQL_BODY_INSERT,
    SQL_BODY_DELETE,
    SQL_BODY,
    SQL_GONE_INSERT,
    SQL_GONE,
    SQL_GONE_COUNT,
    SQL_GONE_TRIM,
    SQL_GONE_DELETE,
    SQL_GONE_FLOOR_SET,
    SQL_DELIVERED,
    SQL_DELIVERED_INSERT,
    SQL_DELIVERED_TRIM,
    SQL_FILED,
    SQL_FILED_SET,
    SQL_FILED_TRIM,
    SQL_OUTGOING_INSERT,
    SQL_OUTGOING,
    SQL_OUTGOING_NEXT,
    SQL_OUTGOING_EMAIL,
    SQL_OUTGOING_DELETE,
    SQL_OUTGOING_RETRY,
    SQL_GUIDS,
    SQL_EPOCH_ACCOUNT,
    SQL_EPOCH_MAILBOXES,
    SQL_EPOCH_UIDVALIDITY,
    SQL_EPOCH_GONE,
    SQL_COUNT
};

/* 2: pages with checksums, an account that knows its id. 3: filters of text. 4: downloads. 5: whether the owner was warned of the quota.
 * 6: an index of messages with UTF-8 in their headers. 7: UIDLs that another server gave. Older ones than the oldest are not read. */
#define STORE_SCHEMA_VERSION        7
#define STORE_SCHEMA_VERSION_OLDEST 2
#define STORE_SCHEMA_FILTERS        3 /* the first that has them */
#define STORE_SCHEMA_DOWNLOADS      4
#define STORE_SCHEMA_WARNED         5
#define STORE_SCHEMA_UIDLS          7

/* The server alone opens an account. ERR_CORRUPT: every constraint is ours and checked before, so the rows contradict the caches. A file that may not be written any more is a
 * disk that failed (S-8). */
extern const struct sql_options store_sql_options;

/* Creates the tables of account id in an empty database, in one transaction. */
enum err MUST_USE schema_make(struct sql_db *sql, struct slice id);
/* Makes the indexes that an upgrade left out because it met a damaged page. Inside a transaction of the caller's. */
enum err MUST_USE schema_missing_indexes(struct sql_db *sql);
/* Brings the tables of an older version to today's, in one transaction. */
enum err MUST_USE schema_upgrade(struct sql_db *sql, int version);

#endif
