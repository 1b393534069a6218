/* Requests to an authorization server. What is sent goes to the address that was asked and to no other; what comes is read whole, within limits, and
 * forgotten. */
#include "client/oauth/oauth_int.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/limits.h"
#include "proto/sasl/sasl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- failing ---- */

enum err oauth_failed(
    struct oauth_ask *ask, enum oauth_why why, enum err err, const char *format, ...)
{
    va_list args;
    ask->failure = (struct oauth_failure){ .why = why, .err = err };
    va_start(args, format);
    (void)vsnprintf(ask->failure.note.text, sizeof ask->failure.note.text, format, args);
    va_end(args);
    return err;
}

enum err oauth_failed_error(struct oauth_ask *ask, const struct oauth_error *error)
{
    static const struct {
        const char *code;
        enum oauth_why why;
        enum err err;
    } rows[] = {
        { "access_denied", OAUTH_DENIED, ERR_DENIED },
        { "expired_token", OAUTH_EXPIRED, ERR_TIMEOUT },
        { "invalid_grant", OAUTH_GRANT, ERR_AUTH },
        { "invalid_client", OAUTH_CLIENT, ERR_DENIED },
        { "unauthorized_client", OAUTH_CLIENT, ERR_DENIED },
        { "invalid_scope", OAUTH_SCOPE, ERR_DENIED },
        { "temporarily_unavailable", OAUTH_UNREACHABLE, ERR_BUSY },
        { "server_error", OAUTH_UNREACHABLE, ERR_BUSY },
    };
    enum oauth_why why = OAUTH_REFUSED;
    enum err err = ERR_DENIED;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(error->code, rows[i].code) == 0) {
            why = rows[i].why;
            err = rows[i].err;
        }
    return oauth_failed(ask, why, err, "%s%s%s", error->code, error->description[0] ? ": " : "",
        error->description);
}

/* ---- requests ---- */

void oauth_ask_done(struct oauth_ask *ask)
{
    dns_close(ask->dns);
    ask->dns = NULL;
}

static enum err failed_fetch(struct oauth_ask *ask, const struct fetch_answer *answer)
{
    switch (answer->end) {
    case FETCH_CERTIFICATE:
        return oauth_failed(
            ask, OAUTH_CERTIFICATE, ERR_DENIED, "%s: %s", answer->host, answer->why);
    case FETCH_TOO_BIG:
        return oauth_failed(ask, OAUTH_TOO_BIG, ERR_LIMIT, "%s", answer->host);
    case FETCH_BAD_URL:
    case FETCH_PRIVATE:
        return oauth_failed(ask, OAUTH_INSECURE, ERR_DENIED, "%s", answer->host);
    case FETCH_LATE:
        return oauth_failed(ask, OAUTH_UNREACHABLE, ERR_TIMEOUT, "%s: no answer in %d seconds",
            answer->host, OAUTH_REQUEST_MS / 1000);
    default:
        return oauth_failed(
            ask, OAUTH_UNREACHABLE, ERR_CLOSED, "%s: %s", answer->host, answer->why);
    }
}

enum err oauth_send(struct oauth_ask *ask, struct fetch_request *request, struct arena *arena,
    struct fetch_answer *out_answer)
{
    struct err_note note = { "" };
    /* this machine needs no resolver, and finding one takes time */
    if (!ask->dns && !oauth_url_here(slice_of(request->url)) &&
        dns_open(NULL, &ask->dns, &note) != ERR_OK)
        return oauth_failed(ask, OAUTH_UNREACHABLE, ERR_CLOSED, "%s", note.text);
    request->ca_file = ask->ca_file;
    request->bytes_max = OAUTH_ANSWER_BYTES_MAX;
    request->until_ms = clock_mono_ms() + OAUTH_REQUEST_MS;
    /* a firm's own login page lies in its own network; its certificate has to fit all the same */
    request->private_ok = request->any_port = request->loopback_ok = true;
    request->no_redirects = request->secret = true;
    if (fetch(ask->dns, request, arena, out_answer) != ERR_OK)
        return oauth_failed(ask, OAUTH_TOO_BIG, ERR_LIMIT, "%s", "");
    if (out_answer->end != FETCH_DONE) {
        oauth_wipe_body(out_answer);
        return failed_fetch(ask, out_answer);
    }
    return ERR_OK;
}

