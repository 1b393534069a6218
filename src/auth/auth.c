/* Passwords checked for many connections at once.
 *
 *     A-1  An unknown name, a wrong password and a disabled user do the same work and get the same answer.
 *     A-2  At most hash_threads hashes run at once, and a bounded number waits: more is ERR_BUSY, never a growing queue.
 *     A-3  An attempt is counted before the password is looked at and given back when it was right, so that a thousand attempts
 *          at once get no further than a thousand one after the other.
 *     A-4  What is refused is keyed by address, or by user and address: nobody can lock a user out from elsewhere. Failures of a user
 *          from everywhere only slow down further failures.
 *     A-5  The cache holds keyed digests of (user, stored hash, password): no password can be had from it without the key, which lives
 *          in this process only, and a changed hash matches nothing. App passwords are never in it: their hash is fast.
 *     A-6  A text that has the shape of an app password is compared with those of the user before the slow hash, and whatever does not let it in
 *          (not there, expired, another network) leads to the slow hash of A-1. A SCRAM proof is tried with the same number of keys for everybody.
 *
 * Lock order: gate, throttle and cache locks are leaves; none is held while another is taken or while the directory is asked. */
#include "auth/auth.h"

#include "auth/app_password.h"
#include "auth/directory_int.h"
#include "auth/throttle.h"
#include "base/clock.h"
#include "base/rand.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CACHE_GROUPS        1024u /* of CACHE_GROUP_ENTRIES; 40 bytes each */
#define CACHE_GROUP_ENTRIES 4u
#define CACHE_S             300u
#define FAILURES_FREE       5u
#define ADDRESS_FAILURES_MAX                                                                       \
    45.0                       /* beyond the free ones, then refused; offices share one address */
#define USER_FAILURES_MAX 20.0 /* of one user from one address */
#define EVERYWHERE_FREE                                                                            \
    100.0 /* failures of one user from all addresses before they are slowed down */
#define LOCAL_WEIGHT        0.005 /* a failure from loopback: a thousand before the first delay */
#define DELAY_MS_MAX        15000
#define DELAY_EVERYWHERE_MS 2000
#define DELAY_REFUSED_MS    5000
#define WAITING_PER_THREAD  64u /* about three seconds of work */
#define TABLE_ENTRIES       32768u

struct cache_entry {
    unsigned char digest[32];
    int64_t until_ms;
};

struct auth {
    struct directory *directory; /* borrowed */
    double failures_free;
    int64_t cache_ms;
    unsigned char digest_key[32], throttle_key[32];

    pthread_mutex_t gate_lock;
    pthread_cond_t gate_free;
    unsigned gate_threads, gate_running, gate_waiting;

    pthread_mutex_t throttle_lock;
    struct throttle by_address, by_user_address, by_user;

    pthread_mutex_t cache_lock;
    struct cache_entry *cache;
};

struct auth *auth_new(struct directory *directory, const struct auth_options *options)
{
    struct auth *auth = mem_zalloc(1, sizeof *auth);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    auth->directory = directory;
    auth->failures_free = options->failures_free ? options->failures_free : FAILURES_FREE;
    auth->cache_ms = 1000 * (int64_t)(options->cache_s ? options->cache_s : CACHE_S);
    auth->gate_threads = options->hash_threads ? options->hash_threads
                         : cores > 1           ? (unsigned)cores
                                               : 1;
    rand_bytes(auth->digest_key, sizeof auth->digest_key);
    rand_bytes(auth->throttle_key, sizeof auth->throttle_key);
    pthread_mutex_init(&auth->gate_lock, NULL);
    pthread_cond_init(&auth->gate_free, NULL);
    pthread_mutex_init(&auth->throttle_lock, NULL);
    pthread_mutex_init(&auth->cache_lock, NULL);
    throttle_init(&auth->by_address, TABLE_ENTRIES, 30);
    throttle_init(&auth->by_user_address, TABLE_ENTRIES, 30);
    throttle_init(&auth->by_user, TABLE_ENTRIES, 10);
    auth->cache = mem_zalloc((size_t)CACHE_GROUPS * CACHE_GROUP_ENTRIES, sizeof *auth->cache);
    return auth;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    throttle_done(&auth->by_address);
    throttle_done(&auth->by_user_address);
    throttle_done(&auth->by_user);
    sodium_memzero(auth->cache, (size_t)CACHE_GROUPS * CACHE_GROUP_ENTRIES * sizeof *auth->cache);
    free(auth->cache);
    pthread_mutex_destroy(&auth->gate_lock);
    pthread_cond_destroy(&auth->gate_free);
    pthread_mutex_destroy(&auth->throttle_lock);
    pthread_mutex_destroy(&auth->cache_lock);
    sodium_memzero(auth, sizeof *auth);
    free(auth);
}

