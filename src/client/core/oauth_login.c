/* One record, read and replaced under its lock. */
#include "client/core/oauth_login.h"

#include "base/clock.h"
#include "client/core/account_int.h"
#include "client/core/oauth_keep.h"
#include "client/core/secret.h"
#include "proto/sasl/sasl.h"

#include <stdlib.h>
#include <string.h>

#define EARLY_S            120 /* a token that ends so soon may end before the login is through */
#define RESERVE_BYTES      (64u << 10) /* beside the old record: what new tokens may be longer */
#define SERVER_ARENA_BYTES (16u << 20)

bool client_uses_oauth(const struct client_account *account)
{
    return account->oauth_issuer || account->oauth_token_url;
}

/* ---- the client ---- */

/* The secret of the account's own client id; none is fine. */
static enum err own_secret(
    const struct client_account *account, struct buf *out, struct err_note *note)
{
    if (account->oauth_client_secret_file)
        return client_secret_of_file(account->oauth_client_secret_file, out, note);
    if (account->oauth_client_secret_command)
        return client_secret_of_command(account->oauth_client_secret_command,
            "oauth-client-secret-command", OAUTH_WORD_BYTES_MAX, out, note);
    return ERR_OK;
}

/* ---- a new access token ---- */

/* O-3 */
static bool belongs(const struct client_account *account, const struct oauth_state *state)
{
    if (account->oauth_issuer &&
        !slice_eq(slice_of(account->oauth_issuer), buf_slice(&state->issuer)))
        return false;
    if (account->oauth_token_url &&
        !slice_eq(slice_of(account->oauth_token_url), buf_slice(&state->token_url)))
        return false;
    return !account->oauth_client_id ||
           slice_eq(slice_of(account->oauth_client_id), buf_slice(&state->client_id));
}

static bool is_good(const struct oauth_state *state, struct slice refused)
{
    struct slice access = buf_slice(&state->access);
    if (access.len == 0 || slice_eq(access, refused))
        return false;
    return state->expires_s == 0 || state->expires_s - EARLY_S > clock_wall_s();
}

static void take_tokens(struct oauth_state *state, const struct oauth_tokens *tokens)
{
    oauth_state_set(&state->access, buf_slice(&tokens->access));
    if (buf_len(&tokens->refresh) > 0) /* RFC 6749 §6: else the old one stays */
        oauth_state_set(&state->refresh, buf_slice(&tokens->refresh));
    state->expires_s = tokens->expires_in_s ? clock_wall_s() + tokens->expires_in_s : 0;
}

static enum err ask_for_tokens(const struct client_account *account,
    const struct oauth_state *state, struct oauth_tokens *tokens, struct err_note *note)
{
    struct oauth_ask ask = { .ca_file = account->ca_file };
    struct oauth_client client = { .id = buf_slice(&state->client_id),
        .secret = buf_slice(&state->client_secret),
        .secret_in_header = state->secret_in_header };
    struct buf secret;
    buf_init(&secret, 0);
    enum err e = own_secret(account, &secret, note);
    if (e == ERR_OK) {
        if (buf_len(&secret) > 0)
            client.secret = buf_slice(&secret);
        e = oauth_refresh(
            &ask, buf_slice(&state->token_url), &client, buf_slice(&state->refresh), tokens);
        if (e != ERR_OK && note)
            *note = ask.failure.note;
    }
    oauth_ask_done(&ask);
    sasl_buf_wipe(&secret);
    return e;
}

static enum err renew(struct oauth_keep *keep, struct oauth_state *state, struct err_note *note)
{
    struct oauth_tokens tokens;
    size_t old_bytes = buf_len(&state->access) + buf_len(&state->refresh);
    if (buf_len(&state->refresh) == 0)
        return err_noted(
            note, ERR_AUTH, "the token is over, and the server gave nothing to renew it");
    TRY(oauth_keep_reserve(keep, old_bytes + RESERVE_BYTES, note)); /* O-1 */
    oauth_tokens_init(&tokens);
    enum err e = ask_for_tokens(keep->account, state, &tokens, note);
    if (e == ERR_OK) {
        bool rotated = buf_len(&tokens.refresh) > 0;
        take_tokens(state, &tokens);
        e = oauth_keep_write(keep, state, note);
        if (e != ERR_OK && !rotated) /* the old record is as good as the new one */
            e = ERR_OK;
    }
    oauth_tokens_done(&tokens);
    return e;
}

