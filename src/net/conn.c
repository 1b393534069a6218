/* What a session may do with its connection, and the connection's birth and end. The states are drawn in pool.c.
 *
 * Every function that reads or writes runs in the one thread that has the connection (N-1). */
#include "net/conn_int.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/limits.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- birth and end ---- */

static void set_option(int fd, int level, int name, int value)
{
    /* Each is an improvement, none a condition: a kernel that lacks one still serves mail. */
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static void tune_socket(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    /* A half-open peer: probed after 2 minutes of silence, given up within 5 whether it owes us data or not. */
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 120);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 30);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 5);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, CONN_PEER_SILENT_MS);
}

/* Gives conn a slot, state CONN_QUEUED. False when a limit is reached. */
static bool slot_enter(struct net *net, struct conn *conn)
{
    bool entered = false;
    pthread_mutex_lock(&net->table_lock);
    if (!atomic_load(&net->stopping) && net->open < net->options.connections_max &&
        peer_enter(&net->peers, &conn->key, net->options.connections_per_address_max)) {
        uint32_t index;
        if (net->slots_free) {
            index = net->slots_free - 1;
            net->slots_free = net->slots[index].next_free;
        } else {
            index = net->slots_used++;
            atomic_store(&net->slots[index].heap_at_ms, INT64_MAX);
            atomic_store(&net->slots[index].word, word_make(1, 0, CONN_FREE));
        }
        struct slot *slot = &net->slots[index];
        uint64_t word = atomic_load(&slot->word);
        assert(word_state(word) == CONN_FREE);
        conn->slot = index;
        conn->generation = word_generation(word);
        slot->conn = conn;
        atomic_store(&slot->word, word_make(conn->generation, 0, CONN_QUEUED));
        net->open++;
        entered = true;
    }
    pthread_mutex_unlock(&net->table_lock);
    return entered;
}

void conn_accepted(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    struct net *net = listener->net;
    struct conn *conn = mem_zalloc(1, sizeof *conn);
    peer_describe(peer, conn->peer, &conn->key, &conn->local);
    conn->ops = listener->ops;
    conn->listener_arg = listener->arg;
    conn->net_tls = (unsigned char)listener->tls;
    conn->fd = fd;
    conn->local_port = listener->port;
    conn->id = atomic_fetch_add(&net->next_id, 1) + 1;
    conn->phase = PHASE_NEW;
    conn->in_limit = LINE_BYTES_MAX_PRELOGIN * 2;
    buf_init(&conn->in, 0);
    buf_init(&conn->out, 0);
    atomic_store(&conn->refs, 1);
    int64_t now_ms = clock_mono_ms();
    conn->deadline_ms = now_ms + DEADLINE_PRELOGIN_MS;
    conn->special_ms = now_ms + net->options.handshake_ms;
    if (!slot_enter(net, conn)) {
        atomic_fetch_add(&net->refused, 1);
        close(fd);
        free(conn);
        return;
    }
    conn->net = net_ref(net);
    atomic_fetch_add(&net->accepted, 1);
    if (peer->ss_family != AF_UNIX)
        tune_socket(fd);
    queue_push(net, conn->slot);
}

void conn_destroy(struct conn *conn)
{
    struct net *net = conn->net;
    struct slot *slot = &net->slots[conn->slot];
    if (conn->session)
        conn->ops->close(conn->session);
    conn->session = NULL;
    tls_conn_free(conn->tls);
    conn->tls = NULL;
    buf_done(&conn->in);
    buf_done(&conn->out);
    timer_remove(net, conn->slot);

    pthread_mutex_lock(&net->table_lock);
    assert(slot->conn == conn);
    assert(word_state(atomic_load(&slot->word)) == CONN_RUNNING);
    /* Under the lock, because net_stop shuts descriptors down under it. Closing also leaves the epoll set. */
    close(conn->fd);
    conn->fd = -1;
    uint32_t next_generation =
        conn->generation + 1 ? conn->generation + 1 : 1; /* 0 is for listeners */
    slot->conn = NULL;
    atomic_store(&slot->word, word_make(next_generation, 0, CONN_FREE));
    slot->next_free = net->slots_free;
    net->slots_free = conn->slot + 1;
    peer_leave(&net->peers, &conn->key);
    net->open--;
    pthread_cond_broadcast(&net->table_change);
    pthread_mutex_unlock(&net->table_lock);
    conn_unref(conn);
}

