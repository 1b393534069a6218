/* The server as a whole.
 *
 *   made: bound, root dropped, confined, no threads --server_start--> serving --server_stop--> stopped --server_free--> gone
 *
 * Sessions that logged in stand in a list under one mutex; ending a user's sessions only marks their connections (conn_end), each session leaves
 * the list itself on its own thread. */
#include "server/core/server.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "deliver/outbox.h"
#include "server/core/control.h"
#include "server/core/data_dir.h"
#include "server/core/devices.h"
#include "server/core/expire.h"
#include "server/core/sandbox.h"
#include "server/core/server_int.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum phase {
    PHASE_MADE,
    PHASE_SERVING,
    PHASE_STOPPED,
};

struct server_session {
    struct server *server;
    struct server_session *prev, *next;
    struct conn *conn; /* ref */
    enum protocol protocol;
    char user_id[USER_ID_BYTES + 1];
    int64_t device;
    /* of POP3, under server_private.lock */
    struct server_session *drop_prev, *drop_next; /* of those that have a maildrop */
    bool has_maildrop, alone;
};

struct server_private {
    pthread_mutex_t lock;  /* config, sessions */
    struct config *config; /* ref */
    struct server_session *sessions, *maildrops;
    size_t session_count[PROTOCOL_COUNT];
    struct control *control;
    enum phase phase;
    bool confined;
    char cert_file[600], key_file[600];
    struct {
        enum protocol protocol;
        bool implicit_tls;
        int port;
    } ports[LISTENERS_MAX];
    size_t port_count;
};

struct config *server_config(struct server *server)
{
    pthread_mutex_lock(&server->private->lock);
    struct config *config = config_ref(server->private->config);
    pthread_mutex_unlock(&server->private->lock);
    return config;
}

enum err server_account(
    struct server *server, const struct user *user, struct account **out_account)
{
    TRY(store_account(server->store, slice_of(user->id), true, out_account));
    account_quota_set(*out_account, user->quota_bytes, user->quota_messages);
    return ERR_OK;
}

/* ---- sessions ---- */

static void note_use(const struct server_session *session, uint64_t retrieved)
{
    struct device_news news = { .device = session->device,
        .service = protocol_service(session->protocol),
        .use = { .last_s = clock_wall_s(), .retrieved = retrieved } };
    memcpy(news.user_id, session->user_id, sizeof news.user_id);
    (void)snprintf(news.use.address, sizeof news.use.address, "%s", conn_peer(session->conn));
    devices_note(session->server->devices, &news);
}

struct server_session *server_session_add(
    struct server *server, struct conn *conn, enum protocol protocol, const struct user *user)
{
    struct server_session *session = mem_zalloc(1, sizeof *session);
    session->server = server;
    session->conn = conn_ref(conn);
    session->protocol = protocol;
    memcpy(session->user_id, user->id, sizeof session->user_id);
    session->device = user->device;
    struct server_private *p = server->private;
    pthread_mutex_lock(&p->lock);
    session->next = p->sessions;
    if (p->sessions)
        p->sessions->prev = session;
    p->sessions = session;
    p->session_count[protocol]++;
    pthread_mutex_unlock(&p->lock);
    note_use(session, 0);
    /* what was changed between its check and now ended only the sessions that were in the list */
    if (!directory_login_holds(server->directory, user, protocol_service(protocol)))
        conn_end(conn);
    return session;
}

/* With server_private.lock. */
static void drop_maildrop(struct server_session *session)
{
    if (!session->has_maildrop)
        return;
    if (session->drop_prev)
        session->drop_prev->drop_next = session->drop_next;
    else
        session->server->private->maildrops = session->drop_next;
    if (session->drop_next)
        session->drop_next->drop_prev = session->drop_prev;
    session->drop_prev = session->drop_next = NULL;
    session->has_maildrop = false;
}

void server_session_release(struct server_session *session)
{
    struct server_private *p = session->server->private;
    pthread_mutex_lock(&p->lock);
    drop_maildrop(session);
    pthread_mutex_unlock(&p->lock);
}

