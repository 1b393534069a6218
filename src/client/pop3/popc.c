/* From the connection to the login, and the end of a session. Until the connection is secured nothing that the server says is kept, and nothing
 * secret is said (RFC 2595 §4, and the attacks known as NO STARTTLS). */
#include "client/pop3/popc.h"

#include "base/encode.h"
#include "client/pop3/popc_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTH_LINE_BYTES_MAX                                                                        \
    255u /* RFC 5034 §4: a longer initial response goes on a line of its own */

/* ---- lines ---- */

enum err popc_send(struct popc *popc, struct slice bytes)
{
    enum err e = dial_send(popc->dial, bytes);
    return e ? client_failed_dial(popc->failure, e) : ERR_OK;
}

static enum err say(struct popc *popc, const char *text)
{
    enum err e = dial_sendf(popc->dial, "%s\r\n", text);
    return e ? client_failed_dial(popc->failure, e) : ERR_OK;
}

static enum err read_line(struct popc *popc, struct slice *out_line)
{
    enum err e = dial_line(popc->dial, out_line);
    return e ? client_failed_dial(popc->failure, e) : ERR_OK;
}

static enum err read_reply(struct popc *popc, struct pop_reply *out_reply)
{
    struct slice line;
    if (popc->utf8_ahead) { /* refused: messages come as they can */
        popc->utf8_ahead = false;
        TRY(read_reply(popc, out_reply));
    }
    TRY(read_line(popc, &line));
    if (pop_parse_reply(line, out_reply))
        return client_failed_said(popc->failure, CLIENT_WHY_NONSENSE, ERR_SYNTAX, line);
    return ERR_OK;
}

/* The failure for a refused command: what its code stands for, else the usual one. */
static enum err refused(
    struct popc *popc, const struct pop_reply *reply, enum client_why usual, enum err usual_err)
{
    static const struct {
        enum pop_code code;
        enum client_why why;
        enum err err;
    } rows[] = {
        { POP_CODE_IN_USE, CLIENT_WHY_IN_USE, ERR_BUSY },
        { POP_CODE_LOGIN_DELAY, CLIENT_WHY_LOGIN_DELAY, ERR_BUSY },
        { POP_CODE_AUTH, CLIENT_WHY_PASSWORD, ERR_AUTH },
        { POP_CODE_SYS_TEMP, CLIENT_WHY_SYS_TEMP, ERR_BUSY },
        { POP_CODE_SYS_PERM, CLIENT_WHY_SYS_PERM, ERR_DENIED },
    };
    if (reply->status == POP_STATUS_CONTINUE)
        return client_failed_said(popc->failure, CLIENT_WHY_NONSENSE, ERR_SYNTAX, reply->text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].code == reply->code)
            return client_failed_said(popc->failure, rows[i].why, rows[i].err, reply->text);
    return client_failed_said(popc->failure, usual, usual_err, reply->text);
}

enum err popc_reply(struct popc *popc, struct pop_reply *out_reply)
{
    TRY(read_reply(popc, out_reply));
    if (out_reply->status == POP_STATUS_OK)
        return ERR_OK;
    return refused(popc, out_reply, CLIENT_WHY_REFUSED, ERR_DENIED);
}

bool popc_goes_on(struct popc *popc, enum err e)
{
    if (!e || popc->failure->why != CLIENT_WHY_REFUSED)
        return false;
    *popc->failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    return true;
}

enum err popc_answer_line(struct popc *popc, struct slice *out_line, bool *out_more)
{
    struct slice line;
    TRY(read_line(popc, &line));
    *out_more = !slice_eq(line, SLICE("."));
    *out_line = line.len > 0 && line.ptr[0] == '.' ? slice_from_index(line, 1) : line;
    return ERR_OK;
}

/* ---- capabilities ---- */

