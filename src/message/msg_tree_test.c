#include "message/sort.h"

#include "base/arena.h"
#include "base/limits.h"
#include "base/test.h"
#include "message/thread_slow_test.h"

#include <stdio.h>

/* A mailbox in a line: messages between "|", of words: #a its id, <a a reference, @5 its date, =3 its subject, re a reply, %9 its uid. Dates and uids
 * are 1, 2, 3, ... where none is given. */
struct box {
    struct thread_message messages[SLOW_MESSAGES_MAX];
    uint32_t references[SLOW_MESSAGES_MAX][16];
    struct thread_input input;
};

static uint32_t id_of(struct slice word)
{
    return (uint32_t)(word.ptr[1] - 'a') + 1;
}

static int64_t number_of(struct slice word)
{
    uint64_t number;
    assert_ok(slice_to_u64(slice_from_index(word, 1), 1000, &number));
    return (int64_t)number;
}

static void read_message(struct box *box, struct slice text)
{
    size_t i = box->input.count++;
    struct thread_message *m = &box->messages[i];
    *m = (struct thread_message){
        .uid = (uint32_t)i + 1, .date_s = (int64_t)i + 1, .references = box->references[i]
    };
    struct slice word;
    while (slice_cut(&text, ' ', &word)) {
        if (slice_starts(word, SLICE("#")))
            m->id = id_of(word);
        else if (slice_starts(word, SLICE("<")))
            box->references[i][m->reference_count++] = id_of(word);
        else if (slice_starts(word, SLICE("@")))
            m->date_s = number_of(word);
        else if (slice_starts(word, SLICE("%")))
            m->uid = (uint32_t)number_of(word);
        else if (slice_starts(word, SLICE("=")))
            m->subject = (uint32_t)number_of(word);
        else if (slice_eq(word, SLICE("re")))
            m->is_reply = true;
    }
}

static void read_box(struct box *box, const char *text)
{
    *box = (struct box){ .input = { .subject_max = 9, .id_max = 26 } };
    box->input.messages = box->messages;
    struct slice rest = slice_of(text), message;
    while (slice_cut(&rest, '|', &message))
        read_message(box, message);
}

static void check(const char *name, const char *box_text, bool by_subject, const char *wanted)
{
    struct box box;
    uint32_t *tokens;
    size_t count;
    struct buf out;
    buf_init(&out, 0);
    read_box(&box, box_text);
    if (by_subject)
        thread_by_subject(&box.input, &tokens, &count);
    else
        thread_by_references(&box.input, &tokens, &count);
    show_tokens(tokens, count, &out);
    assert_slice(name, buf_slice(&out), slice_of(wanted));
    if (!by_subject) {
        buf_clear(&out);
        slow_thread(&box.input, &out);
        assert_slice(name, buf_slice(&out), slice_of(wanted));
    }
    free(tokens);
    buf_done(&out);
}

