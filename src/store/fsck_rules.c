/* What the rows of an account say of each other, and how what contradicts is mended; the counters.
 *
 * Always true: nothing that can be read is taken away: what lost its row or its place is filed in "Recovered". */
#include "store/fsck_int.h"

#include "base/arena.h"

#include <stdlib.h>

static enum err run(struct check *c, const char *sql, int64_t a, int64_t b)
{
    sqlite3_stmt *statement;
    bool row;
    TRY(sql_prepare(&c->account->sql, sql, &statement));
    if (sqlite3_bind_parameter_count(statement) > 0)
        (void)sqlite3_bind_int64(statement, 1, a);
    if (sqlite3_bind_parameter_count(statement) > 1)
        (void)sqlite3_bind_int64(statement, 2, b);
    enum err e = sql_step(&c->account->sql, statement, &row);
    (void)sqlite3_finalize(statement);
    return e;
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
    bool row;
    enum err e;
    TRY(sql_prepare(&c->account->sql, rule->rows, &statement));
    size_t count = 0, cap = 0;
    int64_t(*pairs)[2] = NULL;
    while ((e = sql_step(&c->account->sql, statement, &row)) == ERR_OK && row) {
        if (count == cap) {
            cap = cap ? cap * 2 : 16;
            pairs = mem_realloc(pairs, cap * sizeof *pairs);
        }
        pairs[count][0] = sqlite3_column_int64(statement, 0);
        pairs[count++][1] = sqlite3_column_int64(statement, 1);
    }
    (void)sqlite3_finalize(statement);
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        if (c->repair)
            e = run_steps(c, rule, pairs[i][0], pairs[i][1]);
        fsck_found(c, c->repair && e == ERR_OK, "%s (%lld, %lld)", rule->sentence,
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

static const struct rule download_rule = {
    "SELECT email, device FROM download d"
    " WHERE NOT EXISTS(SELECT 1 FROM email m WHERE m.id=d.email)",
    "a download (message, device) belongs to nothing",
    { "DELETE FROM download WHERE email=?1 AND device=?2" }
};

static const struct rule uidl_rule = {
    "SELECT email, length(text) FROM uidl u WHERE NOT EXISTS(SELECT 1 FROM"
    " email m WHERE m.id=u.email) OR length(text) NOT BETWEEN 1 AND 70"
    " OR text GLOB '*[^!-~]*'",
    "a UIDL (message, length) belongs to nothing, or is none", { "DELETE FROM uidl WHERE email=?1" }
};

static const struct rule filter_rule = {
    "SELECT email, 0 FROM text_filter f"
    " WHERE NOT EXISTS(SELECT 1 FROM email m WHERE m.id=f.email)",
    "a filter of text (message) belongs to nothing", { "DELETE FROM text_filter WHERE email=?1" }
};

enum err fsck_rules(struct check *c)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        TRY(check_rule(c, &rules[i]));
    if (c->account->schema_version >= STORE_SCHEMA_FILTERS)
        TRY(check_rule(c, &filter_rule));
    if (c->account->schema_version >= STORE_SCHEMA_DOWNLOADS)
        TRY(check_rule(c, &download_rule));
    return c->account->schema_version >= STORE_SCHEMA_UIDLS ? check_rule(c, &uidl_rule) : ERR_OK;
}

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

enum err fsck_counters(struct check *c)
{
    sqlite3_stmt *statement;
    bool row;
    enum err e;
    TRY(sql_prepare(&c->account->sql, counted, &statement));
    size_t before = c->findings;
    while ((e = sql_step(&c->account->sql, statement, &row)) == ERR_OK && row)
        for (int i = 2; i < 6; i++)
            if (sqlite3_column_int64(statement, i) != sqlite3_column_int64(statement, i + 4)) {
                fsck_found(c, c->repair, "the counters of mailbox %lld are wrong",
                    (long long)sqlite3_column_int64(statement, 0));
                break;
            }
    (void)sqlite3_finalize(statement);
    TRY(e);
    return c->repair && c->findings > before ? run(c, recount, 0, 0) : ERR_OK;
}
