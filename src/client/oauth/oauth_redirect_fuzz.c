/* The request with which a browser comes back. Oracle: what is taken is written as a request again, and read the same; nothing of it could end a line. */
#include "base/limits.h"
#include "client/oauth/oauth_text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void add(struct buf *query, const char *key, struct slice value)
{
    for (size_t i = 0; i < value.len; i++)
        assert(slice_at(value, i) >= ' ' && value.ptr[i] != 0x7f);
    assert(value.len <= OAUTH_WORD_BYTES_MAX);
    if (value.len)
        oauth_form_add(query, key, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct arena arena;
    struct oauth_redirect redirect, again;
    struct buf query, head;
    arena_init(&arena, 4 << 20);
    if (oauth_redirect_read(slice_from(bytes, len), &arena, &redirect) == ERR_OK) {
        buf_init(&query, 0);
        buf_init(&head, 0);
        add(&query, "code", redirect.code);
        add(&query, "state", redirect.state);
        add(&query, "iss", redirect.iss);
        add(&query, "error", redirect.error);
        add(&query, "error_description", redirect.error_description);
        buf_addf(&head, "GET /?%.*s HTTP/1.1\r\n", SLICE_FMT(buf_slice(&query)));
        enum err e = oauth_redirect_read(buf_slice(&head), &arena, &again);
        assert(e == ERR_OK);
        assert(slice_eq(redirect.code, again.code) && slice_eq(redirect.state, again.state));
        assert(slice_eq(redirect.iss, again.iss) && slice_eq(redirect.error, again.error));
        assert(slice_eq(redirect.error_description, again.error_description));
        buf_done(&query);
        buf_done(&head);
    }
    arena_done(&arena);
    return 0;
}
