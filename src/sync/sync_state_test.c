/* The state keeps what it is given, refuses what would be two of one, and undoes what was not committed. */
#include "sync/state.h"

#include "base/test.h"
#include "sql/sql.h"

#include <stdlib.h>
#include <string.h>

struct place {
    char folder[40], path[64];
    struct state *state;
    struct arena arena;
};

static void place_open(struct place *place)
{
    struct err_note note = { "" };
    snprintf(place->folder, sizeof place->folder, "/tmp/barid-state-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof place->path, "%s/sync.db", place->folder);
    arena_init(&place->arena, 1u << 20);
    assert_ok(state_open(place->path, &place->state, &note));
}

static void place_again(struct place *place)
{
    struct err_note note = { "" };
    state_close(place->state);
    assert_ok(state_open(place->path, &place->state, &note));
}

static void place_close(struct place *place)
{
    state_close(place->state);
    arena_done(&place->arena);
    remove_database(place->path);
    rmdir(place->folder);
}

static char name_here[] = "Work/2026", name_there[] = "Work.2026", keyword_one[] = "$Label1",
            keyword_two[] = "Work";

static struct sync_folder_row some_folder(void)
{
    return (struct sync_folder_row){ .far_name = name_there,
        .path = name_here,
        .far = { .uidvalidity = UINT32_MAX,
            .uidnext = UINT32_MAX - 1,
            .modseq = (uint64_t)INT64_MAX + 5,
            .messages = 7 },
        .keywords = { { keyword_one, keyword_two } } };
}

static enum err look(void *arg, struct sync_folder_row *row)
{
    size_t *count = arg;
    ++*count;
    assert_string_equal(row->far_name, name_there);
    assert_string_equal(row->path, name_here);
    assert_true(row->far.uidvalidity == UINT32_MAX);
    assert_true(row->far.uidnext == UINT32_MAX - 1);
    assert_true(row->far.modseq == (uint64_t)INT64_MAX + 5);
    assert_int_equal(row->far.messages, 7);
    assert_string_equal(row->keywords.names[0], keyword_one);
    assert_string_equal(row->keywords.names[1], keyword_two);
    assert_null(row->keywords.names[2]);
    sync_folder_row_done(row);
    return ERR_OK;
}

static void add_folder(struct place *place, struct sync_folder_row *row)
{
    assert_ok(state_begin(place->state));
    assert_ok(state_folder_add(place->state, row));
    assert_ok(state_commit(place->state));
    assert_true(row->id > 0);
}

static void test_folders(void **state)
{
    struct place place;
    struct sync_folder_row row = some_folder(), same = some_folder();
    size_t count = 0;
    (void)state;
    place_open(&place);
    add_folder(&place, &row);
    assert_ok(state_begin(place.state));
    assert_err(ERR_EXISTS, state_folder_add(place.state, &same));
    state_rollback(place.state);
    place_again(&place);
    assert_ok(state_folders(place.state, look, &count));
    assert_int_equal(count, 1);
    assert_ok(state_folder_remove(place.state, row.id));
    assert_ok(state_folders(place.state, look, &count));
    assert_int_equal(count, 1);
    place_close(&place);
}

static struct sync_row some_row(enum sync_kind kind, uint32_t uid, const char *base)
{
    struct sync_row row = { .kind = kind,
        .uid = uid,
        .bound = UINT32_MAX,
        .base = base,
        .flags = 0xffffffff,
        .facts = { .bytes = 5000000000, .message_id = UINT64_MAX } };
    memset(row.facts.hash, 0xa5, sizeof row.facts.hash);
    return row;
}

static void test_rows(void **state)
{
    struct place place;
    struct sync_folder_row folder = some_folder();
    struct sync_row *rows, last = some_row(SYNC_PAIR, UINT32_MAX, "1.a"),
                           down = some_row(SYNC_DOWN, 3, "2.b"), up = some_row(SYNC_UP, 0, "3.c"),
                           taken = some_row(SYNC_TAKEN, 9, ""), more = some_row(SYNC_TAKEN, 8, ""),
                           second_up = some_row(SYNC_UP, 0, "4.d");
    size_t count;
    (void)state;
    place_open(&place);
    add_folder(&place, &folder);
    assert_ok(state_begin(place.state));
    struct sync_row *const all[] = { &last, &down, &up, &taken, &more, &second_up };
    for (size_t i = 0; i < 6; i++)
        assert_ok(state_row_add(place.state, folder.id, all[i]));
    assert_ok(state_commit(place.state));
    struct sync_row uid_twice = some_row(SYNC_PAIR, 3, "5.e"),
                    base_twice = some_row(SYNC_PAIR, 4, "1.a");
    assert_err(ERR_EXISTS, state_row_add(place.state, folder.id, &uid_twice));
    assert_err(ERR_EXISTS, state_row_add(place.state, folder.id, &base_twice));
    place_again(&place);
    assert_ok(state_rows(place.state, folder.id, &place.arena, &rows, &count));
    assert_int_equal(count, 6);
    for (size_t i = 1; i < count; i++)
        assert_true(rows[i - 1].uid <= rows[i].uid);
    assert_true(rows[5].uid == UINT32_MAX);
    assert_true(rows[5].bound == UINT32_MAX);
    assert_true(rows[5].flags == 0xffffffff);
    assert_true(rows[5].facts.bytes == 5000000000);
    assert_true(rows[5].facts.message_id == UINT64_MAX);
    assert_memory_equal(rows[5].facts.hash, last.facts.hash, sizeof last.facts.hash);
    assert_string_equal(rows[5].base, "1.a");
    assert_string_equal(rows[4].base, "");
    assert_ok(state_settle(place.state, folder.id));
    up.kind = SYNC_PAIR;
    up.uid = 77;
    assert_ok(state_row_set(place.state, &up));
    assert_ok(state_row_remove(place.state, last.id));
    assert_ok(state_rows(place.state, folder.id, &place.arena, &rows, &count));
    assert_int_equal(count, 5);
    assert_int_equal(rows[1].kind, SYNC_PAIR); /* DOWN, settled */
    assert_int_equal(rows[1].uid, 3);
    assert_int_equal(rows[0].kind, SYNC_UP);
    assert_int_equal(rows[4].uid, 77);
    assert_ok(state_folder_remove(place.state, folder.id));
    assert_ok(state_rows(place.state, folder.id, &place.arena, &rows, &count));
    assert_int_equal(count, 0);
    place_close(&place);
}

static void test_undone(void **state)
{
    struct place place;
    struct sync_folder_row folder = some_folder();
    struct sync_row *rows, row = some_row(SYNC_UP, 0, "1.a");
    size_t count;
    (void)state;
    place_open(&place);
    add_folder(&place, &folder);
    assert_ok(state_begin(place.state));
    assert_ok(state_row_add(place.state, folder.id, &row));
    state_rollback(place.state);
    state_rollback(place.state); /* nothing is open: nothing happens */
    assert_ok(state_begin(place.state));
    assert_ok(state_row_add(place.state, folder.id, &row));
    place_again(&place); /* killed before the commit */
    assert_ok(state_rows(place.state, folder.id, &place.arena, &rows, &count));
    assert_int_equal(count, 0);
    place_close(&place);
}

static void test_one_run_at_a_time(void **state)
{
    struct place place;
    struct state *second = NULL;
    struct err_note note = { "" };
    (void)state;
    place_open(&place);
    assert_err(ERR_BUSY, state_open(place.path, &second, &note));
    assert_non_null(strstr(note.text, "another run"));
    assert_null(second);
    place_close(&place);
}

static void test_no_state_of_ours(void **state)
{
    struct place place;
    struct state *other = NULL;
    struct err_note note = { "" };
    (void)state;
    place_open(&place);
    state_close(place.state);
    place.state = NULL;
    remove_database(place.path);
    FILE *file = fopen(place.path, "we");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is no database\n", file);
    fclose(file);
    assert_err(ERR_CORRUPT, state_open(place.path, &other, &note));
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
    state_close(place.state);
    place.state = NULL;
    assert_ok(sql_open(&file, place.path, &options));
    assert_ok(sql_exec(&file, "PRAGMA user_version=2"));
    sql_close(&file);
    for (int i = 0; i < 2; i++) {
        assert_err(ERR_DENIED, state_open(place.path, &place.state, &note));
        assert_non_null(strstr(note.text, "newer Barid (format 2; this one knows 1)"));
    }
    assert_ok(sql_open(&file, place.path, &options));
    assert_ok(sql_exec(&file, "PRAGMA user_version=1;ALTER TABLE folder DROP COLUMN messages"));
    sql_close(&file);
    assert_err(ERR_CORRUPT, state_open(place.path, &place.state, &note));
    assert_non_null(strstr(note.text, place.path));
    assert_null(place.state);
    place_close(&place);
}

TEST_MAIN(cmocka_unit_test(test_folders), cmocka_unit_test(test_rows),
    cmocka_unit_test(test_undone), cmocka_unit_test(test_one_run_at_a_time),
    cmocka_unit_test(test_no_state_of_ours), cmocka_unit_test(test_other_formats))
