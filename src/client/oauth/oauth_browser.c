/* The authorization code grant with PKCE, and the port of this machine to which the browser comes back (RFC 8252 §7.3).
 *
 *     listen on 127.0.0.1 ─► show the page ─► requests: another path, or a state that is not ours: refused, and waited on
 *                                               │ ours: one, then nothing listens any more
 *                                               └─► code ─► tokens
 *
 * Other users and pages of the browser can reach the port too. They do not know the state, and who guessed it could not use our code verifier. */
#include "client/oauth/oauth_int.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "proto/sasl/sasl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/sha.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define RANDOM_BYTES    32u  /* of state and verifier: 256 bits (RFC 7636 §7.1) */
#define VISITORS_MAX    8u   /* browsers open connections ahead, and keep some for nothing */
#define VISITOR_MS      5000 /* to send a request; an idle connection makes room for another */
#define TYPED_BYTES_MAX 16384u
#define ARENA_BYTES_MAX (128u << 10)
#define READ_BYTES      4096u

struct visitor {
    int fd; /* -1: none */
    int64_t until_ms;
    struct buf head;
};

struct login {
    struct oauth_ask *ask;
    const struct oauth_server *server;
    const struct oauth_person *person;
    struct buf state, verifier, challenge, redirect_url;
    int listener, input_fd;
    struct visitor visitors[VISITORS_MAX];
    struct buf typed;
    struct buf code; /* what it is all about */
};

/* ---- secrets of one login ---- */

static void add_random(struct buf *out)
{
    char bytes[RANDOM_BYTES];
    rand_bytes(bytes, sizeof bytes);
    oauth_base64url(out, slice_from(bytes, sizeof bytes));
    explicit_bzero(bytes, sizeof bytes);
}

static void begin(struct login *login)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct buf *all[] = { &login->state, &login->verifier, &login->challenge, &login->redirect_url,
        &login->typed, &login->code };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_init(all[i], 0);
    for (size_t i = 0; i < VISITORS_MAX; i++) {
        login->visitors[i].fd = -1;
        buf_init(&login->visitors[i].head, 0);
    }
    add_random(&login->state);
    add_random(&login->verifier);
    struct slice verifier = buf_slice(&login->verifier);
    SHA256((const unsigned char *)verifier.ptr, verifier.len, digest);
    oauth_base64url(&login->challenge, slice_from(digest, sizeof digest));
}

static void dismiss(struct visitor *visitor)
{
    if (visitor->fd >= 0)
        close(visitor->fd);
    visitor->fd = -1;
    sasl_buf_wipe(&visitor->head);
    buf_init(&visitor->head, 0);
}

static void stop_listening(struct login *login)
{
    for (size_t i = 0; i < VISITORS_MAX; i++)
        dismiss(&login->visitors[i]);
    if (login->listener >= 0)
        close(login->listener);
    login->listener = -1;
}

static void end(struct login *login)
{
    struct buf *all[] = { &login->state, &login->verifier, &login->challenge, &login->redirect_url,
        &login->typed, &login->code };
    stop_listening(login);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sasl_buf_wipe(all[i]);
}

/* ---- the port ---- */

static enum err listen_here(struct login *login)
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof here;
    login->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (login->listener < 0 || bind(login->listener, (struct sockaddr *)&here, sizeof here) < 0 ||
        listen(login->listener, VISITORS_MAX) < 0 ||
        getsockname(login->listener, (struct sockaddr *)&here, &len) < 0)
        return oauth_failed(login->ask, OAUTH_NO_PORT, ERR_IO, "%s", strerror(errno));
    buf_addf(&login->redirect_url, "http://127.0.0.1:%u/", (unsigned)ntohs(here.sin_port));
    return ERR_OK;
}

static void add_query(const struct login *login, const struct oauth_client *client,
    struct slice scope, struct buf *out)
{
    oauth_form_add(out, "response_type", SLICE("code"));
    oauth_form_add(out, "client_id", client->id);
    oauth_form_add(out, "redirect_uri", buf_slice(&login->redirect_url));
    oauth_form_add(out, "state", buf_slice(&login->state));
    oauth_form_add(out, "code_challenge", buf_slice(&login->challenge));
    oauth_form_add(out, "code_challenge_method", SLICE("S256"));
    if (scope.len)
        oauth_form_add(out, "scope", scope);
}

static void show_page(
    const struct login *login, const struct oauth_client *client, struct slice scope)
{
    struct buf query, url;
    struct slice page = login->server->authorization_url;
    buf_init(&query, 0);
    buf_init(&url, 0);
    add_query(login, client, scope, &query);
    buf_add(&url, page);
    buf_addc(&url, slice_index(page, '?') < page.len ? '&' : '?');
    buf_add(&url, buf_slice(&query));
    login->person->show(login->person->arg, buf_slice(&url), SLICE_EMPTY, SLICE_EMPTY);
    buf_done(&query);
    buf_done(&url);
}

/* ---- what comes back ---- */

