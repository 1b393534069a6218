/* Accounts and failures of the client verbs. */
#include "bin/client_common.h"

#include "base/cleanup.h"
#include "bin/guide.h"
#include "client/core/oauth_login.h"
#include "proto/sasl/sasl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ---- accounts ---- */

int client_use_load(struct client_use *use)
{
    struct err_note note = { "" };
    *use = (struct client_use){ .account = NULL };
    buf_init(&use->secret, 0);
    autofree char *path = client_accounts_path();
    if (!path) {
        cli_error(MSG_CLIENT_NO_HOME);
        return EX_CONFIG;
    }
    enum err e = client_accounts_read(path, &use->accounts, &note);
    if (e == ERR_NOT_FOUND || (!e && use->accounts.count == 0)) {
        cli_error(MSG_CLIENT_NO_ACCOUNTS, path);
        return EX_CONFIG;
    }
    if (!e)
        return EX_OK;
    cli_error_text(note.text);
    return e == ERR_DENIED ? EX_NOPERM : EX_CONFIG;
}

int client_use_choose(struct client_use *use, const char *name)
{
    struct err_note note = { "" };
    free(use->state_folder);
    use->state_folder = NULL;
    use->account = client_accounts_find(&use->accounts, name);
    if (!use->account) {
        autofree char *path = client_accounts_path();
        cli_error(MSG_CLIENT_NO_ACCOUNT, name, path ? path : "accounts.conf");
        return EX_USAGE;
    }
    if (client_state_folder(use->account->name, &use->state_folder, &note)) {
        cli_error_text(note.text);
        return EX_CANTCREAT;
    }
    return EX_OK;
}

int client_use_begin(struct client_use *use, const char *name)
{
    int code = client_use_load(use);
    return code ? code : client_use_choose(use, name);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored                                                                     \
    "-Wformat-nonliteral" /* the catalogue's test compares both languages */
static void write_prompt(char *out, size_t bytes, const char *user)
{
    (void)snprintf(out, bytes, tr(MSG_CLIENT_PASSWORD_PROMPT), user);
}
#pragma GCC diagnostic pop

void client_say_safe(enum message_id id, const char *words)
{
    struct buf text;
    buf_init(&text, 0);
    cli_add_safe(&text, slice_of(words));
    buf_addc(&text, '\0');
    cli_error_more(id, buf_slice(&text).ptr);
    buf_done(&text);
}

/* The exit code, after saying why there is no secret. */
static int say_no_secret(const struct client_use *use, enum err e, const struct err_note *note)
{
    bool oauth = client_uses_oauth(use->account);
    bool later = e == ERR_TIMEOUT || (oauth && (e == ERR_CLOSED || e == ERR_BUSY));
    autofree char *name = cli_word(use->account->name);
    if (oauth && e == ERR_AUTH)
        cli_error(MSG_CLIENT_LOGIN_AGAIN, use->account->name, name);
    else
        cli_error(
            oauth && later ? MSG_CLIENT_TOKEN_LATER : MSG_CLIENT_NO_SECRET, use->account->name);
    if (note->text[0])
        client_say_safe(MSG_CLIENT_DETAIL, note->text);
    return later ? EX_TEMPFAIL : EX_NOPERM;
}

static void forget_secret(struct client_use *use)
{
    use->secret_of = NULL;
    sasl_buf_wipe(&use->secret);
    buf_init(&use->secret, 0);
}

int client_use_secret(struct client_use *use)
{
    const struct rlimit no_core = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &no_core); /* it would leave the password on the disk */
    char prompt[USER_NAME_BYTES_MAX + 80];
    struct err_note note = { "" };
    if (use->secret_of == use->account && !client_uses_oauth(use->account))
        return EX_OK;
    write_prompt(prompt, sizeof prompt, use->account->user);
    forget_secret(use); /* of another account, or asked for before */
    enum err e = client_secret_prompted(use->account, prompt, &use->secret, &use->token, &note);
    if (e)
        return say_no_secret(use, e, &note);
    use->secret_of = use->account;
    return EX_OK;
}