void oauth_wipe_body(const struct fetch_answer *answer)
{
    if (answer->body.len > 0) /* in the arena, so writable */
        explicit_bzero((void *)(uintptr_t)answer->body.ptr, answer->body.len);
}

/* ---- forms ---- */

void oauth_form_begin(struct oauth_form *form, struct slice url, const struct oauth_client *client)
{
    *form = (struct oauth_form){ .url = url, .client = client };
    buf_init(&form->fields, 0);
    /* every byte may become three; it never grows: no copy stays behind */
    (void)buf_room(&form->fields, 3 * (OAUTH_TOKEN_BYTES_MAX + 4 * OAUTH_WORD_BYTES_MAX));
    if (client->secret.len == 0 || !client->secret_in_header)
        oauth_form_add(&form->fields, "client_id", client->id);
    if (client->secret.len > 0 && !client->secret_in_header)
        oauth_form_add(&form->fields, "client_secret", client->secret);
}

void oauth_form_done(struct oauth_form *form)
{
    sasl_buf_wipe(&form->fields);
}

static void escape(struct slice text, struct buf *out)
{
    struct buf form;
    buf_init(&form, 0);
    (void)buf_room(&form, 3 * text.len + 2);
    oauth_form_add(&form, "", text);
    buf_add(out, slice_from_index(buf_slice(&form), 1)); /* without "=" */
    sasl_buf_wipe(&form);
}

/* RFC 6749 §2.3.1 */
static void add_basic(const struct oauth_client *client, struct buf *out)
{
    struct buf pair;
    buf_init(&pair, 0);
    (void)buf_room(&pair, 3 * (client->id.len + client->secret.len) + 8);
    escape(client->id, &pair);
    buf_addc(&pair, ':');
    escape(client->secret, &pair);
    buf_adds(out, "Basic ");
    base64_encode(out, buf_slice(&pair));
    buf_addc(out, '\0');
    sasl_buf_wipe(&pair);
}

enum err oauth_form_send(struct oauth_ask *ask, struct oauth_form *form, struct arena *arena,
    struct fetch_answer *out_answer)
{
    struct buf header;
    bool in_header = form->client->secret.len > 0 && form->client->secret_in_header;
    char *url = slice_cstr(arena, form->url);
    if (!url)
        return oauth_failed(ask, OAUTH_TOO_BIG, ERR_LIMIT, "%s", "");
    buf_init(&header, 0);
    (void)buf_room(&header, 4 * OAUTH_WORD_BYTES_MAX * 4);
    if (in_header)
        add_basic(form->client, &header);
    buf_addc(&form->fields, '\0');
    struct fetch_request request = { .url = url,
        .post = buf_slice(&form->fields).ptr,
        .content_type = "application/x-www-form-urlencoded",
        .authorization = in_header ? buf_slice(&header).ptr : NULL };
    enum err e = oauth_send(ask, &request, arena, out_answer);
    buf_truncate(&form->fields, buf_len(&form->fields) - 1);
    sasl_buf_wipe(&header);
    TRY(e);
    if (out_answer->status >= 300 && out_answer->status < 400)
        e = oauth_failed(ask, OAUTH_REDIRECTED, ERR_DENIED, "%s: HTTP %d", url, out_answer->status);
    else if (out_answer->status >= 500 || out_answer->status == 429)
        e = oauth_failed(ask, OAUTH_UNREACHABLE, ERR_BUSY, "%s: HTTP %d", url, out_answer->status);
    if (e != ERR_OK)
        oauth_wipe_body(out_answer);
    return e;
}