struct conn *conn_ref(struct conn *conn)
{
    atomic_fetch_add(&conn->refs, 1);
    return conn;
}

void conn_unref(struct conn *conn)
{
    if (!conn || atomic_fetch_sub(&conn->refs, 1) != 1)
        return;
    net_unref(conn->net);
    free(conn);
}

/* ---- input ---- */

struct buf *conn_in(struct conn *conn)
{
    return &conn->in;
}

void conn_in_limit(struct conn *conn, size_t bytes)
{
    conn->in_limit = bytes;
}

bool conn_woken(struct conn *conn)
{
    uint64_t word = atomic_fetch_and(&conn->net->slots[conn->slot].word, ~CONN_FLAG_WAKE);
    bool woken = conn->woken || word & CONN_FLAG_WAKE;
    conn->woken = false;
    return woken;
}

/* One read. ERR_BUSY: nothing there. */
static enum err read_some(struct conn *conn, char *to, size_t len, size_t *out_len)
{
    if (conn->tls)
        return tls_conn_read(conn->tls, to, len, out_len, &conn->want_write);
    for (;;) {
        ssize_t got = recv(conn->fd, to, len, MSG_DONTWAIT);
        if (got > 0) {
            *out_len = (size_t)got;
            return ERR_OK;
        }
        if (got == 0)
            return ERR_CLOSED;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return ERR_BUSY;
        if (errno != EINTR)
            return ERR_CLOSED;
    }
}

enum conn_next conn_steps(struct conn *conn, enum err (*step)(void *session), void *session,
    const bool *closing, bool *stop_reading)
{
    for (;;) {
        if (*closing)
            return CONN_CLOSE;
        enum err e = step(session);
        if (e == ERR_OK && *stop_reading) {
            *stop_reading = false;
            return CONN_PARK;
        }
        if (e == ERR_OK && conn_flush_full(conn) != ERR_OK)
            return CONN_CLOSE;
        if (e == ERR_OK)
            continue;
        if (e != ERR_BUSY)
            return CONN_CLOSE;
        e = conn_fill(conn);
        if (e != ERR_OK)
            return e == ERR_BUSY ? CONN_PARK : CONN_CLOSE;
    }
}

enum err conn_fill(struct conn *conn)
{
    if (conn->phase == PHASE_HANDSHAKE)
        return ERR_BUSY;
    if (conn->peer_ended)
        return ERR_CLOSED;
    if (buf_len(&conn->in) >= conn->in_limit)
        return ERR_LIMIT;
    if (conn->short_read) { /* the last read emptied the socket; later bytes make an epoll event */
        conn->short_read = false;
        return ERR_BUSY;
    }
    size_t total = 0, chunk = CONN_FILL_FIRST_BYTES;
    while (total < CONN_FILL_BYTES_MAX && buf_len(&conn->in) < conn->in_limit) {
        size_t room = conn->in_limit - buf_len(&conn->in);
        size_t want = chunk < room ? chunk : room;
        char *to = buf_room(&conn->in, want);
        assert(to);
        size_t got = 0;
        enum err e = read_some(conn, to, want, &got);
        conn->drained = e != ERR_OK;
        if (e != ERR_OK) {
            conn->peer_ended = e == ERR_CLOSED;
            return total ? ERR_OK : e;
        }
        buf_wrote(&conn->in, got);
        total += got;
        if (got < want && !conn->tls) {
            conn->short_read = true;
            conn->drained = true;
            break;
        }
        chunk = chunk < 32768 ? chunk * 2 : chunk;
    }
    return ERR_OK;
}

/* ---- output ---- */

struct buf *conn_out(struct conn *conn)
{
    return &conn->out;
}

