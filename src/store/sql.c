/* The schema and the statements. docs/store.md says what each table means; what binds more than one table is said here.
 *
 * email.refs counts the entries and outgoing rows that name it; at 0 the email, its summary and its body go in the same transaction.
 * Sessions hold ids of mailboxes, emails and outgoing rows while others delete: no id is given out twice while an account is open. For mailboxes
 * SQLite sees to it (AUTOINCREMENT), for the other two account->last_email and last_outgoing, which cost no page.
 * The narrow email table stands apart from summary and body so that a POP3 login or a SEARCH by size reads some 50 bytes a message. */
#include "store/sql.h"

#include "message/summary.h"

#include <stdio.h>

static const char schema[] =
    "CREATE TABLE account(one INTEGER PRIMARY KEY CHECK(one=1), modseq INTEGER NOT NULL,"
    " uidvalidity INTEGER NOT NULL, epoch INTEGER NOT NULL, id TEXT NOT NULL);"
    "CREATE TABLE mailbox(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, use "
    "INTEGER NOT NULL,"
    " noselect INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL,"
    " modseq INTEGER NOT NULL, messages INTEGER NOT NULL, unseen INTEGER NOT NULL,"
    " deleted INTEGER NOT NULL, bytes INTEGER NOT NULL, recent INTEGER NOT NULL,"
    " gone_floor INTEGER NOT NULL);"
    "CREATE TABLE entry(mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, email INTEGER NOT NULL,"
    " flags INTEGER NOT NULL, modseq INTEGER NOT NULL, PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"
    "CREATE TABLE email(id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, size INTEGER NOT NULL,"
    " received INTEGER NOT NULL, zone INTEGER NOT NULL, checksum INTEGER NOT NULL,"
    " guid BLOB NOT NULL);"
    "CREATE TABLE summary(email INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE body(email INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE gone(mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, first INTEGER NOT NULL,"
    " last INTEGER NOT NULL, PRIMARY KEY(mailbox, modseq, first)) WITHOUT ROWID;"
    "CREATE TABLE keyword(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE subscription(name TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE delivered(guid BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE filed(key BLOB PRIMARY KEY, at INTEGER NOT NULL, mailbox INTEGER NOT NULL,"
    " uid INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE outgoing(id INTEGER PRIMARY KEY, guid BLOB NOT NULL, email INTEGER NOT NULL,"
    " sender TEXT NOT NULL, recipient TEXT NOT NULL, status TEXT NOT NULL, created INTEGER NOT "
    "NULL,"
    " next INTEGER NOT NULL, attempts INTEGER NOT NULL);";

/* By the first two bytes (message/node.h): a summary that says so, or one of another version, which does not say. Few are, so nobody pays for the others. */
#define SUMMARY_MAY_NEED_UTF8 "substr(bytes,1,1)<>x'03' OR substr(bytes,2,1)>=x'80'"
_Static_assert(MSG_SUMMARY_VERSION == 3, "the index is to be made anew, by an upgrade");

/* What later versions added: from STORE_SCHEMA_VERSION_OLDEST on, one each. A new database runs through them too. */
static const char *const upgrades[STORE_SCHEMA_VERSION - STORE_SCHEMA_VERSION_OLDEST] = {
    "CREATE TABLE text_filter(email INTEGER PRIMARY KEY, bytes BLOB NOT NULL);",
    "CREATE TABLE download(email INTEGER NOT NULL, device INTEGER NOT NULL, taken INTEGER NOT NULL,"
    " hidden INTEGER NOT NULL, PRIMARY KEY(email, device)) WITHOUT ROWID;",
    "ALTER TABLE account ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;",
    "CREATE INDEX IF NOT EXISTS summary_utf8 ON summary(email) WHERE " SUMMARY_MAY_NEED_UTF8 ";",
    "CREATE TABLE uidl(email INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);",
};

