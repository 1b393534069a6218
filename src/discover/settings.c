/* What every document's servers go through before they count. */
#include "discover/settings.h"

#include "base/buf.h"

#define PAGE_BYTES_MAX 400u

void settings_add(struct settings *settings, const struct settings_server *server,
    struct slice port, const struct name *name, struct arena *arena)
{
    struct settings_server checked = *server;
    struct slice host = SLICE_EMPTY;
    struct slice user = server->user.len ? server->user : SLICE("%EMAILADDRESS%");
    uint64_t number = 0;
    if (settings->count == SETTINGS_SERVERS_MAX) {
        settings->too_many++;
        return;
    }
    if (slice_to_u64(port, 65535, &number) != ERR_OK || number == 0 ||
        name_expand(name, server->host, true, arena, &host) != ERR_OK ||
        name_host(host, arena, &checked.host) != ERR_OK ||
        name_expand(name, user, false, arena, &checked.user) != ERR_OK ||
        !name_is_user(checked.user)) {
        settings->bad_name++;
        return;
    }
    checked.port = (int)number;
    settings->servers[settings->count++] = checked;
}

enum discover_why settings_end(const struct settings *settings)
{
    if (settings->count)
        return DISCOVER_FOUND;
    if (settings->bad_name)
        return DISCOVER_BAD_NAME;
    return settings->plain ? DISCOVER_PLAIN_ONLY : DISCOVER_NO_SERVERS;
}

struct slice settings_page(struct slice url)
{
    if (!slice_starts(url, SLICE("https://")) || url.len > PAGE_BYTES_MAX)
        return SLICE_EMPTY;
    for (size_t i = 0; i < url.len; i++)
        if (url.ptr[i] <= ' ' || slice_at(url, i) >= 0x7f || url.ptr[i] == '"' ||
            url.ptr[i] == '\\')
            return SLICE_EMPTY;
    return url;
}

void settings_oauth(
    struct settings *settings, struct slice issuer, struct slice scope, struct arena *arena)
{
    struct buf text;
    buf_init(&text, 0);
    if (!slice_starts(issuer, SLICE("https://")))
        buf_adds(&text, "https://");
    buf_add(&text, issuer);
    struct slice url = settings_page(buf_slice(&text));
    bool ok = issuer.len > 0 && slice_find(url, SLICE("://")) == sizeof "https" - 1 &&
              slice_find(slice_from_index(url, 8), SLICE("://")) == SIZE_MAX &&
              scope.len <= PAGE_BYTES_MAX;
    for (size_t i = 0; i < scope.len; i++)
        ok = ok && scope.ptr[i] >= ' ' && slice_at(scope, i) < 0x7f && scope.ptr[i] != '"' &&
             scope.ptr[i] != '\\';
    if (ok) {
        settings->oauth_issuer = slice_dup(arena, url);
        settings->oauth_scope = slice_dup(arena, scope);
        if (!settings->oauth_issuer.ptr || !settings->oauth_scope.ptr)
            settings->oauth_issuer = settings->oauth_scope = SLICE_EMPTY;
    }
    buf_done(&text);
}
