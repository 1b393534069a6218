/* The search: threads that ask, a list of servers they name, and the trail.
 *
 *   NAMED ── run_candidate ──► CALLED ── a thread, check_server ──► SETTLED | SILENT | REFUSED
 *
 * Every thread ends by the deadlines it is given, so joining all of them ends the search. What threads share is behind run->lock; nobody
 * waits for anything while holding it. The caller's arena is used under the lock only. */
#include "discover/discover.h"

#include "base/clock.h"
#include "discover/check.h"
#include "discover/rank.h"
#include "discover/run.h"
#include "discover/table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX                                                                                \
    160u /* 12 methods, 22 common names, 8 servers for each of 10 documents, and room */
#define CANDIDATES_MAX 120u
#define STEPS_MAX      400u
#define STACK_BYTES    (1u << 20) /* OpenSSL, curl and libunbound are used on it */
#define SCRATCH_BYTES_MAX                                                                          \
    (4u << 20) /* of one thread; a document of the largest size and its tree fit */
#define TABLE_SHARE                                                                                \
    40 /* percent of the time in which the servers of our table are waited for alone */
#define METHODS_SHARE                                                                              \
    70 /* percent after which no more servers are named: calling them up takes the rest */
#define NAME_BYTES_MAX   100u /* of a provider, as it calls itself */
#define DETAIL_BYTES_MAX 200u

enum state {
    CALLED,
    SETTLED,
    SILENT, /* no answer */
    REFUSED,
};

struct candidate {
    struct discover_server server;
    enum state state;
    bool private_ok;
};

struct run {
    struct discover_options options; /* borrowed strings */
    struct name name;
    struct dns *dns; /* owned */
    int64_t begin_ms, until_ms, end_ms;

    pthread_mutex_t lock; /* of everything below */
    struct arena *arena;  /* the caller's */
    bool over;            /* its budget is used up */
    pthread_t threads[THREADS_MAX];
    size_t thread_count;
    struct candidate *candidates[CANDIDATES_MAX];
    size_t candidate_count;
    struct discover_step steps[STEPS_MAX];
    size_t step_count;
    struct discover_note notes[2 * DISCOVER_NOTES];
    enum discover_method note_methods[2 * DISCOVER_NOTES]; /* who says so */
    size_t note_count;
    struct slice provider_id, provider_name; /* of our table */
    enum discover_method provider_method;
    struct slice document_name;  /* as a document says */
    struct discover_oauth oauth; /* of a document, and by which method */
    enum discover_method oauth_method;
    bool has_oauth;
    bool files_sent_copy, domain_missing, domain_asked, domain_answered;
};

struct job {
    struct run *run;
    run_fn fn;
    void *arg;
};

/* ---- what methods see ---- */

const struct name *run_name(const struct run *run)
{
    return &run->name;
}

struct dns *run_dns(const struct run *run)
{
    return run->dns;
}

const char *run_ca_file(const struct run *run)
{
    return run->options.ca_file;
}

bool run_wants(const struct run *run, enum discover_method method)
{
    return run->options.methods >> method & 1;
}

int64_t run_until_ms(const struct run *run)
{
    return run->until_ms;
}

int64_t run_end_ms(const struct run *run)
{
    return run->end_ms;
}

/* ---- memory, under the lock ---- */

static void lock(struct run *run)
{
    int failed = pthread_mutex_lock(&run->lock);
    assert(failed == 0);
}

static void unlock(struct run *run)
{
    (void)pthread_mutex_unlock(&run->lock);
}

static struct slice keep(struct run *run, struct slice text)
{
    char *copy = slice_cstr(run->arena, text);
    run->over = run->over || !copy;
    return copy ? slice_from(copy, text.len) : SLICE_EMPTY;
}

/* Cut before a character, never in one. */
static struct slice keep_start(struct run *run, struct slice text, size_t bytes_max)
{
    if (text.len > bytes_max) {
        text.len = bytes_max;
        while (text.len && (slice_at(text, text.len) & 0xc0) == 0x80)
            text.len--;
    }
    return keep(run, text);
}