bool server_session_claim(struct server_session *session, bool alone)
{
    struct server_private *p = session->server->private;
    bool free = true;
    pthread_mutex_lock(&p->lock);
    for (const struct server_session *s = p->maildrops; s && free; s = s->drop_next)
        free = (!s->alone && !alone) || strcmp(s->user_id, session->user_id) != 0;
    if (free) {
        session->has_maildrop = true;
        session->alone = alone;
        session->drop_next = p->maildrops;
        if (p->maildrops)
            p->maildrops->drop_prev = session;
        p->maildrops = session;
    }
    pthread_mutex_unlock(&p->lock);
    return free;
}

bool server_has_maildrop(struct server *server, const char *user_id)
{
    struct server_private *p = server->private;
    bool has = false;
    pthread_mutex_lock(&p->lock);
    for (const struct server_session *s = p->maildrops; s && !has; s = s->drop_next)
        has = strcmp(s->user_id, user_id) == 0;
    pthread_mutex_unlock(&p->lock);
    return has;
}

static bool has_maildrop(void *server_arg, const char *user_id)
{
    return server_has_maildrop(server_arg, user_id);
}

void server_session_retrieved(struct server_session *session, uint64_t count)
{
    if (session && count > 0)
        note_use(session, count);
}

void server_session_remove(struct server_session *session)
{
    if (!session)
        return;
    struct server_private *p = session->server->private;
    pthread_mutex_lock(&p->lock);
    if (session->prev)
        session->prev->next = session->next;
    else
        p->sessions = session->next;
    if (session->next)
        session->next->prev = session->prev;
    drop_maildrop(session);
    assert(p->session_count[session->protocol] > 0);
    p->session_count[session->protocol]--;
    pthread_mutex_unlock(&p->lock);
    conn_unref(session->conn);
    free(session);
}

/* device -1: all of the user's. */
static size_t end_sessions(struct server *server, struct slice user_id, int64_t device)
{
    size_t count = 0;
    pthread_mutex_lock(&server->private->lock);
    for (struct server_session *s = server->private->sessions; s; s = s->next)
        if (slice_eq(slice_of(s->user_id), user_id) && (device < 0 || s->device == device)) {
            conn_end(s->conn);
            count++;
        }
    pthread_mutex_unlock(&server->private->lock);
    return count;
}

size_t server_end_sessions(struct server *server, struct slice user_id)
{
    return end_sessions(server, user_id, -1);
}

size_t server_end_device(struct server *server, struct slice user_id, int64_t device)
{
    return end_sessions(server, user_id, device);
}

size_t server_sessions(struct server *server, enum protocol protocol)
{
    pthread_mutex_lock(&server->private->lock);
    size_t count = server->private->session_count[protocol];
    pthread_mutex_unlock(&server->private->lock);
    return count;
}

/* ---- making ---- */

static enum err find_certificate(
    struct server_private *p, const struct config *config, struct err_note *note)
{
    if (config->cert_file[0]) {
        (void)snprintf(p->cert_file, sizeof p->cert_file, "%s", config->cert_file);
        (void)snprintf(p->key_file, sizeof p->key_file, "%s", config->key_file);
        return ERR_OK;
    }
    (void)snprintf(p->cert_file, sizeof p->cert_file, "%s/self-signed.pem", config->data_dir);
    (void)snprintf(p->key_file, sizeof p->key_file, "%s/self-signed.key", config->data_dir);
    if (access(p->cert_file, R_OK) == 0 && access(p->key_file, R_OK) == 0)
        return ERR_OK;
    const char *const names[] = { config->hostname, "localhost", "127.0.0.1", "::1", NULL };
    return tls_make_self_signed(names, 3650, p->cert_file, p->key_file, note);
}

static enum err load_certificate(struct server *server, struct err_note *note)
{
    struct tls_server *tls;
    TRY(tls_server_load(server->private->cert_file, server->private->key_file, &tls, note));
    net_set_tls(server->net, tls);
    tls_server_unref(tls);
    return ERR_OK;
}

