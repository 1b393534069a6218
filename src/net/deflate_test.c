#include "base/arena.h"
#include "base/test.h"
#include "net/deflate.h"

#include <stdlib.h>
#include <string.h>

/* Everything that b can read of `packed` now, given and taken in pieces of some size. */
static void unpack_all(struct deflate_pair *b, struct slice packed, size_t piece, struct buf *out)
{
    while (packed.len) {
        struct slice part = slice_sub(packed, 0, piece);
        size_t given = part.len, got;
        do {
            char *to = buf_room(out, piece);
            assert_ok(deflate_unpack(b, &part, to, piece, &got));
            buf_wrote(out, got);
        } while (got);
        assert_int_equal(part.len, 0);
        packed = slice_from_index(packed, given);
    }
}

/* A text that compresses well in parts and not at all in others. */
static void write_text(struct buf *text, unsigned seed)
{
    for (unsigned i = 0; i < 3000; i++) {
        seed = seed * 1103515245u + 12345u;
        if (i / 500 % 2)
            buf_addc(text, (char)(seed >> 16));
        else
            buf_adds(text, "* 1 FETCH (UID 1)\r\n");
    }
}

static void test_what_goes_in_comes_out(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 7, 1000, 100000 };
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct deflate_pair *a, *b;
        assert_ok(deflate_open(&a));
        assert_ok(deflate_open(&b));
        for (unsigned turn = 0; turn < 4;
             turn++) { /* one stream, of which each part can be read at once */
            struct buf text, packed, out;
            buf_init(&text, 0);
            buf_init(&packed, 0);
            buf_init(&out, 0);
            write_text(&text, turn);
            assert_ok(deflate_pack(a, buf_slice(&text), &packed));
            unpack_all(b, buf_slice(&packed), pieces[i], &out);
            assert_true(slice_eq(buf_slice(&out), buf_slice(&text)));
            if (turn) /* it learns */
                assert_true(buf_len(&packed) < buf_len(&text) / 2);
            buf_done(&text);
            buf_done(&packed);
            buf_done(&out);
        }
        deflate_close(a);
        deflate_close(b);
    }
}

static void test_nothing_of_nothing(void **state)
{
    (void)state;
    struct deflate_pair *pair;
    struct slice none = SLICE_EMPTY;
    struct buf packed;
    char room[10];
    size_t got;
    buf_init(&packed, 0);
    assert_ok(deflate_open(&pair));
    assert_ok(deflate_pack(pair, SLICE_EMPTY, &packed));
    assert_int_equal(buf_len(&packed), 0);
    assert_ok(deflate_unpack(pair, &none, room, sizeof room, &got));
    assert_int_equal(got, 0);
    deflate_close(pair);
    deflate_close(NULL);
}

static void test_no_stream(void **state)
{
    (void)state;
    struct deflate_pair *pair;
    struct slice bad = SLICE("\x07\xff\xff\xff");
    char room[10];
    size_t got;
    assert_ok(deflate_open(&pair));
    assert_err(ERR_SYNTAX, deflate_unpack(pair, &bad, room, sizeof room, &got));
    bad = SLICE("more");
    assert_err(ERR_SYNTAX, deflate_unpack(pair, &bad, room, sizeof room, &got));
    deflate_close(pair);
}

/* "x", and the end: what stands before it is given, then it has ended, whatever follows. */
static void test_a_stream_that_ends(void **state)
{
    (void)state;
    struct deflate_pair *pair;
    struct slice whole = SLICE("\xab\x00\x00more");
    char room[10];
    size_t got;
    assert_ok(deflate_open(&pair));
    assert_ok(deflate_unpack(pair, &whole, room, sizeof room, &got));
    assert_int_equal(got, 1);
    assert_int_equal(room[0], 'x');
    assert_err(ERR_CLOSED, deflate_unpack(pair, &whole, room, sizeof room, &got));
    deflate_close(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_nothing_of_nothing),
        cmocka_unit_test(test_no_stream),
        cmocka_unit_test(test_a_stream_that_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