/* ---- names ---- */

struct name {
    char canonical[USER_NAME_BYTES_MAX + 1]; /* "" when the name can be nobody's */
    struct slice key;                        /* what failures are counted under */
};

static void name_of(struct auth *auth, struct slice user_name, struct name *out)
{
    out->canonical[0] = '\0';
    if (slice_index(user_name, '@') < user_name.len) {
        if (address_canonical(user_name, out->canonical))
            out->canonical[0] = '\0';
    } else if (user_name.len <= USER_NAME_BYTES_MAX) {
        char domain[USER_NAME_BYTES_MAX + 1], whole[USER_NAME_BYTES_MAX * 2 + 2];
        if (directory_sole_domain(auth->directory, domain) == ERR_OK) {
            int len = snprintf(whole, sizeof whole, "%.*s@%s", SLICE_FMT(user_name), domain);
            /* a NUL in the name ends it early for snprintf: then it is nobody's */
            if ((size_t)len != user_name.len + 1 + strlen(domain) ||
                address_canonical(slice_from(whole, (size_t)len), out->canonical))
                out->canonical[0] = '\0';
        }
    }
    out->key =
        out->canonical[0] ? slice_of(out->canonical) : slice_sub(user_name, 0, USER_NAME_BYTES_MAX);
}

/* ---- throttling ---- */

struct attempt {
    struct throttle_key address, user_address, user;
    bool local;
    double weight;
};

/* IPv4 address, or the /64 of an IPv6 one: whoever has one address of it has them all. */
static size_t network_of(const struct auth_peer *peer, unsigned char out[64])
{
    unsigned char v6[16];
    if (peer->local) {
        memcpy(out, "local", 5);
        return 5;
    }
    if (inet_pton(AF_INET, peer->address, out) == 1)
        return 4;
    if (inet_pton(AF_INET6, peer->address, v6) == 1) {
        static const unsigned char mapped[12] = { [10] = 0xFF, [11] = 0xFF };
        bool is_mapped = memcmp(v6, mapped, sizeof mapped) == 0;
        memcpy(out, is_mapped ? v6 + 12 : v6, is_mapped ? 4 : 8);
        return is_mapped ? 4 : 8;
    }
    size_t len = strnlen(peer->address, 64);
    memcpy(out, peer->address, len);
    return len;
}

static struct throttle_key key_of(const struct auth *auth, char kind, const unsigned char *network,
    size_t network_len, struct slice user)
{
    struct throttle_key key;
    unsigned char head[2] = { (unsigned char)kind, (unsigned char)network_len };
    crypto_generichash_state state;
    crypto_generichash_init(&state, auth->throttle_key, sizeof auth->throttle_key, sizeof key);
    crypto_generichash_update(&state, head, sizeof head);
    crypto_generichash_update(&state, network, network_len);
    crypto_generichash_update(&state, (const unsigned char *)user.ptr, user.len);
    crypto_generichash_final(&state, (unsigned char *)&key, sizeof key);
    return key;
}

static struct attempt attempt_of(
    const struct auth *auth, const struct auth_peer *peer, struct slice user)
{
    unsigned char network[64];
    size_t len = network_of(peer, network);
    return (struct attempt){
        .address = key_of(auth, 'a', network, len, SLICE_EMPTY),
        .user_address = key_of(auth, 'b', network, len, user),
        .user = key_of(auth, 'u', network, 0, user),
        .local = peer->local,
        .weight = peer->local ? LOCAL_WEIGHT : 1,
    };
}

