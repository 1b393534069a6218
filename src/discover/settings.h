/* What a document of a provider says: autoconfig, Autodiscover and PACC read into one form. Pure; the bytes are a stranger's. */
#ifndef DISCOVER_SETTINGS_H
#define DISCOVER_SETTINGS_H

#include "base/limits.h"
#include "discover/discover.h"
#include "discover/name.h"

struct settings_server {
    enum discover_protocol protocol;
    enum discover_security security;
    struct slice host, user; /* placeholders filled in, checked */
    int port;
    unsigned auth; /* enum discover_auth bits */
};

struct settings {
    struct settings_server servers[SETTINGS_SERVERS_MAX];
    size_t count;
    size_t too_many;        /* left out */
    size_t plain, bad_name; /* left out: no TLS; a host, port or user that is none */
    struct slice provider;  /* as it calls itself; may be empty */
    struct slice oauth_issuer; /* https address; may be empty */
    struct slice oauth_scope;  /* of it; may be empty */
    struct slice switch_on; /* https page where something is to be switched on first; may be empty */
};

/* Each returns DISCOVER_FOUND, or what is wrong: DISCOVER_GARBAGE, DISCOVER_ENTITIES, DISCOVER_TOO_BIG, and when no server is left
 * DISCOVER_PLAIN_ONLY, DISCOVER_BAD_NAME or DISCOVER_NO_SERVERS. */

/* draft-ietf-mailmaint-autoconfig, as its "clientConfig" has been for years. */
enum discover_why autoconfig_read(
        struct slice xml, const struct name *name, struct arena *arena, struct settings *out_settings);
/* The answer of Exchange's Autodiscover, outlook/responseschema/2006a. */
enum discover_why autodiscover_read(
        struct slice xml, const struct name *name, struct arena *arena, struct settings *out_settings);
/* draft-bucksch-mailmaint-pacc. */
enum discover_why pacc_read(
        struct slice json, const struct name *name, struct arena *arena, struct settings *out_settings);

/* For the three: a server with its placeholders still in it. user empty: the whole address. */
void settings_add(struct settings *settings, const struct settings_server *server, struct slice port,
        const struct name *name, struct arena *arena);
enum discover_why settings_end(const struct settings *settings);
/* What names an issuer, "login.example.com" or an https address, and its scope; nothing when one of them cannot be right. */
void settings_oauth(struct settings *settings, struct slice issuer, struct slice scope, struct arena *arena);
/* The page when it is https and short, without anything that a terminal or a browser would misread; else empty. */
struct slice settings_page(struct slice url);

#endif
