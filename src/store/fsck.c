/* What is true of an account, looked at row by row (docs/store.md lists it), and mended where the rest of the account says how.
 *
 * Always true: nothing that can be read is taken away: bytes that lost their row, and messages that lost their place, are filed in "Recovered"; all
 * repairs of one run are one transaction; a file that SQLite finds no way through is left as it is. */
#include "store/account.h"

#include "base/encode.h"
#include "message/summary.h"
#include "store/vfs.h"
#include "store/xxh3.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (64u << 10)

struct check {
    struct account *account;
    bool repair;
    account_finding_fn *tell;
    void *tell_arg;
    size_t findings;
    uint64_t summaries_changed;
    size_t damaged_pages;
};

static void found(struct check *c, bool repaired, const char *format, ...) PRINTF(3, 4);
static void found(struct check *c, bool repaired, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->findings++;
    c->tell(c->tell_arg, text, repaired);
}

/* ---- statements of one use ---- */

static enum err prepare(struct check *c, const char *sql, sqlite3_stmt **out)
{
    int rc = sqlite3_prepare_v2(c->account->db, sql, -1, out, NULL);
    return rc == SQLITE_OK ? ERR_OK : sql_err(c->account->db, rc);
}

static enum err run(struct check *c, const char *sql, int64_t a, int64_t b)
{
    sqlite3_stmt *statement;
    TRY(prepare(c, sql, &statement));
    if (sqlite3_bind_parameter_count(statement) > 0)
        (void)sqlite3_bind_int64(statement, 1, a);
    if (sqlite3_bind_parameter_count(statement) > 1)
        (void)sqlite3_bind_int64(statement, 2, b);
    int rc = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? ERR_OK : sql_err(c->account->db, rc);
}

/* A rule: rows that break it (two numbers each), the sentence, and the statements that mend it. */
#define REPAIR_STEPS_MAX 5
struct rule {
    const char *rows, *sentence, *repair[REPAIR_STEPS_MAX];
};

static enum err run_steps(struct check *c, const struct rule *rule, int64_t a, int64_t b)
{
    for (size_t i = 0; i < REPAIR_STEPS_MAX && rule->repair[i]; i++)
        TRY(run(c, rule->repair[i], a, b));
    return ERR_OK;
}

static enum err check_rule(struct check *c, const struct rule *rule)
{
    sqlite3_stmt *statement;
    TRY(prepare(c, rule->rows, &statement));
    size_t count = 0, cap = 0;
    int64_t(*pairs)[2] = NULL;
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (count == cap) {
            cap = cap ? cap * 2 : 16;
            pairs = mem_realloc(pairs, cap * sizeof *pairs);
        }
        pairs[count][0] = sqlite3_column_int64(statement, 0);
        pairs[count++][1] = sqlite3_column_int64(statement, 1);
    }
    (void)sqlite3_finalize(statement);
    enum err e = rc == SQLITE_DONE ? ERR_OK : sql_err(c->account->db, rc);
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        if (c->repair)
            e = run_steps(c, rule, pairs[i][0], pairs[i][1]);
        found(c, c->repair && e == ERR_OK, "%s (%lld, %lld)", rule->sentence,
            (long long)pairs[i][0], (long long)pairs[i][1]);
    }
    free(pairs);
    return e;
}

/* A UIDVALIDITY above every earlier one (S-5), and the account remembers it. */
#define NEW_UIDVALIDITY "max(a.uidvalidity+1, CAST(strftime('%s') AS INTEGER))"
#define KEEP_UIDVALIDITY                                                                           \
    "UPDATE account SET uidvalidity=max(uidvalidity, (SELECT max(uidvalidity) FROM mailbox))"
#define NUMBER_MAX "4294967295"
/* Far above what a million changes a day reach, far below where numbers end. */
#define MODSEQ_MAX "1000000000000000000"

