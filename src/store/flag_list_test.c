/* What is kept of flags in memory is what the database has, whatever happened in between and whoever wrote together. */
#include "store/account_fixture_test.h"

#include <pthread.h>

static uint32_t seed = 1;

static uint32_t pick(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* Once with what is kept, once with all that stands in the rows. */
static void assert_same(const struct uidset *uids, unsigned long long flags_none)
{
    struct store_rows kept, read;
    struct store_read_args args = {
        .mailbox = box_named("INBOX").id, .uids = uids, .flags_none = flags_none
    };
    assert_ok(account_read(account, &args, &arena, &kept));
    args.need = STORE_NEED_EMAIL;
    assert_ok(account_read(account, &args, &arena, &read));
    assert_int_equal(kept.count, read.count);
    for (size_t i = 0; i < read.count; i++) {
        assert_int_equal(kept.at[i].uid, read.at[i].uid);
        assert_int_equal(kept.at[i].flags, read.at[i].flags);
        assert_int_equal(kept.at[i].modseq, read.at[i].modseq);
    }
    arena_reset(&arena);
}

static struct uidset some_uids(uint32_t uidnext)
{
    struct uidset uids;
    uidset_init(&uids);
    for (uint32_t runs = pick(4); runs > 0; runs--) {
        uint32_t first = 1 + pick(uidnext);
        uidset_add_run(&uids, first, first + pick(10));
    }
    return uids;
}

static void change_flags(const struct uidset *uids)
{
    static const enum store_flags_how hows[] = { STORE_FLAGS_SET, STORE_FLAGS_ADD,
        STORE_FLAGS_REMOVE };
    struct store_flags_result result;
    struct store_flags_args args = { .mailbox = box_named("INBOX").id,
        .uids = uids,
        .how = hows[pick(3)],
        .flags.system = pick(32),
        .has_unchangedsince = pick(4) == 0,
        .unchangedsince = pick(100) };
    assert_ok(account_flags(account, &args, &result));
    result_done(&result);
}

static void change(struct store_view *view)
{
    int64_t inbox = box_named("INBOX").id;
    struct uidset uids = some_uids(box_named("INBOX").uidnext);
    struct store_view_changes changes;
    switch (pick(6)) {
    case 0:
        append("INBOX", message(pick(50)), pick(32));
        break;
    case 1:
        assert_ok(account_expunge(
            account, &(struct store_expunge_args){ .mailbox = inbox, .uids = &uids }, NULL));
        break;
    case 2:
        assert_ok(store_view_update(account, view, true, true, &arena, &changes));
        store_view_changes_done(&changes);
        break;
    case 3:
        assert_same(&uids, 0);
        break;
    default:
        change_flags(&uids);
    }
    uidset_done(&uids);
}

static void whatever_happens(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        append("INBOX", message(9), pick(32));
    struct store_view view;
    assert_ok(store_view_open(account, box_named("INBOX").id, true, &view));
    for (int i = 0; i < 600; i++) {
        change(&view);
        if (pick(3) == 0)
            assert_same(NULL, pick(2) * STORE_SEEN);
    }
    store_view_done(&view);
}

/* Two that write at once: the second of a transaction must not go by what was committed before the first. */
struct writer {
    enum store_flags_how how;
    uint64_t done;
};

static void *write_many(void *arg)
{
    struct writer *w = arg;
    struct uidset all;
    uidset_init(&all);
    uidset_add_run(&all, 1, 40);
    for (int i = 0; i < 200; i++) {
        struct store_flags_result result;
        struct store_flags_args args = {
            .mailbox = 1, .uids = &all, .how = w->how, .flags.system = STORE_SEEN
        };
        if (account_flags(account, &args, &result) == ERR_OK) {
            w->done++;
            result_done(&result);
        }
    }
    uidset_done(&all);
    return NULL;
}

static void writers_together(void **state)
{
    (void)state;
    assert_int_equal(box_named("INBOX").id, 1);
    for (int i = 0; i < 40; i++)
        append("INBOX", message(9), 0);
    assert_same(NULL, 0);
    struct writer writers[4] = { { STORE_FLAGS_ADD, 0 }, { STORE_FLAGS_REMOVE, 0 },
        { STORE_FLAGS_ADD, 0 }, { STORE_FLAGS_REMOVE, 0 } };
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct store_stats stats = store_stats(store);
    assert_true(stats.requests > stats.commits); /* else nothing was tested */
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(writers[i].done, 200);
    assert_same(NULL, 0);
    struct mailbox box = box_named("INBOX");
    struct store_rows rows = read_box("INBOX", STORE_NEED_EMAIL);
    uint64_t unseen = 0;
    for (size_t i = 0; i < rows.count; i++)
        unseen += !(rows.at[i].flags & STORE_SEEN);
    assert_int_equal(box.unseen, unseen);
}

/* A view gets the same from what is kept as from the database, also when it is far behind. */
static void views_follow(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        append("INBOX", message(9), 0);
    assert_same(NULL, 0);
    struct store_view view;
    assert_ok(store_view_open(account, box_named("INBOX").id, true, &view));
    struct store_flags_result r = set_flags("1:40", STORE_FLAGS_ADD, STORE_FLAGGED, NULL, 0);
    result_done(&r);
    r = set_flags("10:20", STORE_FLAGS_ADD, STORE_SEEN, NULL, 0);
    result_done(&r);
    struct uidset gone = set_of("15:16");
    assert_ok(account_expunge(
        account, &(struct store_expunge_args){ .mailbox = view.mailbox, .uids = &gone }, NULL));
    uidset_done(&gone);
    struct store_view_changes changes;
    assert_ok(store_view_update(account, &view, true, true, &arena, &changes));
    assert_int_equal(changes.changed_count, 38);
    for (size_t i = 0; i < changes.changed_count; i++) {
        const struct store_row *row = &changes.changed[i];
        bool seen = row->uid >= 10 && row->uid <= 20;
        assert_int_equal(row->flags, (uint64_t)STORE_FLAGGED | (seen ? STORE_SEEN : 0));
    }
    store_view_changes_done(&changes);
    store_view_done(&view);
}

static void mark_seen(const char *uids, uint64_t known_modseq, struct store_flags_result *result)
{
    struct uidset set = set_of(uids);
    assert_ok(account_flags(account,
        &(struct store_flags_args){ .mailbox = box_named("INBOX").id,
            .uids = &set,
            .how = STORE_FLAGS_ADD,
            .flags.system = STORE_SEEN,
            .known_modseq = known_modseq },
        result));
    uidset_done(&set);
}

/* Who changes flags is told which of them somebody else had changed, whether or not the list is kept. */
static void what_others_changed(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++)
        append("INBOX", message(9), 0);
    for (int kept = 0; kept < 2; kept++) {
        uint64_t known = box_named("INBOX").modseq_max;
        struct store_flags_result r =
            set_flags(kept ? "13:14" : "3:4", STORE_FLAGS_ADD, STORE_FLAGGED, NULL, 0);
        result_done(&r);
        mark_seen(kept ? "12:13" : "2:3", known, &r);
        assert_int_equal(uidset_members(&r.done), 2);
        assert_int_equal(uidset_members(&r.news), 1);
        assert_int_equal(uidset_min(&r.news), kept ? 13 : 3);
        result_done(&r);
        mark_seen("1:20", 0, &r);
        assert_true(uidset_empty(&r.news));
        result_done(&r);
        assert_same(NULL, 0); /* makes the list */
    }
}

TEST_MAIN(IN_ACCOUNT(whatever_happens), IN_ACCOUNT(writers_together), IN_ACCOUNT(views_follow),
    IN_ACCOUNT(what_others_changed))
