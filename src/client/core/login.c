/* One login from the client's side. A server, or somebody who plays it, may say anything: it never gets the password in another form than the first choice
 * gave it, and its success counts only after it has proved that it knows the secret (SCRAM). */
#include "client/core/login.h"

#include "base/encode.h"
#include "base/rand.h"
#include "proto/sasl/oauth.h"

#include <stdio.h>
#include <string.h>

#define NONCE_BYTES 18u /* 144 bits; 24 characters of base64 */

static const struct mechanism {
    enum client_mechanism bit;
    const char *name;
    bool token;
    bool bare;     /* sends the secret itself */
    unsigned rank; /* among those for the same kind of secret; equal: neither is weaker */
} mechanisms[] = {
    /* strongest first */
    { CLIENT_SCRAM_PLUS, "SCRAM-SHA-256-PLUS", false, false, 3 },
    { CLIENT_SCRAM, "SCRAM-SHA-256", false, false, 2 },
    { CLIENT_MECH_PLAIN, "PLAIN", false, true, 1 },
    { CLIENT_MECH_LOGIN, "LOGIN", false, true, 1 },
    { CLIENT_OAUTHBEARER, "OAUTHBEARER", true, true, 1 },
    { CLIENT_XOAUTH2, "XOAUTH2", true, true, 1 },
};

#define MECHANISMS (sizeof mechanisms / sizeof *mechanisms)

unsigned client_mechanism_bit(struct slice name)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (slice_eq_nocase(name, slice_of(mechanisms[i].name)))
            return mechanisms[i].bit;
    return 0;
}

const char *client_mechanism_name(unsigned bit)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (mechanisms[i].bit == bit)
            return mechanisms[i].name;
    return NULL;
}

/* ---- choosing ---- */

/* The rank of what was used before, for the same kind of secret: a person who turned from password to token is not attacked. */
static unsigned least_rank(const struct client_login_options *options)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (mechanisms[i].bit == options->weakest && mechanisms[i].token == options->token)
            return mechanisms[i].rank;
    return 0;
}

static bool fits(const struct mechanism *one, const struct client_login_options *options)
{
    if (!(options->offered & one->bit) || one->token != options->token)
        return false;
    if (one->bit == CLIENT_SCRAM_PLUS && options->binding.len == 0)
        return false;
    return options->secure || !one->bare;
}

static void offered_names(unsigned offered, char *out, size_t out_bytes)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < MECHANISMS; i++)
        if ((offered & mechanisms[i].bit) && len + 24 < out_bytes)
            len += (size_t)snprintf(
                out + len, out_bytes - len, "%s%s", len ? ", " : "", mechanisms[i].name);
    if (!len)
        (void)snprintf(out, out_bytes, "nothing we know");
}

static enum err nothing_fits(const struct client_login_options *options, struct err_note *note)
{
    char names[160];
    offered_names(options->offered, names, sizeof names);
    bool plain_only =
        !options->secure && (options->offered & (CLIENT_MECH_PLAIN | CLIENT_MECH_LOGIN));
    if (plain_only && !options->token)
        return err_noted(note, ERR_NOT_FOUND,
            "%s takes the password only in readable form and the connection is not protected; use "
            "tls"
            " or starttls",
            options->host);
    if (options->token)
        return err_noted(note, ERR_NOT_FOUND,
            "%s takes no OAuth2 token (it offers %s); use password-command with an app password "
            "instead of"
            " token-command or oauth-issuer",
            options->host, names);
    if (options->offered & (CLIENT_OAUTHBEARER | CLIENT_XOAUTH2))
        return err_noted(note, ERR_NOT_FOUND,
            "%s takes no password here (it offers %s); log in at its page (oauth-issuer) or use "
            "token-command",
            options->host, names);
    return err_noted(note, ERR_NOT_FOUND,
        "%s offers no login that we can use (it offers %s); its provider may have to allow one for "
        "mail programs",
        options->host, names);
}

enum err client_login_begin(
    struct client_login *login, const struct client_login_options *options, struct err_note *note)
{
    const struct mechanism *chosen = NULL;
    for (size_t i = 0; i < MECHANISMS && !chosen; i++)
        if (fits(&mechanisms[i], options))
            chosen = &mechanisms[i];
    if (!chosen)
        return nothing_fits(options, note);
    if (chosen->rank < least_rank(options))
        return err_noted(note, ERR_DENIED,
            "%s offers only %s now, which is weaker than %s before; the password was not sent. "
            "Somebody may"
            " be on the way",
            options->host, chosen->name, client_mechanism_name(options->weakest));
    *login = (struct client_login){
        .mechanism = chosen->bit,
        .name = chosen->name,
        .waits = chosen->bit == CLIENT_MECH_LOGIN,
        .options = *options,
    };
    scram_client_init(&login->scram);
    return ERR_OK;
}

/* ---- talking ---- */