/* Order matters: what lost its row gets one before names are counted, names are counted once entries without a message are gone, counters last. */
static const struct rule rules[] = {
    { "SELECT 1, uidvalidity FROM account WHERE uidvalidity NOT BETWEEN 0 AND 4200000000",
        "the account (1, UIDVALIDITY) has given out what cannot be",
        { "UPDATE account SET uidvalidity=0" } },
    { "SELECT id, uidvalidity FROM mailbox WHERE uidvalidity NOT BETWEEN 1 AND " NUMBER_MAX,
        "a mailbox (id, UIDVALIDITY) has a number that cannot be",
        { "UPDATE mailbox SET uidvalidity=(SELECT " NEW_UIDVALIDITY " FROM account a) WHERE id=?1",
            KEEP_UIDVALIDITY } },
    { "SELECT id, uidnext FROM mailbox WHERE uidnext NOT BETWEEN 1 AND " NUMBER_MAX,
        "a mailbox (id, UIDNEXT) has a number that cannot be",
        { "UPDATE mailbox SET uidnext=1 WHERE id=?1" } },
    { "SELECT mailbox, uid FROM entry WHERE uid NOT BETWEEN 1 AND 4294967294",
        "an entry (mailbox, UID) has a number that cannot be",
        { "DELETE FROM entry WHERE mailbox=?1 AND uid=?2" } },
    { "SELECT 1, modseq FROM account WHERE modseq NOT BETWEEN 0 AND " MODSEQ_MAX,
        "the account (1, modseq) has given out what cannot be", { "UPDATE account SET modseq=0" } },
    { "SELECT id, modseq FROM mailbox WHERE modseq NOT BETWEEN 0 AND " MODSEQ_MAX
      " OR gone_floor NOT BETWEEN 0 AND " MODSEQ_MAX,
        "a mailbox (id, HIGHESTMODSEQ) has a number that cannot be",
        { "UPDATE mailbox SET modseq=1, gone_floor=1 WHERE id=?1" } },
    { "SELECT mailbox, uid FROM entry WHERE modseq NOT BETWEEN 0 AND " MODSEQ_MAX,
        "an entry (mailbox, UID) has a modseq that cannot be",
        { "UPDATE entry SET modseq=1 WHERE mailbox=?1 AND uid=?2" } },
    { "SELECT count(*), 0 FROM mailbox WHERE name='INBOX' HAVING count(*)=0", "there is no INBOX",
        { "INSERT INTO mailbox SELECT NULL, 'INBOX', 0, 0, " NEW_UIDVALIDITY
          ", 1, 1, 0, 0, 0, 0, 1, 1 FROM account a",
            KEEP_UIDVALIDITY } },
    { "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM numbers"
      " WHERE n<(SELECT min(max(number), 54) FROM keyword)) SELECT n, 0 FROM numbers"
      " WHERE EXISTS(SELECT 1 FROM keyword) AND n NOT IN (SELECT number FROM keyword)",
        "a keyword (number) has no name",
        { "INSERT INTO keyword VALUES(?1, 'keyword'||?1||'-'||lower(hex(randomblob(3))))" } },
    { "SELECT email, length(bytes) FROM body b WHERE NOT EXISTS(SELECT 1 FROM email m WHERE "
      "m.id=b.email)",
        "bytes (message, size) belong to nothing",
        { "INSERT INTO email SELECT email, 0, length(bytes), CAST(strftime('%s') AS INTEGER), 0,"
          " xxh3(bytes), randomblob(16) FROM body WHERE email=?1" } },
    { "SELECT mailbox, uid FROM entry e WHERE NOT EXISTS(SELECT 1 FROM email m WHERE m.id=e.email)",
        "an entry (mailbox, uid) names a message that is not there",
        { "DELETE FROM entry WHERE mailbox=?1 AND uid=?2" } },
    { "SELECT id, email FROM outgoing o WHERE NOT EXISTS(SELECT 1 FROM email m WHERE m.id=o.email)",
        "an outgoing row (id, message) names a message that is not there",
        { "DELETE FROM outgoing WHERE id=?1" } },
    { "SELECT mailbox, count(*) FROM entry e WHERE NOT EXISTS(SELECT 1 FROM mailbox m WHERE "
      "m.id=e.mailbox) GROUP BY mailbox",
        "entries (mailbox, how many) are in a mailbox that is not there",
        { "INSERT INTO mailbox SELECT ?1, 'Recovered '||?1||iif(EXISTS(SELECT 1 FROM mailbox WHERE "
          "name='Recovered '||?1), ' '||lower(hex(randomblob(3))), ''), 0, 0, " NEW_UIDVALIDITY
          ", 1, 1, 0, 0, 0, 0, 1, 1 FROM account a",
            KEEP_UIDVALIDITY } },
    { "SELECT m.id, ifnull(n.c, 0) + ifnull(o.c, 0) AS named FROM email m"
      " LEFT JOIN (SELECT email, count(*) AS c FROM entry GROUP BY email) n ON n.email=m.id"
      " LEFT JOIN (SELECT email, count(*) AS c FROM outgoing GROUP BY email) o ON o.email=m.id"
      " WHERE m.refs<>ifnull(n.c, 0) + ifnull(o.c, 0)",
        "a message (id, how often it is named) counts its names wrongly",
        { "UPDATE email SET refs=?2 WHERE id=?1" } },
    { "SELECT id, size FROM email WHERE refs=0", "a message (id, size) is named by nothing",
        { "INSERT INTO mailbox SELECT NULL, 'Recovered', 0, 0, " NEW_UIDVALIDITY
          ", 1, 1, 0, 0, 0, 0, 1, 1 FROM account a"
          " WHERE NOT EXISTS(SELECT 1 FROM mailbox WHERE name='Recovered')",
            KEEP_UIDVALIDITY,
            "UPDATE mailbox SET uidnext=uidnext+1, noselect=0, modseq=1+max("
            "(SELECT modseq FROM account), (SELECT max(modseq) FROM mailbox))"
            " WHERE name='Recovered'",
            "INSERT INTO entry SELECT id, uidnext-1, ?1, 0, modseq FROM mailbox"
            " WHERE name='Recovered'",
            "UPDATE email SET refs=1 WHERE id=?1" } },
    { "SELECT email, 0 FROM summary s WHERE NOT EXISTS(SELECT 1 FROM email m WHERE m.id=s.email)",
        "a summary (message) belongs to nothing", { "DELETE FROM summary WHERE email=?1" } },
    { "SELECT m.id, ifnull(max(e.uid), 0) + 1 FROM mailbox m JOIN entry e ON e.mailbox=m.id GROUP "
      "BY m.id"
      " HAVING max(e.uid)>=m.uidnext",
        "a mailbox (id, right value) has a UIDNEXT that is in use",
        { "UPDATE mailbox SET uidnext=?2 WHERE id=?1" } },
    { "SELECT m.id, max(e.modseq) FROM mailbox m JOIN entry e ON e.mailbox=m.id GROUP BY m.id"
      " HAVING max(e.modseq)>m.modseq",
        "a mailbox (id, right value) has a HIGHESTMODSEQ below that of a message",
        { "UPDATE mailbox SET modseq=?2 WHERE id=?1" } },
    { "SELECT g.mailbox, g.first FROM gone g JOIN entry e ON e.mailbox=g.mailbox AND e.uid BETWEEN "
      "g.first AND g.last",
        "a message that is there counts as expunged (mailbox, first UID of the run)",
        { "DELETE FROM gone WHERE mailbox=?1 AND first=?2" } },
    { "SELECT mailbox, uid FROM entry WHERE (flags & ~0x1f) >> 8 >> (SELECT count(*) FROM "
      "keyword)<>0 OR flags<0 OR flags & 0xe0",
        "an entry (mailbox, uid) has a flag that is none, or a keyword without a name",
        { "UPDATE entry SET flags=flags & ~(-1 << (8 + (SELECT count(*) FROM keyword))) & ~0xe0"
          " WHERE mailbox=?1 AND uid=?2" } },
};