char *run_copy(struct run *run, struct slice text)
{
    static char none[1] = "";
    lock(run);
    char *copy = slice_cstr(run->arena, text);
    run->over = run->over || !copy;
    unlock(run);
    return copy ? copy : none;
}

/* ---- threads ---- */

static void *job_main(void *arg)
{
    struct job *job = arg;
    struct arena scratch;
    arena_init(&scratch, SCRATCH_BYTES_MAX);
    job->fn(job->run, job->arg, &scratch);
    arena_done(&scratch);
    free(job);
    return NULL;
}

/* Under the lock. */
static bool start_thread(struct run *run, run_fn fn, void *arg)
{
    pthread_attr_t attr;
    if (run->thread_count == THREADS_MAX)
        return false;
    struct job *job = mem_zalloc(1, sizeof *job);
    *job = (struct job){ .run = run, .fn = fn, .arg = arg };
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    bool started = pthread_create(&run->threads[run->thread_count], &attr, job_main, job) == 0;
    (void)pthread_attr_destroy(&attr);
    run->thread_count += started;
    if (!started)
        free(job);
    return started;
}

/* Only threads start threads, and those are joined here: when the list ends, nobody is left to make it longer. */
static void join_all(struct run *run)
{
    for (size_t i = 0;; i++) {
        lock(run);
        bool more = i < run->thread_count;
        pthread_t thread = more ? run->threads[i] : pthread_self();
        if (!more)
            run->thread_count = 0;
        unlock(run);
        if (!more)
            return;
        (void)pthread_join(thread, NULL);
    }
}

/* ---- the trail and the notes ---- */

static void add_step(struct run *run, enum discover_method method, enum discover_why why,
    struct slice subject, struct slice detail)
{
    if (run->step_count == STEPS_MAX)
        return;
    run->steps[run->step_count++] = (struct discover_step){
        .at_ms = (int)(clock_mono_ms() - run->begin_ms),
        .method = method,
        .why = why,
        .subject = keep_start(run, subject, DETAIL_BYTES_MAX * 4),
        .detail = keep_start(run, detail, DETAIL_BYTES_MAX),
    };
}

void run_step(struct run *run, enum discover_method method, enum discover_why why,
    struct slice subject, struct slice detail)
{
    lock(run);
    add_step(run, method, why, subject, detail);
    unlock(run);
}

void run_start(struct run *run, run_fn fn, void *arg)
{
    lock(run);
    if (!start_thread(run, fn, arg))
        add_step(run, DISCOVER_DOMAIN, DISCOVER_TOO_MANY, run->name.domain, SLICE_EMPTY);
    unlock(run);
}

void run_note(
    struct run *run, enum discover_method method, enum discover_note_id id, struct slice url)
{
    lock(run);
    bool there = run->note_count == sizeof run->notes / sizeof run->notes[0];
    for (size_t i = 0; i < run->note_count; i++)
        there = there || run->notes[i].id == id;
    if (!there) {
        run->note_methods[run->note_count] = method;
        run->notes[run->note_count++] = (struct discover_note){ id, keep(run, url) };
    }
    unlock(run);
}

/* The first to say so is believed: our table speaks before anybody else is asked. */
void run_provider(struct run *run, enum discover_method method, struct slice id, struct slice name,
    bool files_sent_copy)
{
    lock(run);
    if (id.len && !run->provider_id.len) {
        run->provider_id = keep(run, id);
        run->provider_name = keep(run, name);
        run->provider_method = method;
        run->files_sent_copy = files_sent_copy;
    } else if (!id.len && !run->document_name.len) {
        run->document_name = keep_start(run, name, NAME_BYTES_MAX);
    }
    unlock(run);
}