/* Whether one more attempt is let through. With `count`, it is counted as if it had failed. */
static bool attempt_begin(
    struct auth *auth, const struct attempt *attempt, bool count, int *out_delay_ms)
{
    int64_t now_ms = clock_mono_ms();
    double free = auth->failures_free;
    pthread_mutex_lock(&auth->throttle_lock);
    bool pass = throttle_level(&auth->by_user_address, attempt->user_address, now_ms) <
                free + USER_FAILURES_MAX;
    if (pass && !attempt->local)
        pass = throttle_level(&auth->by_address, attempt->address, now_ms) <
               free + ADDRESS_FAILURES_MAX;
    if (pass && count) {
        throttle_add(&auth->by_user_address, attempt->user_address, attempt->weight, now_ms);
        if (!attempt->local)
            throttle_add(&auth->by_address, attempt->address, attempt->weight, now_ms);
    }
    pthread_mutex_unlock(&auth->throttle_lock);
    if (!pass)
        *out_delay_ms = attempt->local ? 0 : DELAY_REFUSED_MS;
    return pass;
}

/* Takes the count back. right: the user is who he says; then what he mistyped before is forgotten too, but not what others did
 * from his address: an account of one's own must not pay for guessing at others. */
static void attempt_undo(struct auth *auth, const struct attempt *attempt, bool right)
{
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&auth->throttle_lock);
    if (right)
        throttle_clear(&auth->by_user_address, attempt->user_address);
    else
        throttle_add(&auth->by_user_address, attempt->user_address, -attempt->weight, now_ms);
    if (!attempt->local)
        throttle_add(&auth->by_address, attempt->address, -attempt->weight, now_ms);
    pthread_mutex_unlock(&auth->throttle_lock);
}

static int longer(int a, int b)
{
    return a > b ? a : b;
}

static int attempt_failed(struct auth *auth, const struct attempt *attempt)
{
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&auth->throttle_lock);
    double everywhere = throttle_add(&auth->by_user, attempt->user, attempt->weight, now_ms);
    double pair = throttle_level(&auth->by_user_address, attempt->user_address, now_ms);
    double address =
        attempt->local ? 0 : throttle_level(&auth->by_address, attempt->address, now_ms);
    pthread_mutex_unlock(&auth->throttle_lock);
    int delay_ms = longer(throttle_delay_ms(pair, auth->failures_free, DELAY_MS_MAX),
        throttle_delay_ms(address, auth->failures_free, DELAY_MS_MAX));
    return longer(delay_ms, throttle_delay_ms(everywhere, EVERYWHERE_FREE, DELAY_EVERYWHERE_MS));
}

/* ---- the gate ---- */

static bool gate_enter(struct auth *auth)
{
    pthread_mutex_lock(&auth->gate_lock);
    bool pass = auth->gate_waiting < auth->gate_threads * WAITING_PER_THREAD;
    if (pass) {
        auth->gate_waiting++;
        while (auth->gate_running >= auth->gate_threads)
            pthread_cond_wait(&auth->gate_free, &auth->gate_lock);
        auth->gate_waiting--;
        auth->gate_running++;
    }
    pthread_mutex_unlock(&auth->gate_lock);
    return pass;
}

static void gate_leave(struct auth *auth)
{
    pthread_mutex_lock(&auth->gate_lock);
    auth->gate_running--;
    pthread_cond_signal(&auth->gate_free);
    pthread_mutex_unlock(&auth->gate_lock);
}

/* ---- the cache ---- */

static void digest_of(const struct auth *auth, const char *id, const char *hash,
    struct slice password, unsigned char out[32])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, auth->digest_key, sizeof auth->digest_key, 32);
    /* with their NULs: no two triples give the same bytes */
    crypto_generichash_update(&state, (const unsigned char *)id, strlen(id) + 1);
    crypto_generichash_update(&state, (const unsigned char *)hash, strlen(hash) + 1);
    crypto_generichash_update(&state, (const unsigned char *)password.ptr, password.len);
    crypto_generichash_final(&state, out, 32);
    sodium_memzero(&state, sizeof state);
}

static struct cache_entry *cache_group(struct auth *auth, const unsigned char digest[32])
{
    uint32_t index;
    memcpy(&index, digest, sizeof index);
    return auth->cache + (index % CACHE_GROUPS) * CACHE_GROUP_ENTRIES;
}