enum err client_oauth_token(const struct client_account *account, struct slice refused,
    struct buf *out, struct err_note *note)
{
    struct oauth_keep keep;
    struct oauth_state state;
    oauth_state_init(&state);
    enum err e = oauth_keep_open(account, &keep, note);
    if (e == ERR_OK) {
        e = oauth_keep_read(&keep, &state, note);
        if (e == ERR_NOT_FOUND)
            e = err_noted(note, ERR_AUTH, "nobody has logged in yet");
        else if (e == ERR_CORRUPT || e == ERR_LIMIT)
            e = ERR_AUTH;
    }
    if (e == ERR_OK && !belongs(account, &state))
        e = err_noted(note, ERR_AUTH,
            "accounts.conf names another server or client id than the last login was with");
    if (e == ERR_OK && !is_good(&state, refused))
        e = renew(&keep, &state, note);
    if (e == ERR_OK)
        buf_add(out, buf_slice(&state.access));
    oauth_state_done(&state);
    oauth_keep_close(&keep);
    return e;
}

/* ---- a login ---- */

struct login {
    const struct client_account *account;
    const struct oauth_person *person;
    bool browser;
    struct oauth_ask ask;
    struct arena arena;
    struct oauth_server server;
    struct oauth_client client;
    struct slice scope;
    struct buf own_secret;
    struct oauth_tokens tokens;
};

/* What accounts.conf says is so, whatever the server says of itself. */
static void take_urls(struct login *login)
{
    const struct {
        const char *url;
        struct slice *field;
    } rows[] = {
        { login->account->oauth_authorization_url, &login->server.authorization_url },
        { login->account->oauth_token_url, &login->server.token_url },
        { login->account->oauth_device_url, &login->server.device_url },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].url)
            *rows[i].field = slice_of(rows[i].url);
}

static enum err find_server(struct login *login)
{
    const struct client_account *account = login->account;
    login->server = (struct oauth_server){ .issuer = slice_of(account->oauth_issuer),
        .authorization_url = SLICE_EMPTY,
        .token_url = SLICE_EMPTY,
        .device_url = SLICE_EMPTY,
        .registration_url = SLICE_EMPTY,
        .scope = SLICE_EMPTY };
    bool has_all =
        account->oauth_token_url && (account->oauth_authorization_url || account->oauth_device_url);
    if (!has_all)
        TRY(oauth_find(
            &login->ask, slice_of(account->oauth_issuer), &login->arena, &login->server));
    take_urls(login);
    return ERR_OK;
}

static enum err choose_scope(struct login *login)
{
    struct buf text;
    buf_init(&text, OAUTH_SCOPE_BYTES_MAX);
    char **words = login->account->oauth_scope;
    for (size_t i = 0; words && words[i]; i++) {
        if (i)
            buf_addc(&text, ' ');
        buf_adds(&text, words[i]);
    }
    login->scope = words ? slice_dup(&login->arena, buf_slice(&text)) : login->server.scope;
    bool over = buf_err(&text) != ERR_OK || !login->scope.ptr;
    buf_done(&text);
    if (!over)
        return ERR_OK;
    login->ask.failure = (struct oauth_failure){ .why = OAUTH_SCOPE, .err = ERR_LIMIT };
    return ERR_LIMIT;
}

/* That of the last login with this server, if it gave us one. */
static bool take_remembered(struct login *login, const struct oauth_state *before)
{
    if (buf_len(&before->client_id) == 0 || !belongs(login->account, before) ||
        !slice_eq(buf_slice(&before->token_url), login->server.token_url))
        return false;
    login->client = (struct oauth_client){
        .id = slice_dup(&login->arena, buf_slice(&before->client_id)),
        .secret = slice_dup(&login->arena, buf_slice(&before->client_secret)),
        .secret_in_header = before->secret_in_header,
    };
    return login->client.id.ptr && login->client.secret.ptr;
}

