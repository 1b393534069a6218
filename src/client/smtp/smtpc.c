/* From the connection to the login. Until the connection is secured nothing that the server says is kept, and nothing secret is said (RFC 3207 §4.2, §6,
 * and the attacks known as NO STARTTLS). */
#include "client/smtp/smtpc.h"

#include "base/encode.h"
#include "client/smtp/smtpc_int.h"
#include "proto/smtp/smtp_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTH_LINE_BYTES_MAX 12288u /* RFC 4954 §4 */

/* What we call ourselves. Our real name would tell strangers about the inside of a network, and a login says who we are. */
#define OUR_NAME "localhost"

/* ---- lines ---- */

enum err smtpc_say(struct smtpc *smtpc, struct slice bytes)
{
    enum err e = dial_send(smtpc->dial, bytes);
    return e ? client_failed_dial(smtpc->failure, e) : ERR_OK;
}

/* Bytes of "5.1.1 " at the start of a text, which every line of a reply repeats (RFC 2034 §4). */
static size_t enhanced_len(const char *text)
{
    size_t len = strspn(text, "0123456789.");
    return len >= 5 && text[0] >= '2' && text[0] <= '5' && text[1] == '.' && text[len] == ' '
               ? len + 1
               : 0;
}

/* Appends what one line says. */
static void add_text(struct smtpc_reply *reply, struct slice text)
{
    size_t len = strlen(reply->text);
    struct slice code = slice_sub(slice_of(reply->text), 0, enhanced_len(reply->text));
    if (slice_starts(text, code))
        text = slice_from_index(text, code.len);
    if (text.len > 0 && len > 0 && len < SMTPC_TEXT_BYTES_MAX)
        reply->text[len++] = ' ';
    for (size_t i = 0; i < text.len && len < SMTPC_TEXT_BYTES_MAX; i++)
        reply->text[len++] = text.ptr[i] ? text.ptr[i] : '?'; /* a NUL would hide what follows */
    reply->text[len] = '\0';
}

enum err smtpc_reply(struct smtpc *smtpc, struct smtpc_reply *out_reply, smtpc_line_fn *each)
{
    struct smtpc_reply reply = { .code = 0 };
    struct smtp_reply_line got = { .text = SLICE_EMPTY };
    struct slice line;
    for (unsigned lines = 0; !got.last; lines++) {
        int code = got.code;
        enum err e = dial_line(smtpc->dial, &line);
        if (e)
            return client_failed_dial(smtpc->failure, e);
        if (smtp_parse_reply(line, &got) || (lines > 0 && got.code != code))
            return client_failed_said(smtpc->failure, CLIENT_WHY_NONSENSE, ERR_SYNTAX, line);
        if (lines == SMTPC_REPLY_LINES_MAX)
            return client_failed(smtpc->failure, CLIENT_WHY_LIMIT, ERR_LIMIT);
        if (each && lines > 0)
            each(smtpc, got.text);
        add_text(&reply, got.text);
    }
    reply.code = got.code;
    *out_reply = reply;
    return ERR_OK;
}

enum err smtpc_failed(struct smtpc *smtpc, const struct smtpc_reply *reply, enum client_why usual)
{
    char said[SMTPC_TEXT_BYTES_MAX + 16];
    (void)snprintf(said, sizeof said, "%d %s", reply->code, reply->text);
    enum client_why why = reply->code < 500 ? CLIENT_WHY_SYS_TEMP : usual;
    enum err e = reply->code < 500              ? ERR_BUSY
                 : usual == CLIENT_WHY_PASSWORD ? ERR_AUTH
                                                : ERR_DENIED;
    return client_failed_said(smtpc->failure, why, e, slice_of(said));
}

/* ---- greeting ---- */

static void take_extension(struct smtpc *smtpc, struct slice text)
{
    struct slice rest, word;
    switch (smtp_parse_extension(text, &rest)) {
    case SMTP_EXTENSION_STARTTLS:
        smtpc->has_starttls = true;
        break;
    case SMTP_EXTENSION_AUTH:
        while (slice_cut(&rest, ' ', &word))
            smtpc->mechanisms |= client_mechanism_bit(word);
        break;
    case SMTP_EXTENSION_PIPELINING:
        smtpc->has_pipelining = true;
        break;
    case SMTP_EXTENSION_SIZE:
        smtpc->has_size = true;
        if (slice_to_u64(rest, UINT64_MAX, &smtpc->size_max))
            smtpc->size_max = 0;
        break;
    case SMTP_EXTENSION_8BITMIME:
        smtpc->has_8bit = true;
        break;
    case SMTP_EXTENSION_SMTPUTF8:
        smtpc->has_utf8 = true;
        break;
    case SMTP_EXTENSION_DSN:
        smtpc->has_dsn = true;
        break;
    case SMTP_EXTENSION_CHUNKING:
        smtpc->has_chunking = true;
        break;
    default:
        break;
    }
}

