/* Bytes as an address list. Oracles: groups come in pairs; a clean mailbox that is written out parses to itself. */
#include "message/address.h"

#include "base/buf.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool is_clean_host(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = ascii_lower(host.ptr[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-'))
            return false;
    }
    return host.len > 0;
}

static bool has_line_end(struct slice text)
{
    return slice_index(text, '\r') < text.len || slice_index(text, '\n') < text.len;
}

static void check_round_trip(struct arena *arena, const struct msg_address *address)
{
    if (!address->name.len || !address->host.ptr || !is_clean_host(address->host) ||
        has_line_end(address->name) || has_line_end(address->mailbox))
        return;
    struct buf text;
    buf_init(&text, 0);
    buf_add_quoted(&text, address->name);
    buf_adds(&text, " <");
    buf_add_quoted(&text, address->mailbox);
    buf_addc(&text, '@');
    buf_add(&text, address->host);
    buf_addc(&text, '>');
    struct msg_address *list;
    size_t count;
    enum err e = msg_addresses(arena, buf_slice(&text), 10, &list, &count);
    assert(e == ERR_OK);
    assert(count == 1);
    assert(slice_eq(list[0].name, address->name));
    assert(slice_eq(list[0].mailbox, address->mailbox));
    assert(slice_eq(list[0].host, address->host));
    buf_done(&text);
}

static void check_list(struct slice value, size_t max)
{
    struct arena arena;
    struct msg_address *list = NULL;
    size_t count = 0;
    arena_init(&arena, 16u << 20);
    if (msg_addresses(&arena, value, max, &list, &count) != ERR_OK) {
        arena_done(&arena);
        return;
    }
    assert(count <= max);
    bool in_group = false;
    for (size_t i = 0; i < count; i++) {
        if (!list[i].host.ptr && list[i].mailbox.ptr) {
            assert(!in_group);
            in_group = true;
        } else if (!list[i].host.ptr) {
            assert(in_group);
            in_group = false;
        } else {
            assert(list[i].mailbox.ptr);
            if (i < 20)
                check_round_trip(&arena, &list[i]);
        }
    }
    assert(!in_group);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice value = slice_from(bytes, len);
    check_list(value, 1000);
    check_list(value, len ? bytes[0] % 4u : 0);
    return 0;
}