/* ---- counters ---- */

static const char counted[] =
    "SELECT m.id, m.name, m.messages, m.unseen, m.deleted, m.bytes, count(e.uid),"
    " ifnull(sum((e.flags & 1)=0), 0), ifnull(sum((e.flags & 8)<>0), 0), ifnull(sum(x.size), 0)"
    " FROM mailbox m LEFT JOIN entry e ON e.mailbox=m.id LEFT JOIN email x ON x.id=e.email GROUP "
    "BY m.id";

static const char recount[] =
    "UPDATE mailbox SET messages=(SELECT count(*) FROM entry e WHERE e.mailbox=mailbox.id),"
    " unseen=(SELECT count(*) FROM entry e WHERE e.mailbox=mailbox.id AND (e.flags & 1)=0),"
    " deleted=(SELECT count(*) FROM entry e WHERE e.mailbox=mailbox.id AND (e.flags & 8)<>0),"
    " bytes=(SELECT ifnull(sum(x.size), 0) FROM entry e JOIN email x ON x.id=e.email WHERE "
    "e.mailbox=mailbox.id)";

static enum err check_counters(struct check *c)
{
    sqlite3_stmt *statement;
    TRY(prepare(c, counted, &statement));
    size_t before = c->findings;
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
        for (int i = 2; i < 6; i++)
            if (sqlite3_column_int64(statement, i) != sqlite3_column_int64(statement, i + 4)) {
                found(c, c->repair, "the counters of mailbox %lld are wrong",
                    (long long)sqlite3_column_int64(statement, 0));
                break;
            }
    (void)sqlite3_finalize(statement);
    if (rc != SQLITE_DONE)
        return sql_err(c->account->db, rc);
    return c->repair && c->findings > before ? run(c, recount, 0, 0) : ERR_OK;
}

