/* Addresses, host names and who owns them. Pure; needs libidn2 and the public suffix list that libpsl has built in. */
#ifndef DISCOVER_NAME_H
#define DISCOVER_NAME_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

/* Whose mailbox is looked for. */
struct name {
    struct slice address; /* as it was typed */
    struct slice local;
    struct slice domain_typed;
    struct slice domain; /* A-labels, lower case */
    struct slice base;   /* registrable domain of domain */
};

/* Splits at the last "@". ERR_SYNTAX: no such address (quoted local parts and addresses in brackets included: no provider has them); ERR_LIMIT. */
enum err MUST_USE name_read(struct slice address, struct arena *arena, struct name *out_name);

/* A host to connect to, as lower case A-labels without a dot at the end. ERR_SYNTAX: no host name, a name without a dot, an address. */
enum err MUST_USE name_host(struct slice text, struct arena *arena, struct slice *out_host);

/* The part of a host (A-labels) that one owner registered: "mx.mail.firm.co.uk" gives "firm.co.uk". A public suffix, and everything when there is no list,
 * gives itself. Borrowed from host. */
struct slice name_base(struct slice host);

/* U-labels for people; the A-labels when they are no IDN of today's rules. NULL ptr: the arena's budget. */
struct slice name_shown(struct slice host, struct arena *arena);

/* Text that may become a user name: UTF-8 without controls and blanks, 1 to USER_NAME_BYTES_MAX bytes. */
bool name_is_user(struct slice text);

/* Puts the address into a pattern: %EMAILADDRESS%, %EMAILLOCALPART%, %EMAILDOMAIN% (the domain as typed, or as A-labels in host names), and
 * the short forms of our table, %e %l %d. ERR_SYNTAX: a placeholder that nobody can fill; ERR_LIMIT. */
enum err MUST_USE name_expand(const struct name *name, struct slice pattern, bool is_host, struct arena *arena,
        struct slice *out_text);

#endif