static void forget_capabilities(struct popc *popc)
{
    popc->has_stls = popc->has_top = popc->has_uidl = popc->has_pipelining = popc->has_utf8 =
        popc->has_user = popc->has_capa = false;
    popc->mechanisms = 0;
}

static void take_capability(struct popc *popc, struct slice line)
{
    struct slice rest, word;
    switch (pop_parse_capability(line, &rest)) {
    case POP_CAPABILITY_STLS:
        popc->has_stls = true;
        break;
    case POP_CAPABILITY_TOP:
        popc->has_top = true;
        break;
    case POP_CAPABILITY_UIDL:
        popc->has_uidl = true;
        break;
    case POP_CAPABILITY_USER:
        popc->has_user = true;
        break;
    case POP_CAPABILITY_PIPELINING:
        popc->has_pipelining = true;
        break;
    case POP_CAPABILITY_UTF8:
        popc->has_utf8 = true;
        break;
    case POP_CAPABILITY_SASL:
        while (slice_cut(&rest, ' ', &word))
            popc->mechanisms |= client_mechanism_bit(word);
        break;
    default:
        break;
    }
}

/* The answer to CAPA (RFC 2449 §5). A server that does not know it has none. */
static enum err read_capabilities(struct popc *popc)
{
    struct pop_reply reply;
    struct slice line;
    bool more = true;
    forget_capabilities(popc);
    TRY(read_reply(popc, &reply));
    if (reply.status != POP_STATUS_OK)
        return ERR_OK;
    popc->has_capa = true;
    for (unsigned lines = 0;; lines++) {
        TRY(popc_answer_line(popc, &line, &more));
        if (!more)
            return ERR_OK;
        if (lines == POPC_CAPA_LINES_MAX)
            return client_failed(popc->failure, CLIENT_WHY_LIMIT, ERR_LIMIT);
        take_capability(popc, line);
    }
}

static enum err ask_capabilities(struct popc *popc)
{
    TRY(say(popc, "CAPA"));
    return read_capabilities(popc);
}

/* STLS (RFC 2595 §4). Whatever the server says but a plain +OK, the password stays here. */
static enum err secure(struct popc *popc)
{
    struct pop_reply reply;
    TRY(ask_capabilities(popc));
    if (popc->has_capa && !popc->has_stls)
        return client_failed(popc->failure, CLIENT_WHY_NO_STARTTLS, ERR_DENIED);
    TRY(say(popc, "STLS"));
    TRY(read_reply(popc, &reply));
    if (reply.status != POP_STATUS_OK)
        return client_failed_said(popc->failure, CLIENT_WHY_NO_STARTTLS, ERR_DENIED, reply.text);
    forget_capabilities(popc);
    return client_starttls(popc->dial, popc->failure);
}

/* ---- login ---- */

/* One line with a secret in it, through memory that is wiped. */
static enum err say_secret(struct popc *popc, const char *head, struct slice secret)
{
    struct buf line;
    buf_init(&line, 0);
    (void)buf_room(&line, strlen(head) + secret.len + 2); /* it never grows: no copy stays behind */
    buf_adds(&line, head);
    buf_add(&line, secret);
    buf_adds(&line, "\r\n");
    enum err e = popc_send(popc, buf_slice(&line));
    sasl_buf_wipe(&line);
    return e;
}

static enum err password_refused(struct popc *popc, const struct pop_reply *reply)
{
    return refused(popc, reply, CLIENT_WHY_PASSWORD, ERR_AUTH);
}

static bool is_one_line(struct slice text)
{
    return text.len > 0 && slice_index(text, '\r') == text.len &&
           slice_index(text, '\n') == text.len && slice_index(text, '\0') == text.len;
}

