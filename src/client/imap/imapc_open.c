/* From a host name to a session that is logged in.
 *
 *     connect ─► greeting ─► [STARTTLS ─► TLS] ─► [CAPABILITY] ─► AUTHENTICATE or LOGIN ─► [CAPABILITY] ─► [ID, ENABLE]
 *
 * What a server said before TLS is forgotten with it: its capabilities too (RFC 9051 §6.2.1). */
#include "client/imap/imapc_int.h"

#include "base/clock.h"
#include "base/encode.h"
#include "client/core/connect.h"

#include <stdlib.h>
#include <string.h>

#define IMAPC_ARENA_BYTES_MAX                                                                      \
    (24u << 20) /* the tree of the longest answer: a value for each number of a SEARCH */

#define INITIAL_BYTES_MAX                                                                          \
    5900u /* some 8000 bytes in base64, which is what servers take in a line (RFC 7162 §4) */

/* ---- capabilities ---- */

static const struct {
    struct slice name;
    unsigned cap;
} cap_names[] = {
    { SLICE_CONST("SASL-IR"), IMAPC_SASL_IR },
    { SLICE_CONST("LITERAL+"), IMAPC_LITERAL_PLUS },
    { SLICE_CONST("LITERAL-"), IMAPC_LITERAL_MINUS },
    { SLICE_CONST("UIDPLUS"), IMAPC_UIDPLUS },
    { SLICE_CONST("MOVE"), IMAPC_MOVE },
    { SLICE_CONST("CONDSTORE"), IMAPC_CONDSTORE },
    { SLICE_CONST("QRESYNC"), IMAPC_QRESYNC | IMAPC_CONDSTORE },
    { SLICE_CONST("LIST-EXTENDED"), IMAPC_LIST_EXTENDED },
    { SLICE_CONST("LIST-STATUS"), IMAPC_LIST_STATUS },
    { SLICE_CONST("SPECIAL-USE"), IMAPC_SPECIAL_USE },
    { SLICE_CONST("ESEARCH"), IMAPC_ESEARCH },
    { SLICE_CONST("ENABLE"), IMAPC_ENABLE },
    { SLICE_CONST("ID"), IMAPC_ID },
    { SLICE_CONST("IDLE"), IMAPC_IDLE },
    { SLICE_CONST("NOTIFY"), IMAPC_NOTIFY },
    { SLICE_CONST("LOGINDISABLED"), IMAPC_LOGINDISABLED },
    { SLICE_CONST("NAMESPACE"), IMAPC_NAMESPACE },
    { SLICE_CONST("QUOTA"), IMAPC_QUOTA },
    { SLICE_CONST("COMPRESS=DEFLATE"), IMAPC_COMPRESS },
    /* RFC 9051 §1.3: IMAP4rev2 has these in it */
    { SLICE_CONST("IMAP4rev2"), IMAPC_SASL_IR | IMAPC_LITERAL_MINUS | IMAPC_UIDPLUS | IMAPC_MOVE |
                                    IMAPC_LIST_EXTENDED | IMAPC_LIST_STATUS | IMAPC_ESEARCH |
                                    IMAPC_ENABLE | IMAPC_IDLE | IMAPC_NAMESPACE },
};

void imapc_take_caps(struct imapc *imap, const struct imap_value *first)
{
    imap->caps = imap->mechanisms = 0;
    imap->caps_known = true;
    for (; first; first = first->next) {
        if (first->kind == IMAP_VALUE_LIST)
            continue;
        for (size_t i = 0; i < sizeof cap_names / sizeof cap_names[0]; i++)
            if (slice_eq_nocase(first->text, cap_names[i].name))
                imap->caps |= cap_names[i].cap;
        if (slice_starts_nocase(first->text, SLICE("APPENDLIMIT=")))
            (void)!slice_to_u64(slice_from_index(first->text, 12), UINT64_MAX, &imap->append_limit);
        if (slice_starts_nocase(first->text, SLICE("AUTH=")))
            imap->mechanisms |= client_mechanism_bit(slice_from_index(first->text, 5));
    }
}

