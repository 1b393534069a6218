/* What we know of providers without asking anybody: data/providers.txt, which tools/providers packs and the program embeds. Pure. */
#ifndef DISCOVER_TABLE_H
#define DISCOVER_TABLE_H

#include "discover/discover.h"

struct table_provider {
    struct slice id, name; /* static, like all of it */
    struct slice facts;    /* words with commas between */
    struct slice rows;     /* the lines of its domains, servers and pages */
};

struct table_server {
    enum discover_protocol protocol;
    bool plain; /* known, but without TLS: nothing else is filled in */
    enum discover_security security;
    struct slice host, user; /* patterns, see name_expand */
    int port;
    unsigned auth; /* enum discover_auth bits */
};

/* Walks all providers: start with *cursor = 0. False at the end. */
bool table_next(size_t *cursor, struct table_provider *out_provider);
/* By the domain of an address, as A-labels. */
bool table_by_domain(struct slice domain, struct table_provider *out_provider);
/* By the host of an MX: the suffixes in the table, else its registrable domain as a domain of the table, else as that of the servers of exactly one
 * provider. */
bool table_by_mx(struct slice host, struct table_provider *out_provider);
bool table_by_id(struct slice id, struct table_provider *out_provider);

bool table_fact(const struct table_provider *provider, const char *word);
/* Walks the servers: start with *cursor = 0. */
bool table_server(const struct table_provider *provider, size_t *cursor, struct table_server *out_server);
/* False: none is known. */
bool table_oauth(const struct table_provider *provider, struct discover_oauth *out_oauth);
/* "switch": where something is switched on; "app": where an app password is made; "help". Empty when there is none. */
struct slice table_page(const struct table_provider *provider, const char *kind);

/* What has to be said of the provider before anything works. Room for DISCOVER_NOTES. Returns how many. */
size_t table_notes(const struct table_provider *provider, struct discover_note *out_notes);

#endif
