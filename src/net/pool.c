/* The pool: threads that wait in epoll_wait and run the connection they are given.
 *
 *                    conn_accepted                 conn_destroy
 *          FREE ──────────────────► QUEUED          RUNNING ─────────► FREE (generation + 1)
 *                                     │ ▲             ▲ │ ▲
 *                          queue_take │ │ slot_signal │ │ │ conn_claim (epoll event)
 *                                     ▼ │ timer_claim │ ▼ │
 *                                  RUNNING           PARKED
 *
 *   FREE    → QUEUED   conn_accepted: in the ready queue
 *   QUEUED  → RUNNING  queue_take: a thread took it from the ready queue
 *   RUNNING → PARKED   conn_park: armed in the epoll set, buffers released; only when no flag is set
 *   PARKED  → RUNNING  conn_claim: its epoll event came
 *   PARKED  → QUEUED   slot_signal (conn_wake, conn_end, net_stop), timer_claim (deadline)
 *   RUNNING → FREE     conn_destroy
 *
 * Every arrow is one compare-and-swap on slot.word, which also holds the generation of the slot and the flags. So:
 *   N-1: exactly one thread has a connection that is RUNNING; none touches one that is PARKED.
 *   N-2: a flag set while RUNNING or QUEUED is seen by the runner before it parks (its CAS to PARKED expects no flag),
 *        so no wake is lost.
 *   N-3: an epoll event names (slot, generation). One that comes late, after the connection was claimed another way or
 *        is gone, sets CONN_FLAG_READY or does nothing. Slots are never freed while the net lives, so it touches
 *        no freed memory.
 *   N-4: the descriptor is armed before PARKED is set; an event in between sets CONN_FLAG_READY and the CAS fails.
 *   N-5: the ready queue's token (an eventfd in edge-triggered mode) is passed by whoever takes an entry and leaves others.
 *
 * The phases of a connection, inside RUNNING only:
 *
 *   NEW ──► HANDSHAKE ──► OPEN ──► DRAIN ──► DEAD        NEW → OPEN on plain listeners; OPEN → HANDSHAKE by conn_starttls;
 *                         │  ▲                           any → DEAD when the peer is gone
 *                         ▼  │
 *                        PAUSED ──► DRAIN                OPEN → PAUSED when the session asked (conn_pause); back, or to DRAIN when
 *                                                        it wanted to close or the server ends it
 */
#include "net/conn_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- the ready queue ---- */

void queue_token(struct net *net)
{
    uint64_t one = 1;
    /* Never read: in edge-triggered mode each write is an event. It fails only when 2^64 - 1 is reached. */
    ssize_t wrote = write(net->event_fd, &one, sizeof one);
    assert(wrote == (ssize_t)sizeof one);
}

void queue_push(struct net *net, uint32_t slot)
{
    pthread_mutex_lock(&net->queue_lock);
    bool was_empty = net->queue_head == 0;
    net->slots[slot].next = 0;
    if (was_empty)
        net->queue_head = slot + 1;
    else
        net->slots[net->queue_tail - 1].next = slot + 1;
    net->queue_tail = slot + 1;
    pthread_mutex_unlock(&net->queue_lock);
    if (was_empty)
        queue_token(net);
}

/* The next connection of the queue, now RUNNING by us; NULL when it is empty. */
static struct conn *queue_take(struct net *net)
{
    pthread_mutex_lock(&net->queue_lock);
    uint32_t taken = net->queue_head;
    if (taken)
        net->queue_head = net->slots[taken - 1].next;
    bool more = net->queue_head != 0;
    pthread_mutex_unlock(&net->queue_lock);
    if (!taken)
        return NULL;
    if (more)
        queue_token(net);

    struct slot *slot = &net->slots[taken - 1];
    uint64_t word = atomic_load(&slot->word);
    do {
        assert(word_state(word) == CONN_QUEUED);
    } while (!atomic_compare_exchange_weak(
        &slot->word, &word, (word & ~CONN_STATE_MASK) | (uint64_t)CONN_RUNNING));
    return slot->conn;
}

