/* The device authorization grant (RFC 8628).
 *
 *     ask for a code ─► show it ─► wait ─► "authorization_pending": wait again; "slow_down": longer; no network: twice as long
 *                                    │
 *                                    └──► tokens, a refusal, or the code's time is over */
#include "client/oauth/oauth_int.h"

#include "base/clock.h"
#include "base/limits.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define SLOWER_S       5 /* RFC 8628 §3.5 */
#define INTERVAL_S_MAX 120

static void pause_s(int64_t seconds)
{
    struct timespec left = { .tv_sec = seconds };
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static enum err get_code(struct oauth_ask *ask, const struct oauth_server *server,
    const struct oauth_client *client, struct slice scope, struct arena *arena,
    struct oauth_device *out_device)
{
    struct oauth_form form;
    struct oauth_error error = { "", "" };
    struct fetch_answer answer;
    oauth_form_begin(&form, server->device_url, client);
    if (scope.len)
        oauth_form_add(&form.fields, "scope", scope);
    enum err e = oauth_form_send(ask, &form, arena, &answer);
    oauth_form_done(&form);
    TRY(e);
    e = oauth_device_read(answer.body, arena, out_device, &error);
    oauth_wipe_body(&answer);
    if (e == ERR_OK && error.code[0])
        return oauth_failed_error(ask, &error);
    if (e == ERR_DENIED)
        return oauth_failed(ask, OAUTH_INSECURE, e, "%.*s", SLICE_FMT(server->device_url));
    if (e == ERR_LIMIT)
        return oauth_failed(ask, OAUTH_TOO_BIG, e, "%.*s", SLICE_FMT(server->device_url));
    if (e != ERR_OK || answer.status != 200)
        return oauth_failed(ask, OAUTH_NONSENSE, ERR_SYNTAX, "%.*s: HTTP %d",
            SLICE_FMT(server->device_url), answer.status);
    return ERR_OK;
}

/* One question. ERR_BUSY: not yet; *interval_s may have grown. */
static enum err poll_once(struct oauth_ask *ask, const struct oauth_server *server,
    const struct oauth_client *client, const struct oauth_device *device, int64_t *interval_s,
    struct oauth_tokens *out_tokens)
{
    struct oauth_form form;
    struct oauth_error error;
    oauth_form_begin(&form, server->token_url, client);
    oauth_form_add(
        &form.fields, "grant_type", SLICE("urn:ietf:params:oauth:grant-type:device_code"));
    oauth_form_add(&form.fields, "device_code", device->device_code);
    enum err e = oauth_form_tokens(ask, &form, out_tokens, &error);
    oauth_form_done(&form);
    if (e != ERR_OK && ask->failure.why == OAUTH_UNREACHABLE) {
        *interval_s *= 2;
        return ERR_BUSY;
    }
    TRY(e);
    if (!error.code[0])
        return ERR_OK;
    if (strcmp(error.code, "slow_down") == 0)
        *interval_s += SLOWER_S;
    else if (strcmp(error.code, "authorization_pending") != 0)
        return oauth_failed_error(ask, &error);
    return ERR_BUSY;
}

static enum err wait_for_tokens(struct oauth_ask *ask, const struct oauth_server *server,
    const struct oauth_client *client, const struct oauth_device *device,
    struct oauth_tokens *out_tokens)
{
    int64_t until_ms = clock_mono_ms() + device->expires_in_s * 1000;
    int64_t interval_s = device->interval_s;
    for (;;) {
        interval_s = interval_s > INTERVAL_S_MAX ? INTERVAL_S_MAX : interval_s;
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0)
            return oauth_failed(ask, OAUTH_EXPIRED, ERR_TIMEOUT, "%s", "");
        pause_s(left_ms / 1000 + 1 < interval_s ? left_ms / 1000 + 1 : interval_s);
        enum err e = poll_once(ask, server, client, device, &interval_s, out_tokens);
        if (e != ERR_BUSY)
            return e;
    }
}

enum err oauth_login_device(struct oauth_ask *ask, const struct oauth_server *server,
    const struct oauth_client *client, struct slice scope, const struct oauth_person *person,
    struct oauth_tokens *out_tokens)
{
    struct arena arena;
    struct oauth_device device;
    arena_init(&arena, OAUTH_ARENA_BYTES_MAX);
    enum err e = get_code(ask, server, client, scope, &arena, &device);
    if (e == ERR_OK) {
        person->show(person->arg, device.verification_url, device.user_code, device.complete_url);
        e = wait_for_tokens(ask, server, client, &device, out_tokens);
        explicit_bzero((void *)(uintptr_t)device.device_code.ptr, device.device_code.len);
    }
    arena_done(&arena);
    return e;
}
