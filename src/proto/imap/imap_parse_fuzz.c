/* Any frame: the parser stays inside it and its slices lie inside frame or arena (ASan sees to it); and what it understood, written in
 * canonical form, is understood to the same again. */
#include "proto/imap/imap_show_test.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    char *exact = malloc(len ? len : 1); /* no byte more, so that reading on is seen */
    assert(exact);
    memcpy(exact, bytes, len);
    struct arena arena;
    arena_init(&arena, 8u << 20);
    struct buf shown, again;
    buf_init(&shown, 0);
    buf_init(&again, 0);
    if (show_command(slice_from(exact, len), &arena, &shown) == ERR_OK) {
        enum err e = show_command(buf_slice(&shown), &arena, &again);
        assert(e == ERR_OK || e == ERR_LIMIT);
        assert(e == ERR_LIMIT || slice_eq(buf_slice(&shown), buf_slice(&again)));
    }
    buf_done(&shown);
    buf_done(&again);
    arena_done(&arena);
    free(exact);
    return 0;
}