static void by_references(void **state)
{
    (void)state;
    static const struct {
        const char *name, *box, *threads;
    } rows[] = {
        { "nothing", "", "" },
        { "one", "#a", "(1)" },
        { "without ids", "=0|=0", "(1)(2)" },
        { "reply", "#a|#b <a", "(1 2)" },
        { "reply before its parent", "#b <a|#a", "(2 1)" },
        { "chain", "#a|#b <a|#c <a <b", "(1 2 3)" },
        { "fork", "#a|#b <a|#c <a", "(1 (2)(3))" },
        { "the RFC's response",
            "#a %2|#b %3|#c %4 <b <d|#d %6 <b|#e %7 <b <d <g|#f %23 <b <d <c|#g %44 <b <d"
            "|#h %96 <b <d <g <e",
            "(2)(3 6 (4 23)(44 7 96))" },
        { "the RFC's parent that is not found", "#c %3 <b|#e %5 <b", "((3)(5))" },
        { "siblings by date", "#a|#b <a @9|#c <a @5", "(1 (3)(2))" },
        { "threads by date", "#a @3|#b @1|#c @2", "(2)(3)(1)" },
        { "same date: place in the mailbox", "#a @3|#b @3|#c @3", "(1)(2)(3)" },
        { "parent that is not there", "#a <x|#b <x", "((1)(2))" },
        { "dummy with one child", "#a <x|#b", "(1)(2)" },
        { "dummies in the middle", "#a|#d <a <b <c|#e <a <b", "(1 (2)(3))" },
        { "dummy under a dummy", "#a <x <y|#b <x <y|#c <x", "((1)(2)(3))" },
        { "dummy thread by its first child", "#a <x @5|#b <x @2|#c @3", "((2)(1))(3)" },
        { "truncated references", "#a|#b <a|#d <b <c|#c <a <b", "(1 2 4 3)" },
        { "own references win over those of others", "#a|#b|#d <b <c|#c <a", "(1 4 3)(2)" },
        { "no references: no parent", "#d <b <c|#c", "(2 1)" },
        { "a parent may come back", "#c|#d <b <c|#b", "(3 1 2)" },
        { "itself", "#a <a", "(1)" },
        { "circle of two", "#a <b|#b <a", "(2 1)" },
        { "circle of three", "#a <c|#b <a|#c <b", "(3 1 2)" },
        { "circle inside references", "#d <a <b <a <c", "(1)" },
        { "same id twice", "#a|#a|#b <a", "(1 3)(2)" },
        { "subject: reply joins", "#a =1|#b =1 re", "(1 2)" },
        { "subject: reply comes first", "#a =1 re @1|#b =1 @2", "(2 1)" },
        { "subject: two that are no reply", "#a =1|#b =1", "((1)(2))" },
        { "subject: two replies", "#a =1 re|#b =1 re", "((1)(2))" },
        { "subject: three", "#a =1|#b =1|#c =1 re", "((1)(2)(3))" },
        { "subject: reply after reply", "#a =1|#b =1 re|#c =1 re", "(1 (2)(3))" },
        { "subject: empty joins nothing", "#a|#b re", "(1)(2)" },
        { "subject: dummies join", "#a <x =1|#b <x =1|#c <y =1|#d <y =1", "((1)(2)(3)(4))" },
        { "subject: into a dummy", "#a =1 @1|#b <x =1 @2|#c <x =1 @3", "((1)(2)(3))" },
        { "subject: a thread joins with its children", "#a =1|#b =1 re|#c <b", "(1 2 3)" },
        { "subject of a dummy is its first child's", "#a <x =2 @5|#b <x =1 @4|#c =2|#d =1 re",
            "(3)((2)(4)(1))" },
        { "children are sorted after a merge", "#a =1 @1|#b <a @9|#c =1 re @5", "(1 (3)(2))" },
        { "merged threads are sorted again", "#a =1 @5|#b @3|#c =1 @1", "((3)(1))(2)" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(rows[i].name, rows[i].box, false, rows[i].threads);
}

static void by_subject(void **state)
{
    (void)state;
    static const struct {
        const char *name, *box, *threads;
    } rows[] = {
        { "nothing", "", "" },
        { "all different", "=1|=2|=3", "(1)(2)(3)" },
        { "pair", "=1|=1", "(1 2)" },
        { "no grandchildren", "=1|=1|=1|=2", "(1 (2)(3))(4)" },
        { "children by date", "=1 @1|=1 @9|=1 @5", "(1 (3)(2))" },
        { "threads by their first message", "=1 @5|=2 @4|=1 @3", "(3 1)(2)" },
        { "references say nothing", "=1 #a|=2 <a", "(1)(2)" },
        { "no subject is a subject", "=0|=1|=0", "(1 3)(2)" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(rows[i].name, rows[i].box, true, rows[i].threads);
}

/* Small mailboxes at random, where ids, subjects and dates meet often: as the slow way has it. */
static void at_random(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int round = 0; round < 3000; round++) {
        struct box box = { .input = { .subject_max = 9, .id_max = 26 } };
        box.input.messages = box.messages;
        for (size_t i = 0; i < 2 + (size_t)round % 20; i++) {
            struct thread_message *m = &box.messages[box.input.count++];
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            *m = (struct thread_message){ .uid = (uint32_t)i + 1,
                .date_s = (int64_t)(seed >> 60),
                .subject = (uint32_t)(seed >> 57 & 7),
                .is_reply = seed >> 56 & 1,
                .id = (uint32_t)(seed >> 50 & 15),
                .references = box.references[i],
                .reference_count = seed >> 47 & 7 };
            for (size_t k = 0; k < m->reference_count; k++)
                box.references[i][k] = 1 + (uint32_t)(seed >> (8 + 5 * k) & 15);
        }
        uint32_t *tokens;
        size_t count;
        struct buf got, wanted;
        buf_init(&got, 0);
        buf_init(&wanted, 0);
        thread_by_references(&box.input, &tokens, &count);
        show_tokens(tokens, count, &got);
        slow_thread(&box.input, &wanted);
        assert_slice("random", buf_slice(&got), buf_slice(&wanted));
        free(tokens);
        buf_done(&got);
        buf_done(&wanted);
    }
}

#define MANY 100000u

/* A chain as long as a mailbox, whose links come in the order of step: forwards, backwards, from the middle. Quadratic work would not end. */
static void long_chain(void **state)
{
    (void)state;
    static const uint32_t steps[] = { 1, MANY - 1, 7, 33333, 49999 };
    struct thread_message *messages = mem_zalloc(MANY, sizeof *messages);
    uint32_t(*references)[2] = mem_zalloc(MANY, sizeof *references);
    for (size_t round = 0; round < sizeof steps / sizeof steps[0]; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t id = 1 + (uint32_t)((uint64_t)i * steps[round] % MANY);
            messages[i] = (struct thread_message){
                .uid = id, .date_s = 1, .id = id, .references = references[i]
            };
            if (id > 1)
                references[i][messages[i].reference_count++] = id - 1;
        }
        struct thread_input input = { messages, MANY, 0, MANY };
        uint32_t *tokens;
        size_t count;
        thread_by_references(&input, &tokens, &count);
        assert_int_equal(count, MANY + 2);
        assert_int_equal(tokens[0], THREAD_OPEN);
        for (uint32_t i = 1; i <= MANY; i++)
            assert_int_equal(tokens[i], i);
        assert_int_equal(tokens[MANY + 1], THREAD_CLOSE);
        free(tokens);
    }
    free(messages);
    free(references);
}

/* Each message asks whether the end of a long chain may be its parent's child, and half of them would close a circle. */
static void hostile_chain(void **state)
{
    (void)state;
    struct thread_message *messages = mem_zalloc(MANY, sizeof *messages);
    uint32_t(*references)[4] = mem_zalloc(MANY, sizeof *references);
    const uint32_t deep = MANY / 2;
    for (uint32_t i = 0; i < MANY; i++) {
        messages[i] = (struct thread_message){
            .uid = i + 1, .date_s = i, .id = i + 1, .references = references[i]
        };
        if (i && i < deep)
            references[i][messages[i].reference_count++] = i;
        if (i < deep)
            continue;
        references[i][0] = deep - i % 1000; /* somewhere deep */
        references[i][1] = 1;               /* above it: a circle */
        references[i][2] = deep - i % 777;
        references[i][3] = i % 2 ? i + 2 : i; /* has a child, or is one */
        messages[i].reference_count = i + 2 <= MANY ? 4 : 1;
    }
    struct thread_input input = { messages, MANY, 0, MANY };
    uint32_t *tokens;
    size_t count, uids = 0;
    thread_by_references(&input, &tokens, &count);
    for (size_t i = 0; i < count; i++)
        uids += tokens[i] != THREAD_OPEN && tokens[i] != THREAD_CLOSE;
    assert_int_equal(uids, MANY);
    free(tokens);
    free(messages);
    free(references);
}

/* Every message forks: the answer nests as deep as there are messages. */
static void deep_forks(void **state)
{
    (void)state;
    struct thread_message *messages = mem_zalloc(MANY, sizeof *messages);
    uint32_t *references = mem_zalloc(MANY, sizeof *references);
    for (uint32_t i = 0; i < MANY; i++) {
        messages[i] = (struct thread_message){ .uid = i + 1,
            .date_s = i,
            .id = i + 1,
            .references = &references[i],
            .reference_count = i > 0 };
        references[i] = i < 3 ? 1 : (i - 1) / 2 * 2;
    }
    struct thread_input input = { messages, MANY, 0, MANY };
    uint32_t *tokens;
    size_t count, depth = 0, depth_max = 0;
    thread_by_references(&input, &tokens, &count);
    for (size_t i = 0; i < count; i++) {
        depth += tokens[i] == THREAD_OPEN;
        depth -= tokens[i] == THREAD_CLOSE;
        depth_max = depth > depth_max ? depth : depth_max;
    }
    assert_int_equal(depth, 0);
    assert_true(depth_max > MANY / 3);
    free(tokens);
    free(messages);
    free(references);
}

TEST_MAIN(cmocka_unit_test(by_references), cmocka_unit_test(by_subject),
    cmocka_unit_test(at_random), cmocka_unit_test(long_chain), cmocka_unit_test(hostile_chain),
    cmocka_unit_test(deep_forks))