/* USER and PASS (RFC 1939 §7): on a private connection, for servers without SASL. */
static enum err login_user_pass(struct popc *popc, const struct client_login_options *options)
{
    struct pop_reply reply;
    struct slice user = slice_of(options->user);
    if (!is_one_line(user) || !is_one_line(options->secret))
        return client_failed(popc->failure, CLIENT_WHY_SECRET, ERR_SYNTAX);
    TRY(say_secret(popc, "USER ", user));
    TRY(read_reply(popc, &reply));
    if (reply.status != POP_STATUS_OK)
        return password_refused(popc, &reply);
    TRY(say_secret(popc, "PASS ", options->secret));
    TRY(read_reply(popc, &reply));
    return reply.status == POP_STATUS_OK ? ERR_OK : password_refused(popc, &reply);
}

static enum err say_base64(struct popc *popc, const char *head, struct slice message)
{
    struct buf text;
    buf_init(&text, 0);
    (void)buf_room(&text, message.len * 2 + 8);
    base64_encode(&text, message);
    enum err e = say_secret(popc, head, buf_slice(&text));
    sasl_buf_wipe(&text);
    return e;
}

/* AUTH with the initial response on its line when it fits, else on the next, when the server asks (RFC 5034 §4). */
static enum err say_auth(struct popc *popc, const struct client_login *login, struct slice first)
{
    char head[64];
    struct pop_reply reply;
    int len = snprintf(head, sizeof head, "AUTH %s ", login->name);
    bool fits = (size_t)len + (first.len + 2) / 3 * 4 + 2 <= AUTH_LINE_BYTES_MAX;
    if (!login->waits && fits)
        return say_base64(popc, head, first);
    head[len - 1] = '\0';
    TRY(say(popc, head));
    if (login->waits)
        return ERR_OK;
    TRY(read_reply(popc, &reply));
    if (reply.status != POP_STATUS_CONTINUE)
        return password_refused(popc, &reply);
    return say_base64(popc, "", first);
}

/* One challenge; the answer is sent. */
static enum err answer_challenge(struct popc *popc, struct client_login *login, struct slice text)
{
    struct buf line;
    buf_init(&line, 0);
    enum err e = client_login_answer(login, text, &line);
    buf_adds(&line, "\r\n");
    enum err sent = popc_send(popc, buf_slice(&line));
    sasl_buf_wipe(&line);
    return e ? client_failed(popc->failure, CLIENT_WHY_NOT_SERVER, ERR_DENIED) : sent;
}

static enum err answer_challenges(struct popc *popc, struct client_login *login)
{
    struct pop_reply reply;
    enum err e = ERR_OK;
    while ((e = read_reply(popc, &reply)) == ERR_OK && reply.status == POP_STATUS_CONTINUE) {
        e = answer_challenge(popc, login, reply.text);
        if (e)
            break;
    }
    if (e)
        return e;
    if (reply.status == POP_STATUS_ERR)
        return password_refused(popc, &reply);
    if (client_login_finish(login))
        return client_failed(popc->failure, CLIENT_WHY_NOT_SERVER, ERR_DENIED);
    return ERR_OK;
}

static enum err login_sasl(struct popc *popc, struct client_login *login)
{
    struct buf first;
    buf_init(&first, 0);
    (void)buf_room(&first, login->options.secret.len + 2 * USER_NAME_BYTES_MAX);
    enum err e = client_login_initial(login, &first);
    e = e ? client_failed(popc->failure, CLIENT_WHY_SECRET, e)
          : say_auth(popc, login, buf_slice(&first));
    sasl_buf_wipe(&first);
    return e ? e : answer_challenges(popc, login);
}

static enum err login_once(
    struct popc *popc, struct client_login_state *state, bool user_pass, struct client_login *login)
{
    enum err e = client_login_begin(login, &state->options, &popc->failure->note);
    if (e)
        return client_failed(
            popc->failure, e == ERR_DENIED ? CLIENT_WHY_WEAKER : CLIENT_WHY_NO_MECHANISM, e);
    if (login->mechanism == CLIENT_MECH_PLAIN && user_pass)
        e = login_user_pass(popc, &state->options);
    else
        e = login_sasl(popc, login);
    if (!e)
        popc->mechanism = login->mechanism;
    return e;
}

