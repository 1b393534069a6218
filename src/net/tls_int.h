/* Private to net/: one TLS connection over a non-blocking descriptor, and the keys of the tickets. */
#ifndef NET_TLS_INT_H
#define NET_TLS_INT_H

#include "net/tls.h"

#include "base/buf.h"

struct ssl_ctx_st;
struct ssl_st;
struct x509_st;
struct tls_conn;
struct tls_tickets; /* shared, ref */

struct tls_tickets *tls_tickets_new(void);
struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets);
void tls_tickets_unref(struct tls_tickets *tickets);
/* Tickets of every certificate that was given the same keys resume each other's sessions. Before the first handshake. */
void tls_server_use_tickets(struct tls_server *tls, struct tls_tickets *tickets);

struct ssl_ctx_st *tls_server_context(struct tls_server *tls);

/* `protocol` (borrowed, static) decides which ALPN names are accepted. */
struct tls_conn *tls_conn_new(struct tls_server *tls, int fd, const char *protocol);
void tls_conn_free(struct tls_conn *tls);

/* One step; never waits. ERR_OK: done. ERR_BUSY: call again when the descriptor is readable (or writable, when
 * *out_want_write). Else the handshake failed; note has the reason for a log. */
enum err MUST_USE tls_conn_handshake(
    struct tls_conn *tls, bool *out_want_write, struct err_note *note);
bool tls_conn_ready(const struct tls_conn *tls);

/* Never wait. ERR_BUSY as above. ERR_CLOSED: ended or broken. */
enum err MUST_USE tls_conn_read(
    struct tls_conn *tls, void *to, size_t len, size_t *out_len, bool *out_want_write);
enum err MUST_USE tls_conn_write(
    struct tls_conn *tls, struct slice bytes, size_t *out_len, bool *out_want_read);
/* Bytes are inside that the descriptor's readiness does not show. */
bool tls_conn_pending(const struct tls_conn *tls);
/* Says close_notify, if it can without waiting. */
void tls_conn_goodbye(struct tls_conn *tls);

const char *tls_conn_text(const struct tls_conn *tls);
enum err MUST_USE tls_conn_binding(struct tls_conn *tls, struct slice kind, struct buf *out);

/* Appends the channel binding of that kind; certificate is the server's (RFC 5929 §4.1). ERR_NOT_FOUND. out NULL: only whether there is one. */
enum err MUST_USE tls_binding(
    struct ssl_st *ssl, struct x509_st *certificate, struct slice kind, struct buf *out);

/* Writes to a closed socket must give an error, not a signal (OpenSSL uses write(2)). */
void net_ignore_sigpipe(void);
/* Text of the last OpenSSL error, and clears the queue. */
const char *tls_error_text(char *text, size_t len);

#endif