static enum err send_broke(struct conn *conn, enum err e)
{
    conn->broken = atomic_load(&conn->net->cut) ? ERR_CANCELED : e;
    buf_clear(&conn->out);
    return conn->broken;
}

/* How long a peer may leave its answer untaken. Slow readers must not take every thread: when they hold more than
 * half, the slowest of them go. */
static int64_t write_limit_ms(const struct net *net)
{
    int64_t limit_ms = net->options.write_ms;
    if (atomic_load(&net->writing) * 2 > net->options.threads && limit_ms > CONN_WRITE_CROWDED_MS)
        return CONN_WRITE_CROWDED_MS;
    return limit_ms;
}

/* Until the descriptor is ready for `events`; the time starts anew with each call, so it is "without progress". */
static enum err wait_ready(struct conn *conn, short events)
{
    struct net *net = conn->net;
    struct pollfd wait = { .fd = conn->fd, .events = events };
    int64_t start_ms = clock_mono_ms();
    enum err e = ERR_BUSY;
    atomic_fetch_add(&net->writing, 1);
    while (e == ERR_BUSY) {
        int64_t left_ms = start_ms + write_limit_ms(net) - clock_mono_ms();
        if (atomic_load(&net->cut))
            e = ERR_CANCELED;
        else if (left_ms <= 0)
            e = ERR_TIMEOUT;
        if (e != ERR_BUSY)
            break;
        /* In slices: the limit may shrink meanwhile. */
        int ready = poll(&wait, 1, left_ms < 500 ? (int)left_ms : 500);
        if (ready > 0)
            e = ERR_OK; /* also POLLERR, POLLHUP: the next write tells */
        else if (ready < 0 && errno != EINTR)
            e = ERR_IO;
    }
    atomic_fetch_sub(&net->writing, 1);
    return e;
}

/* One write of a then b. ERR_BUSY: the peer is slow. */
static enum err write_some(
    struct conn *conn, struct slice a, struct slice b, size_t *out_len, short *out_wait)
{
    *out_wait = POLLOUT;
    if (conn->tls) {
        bool want_read = false;
        enum err e = tls_conn_write(conn->tls, a.len ? a : b, out_len, &want_read);
        if (want_read)
            *out_wait = POLLIN;
        return e;
    }
    struct iovec parts[2];
    size_t count = 0;
    /* sendmsg does not write through iov_base; its type has no const. */
    if (a.len)
        parts[count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)a.ptr, .iov_len = a.len };
    if (b.len)
        parts[count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)b.ptr, .iov_len = b.len };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };
    for (;;) {
        ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            *out_len = (size_t)sent;
            return ERR_OK;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
            return ERR_BUSY;
        if (errno != EINTR)
            return ERR_CLOSED;
    }
}

/* Sends conn_out and bytes whole. */
static enum err send_all(struct conn *conn, struct slice bytes)
{
    if (conn->broken != ERR_OK) {
        buf_clear(&conn->out);
        return conn->broken;
    }
    if (buf_len(&conn->out) == 0 && bytes.len == 0)
        return ERR_OK;
    while (buf_len(&conn->out) || bytes.len) {
        size_t sent = 0;
        short wait_for;
        enum err e = write_some(conn, buf_slice(&conn->out), bytes, &sent, &wait_for);
        if (e == ERR_BUSY) {
            e = wait_ready(conn, wait_for);
            if (e == ERR_OK)
                continue;
        }
        if (e != ERR_OK)
            return send_broke(conn, e);
        size_t from_out = sent < buf_len(&conn->out) ? sent : buf_len(&conn->out);
        buf_consume(&conn->out, from_out);
        bytes = slice_from_index(bytes, sent - from_out);
    }
    if (conn->net->options.linger_ms > 0)
        conn->answered_us = clock_mono_us();
    return ERR_OK;
}

enum err conn_flush(struct conn *conn)
{
    assert(buf_err(&conn->out) == ERR_OK);
    return send_all(conn, SLICE_EMPTY);
}

enum err conn_flush_full(struct conn *conn)
{
    if (buf_len(&conn->out) <= CONN_FLUSH_BYTES)
        return conn->broken;
    return conn_flush(conn);
}