bool slot_signal(struct net *net, uint32_t index, uint32_t generation, uint64_t flags)
{
    struct slot *slot = &net->slots[index];
    uint64_t word = atomic_load(&slot->word);
    for (;;) {
        if (word_generation(word) != generation || word_state(word) == CONN_FREE)
            return false;
        bool parked = word_state(word) == CONN_PARKED;
        uint64_t wanted = word | flags;
        if (parked)
            wanted = (wanted & ~CONN_STATE_MASK) | (uint64_t)CONN_QUEUED;
        /* Also when the flag was set before: the exchange orders the caller's writes before the runner's look (N-2). */
        if (!atomic_compare_exchange_weak(&slot->word, &word, wanted))
            continue;
        if (parked) {
            atomic_fetch_sub(&net->parked, 1);
            queue_push(net, index);
        }
        return true;
    }
}

/* An epoll event for (slot, generation): the connection, now RUNNING by us, or NULL when it is not ours (N-3). */
static struct conn *conn_claim(struct net *net, uint32_t index, uint32_t generation)
{
    struct slot *slot = &net->slots[index];
    uint64_t word = atomic_load(&slot->word);
    for (;;) {
        if (word_generation(word) != generation || word_state(word) == CONN_FREE)
            return NULL;
        bool parked = word_state(word) == CONN_PARKED;
        uint64_t wanted =
            parked ? (word & ~CONN_STATE_MASK) | (uint64_t)CONN_RUNNING : word | CONN_FLAG_READY;
        if (!atomic_compare_exchange_weak(&slot->word, &word, wanted))
            continue;
        if (!parked)
            return NULL;
        atomic_fetch_sub(&net->parked, 1);
        return slot->conn;
    }
}

/* ---- phases ---- */

static int64_t effective_deadline(const struct conn *conn)
{
    return conn->phase == PHASE_OPEN ? conn->deadline_ms : conn->special_ms;
}

/* The session is done and conn_out is sent. The peer gets the time to read it: closing now would send RST when
 * it has sent something we did not read, and RST may overtake our last answer. */
static void conn_finish(struct conn *conn)
{
    if (conn->session) {
        conn->ops->close(conn->session);
        conn->session = NULL;
    }
    if (conn->tls && conn->broken == ERR_OK)
        tls_conn_goodbye(conn->tls);
    tls_conn_free(conn->tls);
    conn->tls = NULL;
    buf_done(&conn->in);
    buf_done(&conn->out);
    conn->want_write = false;
    if (conn->broken != ERR_OK || conn->peer_ended || shutdown(conn->fd, SHUT_WR) < 0) {
        conn->phase = PHASE_DEAD;
        return;
    }
    conn->phase = PHASE_DRAIN;
    conn->special_ms = clock_mono_ms() + CONN_DRAIN_MS;
}

static void session_open(struct conn *conn)
{
    conn->phase = PHASE_OPEN;
    conn->session = conn->ops->open(conn, conn->listener_arg);
    enum err sent = conn_flush(conn);
    if (!conn->session || sent != ERR_OK)
        conn_finish(conn);
}

static void step_new(struct conn *conn, uint64_t flags)
{
    if (flags & (CONN_FLAG_END | CONN_FLAG_STOP)) {
        conn->phase = PHASE_DEAD;
        return;
    }
    if (conn->net_tls != NET_TLS_IMPLICIT) {
        session_open(conn);
        return;
    }
    struct tls_server *tls = net_tls_get(conn->net);
    if (!tls) { /* a TLS listener without a certificate can serve nobody */
        atomic_fetch_add(&conn->net->tls_failed, 1);
        conn->phase = PHASE_DEAD;
        return;
    }
    conn->tls = tls_conn_new(tls, conn->fd, conn->ops->name);
    tls_server_unref(tls);
    conn->phase = PHASE_HANDSHAKE;
}

static void handshake_failed(struct conn *conn, const char *why)
{
    atomic_fetch_add(&conn->net->tls_failed, 1);
    log_debug("net.tls", "conn=%llu peer=%s proto=%s failed=%s", conn->id, conn->peer,
        conn->ops->name, LOG_S(slice_of(why)));
    /* An alert may be on its way to the peer: drain, so that it learns the reason. */
    tls_conn_free(conn->tls);
    conn->tls = NULL;
    buf_done(&conn->out);
    conn_finish(conn);
}

static void step_handshake(struct conn *conn, uint64_t flags)
{
    if (flags & (CONN_FLAG_TIMEOUT | CONN_FLAG_END | CONN_FLAG_STOP)) {
        handshake_failed(conn, flags & CONN_FLAG_TIMEOUT ? "too slow" : "shutdown");
        conn->phase = PHASE_DEAD;
        return;
    }
    struct err_note note = { "" };
    enum err e = tls_conn_handshake(conn->tls, &conn->want_write, &note);
    if (e == ERR_BUSY)
        return;
    if (e != ERR_OK) {
        handshake_failed(conn, note.text);
        return;
    }
    conn->want_write = false;
    conn->drained = false; /* the first command may have come with the end of the handshake */
    if (conn->session)
        conn->phase = PHASE_OPEN;
    else
        session_open(conn);
}