static enum err need_caps(struct imapc *imap)
{
    if (imap->caps_known)
        return ERR_OK;
    TRY(imapc_command(imap, SLICE("CAPABILITY")));
    return imap->caps_known ? ERR_OK : imapc_break(imap, ERR_SYNTAX);
}

/* ---- failing ---- */

/* The connection broke, or what came is no IMAP; with the server's last words. */
static enum err lost(struct imapc *imap, struct client_failure *failure)
{
    if (imap->said_bye)
        return client_failed_said(failure, CLIENT_WHY_SYS_TEMP, ERR_BUSY, slice_of(imap->words));
    (void)client_failed_dial(failure, imap->broken);
    return client_failed_said(failure, failure->why, imap->broken, slice_of(imap->words));
}

static enum err refused(
    struct imapc *imap, struct client_failure *failure, enum client_why why, enum err e)
{
    if (imap->broken != ERR_OK)
        return lost(imap, failure);
    return client_failed_said(failure, why, e, slice_of(imap->words));
}

/* ---- greeting and TLS ---- */

static enum err greeting(struct imapc *imap, struct client_failure *failure)
{
    struct imap_reply reply;
    if (imapc_read(imap, NULL, &reply) != ERR_OK)
        return lost(imap, failure);
    bool greets = slice_eq(reply.tag, SLICE("*")) &&
                  (reply.status == IMAP_STATUS_OK || reply.status == IMAP_STATUS_PREAUTH);
    if (!greets)
        return client_failed(failure, CLIENT_WHY_NONSENSE, ERR_SYNTAX);
    imap->preauth = reply.status == IMAP_STATUS_PREAUTH;
    /* Logged in before TLS, TLS could not begin any more: somebody else may have said so (NO STARTTLS §5). */
    if (imap->preauth && !dial_is_private(imap->dial))
        return client_failed(failure, CLIENT_WHY_INJECTED, ERR_DENIED);
    return ERR_OK;
}

static enum err start_tls(struct imapc *imap, struct client_failure *failure)
{
    if (imap->preauth)
        return client_failed(failure, CLIENT_WHY_INJECTED, ERR_DENIED);
    enum err e = imapc_command(imap, SLICE("STARTTLS"));
    if (e != ERR_OK)
        return refused(imap, failure, CLIENT_WHY_NO_STARTTLS, ERR_DENIED);
    dial_consume(imap->dial, imap->consume);
    imap->consume = 0;
    TRY(client_starttls(imap->dial, failure));
    imap->caps = imap->mechanisms = 0;
    imap->caps_known = false;
    imap->words[0] = '\0';
    return ERR_OK;
}

/* ---- login ---- */

static void add_base64(struct imapc *imap, struct buf *message)
{
    if (buf_len(message) == 0)
        buf_addc(&imap->out, '=');
    base64_encode(&imap->out, buf_slice(message));
}

/* One challenge answered. */
static enum err answer(struct imapc *imap, struct client_login *login, struct slice text)
{
    enum err e = client_login_answer(login, slice_trim(text), &imap->out);
    buf_adds(&imap->out, "\r\n");
    enum err sent = imapc_flush(imap);
    return e == ERR_OK ? sent : e;
}

