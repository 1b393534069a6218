/* A blocking client connection for dialogues that read top to bottom. One thread at a time.
 *
 * Every call is bounded by the timeout given to dial_open: connecting, a handshake and a line in all, other sending and receiving
 * from its last progress. While it waits to send it also receives, so that a peer that answers before it has read everything
 * (pipelining) and this side never wait for each other. */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "base/buf.h"
#include "base/err.h"

struct dial;

enum dial_tls {
    DIAL_PLAIN,
    DIAL_TLS,            /* certificate must fit host and chain to a trusted root (or ca_file) */
    DIAL_TLS_UNVERIFIED, /* tests on loopback only */
};

/* host may be a name, an address or "/path" of a Unix socket. ca_file may be NULL (system roots). */
enum err MUST_USE dial_open(const char *host, int port, enum dial_tls tls, const char *ca_file,
    int timeout_ms, struct dial **out_dial, struct err_note *note);
/* The same to one of these addresses (text), tried in this order; nothing is looked up, and host is the name that the certificate must fit.
 * All that is done with this connection ends at end_ms (clock_mono_ms), however slowly the peer goes on. */
enum err MUST_USE dial_open_at(const char *host, const char *const *addresses, size_t count,
    int port, enum dial_tls tls, const char *ca_file, int64_t end_ms, struct dial **out_dial,
    struct err_note *note);
/* Upgrades after the peer's go-ahead; bytes already received make it fail with ERR_DENIED. */
enum err MUST_USE dial_starttls(struct dial *dial, enum dial_tls tls, struct err_note *note);
/* TLS did not begin because of the peer's certificate, and of nothing else. */
bool dial_distrusts(const struct dial *dial);
void dial_close(struct dial *dial);

enum err MUST_USE dial_send(struct dial *dial, struct slice bytes);
enum err MUST_USE dial_sendf(struct dial *dial, const char *format, ...) PRINTF(2, 3);
/* From here on both sides send DEFLATE (RFC 1951) and nothing else, over TLS where there is TLS; what came and was not consumed is such already. ERR_NOT_FOUND: this machine cannot. */
enum err MUST_USE dial_deflate(struct dial *dial);
/* How long a packet takes there and back, as the system measured it, in microseconds; 0: not known. */
uint32_t dial_rtt_us(const struct dial *dial);
/* One line without its CRLF; borrowed until the next call. ERR_LIMIT over 64 KiB, ERR_SYNTAX for a bare LF. */
enum err MUST_USE dial_line(struct dial *dial, struct slice *out_line);
/* Exactly len bytes appended to out. */
enum err MUST_USE dial_bytes(struct dial *dial, size_t len, struct buf *out);

/* For framers of their own: what came and was not consumed, borrowed until the next call. */
struct slice dial_in(struct dial *dial);
void dial_consume(struct dial *dial, size_t len);
/* Waits until dial_in has grown. */
enum err MUST_USE dial_more(struct dial *dial);
/* Waits for input beyond dial_in (or finds what TLS holds already) without breaking the connection: ERR_TIMEOUT when nothing came. */
enum err MUST_USE dial_wait(struct dial *dial, int timeout_ms);
/* The same, or until other_fd (-1: none) can be read: *out_other. */
enum err MUST_USE dial_wait_or(struct dial *dial, int other_fd, int timeout_ms, bool *out_other);

void dial_set_timeout(struct dial *dial, int timeout_ms);
bool dial_is_tls(const struct dial *dial);
/* Nobody on the way can read along: TLS with a checked certificate, loopback, or a Unix socket. */
bool dial_is_private(const struct dial *dial);
/* Channel binding data (RFC 5929, RFC 9266), as conn_channel_binding gives it on the other side. */
enum err MUST_USE dial_channel_binding(struct dial *dial, struct slice kind, struct buf *out);

#endif
