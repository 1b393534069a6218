/* A POP3 session as a source. */
#include "client/pop3/popc.h"
#include "fetch/source.h"

static const struct client_server *server(const struct client_account *account)
{
    return &account->pop3;
}

static enum err open_session(const struct fetch_options *options, unsigned weakest,
    void **out_session, unsigned *out_mechanism, struct client_failure *failure)
{
    struct popc_options how = {
        .account = options->account,
        .secret = options->secret,
        .token = options->token,
        .weakest = weakest,
        .timeout_ms = options->timeout_ms,
    };
    struct popc *popc;
    TRY(popc_open(&how, &popc, failure));
    *out_session = popc;
    *out_mechanism = popc_mechanism(popc);
    return ERR_OK;
}

static void close_session(void *session)
{
    popc_close(session);
}

static enum err list(void *session, const struct client_message **out_messages, size_t *out_count,
    struct client_failure *failure)
{
    return popc_list(session, out_messages, out_count, failure);
}

static bool has_top(const void *session)
{
    return popc_has_top(session);
}

static enum err top(void *session, const struct client_message *const *messages, size_t count,
    const struct client_sink *sink, struct client_failure *failure)
{
    return popc_top(session, messages, count, sink, failure);
}

static enum err retrieve(void *session, const struct client_message *const *messages, size_t count,
    const struct client_sink *sink, struct client_failure *failure)
{
    return popc_retrieve(session, messages, count, sink, failure);
}

static enum err delete_marked(void *session, const struct client_message *const *messages,
    size_t count, bool *out_marked, struct client_failure *failure)
{
    return popc_delete(session, messages, count, out_marked, failure);
}

static enum err quit(void *session, struct client_failure *failure)
{
    return popc_quit(session, failure);
}

const struct fetch_source fetch_source_pop3 = { .protocol = "pop3",
    .server = server,
    .open = open_session,
    .close = close_session,
    .list = list,
    .has_top = has_top,
    .top = top,
    .retrieve = retrieve,
    .delete = delete_marked,
    .quit = quit };