static enum err bind_all(
    struct server *server, const struct server_options *options, struct err_note *note)
{
    struct server_private *p = server->private;
    for (size_t i = 0; i < options->config->listener_count; i++) {
        const struct listener *l = &options->config->listeners[i];
        struct net_listener_options how = {
            .address = l->address,
            .port = l->port,
            .tls = l->implicit_tls                ? NET_TLS_IMPLICIT
                   : l->protocol == PROTOCOL_LMTP ? NET_TLS_NONE
                                                  : NET_TLS_STARTTLS,
            .ops = options->ops[l->protocol],
            .listener_arg = server,
        };
        int port = 0;
        TRY(net_listen(server->net, &how, &port, note));
        p->ports[p->port_count].protocol = l->protocol;
        p->ports[p->port_count].implicit_tls = l->implicit_tls;
        p->ports[p->port_count++].port = port;
    }
    return ERR_OK;
}

static enum log_level level_of(const struct config *config)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    for (int i = 0; i < 4; i++)
        if (strcmp(config->log_level, names[i]) == 0)
            return (enum log_level)i;
    return LOG_INFO;
}

static enum err confine(
    struct server *server, const struct server_options *options, struct err_note *note)
{
    const struct config *config = options->config;
    if (geteuid() == 0 && config->run_user[0])
        TRY(sandbox_become(config->run_user, note));
    if (!options->confine)
        return ERR_OK;
    const char *const write_dirs[] = { config->data_dir, NULL };
    const char *read_paths[4] = { NULL };
    size_t count = 0;
    if (config->cert_file[0]) {
        read_paths[count++] = config->cert_file;
        read_paths[count++] = config->key_file;
    }
    if (config->file[0])
        read_paths[count++] = config->file;
    enum err e = sandbox_files(write_dirs, read_paths, note);
    if (e == ERR_NOT_FOUND)
        log_warn("server.confine", "landlock=missing next=going-on-without text=%s",
            LOG_S(slice_of(note->text)));
    else if (e != ERR_OK)
        return e;
    TRY(sandbox_calls(note));
    server->private->confined = e == ERR_OK;
    return ERR_OK;
}

static enum err open_all(
    struct server *server, const struct server_options *options, struct err_note *note)
{
    const struct config *config = options->config;
    char path[700];
    struct store_options store = { .root = config->data_dir,
        .accounts_open_max = config->accounts_open_max };
    TRY(store_open(&store, &server->store, note));
    (void)snprintf(path, sizeof path, "%s/directory.db", config->data_dir);
    TRY(directory_open(path, true, &server->directory, note));
    struct auth_options auth = { 0 };
    server->auth = auth_new(server->directory, &auth);
    server->devices = devices_new(server->directory);
    struct outbox_options outbox = { .store = server->store,
        .directory = server->directory,
        .data_dir = config->data_dir,
        .hostname = config->hostname,
        .warn_percent = config->quota_warn_percent,
        .test_addresses = config->test_addresses,
        .slow_ms = config->slow_ms,
        .delivered = &server->counters.messages_delivered };
    TRY(outbox_new(&outbox, &server->outbox, note));
    struct expire_options expire = { .store = server->store,
        .directory = server->directory,
        .is_busy = has_maildrop,
        .is_busy_arg = server };
    server->expire = expire_new(&expire);
    TRY(find_certificate(server->private, config, note));
    return load_certificate(server, note);
}

enum err server_new(
    const struct server_options *options, struct server **out_server, struct err_note *note)
{
    struct server *server = mem_zalloc(1, sizeof *server);
    struct server_private *p = mem_zalloc(1, sizeof *p);
    server->private = p;
    server->started_s = clock_wall_s();
    p->config = config_ref(options->config);
    pthread_mutex_init(&p->lock, NULL);
    server->sorts = sort_cache_new(SORT_CACHE_BYTES_MAX, SORT_CACHE_TABLES_MAX);
    log_set_level(level_of(options->config));
    umask(0077);
    struct net_options net = { .threads = options->config->threads,
        .connections_max = options->config->connections_max,
        .connections_per_address_max = options->config->connections_per_address_max };
    enum err e = data_dir_make(options->config, note);
    if (e == ERR_OK)
        e = net_new(&net, &server->net);
    if (e == ERR_OK)
        e = bind_all(
            server, options, note); /* ports below 1024 need root; everything after does not */
    if (e == ERR_OK)
        e = confine(server, options, note);
    if (e == ERR_OK)
        e = control_new(server, options->config->data_dir, &p->control, note);
    if (e == ERR_OK)
        e = open_all(server, options, note);
    if (e != ERR_OK) {
        server_free(server);
        return e;
    }
    *out_server = server;
    return ERR_OK;
}