/* What is told instead of "wrong password" of an account that has none. */
static void blame_token(struct client_failure *failure, enum err e, const struct err_note *note)
{
    bool later = e == ERR_TIMEOUT || e == ERR_CLOSED || e == ERR_BUSY;
    bool over = e == ERR_AUTH || e == ERR_NOT_FOUND;
    failure->why = later ? CLIENT_WHY_TOKEN_LATER : over ? CLIENT_WHY_TOKEN : CLIENT_WHY_SECRET;
    failure->err = e == ERR_NOT_FOUND ? ERR_AUTH : e;
    failure->note = *note;
}

bool client_use_renew(struct client_use *use, struct client_failure *failure)
{
    struct err_note note = { "" };
    struct buf fresh;
    if (!use->token || failure->why != CLIENT_WHY_PASSWORD)
        return false;
    buf_init(&fresh, 0);
    enum err e = client_secret_renew(use->account, buf_slice(&use->secret), &fresh, &note);
    if (e == ERR_OK) {
        sasl_buf_wipe(&use->secret);
        use->secret = fresh;
        return true;
    }
    if (client_uses_oauth(use->account))
        blame_token(failure, e, &note);
    sasl_buf_wipe(&fresh);
    return false;
}

void client_use_done(struct client_use *use)
{
    sasl_buf_wipe(&use->secret);
    free(use->state_folder);
    client_accounts_done(&use->accounts);
}

/* ---- failures ---- */

static const struct {
    const char *name;
    enum message_id text;
    int exit_code;
} whys[CLIENT_WHYS] = {
    [CLIENT_WHY_NONE] = { "none", MSG_WHY_DISK, EX_IOERR },
    [CLIENT_WHY_UNREACHABLE] = { "unreachable", MSG_WHY_UNREACHABLE, EX_TEMPFAIL },
    [CLIENT_WHY_SILENT] = { "silent", MSG_WHY_SILENT, EX_TEMPFAIL },
    [CLIENT_WHY_CLOSED] = { "closed", MSG_WHY_CLOSED, EX_TEMPFAIL },
    [CLIENT_WHY_CERTIFICATE] = { "certificate", MSG_WHY_CERTIFICATE, EX_UNAVAILABLE },
    [CLIENT_WHY_TLS] = { "tls", MSG_WHY_TLS, EX_UNAVAILABLE },
    [CLIENT_WHY_NO_STARTTLS] = { "no-starttls", MSG_WHY_NO_STARTTLS, EX_UNAVAILABLE },
    [CLIENT_WHY_INJECTED] = { "injected", MSG_WHY_INJECTED, EX_UNAVAILABLE },
    [CLIENT_WHY_NOT_PRIVATE] = { "not-private", MSG_WHY_NOT_PRIVATE, EX_CONFIG },
    [CLIENT_WHY_PASSWORD] = { "password", MSG_WHY_PASSWORD, EX_NOPERM },
    [CLIENT_WHY_NOT_SERVER] = { "not-server", MSG_WHY_NOT_SERVER, EX_NOPERM },
    [CLIENT_WHY_NO_MECHANISM] = { "no-mechanism", MSG_WHY_NO_MECHANISM, EX_NOPERM },
    [CLIENT_WHY_WEAKER] = { "weaker", MSG_WHY_WEAKER, EX_NOPERM },
    [CLIENT_WHY_SECRET] = { "secret", MSG_WHY_SECRET, EX_NOPERM },
    [CLIENT_WHY_TOKEN] = { "token", MSG_WHY_TOKEN, EX_NOPERM },
    [CLIENT_WHY_TOKEN_LATER] = { "token-later", MSG_WHY_TOKEN_LATER, EX_TEMPFAIL },
    [CLIENT_WHY_IN_USE] = { "in-use", MSG_WHY_IN_USE, EX_TEMPFAIL },
    [CLIENT_WHY_LOGIN_DELAY] = { "login-delay", MSG_WHY_LOGIN_DELAY, EX_TEMPFAIL },
    [CLIENT_WHY_SYS_TEMP] = { "sys-temp", MSG_WHY_SYS_TEMP, EX_TEMPFAIL },
    [CLIENT_WHY_SYS_PERM] = { "sys-perm", MSG_WHY_SYS_PERM, EX_UNAVAILABLE },
    [CLIENT_WHY_REFUSED] = { "refused", MSG_WHY_REFUSED, EX_UNAVAILABLE },
    [CLIENT_WHY_NONSENSE] = { "nonsense", MSG_WHY_NONSENSE, EX_PROTOCOL },
    [CLIENT_WHY_LIMIT] = { "limit", MSG_WHY_LIMIT, EX_PROTOCOL },
    [CLIENT_WHY_NO_IDS] = { "no-ids", MSG_WHY_NO_IDS, EX_UNAVAILABLE },
    [CLIENT_WHY_NO_TARGET] = { "no-target", MSG_WHY_NO_TARGET, EX_CONFIG },
    [CLIENT_WHY_RUNNING] = { "running", MSG_WHY_RUNNING, EX_TEMPFAIL },
    [CLIENT_WHY_HERE_GONE] = { "here-gone", MSG_WHY_HERE_GONE, EX_UNAVAILABLE },
    [CLIENT_WHY_THERE_GONE] = { "there-gone", MSG_WHY_THERE_GONE, EX_UNAVAILABLE },
    [CLIENT_WHY_DISK] = { "disk", MSG_WHY_DISK, EX_IOERR },
    [CLIENT_WHY_QUEUE] = { "queue", MSG_WHY_QUEUE, EX_IOERR },
    [CLIENT_WHY_STATE] = { "state", MSG_WHY_STATE, EX_SOFTWARE },
};