static bool cache_has(struct auth *auth, const unsigned char digest[32])
{
    int64_t now_ms = clock_mono_ms();
    bool found = false;
    pthread_mutex_lock(&auth->cache_lock);
    const struct cache_entry *group = cache_group(auth, digest);
    for (size_t i = 0; i < CACHE_GROUP_ENTRIES; i++)
        found |= group[i].until_ms > now_ms && sodium_memcmp(group[i].digest, digest, 32) == 0;
    pthread_mutex_unlock(&auth->cache_lock);
    return found;
}

static void cache_put(struct auth *auth, const unsigned char digest[32])
{
    pthread_mutex_lock(&auth->cache_lock);
    struct cache_entry *group = cache_group(auth, digest), *oldest = group;
    for (size_t i = 1; i < CACHE_GROUP_ENTRIES; i++)
        if (group[i].until_ms < oldest->until_ms)
            oldest = &group[i];
    memcpy(oldest->digest, digest, 32);
    oldest->until_ms = clock_mono_ms() + auth->cache_ms;
    pthread_mutex_unlock(&auth->cache_lock);
}

/* ---- passwords ---- */

/* Makes the hash anew, by today's costs, from the password that was just right. Failing costs nothing: the next login tries again. */
static void upgrade(struct auth *auth, const struct user *user, struct slice password,
    struct password_record *record)
{
    struct password_record made;
    if (password_make(password, &record->scram, &made) == ERR_OK &&
        directory_upgrade(auth->directory, slice_of(user->id), record->hash, &made) == ERR_OK)
        *record = made;
    sodium_memzero(&made, sizeof made);
}

/* The slow part: one hash, whoever it is. user NULL: nobody. */
static enum err check_slowly(struct auth *auth, const struct user *user,
    struct password_record *record, struct slice password, bool *out_right)
{
    if (!gate_enter(auth))
        return ERR_BUSY;
    enum err e = ERR_OK;
    *out_right = false;
    if (user)
        e = password_check(record, password, out_right);
    else
        password_check_nobody(password);
    if (!e && *out_right && password_is_dated(record))
        upgrade(auth, user, password, record);
    gate_leave(auth);
    return e;
}

static enum err check(struct auth *auth, const struct user *user, struct password_record *record,
    struct slice password, bool *out_right)
{
    unsigned char digest[32];
    if (user) {
        digest_of(auth, user->id, record->hash, password, digest);
        if (cache_has(auth, digest)) {
            *out_right = true;
            return ERR_OK;
        }
    }
    TRY(check_slowly(auth, user, record, password, out_right));
    if (user && *out_right) {
        digest_of(auth, user->id, record->hash, password, digest);
        cache_put(auth, digest);
    }
    return ERR_OK;
}

/* ---- app passwords ---- */

static bool is_usable(
    const struct app_password_row *row, const struct auth_peer *peer, int64_t now_s)
{
    return (row->expires_s == 0 || now_s < row->expires_s) &&
           (row->networks.len == 0 || networks_have(row->networks, peer->address));
}

struct looking {
    const struct auth_peer *peer;
    int64_t now_s;
    unsigned char hash[APP_PASSWORD_HASH_BYTES];
    struct user *user; /* device and services are set when one fits */
};

static void look(void *looking_arg, const struct app_password_row *row)
{
    struct looking *looking = looking_arg;
    if (row->hash.len == sizeof looking->hash &&
        sodium_memcmp(row->hash.ptr, looking->hash, sizeof looking->hash) == 0 &&
        is_usable(row, looking->peer, looking->now_s)) {
        looking->user->device = row->id;
        looking->user->services &= row->services;
    }
}

/* Whether the password is an app password of the user's; user->device tells. A user that is not there has none, after the same work. */
static enum err check_app_password(struct auth *auth, const struct auth_peer *peer,
    const struct password_record *record, struct slice password, struct user *user)
{
    char canonical[APP_PASSWORD_CHARS + 1];
    struct looking looking = { .peer = peer, .now_s = clock_wall_s(), .user = user };
    if (!app_password_canonical(password, canonical))
        return ERR_OK;
    app_password_hash(record->scram.salt, canonical, looking.hash);
    sodium_memzero(canonical, sizeof canonical);
    enum err e = directory_app_passwords(auth->directory, slice_of(user->id), look, &looking);
    sodium_memzero(looking.hash, sizeof looking.hash);
    return e;
}

