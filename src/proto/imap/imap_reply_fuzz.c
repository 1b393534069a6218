/* Any bytes of a server: a frame ends at the same place however they arrive; a parsed answer, written in canonical form, means the same. */
#include "proto/imap/imap_reply_show_test.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void check_frame(struct slice all)
{
    struct imap_reply_framer whole, pieces;
    imap_reply_framer_init(&whole);
    imap_reply_framer_init(&pieces);
    enum imap_reply_frame at_once = imap_reply_feed(&whole, all), bytewise = IMAP_REPLY_MORE;
    for (size_t len = 1; len <= all.len && bytewise == IMAP_REPLY_MORE; len++)
        bytewise = imap_reply_feed(&pieces, slice_sub(all, 0, len));
    assert(at_once == bytewise);
    assert(whole.seen == pieces.seen);
    assert(whole.seen <= all.len);
}

/* Quotes and brackets in a code can be read in two ways where they are not in place; the canonical form is for the rest. */
static bool is_simple(const struct imap_value *value)
{
    for (; value; value = value->next) {
        if (value->kind == IMAP_VALUE_STRING || !is_simple(value->first))
            return false;
        if (value->kind == IMAP_VALUE_ATOM && memchr(value->text.ptr, '[', value->text.len))
            return false;
    }
    return true;
}

static void check_meaning(struct slice frame)
{
    struct arena arena;
    struct buf shown, again;
    struct imap_reply reply, second;
    arena_init(&arena, 8u << 20);
    buf_init(&shown, 0);
    buf_init(&again, 0);
    if (imap_reply_parse(&arena, frame, &reply) == ERR_OK && is_simple(reply.code_values)) {
        show_reply(&reply, &shown);
        enum err e = imap_reply_parse(&arena, buf_slice(&shown), &second);
        assert(e == ERR_OK || e == ERR_LIMIT);
        if (e == ERR_OK) {
            show_reply(&second, &again);
            assert(slice_eq(buf_slice(&shown), buf_slice(&again)));
        }
    }
    buf_done(&shown);
    buf_done(&again);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    char *exact = malloc(len ? len : 1);
    assert(exact);
    memcpy(exact, bytes, len);
    check_frame(slice_from(exact, len));
    check_meaning(slice_from(exact, len));
    free(exact);
    return 0;
}
