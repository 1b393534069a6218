/* Private to discover/: one search, its threads, and what they found so far. */
#ifndef DISCOVER_RUN_H
#define DISCOVER_RUN_H

#include "discover/discover.h"
#include "discover/name.h"
#include "discover/settings.h"
#include "net/dns.h"
#include "net/fetch.h"

#include <pthread.h>

struct run;

/* Work of a thread of its own; ends at run_until at the latest. scratch is the thread's, arg in run_arena. */
typedef void (*run_fn)(struct run *run, void *arg, struct arena *scratch);

/* Starts a thread, from discover() or from another job. Over the limit of threads it does not start, and the trail says so. */
void run_start(struct run *run, run_fn fn, void *arg);

const struct name *run_name(const struct run *run);
struct dns *run_dns(const struct run *run);
const char *run_ca_file(const struct run *run);
bool run_wants(const struct run *run, enum discover_method method);
/* What names servers ends at run_until_ms, so that time is left to call them up; the calls end at run_end_ms. */
int64_t run_until_ms(const struct run *run);
int64_t run_end_ms(const struct run *run);
/* Copies for other threads and for the result. Never NULL: over the budget it is "", and discover() returns ERR_LIMIT. */
char *run_copy(struct run *run, struct slice text);

/* One line of the trail. */
void run_step(struct run *run, enum discover_method method, enum discover_why why, struct slice subject,
        struct slice detail);
void run_note(struct run *run, enum discover_method method, enum discover_note_id id, struct slice url);
/* id empty: a document calls itself so. */
void run_provider(struct run *run, enum discover_method method, struct slice id, struct slice name, bool files_sent_copy);
/* Of documents only: of the best method. */
void run_oauth(struct run *run, enum discover_method method, const struct discover_oauth *oauth);
void run_domain(struct run *run, bool exists, bool answered);

/* A server that a method names: calls it up in a thread of its own unless that goes on already. signed_answer as in rank_is_foreign. */
void run_candidate(struct run *run, const struct settings_server *server, enum discover_method method, bool signed_answer);
/* All servers of a document, and its step of the trail. */
void run_settings(struct run *run, enum discover_method method, enum discover_why why, const struct settings *settings,
        struct slice subject);

/* ---- methods: each is a job, arg means nothing unless it says so ---- */

/* Our table by the domain; at once, no thread. False: not in it. *out_closed: nothing else needs to be asked, whatever the servers say; *out_has_pop3: false when
 * the provider is known to have none. */
bool method_table(struct run *run, bool *out_closed, bool *out_has_pop3);
void method_mx(struct run *run, void *arg, struct arena *scratch); /* also whether the domain exists */
void method_srv(struct run *run, void *arg, struct arena *scratch); /* arg: char *, "_imaps._tcp." and the like */
void method_pacc(struct run *run, void *arg, struct arena *scratch);
void method_autoconfig(struct run *run, void *arg, struct arena *scratch);
void method_well_known(struct run *run, void *arg, struct arena *scratch);
void method_ispdb(struct run *run, void *arg, struct arena *scratch);
void method_autodiscover(struct run *run, void *arg, struct arena *scratch); /* arg: char *, what stands before the domain */
void method_jmap(struct run *run, void *arg, struct arena *scratch);
void method_guess(struct run *run);
/* The same for the provider that the MX shows; arg: char *, the domain or the MX host. */
void method_mx_pacc(struct run *run, void *arg, struct arena *scratch);
void method_mx_autoconfig(struct run *run, void *arg, struct arena *scratch);
void method_mx_ispdb(struct run *run, void *arg, struct arena *scratch);

#endif