/* The session's last word, as far as the peer has room for it. */
static void session_goodbye(struct conn *conn, void (*say)(void *session))
{
    say(conn->session);
    conn_flush_now(conn);
    conn_finish(conn);
}

static void pause_begin(struct conn *conn, enum conn_next next)
{
    conn->phase = PHASE_PAUSED;
    conn->special_ms = clock_mono_ms() + conn->pause_ms;
    conn->deadline_ms += conn->pause_ms; /* the step's time starts afterwards */
    conn->close_after_pause = next == CONN_CLOSE;
    conn->want_write = false;
}

static void step_open(struct conn *conn, uint64_t flags)
{
    if (flags & (CONN_FLAG_END | CONN_FLAG_STOP | CONN_FLAG_TIMEOUT)) {
        bool ended = flags & (CONN_FLAG_END | CONN_FLAG_STOP);
        session_goodbye(conn, ended ? conn->ops->shutdown : conn->ops->timeout);
        return;
    }
    int linger_ms = conn->net->options.linger_ms;
    if (linger_ms > 0 && conn->answered_us)
        conn->quick = clock_mono_us() - conn->answered_us <= (int64_t)linger_ms * 1000;
    conn->pause_ms = 0;
    enum conn_next next = conn->ops->input(conn->session);
    if (conn->phase == PHASE_HANDSHAKE && next == CONN_PARK)
        return; /* conn_starttls */
    if (conn->pause_ms > 0) {
        pause_begin(conn, next);
        return;
    }
    if (conn_flush(conn) != ERR_OK || next == CONN_CLOSE)
        conn_finish(conn);
}

/* Nothing is armed while paused, so an epoll event means that the peer broke off, or is a late one (N-3) of input. */
static bool peer_broke(const struct conn *conn)
{
    struct pollfd now = { .fd = conn->fd };
    return poll(&now, 1, 0) > 0;
}

static void step_paused(struct conn *conn, uint64_t flags)
{
    if (flags & (CONN_FLAG_END | CONN_FLAG_STOP)) {
        session_goodbye(conn, conn->ops->shutdown);
        return;
    }
    if (clock_mono_ms() < conn->special_ms) {
        if (peer_broke(conn)) {
            conn->broken = ERR_CLOSED;
            conn_finish(conn);
        }
        return;
    }
    conn->phase = PHASE_OPEN;
    if (conn_flush(conn) != ERR_OK || conn->close_after_pause)
        conn_finish(conn);
    else
        step_open(conn,
            0); /* what came meanwhile makes no new event when it is in conn_in or inside TLS */
}