/* ---- serving ---- */

enum err server_start(struct server *server, struct err_note *note)
{
    struct server_private *p = server->private;
    assert(p->phase == PHASE_MADE);
    outbox_start(server->outbox);
    devices_start(server->devices);
    expire_start(server->expire);
    enum err e = net_start(server->net);
    if (e == ERR_OK)
        e = control_start(p->control);
    p->phase = PHASE_SERVING;
    if (e != ERR_OK)
        return err_noted(note, e, "threads cannot be started");
    log_info("server.start", "host=%s data=%s confined=%s listeners=%zu", p->config->hostname,
        LOG_S(slice_of(p->config->data_dir)), p->confined ? "yes" : "no", p->port_count);
    return ERR_OK;
}

/* What was taken when the server was made, and is not asked again. */
static bool waits_for_start(const struct config *fresh, const struct config *old)
{
    return strcmp(fresh->cert_file, old->cert_file) != 0 ||
           strcmp(fresh->key_file, old->key_file) != 0 ||
           strcmp(fresh->data_dir, old->data_dir) != 0 ||
           strcmp(fresh->run_user, old->run_user) != 0 ||
           strcmp(fresh->hostname, old->hostname) != 0 || /* the outbox has it */
           memcmp(fresh->listen_text, old->listen_text, sizeof old->listen_text) != 0 ||
           fresh->connections_max != old->connections_max ||
           fresh->connections_per_address_max != old->connections_per_address_max ||
           fresh->threads != old->threads || fresh->accounts_open_max != old->accounts_open_max;
}

enum err server_reload(struct server *server, struct err_note *note)
{
    struct server_private *p = server->private;
    struct config *old = server_config(server), *fresh = NULL;
    enum err e = config_load(old->file[0] ? old->file : NULL, &fresh, note);
    if (e == ERR_OK && waits_for_start(fresh, old))
        (void)err_noted(note, ERR_OK,
            "listeners, data folder, user, host name, the paths of the certificate, or limits of "
            "connections, threads and open accounts differ: they change at the next start");
    if (e == ERR_OK)
        e = load_certificate(server, note);
    if (e == ERR_OK) {
        log_set_level(level_of(fresh));
        outbox_set_warn_percent(server->outbox, fresh->quota_warn_percent);
        pthread_mutex_lock(&p->lock);
        p->config = fresh;
        pthread_mutex_unlock(&p->lock);
        config_unref(old); /* the server's reference */
        fresh = NULL;
        log_info("server.reload", "result=ok note=%s", LOG_S(slice_of(note->text)));
    } else {
        log_error("server.reload", "result=%s next=keeping-the-old-configuration text=%s",
            err_name(e), LOG_S(slice_of(note->text)));
    }
    config_unref(fresh);
    config_unref(old);
    return e;
}

void server_stop(struct server *server, int drain_ms)
{
    struct server_private *p = server->private;
    if (p->phase != PHASE_SERVING)
        return;
    log_info("server.stop", "drain_ms=%d", drain_ms);
    control_free(p->control); /* no request may come while things go away */
    p->control = NULL;
    net_stop(server->net, drain_ms);
    expire_stop(server->expire);
    outbox_stop(server->outbox);
    devices_stop(server->devices);
    p->phase = PHASE_STOPPED;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    struct server_private *p = server->private;
    server_stop(server, 0);
    control_free(p->control);
    net_free(server->net);
    outbox_free(server->outbox);
    sort_cache_free(server->sorts);
    auth_free(server->auth);
    devices_free(server->devices);
    expire_free(server->expire);
    directory_close(server->directory);
    store_close(server->store);
    assert(!p->sessions);
    config_unref(p->config);
    pthread_mutex_destroy(&p->lock);
    free(p);
    free(server);
}

int server_port(const struct server *server, enum protocol protocol, bool implicit_tls)
{
    const struct server_private *p = server->private;
    for (size_t i = 0; i < p->port_count; i++)
        if (p->ports[i].protocol == protocol && p->ports[i].implicit_tls == implicit_tls)
            return p->ports[i].port;
    return 0;
}

const char *server_cert_file(const struct server *server)
{
    return server->private->cert_file;
}
