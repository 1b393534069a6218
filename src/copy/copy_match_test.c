/* Who is whose copy: by Message-ID, size, date and bytes; each once; and a random model of torn runs. */
#include "copy/match.h"

#include "base/test.h"

#include <stdlib.h>
#include <string.h>

struct known {
    uint32_t uid;
    char bytes;
};

struct world {
    struct known source[40], target[40];
    size_t source_count, target_count, hashes;
    bool source_gone;
};

static enum err hash(
    void *arg, bool of_source, const struct copy_message *m, unsigned char out[COPY_HASH_BYTES])
{
    struct world *world = arg;
    struct known *list = of_source ? world->source : world->target;
    size_t count = of_source ? world->source_count : world->target_count;
    world->hashes++;
    if (of_source && world->source_gone)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < count; i++) {
        if (list[i].uid == m->uid) {
            memset(out, list[i].bytes, COPY_HASH_BYTES);
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

/* "1 20 5 A;" is Message-ID 1 (0: none), 20 bytes, date 5, text A; UIDs count from 1 on, there from 101. */
static void read_all(const char *text, uint32_t first, struct copy_list *list, struct known *known,
    size_t *out_count)
{
    for (uint32_t uid = first; *text; uid++) {
        unsigned id, bytes, date;
        char what;
        assert_int_equal(sscanf(text, "%u %u %u %c", &id, &bytes, &date, &what), 4);
        (void)copy_list_add(
            list, &(struct copy_message){
                      .uid = uid, .message_id = id, .bytes = bytes, .received_s = date });
        known[(*out_count)++] = (struct known){ .uid = uid, .bytes = what };
        text = strchr(text, ';') + 1;
    }
}

static void test_rows(void **state)
{
    static const struct {
        const char *title, *source, *target, *mates; /* mates: of each of the source, "-": none */
        size_t hashes;
    } rows[] = {
        { "the same", "1 20 5 A;2 20 5 B;", "2 20 5 B;1 20 5 A;", "102 101", 0 },
        { "nothing there", "1 20 5 A;", "", "-", 0 },
        { "another date", "1 20 5 A;", "1 20 9 A;", "101", 0 },
        { "changed when it was taken", "1 20 5 A;", "1 31 5 a;", "101", 0 },
        { "another size and date", "1 20 5 A;", "1 31 9 a;", "-", 0 },
        { "another Message-ID", "1 20 5 A;", "2 20 5 A;", "-", 0 },
        { "the right date first", "1 20 5 A;1 20 9 A;", "1 20 9 A;1 20 5 A;", "102 101", 0 },
        { "twice here, once there", "1 20 5 A;1 20 5 A;", "1 20 5 A;", "101 -", 3 },
        { "twice here, twice there", "1 20 5 A;1 20 5 A;", "1 20 5 A;1 20 5 A;", "101 102", 0 },
        { "once here, twice there", "1 20 5 A;", "1 20 5 A;1 20 5 A;", "101", 0 },
        { "one of two, by its bytes", "1 20 5 A;1 20 5 B;", "1 20 5 B;", "- 101", 3 },
        { "one of two, by its bytes, date lost", "1 20 5 A;1 20 6 B;", "1 20 9 B;", "- 101", 3 },
        { "one of two by date", "1 20 5 A;1 20 6 B;", "1 20 6 B;", "- 101", 0 },
        { "none has one", "0 20 5 A;0 20 5 B;", "0 20 5 B;0 20 5 C;", "- 101", 6 },
        { "none has one, another date", "0 20 5 A;", "0 20 6 A;", "101", 2 },
        { "none has one, another size", "0 20 5 A;", "0 21 5 A;", "-", 0 },
        { "one has none", "0 20 5 A;", "1 20 5 A;", "-", 0 },
        { "no date is no date", "1 20 0 A;", "1 31 0 A;", "-", 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world world = { .hashes = 0 };
        struct copy_list news = { .at = NULL }, there = { .at = NULL };
        char got[100] = "";
        read_all(rows[i].source, 1, &news, world.source, &world.source_count);
        read_all(rows[i].target, 101, &there, world.target, &world.target_count);
        assert_ok(copy_match(&news, &there, hash, &world));
        for (size_t k = 0; k < news.count; k++) {
            char one[16] = "-";
            if (news.at[k].mate)
                snprintf(one, sizeof one, "%u", news.at[k].mate);
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", k ? " " : "", one);
        }
        if (strcmp(got, rows[i].mates) != 0 || world.hashes != rows[i].hashes)
            fail_msg("%s: got %s, %zu hashes", rows[i].title, got, world.hashes);
        copy_list_done(&news);
        copy_list_done(&there);
    }
}

/* A message that cannot be read any more is nobody's copy. */
static void test_gone(void **state)
{
    struct world world = { .source_gone = true };
    struct copy_list news = { .at = NULL }, there = { .at = NULL };
    (void)state;
    read_all("0 20 5 A;", 1, &news, world.source, &world.source_count);
    read_all("0 20 5 A;", 101, &there, world.target, &world.target_count);
    assert_ok(copy_match(&news, &there, hash, &world));
    assert_int_equal(news.at[0].mate, 0);
    copy_list_done(&news);
    copy_list_done(&there);
}

/* Some of the source were sent, all different in their bytes, in a few sizes, dates and Message-IDs: exactly those find their copy, whatever else is alike. What has a
 * Message-ID twice is parted by its bytes where not all of it was sent. */
static void test_model(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 500; seed++) {
        struct world world = { .hashes = 0 };
        struct copy_list news = { .at = NULL }, there = { .at = NULL };
        unsigned random = seed;
        bool sent[30];
        for (uint32_t i = 0; i < 30; i++) {
            struct copy_message m = { .uid = i + 1,
                .message_id = (unsigned)rand_r(&random) % 3,
                .bytes = 20 + (unsigned)rand_r(&random) % 3,
                .received_s = 5 + rand_r(&random) % 3 };
            (void)copy_list_add(&news, &m);
            world.source[world.source_count++] =
                (struct known){ .uid = m.uid, .bytes = (char)('!' + i) };
            sent[i] = rand_r(&random) % 2;
            if (!sent[i])
                continue;
            m.uid += 100;
            (void)copy_list_add(&there, &m);
            world.target[world.target_count++] =
                (struct known){ .uid = m.uid, .bytes = (char)('!' + i) };
        }
        assert_ok(copy_match(&news, &there, hash, &world));
        for (uint32_t i = 0; i < 30; i++)
            if (news.at[i].mate != (sent[i] ? i + 101 : 0))
                fail_msg("seed %u, message %u: mate %u", seed, i + 1, news.at[i].mate);
        copy_list_done(&news);
        copy_list_done(&there);
    }
}

TEST_MAIN(cmocka_unit_test(test_rows), cmocka_unit_test(test_gone), cmocka_unit_test(test_model))