static bool is_scram(const struct client_login *login)
{
    return login->mechanism == CLIENT_SCRAM || login->mechanism == CLIENT_SCRAM_PLUS;
}

static enum err scram_first(struct client_login *login, struct buf *out)
{
    const struct client_login_options *o = &login->options;
    char random[NONCE_BYTES];
    struct buf nonce;
    buf_init(&nonce, 0);
    rand_bytes(random, sizeof random);
    base64_encode(&nonce, slice_from(random, sizeof random));
    buf_addc(&nonce, '\0');
    bool plus = login->mechanism == CLIENT_SCRAM_PLUS;
    enum err e = scram_client_first(&login->scram, slice_of(o->user),
        plus ? o->binding_kind : SLICE_EMPTY, o->binding.len > 0, buf_slice(&nonce).ptr, out);
    buf_done(&nonce);
    return e;
}

static enum err oauth_first(struct client_login *login, struct buf *out)
{
    const struct client_login_options *o = &login->options;
    struct sasl_oauth oauth = {
        .token = o->secret, .host = slice_of(o->host), .port = o->port > 0 ? (unsigned)o->port : 0
    };
    struct slice user = slice_of(o->user);
    if (user.len > USER_NAME_BYTES_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < o->secret.len; i++) /* it would end before its end */
        if (slice_at(o->secret, i) <= ' ' || slice_at(o->secret, i) >= 0x7f)
            return ERR_SYNTAX;
    memcpy(oauth.authzid, user.ptr, user.len);
    if (login->mechanism == CLIENT_OAUTHBEARER)
        sasl_oauthbearer_write(&oauth, out);
    else
        sasl_xoauth2_write(&oauth, out);
    login->done = true;
    return buf_err(out);
}

enum err client_login_initial(struct client_login *login, struct buf *out)
{
    if (is_scram(login))
        return scram_first(login, out);
    if (login->options.token)
        return oauth_first(login, out);
    struct sasl_plain plain = {
        .authzid = SLICE_EMPTY,
        .authcid = slice_of(login->options.user),
        .password = login->options.secret,
    };
    /* what has a NUL would be read as something else */
    if (slice_index(plain.password, '\0') < plain.password.len || plain.authcid.len == 0)
        return ERR_SYNTAX;
    if (login->waits)
        return ERR_OK;
    sasl_plain_write(&plain, out);
    login->done = true;
    return buf_err(out);
}

/* The name, then the password (draft-murchison-sasl-login). The challenges are words for people ("Username:"), in any language: only their order counts. */
static enum err login_next(struct client_login *login, struct buf *out)
{
    if (login->step > 2)
        return ERR_AUTH;
    buf_add(out, login->step == 1 ? slice_of(login->options.user) : login->options.secret);
    login->done = login->step == 2;
    return buf_err(out);
}

enum err client_login_step(struct client_login *login, struct slice challenge, struct buf *out)
{
    if (++login->step > CLIENT_LOGIN_STEPS_MAX)
        return ERR_LIMIT;
    if (login->mechanism == CLIENT_MECH_LOGIN)
        return login_next(login, out);
    if (!is_scram(login) ||
        login->step > 2) /* a challenge is an error's story (RFC 7628 §3.2.3), or makes no sense */
        return ERR_AUTH;
    enum err e;
    if (login->step == 1) {
        bool plus = login->mechanism == CLIENT_SCRAM_PLUS;
        e = scram_client_final(&login->scram, challenge, login->options.secret,
            plus ? login->options.binding : SLICE_EMPTY, out);
    } else {
        e = scram_client_verify(&login->scram, challenge);
        login->done = e == ERR_OK;
    }
    return e == ERR_SYNTAX || e == ERR_LIMIT ? ERR_AUTH : e;
}

enum err client_login_answer(
    struct client_login *login, struct slice challenge, struct buf *out_line)
{
    struct buf decoded, answer;
    buf_init(&decoded, SASL_TOKEN_BYTES_MAX);
    buf_init(&answer, 0);
    enum err e = base64_decode(&decoded, challenge);
    if (e == ERR_OK)
        e = buf_err(&decoded);
    if (e == ERR_OK)
        e = client_login_step(login, buf_slice(&decoded), &answer);
    if (e == ERR_AUTH && login->options.token) {
        buf_clear(&answer);
        buf_addc(&answer, '\1');
        e = ERR_OK;
    }
    if (e == ERR_OK)
        base64_encode(out_line, buf_slice(&answer));
    else
        buf_addc(out_line, '*');
    sasl_buf_wipe(&decoded);
    sasl_buf_wipe(&answer);
    return e;
}

enum err client_login_finish(struct client_login *login)
{
    return login->done ? ERR_OK : ERR_AUTH;
}

void client_login_done(struct client_login *login)
{
    if (!login)
        return;
    scram_client_done(&login->scram);
    *login = (struct client_login){ 0 };
}