static void forget_extensions(struct smtpc *smtpc)
{
    smtpc->has_starttls = smtpc->has_pipelining = smtpc->has_8bit = smtpc->has_utf8 =
        smtpc->has_dsn = smtpc->has_chunking = smtpc->has_size = false;
    smtpc->size_max = 0;
    smtpc->mechanisms = 0;
}

/* EHLO or LHLO. A server that knows neither knows no login either: HELO is of no use here. */
static enum err greet(struct smtpc *smtpc)
{
    struct smtpc_reply reply;
    forget_extensions(smtpc);
    TRY(smtpc_say(
        smtpc, smtpc->lmtp ? SLICE("LHLO " OUR_NAME "\r\n") : SLICE("EHLO " OUR_NAME "\r\n")));
    TRY(smtpc_reply(smtpc, &reply, take_extension));
    return reply.code == 250 ? ERR_OK : smtpc_failed(smtpc, &reply, CLIENT_WHY_SYS_PERM);
}

/* STARTTLS (RFC 3207). Whatever the server says but 220, the password stays here. */
static enum err secure(struct smtpc *smtpc)
{
    struct smtpc_reply reply;
    if (!smtpc->has_starttls)
        return client_failed(smtpc->failure, CLIENT_WHY_NO_STARTTLS, ERR_DENIED);
    TRY(smtpc_say(smtpc, SLICE("STARTTLS\r\n")));
    TRY(smtpc_reply(smtpc, &reply, NULL));
    if (reply.code != 220)
        return client_failed_said(
            smtpc->failure, CLIENT_WHY_NO_STARTTLS, ERR_DENIED, slice_of(reply.text));
    forget_extensions(smtpc);
    return client_starttls(smtpc->dial, smtpc->failure);
}

/* ---- login (RFC 4954) ---- */

/* head, base64 of message and the line end, through memory that is wiped. An empty initial response is "=" (RFC 4954 §4). */
static enum err say_base64(struct smtpc *smtpc, const char *head, struct slice message)
{
    struct buf line;
    buf_init(&line, 0);
    (void)buf_room(
        &line, strlen(head) + message.len * 2 + 8); /* it never grows: no copy stays behind */
    buf_adds(&line, head);
    base64_encode(&line, message);
    buf_adds(&line, "\r\n");
    enum err e = smtpc_say(smtpc, buf_slice(&line));
    sasl_buf_wipe(&line);
    return e;
}

static enum err password_refused(struct smtpc *smtpc, const struct smtpc_reply *reply)
{
    /* 535: wrong; 534, 538: another mechanism or TLS; 454: it cannot tell now. The others are of the same kind */
    return smtpc_failed(smtpc, reply, CLIENT_WHY_PASSWORD);
}

static enum err answer_challenge(struct smtpc *smtpc, struct client_login *login, struct slice text)
{
    struct buf line;
    buf_init(&line, 0);
    enum err e = client_login_answer(login, text, &line);
    buf_adds(&line, "\r\n");
    enum err sent = smtpc_say(smtpc, buf_slice(&line));
    sasl_buf_wipe(&line);
    return e ? client_failed(smtpc->failure, CLIENT_WHY_NOT_SERVER, ERR_DENIED) : sent;
}

/* A challenge may be longer than what is kept of other replies. */
static enum err read_challenge(struct smtpc *smtpc, int *out_code, struct buf *text)
{
    struct slice line;
    struct smtp_reply_line got;
    enum err e = dial_line(smtpc->dial, &line);
    if (e)
        return client_failed_dial(smtpc->failure, e);
    if (smtp_parse_reply(line, &got))
        return client_failed_said(smtpc->failure, CLIENT_WHY_NONSENSE, ERR_SYNTAX, line);
    buf_clear(text);
    buf_add(text, got.text);
    struct smtpc_reply rest;
    if (!got.last) /* some servers say more about a refusal */
        TRY(smtpc_reply(smtpc, &rest, NULL));
    *out_code = got.code;
    return ERR_OK;
}

static enum err talk(struct smtpc *smtpc, struct client_login *login)
{
    struct buf text;
    struct smtpc_reply reply = { .code = 0 };
    enum err e = ERR_OK;
    buf_init(&text, 0);
    while ((e = read_challenge(smtpc, &reply.code, &text)) == ERR_OK && reply.code == 334) {
        e = answer_challenge(smtpc, login, buf_slice(&text));
        if (e)
            break;
    }
    (void)snprintf(reply.text, sizeof reply.text, "%.*s", SLICE_FMT(buf_slice(&text)));
    sasl_buf_wipe(&text);
    if (e)
        return e;
    if (reply.code != 235)
        return password_refused(smtpc, &reply);
    if (client_login_finish(login))
        return client_failed(smtpc->failure, CLIENT_WHY_NOT_SERVER, ERR_DENIED);
    return ERR_OK;
}

