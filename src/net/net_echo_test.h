/* The protocol that the tests of net/ speak: lines, each command with one answer.
 *
 *   PING x          PONG x
 *   BIG n           n bytes 'x' and CRLF
 *   DEADLINE ms     OK; then TIMEOUT when it passes
 *   STARTTLS        OK, then the handshake
 *   TLS             TLS and conn_tls_text
 *   BIND kind       BIND and the channel binding in hexadecimal
 *   WORK ms         sleeps, then DONE
 *   PAUSE ms        RESUMED, held back by conn_pause; input goes on after it
 *   PAUSEQUIT ms    RESUMED, held back, and the end
 *   QUIT            BYE and the end
 *   (a wake)        WOKEN and the number of the last publication
 *   (the end)       SHUTDOWN */
#ifndef NET_ECHO_TEST_H
#define NET_ECHO_TEST_H

#include "base/clock.h"
#include "base/encode.h"
#include "base/test.h"
#include "net/dial.h"
#include "net/net.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ECHO_SESSIONS_MAX 4096

struct echo_session;

struct echo_server {
    struct net *net;
    int port;
    pthread_mutex_t lock;
    struct conn *conns[ECHO_SESSIONS_MAX]; /* shared, ref: of every session that ever was */
    size_t conn_count;
    _Atomic int published;
    _Atomic int opened, closed, timeouts, shutdowns, inside_twice, flush_timeouts, flush_canceled;
    _Atomic int woken_in_work;
};

struct echo_session {
    struct echo_server *server;
    struct conn *conn;
    _Atomic int inside; /* threads in it; never 2 */
    int told;
};

static inline void echo_enter(struct echo_session *s)
{
    if (atomic_fetch_add(&s->inside, 1) != 0)
        atomic_fetch_add(&s->server->inside_twice, 1);
}

static inline void echo_leave(struct echo_session *s)
{
    atomic_fetch_sub(&s->inside, 1);
}

static inline void *echo_open(struct conn *conn, void *listener_arg)
{
    struct echo_server *server = listener_arg;
    struct echo_session *s = calloc(1, sizeof *s);
    assert(s);
    s->server = server;
    s->conn = conn;
    atomic_fetch_add(&server->opened, 1);
    pthread_mutex_lock(&server->lock);
    if (server->conn_count < ECHO_SESSIONS_MAX)
        server->conns[server->conn_count++] = conn_ref(conn);
    pthread_mutex_unlock(&server->lock);
    buf_adds(conn_out(conn), "HELLO\r\n");
    return s;
}

static inline void echo_big(struct echo_session *s, size_t bytes)
{
    size_t part = bytes < (1u << 20) ? bytes : 1u << 20;
    char *body = malloc(part + 1);
    assert(body);
    memset(body, 'x', part);
    enum err e = ERR_OK;
    for (size_t left = bytes; left && e == ERR_OK; left -= part) {
        part = left < part ? left : part;
        e = conn_send(s->conn, slice_from(body, part));
    }
    free(body);
    buf_adds(conn_out(s->conn), "\r\n");
    if (e == ERR_TIMEOUT)
        atomic_fetch_add(&s->server->flush_timeouts, 1);
    if (e == ERR_CANCELED)
        atomic_fetch_add(&s->server->flush_canceled, 1);
}

static inline enum conn_next echo_line(struct echo_session *s, struct slice line)
{
    struct buf *out = conn_out(s->conn);
    struct slice rest = line, word = SLICE_EMPTY;
    slice_cut(&rest, ' ', &word);
    uint64_t number = 0;
    bool numeric = slice_to_u64(rest, 1u << 30, &number) == ERR_OK;
    if (slice_eq(word, SLICE("PING"))) {
        buf_addf(out, "PONG %.*s\r\n", SLICE_FMT(rest));
    } else if (slice_eq(word, SLICE("BIG")) && numeric) {
        echo_big(s, number);
    } else if (slice_eq(word, SLICE("DEADLINE")) && numeric) {
        conn_deadline(s->conn, (int64_t)number);
        buf_adds(out, "OK\r\n");
    } else if (slice_eq(word, SLICE("TLS"))) {
        buf_addf(out, "TLS %s\r\n", conn_tls_text(s->conn));
    } else if (slice_eq(word, SLICE("WORK")) && numeric) {
        poll(NULL, 0, (int)number);
        if (conn_woken(s->conn))
            atomic_fetch_add(&s->server->woken_in_work, 1);
        buf_adds(out, "DONE\r\n");
    } else if ((slice_eq(word, SLICE("PAUSE")) || slice_eq(word, SLICE("PAUSEQUIT"))) && numeric) {
        buf_adds(out, "RESUMED\r\n");
        conn_pause(s->conn, (int)number);
        return slice_eq(word, SLICE("PAUSE")) ? CONN_PARK : CONN_CLOSE;
    } else if (slice_eq(word, SLICE("BIND"))) {
        struct buf binding;
        buf_init(&binding, 0);
        enum err e = conn_channel_binding(s->conn, rest, &binding);
        assert_int_equal(conn_channel_binding(s->conn, rest, NULL), e);
        buf_addf(out, "BIND %s ", err_name(e));
        hex_encode(out, buf_slice(&binding));
        buf_adds(out, "\r\n");
        buf_done(&binding);
    } else if (slice_eq(word, SLICE("QUIT"))) {
        buf_adds(out, "BYE\r\n");
        return CONN_CLOSE;
    } else {
        buf_adds(out, "BAD\r\n");
    }
    return CONN_PARK;
}