/* RFC 9051 §6.2.2, RFC 4959. */
static enum err authenticate(struct imapc *imap, struct client_login *login)
{
    struct buf initial;
    buf_init(&initial, 0);
    (void)buf_room(&initial, login->options.secret.len + 2 * USER_NAME_BYTES_MAX);
    enum err e = client_login_initial(login, &initial);
    /* one that is too long for a line goes when the server asks for it */
    bool fits = (imap->caps & IMAPC_SASL_IR) && buf_len(&initial) <= INITIAL_BYTES_MAX;
    bool first_pending = !login->waits && !fits;
    if (e == ERR_OK) {
        buf_addf(&imap->out, "b%u AUTHENTICATE %s", ++imap->tag, login->name);
        if (!login->waits && fits) {
            buf_addc(&imap->out, ' ');
            add_base64(imap, &initial);
        }
        buf_adds(&imap->out, "\r\n");
        e = imapc_flush(imap);
    }
    enum err gave_up = ERR_OK;
    imap->refused = false;
    while (e == ERR_OK) {
        struct imap_reply reply;
        e = imapc_read(imap, NULL, &reply);
        if (e != ERR_OK || slice_eq(reply.tag, SLICE("*")))
            continue;
        if (!slice_eq(reply.tag, SLICE("+"))) {
            e = reply.status == IMAP_STATUS_OK ? gave_up : imapc_reply_err(&reply);
            imap->refused = reply.status != IMAP_STATUS_OK && gave_up == ERR_OK;
            if (e == ERR_DENIED || e == ERR_SYNTAX)
                e = ERR_AUTH;
            break;
        }
        if (first_pending) {
            first_pending = false;
            base64_encode(&imap->out, buf_slice(&initial));
            buf_adds(&imap->out, "\r\n");
            e = imapc_flush(imap);
        } else if (gave_up != ERR_OK) {
            e = gave_up;
        } else {
            gave_up = answer(imap, login, reply.text);
        }
    }
    sasl_buf_wipe(&initial);
    return e == ERR_OK ? client_login_finish(login) : e;
}

/* LOGIN (RFC 9051 §6.2.3), for servers that have no AUTH=PLAIN. */
static enum err login_command(struct imapc *imap, const struct imapc_options *options)
{
    struct buf text;
    buf_init(&text, 0);
    buf_adds(&text, "LOGIN ");
    enum err e = imapc_add_string(&text, slice_of(options->account->user));
    buf_addc(&text, ' ');
    if (e == ERR_OK)
        e = imapc_add_string(&text, options->secret);
    if (e == ERR_OK)
        e = imapc_command(imap, buf_slice(&text));
    sasl_buf_wipe(&text);
    return e == ERR_DENIED || e == ERR_SYNTAX ? ERR_AUTH : e;
}

/* The strongest mechanism; then, where SCRAM is refused and PLAIN would do, PLAIN (client_login_again). */
static enum err login_sasl(
    struct imapc *imap, struct client_login_state *state, struct client_failure *failure)
{
    enum err e;
    bool again;
    do {
        struct client_login login;
        e = client_login_begin(&login, &state->options, &failure->note);
        if (e != ERR_OK)
            return client_failed(
                failure, e == ERR_DENIED ? CLIENT_WHY_WEAKER : CLIENT_WHY_NO_MECHANISM, e);
        e = authenticate(imap, &login);
        imap->mechanism = login.mechanism;
        again = e == ERR_AUTH && imap->refused && imap->broken == ERR_OK &&
                client_login_again(state, &login);
        client_login_done(&login);
    } while (again);
    if (e == ERR_OK)
        return ERR_OK;
    enum client_why why = e == ERR_BUSY ? CLIENT_WHY_SYS_TEMP : CLIENT_WHY_REFUSED;
    if (e == ERR_AUTH)
        why = imap->refused ? CLIENT_WHY_PASSWORD : CLIENT_WHY_NOT_SERVER;
    return refused(imap, failure, why, e);
}

static enum err login(
    struct imapc *imap, const struct imapc_options *options, struct client_failure *failure)
{
    struct client_login_state state;
    client_login_prepare(&state, imap->dial, options->account, &options->account->imap,
        options->secret, options->token, imap->mechanisms, options->weakest);
    /* the command LOGIN is PLAIN in other words, and AUTH=LOGIN with two round trips less */
    bool weaker = options->weakest & (CLIENT_SCRAM | CLIENT_SCRAM_PLUS);
    bool none = !(imap->mechanisms & ~(unsigned)CLIENT_MECH_LOGIN);
    bool by_command = !options->token && !weaker && state.options.secure && none &&
                      !(imap->caps & IMAPC_LOGINDISABLED);
    enum err e;
    if (by_command) {
        e = login_command(imap, options);
        imap->mechanism = CLIENT_MECH_PLAIN;
        if (e != ERR_OK)
            e = refused(
                imap, failure, e == ERR_SYNTAX ? CLIENT_WHY_SECRET : CLIENT_WHY_PASSWORD, e);
    } else {
        e = login_sasl(imap, &state, failure);
    }
    client_login_prepared_done(&state);
    return e;
}

