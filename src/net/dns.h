/* DNS for code that waits: libunbound, so that an answer is known to be signed (DNSSEC) or not. Every lookup ends in time. Thread-safe:
 * many threads ask one resolver at once. */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct dns;

enum dns_type {
    DNS_A    = 1,
    DNS_MX   = 15,
    DNS_AAAA = 28,
    DNS_SRV  = 33,
};

enum dns_status {
    DNS_FOUND,
    DNS_NO_RECORD, /* no record of that type, or only broken ones */
    DNS_NO_NAME,   /* the name does not exist (NXDOMAIN) */
    DNS_FAILED,    /* no resolver answered with anything of use */
    DNS_LATE,      /* nothing came in time */
    DNS_FORGED,    /* signed by nobody who may (DNSSEC: bogus) */
};

struct dns_record {
    unsigned priority, weight, port; /* SRV; MX has a priority only */
    /* An address as text, or a host name: lower case, A-labels, no dot at the end; "" is the root, which says "none" (RFC 2782, RFC 7505 §3). */
    const char *text;
};

struct dns_answer {
    enum dns_status status;
    bool secure; /* DNSSEC shows that the zone's owner says so; also of "no such name" */
    struct dns_record *records;
    size_t count;
    size_t broken; /* records left out: their names are no host names */
};

/* resolver: "ADDRESS" or "ADDRESS@PORT"; NULL: those of /etc/resolv.conf. Finds out whether what it gives can be checked with DNSSEC, which asks one
 * question and takes a second at most; else nothing is ever secure. ERR_SYNTAX: no such address; ERR_NOT_FOUND: libunbound is
 * not on this machine; ERR_IO. */
enum err MUST_USE dns_open(const char *resolver, struct dns **out_dns, struct err_note *note);
/* Text that dns_open takes. */
bool dns_is_resolver(const char *text);
/* No lookup may be going on. */
void dns_close(struct dns *dns);

/* Waits until there is an answer, at most until until_ms (clock_mono_ms). name: A-labels, no dot needed at its end. ERR_LIMIT: the arena's budget. */
enum err MUST_USE dns_lookup(struct dns *dns, const char *name, enum dns_type type, int64_t until_ms,
        struct arena *arena, struct dns_answer *out_answer);
/* A and AAAA at once, IPv6 first. secure: all of them are. */
enum err MUST_USE dns_addresses(
        struct dns *dns, const char *host, int64_t until_ms, struct arena *arena, struct dns_answer *out_answer);

/* One record's data as libunbound gives it (names not compressed). ERR_SYNTAX: too short, too long, or a name that is no host name. */
enum err MUST_USE dns_read_record(
        enum dns_type type, struct slice rdata, struct arena *arena, struct dns_record *out_record);

#endif
