/* JSON of an authorization server, by the first byte: metadata, tokens, a device code, a registration; and our own record of a login. Oracle: what is taken is
 * within its limits and has no byte that could end a line or a URL early; a record is written as it was read. */
#include "base/limits.h"
#include "client/oauth/oauth_state.h"
#include "client/oauth/oauth_text.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void assert_plain(struct slice text, size_t bytes_max)
{
    assert(text.len <= bytes_max);
    for (size_t i = 0; i < text.len; i++)
        assert(slice_at(text, i) >= ' ' && slice_at(text, i) <= '~');
}

static void assert_url(struct slice url, bool may_be_missing)
{
    assert((may_be_missing && url.len == 0) || oauth_url_ok(url));
    assert(slice_index(url, '@') == url.len && slice_index(url, '#') == url.len);
}

static void try_metadata(struct slice json, struct arena *arena)
{
    struct oauth_server server;
    if (oauth_metadata_read(json, arena, &server) != ERR_OK)
        return;
    assert(server.issuer.len > 0);
    assert_plain(server.issuer, OAUTH_URL_BYTES_MAX);
    assert_plain(server.scope, OAUTH_SCOPE_BYTES_MAX);
    assert_url(server.token_url, false);
    assert_url(server.authorization_url, true);
    assert_url(server.device_url, true);
    assert_url(server.registration_url, true);
}

static void try_tokens(struct slice json)
{
    struct oauth_tokens tokens;
    struct oauth_error error = { "", "" };
    oauth_tokens_init(&tokens);
    enum err e = oauth_token_read(json, &tokens, &error);
    assert((e == ERR_OK && !error.code[0]) == (buf_len(&tokens.access) > 0));
    assert_plain(buf_slice(&tokens.access), OAUTH_TOKEN_BYTES_MAX);
    assert_plain(buf_slice(&tokens.refresh), OAUTH_TOKEN_BYTES_MAX);
    assert(slice_index(buf_slice(&tokens.access), ' ') == buf_len(&tokens.access));
    assert(tokens.expires_in_s >= 0);
    assert_plain(slice_of(error.code), sizeof error.code);
    oauth_tokens_done(&tokens);
}

static void try_device(struct slice json, struct arena *arena)
{
    struct oauth_device device;
    struct oauth_error error = { "", "" };
    if (oauth_device_read(json, arena, &device, &error) != ERR_OK || error.code[0])
        return;
    assert(device.device_code.len > 0 && device.user_code.len > 0);
    assert_plain(device.device_code, OAUTH_WORD_BYTES_MAX);
    assert_plain(device.user_code, OAUTH_USER_CODE_BYTES_MAX);
    assert_url(device.verification_url, false);
    assert_url(device.complete_url, true);
    assert(device.interval_s >= 1 && device.expires_in_s >= 1);
}

static void try_registration(struct slice json, struct arena *arena)
{
    struct oauth_registration registration;
    struct oauth_error error = { "", "" };
    if (oauth_registration_read(json, arena, &registration, &error) != ERR_OK || error.code[0])
        return;
    assert(registration.client_id.len > 0);
    assert_plain(registration.client_id, OAUTH_WORD_BYTES_MAX);
    assert_plain(registration.client_secret, OAUTH_WORD_BYTES_MAX);
}

static void try_state(struct slice text)
{
    struct oauth_state state, again;
    struct buf written, twice;
    oauth_state_init(&state);
    oauth_state_init(&again);
    buf_init(&written, 0);
    buf_init(&twice, 0);
    if (oauth_state_read(text, &state) == ERR_OK) {
        enum err e = oauth_state_write(&state, &written);
        assert(e == ERR_OK);
        e = oauth_state_read(buf_slice(&written), &again);
        assert(e == ERR_OK);
        e = oauth_state_write(&again, &twice);
        assert(e == ERR_OK);
        assert(slice_eq(buf_slice(&written), buf_slice(&twice)));
    } else {
        assert(buf_len(&state.refresh) == 0 && buf_len(&state.access) == 0);
    }
    oauth_state_done(&state);
    oauth_state_done(&again);
    buf_done(&written);
    buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct arena arena;
    if (len == 0)
        return 0;
    struct slice text = slice_from(bytes + 1, len - 1);
    arena_init(&arena, 1 << 20);
    switch (bytes[0] % 5) {
    case 0:
        try_metadata(text, &arena);
        break;
    case 1:
        try_tokens(text);
        break;
    case 2:
        try_device(text, &arena);
        break;
    case 3:
        try_registration(text, &arena);
        break;
    default:
        try_state(text);
    }
    arena_done(&arena);
    return 0;
}