#define MAILBOX_COLUMNS                                                                            \
    "m.id, m.name, m.use, m.noselect, m.uidvalidity, m.uidnext, m.modseq, m.messages, m.unseen,"   \
    " m.deleted, m.bytes, m.recent, m.gone_floor,"                                                 \
    " EXISTS(SELECT 1 FROM subscription s WHERE s.name=m.name)"
#define ENTRY_RANGE   " WHERE e.mailbox=?1 AND e.uid BETWEEN ?2 AND ?3"
#define ENTRY_WANTED  ENTRY_RANGE " AND (e.flags & ?4)=?4 AND (e.flags & ?5)=0 AND e.modseq>?6"
#define EMAIL_COLUMNS "e.uid, e.flags, e.modseq, e.email, m.guid, m.size, m.received, m.zone"

static const char *const text[SQL_COUNT] = {
    [SQL_SAVEPOINT] = "SAVEPOINT request",
    [SQL_RELEASE] = "RELEASE request",
    [SQL_ROLLBACK_TO] = "ROLLBACK TO request",
    [SQL_ACCOUNT] = "SELECT id FROM account",
    [SQL_ACCOUNT_MODSEQ] =
        "SELECT max((SELECT modseq FROM account), (SELECT ifnull(max(modseq), 0) FROM mailbox))",
    [SQL_ACCOUNT_MODSEQ_SET] = "UPDATE account SET modseq=?1",
    [SQL_ACCOUNT_WARNED] = "SELECT warned FROM account",
    [SQL_ACCOUNT_WARNED_SET] = "UPDATE account SET warned=?1",
    [SQL_ACCOUNT_UIDVALIDITY] = "SELECT uidvalidity FROM account",
    [SQL_ACCOUNT_UIDVALIDITY_SET] =
        "UPDATE account SET uidvalidity=max(uidvalidity+1, ?1) RETURNING uidvalidity",
    [SQL_HANDLES] = "SELECT (SELECT ifnull(max(id), 0) FROM email),"
                    " (SELECT ifnull(max(id), 0) FROM outgoing)",
    [SQL_USAGE] = "SELECT ifnull(sum(bytes), 0), ifnull(sum(messages), 0) FROM mailbox",
    [SQL_KEYWORDS] = "SELECT number, name FROM keyword ORDER BY number",
    [SQL_KEYWORD_INSERT] = "INSERT INTO keyword VALUES(?1, ?2)",
    /* Names hold no controls, so with '/' as the lowest character children follow their parent. */
    [SQL_MAILBOXES] = "SELECT * FROM (SELECT " MAILBOX_COLUMNS
                      " AS subscribed, replace(m.name, '/', char(1)) AS tree FROM mailbox m"
                      " UNION ALL SELECT 0, s.name, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,"
                      " replace(s.name, '/', char(1)) FROM subscription s"
                      " WHERE NOT EXISTS(SELECT 1 FROM mailbox m WHERE m.name=s.name))"
                      " ORDER BY name<>'INBOX', tree",
    [SQL_MAILBOX_BY_NAME] = "SELECT " MAILBOX_COLUMNS " FROM mailbox m WHERE m.name=?1",
    [SQL_MAILBOX_BY_ID] = "SELECT " MAILBOX_COLUMNS " FROM mailbox m WHERE m.id=?1",
    [SQL_MAILBOX_BY_USE] =
        "SELECT " MAILBOX_COLUMNS " FROM mailbox m WHERE m.use=?1 AND NOT m.noselect"
        " ORDER BY m.id LIMIT 1",
    [SQL_MAILBOX_CHILD] =
        "SELECT EXISTS(SELECT 1 FROM mailbox WHERE name>?1||'/' AND name<?1||'0')",
    [SQL_MAILBOX_COUNT] = "SELECT count(*) FROM mailbox",
    [SQL_MAILBOX_INSERT] =
        "INSERT INTO mailbox VALUES(NULL, ?1, ?2, 0, ?3, 1, ?4, 0, 0, 0, 0, 1, ?4) RETURNING id",
    [SQL_MAILBOX_DELETE] = "DELETE FROM mailbox WHERE id=?1",
    [SQL_MAILBOX_NOSELECT] = "UPDATE mailbox SET noselect=1, use=0, uidvalidity=?2, uidnext=1,"
                             " modseq=?3, recent=1, gone_floor=?3 WHERE id=?1",
    [SQL_MAILBOX_RENAME] = "UPDATE mailbox SET name=?2 WHERE id=?1",
    [SQL_MAILBOX_TREE] = "SELECT id, name FROM mailbox WHERE name>?1||'/' AND name<?1||'0'",
    [SQL_MAILBOX_CHANGED] =
        "UPDATE mailbox SET uidnext=max(uidnext, ?2), modseq=max(modseq, ?3), messages=messages+?4,"
        " unseen=unseen+?5, deleted=deleted+?6, bytes=bytes+?7 WHERE id=?1",
    [SQL_MAILBOX_COUNTERS] = "UPDATE mailbox SET uidnext=max(uidnext, ?2), modseq=max(modseq, ?3),"
                             " messages=?4, unseen=?5, deleted=?6, bytes=?7 WHERE id=?1",
    [SQL_MAILBOX_RECENT] = "UPDATE mailbox SET recent=?2 WHERE id=?1",
    [SQL_SUBSCRIPTION_ADD] = "INSERT OR IGNORE INTO subscription VALUES(?1)",
    [SQL_SUBSCRIPTION_COUNT] = "SELECT count(*) FROM subscription",
    [SQL_SUBSCRIPTION_REMOVE] = "DELETE FROM subscription WHERE name=?1",
    [SQL_SUBSCRIPTION_RENAME] = "UPDATE OR REPLACE subscription SET name=?2 WHERE name=?1",
    [SQL_SUBSCRIPTION_TREE] = "SELECT name FROM subscription WHERE name>?1||'/' AND name<?1||'0'",
    [SQL_UIDS] = "SELECT uid FROM entry WHERE mailbox=?1 ORDER BY uid",
    [SQL_UID_UNSEEN] =
        "SELECT uid FROM entry WHERE mailbox=?1 AND uid>=?2 AND (flags & 1)=0 ORDER BY uid LIMIT 1",
    [SQL_UIDS_FROM_COUNT] = "SELECT count(*) FROM entry WHERE mailbox=?1 AND uid>=?2",
    [SQL_ENTRY] = "SELECT email FROM entry WHERE mailbox=?1 AND uid=?2",
    [SQL_ENTRIES] = "SELECT e.uid, e.flags, e.modseq FROM entry e" ENTRY_RANGE,
    [SQL_ENTRIES_CHANGED] = "SELECT e.uid, e.flags, e.modseq FROM entry e"
                            " WHERE e.mailbox=?1 AND e.modseq>?2",
    [SQL_ENTRIES_EMAIL] =
        "SELECT " EMAIL_COLUMNS " FROM entry e CROSS JOIN email m ON m.id=e.email" ENTRY_WANTED,
    [SQL_ENTRIES_SUMMARY] =
        "SELECT " EMAIL_COLUMNS ", s.bytes FROM entry e CROSS JOIN email m ON m.id=e.email"
        " LEFT JOIN summary s ON s.email=e.email" ENTRY_WANTED,
    [SQL_ENTRIES_FILTER] =
        "SELECT " EMAIL_COLUMNS ", s.bytes, f.bytes FROM entry e CROSS JOIN email m ON m.id=e.email"
        " LEFT JOIN summary s ON s.email=e.email LEFT JOIN text_filter f ON "
        "f.email=e.email" ENTRY_WANTED,
    [SQL_ENTRIES_BODY] =
        "SELECT " EMAIL_COLUMNS
        ", CASE WHEN ?7 THEN (SELECT bytes FROM summary s WHERE s.email=e.email) END, b.bytes"
        " FROM entry e CROSS JOIN email m ON m.id=e.email"
        " LEFT JOIN body b ON b.email=e.email" ENTRY_WANTED,
    [SQL_ENTRIES_COPY] = "SELECT e.uid, e.flags, e.email, m.size"
                         " FROM entry e CROSS JOIN email m ON m.id=e.email" ENTRY_RANGE,
    [SQL_ENTRY_INSERT] = "INSERT INTO entry VALUES(?1, ?2, ?3, ?4, ?5)",
    [SQL_ENTRY_DELETE_RANGE] = "DELETE FROM entry WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3",
    [SQL_ENTRY_DELETE_RANGE_DELETED] =
        "DELETE FROM entry WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3 AND (flags & 8)<>0",
    [SQL_ENTRY_FLAGS_RANGE] =
        "UPDATE entry SET flags=(flags & ~?4) | ?5, modseq=?6 WHERE mailbox=?1"
        " AND uid BETWEEN ?2 AND ?3 AND ((flags & ~?4) | ?5)<>flags AND modseq<=?7",
    [SQL_EMAIL_INSERT] = "INSERT INTO email VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_EMAIL_REFS] = "SELECT refs, guid FROM email WHERE id=?1",
    [SQL_EMAIL_REFS_ADD] = "UPDATE email SET refs=refs+?2 WHERE id=?1",
    [SQL_EMAIL_DELETE] = "DELETE FROM email WHERE id=?1",
    [SQL_EMAIL] = "SELECT guid, size, checksum FROM email WHERE id=?1",
    /* Every row is looked at: only where a file stands in the way. */
    [SQL_EMAIL_BY_GUID] = "SELECT id FROM email WHERE guid=?1 LIMIT 1",
    [SQL_EMAIL_BIG_NEXT] = "SELECT id FROM email m WHERE id>?1 AND NOT EXISTS("
                           "SELECT 1 FROM body b WHERE b.email=m.id) ORDER BY id LIMIT 1",
    [SQL_EMAILS_BIG] =
        "SELECT guid FROM email m WHERE NOT EXISTS(SELECT 1 FROM body b WHERE b.email=m.id)",
    [SQL_SUMMARY_INSERT] = "INSERT INTO summary VALUES(?1, ?2)",
    [SQL_SUMMARY_DELETE] = "DELETE FROM summary WHERE email=?1",
    [SQL_SUMMARY_KEEP] = "INSERT OR REPLACE INTO summary SELECT id, ?2 FROM email WHERE id=?1",
    [SQL_SUMMARIES_UTF8] = "SELECT email, CASE WHEN substr(bytes,1,1)=x'03' THEN bytes END"
                           " FROM summary WHERE " SUMMARY_MAY_NEED_UTF8 " ORDER BY email",
    [SQL_FILTER_DELETE] = "DELETE FROM text_filter WHERE email=?1",
    [SQL_FILTER_KEEP] = "INSERT OR REPLACE INTO text_filter SELECT id, ?2 FROM email WHERE id=?1",
    [SQL_DOWNLOADS] = "SELECT email, taken, hidden FROM download WHERE device IN (?1, ?2)"
                      " ORDER BY email",
    [SQL_DOWNLOADS_DUE] =
        "SELECT email FROM download WHERE device=?1 AND taken BETWEEN 1 AND ?2 AND NOT hidden"
        " ORDER BY email",
    [SQL_DOWNLOADS_DUE_ANY] = "SELECT EXISTS(SELECT 1 FROM download WHERE device=?1"
                              " AND taken BETWEEN 1 AND ?2 AND NOT hidden)",
    [SQL_DOWNLOADS_FIRST] =
        "SELECT min(taken) FROM download d WHERE device=?1 AND taken>0 AND NOT hidden AND NOT "
        "EXISTS("
        "SELECT 1 FROM download a WHERE a.email=d.email AND a.device=-1 AND a.hidden)",
    [SQL_DOWNLOADS_TAKEN] =
        "SELECT device, count(*) FROM download WHERE taken>0 GROUP BY device ORDER BY device",
    [SQL_DOWNLOADS_ANY] = "SELECT EXISTS(SELECT 1 FROM download)",
    [SQL_DOWNLOADS_OF] = "SELECT device, taken, hidden FROM download WHERE email=?1",
    [SQL_DOWNLOAD_RESTORE] = "INSERT OR REPLACE INTO download VALUES(?1, ?2, ?3, ?4)",
    /* Only of messages that are there: what goes takes its rows along. */
    [SQL_DOWNLOAD_TAKEN] = "INSERT INTO download SELECT id, ?2, ?3, 0 FROM email WHERE id=?1"
                           " ON CONFLICT DO UPDATE SET taken=excluded.taken WHERE taken=0",
    [SQL_DOWNLOAD_HIDE] = "INSERT INTO download SELECT id, ?2, 0, 1 FROM email WHERE id=?1"
                          " ON CONFLICT DO UPDATE SET hidden=1",
    [SQL_DOWNLOAD_DELETE] = "DELETE FROM download WHERE email=?1",
    [SQL_UIDLS] = "SELECT email, text FROM uidl ORDER BY email",
    [SQL_UIDLS_ANY] = "SELECT EXISTS(SELECT 1 FROM uidl)",
    [SQL_UIDL_OF] = "SELECT text FROM uidl WHERE email=?1",
    [SQL_UIDL_INSERT] = "INSERT OR IGNORE INTO uidl VALUES(?1, ?2)",
    [SQL_UIDL_DELETE] = "DELETE FROM uidl WHERE email=?1",
    [SQL_BODY_INSERT] = "INSERT INTO body VALUES(?1, ?2)",
    [SQL_BODY_DELETE] = "DELETE FROM body WHERE email=?1",
    [SQL_BODY] = "SELECT bytes FROM body WHERE email=?1",
    [SQL_GONE_INSERT] = "INSERT INTO gone VALUES(?1, ?2, ?3, ?4)",
    [SQL_GONE] = "SELECT first, last FROM gone WHERE mailbox=?1 AND modseq>?2",
    [SQL_GONE_COUNT] = "SELECT count(*) FROM gone WHERE mailbox=?1",
    /* The newest half stays. RETURNING says up to where history is lost. */
    [SQL_GONE_TRIM] =
        "DELETE FROM gone WHERE mailbox=?1 AND modseq<=(SELECT modseq FROM gone WHERE mailbox=?1"
        " ORDER BY modseq DESC LIMIT 1 OFFSET ?2) RETURNING modseq",
    [SQL_GONE_DELETE] = "DELETE FROM gone WHERE mailbox=?1",
    [SQL_GONE_FLOOR_SET] = "UPDATE mailbox SET gone_floor=max(gone_floor, ?2) WHERE id=?1",
    [SQL_DELIVERED] = "SELECT at FROM delivered WHERE guid=?1",
    [SQL_DELIVERED_INSERT] = "INSERT INTO delivered VALUES(?1, ?2)",
    [SQL_DELIVERED_TRIM] = "DELETE FROM delivered WHERE at<?1",
    [SQL_FILED] = "SELECT f.mailbox, f.uid FROM filed f JOIN entry e ON e.mailbox=f.mailbox"
                  " AND e.uid=f.uid WHERE f.key=?1 AND f.at>=?2",
    [SQL_FILED_SET] = "INSERT OR REPLACE INTO filed VALUES(?1, ?2, ?3, ?4)",
    [SQL_FILED_TRIM] = "DELETE FROM filed WHERE at<?1",
    [SQL_OUTGOING_INSERT] = "INSERT INTO outgoing VALUES(?1, ?2, ?3, ?4, ?5, '', ?6, ?6, 0)",
    [SQL_OUTGOING] = "SELECT id, guid, email, sender, recipient, status, created, next, attempts"
                     " FROM outgoing WHERE next<=?1 OR next>?1+?3 ORDER BY next, id LIMIT ?2",
    [SQL_OUTGOING_NEXT] = "SELECT min(next) FROM outgoing",
    [SQL_OUTGOING_EMAIL] = "SELECT email FROM outgoing WHERE id=?1",
    [SQL_OUTGOING_DELETE] = "DELETE FROM outgoing WHERE id=?1",
    [SQL_OUTGOING_RETRY] =
        "UPDATE outgoing SET next=?2, status=?3, attempts=attempts+1 WHERE id=?1",
    [SQL_GUIDS] = "SELECT guid FROM email",
    /* ?2 is put where the mailboxes' UIDVALIDITYs begin. */
    [SQL_EPOCH_ACCOUNT] =
        "UPDATE account SET id=?1, epoch=epoch+1, uidvalidity=max(?2,"
        " iif(uidvalidity BETWEEN 0 AND 4200000000, uidvalidity+1, 0)),"
        " modseq=max(modseq, ?3, (SELECT ifnull(max(modseq), 0) FROM mailbox))+?4",
    [SQL_EPOCH_MAILBOXES] =
        "UPDATE mailbox SET uidvalidity=(SELECT uidvalidity FROM account)+n.place, recent=uidnext,"
        " modseq=(SELECT modseq FROM account), gone_floor=(SELECT modseq FROM account)"
        " FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM mailbox) n"
        " WHERE n.id=mailbox.id",
    [SQL_EPOCH_UIDVALIDITY] =
        "UPDATE account SET uidvalidity=max(uidvalidity, (SELECT max(uidvalidity) FROM mailbox))",
    [SQL_EPOCH_GONE] = "DELETE FROM gone",
};