static inline enum conn_next echo_input_inside(struct echo_session *s)
{
    if (conn_woken(s->conn)) {
        int published = atomic_load(&s->server->published);
        if (published != s->told)
            buf_addf(conn_out(s->conn), "WOKEN %d\r\n", published);
        s->told = published;
    }
    for (;;) {
        struct slice in = buf_slice(conn_in(s->conn));
        size_t at = slice_find(in, SLICE("\r\n"));
        if (at != SIZE_MAX) {
            char text[256];
            bool pauses = slice_starts(in, SLICE("PAUSE"));
            if (at >= sizeof text)
                return CONN_CLOSE;
            memcpy(text, in.ptr, at);
            buf_consume(conn_in(s->conn), at + 2);
            if (at == 8 && memcmp(text, "STARTTLS", 8) == 0) {
                buf_adds(conn_out(s->conn), "OK\r\n");
                return conn_starttls(s->conn) == ERR_OK ? CONN_PARK : CONN_CLOSE;
            }
            if (echo_line(s, slice_from(text, at)) == CONN_CLOSE)
                return CONN_CLOSE;
            if (pauses)
                return CONN_PARK;
            if (conn_flush_full(s->conn) != ERR_OK)
                return CONN_CLOSE;
            continue;
        }
        enum err e = conn_fill(s->conn);
        if (e == ERR_BUSY)
            return CONN_PARK;
        if (e != ERR_OK)
            return CONN_CLOSE;
    }
}

static inline enum conn_next echo_input(void *session)
{
    struct echo_session *s = session;
    echo_enter(s);
    enum conn_next next = echo_input_inside(s);
    echo_leave(s);
    return next;
}

static inline void echo_timeout(void *session)
{
    struct echo_session *s = session;
    echo_enter(s);
    atomic_fetch_add(&s->server->timeouts, 1);
    buf_adds(conn_out(s->conn), "TIMEOUT\r\n");
    echo_leave(s);
}

static inline void echo_shutdown(void *session)
{
    struct echo_session *s = session;
    echo_enter(s);
    atomic_fetch_add(&s->server->shutdowns, 1);
    buf_adds(conn_out(s->conn), "SHUTDOWN\r\n");
    echo_leave(s);
}

static inline void echo_close(void *session)
{
    struct echo_session *s = session;
    echo_enter(s);
    atomic_fetch_add(&s->server->closed, 1);
    free(s);
}

static const struct conn_ops echo_ops = {
    .name = "imap", /* its ALPN name is tested */
    .open = echo_open,
    .input = echo_input,
    .timeout = echo_timeout,
    .shutdown = echo_shutdown,
    .close = echo_close,
};

static inline struct echo_server *echo_start(
    const struct net_options *options, enum net_tls tls, struct tls_server *certificate)
{
    struct echo_server *server = calloc(1, sizeof *server);
    assert(server);
    pthread_mutex_init(&server->lock, NULL);
    assert_ok(net_new(options, &server->net));
    if (certificate)
        net_set_tls(server->net, certificate);
    struct net_listener_options listener = {
        .address = "127.0.0.1",
        .tls = tls,
        .ops = &echo_ops,
        .listener_arg = server,
    };
    struct err_note note = { "" };
    if (net_listen(server->net, &listener, &server->port, &note) != ERR_OK)
        fail_msg("%s", note.text);
    assert_ok(net_start(server->net));
    return server;
}

/* Stops, checks that every session was closed and never ran twice at once. */
static inline void echo_stop(struct echo_server *server, int drain_ms)
{
    net_stop(server->net, drain_ms);
    assert_int_equal(atomic_load(&server->opened), atomic_load(&server->closed));
    assert_int_equal(atomic_load(&server->inside_twice), 0);
    assert_int_equal(net_stats(server->net).open, 0);
    assert_int_equal(net_stats(server->net).parked, 0);
    net_free(server->net);
    for (size_t i = 0; i < server->conn_count; i++) {
        conn_wake(server->conns[i]); /* late ones do nothing */
        conn_unref(server->conns[i]);
    }
    pthread_mutex_destroy(&server->lock);
    free(server);
}

static inline void expect_line(struct dial *dial, const char *wanted)
{
    struct slice line;
    assert_ok(dial_line(dial, &line));
    assert_slice("line", line, slice_of(wanted));
}

static inline struct dial *echo_dial(struct echo_server *server, enum dial_tls tls)
{
    struct dial *dial = NULL;
    struct err_note note = { "" };
    if (dial_open("127.0.0.1", server->port, tls, NULL, 8000, &dial, &note) != ERR_OK)
        fail_msg("%s", note.text);
    expect_line(dial, "HELLO");
    return dial;
}

static inline void expect_end(struct dial *dial)
{
    struct slice line;
    assert_err(ERR_CLOSED, dial_line(dial, &line));
}

#endif