/* Whether this is the end: with a code (ERR_OK), or a refusal. ERR_NOT_FOUND: not ours. */
static enum err take_redirect(struct login *login, const struct oauth_redirect *redirect)
{
    struct oauth_error error = { "", "" };
    struct slice iss = redirect->iss;
    if (!slice_eq(redirect->state, buf_slice(&login->state)))
        return ERR_NOT_FOUND;
    /* RFC 9207 §2.4: of the server that was asked, and there when it says that it always is. Whoever has named endpoints alone has no issuer to compare */
    bool known = login->server->issuer.len > 0;
    if (known && (iss.len ? !slice_eq(iss, login->server->issuer) : login->server->says_iss))
        return oauth_failed(
            login->ask, OAUTH_FORGED, ERR_DENIED, "%.*s", SLICE_FMT(slice_sub(iss, 0, 200)));
    if (redirect->error.len) {
        (void)snprintf(error.code, sizeof error.code, "%.*s",
            SLICE_FMT(slice_sub(redirect->error, 0, sizeof error.code - 1)));
        (void)snprintf(error.description, sizeof error.description, "%.*s",
            SLICE_FMT(slice_sub(redirect->error_description, 0, sizeof error.description - 1)));
        return oauth_failed_error(login->ask, &error);
    }
    if (redirect->code.len == 0)
        return oauth_failed(login->ask, OAUTH_NONSENSE, ERR_SYNTAX, "%s", "");
    (void)buf_room(&login->code, redirect->code.len);
    buf_add(&login->code, redirect->code);
    return ERR_OK;
}

/* The same from the head of a request. ERR_SYNTAX: it is none. */
static enum err take_head(struct login *login, struct slice head, bool *out_ended)
{
    struct arena arena;
    struct oauth_redirect redirect;
    arena_init(&arena, ARENA_BYTES_MAX);
    enum err e = oauth_redirect_read(head, &arena, &redirect);
    *out_ended = false;
    if (e == ERR_OK) {
        e = take_redirect(login, &redirect);
        *out_ended = e != ERR_NOT_FOUND;
        explicit_bzero((void *)(uintptr_t)redirect.code.ptr, redirect.code.len);
        if (e == ERR_NOT_FOUND)
            e = ERR_SYNTAX; /* our path with another state is a wrong request */
    }
    arena_done(&arena);
    return e;
}

static void answer(int fd, const char *status, struct slice page)
{
    struct timeval patience = { .tv_sec = VISITOR_MS / 1000 };
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text,
        "HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n"
        "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: "
        "nosniff\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
        "Connection: close\r\n\r\n",
        status, page.len);
    buf_add(&text, page);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    struct slice rest = buf_slice(&text);
    while (rest.len > 0) {
        ssize_t sent = send(fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        rest = slice_from_index(rest, (size_t)sent);
    }
    (void)shutdown(fd, SHUT_WR);
    buf_done(&text);
}

/* True when the login has ended, one way or the other. */
static bool serve(struct login *login, struct visitor *visitor, enum err *out_err)
{
    bool ended;
    enum err e = take_head(login, buf_slice(&visitor->head), &ended);
    const char *status = e == ERR_OK          ? "200 OK"
                         : ended              ? "403 Forbidden"
                         : e == ERR_NOT_FOUND ? "404 Not Found"
                                              : "400 Bad Request";
    answer(visitor->fd, status,
        e == ERR_OK ? login->person->page_done
        : ended     ? login->person->page_failed
                    : SLICE_EMPTY);
    dismiss(visitor);
    *out_err = e;
    return ended;
}

/* Reads what is there. True when the login has ended. */
static bool hear(struct login *login, struct visitor *visitor, enum err *out_err)
{
    char *to = buf_room(&visitor->head, READ_BYTES);
    ssize_t got = to ? recv(visitor->fd, to, READ_BYTES, MSG_DONTWAIT) : 0;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got > 0)
        buf_wrote(&visitor->head, (size_t)got);
    if (got <= 0 || buf_len(&visitor->head) > OAUTH_REDIRECT_BYTES_MAX)
        dismiss(visitor);
    else if (slice_find(buf_slice(&visitor->head), SLICE("\r\n\r\n")) != SIZE_MAX)
        return serve(login, visitor, out_err);
    return false;
}

static void admit(struct login *login)
{
    int fd = accept4(login->listener, NULL, NULL, SOCK_CLOEXEC);
    struct visitor *oldest = &login->visitors[0];
    if (fd < 0)
        return;
    for (size_t i = 0; i < VISITORS_MAX; i++) {
        struct visitor *one = &login->visitors[i];
        if (one->fd < 0) {
            oldest = one;
            break;
        }
        if (one->until_ms < oldest->until_ms)
            oldest = one;
    }
    dismiss(oldest);
    oldest->fd = fd;
    oldest->until_ms = clock_mono_ms() + VISITOR_MS;
}

