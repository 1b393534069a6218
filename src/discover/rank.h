/* Whom to believe, and what comes first: the decisions alone. Pure. */
#ifndef DISCOVER_RANK_H
#define DISCOVER_RANK_H

#include "discover/discover.h"
#include "discover/name.h"
#include "net/dns.h"

/* Whether a host has to be confirmed by the person before a password goes there. signed_answer: the DNS answers that led to it were signed (DNSSEC).
 *
 *   host in the address's registrable domain    no
 *   named by our own table for this domain      no
 *   named by our own table for the MX's domain  unless the MX is signed
 *   named by SRV                                unless the SRV is signed
 *   named by anything else                      yes: whoever wrote that document may be mistaken, or not its owner */
bool rank_is_foreign(const struct name *name, struct slice host, enum discover_method method, bool signed_answer);

/* For qsort: by protocol; settled first; the better method; TLS before STARTTLS (RFC 8314 §3). 0: as they came. */
int rank_compare(const struct discover_server *a, const struct discover_server *b);

/* Puts SRV records into the order in which to try them (RFC 2782): by priority, among equals at random by weight. random_below(arg, n) gives
 * 0 to n - 1. */
void rank_srv(struct dns_record *records, size_t count, uint32_t (*random_below)(void *arg, uint32_t n), void *arg);

#endif
