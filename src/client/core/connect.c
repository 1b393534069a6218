/* Connecting, and failing in words. */
#include "client/core/connect.h"

#include <string.h>

enum err client_failed(struct client_failure *failure, enum client_why why, enum err err)
{
    failure->why = why;
    failure->err = err;
    return err;
}

enum err client_failed_said(
    struct client_failure *failure, enum client_why why, enum err err, struct slice said)
{
    said = slice_sub(said, 0, CLIENT_SAID_BYTES_MAX);
    for (size_t i = 0; i < said.len; i++) /* a NUL would hide what follows */
        failure->said[i] = said.ptr[i] ? said.ptr[i] : '?';
    failure->said[said.len] = '\0';
    return client_failed(failure, why, err);
}

enum err client_failed_dial(struct client_failure *failure, enum err err)
{
    switch (err) {
    case ERR_TIMEOUT:
        return client_failed(failure, CLIENT_WHY_SILENT, err);
    case ERR_LIMIT:
        return client_failed(failure, CLIENT_WHY_LIMIT, err);
    case ERR_SYNTAX:
        return client_failed(failure, CLIENT_WHY_NONSENSE, err);
    default:
        return client_failed(failure, CLIENT_WHY_CLOSED, err);
    }
}

static enum client_why why_of_tls(enum err e)
{
    if (e == ERR_TIMEOUT)
        return CLIENT_WHY_SILENT;
    return e == ERR_DENIED ? CLIENT_WHY_CERTIFICATE : CLIENT_WHY_TLS;
}

/* TLS from the first byte is TLS before anything was said; so it is told apart from a connection that fails. */
static enum err start_tls(struct dial *dial, struct client_failure *failure)
{
    enum err e = dial_starttls(dial, DIAL_TLS, &failure->note);
    if (!e)
        return ERR_OK;
    /* it speaks first: it is a server for STARTTLS */
    enum client_why why = e == ERR_DENIED && !dial_is_tls(dial) ? CLIENT_WHY_TLS : why_of_tls(e);
    return client_failed(failure, why, e);
}

enum err client_connect(const struct client_account *account, const struct client_server *server,
    int timeout_ms, struct dial **out_dial, struct client_failure *failure)
{
    struct dial *dial = NULL;
    enum err e = dial_open(server->host, server->port, DIAL_PLAIN, account->ca_file, timeout_ms,
        &dial, &failure->note);
    if (e)
        return client_failed(
            failure, e == ERR_TIMEOUT ? CLIENT_WHY_SILENT : CLIENT_WHY_UNREACHABLE, e);
    if (server->security == CLIENT_TLS)
        e = start_tls(dial, failure);
    else if (server->security == CLIENT_PLAIN &&
             !dial_is_private(dial)) /* "localhost" may be anywhere */
        e = client_failed(failure, CLIENT_WHY_NOT_PRIVATE, ERR_DENIED);
    if (e) {
        dial_close(dial);
        return e;
    }
    *out_dial = dial;
    return ERR_OK;
}

enum err client_starttls(struct dial *dial, struct client_failure *failure)
{
    enum err e = dial_starttls(dial, DIAL_TLS, &failure->note);
    if (e == ERR_DENIED && !dial_is_tls(dial))
        return client_failed(failure, CLIENT_WHY_INJECTED, e);
    return e ? client_failed(failure, why_of_tls(e), e) : ERR_OK;
}

void client_login_prepare(struct client_login_state *state, struct dial *dial,
    const struct client_account *account, const struct client_server *server, struct slice secret,
    bool token, unsigned offered, unsigned weakest)
{
    static const struct slice kinds[] = { SLICE_CONST("tls-exporter"),
        SLICE_CONST("tls-server-end-point") };
    *state = (struct client_login_state){
        .options = {
            .user = account->user,
            .secret = secret,
            .token = token,
            .offered = offered,
            .weakest = weakest,
            .secure = dial_is_private(dial),
            .binding_kind = SLICE_EMPTY,
            .binding = SLICE_EMPTY,
            .host = server->host,
            .port = server->port,
        },
    };
    buf_init(&state->binding, 0);
    for (size_t i = 0; dial_is_tls(dial) && i < sizeof kinds / sizeof *kinds; i++) {
        if (dial_channel_binding(dial, kinds[i], &state->binding))
            continue;
        state->options.binding_kind = kinds[i];
        state->options.binding = buf_slice(&state->binding);
        return;
    }
}

void client_login_prepared_done(struct client_login_state *state)
{
    sasl_buf_wipe(&state->binding);
}

bool client_login_again(struct client_login_state *state, const struct client_login *login)
{
    struct client_login_options *o = &state->options;
    bool was_scram = login->mechanism == CLIENT_SCRAM || login->mechanism == CLIENT_SCRAM_PLUS;
    unsigned bare = o->offered & (CLIENT_MECH_PLAIN | CLIENT_MECH_LOGIN);
    if (!was_scram || !o->secure || !bare || (o->weakest & (CLIENT_SCRAM | CLIENT_SCRAM_PLUS)))
        return false;
    o->offered = bare;
    return true;
}