void run_oauth(struct run *run, enum discover_method method, const struct discover_oauth *oauth)
{
    lock(run);
    if (!run->has_oauth || method < run->oauth_method) {
        run->has_oauth = true;
        run->oauth_method = method;
        run->oauth = (struct discover_oauth){ .issuer = keep(run, oauth->issuer),
            .authorization_url = SLICE_EMPTY,
            .token_url = SLICE_EMPTY,
            .device_url = SLICE_EMPTY,
            .scope = keep(run, oauth->scope) };
    }
    unlock(run);
}

void run_domain(struct run *run, bool exists, bool answered)
{
    lock(run);
    run->domain_asked = true;
    run->domain_missing = !exists;
    run->domain_answered = answered;
    unlock(run);
}

/* ---- calling servers up ---- */

/* What a failure means: nobody there (perhaps later), or somebody who should not be trusted with a password. */
static enum state state_of(enum discover_why why)
{
    switch (why) {
    case DISCOVER_SETTLED:
        return SETTLED;
    case DISCOVER_UNREACHABLE:
    case DISCOVER_LATE:
        return SILENT;
    default:
        return REFUSED;
    }
}

/* That mail.DOMAIN has no POP3 is no news when nobody but us ever thought so. */
static bool worth_telling(const struct candidate *candidate, enum discover_why why)
{
    return candidate->server.method != DISCOVER_GUESS ||
           (why != DISCOVER_NOT_THERE && why != DISCOVER_UNREACHABLE && why != DISCOVER_LATE);
}

static void call_up(struct run *run, void *arg, struct arena *scratch)
{
    struct candidate *candidate = arg;
    struct err_note note = { "" };
    unsigned auth = 0;
    char subject[320];
    lock(run);
    struct discover_server server = candidate->server;
    struct check check = { .protocol = server.protocol,
        .security = server.security,
        .host = server.host.ptr,
        .port = server.port,
        .ca_file = run->options.ca_file,
        .private_ok = candidate->private_ok,
        .until_ms = run->end_ms };
    unlock(run);
    enum discover_why why = check_server(run->dns, &check, scratch, &auth, &note);
    (void)snprintf(subject, sizeof subject, "%s %s:%d %s", discover_protocol_name(server.protocol),
        server.host.ptr, server.port, discover_security_name(server.security));
    lock(run);
    candidate->state = state_of(why);
    candidate->server.settled = why == DISCOVER_SETTLED;
    if (candidate->server.settled)
        candidate->server.auth = auth;
    if (worth_telling(candidate, why))
        add_step(run, DISCOVER_CHECK, why, slice_of(subject), slice_of(note.text));
    unlock(run);
}

static struct candidate *find(struct run *run, const struct settings_server *server)
{
    for (size_t i = 0; i < run->candidate_count; i++) {
        const struct discover_server *one = &run->candidates[i]->server;
        if (one->protocol == server->protocol && one->security == server->security &&
            one->port == server->port && slice_eq(one->host, server->host))
            return run->candidates[i];
    }
    return NULL;
}

/* The same server named again: the better source decides what is said of it, and one that may be believed is enough. */
static void claim(struct run *run, struct candidate *candidate,
    const struct settings_server *server, enum discover_method method, bool foreign, bool dnssec)
{
    struct discover_server *have = &candidate->server;
    have->foreign = have->foreign && foreign;
    have->dnssec = have->dnssec || dnssec;
    if (method >= have->method)
        return;
    have->method = method;
    have->user = keep(run, server->user);
    if (!have->settled && server->auth)
        have->auth = server->auth;
}

static struct candidate *new_candidate(struct run *run, const struct settings_server *server)
{
    struct candidate *candidate = arena_zalloc(run->arena, 1, sizeof *candidate);
    run->over = run->over || !candidate;
    if (!candidate)
        return NULL;
    candidate->server = (struct discover_server){ .protocol = server->protocol,
        .security = server->security,
        .port = server->port,
        .auth = server->auth,
        .host = keep(run, server->host),
        .user = keep(run, server->user) };
    candidate->server.shown = name_shown(candidate->server.host, run->arena);
    if (!candidate->server.shown.ptr)
        candidate->server.shown = candidate->server.host;
    candidate->private_ok = slice_eq(name_base(candidate->server.host), run->name.base);
    return candidate;
}