static enum err login(struct popc *popc, const struct popc_options *options)
{
    struct client_login_state state;
    struct client_login once = { 0 };
    /* USER and PASS are PLAIN in other words; a server without CAPA knows them */
    bool user_pass = !(popc->mechanisms & CLIENT_MECH_PLAIN) && (popc->has_user || !popc->has_capa);
    unsigned offered = popc->mechanisms | (user_pass ? (unsigned)CLIENT_MECH_PLAIN : 0u);
    client_login_prepare(&state, popc->dial, options->account, &options->account->pop3,
        options->secret, options->token, offered, options->weakest);
    enum err e = login_once(popc, &state, user_pass, &once);
    if (e == ERR_AUTH && client_login_again(&state, &once)) {
        struct client_failure refusal = *popc->failure;
        client_login_done(&once);
        *popc->failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
        e = login_once(popc, &state, user_pass, &once);
        if (e &&
            e != ERR_AUTH) { /* it hung up on a second try: the refusal is what there is to tell */
            *popc->failure = refusal;
            e = refusal.err;
        }
    }
    client_login_done(&once);
    client_login_prepared_done(&state);
    return e;
}

/* ---- the session ---- */

static enum err read_reply_of_utf8(struct popc *popc)
{
    struct pop_reply reply;
    popc->utf8_ahead = false;
    return read_reply(popc, &reply);
}

/* The server may offer more now (RFC 2449 §5). What is asked next anyhow goes along, where it may: each question alone costs a round trip. */
static enum err begin_transaction(struct popc *popc)
{
    popc->list_ahead = popc->has_pipelining;
    popc->uidl_ahead = popc->list_ahead && popc->has_uidl;
    TRY(say(popc, popc->uidl_ahead   ? "CAPA\r\nLIST\r\nUIDL"
                  : popc->list_ahead ? "CAPA\r\nLIST"
                                     : "CAPA"));
    return read_capabilities(popc);
}

static enum err begin(struct popc *popc, const struct popc_options *options)
{
    struct pop_reply reply;
    TRY(popc_reply(popc, &reply)); /* the greeting */
    if (options->account->pop3.security == CLIENT_STARTTLS)
        TRY(secure(popc));
    TRY(ask_capabilities(popc));
    if (popc->has_utf8) { /* before the login (RFC 6856 §2.1) */
        TRY(say(popc, "UTF8"));
        popc->utf8_ahead = true;
        if (!popc->has_pipelining)
            TRY(read_reply_of_utf8(popc));
    }
    TRY(login(popc, options));
    return begin_transaction(popc);
}

enum err popc_open(
    const struct popc_options *options, struct popc **out_popc, struct client_failure *failure)
{
    struct popc *popc = mem_zalloc(1, sizeof *popc);
    *failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    popc->failure = failure;
    buf_init(&popc->uidls, 0);
    int timeout_ms = options->timeout_ms ? options->timeout_ms : CLIENT_TIMEOUT_MS;
    enum err e =
        client_connect(options->account, &options->account->pop3, timeout_ms, &popc->dial, failure);
    if (!e)
        e = begin(popc, options);
    if (e) {
        popc_close(popc);
        return e;
    }
    *out_popc = popc;
    return ERR_OK;
}

void popc_close(struct popc *popc)
{
    if (!popc)
        return;
    dial_close(popc->dial);
    buf_done(&popc->uidls);
    free(popc->messages);
    free(popc);
}

unsigned popc_mechanism(const struct popc *popc)
{
    return popc->mechanism;
}

bool popc_has_top(const struct popc *popc)
{
    return popc->has_top || !popc->has_capa;
}

enum err popc_quit(struct popc *popc, struct client_failure *failure)
{
    struct pop_reply reply;
    popc->failure = failure;
    TRY(say(popc, "QUIT"));
    return popc_reply(popc, &reply);
}