const struct sql_options store_sql_options = { .texts = text,
    .count = SQL_COUNT,
    .sharing = SQL_ALONE,
    .constraint = ERR_CORRUPT,
    .access_is_io = true };

static enum err add_account(struct sql_db *sql, struct slice id)
{
    sqlite3_stmt *statement;
    TRY(sql_prepare(sql,
        "INSERT INTO account(one, modseq, uidvalidity, epoch, id) VALUES(1, 1, 0, 0, ?1)",
        &statement));
    sql_bind_text(statement, 1, id);
    enum err e = sql_done(sql, statement);
    (void)sqlite3_finalize(statement);
    return e;
}

/* An index only makes reading faster, but making it reads all rows, also a damaged one. */
static bool is_index(const char *statement)
{
    return slice_starts(slice_of(statement), SLICE("CREATE INDEX"));
}

enum err schema_missing_indexes(struct sql_db *sql)
{
    for (size_t i = 0; i < sizeof upgrades / sizeof upgrades[0]; i++)
        if (is_index(upgrades[i])) /* each says IF NOT EXISTS */
            TRY(sql_exec(sql, upgrades[i]));
    return ERR_OK;
}

static enum err upgrade(struct sql_db *sql, int version, bool indexes)
{
    char mark[48];
    for (; version < STORE_SCHEMA_VERSION; version++) {
        const char *step = upgrades[version - STORE_SCHEMA_VERSION_OLDEST];
        if (indexes || !is_index(step))
            TRY(sql_exec(sql, step));
    }
    (void)snprintf(mark, sizeof mark, "PRAGMA user_version=%d", STORE_SCHEMA_VERSION);
    return sql_exec(sql, mark);
}

static enum err make(struct sql_db *sql, struct slice id)
{
    TRY(sql_exec(sql, schema));
    TRY(add_account(sql, id));
    return upgrade(sql, STORE_SCHEMA_VERSION_OLDEST, true);
}

enum err schema_make(struct sql_db *sql, struct slice id)
{
    TRY(sql_begin_write(sql));
    return sql_end(sql, make(sql, id));
}

static enum err upgrade_all(struct sql_db *sql, int version, bool indexes)
{
    TRY(sql_begin_write(sql));
    return sql_end(sql, upgrade(sql, version, indexes));
}

enum err schema_upgrade(struct sql_db *sql, int version)
{
    enum err e = upgrade_all(sql, version, true);
    return e == ERR_CORRUPT ? upgrade_all(sql, version, false) : e;
}