static enum err failed_answer(
    struct oauth_ask *ask, enum err e, struct slice url, int status, enum oauth_why denied)
{
    if (e == ERR_DENIED)
        return oauth_failed(ask, denied, e, "%.*s", SLICE_FMT(url));
    if (e == ERR_LIMIT)
        return oauth_failed(ask, OAUTH_TOO_BIG, e, "%.*s", SLICE_FMT(url));
    return oauth_failed(ask, OAUTH_NONSENSE, ERR_SYNTAX, "%.*s: HTTP %d", SLICE_FMT(url), status);
}

enum err oauth_form_tokens(struct oauth_ask *ask, struct oauth_form *form,
    struct oauth_tokens *out_tokens, struct oauth_error *out_error)
{
    struct arena arena;
    struct fetch_answer answer;
    *out_error = (struct oauth_error){ "", "" };
    arena_init(&arena, OAUTH_ARENA_BYTES_MAX);
    enum err e = oauth_form_send(ask, form, &arena, &answer);
    if (e == ERR_OK) {
        e = oauth_token_read(answer.body, out_tokens, out_error);
        oauth_wipe_body(&answer);
        if (e == ERR_OK && !out_error->code[0] && answer.status != 200)
            e = ERR_SYNTAX;
        if (e != ERR_OK)
            e = failed_answer(ask, e, form->url, answer.status, OAUTH_TOKEN_TYPE);
    }
    arena_done(&arena);
    return e;
}

enum err oauth_refresh(struct oauth_ask *ask, struct slice token_url,
    const struct oauth_client *client, struct slice refresh, struct oauth_tokens *out_tokens)
{
    struct oauth_form form;
    struct oauth_error error;
    oauth_form_begin(&form, token_url, client);
    oauth_form_add(&form.fields, "grant_type", SLICE("refresh_token"));
    oauth_form_add(&form.fields, "refresh_token", refresh);
    enum err e = oauth_form_tokens(ask, &form, out_tokens, &error);
    if (e == ERR_OK && error.code[0])
        e = oauth_failed_error(ask, &error);
    oauth_form_done(&form);
    return e;
}

/* ---- metadata ---- */

/* ERR_NOT_FOUND: nothing is there. */
static enum err get_metadata(struct oauth_ask *ask, struct slice issuer, bool openid,
    struct arena *arena, struct oauth_server *out_server)
{
    struct fetch_answer answer;
    struct buf url;
    buf_init(&url, 0);
    oauth_well_known(issuer, openid, &url);
    buf_addc(&url, '\0');
    struct fetch_request request = { .url = buf_slice(&url).ptr };
    enum err e = oauth_send(ask, &request, arena, &answer);
    if (e == ERR_OK && (answer.status >= 500 || answer.status == 429))
        e = oauth_failed(
            ask, OAUTH_UNREACHABLE, ERR_BUSY, "%s: HTTP %d", request.url, answer.status);
    else if (e == ERR_OK && answer.status != 200)
        e = oauth_failed(
            ask, OAUTH_NO_METADATA, ERR_NOT_FOUND, "%s: HTTP %d", request.url, answer.status);
    else if (e == ERR_OK && (e = oauth_metadata_read(answer.body, arena, out_server)) != ERR_OK)
        e = failed_answer(ask, e, slice_of(request.url), answer.status, OAUTH_INSECURE);
    buf_done(&url);
    return e;
}

enum err oauth_find(struct oauth_ask *ask, struct slice issuer, struct arena *arena,
    struct oauth_server *out_server)
{
    struct oauth_server server = { .scope = SLICE_EMPTY };
    if (!oauth_issuer_ok(issuer))
        return oauth_failed(ask, OAUTH_INSECURE, ERR_DENIED, "%.*s", SLICE_FMT(issuer));
    enum err e = get_metadata(ask, issuer, false, arena, &server);
    if (e == ERR_NOT_FOUND || e == ERR_SYNTAX) /* some sites answer everything with a page */
        e = get_metadata(ask, issuer, true, arena, &server);
    TRY(e);
    if (!slice_eq(server.issuer, issuer))
        return oauth_failed(ask, OAUTH_ISSUER, ERR_DENIED, "%.*s, %.*s", SLICE_FMT(issuer),
            SLICE_FMT(slice_sub(server.issuer, 0, 200)));
    *out_server = server;
    return ERR_OK;
}