void run_candidate(struct run *run, const struct settings_server *server,
    enum discover_method method, bool signed_answer)
{
    bool foreign = rank_is_foreign(&run->name, server->host, method, signed_answer);
    bool dnssec = method == DISCOVER_SRV && signed_answer;
    lock(run);
    struct candidate *candidate = find(run, server);
    if (candidate) {
        claim(run, candidate, server, method, foreign, dnssec);
    } else if (run->candidate_count == CANDIDATES_MAX) {
        add_step(run, method, DISCOVER_TOO_MANY, server->host, SLICE_EMPTY);
    } else if ((candidate = new_candidate(run, server))) {
        candidate->server.method = method;
        candidate->server.foreign = foreign;
        candidate->server.dnssec = dnssec;
        candidate->state = CALLED;
        if (start_thread(run, call_up, candidate))
            run->candidates[run->candidate_count++] = candidate;
        else
            add_step(run, method, DISCOVER_TOO_MANY, server->host, SLICE_EMPTY);
    }
    unlock(run);
}

void run_settings(struct run *run, enum discover_method method, enum discover_why why,
    const struct settings *settings, struct slice subject)
{
    run_step(run, method, why, subject, SLICE_EMPTY);
    if (why != DISCOVER_FOUND)
        return;
    if (settings->too_many)
        run_step(run, method, DISCOVER_TOO_MANY, subject, SLICE_EMPTY);
    if (settings->bad_name)
        run_step(run, method, DISCOVER_BAD_NAME, subject, SLICE_EMPTY);
    if (settings->plain)
        run_step(run, method, DISCOVER_PLAIN_ONLY, subject, SLICE_EMPTY);
    if (settings->provider.len)
        run_provider(run, method, SLICE_EMPTY, settings->provider, false);
    if (settings->switch_on.len)
        run_note(run, method, DISCOVER_SWITCH_ON, settings->switch_on);
    if (settings->oauth_issuer.len)
        run_oauth(run, method,
            &(struct discover_oauth){
                .issuer = settings->oauth_issuer, .scope = settings->oauth_scope });
    for (size_t i = 0; i < settings->count; i++)
        run_candidate(run, &settings->servers[i], method, false);
}

/* ---- the search ---- */

static bool has_settled(const struct run *run, enum discover_protocol protocol)
{
    for (size_t i = 0; i < run->candidate_count; i++)
        if (run->candidates[i]->state == SETTLED && run->candidates[i]->server.protocol == protocol)
            return true;
    return false;
}

/* What our table names may be out of date, and of many providers it names no POP3 server: then the others are asked. All threads have ended. */
static bool table_was_enough(const struct run *run, bool has_pop3)
{
    return has_settled(run, DISCOVER_IMAP) && has_settled(run, DISCOVER_SMTP) &&
           (!has_pop3 || has_settled(run, DISCOVER_POP3));
}