enum err conn_send(struct conn *conn, struct slice bytes)
{
    if (bytes.len <= CONN_SEND_COPY_BYTES_MAX) {
        buf_add(&conn->out, bytes);
        return conn_flush_full(conn);
    }
    return send_all(conn, bytes);
}

void conn_flush_now(struct conn *conn)
{
    while (conn->broken == ERR_OK && buf_len(&conn->out)) {
        size_t sent = 0;
        short wait_for;
        enum err e = write_some(conn, buf_slice(&conn->out), SLICE_EMPTY, &sent, &wait_for);
        if (e != ERR_OK) {
            /* The peer has not even room for a goodbye: no use in draining either. */
            (void)send_broke(conn, ERR_CLOSED);
            return;
        }
        buf_consume(&conn->out, sent);
    }
}

/* ---- life ---- */

void conn_deadline(struct conn *conn, int64_t in_ms)
{
    conn->deadline_ms = clock_mono_ms() + in_ms;
}

void conn_pause(struct conn *conn, int in_ms)
{
    assert(in_ms >= 0);
    conn->pause_ms = in_ms < PAUSE_MS_MAX ? in_ms : PAUSE_MS_MAX;
}

void conn_wake(struct conn *conn)
{
    slot_signal(conn->net, conn->slot, conn->generation, CONN_FLAG_WAKE);
}

void conn_end(struct conn *conn)
{
    slot_signal(conn->net, conn->slot, conn->generation, CONN_FLAG_END | CONN_FLAG_WAKE);
}

unsigned long long conn_id(const struct conn *conn)
{
    return conn->id;
}

const char *conn_peer(const struct conn *conn)
{
    return conn->peer;
}

bool conn_is_local(const struct conn *conn)
{
    return conn->local;
}

int conn_local_port(const struct conn *conn)
{
    return conn->local_port;
}

/* ---- TLS ---- */

bool conn_is_tls(const struct conn *conn)
{
    return conn->tls && tls_conn_ready(conn->tls);
}

bool conn_can_starttls(const struct conn *conn)
{
    if (conn->tls || conn->net_tls != NET_TLS_STARTTLS)
        return false;
    struct tls_server *tls = net_tls_get(conn->net);
    bool can = tls != NULL;
    tls_server_unref(tls);
    return can;
}

/* The answer in conn_out is a go-ahead that must not be sent now. */
static enum err starttls_refused(struct conn *conn, enum err e)
{
    buf_clear(&conn->in);
    buf_clear(&conn->out);
    return e;
}

enum err conn_starttls(struct conn *conn)
{
    struct tls_server *tls =
        conn->tls || conn->net_tls != NET_TLS_STARTTLS ? NULL : net_tls_get(conn->net);
    if (!tls)
        return starttls_refused(conn, ERR_DENIED);
    /* The client waits for our answer before it says more. Whatever is here already was put there by somebody who
     * wants it to be taken for the client's words inside TLS (RFC 3207 §6; CVE-2011-0411, CVE-2021-33515). */
    char peeked;
    bool injected =
        buf_len(&conn->in) > 0 || recv(conn->fd, &peeked, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    enum err e = injected ? ERR_DENIED : conn_flush(conn);
    if (e != ERR_OK) {
        tls_server_unref(tls);
        return starttls_refused(conn, e);
    }
    conn->tls = tls_conn_new(tls, conn->fd, conn->ops->name);
    conn->phase = PHASE_HANDSHAKE;
    conn->special_ms = clock_mono_ms() + conn->net->options.handshake_ms;
    conn->short_read = false;
    tls_server_unref(tls);
    return ERR_OK;
}

const char *conn_tls_text(const struct conn *conn)
{
    return conn_is_tls(conn) ? tls_conn_text(conn->tls) : "";
}

enum err conn_channel_binding(struct conn *conn, struct slice kind, struct buf *out)
{
    if (!conn_is_tls(conn))
        return ERR_NOT_FOUND;
    return tls_conn_binding(conn->tls, kind, out);
}
