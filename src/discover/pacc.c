/* The JSON of draft-bucksch-mailmaint-pacc §2: servers by protocol, each a URL whose scheme means TLS; the user is always the address. */
#include "discover/settings.h"

#include <jansson.h>
#include <string.h>

static struct slice text_of(const json_t *value)
{
    return json_is_string(value) ? slice_from(json_string_value(value), json_string_length(value))
                                 : SLICE_EMPTY;
}

static unsigned auth_of(const json_t *methods)
{
    unsigned auth = 0;
    for (size_t i = 0; i < json_array_size(methods); i++) {
        struct slice method = text_of(json_array_get(methods, i));
        if (slice_eq_nocase(method, SLICE("OAuth2")))
            auth |= DISCOVER_OAUTH2;
        else if (slice_starts_nocase(method, SLICE("sasl-")) ||
                 slice_eq_nocase(method, SLICE("native")))
            auth |= DISCOVER_PASSWORD;
    }
    return auth;
}

/* SCHEME://HOST[:PORT][/] (§2.2.2); a path is empty for these protocols. */
static void read_server(const json_t *servers, const char *key, struct slice scheme,
    struct slice port, enum discover_protocol protocol, const struct name *name,
    struct arena *arena, struct settings *settings)
{
    const json_t *entry = json_object_get(servers, key);
    struct slice url = text_of(json_object_get(entry, "url"));
    if (!entry)
        return;
    if (!slice_starts_nocase(url, scheme)) {
        settings->plain++;
        return;
    }
    struct slice place = slice_from_index(url, scheme.len), host = SLICE_EMPTY;
    if (place.len && place.ptr[place.len - 1] == '/')
        place.len--;
    (void)slice_cut(&place, ':', &host);
    struct settings_server server = { .protocol = protocol,
        .security = DISCOVER_TLS,
        .host = slice_dup(arena, host), /* the JSON goes before the settings do */
        .user = SLICE_EMPTY,
        .auth = auth_of(json_object_get(entry, "authentication")) };
    struct slice own_port = slice_dup(arena, place);
    if (!server.host.ptr || !own_port.ptr)
        return;
    settings_add(settings, &server, own_port.len ? own_port : port, name, arena);
}

enum discover_why pacc_read(
    struct slice json, const struct name *name, struct arena *arena, struct settings *out_settings)
{
    struct settings settings = { .provider = SLICE_EMPTY,
        .switch_on = SLICE_EMPTY,
        .oauth_issuer = SLICE_EMPTY,
        .oauth_scope = SLICE_EMPTY };
    json_error_t error;
    json_t *root = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, &error);
    const json_t *servers = json_object_get(root, "servers");
    if (!json_is_object(servers)) {
        json_decref(root);
        return DISCOVER_GARBAGE;
    }
    read_server(
        servers, "imap", SLICE("imaps://"), SLICE("993"), DISCOVER_IMAP, name, arena, &settings);
    read_server(
        servers, "pop3", SLICE("pop3s://"), SLICE("995"), DISCOVER_POP3, name, arena, &settings);
    read_server(servers, "smtp", SLICE("submissions://"), SLICE("465"), DISCOVER_SMTP, name, arena,
        &settings);
    settings.provider =
        slice_dup(arena, text_of(json_object_get(json_object_get(root, "provider"), "name")));
    settings_oauth(&settings, text_of(json_object_get(json_object_get(root, "oAuth2"), "issuer")),
        SLICE_EMPTY, arena);
    json_decref(root);
    if (!settings.provider.ptr)
        return DISCOVER_TOO_BIG;
    *out_settings = settings;
    return settings_end(&settings);
}
