/* Any text of another program: what is read of it is in range, and says the same again when it is written the way that the program writes it. */
#include "sync/adopt_text.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void write_again(const struct adopt_state *state, struct buf *out)
{
    static const char letters[] = "DFPRST";
    buf_addf(out, "FarUidValidity %u\nNearUidValidity %u\n\n", state->far_uidvalidity,
        state->near_uidvalidity);
    for (size_t i = 0; i < state->count; i++) {
        const struct adopt_entry *one = &state->entries[i];
        buf_addf(out, "%u %u %s", one->far_uid, one->near_uid,
            one->kind == ADOPT_PLACEHOLDER ? ">"
            : one->kind == ADOPT_OTHER     ? "~"
                                           : "");
        for (size_t k = 0; letters[k]; k++)
            if (one->flags & 1u << k)
                buf_addc(out, letters[k]);
        buf_addc(out, '\n');
    }
}

static void check_state(struct slice text)
{
    struct arena arena;
    struct adopt_state state = { .count = 0 }, again = { .count = 0 };
    struct buf out;
    arena_init(&arena, 64 << 20);
    buf_init(&out, 0);
    if (adopt_mbsync(text, &arena, &state) == ERR_OK) {
        assert(state.far_uidvalidity && state.near_uidvalidity);
        for (size_t i = 0; i < state.count; i++) {
            const struct adopt_entry *one = &state.entries[i];
            assert(one->kind == ADOPT_OTHER || (one->far_uid && one->near_uid));
            assert(one->flags < SYNC_KEYWORD);
        }
        write_again(&state, &out);
        enum err e = adopt_mbsync(buf_slice(&out), &arena, &again);
        assert(e == ERR_OK);
        assert(again.count == state.count && again.far_uidvalidity == state.far_uidvalidity);
        for (size_t i = 0; i < state.count; i++) {
            assert(again.entries[i].kind == state.entries[i].kind);
            assert(again.entries[i].far_uid == state.entries[i].far_uid);
            assert(again.entries[i].near_uid == state.entries[i].near_uid);
            assert(state.entries[i].kind != ADOPT_PAIR ||
                   again.entries[i].flags == state.entries[i].flags);
        }
    }
    buf_done(&out);
    arena_done(&arena);
}

static void check_name(struct slice base)
{
    struct buf name;
    uint32_t uid = adopt_uid(base);
    buf_init(&name, 0);
    if (uid == 0 && slice_find(base, SLICE(",U=")) == SIZE_MAX) {
        buf_add(&name, base);
        buf_adds(&name, ",U=4711,FMD5=x");
        assert(adopt_uid(buf_slice(&name)) == 4711);
    }
    assert(!uid || slice_find(base, SLICE(",U=")) != SIZE_MAX);
    struct slice hash = adopt_folder_hash(base);
    assert(slice_index(hash, ',') == hash.len);
    buf_done(&name);
}

static void check_config(struct slice text)
{
    struct arena arena;
    struct adopt_offlineimap found;
    arena_init(&arena, 16 << 20);
    if (adopt_offlineimap_config(text, SLICE("/home"), SLICE("~/m"), &arena, &found) == ERR_OK) {
        assert(found.account.len && found.remote.len && found.metadata.len);
        assert(!memchr(found.account.ptr, '/', found.account.len));
        assert(!memchr(found.remote.ptr, '/', found.remote.len));
        assert(slice_find(text, SLICE("localfolders")) != SIZE_MAX ||
               slice_find_nocase(text, SLICE("localfolders")) != SIZE_MAX);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    struct slice text = slice_from(bytes, len);
    check_state(text);
    check_name(text);
    check_config(text);
    (void)adopt_number(text);
    return 0;
}