/* ---- registration ---- */

/* scope has blanks and plain characters; only these two would break a JSON string. */
static void add_json(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] >= ' ' && text.ptr[i] != '"' && text.ptr[i] != '\\')
            buf_addc(out, text.ptr[i]);
}

static void write_registration(
    const struct oauth_server *server, struct slice scope, struct buf *out)
{
    buf_adds(out, "{\"client_name\":\"Barid\",\"application_type\":\"native\","
                  "\"redirect_uris\":[\"http://127.0.0.1/\"],\"response_types\":[\"code\"],"
                  "\"token_endpoint_auth_method\":\"none\","
                  "\"grant_types\":[\"authorization_code\",\"refresh_token\"");
    if (server->device_url.len)
        buf_adds(out, ",\"urn:ietf:params:oauth:grant-type:device_code\"");
    buf_adds(out, "]");
    if (scope.len) {
        buf_adds(out, ",\"scope\":\"");
        add_json(out, scope);
        buf_addc(out, '"');
    }
    buf_addc(out, '}');
    buf_addc(out, '\0');
}

static enum err read_registered(struct oauth_ask *ask, const struct oauth_server *server,
    const struct fetch_answer *answer, struct arena *arena, struct oauth_client *out_client)
{
    struct oauth_error error = { "", "" };
    struct oauth_registration registration = { .client_id = SLICE_EMPTY };
    if (answer->status >= 500 || answer->status == 429)
        return oauth_failed(ask, OAUTH_UNREACHABLE, ERR_BUSY, "%.*s: HTTP %d",
            SLICE_FMT(server->registration_url), answer->status);
    enum err e = oauth_registration_read(answer->body, arena, &registration, &error);
    if (e == ERR_OK && error.code[0])
        return oauth_failed(ask, OAUTH_NO_CLIENT, ERR_DENIED, "%s%s%s", error.code,
            error.description[0] ? ": " : "", error.description);
    if (answer->status == 401 || answer->status == 403)
        return oauth_failed(ask, OAUTH_NO_CLIENT, ERR_DENIED, "%.*s: HTTP %d",
            SLICE_FMT(server->registration_url), answer->status);
    if (e != ERR_OK || answer->status / 100 != 2)
        return failed_answer(ask, e, server->registration_url, answer->status, OAUTH_NONSENSE);
    *out_client = (struct oauth_client){ .id = registration.client_id,
        .secret = registration.client_secret,
        .secret_in_header = registration.secret_in_header };
    return ERR_OK;
}

enum err oauth_register(struct oauth_ask *ask, const struct oauth_server *server,
    struct slice scope, struct arena *arena, struct oauth_client *out_client)
{
    struct fetch_answer answer;
    struct buf body;
    char *url = slice_cstr(arena, server->registration_url);
    if (server->registration_url.len == 0)
        return oauth_failed(ask, OAUTH_NO_CLIENT, ERR_NOT_FOUND, "%s", "");
    if (!url)
        return oauth_failed(ask, OAUTH_TOO_BIG, ERR_LIMIT, "%s", "");
    buf_init(&body, 0);
    write_registration(server, scope, &body);
    struct fetch_request request = {
        .url = url, .post = buf_slice(&body).ptr, .content_type = "application/json"
    };
    enum err e = oauth_send(ask, &request, arena, &answer);
    buf_done(&body);
    TRY(e);
    e = read_registered(ask, server, &answer, arena, out_client);
    oauth_wipe_body(&answer);
    return e;
}