/* AUTH with the initial response on its line when it fits, else on the next, when the server asks (RFC 4954 §4). */
static enum err say_auth(struct smtpc *smtpc, const struct client_login *login, struct slice first)
{
    char head[64];
    struct smtpc_reply reply = { .code = 0 };
    int len = snprintf(head, sizeof head, "AUTH %s ", login->name);
    bool fits = (size_t)len + (first.len + 2) / 3 * 4 + 2 <= AUTH_LINE_BYTES_MAX;
    if (!login->waits && fits)
        return say_base64(smtpc, head, first);
    (void)snprintf(head, sizeof head, "AUTH %s\r\n", login->name);
    TRY(smtpc_say(smtpc, slice_of(head)));
    if (login->waits)
        return ERR_OK;
    TRY(smtpc_reply(smtpc, &reply, NULL));
    return reply.code == 334 ? say_base64(smtpc, "", first) : password_refused(smtpc, &reply);
}

static enum err login_once(
    struct smtpc *smtpc, struct client_login_state *state, struct client_login *login)
{
    struct buf first;
    enum err e = client_login_begin(login, &state->options, &smtpc->failure->note);
    if (e)
        return client_failed(
            smtpc->failure, e == ERR_DENIED ? CLIENT_WHY_WEAKER : CLIENT_WHY_NO_MECHANISM, e);
    buf_init(&first, 0);
    (void)buf_room(&first, state->options.secret.len + 2 * USER_NAME_BYTES_MAX);
    e = client_login_initial(login, &first);
    e = e ? client_failed(smtpc->failure, CLIENT_WHY_SECRET, e)
          : say_auth(smtpc, login, buf_slice(&first));
    sasl_buf_wipe(&first);
    if (!e)
        e = talk(smtpc, login);
    if (!e)
        smtpc->mechanism = login->mechanism;
    return e;
}

static enum err login(struct smtpc *smtpc, const struct smtpc_options *options)
{
    struct client_login_state state;
    struct client_login once = { 0 };
    client_login_prepare(&state, smtpc->dial, options->account, options->server, options->secret,
        options->token, smtpc->mechanisms, options->weakest);
    enum err e = login_once(smtpc, &state, &once);
    if (e == ERR_AUTH && client_login_again(&state, &once)) {
        struct client_failure refusal = *smtpc->failure;
        client_login_done(&once);
        *smtpc->failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
        e = login_once(smtpc, &state, &once);
        if (e &&
            e != ERR_AUTH) { /* it hung up on a second try: the refusal is what there is to tell */
            *smtpc->failure = refusal;
            e = refusal.err;
        }
    }
    client_login_done(&once);
    client_login_prepared_done(&state);
    return e;
}

/* ---- the session ---- */

static enum err begin(struct smtpc *smtpc, const struct smtpc_options *options)
{
    struct smtpc_reply reply;
    TRY(smtpc_reply(smtpc, &reply, NULL));
    if (reply.code != 220)
        return smtpc_failed(smtpc, &reply, CLIENT_WHY_SYS_PERM);
    TRY(greet(smtpc));
    if (options->server->security == CLIENT_STARTTLS) {
        TRY(secure(smtpc));
        TRY(greet(smtpc));
    }
    return options->lmtp ? ERR_OK : login(smtpc, options);
}

enum err smtpc_open(
    const struct smtpc_options *options, struct smtpc **out_smtpc, struct client_failure *failure)
{
    struct smtpc *smtpc = mem_zalloc(1, sizeof *smtpc);
    *failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    smtpc->failure = failure;
    smtpc->lmtp = options->lmtp;
    smtpc->timeout_ms = options->timeout_ms ? options->timeout_ms : CLIENT_TIMEOUT_MS;
    enum err e =
        client_connect(options->account, options->server, smtpc->timeout_ms, &smtpc->dial, failure);
    if (!e)
        e = begin(smtpc, options);
    if (e) {
        smtpc_close(smtpc);
        return e;
    }
    *out_smtpc = smtpc;
    return ERR_OK;
}

void smtpc_quit(struct smtpc *smtpc)
{
    struct client_failure unused;
    struct smtpc_reply reply;
    smtpc->failure = &unused;
    if (!smtpc_say(smtpc, SLICE("QUIT\r\n")) && smtpc_reply(smtpc, &reply, NULL))
        return; /* it has all it gets */
}

void smtpc_close(struct smtpc *smtpc)
{
    if (!smtpc)
        return;
    dial_close(smtpc->dial);
    free(smtpc);
}

unsigned smtpc_mechanism(const struct smtpc *smtpc)
{
    return smtpc->mechanism;
}

bool smtpc_has_dsn(const struct smtpc *smtpc)
{
    return smtpc->has_dsn;
}

bool smtpc_address_ok(const char *address, bool *out_utf8)
{
    char text[USER_NAME_BYTES_MAX + 8];
    struct smtp_path path;
    int len = snprintf(text, sizeof text, "TO:<%s>", address);
    if (len < 0 || (size_t)len >= sizeof text ||
        smtp_parse_rcpt(slice_from(text, (size_t)len), &path) || !strchr(path.address, '@'))
        return false;
    *out_utf8 = path.utf8;
    return true;
}