/* The record and the user of that name; "" as its id when nobody may log in under it. */
static enum err find_user(struct auth *auth, const struct name *name, struct user *out_user,
    struct password_record *out_record)
{
    enum err e = name->canonical[0] ? directory_secret(auth->directory, slice_of(name->canonical),
                                          out_user, out_record)
                                    : ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND)
        e = ERR_OK;
    if (!e && out_user->disabled)
        out_user->id[0] = '\0';
    return e;
}

enum err auth_password(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
    struct slice password, struct user *out_user, int *out_delay_ms)
{
    struct name name;
    struct user user = { 0 };
    struct password_record record = { 0 };
    bool right = false;
    *out_delay_ms = 0;
    name_of(auth, user_name, &name);
    struct attempt attempt = attempt_of(auth, peer, name.key);
    if (!attempt_begin(auth, &attempt, true, out_delay_ms))
        return ERR_BUSY;
    enum err e = find_user(auth, &name, &user, &record);
    if (!e)
        e = check_app_password(auth, peer, &record, password, &user);
    if (!e && user.device)
        right = true;
    else if (!e)
        e = check(auth, user.id[0] ? &user : NULL, &record, password, &right);
    sodium_memzero(&record, sizeof record);
    if (e) {
        attempt_undo(auth, &attempt, false);
        return e;
    }
    if (!right) {
        *out_delay_ms = attempt_failed(auth, &attempt);
        return ERR_AUTH;
    }
    attempt_undo(auth, &attempt, true);
    if (!(user.services & peer->service))
        return ERR_DENIED;
    *out_user = user;
    return ERR_OK;
}

/* ---- SCRAM ---- */

/* The same for a name at any time, and like a real one in every way that can be seen. */
static void invent(struct auth *auth, struct slice name, struct scram_secret *out)
{
    unsigned char bytes[crypto_generichash_BYTES_MAX];
    crypto_generichash(bytes, sizeof bytes, (const unsigned char *)name.ptr, name.len,
        auth->directory->name_key, sizeof auth->directory->name_key);
    *out = (struct scram_secret){ .iterations = SCRAM_ITERATIONS };
    memcpy(out->salt, bytes, SCRAM_SALT_BYTES);
}

enum err auth_scram_begin(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
    struct scram_secret *out_challenge)
{
    struct name name;
    struct user user = { 0 };
    struct password_record record = { 0 };
    struct scram_secret challenge;
    int delay_ms;
    name_of(auth, user_name, &name);
    struct attempt attempt = attempt_of(auth, peer, name.key);
    if (!attempt_begin(auth, &attempt, false, &delay_ms))
        return ERR_BUSY;
    TRY(find_user(auth, &name, &user, &record));
    invent(auth, name.key, &challenge);
    if (record.scram.iterations > 0) {
        challenge.iterations = record.scram.iterations;
        memcpy(challenge.salt, record.scram.salt, SCRAM_SALT_BYTES);
    }
    sodium_memzero(&record, sizeof record);
    *out_challenge = challenge;
    return ERR_OK;
}

struct gathering {
    const struct auth_peer *peer;
    int64_t now_s;
    struct auth_scram *scram;
    size_t count;
};

static void gather(void *gathering_arg, const struct app_password_row *row)
{
    struct gathering *g = gathering_arg;
    static_assert(AUTH_SCRAM_KEYS == 1 + APP_PASSWORD_SPELLINGS * APP_PASSWORDS_PER_USER_MAX,
        "room for the keys of all");
    struct scram_keys keys[APP_PASSWORD_SPELLINGS];
    if (row->keys.len != sizeof keys || g->count + APP_PASSWORD_SPELLINGS > AUTH_SCRAM_KEYS ||
        !is_usable(row, g->peer, g->now_s))
        return;
    memcpy(keys, row->keys.ptr, sizeof keys);
    for (size_t i = 0; i < APP_PASSWORD_SPELLINGS; i++, g->count++) {
        g->scram->keys[g->count] = keys[i];
        g->scram->of[g->count].device = row->id;
        g->scram->of[g->count].services = row->services;
    }
    sodium_memzero(keys, sizeof keys);
}