static void start_all(struct run *run)
{
    static const struct {
        enum discover_method method;
        run_fn fn;
        const char *arg;
    } rows[] = {
        { DISCOVER_MX, method_mx, "" },
        { DISCOVER_PACC, method_pacc, "" },
        { DISCOVER_AUTOCONFIG, method_autoconfig, "" },
        { DISCOVER_WELL_KNOWN, method_well_known, "" },
        { DISCOVER_SRV, method_srv, "_imaps._tcp." },
        { DISCOVER_SRV, method_srv, "_imap._tcp." },
        { DISCOVER_SRV, method_srv, "_pop3s._tcp." },
        { DISCOVER_SRV, method_srv, "_pop3._tcp." },
        { DISCOVER_SRV, method_srv, "_submissions._tcp." },
        { DISCOVER_SRV, method_srv, "_submission._tcp." },
        { DISCOVER_ISPDB, method_ispdb, "" },
        { DISCOVER_AUTODISCOVER, method_autodiscover, "https://autodiscover." },
        { DISCOVER_AUTODISCOVER, method_autodiscover, "https://" },
        { DISCOVER_JMAP, method_jmap, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (run_wants(run, rows[i].method))
            run_start(run, rows[i].fn, run_copy(run, slice_of(rows[i].arg)));
    if (run_wants(run, DISCOVER_GUESS))
        method_guess(run);
}

static void search(struct run *run)
{
    bool all = (run->options.methods & DISCOVER_ALL_METHODS) == DISCOVER_ALL_METHODS;
    bool closed = false;
    int64_t end_ms = run->end_ms;
    if (run_wants(run, DISCOVER_TABLE)) {
        run->end_ms = run->begin_ms + (end_ms - run->begin_ms) * TABLE_SHARE / 100;
        bool has_pop3 = true;
        bool known = method_table(run, &closed, &has_pop3);
        join_all(run);
        run->end_ms = end_ms;
        if (known && (closed || (all && table_was_enough(run, has_pop3)))) {
            run_step(run, DISCOVER_DOMAIN, DISCOVER_NOT_NEEDED, run->name.domain, SLICE_EMPTY);
            return;
        }
    }
    start_all(run);
    join_all(run);
    size_t guessed = 0;
    for (size_t i = 0; i < run->candidate_count; i++)
        guessed += run->candidates[i]->server.method == DISCOVER_GUESS &&
                   run->candidates[i]->state == SETTLED;
    if (run_wants(run, DISCOVER_GUESS))
        run_step(run, DISCOVER_GUESS, guessed ? DISCOVER_FOUND : DISCOVER_NOT_THERE,
            run->name.domain, SLICE_EMPTY);
}

/* ---- the result ---- */

static bool is_result(const struct candidate *candidate)
{
    return candidate->state == SETTLED ||
           (candidate->state == SILENT && candidate->server.method != DISCOVER_GUESS);
}

/* Insertion keeps equals as they came, which qsort would not promise; SRV records were put into their order. */
static void sort(struct discover_server *servers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct discover_server one = servers[i];
        size_t k = i;
        for (; k && rank_compare(&one, &servers[k - 1]) < 0; k--)
            servers[k] = servers[k - 1];
        servers[k] = one;
    }
}

/* The best that was found comes from a source that knows better than the provider which the MX shows: a firm may receive its mail at one place and keep
 * it at another. Then what our table says of that provider does not concern this mailbox. */
static bool mx_provider_counts(const struct discover_result *result)
{
    return result->server_count == 0 || result->servers[0].method >= DISCOVER_MX_TABLE;
}

static void write_notes(const struct run *run, struct discover_result *result)
{
    for (size_t i = 0; i < run->note_count; i++)
        if (run->note_methods[i] != DISCOVER_MX_TABLE || mx_provider_counts(result))
            result->notes[result->note_count++] = run->notes[i];
}

static void write_provider(const struct run *run, struct discover_result *result)
{
    bool ours = run->provider_id.len &&
                (run->provider_method != DISCOVER_MX_TABLE || mx_provider_counts(result));
    result->provider_id = ours ? run->provider_id : SLICE_EMPTY;
    result->provider_name = ours ? run->provider_name : run->document_name;
}

/* The host of an https address. */
static struct slice host_of(struct slice url)
{
    size_t len = 0;
    url = slice_from_index(url, sizeof "https://" - 1);
    while (len < url.len && url.ptr[len] != '/' && url.ptr[len] != ':')
        len++;
    return slice_sub(url, 0, len);
}

/* Where a document may send somebody to log in: to the owner of the address's domain, or of every server that would get the tokens. */
static bool oauth_fits(const struct run *run, const struct discover_result *result)
{
    struct slice base = name_base(host_of(run->oauth.issuer));
    if (slice_eq_nocase(base, run->name.base))
        return true;
    for (int i = 0; i < DISCOVER_PROTOCOLS; i++) {
        const struct discover_server *server =
            discover_best(result, (enum discover_protocol)i, true);
        if (server && !slice_eq_nocase(name_base(server->host), base))
            return false;
    }
    return result->server_count > 0;
}

static void write_oauth(const struct run *run, struct discover_result *result)
{
    struct table_provider provider;
    result->oauth =
        (struct discover_oauth){ SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY };
    if (result->provider_id.len && table_by_id(result->provider_id, &provider) &&
        table_oauth(&provider, &result->oauth))
        return;
    if (run->has_oauth && oauth_fits(run, result))
        result->oauth = run->oauth;
}

static bool files_sent_copy(const struct run *run, const struct discover_result *result)
{
    const struct discover_server *smtp = discover_best(result, DISCOVER_SMTP, false);
    return run->files_sent_copy && smtp &&
           (smtp->method == DISCOVER_TABLE || smtp->method == DISCOVER_MX_TABLE);
}

static enum err write_result(struct run *run, struct discover_result *out_result)
{
    struct arena *arena = run->arena;
    /* our table knows of mailboxes there: a resolver that denies the domain has no way to the world, or does not tell it */
    bool denied =
        run->domain_missing && run->provider_id.len && run->provider_method == DISCOVER_TABLE;
    struct discover_result result = { .address = run->name.address,
        .domain = run->name.domain,
        .domain_exists = !run->domain_missing || denied,
        .network_down =
            denied || (run->domain_asked && !run->domain_answered && !run->domain_missing),
        .step_count = run->step_count };
    result.servers = arena_zalloc(arena, run->candidate_count + 1, sizeof *result.servers);
    result.notes = arena_zalloc(arena, run->note_count + 1, sizeof *result.notes);
    result.trail = arena_zalloc(arena, run->step_count + 1, sizeof *result.trail);
    if (run->over || !result.servers || !result.notes || !result.trail)
        return ERR_LIMIT;
    for (size_t i = 0; i < run->candidate_count; i++)
        if (is_result(run->candidates[i]))
            result.servers[result.server_count++] = run->candidates[i]->server;
    sort(result.servers, result.server_count);
    write_provider(run, &result);
    write_oauth(run, &result);
    write_notes(run, &result);
    result.files_sent_copy = files_sent_copy(run, &result);
    memcpy(result.trail, run->steps, run->step_count * sizeof *result.trail);
    *out_result = result;
    return ERR_OK;
}

enum err discover(const struct discover_options *options, struct slice address, struct arena *arena,
    struct discover_result *out_result, struct err_note *note)
{
    struct name name;
    enum err e = name_read(address, arena, &name);
    if (e != ERR_OK)
        return err_noted(note, e, "that is no mail address");
    struct run *run = mem_zalloc(1, sizeof *run);
    run->options = *options;
    if (!run->options.methods)
        run->options.methods = DISCOVER_ALL_METHODS;
    int timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DISCOVER_TIMEOUT_MS;
    run->name = name;
    run->arena = arena;
    run->begin_ms = clock_mono_ms();
    run->end_ms = run->begin_ms + timeout_ms;
    run->until_ms = run->begin_ms + (int64_t)timeout_ms * METHODS_SHARE / 100;
    run->provider_id = run->provider_name = run->document_name = SLICE_EMPTY;
    (void)pthread_mutex_init(&run->lock, NULL);
    e = dns_open(options->resolver, &run->dns, note);
    if (e == ERR_OK) {
        search(run);
        e = write_result(run, out_result);
        if (e != ERR_OK)
            (void)err_noted(note, e, "the answers are larger than their memory");
    }
    dns_close(run->dns);
    (void)pthread_mutex_destroy(&run->lock);
    free(run);
    return e;
}

const struct discover_server *discover_best(
    const struct discover_result *result, enum discover_protocol protocol, bool only_settled)
{
    for (size_t i = 0; i < result->server_count; i++) {
        const struct discover_server *server = &result->servers[i];
        if (server->protocol == protocol && (server->settled || !only_settled))
            return server;
    }
    return NULL;
}