static enum err choose_client(struct login *login, const struct oauth_state *before)
{
    const struct client_account *account = login->account;
    struct err_note note = { "" };
    if (!account->oauth_client_id) {
        if (take_remembered(login, before))
            return ERR_OK;
        return oauth_register(
            &login->ask, &login->server, login->scope, &login->arena, &login->client);
    }
    enum err e = own_secret(account, &login->own_secret, &note);
    if (e != ERR_OK) {
        login->ask.failure = (struct oauth_failure){ .why = OAUTH_CLIENT, .err = e, .note = note };
        return e;
    }
    login->client = (struct oauth_client){ .id = slice_of(account->oauth_client_id),
        .secret = buf_slice(&login->own_secret),
        .secret_in_header = login->server.secret_in_header };
    return ERR_OK;
}

static enum err log_in(struct login *login, const struct oauth_state *before)
{
    TRY(find_server(login));
    TRY(choose_scope(login));
    TRY(choose_client(login, before));
    bool device = login->server.device_url.len > 0 && !login->browser;
    return (device ? oauth_login_device : oauth_login_browser)(
        &login->ask, &login->server, &login->client, login->scope, login->person, &login->tokens);
}

static void write_state(const struct login *login, struct oauth_state *state)
{
    oauth_state_done(state);
    oauth_state_set(&state->issuer, login->server.issuer);
    oauth_state_set(&state->token_url, login->server.token_url);
    oauth_state_set(&state->client_id, login->client.id);
    if (!login->account
             ->oauth_client_id) /* what the server gave; the account's own stays where it is */
        oauth_state_set(&state->client_secret, login->client.secret);
    state->secret_in_header = login->client.secret.len > 0 && login->client.secret_in_header;
    take_tokens(state, &login->tokens);
}

static enum err keep_failed(struct login *login, enum err e, const struct err_note *note)
{
    login->ask.failure = (struct oauth_failure){ .why = OAUTH_REFUSED, .err = e, .note = *note };
    return e;
}

/* The lock is not held while somebody logs in: other runs go on with the old tokens. */
static enum err read_before(struct login *login, struct oauth_state *before)
{
    struct oauth_keep keep;
    struct err_note note = { "" };
    enum err e = oauth_keep_open(login->account, &keep, &note);
    if (e == ERR_OK && oauth_keep_read(&keep, before, &note) != ERR_OK)
        oauth_state_done(before); /* a damaged record is replaced */
    oauth_keep_close(&keep);
    return e ? keep_failed(login, e, &note) : ERR_OK;
}

static enum err keep_tokens(struct login *login, struct oauth_state *state)
{
    struct oauth_keep keep;
    struct err_note note = { "" };
    enum err e = oauth_keep_open(login->account, &keep, &note);
    write_state(login, state);
    if (e == ERR_OK)
        e = oauth_keep_write(&keep, state, &note);
    oauth_keep_close(&keep);
    return e ? keep_failed(login, e, &note) : ERR_OK;
}

enum err client_oauth_login(const struct client_account *account, const struct oauth_person *person,
    bool browser, struct oauth_failure *failure)
{
    struct login login = {
        .account = account, .person = person, .browser = browser, .ask.ca_file = account->ca_file
    };
    struct oauth_state state;
    arena_init(&login.arena, SERVER_ARENA_BYTES);
    buf_init(&login.own_secret, 0);
    oauth_tokens_init(&login.tokens);
    oauth_state_init(&state);
    enum err e = read_before(&login, &state);
    if (e == ERR_OK)
        e = log_in(&login, &state);
    if (e == ERR_OK)
        e = keep_tokens(&login, &state);
    *failure = login.ask.failure;
    if (!account->oauth_client_id && login.client.secret.len > 0) /* in the arena */
        explicit_bzero((void *)(uintptr_t)login.client.secret.ptr, login.client.secret.len);
    oauth_state_done(&state);
    oauth_tokens_done(&login.tokens);
    sasl_buf_wipe(&login.own_secret);
    oauth_ask_done(&login.ask);
    arena_done(&login.arena);
    return e;
}

void client_oauth_forget(const struct client_account *account)
{
    struct oauth_keep keep;
    struct err_note note;
    if (oauth_keep_open(account, &keep, &note) == ERR_OK)
        oauth_keep_forget(&keep);
    oauth_keep_close(&keep);
}
