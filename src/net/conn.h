/* A connection: parked without a thread or buffers, or running with a pool thread to itself (DESIGN §3).
 *
 * A protocol gives a `struct conn_ops`. Its functions are called by exactly one thread at a time for one connection, so
 * session state needs no lock. They may block on the disk, on locks and on *output*; they never wait for *input*:
 * when no complete frame is there they return CONN_PARK and are called again when bytes arrive, when the connection is
 * woken, or (timeout) when its deadline passes. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/buf.h"
#include "base/err.h"

struct conn;
struct net;

enum conn_next {
    CONN_PARK,  /* nothing more to do until input, wake or deadline */
    CONN_CLOSE, /* flush what is in conn_out and close */
};

struct conn_ops {
    const char *name; /* "imap", "smtp": for logs and counters */
    /* A connection was accepted (and the TLS handshake done on a TLS listener). Creates the session and puts the greeting in
     * conn_out. NULL: close at once (what is in conn_out is flushed first). */
    void *(*open)(struct conn *conn, void *listener_arg);
    /* Bytes may be waiting, or conn_woken says so, or a handshake started by conn_starttls is done. Process every
     * complete frame. conn_out is flushed by the caller on return. */
    enum conn_next (*input)(void *session);
    /* The deadline passed while parked: say goodbye into conn_out if the protocol has a word for it. Then it closes. */
    void (*timeout)(void *session);
    /* The server stops: say goodbye into conn_out. Then it closes. */
    void (*shutdown)(void *session);
    /* Last call; frees the session. The peer may be gone already. */
    void (*close)(void *session);
};

/* ---- input ---- */

/* What was received and not yet consumed. The session consumes with buf_consume. Empty buffers are released on park. */
struct buf *conn_in(struct conn *conn);
/* Reads what is there now (at most about 64 KiB more) without waiting. Call it until ERR_BUSY before you park: while input waits,
 * a parked connection is run again at once. ERR_OK: conn_in grew. ERR_BUSY: nothing there now.
 * ERR_CLOSED: the peer ended or broke the connection. ERR_LIMIT: conn_in is at its limit, consume first. */
enum err MUST_USE conn_fill(struct conn *conn);
/* The loop of a session's input. step does the next thing: ERR_OK when it did one, ERR_BUSY when there is none yet, anything else ends the connection.
 * *closing: close, once this step is over. *stop_reading: park now although more input may be there; it is taken back. */
enum conn_next conn_steps(struct conn *conn, enum err (*step)(void *session), void *session,
    const bool *closing, bool *stop_reading);
/* Limit of conn_in; the framers' own limits are tighter. Default LINE_BYTES_MAX_PRELOGIN * 2. */
void conn_in_limit(struct conn *conn, size_t bytes);
/* True once after conn_wake; clears the mark. */
bool conn_woken(struct conn *conn);

/* ---- output ---- */

/* Bytes to be sent. Codecs write here; nothing is sent before conn_flush or return. */
struct buf *conn_out(struct conn *conn);
/* Sends all of conn_out; waits while the peer is slow, at most DEADLINE_WRITE_MS without progress (ERR_TIMEOUT);
 * 2 s when more than half of the pool waits for slow peers. ERR_CANCELED when net_stop runs out of time.
 * Keeps reading from the peer off: only output moves. ERR_CLOSED when the peer is gone; later calls return the same. */
enum err MUST_USE conn_flush(struct conn *conn);
/* Flushes only when more than 64 KiB wait: call it in loops that write much. */
enum err MUST_USE conn_flush_full(struct conn *conn);
/* Sends conn_out and then bytes, without copying them into conn_out. For message bodies. Small ones (2 KiB) are copied all the
 * same and leave with the next flush: a copy is cheaper than a system call. */
enum err MUST_USE conn_send(struct conn *conn, struct slice bytes);

/* ---- life ---- */

/* From now, in milliseconds, for the current step; replaces the last one. Enforced while parked. */
void conn_deadline(struct conn *conn, int64_t in_ms);
/* Holds everything back: when the session returns CONN_PARK (or CONN_CLOSE), conn_out is sent and input is called (or the connection closed) only
 * after in_ms, at most 5 minutes, whatever arrives. Costs no thread. For the growing delay after a wrong password. */
void conn_pause(struct conn *conn, int in_ms);
/* Makes `input` run soon with conn_woken true. Any thread; takes no lock that a session may hold; cheap when repeated. */
void conn_wake(struct conn *conn);
/* Ends the connection from another thread: as if its deadline had passed, with `shutdown` as the goodbye. */
void conn_end(struct conn *conn);
/* Counted references keep the memory (not the connection) alive for threads that may still call conn_wake/conn_end. */
struct conn *conn_ref(struct conn *conn);
void conn_unref(struct conn *conn);

/* Unique in this process's life. For logs. */
unsigned long long conn_id(const struct conn *conn);
/* "192.0.2.7" or "2001:db8::1"; no port. "unix" for a Unix socket. Borrowed. */
const char *conn_peer(const struct conn *conn);
/* Loopback address or Unix socket. */
bool conn_is_local(const struct conn *conn);
int conn_local_port(const struct conn *conn); /* 0 for a Unix socket */

/* ---- TLS ---- */

bool conn_is_tls(const struct conn *conn);
/* Whether conn_starttls can work: a certificate is configured and TLS is not on yet. */
bool conn_can_starttls(const struct conn *conn);
/* Call after putting the "go ahead" answer in conn_out. Sends it and starts the handshake. When bytes are in conn_in or
 * arrived together with the command, they came before the handshake: ERR_DENIED, and the session must return CONN_CLOSE
 * (ATTACKS §1). ERR_DENIED also where conn_can_starttls is false. On every error conn_out is emptied: the go-ahead is not
 * sent. On ERR_OK return CONN_PARK; `input` is called when TLS is up. The session forgets its state itself. */
enum err MUST_USE conn_starttls(struct conn *conn);
/* "TLSv1.3 TLS_AES_128_GCM_SHA256"; "" without TLS. Borrowed. */
const char *conn_tls_text(const struct conn *conn);
/* Channel binding data (RFC 5929, RFC 9266): kind is "tls-exporter" (TLS 1.3) or "tls-server-end-point".
 * ERR_NOT_FOUND when this connection has none of that kind. out NULL: only whether it has. */
enum err MUST_USE conn_channel_binding(struct conn *conn, struct slice kind, struct buf *out);

#endif