/* A line that was typed: the address at which a browser elsewhere ended. True when the login has ended. */
static bool hear_typed(struct login *login, enum err *out_err)
{
    char *to = buf_room(&login->typed, READ_BYTES);
    ssize_t got = read(login->input_fd, to, READ_BYTES);
    if (got < 0 && errno == EINTR)
        return false;
    if (got <= 0 || buf_len(&login->typed) > TYPED_BYTES_MAX) {
        login->input_fd = -1;
        return false;
    }
    buf_wrote(&login->typed, (size_t)got);
    struct slice line = buf_slice(&login->typed);
    size_t len = slice_index(line, '\n');
    if (len == line.len)
        return false;
    line = slice_trim(slice_sub(line, 0, len));
    size_t query = slice_index(line, '?');
    bool ended = false;
    struct buf head;
    buf_init(&head, 0);
    buf_adds(&head, "GET /");
    buf_add(&head, slice_from_index(line, query));
    buf_adds(&head, " HTTP/1.1\r\n");
    *out_err = take_head(login, buf_slice(&head), &ended);
    sasl_buf_wipe(&head);
    buf_consume(&login->typed, len + 1);
    return ended;
}

/* ---- waiting ---- */

struct watch {
    struct pollfd all[VISITORS_MAX + 2];
    int timeout_ms;
};

static void set_watch(const struct login *login, int64_t until_ms, struct watch *watch)
{
    int64_t now_ms = clock_mono_ms(), next_ms = until_ms;
    for (size_t i = 0; i < VISITORS_MAX; i++) {
        const struct visitor *one = &login->visitors[i];
        watch->all[i] = (struct pollfd){ .fd = one->fd, .events = POLLIN };
        if (one->fd >= 0 && one->until_ms < next_ms)
            next_ms = one->until_ms;
    }
    watch->all[VISITORS_MAX] = (struct pollfd){ .fd = login->listener, .events = POLLIN };
    watch->all[VISITORS_MAX + 1] = (struct pollfd){ .fd = login->input_fd, .events = POLLIN };
    watch->timeout_ms = next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

static bool go_round(struct login *login, const struct watch *watch, enum err *out_err)
{
    int64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < VISITORS_MAX; i++) {
        struct visitor *one = &login->visitors[i];
        if (one->fd >= 0 && watch->all[i].revents && hear(login, one, out_err))
            return true;
        if (one->fd >= 0 && one->until_ms <= now_ms)
            dismiss(one);
    }
    if (watch->all[VISITORS_MAX + 1].revents && hear_typed(login, out_err))
        return true;
    if (watch->all[VISITORS_MAX].revents)
        admit(login);
    return false;
}

static enum err wait_for_browser(struct login *login)
{
    int64_t until_ms = clock_mono_ms() + OAUTH_BROWSER_S * 1000;
    struct watch watch;
    enum err e = ERR_OK;
    for (;;) {
        if (clock_mono_ms() >= until_ms)
            return oauth_failed(login->ask, OAUTH_EXPIRED, ERR_TIMEOUT, "%s", "");
        set_watch(login, until_ms, &watch);
        if (poll(watch.all, VISITORS_MAX + 2, watch.timeout_ms) < 0) {
            if (errno == EINTR)
                continue;
            return oauth_failed(login->ask, OAUTH_NO_PORT, ERR_IO, "%s", strerror(errno));
        }
        if (go_round(login, &watch, &e))
            return e;
    }
}

/* ---- the login ---- */

static enum err redeem(
    struct login *login, const struct oauth_client *client, struct oauth_tokens *out_tokens)
{
    struct oauth_form form;
    struct oauth_error error;
    oauth_form_begin(&form, login->server->token_url, client);
    oauth_form_add(&form.fields, "grant_type", SLICE("authorization_code"));
    oauth_form_add(&form.fields, "code", buf_slice(&login->code));
    oauth_form_add(&form.fields, "redirect_uri", buf_slice(&login->redirect_url));
    oauth_form_add(&form.fields, "code_verifier", buf_slice(&login->verifier));
    enum err e = oauth_form_tokens(login->ask, &form, out_tokens, &error);
    if (e == ERR_OK && error.code[0])
        e = oauth_failed_error(login->ask, &error);
    oauth_form_done(&form);
    return e;
}

enum err oauth_login_browser(struct oauth_ask *ask, const struct oauth_server *server,
    const struct oauth_client *client, struct slice scope, const struct oauth_person *person,
    struct oauth_tokens *out_tokens)
{
    struct login login = {
        .ask = ask, .server = server, .person = person, .listener = -1, .input_fd = person->input_fd
    };
    if (server->authorization_url.len == 0 || server->has_no_s256)
        return oauth_failed(ask, OAUTH_NO_WAY, ERR_NOT_FOUND, "%s", "");
    begin(&login);
    enum err e = listen_here(&login);
    if (e == ERR_OK) {
        show_page(&login, client, scope);
        e = wait_for_browser(&login);
    }
    stop_listening(&login);
    if (e == ERR_OK)
        e = redeem(&login, client, out_tokens);
    end(&login);
    return e;
}