enum err auth_scram_keys(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
    struct auth_scram *out_scram)
{
    struct name name;
    struct password_record record = { 0 };
    struct auth_scram *scram = out_scram;
    struct gathering g = { .peer = peer, .now_s = clock_wall_s(), .scram = scram, .count = 1 };
    memset(scram, 0, sizeof *scram);
    rand_bytes(scram->keys, sizeof scram->keys); /* made of no password: nothing fits them */
    name_of(auth, user_name, &name);
    TRY(find_user(auth, &name, &scram->user, &record));
    if (record.has_scram && scram->user.id[0]) {
        memcpy(scram->keys[0].stored, record.scram.stored_key, SCRAM_KEY_BYTES);
        memcpy(scram->keys[0].server, record.scram.server_key, SCRAM_KEY_BYTES);
        scram->of[0].services = scram->user.services;
    }
    sodium_memzero(&record, sizeof record);
    return directory_app_passwords(auth->directory, slice_of(scram->user.id), gather, &g);
}

enum err auth_scram_end(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
    const struct auth_scram *scram, size_t which, struct user *out_user, int *out_delay_ms)
{
    struct name name;
    *out_delay_ms = 0;
    name_of(auth, user_name, &name);
    struct attempt attempt = attempt_of(auth, peer, name.key);
    /* counted here, not at the beginning, which may never have an end; refused here when others failed meanwhile */
    if (!attempt_begin(auth, &attempt, true, out_delay_ms))
        return ERR_BUSY;
    if (which >= AUTH_SCRAM_KEYS || !scram->user.id[0]) {
        *out_delay_ms = attempt_failed(auth, &attempt);
        return ERR_AUTH;
    }
    attempt_undo(auth, &attempt, true);
    struct user user = scram->user;
    user.device = scram->of[which].device;
    user.services &= scram->of[which].services;
    if (!(user.services & peer->service))
        return ERR_DENIED;
    *out_user = user;
    return ERR_OK;
}

/* ---- tokens ---- */

/* The user's id stays "" when the token is nobody's. */
static enum err check_token(struct auth *auth, const struct auth_token *token,
    auth_token_fn *check_fn, void *check_arg, struct user *out_user)
{
    char whose[USER_NAME_BYTES_MAX + 1] = "";
    struct name named, name;
    struct password_record record = { 0 };
    enum err e = check_fn(check_arg, token, whose);
    if (e != ERR_OK)
        return e == ERR_AUTH ? ERR_OK : e;
    name_of(auth, slice_of(whose), &name);
    name_of(auth, token->named, &named);
    /* whatever the checker thinks of it: a token opens its owner's mailbox and no other */
    if (token->named.len && strcmp(named.canonical, name.canonical) != 0)
        return ERR_OK;
    e = find_user(auth, &name, out_user, &record);
    sodium_memzero(&record, sizeof record);
    return e;
}

enum err auth_token(struct auth *auth, const struct auth_peer *peer, const struct auth_token *token,
    auth_token_fn *check_fn, void *check_arg, struct user *out_user, int *out_delay_ms)
{
    struct name name;
    struct user user = { 0 };
    *out_delay_ms = 0;
    name_of(auth, token->named, &name);
    struct attempt attempt = attempt_of(auth, peer, name.key);
    if (!attempt_begin(auth, &attempt, true, out_delay_ms))
        return ERR_BUSY;
    enum err e = token->token.len ? check_token(auth, token, check_fn, check_arg, &user) : ERR_OK;
    if (e != ERR_OK) {
        attempt_undo(auth, &attempt, false);
        return e;
    }
    if (!user.id[0]) {
        *out_delay_ms = attempt_failed(auth, &attempt);
        return ERR_AUTH;
    }
    attempt_undo(auth, &attempt, true);
    if (!(user.services & peer->service))
        return ERR_DENIED;
    *out_user = user;
    return ERR_OK;
}