/* ---- bytes and summaries ---- */

struct bytes_seen {
    XXH3_state_t *hash;
    struct msg_scan *scan;
};

static void see(struct bytes_seen *seen, struct slice piece)
{
    (void)XXH3_64bits_update(seen->hash, piece.ptr, piece.len);
    msg_scan_feed(seen->scan, piece);
}

static enum err see_big(
    struct check *c, const struct slice guid, uint64_t size, struct bytes_seen *seen)
{
    struct buf path, piece;
    buf_init(&path, 0);
    buf_init(&piece, 0);
    buf_adds(&path, "big/");
    hex_encode(&path, guid);
    buf_addc(&path, 0);
    int fd = openat(c->account->folder_fd, buf_slice(&path).ptr, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    buf_done(&path);
    struct stat about;
    enum err e =
        fd < 0 || fstat(fd, &about) != 0 || (uint64_t)about.st_size != size ? ERR_CORRUPT : ERR_OK;
    ssize_t got = 1;
    while (e == ERR_OK && got > 0) {
        char *room = buf_room(&piece, PIECE_BYTES);
        got = read(fd, room, PIECE_BYTES);
        if (got > 0)
            see(seen, slice_from(room, (size_t)got));
    }
    if (got < 0)
        e = ERR_CORRUPT;
    if (fd >= 0)
        close(fd);
    buf_done(&piece);
    return e;
}

static void xxh3_sql(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const void *bytes = sqlite3_value_blob(values[0]);
    size_t len = (size_t)sqlite3_value_bytes(values[0]);
    sqlite3_result_int64(context, (int64_t)XXH3_64bits(bytes ? bytes : "", len));
}

/* Where rows may be lost, a file that nothing names may be the bytes of one: it gets a row. */
static enum err adopt_file(struct check *c, const char *name, struct slice guid)
{
    struct stat about;
    if (fstatat(c->account->folder_fd, name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return err_from_errno(errno);
    struct bytes_seen seen = { .hash = XXH3_createState(), .scan = msg_scan_new() };
    assert(seen.hash);
    (void)XXH3_64bits_reset(seen.hash);
    enum err e = see_big(c, guid, (uint64_t)about.st_size, &seen);
    sqlite3_stmt *insert = NULL;
    if (e == ERR_OK)
        e = prepare(c,
            "INSERT INTO email SELECT max(?4, (SELECT ifnull(max(id), 0) FROM email)) + 1, 0, ?1,"
            " CAST(strftime('%s') AS INTEGER), 0, ?2, ?3 RETURNING id",
            &insert);
    if (e == ERR_OK) {
        (void)sqlite3_bind_int64(insert, 4, c->account->last_email); /* S-10 */
        (void)sqlite3_bind_int64(insert, 1, (int64_t)about.st_size);
        (void)sqlite3_bind_int64(insert, 2, (int64_t)XXH3_64bits_digest(seen.hash));
        sql_bind_bytes(insert, 3, guid);
        int rc = sqlite3_step(insert);
        if (rc == SQLITE_ROW) {
            c->account->last_email = sqlite3_column_int64(insert, 0);
            rc = sqlite3_step(insert);
        }
        e = sql_err(c->account->db, rc);
        found(c, e == ERR_OK, "%s belongs to nothing", name);
    }
    (void)sqlite3_finalize(insert);
    msg_scan_free(seen.scan);
    (void)XXH3_freeState(seen.hash);
    return e;
}

static enum err on_big_file(void *check_arg, const char *name, struct slice guid)
{
    enum err e = adopt_file(check_arg, name, guid);
    if (e != ERR_CORRUPT && e != ERR_IO)
        return e;
    found(check_arg, false, "%s belongs to nothing and cannot be read", name);
    return ERR_OK;
}

/* One row of: id, size, checksum, guid, bytes or NULL, summary or NULL. */
static enum err check_message(struct check *c, sqlite3_stmt *row)
{
    int64_t id = sqlite3_column_int64(row, 0);
    uint64_t size = (uint64_t)sqlite3_column_int64(row, 1);
    struct bytes_seen seen = { .hash = XXH3_createState(), .scan = msg_scan_new() };
    assert(seen.hash);
    (void)XXH3_64bits_reset(seen.hash);
    enum err bytes = ERR_OK;
    if (sqlite3_column_type(row, 4) == SQLITE_NULL)
        bytes = see_big(c, sql_bytes(row, 3), size, &seen);
    else if ((uint64_t)sqlite3_column_bytes(row, 4) == size)
        see(&seen, sql_bytes(row, 4));
    else
        bytes = ERR_CORRUPT;
    struct buf summary;
    buf_init(&summary, 0);
    enum err e = msg_scan_finish(seen.scan, &summary);
    if (bytes != ERR_OK)
        found(c, false, "the bytes of message %lld are missing or cut", (long long)id);
    else if ((int64_t)XXH3_64bits_digest(seen.hash) != sqlite3_column_int64(row, 2))
        found(c, false, "the bytes of message %lld are not those that came", (long long)id);
    if (e == ERR_OK && bytes == ERR_OK && !slice_eq(buf_slice(&summary), sql_bytes(row, 5))) {
        c->summaries_changed++;
        if (c->repair) {
            sqlite3_stmt *set;
            e = sql_get(c->account, SQL_SUMMARY_KEEP, &set);
            if (e == ERR_OK) {
                (void)sqlite3_bind_int64(set, 1, id);
                sql_bind_bytes(set, 2, buf_slice(&summary));
                e = sql_done(c->account, set);
            }
        }
        if (!msg_summary_is_older(sql_bytes(row, 5))) /* what an upgrade left is no damage */
            found(c, c->repair && e == ERR_OK,
                "the summary of message %lld is missing or not that of its bytes", (long long)id);
    }
    buf_done(&summary);
    msg_scan_free(seen.scan);
    (void)XXH3_freeState(seen.hash);
    return e;
}

static enum err check_messages(struct check *c)
{
    static const char sql[] =
        "SELECT m.id, m.size, m.checksum, m.guid, b.bytes, s.bytes FROM email m"
        " LEFT JOIN body b ON b.email=m.id LEFT JOIN summary s ON s.email=m.id"
        " WHERE m.id>?1 ORDER BY m.id LIMIT 1";
    sqlite3_stmt *statement;
    TRY(prepare(c, sql, &statement));
    enum err e = ERR_OK;
    for (int64_t after = 0; e == ERR_OK;) { /* one by one: a repair changes what is walked */
        (void)sqlite3_bind_int64(statement, 1, after);
        int rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW) {
            after = sqlite3_column_int64(statement, 0);
            e = check_message(c, statement);
        } else {
            e = rc == SQLITE_DONE ? ERR_CLOSED : sql_err(c->account->db, rc);
        }
        (void)sqlite3_reset(statement);
    }
    (void)sqlite3_finalize(statement);
    return e == ERR_CLOSED ? ERR_OK : e;
}

/* ---- the file ---- */

static void count_page(void *check_arg, uint32_t page)
{
    (void)page;
    ((struct check *)check_arg)->damaged_pages++;
}

static void tell_page(void *check_arg, uint32_t page)
{
    struct check *c = check_arg;
    found(c, c->repair, "mail.db: page %u is not as it was written", page);
}

/* The header says how many pages count. */
static enum err check_length(struct check *c)
{
    sqlite3_stmt *statement;
    uint64_t pages, wanted;
    TRY(prepare(c, "PRAGMA page_count", &statement));
    wanted =
        sqlite3_step(statement) == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    TRY(sql_err(c->account->db, sqlite3_finalize(statement)));
    TRY(store_vfs_pages(c->account->db, c->repair ? wanted : 0, &pages));
    if (pages != wanted)
        found(c, c->repair && pages > wanted, "mail.db has %llu pages, wanted %llu",
            (unsigned long long)pages, (unsigned long long)wanted);
    return ERR_OK;
}

static enum err check_structure(struct check *c)
{
    sqlite3_stmt *statement;
    TRY(prepare(c, "PRAGMA integrity_check(20)", &statement));
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct slice text = sql_text(statement, 0);
        if (!slice_eq(text, SLICE("ok")))
            found(c, false, "mail.db: %.*s", (int)(text.len < 200 ? text.len : 200), text.ptr);
    }
    (void)sqlite3_finalize(statement);
    if (rc == SQLITE_DONE)
        return ERR_OK;
    found(c, false, "mail.db cannot be read: %s", sqlite3_errmsg(c->account->db));
    return ERR_OK;
}

/* A file that lies in the wrong folder is whole in itself: its pages fit the id that it names. Pages are read as they are. */
static enum err check_owner(struct check *c, bool *out_foreign)
{
    sqlite3_stmt *statement;
    bool row;
    char id[ACCOUNT_ID_BYTES_MAX + 1] = "";
    TRY(sql_get(c->account, SQL_ACCOUNT, &statement));
    TRY(sql_step(c->account, statement, &row));
    struct slice text = row ? sql_text(statement, 0) : SLICE_EMPTY;
    if (store_id_ok(text))
        (void)snprintf(id, sizeof id, "%.*s", SLICE_FMT(text));
    (void)sqlite3_reset(statement);
    *out_foreign = false;
    if (!id[0] || strcmp(id, c->account->id) == 0)
        return ERR_OK;
    size_t damaged = c->damaged_pages;
    c->damaged_pages = 0;
    store_vfs_owner(c->account->db, slice_of(id));
    enum err e = store_vfs_scan(c->account->db, false, count_page, c);
    store_vfs_owner(c->account->db, slice_of(c->account->id));
    *out_foreign = c->damaged_pages < damaged;
    c->damaged_pages = damaged;
    if (*out_foreign)
        found(c, false, "mail.db is not of this account but of %s; put the right one back", id);
    return e;
}

/* Damaged pages are taken as they are only where SQLite finds its way through them all: what follows then says which rows are wrong. */
static enum err check_content(struct check *c, bool looked)
{
    sqlite3 *db = c->account->db;
    bool foreign = false;
    if (c->damaged_pages) {
        (void)sqlite3_db_release_memory(db); /* what the file holds, not what it held */
        (void)store_vfs_verify(db, false);
        enum err e = check_owner(c, &foreign);
        if (e != ERR_OK && e != ERR_CORRUPT)
            return e;
    }
    if (foreign) {
        c->repair = false;
        c->account->readonly = true;
        return ERR_OK;
    }
    TRY(check_structure(c));
    c->repair &= c->findings == 0;
    if (looked && c->findings == 0)
        TRY(check_length(c));
    return c->damaged_pages ? store_vfs_scan(db, c->repair, tell_page, c) : ERR_OK;
}

/* A page that the log holds anew may be half written in the file, so the log goes first. A full disk, or a backup that runs, keeps the pages from being
 * looked at, no more. */
static enum err check_file(struct check *c)
{
    enum err e = c->account->readonly ? ERR_NO_SPACE : account_checkpoint(c->account);
    bool look = e == ERR_OK;
    if (e == ERR_IO) {
        c->repair = false;
        found(c, false, "the log cannot be copied into mail.db");
    }
    if (look)
        TRY(store_vfs_scan(c->account->db, false, count_page, c));
    bool verified = store_vfs_verify(c->account->db, true);
    (void)store_vfs_verify(c->account->db, verified);
    e = check_content(c, look);
    /* A page that was read unchecked must not stay for those who come after. */
    if (c->damaged_pages)
        (void)sqlite3_db_release_memory(c->account->db);
    (void)store_vfs_verify(c->account->db, verified || c->repair);
    return e;
}

static enum err mend_id(struct check *c)
{
    sqlite3_stmt *statement;
    TRY(prepare(c, "UPDATE account SET id=?1 WHERE id<>?1", &statement));
    sql_bind_text(statement, 1, slice_of(c->account->id));
    int rc = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    if (rc == SQLITE_DONE && sqlite3_changes(c->account->db) > 0)
        found(c, true, "mail.db names another account");
    return rc == SQLITE_DONE ? ERR_OK : sql_err(c->account->db, rc);
}

static enum err check_rows(struct check *c)
{
    if (c->repair)
        TRY(mend_id(c));
    if (c->repair && c->damaged_pages)
        TRY(account_big_unnamed(c->account, on_big_file, c));
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        TRY(check_rule(c, &rules[i]));
    TRY(check_counters(c));
    return check_messages(c);
}

static enum err mend_rows(struct check *c)
{
    struct account *account = c->account;
    int rc = sqlite3_create_function(account->db, "xxh3", 1,
        SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL, xxh3_sql, NULL, NULL);
    if (rc != SQLITE_OK)
        return sql_err(account->db, rc);
    TRY(sql_run(account, SQL_BEGIN));
    enum err e = check_rows(c);
    if (e == ERR_OK &&
        c->damaged_pages) /* numbers may have been damaged too: none that a client knows names anything else (S-5) */
        e = account_raise(account, slice_of(account->id), 0, (int64_t)account->modseq);
    enum err end = sql_run(account, e == ERR_OK ? SQL_COMMIT : SQL_ROLLBACK);
    if (end != ERR_OK)
        account->readonly = true;
    account_forget_mailboxes(account);
    e = e == ERR_OK ? end : e;
    if (e != ERR_OK)
        found(c, false, "none of the repairs could be kept: %s", err_name(e));
    TRY(e);
    account_sweep_big(account);
    return account_load(account);
}

enum err account_check(struct account *account, bool repair, account_finding_fn *tell,
    void *tell_arg, size_t *out_findings)
{
    struct check c = { .account = account,
        .repair = repair && !account->readonly,
        .tell = tell,
        .tell_arg = tell_arg };
    enum err e = check_file(&c);
    if (e == ERR_OK && c.repair)
        e = mend_rows(&c);
    else if (e == ERR_OK && c.findings == 0)
        e = check_rows(&c);
    *out_findings = c.findings;
    return e;
}

enum err account_fsck(
    struct account *account, bool repair, account_finding_fn *tell, void *tell_arg)
{
    size_t findings = 0;
    pthread_mutex_lock(&account->lock);
    enum err e = account_check(account, repair, tell, tell_arg, &findings);
    pthread_mutex_unlock(&account->lock);
    return e;
}

static void keep_quiet(void *unused, const char *text, bool repaired)
{
    (void)unused;
    (void)text;
    (void)repaired;
}

static enum err rebuild(struct account *account, uint64_t *out_changed)
{
    struct check c = { .account = account, .repair = true, .tell = keep_quiet };
    TRY(sql_run(account, SQL_BEGIN));
    enum err e = check_counters(&c);
    uint64_t counters = c.findings;
    if (e == ERR_OK)
        e = check_messages(&c);
    enum err end = sql_run(account, e == ERR_OK ? SQL_COMMIT : SQL_ROLLBACK);
    if (end != ERR_OK)
        account->readonly = true;
    account_forget_mailboxes(account);
    TRY(e == ERR_OK ? end : e);
    *out_changed = c.summaries_changed + counters;
    return account_load(account);
}

enum err store_rebuild(struct store *store, struct slice id, uint64_t *out_changed)
{
    struct account *account;
    TRY(store_account(store, id, false, &account));
    pthread_mutex_lock(&account->lock);
    enum err e = account->readonly ? ERR_IO : rebuild(account, out_changed);
    pthread_mutex_unlock(&account->lock);
    account_unref(account);
    return e;
}
