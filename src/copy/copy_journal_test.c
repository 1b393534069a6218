/* The journal keeps what it is given, parts sources and accounts, and what was not committed is as if it had not been. */
#include "copy/journal.h"

#include "base/test.h"

#include "base/buf.h"
#include "sql/sql.h"

#include <stdlib.h>
#include <string.h>

struct place {
    char folder[40], path[64];
    struct journal *journal;
};

static void place_open(struct place *place)
{
    struct err_note note = { "" };
    snprintf(place->folder, sizeof place->folder, "/tmp/barid-copy-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof place->path, "%s/copy.db", place->folder);
    assert_ok(journal_open(place->path, &place->journal, &note));
}

static void place_again(struct place *place)
{
    struct err_note note = { "" };
    journal_close(place->journal);
    assert_ok(journal_open(place->path, &place->journal, &note));
}

static void place_close(struct place *place)
{
    journal_close(place->journal);
    remove_database(place->path);
    rmdir(place->folder);
}

static char sent[] = "Sent", sent_items[] = "&BkUGMQYzBkQ-";

/* The UIDs of a folder as text, "done|nameless|used". */
static void assert_uids(struct place *place, int64_t folder, const char *wanted)
{
    struct uidset done, nameless, used;
    struct buf text;
    uidset_init(&done);
    uidset_init(&nameless);
    uidset_init(&used);
    buf_init(&text, 0);
    assert_ok(journal_done(place->journal, folder, &done, &nameless));
    assert_ok(journal_used(place->journal, "a", "b", sent, 7, &used));
    uidset_write(&done, &text);
    buf_addc(&text, '|');
    uidset_write(&nameless, &text);
    buf_addc(&text, '|');
    uidset_write(&used, &text);
    assert_slice("uids", buf_slice(&text), slice_of(wanted));
    buf_done(&text);
    uidset_done(&used);
    uidset_done(&nameless);
    uidset_done(&done);
}

static void test_folders(void **state)
{
    struct place place;
    struct journal_folder row = { .from_validity = UINT32_MAX,
        .to_validity = UINT32_MAX - 1,
        .bound = 3,
        .busy_s = 1795000000,
        .subscribed = true,
        .to_name = sent };
    struct journal_folder other = { .from_validity = 1, .to_validity = 2, .to_name = sent_items };
    struct journal_folder found;
    (void)state;
    place_open(&place);
    assert_ok(journal_find(place.journal, "a", "b", sent_items, &found));
    assert_int_equal(found.id, 0);
    assert_null(found.to_name);
    assert_ok(journal_put(place.journal, "a", "b", sent_items, &row));
    assert_ok(journal_put(place.journal, "a", "c", sent_items, &other));
    assert_true(row.id && other.id && row.id != other.id);
    assert_ok(journal_commit(place.journal));
    place_again(&place);
    assert_ok(journal_find(place.journal, "a", "b", sent_items, &found));
    assert_int_equal(found.id, row.id);
    assert_true(found.from_validity == UINT32_MAX);
    assert_true(found.to_validity == UINT32_MAX - 1);
    assert_int_equal(found.bound, 3);
    assert_true(found.busy_s == 1795000000);
    assert_true(found.subscribed);
    assert_string_equal(found.to_name, sent);
    found.bound = 0;
    found.subscribed = false;
    assert_ok(journal_put(place.journal, "a", "b", sent_items, &found));
    assert_ok(journal_commit(place.journal));
    journal_folder_done(&found);
    place_again(&place);
    assert_ok(journal_find(place.journal, "a", "b", sent_items, &found));
    assert_int_equal(found.id, row.id);
    assert_int_equal(found.bound, 0);
    assert_false(found.subscribed);
    journal_folder_done(&found);
    assert_ok(journal_find(place.journal, "b", "a", sent_items, &found));
    assert_int_equal(found.id, 0);
    place_close(&place);
}

static void test_messages(void **state)
{
    struct place place;
    struct journal_folder row = { .to_validity = 7, .to_name = sent };
    struct journal_folder old = { .to_validity = 6, .to_name = sent };
    (void)state;
    place_open(&place);
    assert_ok(journal_put(place.journal, "a", "b", "one", &row));
    assert_ok(journal_put(place.journal, "a", "b", "two", &old));
    for (uint32_t uid = 5; uid > 0; uid--)
        assert_ok(journal_add(place.journal, row.id, uid, uid == 3 ? 0 : uid + 10));
    assert_ok(journal_add(place.journal, row.id, UINT32_MAX, UINT32_MAX));
    assert_ok(journal_add(place.journal, old.id, 9, 99)); /* of another UIDVALIDITY there */
    assert_ok(journal_commit(place.journal));
    assert_uids(&place, row.id, "1:5,4294967295|3|11:12,14:15,4294967295");
    place_again(&place);
    assert_ok(journal_add(place.journal, row.id, 3, 13)); /* found out later */
    assert_ok(journal_commit(place.journal));
    assert_uids(&place, row.id, "1:5,4294967295||11:15,4294967295");
    assert_ok(journal_forget(place.journal, row.id));
    assert_uids(&place, row.id, "||");
    place_again(&place); /* it was not committed */
    assert_uids(&place, row.id, "1:5,4294967295||11:15,4294967295");
    assert_uids(&place, old.id, "9||11:15,4294967295");
    place_close(&place);
}

static void test_ids(void **state)
{
    struct place place;
    struct journal_folder row = { .to_validity = 7, .to_name = sent };
    struct slice one = SLICE("\x01\x00\x02"), two = SLICE("\x01\x00\x03");
    bool has = true;
    uint32_t uid = 0;
    (void)state;
    place_open(&place);
    assert_ok(journal_put(place.journal, "a", "b", "one", &row));
    assert_ok(journal_find_id(place.journal, row.id, one, &has, &uid));
    assert_false(has);
    assert_ok(journal_add_id(place.journal, row.id, one, 4));
    assert_ok(journal_find_id(place.journal, row.id, one, &has, &uid));
    assert_true(has);
    assert_int_equal(uid, 4);
    assert_ok(journal_find_id(place.journal, row.id, two, &has, &uid));
    assert_false(has);
    assert_ok(journal_find_id(place.journal, row.id + 1, one, &has, &uid));
    assert_false(has);
    assert_ok(journal_commit(place.journal));
    assert_uids(&place, row.id, "||4");
    place_close(&place);
}

/* One run at a time; what is no journal is none. */
static void test_opening(void **state)
{
    struct place place;
    struct journal *second = NULL;
    struct err_note note = { "" };
    (void)state;
    place_open(&place);
    assert_err(ERR_BUSY, journal_open(place.path, &second, &note));
    assert_null(second);
    assert_non_null(strstr(note.text, "another run"));
    journal_close(place.journal);
    remove_database(place.path);
    FILE *f = fopen(place.path, "w");
    assert_non_null(f);
    for (int i = 0; i < 1000; i++)
        fputs("this is no database", f);
    fclose(f);
    assert_err(ERR_CORRUPT, journal_open(place.path, &place.journal, &note));
    place.journal = NULL;
    place_close(&place);
}

/* What a newer Barid wrote is said to be that, and stays as it is; a file with other tables is found out at once. */
static void test_other_formats(void **state)
{
    struct place place;
    struct err_note note = { "" };
    struct sql_db file;
    static const struct sql_options options = { .sharing = SQL_ALONE, .constraint = ERR_CORRUPT };
    (void)state;
    place_open(&place);
    journal_close(place.journal);
    place.journal = NULL;
    assert_ok(sql_open(&file, place.path, &options));
    assert_ok(sql_exec(&file, "PRAGMA user_version=2"));
    sql_close(&file);
    for (int i = 0; i < 2; i++) {
        assert_err(ERR_DENIED, journal_open(place.path, &place.journal, &note));
        assert_non_null(strstr(note.text, "newer Barid (format 2; this one knows 1)"));
    }
    assert_ok(sql_open(&file, place.path, &options));
    assert_ok(sql_exec(&file, "PRAGMA user_version=1;ALTER TABLE folder DROP COLUMN bound"));
    sql_close(&file);
    assert_err(ERR_CORRUPT, journal_open(place.path, &place.journal, &note));
    assert_non_null(strstr(note.text, place.path));
    assert_null(place.journal);
    place_close(&place);
}

TEST_MAIN(cmocka_unit_test(test_folders), cmocka_unit_test(test_messages),
    cmocka_unit_test(test_ids), cmocka_unit_test(test_opening),
    cmocka_unit_test(test_other_formats))