static void step_drain(struct conn *conn, uint64_t flags)
{
    char sink[4096];
    if (flags & CONN_FLAG_TIMEOUT || atomic_load(&conn->net->cut)) {
        conn->phase = PHASE_DEAD;
        return;
    }
    for (int i = 0; i < 16; i++) {
        ssize_t got = recv(conn->fd, sink, sizeof sink, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (got <= 0 || (conn->drained_bytes += (size_t)got) > CONN_DRAIN_BYTES_MAX) {
            conn->phase = PHASE_DEAD;
            return;
        }
    }
}

static void conn_step(struct conn *conn, uint64_t flags)
{
    if (flags & CONN_FLAG_WAKE)
        conn->woken = true;
    conn->short_read = false;
    /* A deadline moved while the timer was looking (timer.c): it did not pass. */
    if (flags & CONN_FLAG_TIMEOUT && effective_deadline(conn) > clock_mono_ms())
        flags &= ~CONN_FLAG_TIMEOUT;
    if (conn->phase == PHASE_NEW)
        step_new(conn, flags);
    else if (conn->phase == PHASE_OPEN)
        step_open(conn, flags);
    else if (conn->phase == PHASE_PAUSED)
        step_paused(conn, flags);
    if (conn->phase == PHASE_HANDSHAKE) {
        step_handshake(conn, flags);
        if (conn->phase == PHASE_OPEN && conn->tls)
            step_open(conn, 0);
    }
    if (conn->phase == PHASE_DRAIN)
        step_drain(conn, flags);
}

/* ---- running and parking ---- */

/* A parked connection holds no buffers; a half-received line holds no more than itself. */
static void tidy_buffer(struct buf *buf)
{
    buf_shrink(buf);
    size_t len = buf_len(buf);
    if (!buf->mem || buf->cap <= 1024 || len > buf->cap / 4)
        return;
    struct buf small;
    buf_init(&small, buf->limit);
    buf_add(&small, buf_slice(buf));
    buf_done(buf);
    *buf = small;
}

/* False: something happened meanwhile, run on. True: the connection is not ours any more. */
static bool conn_park(struct conn *conn)
{
    struct net *net = conn->net;
    uint32_t index = conn->slot, generation = conn->generation;
    struct slot *slot = &net->slots[index];
    int64_t deadline_ms = effective_deadline(conn);

    tidy_buffer(&conn->in);
    tidy_buffer(&conn->out);
    atomic_store(&slot->deadline_ms, deadline_ms);
    uint32_t wanted = conn->phase == PHASE_PAUSED ? 0u : EPOLLIN; /* errors are told always */
    struct epoll_event event = {
        .events = wanted | EPOLLONESHOT | (conn->want_write ? EPOLLOUT : 0u),
        .data.u64 = (uint64_t)generation << 32 | index,
    };
    int op = conn->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    conn->in_epoll = true;
    if (epoll_ctl(net->epoll_fd, op, conn->fd, &event) < 0) {
        log_error("net.park", "conn=%llu errno=%d closing it", conn->id, errno);
        conn->broken = ERR_IO;
        conn_finish(conn);
        conn_destroy(conn);
        return true;
    }
    atomic_fetch_add(&net->parked, 1);
    uint64_t expected = word_make(generation, 0, CONN_RUNNING);
    if (!atomic_compare_exchange_strong(
            &slot->word, &expected, word_make(generation, 0, CONN_PARKED))) {
        assert(word_generation(expected) == generation);
        assert(word_state(expected) == CONN_RUNNING);
        atomic_fetch_sub(&net->parked, 1);
        return false;
    }
    /* From here on conn belongs to whoever claims it. */
    timer_note(net, index, deadline_ms);
    return true;
}

/* Waits a moment for the next frame of a client that answers fast: cheaper than to park and be woken. Not when
 * half of the threads are taken: then they are worth more than the system calls saved. */
static bool conn_linger(struct conn *conn)
{
    struct net *net = conn->net;
    if (conn->phase != PHASE_OPEN)
        return false;
    if (conn->tls && !conn->drained && tls_conn_pending(conn->tls))
        return true; /* no epoll event would tell */
    if (!conn->quick || atomic_load(&net->busy) * 2 > net->options.threads)
        return false;
    if (atomic_load(&net->slots[conn->slot].word) & CONN_FLAGS_MASK)
        return true;
    struct pollfd wait = { .fd = conn->fd, .events = POLLIN };
    if (poll(&wait, 1, net->options.linger_ms) > 0)
        return true;
    conn->quick = false;
    return false;
}

static void conn_run(struct conn *conn)
{
    struct slot *slot = &conn->net->slots[conn->slot];
    for (;;) {
        uint64_t word = atomic_fetch_and(&slot->word, ~CONN_FLAGS_MASK);
        assert(word_state(word) == CONN_RUNNING);
        assert(word_generation(word) == conn->generation);
        conn_step(conn, word & CONN_FLAGS_MASK);
        if (conn->phase == PHASE_DEAD) {
            conn_destroy(conn);
            return;
        }
        if (!conn_linger(conn) && conn_park(conn))
            return;
    }
}

void *pool_run(void *arg)
{
    struct net *net = arg;
    for (;;) {
        if (atomic_load(&net->quit)) {
            queue_token(net); /* the next one, too */
            return NULL;
        }
        struct epoll_event event;
        int count = epoll_wait(net->epoll_fd, &event, 1, -1);
        if (count < 0) {
            assert(errno == EINTR);
            continue;
        }
        uint32_t generation = (uint32_t)(event.data.u64 >> 32);
        uint32_t index = (uint32_t)event.data.u64;
        struct conn *conn = NULL;
        if (generation != 0)
            conn = conn_claim(net, index, generation);
        else if (index == 0)
            conn = queue_take(net);
        else
            listener_ready(net->listeners[index - 1]);
        if (conn) {
            atomic_fetch_add(&net->busy, 1);
            conn_run(conn);
            atomic_fetch_sub(&net->busy, 1);
        }
    }
}