/* ---- after the login ---- */

/* The "ENABLED" answer names what is on now (RFC 5161 §3.2). */
static enum err enabled(struct imapc_task *task, const struct imap_reply *reply)
{
    struct imapc *imap = task->owner;
    if (slice_eq_nocase(reply->name, SLICE("ENABLED")))
        for (const struct imap_value *value = reply->values; value; value = value->next)
            imap->qresync |= imap_value_is(value, SLICE("QRESYNC"));
    return ERR_OK;
}

/* Goes out with the first command of the session: no round trip of its own. */
static enum err settle(struct imapc *imap)
{
    TRY(need_caps(imap));
    imap->enable = (struct imapc_task){ .data = enabled, .owner = imap };
    if (imap->caps &
        IMAPC_ID) /* some servers want to know with whom they speak before they show any mail */
        imapc_queue(imap, &imap->id, SLICE("ID (\"name\" \"barid\")"));
    if (imap->caps & IMAPC_ENABLE && imap->caps & IMAPC_QRESYNC)
        imapc_queue(imap, &imap->enable, SLICE("ENABLE QRESYNC"));
    else if (imap->caps & IMAPC_ENABLE && imap->caps & IMAPC_CONDSTORE)
        imapc_queue(imap, &imap->enable, SLICE("ENABLE CONDSTORE"));
    return ERR_OK;
}

static enum err converse(
    struct imapc *imap, const struct imapc_options *options, struct client_failure *failure)
{
    TRY(greeting(imap, failure));
    if (options->account->imap.security == CLIENT_STARTTLS)
        TRY(start_tls(imap, failure));
    if (need_caps(imap) != ERR_OK)
        return refused(imap, failure, CLIENT_WHY_NONSENSE, ERR_SYNTAX);
    if (!imap->preauth) {
        imap->caps_known =
            false; /* there may be more of them after the login; most servers say so with their OK */
        TRY(login(imap, options, failure));
    }
    return settle(imap) == ERR_OK ? ERR_OK
                                  : refused(imap, failure, CLIENT_WHY_NONSENSE, ERR_SYNTAX);
}

enum err imapc_open(
    const struct imapc_options *options, struct imapc **out_imap, struct client_failure *failure)
{
    struct imapc *imap = mem_zalloc(1, sizeof *imap);
    imap->timeout_ms = options->timeout_ms;
    imap->compress = options->account->compress;
    imap->progress_ms = clock_mono_ms();
    buf_init(&imap->out, 0);
    buf_init(&imap->head, 0);
    arena_init(&imap->arena, IMAPC_ARENA_BYTES_MAX);
    imap_reply_framer_init(&imap->framer);
    *failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    enum err e = client_connect(
        options->account, &options->account->imap, options->timeout_ms, &imap->dial, failure);
    if (e == ERR_OK)
        e = converse(imap, options, failure);
    if (e != ERR_OK) {
        imapc_break(imap, e);
        imapc_close(imap);
        return e;
    }
    *out_imap = imap;
    return ERR_OK;
}

void imapc_close(struct imapc *imap)
{
    if (!imap)
        return;
    if (imap->broken == ERR_OK && !imap->appending && imap->dial) {
        buf_addf(&imap->out, "b%u LOGOUT\r\n", ++imap->tag);
        imap->broken = imapc_flush(imap);
    }
    dial_close(imap->dial);
    sasl_buf_wipe(&imap->out);
    buf_done(&imap->head);
    arena_done(&imap->arena);
    free(imap);
}