const char *client_why_name(enum client_why why)
{
    return whys[why].name;
}

int client_exit_code(const struct client_failure *failure)
{
    /* a place that is locked, or asks for later, and a full disk are no faults of the disk */
    if (failure->why == CLIENT_WHY_DISK &&
        (failure->err == ERR_BUSY || failure->err == ERR_TIMEOUT))
        return EX_TEMPFAIL;
    return whys[failure->why].exit_code;
}

int client_say_failure(const struct client_use *use, const struct client_server *server,
    const struct client_failure *failure)
{
    bool here = failure->why == CLIENT_WHY_NO_TARGET || failure->why == CLIENT_WHY_RUNNING ||
                failure->why == CLIENT_WHY_HERE_GONE || failure->why == CLIENT_WHY_DISK ||
                failure->why == CLIENT_WHY_QUEUE || failure->why == CLIENT_WHY_STATE;
    bool token = failure->why == CLIENT_WHY_TOKEN ||
                 (failure->why == CLIENT_WHY_PASSWORD && client_uses_oauth(use->account));
    autofree char *name = cli_word(use->account->name);
    if (token)
        cli_error(MSG_WHY_TOKEN, server->host, name);
    else
        cli_error(whys[failure->why].text, here ? use->account->address : server->host,
            use->state_folder);
    if (failure->note.text[0])
        client_say_safe(MSG_CLIENT_DETAIL, failure->note.text);
    if (failure->said[0])
        client_say_safe(MSG_CLIENT_SAID, failure->said);
    return client_exit_code(failure);
}

const char *client_size(uint64_t bytes, char *out, size_t out_bytes)
{
    struct buf text;
    buf_init(&text, 0);
    guide_bytes(lang_get(), bytes, &text);
    (void)snprintf(out, out_bytes, "%.*s", SLICE_FMT(buf_slice(&text)));
    buf_done(&text);
    return out;
}
